from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acutance.errors import OutputError
from acutance.media.atomic import check_target, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and limits")


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def failing(error: BaseException) -> Iterator[bytes]:
    """Parts of which the second cannot be had."""
    yield b"half"
    raise error


@pytest.mark.parametrize("overwrite", [False, True])
def test_parts_become_one_file(tmp_path, overwrite):
    write_atomically(tmp_path / "a", [b"one ", memoryview(b"two")], overwrite=overwrite)
    assert (tmp_path / "a").read_bytes() == b"one two"
    assert names_in(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "not allowed"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Input/output"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, number, words, overwrite):
    path = tmp_path / "a"
    if overwrite:
        path.write_bytes(b"old")
    with pytest.raises(OutputError, match=words):
        write_atomically(path, failing(OSError(number, os.strerror(number))), overwrite=overwrite)
    assert names_in(tmp_path) == (["a"] if overwrite else [])
    assert not overwrite or path.read_bytes() == b"old"


def test_an_interruption_leaves_nothing_and_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", failing(KeyboardInterrupt()), overwrite=False)
    assert names_in(tmp_path) == []


@posix
def test_a_file_larger_than_the_system_takes_leaves_nothing(tmp_path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError, match="does not take files that large"):
            write_atomically(tmp_path / "a", [bytes(200_000)], overwrite=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names_in(tmp_path) == []


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "a"

    def parts() -> Iterator[bytes]:
        yield b"ours"
        path.write_bytes(b"theirs")

    with pytest.raises(OutputError, match="exists already"):
        write_atomically(path, parts(), overwrite=False)
    assert path.read_bytes() == b"theirs"
    assert names_in(tmp_path) == ["a"]


@posix
def test_permissions_are_those_of_the_umask_or_of_the_file_replaced(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", [b"x"], overwrite=False)
        write_atomically(tmp_path / "new2", [b"x"], overwrite=True)
        (tmp_path / "old").write_bytes(b"")
        (tmp_path / "old").chmod(0o604)
        write_atomically(tmp_path / "old", [b"x"], overwrite=True)
    finally:
        os.umask(old)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "new2", "old")]
    assert modes == [0o640, 0o640, 0o604]


@posix
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OutputError, match="exists already"):
        write_atomically(tmp_path / "link", [b"new"], overwrite=False)
    write_atomically(tmp_path / "link", [b"new"], overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@posix
def test_a_dangling_link_counts_as_taken(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists already"):
        check_target(tmp_path / "link", overwrite=False)


def test_places_where_nothing_can_be_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="is a folder"):
        write_atomically(tmp_path, [b""], overwrite=True)
    with pytest.raises(OutputError, match="a file, not a folder"):
        write_atomically(tmp_path / "file" / "a", [b""], overwrite=False)
    with pytest.raises(OutputError, match="too long"):
        write_atomically(tmp_path / ("x" * 300), [b""], overwrite=False)
    with pytest.raises(OutputError, match="null"):
        write_atomically(tmp_path / "a\0b", [b""], overwrite=False)
    assert names_in(tmp_path) == ["file"]


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="not allowed"):
            write_atomically(tmp_path / "a", [b""], overwrite=False)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs a device")
def test_a_name_that_leads_to_a_device_is_never_replaced(tmp_path):
    link = tmp_path / "a.png"
    link.symlink_to("/dev/null")
    with pytest.raises(OutputError, match="no file that could be replaced"):
        check_target(link, overwrite=True)


def test_a_process_that_ends_while_a_thread_writes_leaves_nothing(tmp_path: Path) -> None:
    """As after a second Ctrl-C within a long tile: nobody waits for the thread."""
    program = """
import sys, threading, time
from pathlib import Path
from acutance.media.atomic import write_atomically

def parts():
    yield b"a"
    begun.set()
    time.sleep(60)

begun = threading.Event()
target = Path(sys.argv[1])
threading.Thread(target=write_atomically, args=(target, parts()), kwargs={"overwrite": False}, daemon=True).start()
begun.wait()
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.png")], check=True, timeout=30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("survives", [True, False])
def test_only_what_is_to_survive_waits_for_the_disk(tmp_path, monkeypatch, survives):
    waited = []
    monkeypatch.setattr(os, "fsync", waited.append)
    write_atomically(tmp_path / "a", [b"there"], overwrite=False, survives_power_loss=survives)
    assert (tmp_path / "a").read_bytes() == b"there"
    assert len(waited) == survives
