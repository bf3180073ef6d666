"""What an archive holds lands where it should, whole, or is refused before anything is written."""

from __future__ import annotations

import io
import stat
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from acutance.data.archive import UnpackedFile, are_all_in, unpack
from acutance.errors import AcutanceError, InputError, OutputError

FILES = {f"photos/{index:04d}.png": np.random.default_rng(index).bytes(3000 + index) for index in range(5)}


def zipped(files, *, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "photos.zip"
    path.write_bytes(zipped(FILES))
    return path


# --- unpacking --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_unpacks_all(archive, folder, method):
    archive.write_bytes(zipped({"photos/": b"", **FILES, "photos/below/x.png": b"x"}, method=method))
    shares = []
    files = unpack(archive, folder, within="photos", progress=shares.append)
    assert tree(folder) == {**FILES, "photos/below/x.png": b"x"}
    assert [file.name for file in files] == [*FILES, "photos/below/x.png"]
    assert are_all_in(folder, files)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_what_is_there_and_right_is_left_alone(archive, folder):
    unpack(archive, folder, within="photos")
    stamps = {path: path.stat().st_ino for path in folder.rglob("*.png")}
    unpack(archive, folder, within="photos")
    assert {path: path.stat().st_ino for path in folder.rglob("*.png")} == stamps


@pytest.mark.parametrize("spoil", ["gone", "short", "flipped"])
def test_what_is_not_right_is_unpacked_again(archive, folder, spoil):
    files = unpack(archive, folder, within="photos")
    path = folder / "photos" / "0002.png"
    content = path.read_bytes()
    if spoil == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + (b"" if spoil == "short" else bytes([content[-1] ^ 1])))
    assert not are_all_in(folder, files)
    unpack(archive, folder, within="photos")
    assert tree(folder) == FILES
    assert are_all_in(folder, files)


KILLED = """
import os, signal, sys
from pathlib import Path
from acutance.data.archive import unpack
def kill(share):
    if share > float(sys.argv[3]):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
unpack(Path(sys.argv[1]), Path(sys.argv[2]), within="photos", progress=kill)
"""


def test_a_killed_process_leaves_no_half_photo(archive, folder):
    for share in (0.1, 0.5):
        command = [sys.executable, "-c", KILLED, str(archive), str(folder), str(share)]
        assert subprocess.run(command, check=False).returncode != 0
        named = {name: content for name, content in tree(folder).items() if not name.endswith(".part")}
        assert named.items() < FILES.items()
    assert named
    unpack(archive, folder, within="photos")
    assert tree(folder) == FILES


# --- archives that are not trusted ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "photos/../../evil.png",
        "/photos/evil.png",
        "//host/photos/evil.png",
        "evil.png",
        "photos",
        "other/0001.png",
        "photos/./0001.png",
        "photos//0001.png",
        "C:/photos/evil.png",
        "photos/evil.png:stream",
        "photos\\..\\..\\evil.png",
        "photos/a\nb.png",
    ],
)
def test_names_that_lead_elsewhere_are_refused(archive, folder, name):
    archive.write_bytes(zipped({**FILES, name: b"evil"}))
    with pytest.raises(InputError, match="only plain names below photos/ are unpacked"):
        unpack(archive, folder, within="photos")
    assert tree(folder.parent) == {"photos.zip": archive.read_bytes()}


def test_a_zero_byte_hides_nothing(archive, folder):
    archive.write_bytes(zipped({"photos/a.pngX..": b"x"}).replace(b".pngX..", b".png\0.."))
    with pytest.raises(InputError, match="only plain names"):
        unpack(archive, folder, within="photos")


def test_links_are_refused(archive, folder):
    link = zipfile.ZipInfo("photos/link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="link or a device"):
        unpack(archive, folder, within="photos")
    assert tree(folder) == {}


def test_files_of_one_name_are_refused(archive, folder):
    for twin in ("photos/A.png", "photos/a.png"):
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr(twin, "twin")
    with pytest.raises(InputError, match="two files of one name"):
        unpack(archive, folder, within="photos")


def test_encrypted_and_rarely_packed_files_are_refused(archive, folder):
    content = bytearray(archive.read_bytes())
    position = content.rindex(b"PK\x01\x02")
    content[position + 8] |= 1  # the flag in the central directory
    archive.write_bytes(content)
    with pytest.raises(InputError, match="encrypted or packed"):
        unpack(archive, folder, within="photos")
    archive.write_bytes(zipped(FILES, method=zipfile.ZIP_BZIP2))
    with pytest.raises(InputError, match="encrypted or packed"):
        unpack(archive, folder, within="photos")


def declare(content, size_bytes):
    """Make an archive's last file declare another size, in the directory and before its data."""
    changed = bytearray(content)
    struct.pack_into("<I", changed, changed.rindex(b"PK\x01\x02") + 24, size_bytes)
    struct.pack_into("<I", changed, changed.rindex(b"PK\x03\x04") + 22, size_bytes)
    return bytes(changed)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size_bytes", [0, 5, 9_000_000])
def test_sizes_other_than_declared_are_refused(archive, folder, method, size_bytes):
    archive.write_bytes(declare(zipped({"photos/a.png": b"a" * 5000}, method=method), size_bytes))
    with pytest.raises(InputError, match="damaged"):
        unpack(archive, folder, within="photos")
    assert tree(folder) == {}


def test_what_the_disk_has_no_room_for_is_refused(archive, folder):
    files = {f"photos/{index}.png": b"" for index in range(4000)}
    with zipfile.ZipFile(archive, "w") as opened:
        for name in files:
            opened.writestr(name, b"")
    content = bytearray(archive.read_bytes())
    position = -1
    while (position := content.find(b"PK\x01\x02", position + 1)) >= 0:
        struct.pack_into("<I", content, position + 24, 0xFFFFFFFE)  # 4 GB each
    archive.write_bytes(content)
    with pytest.raises(OutputError, match=r"needs 17\.2 TB"):
        unpack(archive, folder, within="photos")
    assert tree(folder) == {}


def test_what_is_no_archive(archive, folder, tmp_path):
    for content in (b"", b"<html>no zip</html>", zipped(FILES)[:-100], zipped(FILES)[:500]):
        archive.write_bytes(content)
        with pytest.raises(InputError, match=r"damaged or no zip archive .*delete it and its \.sha256"):
            unpack(archive, folder, within="photos")
    with pytest.raises(InputError, match="no zip archive"):
        unpack(tmp_path / "none.zip", folder, within="photos")
    archive.write_bytes(zipped({}))
    with pytest.raises(InputError, match="holds no files"):
        unpack(archive, folder, within="photos")


def test_a_damaged_file_stops_it_and_is_not_kept(archive, folder):
    content = bytearray(archive.read_bytes())
    content[content.index(FILES["photos/0003.png"][:50]) + 7] ^= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        unpack(archive, folder, within="photos")
    assert sorted(tree(folder)) == ["photos/0000.png", "photos/0001.png", "photos/0002.png"]


def test_a_file_in_the_way(archive, folder):
    folder.mkdir()
    (folder / "photos").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        unpack(archive, folder, within="photos")


SMALL = zipped({"photos/a.png": b"a" * 60, "photos/b.png": bytes(range(40))})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(changes=[(SMALL.rindex(b"photos/b.png"), 0)])  # a name that begins with a zero byte
@given(changes=st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_whatever_is_damaged_no_other_error_comes_out(tmp_path, changes):
    content = bytearray(SMALL)
    for position, value in changes:
        content[position] = value
    (tmp_path / "a.zip").write_bytes(content)
    try:
        files = unpack(tmp_path / "a.zip", tmp_path / "out", within="photos")
    except AcutanceError:
        return
    assert are_all_in(tmp_path / "out", files)


def test_a_file_is_known_by_size_and_crc(tmp_path):
    (tmp_path / "a").write_bytes(b"123456789")
    assert UnpackedFile("a", 9, 0xCBF43926).is_in(tmp_path)  # the check value of this CRC
    assert not UnpackedFile("a", 8, 0xCBF43926).is_in(tmp_path)
    assert not UnpackedFile("a", 9, 0xCBF43927).is_in(tmp_path)
    assert not UnpackedFile("b", 9, 0xCBF43926).is_in(tmp_path)
