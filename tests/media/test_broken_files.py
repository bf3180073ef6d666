"""A lean sample of `benchmarks/broken_files.py`: broken files of every format end in a result or in one sentence."""

from __future__ import annotations

import time

import pytest
from corpus import broken_versions, further_files, good_files

from acutance.engines.fake import FakeEngine
from acutance.inference import streaming
from acutance.inference.files import sharpen_files
from acutance.inference.sharpener import Sharpener
from acutance.media import PlannedFile, open_pictures

PER_KIND = 8
HANG_S = 10.0


@pytest.mark.parametrize("max_memory_mb", [None, 182], ids=["whole", "strips"])
def test_each_ends_well(tmp_path, monkeypatch, capfd, max_memory_mb):
    # The process itself is taken to need 180 MB: with 182, what can be is worked on in strips.
    sharpener = Sharpener(engine=FakeEngine(), max_pixels=10**6, tile_px=64, max_memory_mb=max_memory_mb)
    monkeypatch.setattr(streaming, "_PILLOW_BYTES_PER_PX", 4 if max_memory_mb is None else 10_000)
    monkeypatch.setenv("ACUTANCE_TRACEBACK", "1")  # what nobody foresaw is raised
    files = {**good_files(), **further_files()}
    plan = []
    for kind, (name, data) in enumerate(sorted(files.items())):
        stem, suffix = name.split(".")
        for number, broken in enumerate(broken_versions(data, PER_KIND, seed=1000 + kind)):
            source = tmp_path / f"{stem}-{number}.{suffix}"
            source.write_bytes(broken)
            plan.append(PlannedFile(source, tmp_path / "out" / source.name))

    start = time.monotonic()
    results = list(sharpen_files(sharpener, plan))

    assert len(results) == len(plan) == PER_KIND * len(files)
    assert time.monotonic() - start < HANG_S * len(plan)
    for result in results:
        if result.status == "failed":
            assert not result.target.exists()
            assert str(result.source) in result.error or "cannot be coded" in result.error
            assert result.error.endswith(".")
            assert "\n" not in result.error
            assert result.seconds < HANG_S
        else:
            with open_pictures(result.target, max_bits=16) as pictures:
                assert sum(1 for _ in pictures.photos()) == pictures.count
    assert {result.status for result in results} == {"done", "failed"}
    assert sum(1 for _ in (tmp_path / "out").iterdir()) == sum(result.status == "done" for result in results)
    assert capfd.readouterr().out == ""
