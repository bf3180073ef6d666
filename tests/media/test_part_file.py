from __future__ import annotations

import os
import subprocess
import sys

import pytest

from acutance.media.part_file import FORGOTTEN_S, part_file, part_name, remove_leftovers

posix = pytest.mark.skipif(sys.platform == "win32", reason="locks and links of POSIX")


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_that_got_no_name_is_removed(tmp_path):
    with part_file(tmp_path) as (path, file):
        file.write(b"x")
        assert names_in(tmp_path) == [path.name]
    assert names_in(tmp_path) == []


def test_a_file_that_got_a_name_stays(tmp_path):
    with part_file(tmp_path) as (path, file):
        file.write(b"x")
        file.close()
        path.replace(tmp_path / "a")
    assert names_in(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"x"


def test_what_a_killed_process_left_is_removed(tmp_path):
    """A file that nobody holds is left over, however young."""
    (tmp_path / part_name()).write_bytes(b"half")
    (tmp_path / part_name("-é")).write_bytes(b"")
    for name in (".acutance.jsonl", ".acutance-mine.part", "photo.part", ".acutance-0123456789abcdef.part.jpg"):
        (tmp_path / name).write_bytes(b"not ours to remove")
    remove_leftovers(tmp_path)
    kept = [".acutance-0123456789abcdef.part.jpg", ".acutance-mine.part", ".acutance.jsonl", "photo.part"]
    assert names_in(tmp_path) == kept


def test_a_live_writer_keeps_its_file(tmp_path):
    code = (
        "import sys; from pathlib import Path; from acutance.media.part_file import part_file\n"
        "with part_file(Path(sys.argv[1])) as (path, file): print(path.name, flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        name = writer.stdout.readline().strip()
        remove_leftovers(tmp_path)
        assert names_in(tmp_path) == [name]
        writer.kill()
    assert names_in(tmp_path) == [name]
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == []


@posix
def test_a_writer_keeps_its_file_until_it_has_its_name(tmp_path):
    with part_file(tmp_path) as (path, file):
        file.close()
        remove_leftovers(tmp_path)
        assert names_in(tmp_path) == [path.name]


@posix
def test_a_result_named_by_a_link_stays_whole(tmp_path):
    """A process killed between a result's two names leaves both."""
    left = tmp_path / part_name()
    left.write_bytes(b"whole")
    (tmp_path / "a.png").hardlink_to(left)
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"whole"


@posix
def test_links_and_folders_of_such_a_name_are_let_be(tmp_path):
    (tmp_path / "precious").write_bytes(b"x")
    (tmp_path / part_name()).symlink_to(tmp_path / "precious")
    (tmp_path / part_name()).mkdir()
    before = names_in(tmp_path)
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == before


@posix
def test_without_locks_only_what_is_old_is_removed(tmp_path, monkeypatch):
    import errno
    import fcntl
    import time

    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)  # as some network drives do
    young, old = tmp_path / part_name(), tmp_path / part_name()
    for path in (young, old):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 2 * FORGOTTEN_S,) * 2)
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == [young.name]
    with part_file(tmp_path) as (path, _):
        assert path.exists()


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    remove_leftovers(tmp_path / "nowhere")
