"""What a run will cost, told from a sample: of tar files from their first pictures."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra bulk")

from acutance.bulk import plan
from acutance.bulk.items import items_of
from acutance.bulk.job import BulkSettings
from acutance.bulk.ledger import Done
from acutance.media.patterns import PathFilter


def planned(source):
    items = items_of(source, strength=1.0, wanted=PathFilter.of())
    return plan.plan(items, BulkSettings(model="fast"), source, done=Done(), key="s")


def test_a_tar_file_is_told_from_its_first_pictures(source, photo, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "SAMPLE_OF_SHARD", 4)
    content = photo(tmp_path / "x.png").read_bytes()
    with tarfile.open(Path(source.root) / "s.tar", "w") as tar:
        for number in range(20):
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    found = planned(source)
    assert (found.inputs, found.sampled, found.unmade) == (1, 1, 0)
    assert found.megapixels_each == pytest.approx(20 * 24 * 32 / 1e6, rel=0.2)
    size_bytes = (Path(source.root) / "s.tar").stat().st_size
    assert size_bytes / 2 < found.output_bytes_each < size_bytes * 2  # each tar file is padded


def test_a_sample_ends_when_it_has_taken_long_enough(source, photo, monkeypatch):
    monkeypatch.setattr(plan, "SAMPLE_S", 0.0)
    for number in range(20):
        photo(Path(source.root) / f"{number}.png")
    found = planned(source)
    assert (found.inputs, found.left, found.sampled) == (20, 20, 16)
    assert found.megapixels_each == pytest.approx(24 * 32 / 1e6)
