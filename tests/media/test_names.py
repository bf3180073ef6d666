from __future__ import annotations

import os
from pathlib import Path

from acutance.media import find_clashes
from acutance.media.names import Folding, folding_of

COMPOSED, DECOMPOSED = "caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg", "cafe\N{COMBINING ACUTE ACCENT}.jpg"
TARGETS = [Path("out") / name for name in ("a.jpg", "A.jpg", "b.jpg", COMPOSED, DECOMPOSED, "A.JPG", "sub/a.jpg")]


def clashes(**folding):
    found = find_clashes(TARGETS, probe=lambda _: Folding(**folding))
    return {path.name: earlier.name for path, earlier in found.items()}


def test_what_a_disk_tells_apart_does_not_clash():
    assert clashes() == {}


def test_what_a_disk_does_not_tell_apart_clashes_with_the_first_of_its_kind():
    assert clashes(ignores_case=True) == {"A.jpg": "a.jpg", "A.JPG": "a.jpg"}
    assert clashes(ignores_composition=True) == {DECOMPOSED: COMPOSED}
    assert len(clashes(ignores_case=True, ignores_composition=True)) == 3


def test_folders_clash_as_files_do():
    found = find_clashes([Path("Day/a.jpg"), Path("day/a.jpg")], probe=lambda _: Folding(ignores_case=True))
    assert found == {Path("day/a.jpg"): Path("Day/a.jpg")}


def test_a_disk_is_asked_only_where_names_are_alike():
    def refuse(folder: Path) -> Folding:
        raise AssertionError(folder)

    assert find_clashes([Path("a.jpg"), Path("b.jpg")], probe=refuse) == {}


def test_a_disk_is_asked_by_a_file_that_does_not_stay(tmp_path):
    """What it answers is what names of real files show."""
    folding = folding_of(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / COMPOSED).write_bytes(b"")
    assert folding == Folding(os.path.lexists(tmp_path / "A"), os.path.lexists(tmp_path / DECOMPOSED))


def test_where_nothing_can_be_made_nothing_clashes(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert folding_of(tmp_path / "file") == Folding()
