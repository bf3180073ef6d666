"""DIV2K from a server of the same layout, with tiny archives: got once, whole, and checked."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from acutance.data.div2k import DIV2K, DIV2K_URL, fetch_part
from acutance.data.photo_store import open_store
from acutance.downloads import Patience
from acutance.downloads.fake import FakeServer, Fault
from acutance.errors import ConfigError, DownloadError, InputError

TRAIN, VALID = DIV2K
PATIENCE = Patience(timeout_s=5.0, attempts=3, pause_s=0.001)


def png(index):
    stream = io.BytesIO()
    pixels = np.random.default_rng(index).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


PHOTOS = {
    "train": {f"DIV2K_train_HR/{index:04d}.png": png(index) for index in range(1, 7)},
    "valid": {f"DIV2K_valid_HR/{index:04d}.png": png(index) for index in range(801, 804)},
}


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir(next(iter(files)).split("/")[0])
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


ARCHIVES = {f"div2k/DIV2K_{part}_HR.zip": zipped(files) for part, files in PHOTOS.items()}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with FakeServer(ARCHIVES) as running:
        yield running


@pytest.fixture
def fetch_small(server, tmp_path):
    """Give what fetches one part from the server."""

    def run(archive=TRAIN, *, progress=None):
        base_url = f"{server.address}/div2k"
        return fetch_part(archive, tmp_path / "out", base_url=base_url, progress=progress, patience=PATIENCE)

    return run


def photos_in(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.png")}


def test_the_rows_are_the_published_archives():
    assert [(row.part, row.name, row.num_photos) for row in DIV2K] == [
        ("train", "DIV2K_train_HR", 800),
        ("valid", "DIV2K_valid_HR", 100),
    ]
    for row in DIV2K:
        assert len(bytes.fromhex(row.sha256)) == 32
        assert 4_000_000 < row.size_bytes / row.num_photos < 5_000_000  # of PNG files of 2K, some 4.5 MB each
    assert DIV2K_URL == "https://data.vision.ee.ethz.ch/cvl/DIV2K"


@pytest.mark.parametrize("archive", DIV2K, ids=lambda row: row.part)
def test_downloads_and_unpacks(fetch_small, tmp_path, archive):
    shares = []
    fetched = fetch_small(archive, progress=shares.append)
    assert photos_in(tmp_path / "out") == PHOTOS[archive.part]
    content = ARCHIVES[f"div2k/{archive.name}.zip"]
    assert fetched.folder == tmp_path / "out" / archive.name
    assert fetched.num_photos == len(PHOTOS[archive.part])
    assert fetched.size_bytes == sum(map(len, PHOTOS[archive.part].values()))
    assert fetched.sha256 == hashlib.sha256(content).hexdigest()
    assert not fetched.is_original
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {archive.name, *(f"{archive.name}.{end}" for end in ("zip", "zip.sha256", "json"))}


def test_the_photos_can_be_stored(fetch_small, tmp_path):
    fetched = fetch_small()
    store = open_store(fetched.folder, tmp_path / "store")
    assert [photo.name for photo in store.photos] == [f"{index:04d}.png" for index in range(1, 7)]
    assert store.skipped == ()


def test_a_mirror_may_end_with_a_slash(server, tmp_path):
    fetch_part(VALID, tmp_path, base_url=f"{server.address}/div2k/")
    assert server.requests[0].path == "/div2k/DIV2K_valid_HR.zip"


def test_with_all_photos_there_nothing_is_asked(fetch_small, server, tmp_path):
    first = fetch_small()
    server.requests.clear()
    shares = []
    assert fetch_small(progress=shares.append) == first
    (tmp_path / "out" / "DIV2K_train_HR.zip").unlink()
    assert fetch_small() == first
    assert server.requests == []
    assert shares[-1] == 1.0


def test_a_photo_that_is_gone_or_damaged_comes_back_from_the_archive(fetch_small, server, tmp_path):
    fetched = fetch_small()
    server.requests.clear()
    (fetched.folder / "0001.png").unlink()
    (fetched.folder / "0002.png").write_bytes(b"x" * len(PHOTOS["train"]["DIV2K_train_HR/0002.png"]))
    fetch_small()
    assert photos_in(tmp_path / "out") == PHOTOS["train"]
    assert server.requests == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": [{"name": 1}]}'])
def test_a_damaged_record_is_made_anew(fetch_small, tmp_path, text):
    fetch_small()
    record = tmp_path / "out" / "DIV2K_train_HR.json"
    before = record.read_text()
    record.write_text(text)
    fetch_small()
    assert record.read_text() == before
    assert [file["name"] for file in json.loads(before)["files"]] == list(PHOTOS["train"])


# --- interruptions ----------------------------------------------------------------------------------------


def test_a_broken_connection_is_gone_on_with(fetch_small, server, tmp_path):
    server.faults.extend([Fault(drop_at=20_000), Fault(drop_at=10_000)])
    fetch_small()
    assert [request.range for request in server.requests] == [None, "bytes=20000-", "bytes=30000-"]
    assert photos_in(tmp_path / "out") == PHOTOS["train"]


def test_an_archive_that_changes_midway_is_not_glued(fetch_small, server, tmp_path):
    server.faults.extend([Fault(drop_at=20_000), Fault(status=404)])
    with pytest.raises(DownloadError, match="404"):
        fetch_small()
    other = {name: content[::-1] for name, content in PHOTOS["train"].items()}
    server.files["div2k/DIV2K_train_HR.zip"] = zipped(other)
    fetch_small()
    assert photos_in(tmp_path / "out") == other


KILLED = """
import os, signal, sys
from pathlib import Path
from acutance.data.div2k import DIV2K, fetch_part
def kill(share):
    if share > float(sys.argv[3]):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
fetch_part(DIV2K[0], Path(sys.argv[2]), base_url=sys.argv[1], progress=kill)
"""


def test_a_killed_process_is_made_good(fetch_small, server, tmp_path):
    """Killed while downloading and while unpacking, again and again: the end is the same, and no half photo is seen."""
    for share in (0.1, 0.6, 0.93, 0.95, 0.99):
        command = [sys.executable, "-c", KILLED, f"{server.address}/div2k", str(tmp_path / "out"), str(share)]
        assert subprocess.run(command, check=False).returncode != 0
        assert photos_in(tmp_path / "out").items() <= PHOTOS["train"].items()
    assert len(server.requests) <= 3
    fetch_small()
    assert photos_in(tmp_path / "out") == PHOTOS["train"]
    assert not list((tmp_path / "out").rglob("*.part"))


# --- wrong archives ---------------------------------------------------------------------------------------


def test_only_the_published_archive_is_taken_for_it(tmp_path):
    """A file laid there by hand is checked, too: this needs no network."""
    (tmp_path / "DIV2K_valid_HR.zip").write_bytes(ARCHIVES["div2k/DIV2K_valid_HR.zip"])
    with pytest.raises(DownloadError, match=f"not {VALID.sha256}"):
        fetch_part(VALID, tmp_path)
    assert (tmp_path / "DIV2K_valid_HR.zip.wrong").exists()
    assert photos_in(tmp_path) == {}


def test_a_mirror_is_held_to_what_it_gave_first(fetch_small, server, tmp_path):
    fetch_small()
    server.files["div2k/DIV2K_train_HR.zip"] = zipped(PHOTOS["valid"])
    (tmp_path / "out" / "DIV2K_train_HR.zip").unlink()
    (tmp_path / "out" / "DIV2K_train_HR" / "0001.png").unlink()
    with pytest.raises(DownloadError, match="as at its first use"):
        fetch_small()


def test_another_part_under_this_name_is_refused(fetch_small, server, tmp_path):
    server.files["div2k/DIV2K_train_HR.zip"] = ARCHIVES["div2k/DIV2K_valid_HR.zip"]
    with pytest.raises(InputError, match="only plain names below DIV2K_train_HR/"):
        fetch_small()
    assert photos_in(tmp_path / "out") == {}


def test_something_that_is_no_archive_is_refused(fetch_small, server):
    server.files["div2k/DIV2K_train_HR.zip"] = b"no archive"
    with pytest.raises(InputError, match=r"delete it and its \.sha256, and fetch it again"):
        fetch_small()


def test_a_server_without_it(fetch_small, server):
    server.files.clear()
    with pytest.raises(DownloadError, match=r"answered 404 .* use a mirror"):
        fetch_small()


def test_local_files_are_no_mirror(tmp_path):
    with pytest.raises(ConfigError, match="https://"):
        fetch_part(TRAIN, tmp_path, base_url="file:///data/div2k")
