"""The memory of a container is the machine's, as far as acutance goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from acutance.engines.fake import FakeEngine
from acutance.inference import memory
from acutance.inference.memory import default_memory_mb, group_bytes
from acutance.inference.sharpener import Sharpener


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of this process's control group, in a tree of its own on a machine of 64 GB."""
    root = tmp_path / "cgroup"
    own = root / "pods" / "one"
    own.mkdir(parents=True)
    (tmp_path / "membership").write_text("0::/pods/one\n")
    monkeypatch.setattr(memory, "CGROUPS", root)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(memory, "_machine_bytes", lambda: 64 * 10**9)
    return own


def test_without_a_limit_there_are_two_gigabytes(group: Path) -> None:
    assert group_bytes() is None
    (group / "memory.max").write_text("max\n")
    assert default_memory_mb() == 2000


def test_the_limit_of_a_container_counts(group: Path) -> None:
    (group / "memory.max").write_text("1000000000\n")
    assert default_memory_mb() == 750


def test_the_tightest_group_above_counts(group: Path) -> None:
    (group / "memory.max").write_text("4000000000\n")
    (group.parent / "memory.max").write_text("800000000\n")
    (group.parent.parent / "memory.max").write_text("900000000\n")
    assert default_memory_mb() == 600


def test_a_group_that_is_not_shown_is_the_root(group: Path) -> None:
    memory.MEMBERSHIP.write_text("0::/../../elsewhere\n")
    (memory.CGROUPS / "memory.max").write_text("1000000000\n")
    assert group_bytes() == 10**9


def test_nothing_below_what_python_needs(group: Path) -> None:
    (group / "memory.max").write_text("1000000\n")
    assert default_memory_mb() == 200


def test_elsewhere_the_machine_counts(group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.MEMBERSHIP.unlink()
    monkeypatch.setattr(memory, "_machine_bytes", lambda: 10**9)
    assert group_bytes() is None
    assert default_memory_mb() == 750


def test_pictures_that_do_not_fit_into_the_container_go_in_strips(group: Path) -> None:
    from acutance.geometry import Size

    size, row_bytes = Size(8000, 12000), 36000
    with Sharpener(engine=FakeEngine()) as sharpener:
        assert sharpener.fits_as_whole(size, row_bytes=row_bytes)
        (group / "memory.max").write_text("1000000000\n")
        assert not sharpener.fits_as_whole(size, row_bytes=row_bytes)
        assert sharpener.settings.max_memory_mb is None
