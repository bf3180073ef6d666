"""Room, words and locks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import pytest

from acutance.downloads.disk import check_room, make_folder, only_one, readable_size, replace_text, writing
from acutance.errors import OutputError


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (999_600_000_000, "1.0 TB"),
        (448_993_893, "449 MB"),
        (3_530_603_713, "3.53 GB"),
        (10**15, "1,000.0 TB"),
    ],
)
def test_sizes_as_a_person_reads_them(size, words):
    assert readable_size(size) == words


def test_room(tmp_path):
    check_room(tmp_path / "a", 1)
    with pytest.raises(OutputError, match=r"a needs 1,000\.0 TB"):
        check_room(tmp_path / "a", 10**15)
    with pytest.raises(OutputError, match="cannot be written"):
        check_room(tmp_path / "none" / "a", 1)


@pytest.mark.parametrize(("number", "advice"), [(errno.ENOSPC, "make room"), (errno.EACCES, "choose another folder")])
def test_refusals_become_words(tmp_path, number, advice):
    with (
        pytest.raises(OutputError, match=f"a cannot be written: {os.strerror(number)}; {advice}"),
        writing(tmp_path / "a"),
    ):
        raise OSError(number, os.strerror(number))


def test_folders_are_made(tmp_path):
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        make_folder(tmp_path / "file" / "b")


def test_texts_are_replaced_without_a_trace(tmp_path):
    for text in ("one", "two"):
        replace_text(tmp_path / "a", text)
        assert [path.read_text() for path in tmp_path.iterdir()] == [text]


def test_one_at_a_time(tmp_path):
    lock, inside, most = tmp_path / ".lock", [], []

    def enter():
        for _ in range(50):
            with only_one(lock):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 200
    assert max(most) == 1
    assert not lock.exists() or os.name == "nt"


def test_an_error_frees_the_lock(tmp_path):
    with pytest.raises(KeyError), only_one(tmp_path / ".lock"):
        raise KeyError
    with only_one(tmp_path / ".lock"):
        pass


def test_a_killed_process_frees_the_lock(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from acutance.downloads.disk import only_one\n"
        "with only_one(Path(sys.argv[1])): os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))"
    )
    lock = tmp_path / ".lock"
    assert subprocess.run([sys.executable, "-c", code, str(lock)], check=False).returncode != 0
    assert lock.exists()
    with only_one(lock):
        assert lock.exists()
