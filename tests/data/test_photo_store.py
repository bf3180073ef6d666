"""The store is the folder's pixels, exactly, however often filling it was interrupted."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from acutance.data.photo_store import INDEX_FILE, PIXELS_FILE, SAVE_EVERY, list_photos, open_store
from acutance.errors import InputError, OutputError


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def decoded(folder):
    """Decode a folder the plain way: name → pixels."""
    return {
        path.relative_to(folder).as_posix(): np.asarray(Image.open(path).convert("RGB")) for path in list_photos(folder)
    }


def assert_holds(store, expected):
    """Check names, sizes and every pixel."""
    assert {photo.name for photo in store.photos} == set(expected)
    assert len(store.photos) == len(expected)
    for index, photo in enumerate(store.photos):
        np.testing.assert_array_equal(store.photo(index), expected[photo.name])
    spans = sorted((photo.offset, photo.end) for photo in store.photos)
    assert all(first[1] == second[0] for first, second in itertools.pairwise(spans))  # without gaps


def spoil(path):
    """Replace a file by as many other bytes, unnoticed: whoever decodes it from now on fails."""
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def folder(tmp_path):
    """Five pictures of different sizes, one in a folder below; names in another order than sizes."""
    photos = tmp_path / "photos"
    for index, name in enumerate(("b.png", "a.png", "below/c.png", "d.png", "e.png")):
        save(photos / name, noise(8 + index, 20 - index, seed=index))
    return photos


@pytest.fixture
def place(tmp_path):
    return tmp_path / "store"


# --- filling ----------------------------------------------------------------------------------------------


def test_holds_every_pixel_in_the_order_of_names(folder, place):
    store = open_store(folder, place)
    assert_holds(store, decoded(folder))
    assert [photo.name for photo in store.photos] == ["a.png", "b.png", "below/c.png", "d.png", "e.png"]
    assert store.skipped == ()
    assert (place / PIXELS_FILE).stat().st_size == store.photos[-1].end


def test_other_kinds_of_pictures_become_rgb(tmp_path, place):
    photos = tmp_path / "photos"
    grey, rgba = noise(6, 7)[:, :, 0], np.dstack([noise(6, 7), noise(6, 7)[:, :, 0]])
    save(photos / "grey.png", grey)
    save(photos / "alpha.png", rgba)
    save(photos / "photo.JPG", noise(16, 16))
    store = open_store(photos, place)
    pictures = {photo.name: store.photo(index) for index, photo in enumerate(store.photos)}
    np.testing.assert_array_equal(pictures["grey.png"], np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(pictures["alpha.png"], rgba[:, :, :3])
    assert pictures["photo.JPG"].shape == (16, 16, 3)


def test_sixteen_bits_become_eight_and_not_white(tmp_path, place):
    """Pillow alone clips 16-bit grey at 255 of 65535: the photo would be white."""
    photos = tmp_path / "photos"
    photos.mkdir()
    levels = np.random.default_rng(0).integers(0, 65536, (9, 8), dtype=np.uint16)
    Image.fromarray(levels).save(photos / "grey.png")
    Image.fromarray(levels).save(photos / "grey.tif")
    (photos / "colour.ppm").write_bytes(b"P6 8 3 65535\n" + levels.astype(">u2").tobytes())
    store = open_store(photos, place)
    assert store.skipped == ()
    expected = np.rint(levels / 257).astype(np.uint8)
    pictures = {photo.name: store.photo(index) for index, photo in enumerate(store.photos)}
    for name in ("grey.png", "grey.tif"):
        np.testing.assert_array_equal(pictures[name], np.repeat(expected[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(pictures["colour.ppm"], expected.reshape(3, 8, 3))


def test_other_files_are_not_looked_at(folder, place):
    (folder / "notes.txt").write_text("not a picture")
    (folder / "folder.png").mkdir()
    assert len(open_store(folder, place).photos) == 5


def test_progress_rises_to_the_end(folder, place):
    shares = []
    open_store(folder, place, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_pixels_never_change_the_file(folder, place):
    store = open_store(folder, place)
    before = (place / PIXELS_FILE).read_bytes()
    store.pixels[:100] = 0  # a private copy of the pages
    assert (place / PIXELS_FILE).read_bytes() == before


# --- opening again ----------------------------------------------------------------------------------------


def test_second_opening_decodes_nothing(folder, place):
    expected = decoded(folder)
    open_store(folder, place)
    stamp = (place / PIXELS_FILE).stat().st_ino
    for path in list_photos(folder):
        spoil(path)
    store = open_store(folder, place)
    assert_holds(store, expected)
    assert store.skipped == ()
    assert (place / PIXELS_FILE).stat().st_ino == stamp


def test_new_photos_are_added_behind(folder, place):
    expected = decoded(folder)
    open_store(folder, place)
    for path in list_photos(folder):
        spoil(path)
    save(folder / "0.png", noise(9, 9, seed=9))
    store = open_store(folder, place)
    assert_holds(store, expected | {"0.png": noise(9, 9, seed=9)})
    assert store.photos[-1].name == "0.png"


def test_a_changed_photo_is_decoded_again(folder, place):
    open_store(folder, place)
    save(folder / "b.png", noise(30, 31, seed=7))
    assert_holds(open_store(folder, place), decoded(folder))
    assert_holds(open_store(folder, place), decoded(folder))


def test_a_changed_photo_of_the_same_size_in_bytes_is_decoded_again(folder, place):
    (folder / "f.bmp").unlink(missing_ok=True)
    save(folder / "f.bmp", noise(10, 12, seed=1))  # without compression, all photos of a size have as many bytes
    open_store(folder, place)
    before = (folder / "f.bmp").stat()
    save(folder / "f.bmp", noise(10, 12, seed=2))
    os.utime(folder / "f.bmp", ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    assert (folder / "f.bmp").stat().st_size == before.st_size
    assert_holds(open_store(folder, place), decoded(folder))


def test_a_photo_that_was_only_touched_is_not_decoded_again(folder, place):
    open_store(folder, place)
    stamp = (place / PIXELS_FILE).stat()
    os.utime(folder / "b.png", ns=(1, 1))
    assert_holds(open_store(folder, place), decoded(folder))
    after = (place / PIXELS_FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)


READS_ON = """
import sys
from pathlib import Path
import numpy as np
from acutance.data.photo_store import open_store
folder, place = map(Path, sys.argv[1:])
store = open_store(folder, place)
print("open", flush=True)
sys.stdin.readline()
print(int(np.asarray(store.pixels, dtype=np.int64).sum()), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows replaces no file that is open; see below")
def test_who_has_the_store_open_reads_on_when_photos_are_removed(tmp_path, place):
    """Cutting the file that a training has mapped kills it with SIGBUS as soon as it reads there."""
    photos = tmp_path / "photos"
    for index in range(3):
        save(photos / f"{index}.png", noise(120, 150, seed=index))
    expected = sum(int(pixels.sum(dtype=np.int64)) for pixels in decoded(photos).values())
    arguments = [sys.executable, "-c", READS_ON, str(photos), str(place)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout.readline() == "open\n"
        (photos / "0.png").unlink()
        (photos / "2.png").unlink()
        assert_holds(open_store(photos, place), decoded(photos))
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == f"{expected}\n"
    assert reader.returncode == 0


def test_where_no_open_file_can_be_replaced_the_store_stays_as_it_is(folder, place, monkeypatch):
    """As on Windows, while another run has the store mapped."""
    open_store(folder, place)
    gone = folder / "b.png"
    content = gone.read_bytes()
    gone.unlink()
    replace = os.replace

    def refuse(source, target):
        if os.path.basename(target) == PIXELS_FILE:
            raise PermissionError(13, "in use")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match=r"another run is using it.*--store"):
        open_store(folder, place)
    assert not list(place.glob("*.new"))
    gone.write_bytes(content)
    assert_holds(open_store(folder, place), decoded(folder))


def test_what_is_kept_of_a_store_is_copied_and_not_decoded(folder, place):
    expected = decoded(folder)
    open_store(folder, place)
    for path in list_photos(folder):
        spoil(path)
    (folder / "b.png").unlink()
    del expected["b.png"]
    assert_holds(open_store(folder, place), expected)
    assert not list(place.glob("*.new")), "nothing is left of the copying"
    assert not (place / "lock").exists()


def test_a_photo_that_is_gone_leaves(folder, place):
    open_store(folder, place)
    (folder / "b.png").unlink()
    store = open_store(folder, place)
    assert_holds(store, decoded(folder))
    assert (place / PIXELS_FILE).stat().st_size == store.photos[-1].end


def test_another_folder_replaces_the_store(folder, place, tmp_path):
    open_store(folder, place)
    other = tmp_path / "other"
    save(other / "z.png", noise(5, 5, seed=4))
    assert_holds(open_store(other, place), decoded(other))


# --- interruption -----------------------------------------------------------------------------------------


def shorten_index(place, count):
    """Put the index back to its first entries, as it was when filling stopped."""
    values = json.loads((place / INDEX_FILE).read_text())
    values["photos"] = values["photos"][:count]
    (place / INDEX_FILE).write_text(json.dumps(values))


@pytest.mark.parametrize("stored", [0, 1, 3])
@pytest.mark.parametrize("half_written", [True, False])
def test_goes_on_where_it_was_interrupted(folder, place, stored, half_written):
    expected = decoded(folder)
    first = open_store(folder, place)
    names = [photo.name for photo in first.photos]
    shorten_index(place, stored)
    if half_written:  # bytes behind the index's last entry, of a picture that was just being written
        end = first.photos[stored].offset + 17
        content = (place / PIXELS_FILE).read_bytes()[:end]
        (place / PIXELS_FILE).write_bytes(content)
    for name in names[:stored]:
        spoil(folder / name)  # proves that what is in the index is not decoded again
    assert_holds(open_store(folder, place), expected)


def test_the_index_is_renewed_while_filling(tmp_path, place):
    photos = tmp_path / "photos"
    for index in range(SAVE_EVERY + 5):
        save(photos / f"{index:03d}.png", noise(3, 4, seed=index))

    class Stopped(Exception):
        """What interrupts."""

    def stop(share):
        if share > (SAVE_EVERY + 2) / (SAVE_EVERY + 5):
            raise Stopped

    with pytest.raises(Stopped):
        open_store(photos, place, progress=stop)
    assert len(json.loads((place / INDEX_FILE).read_text())["photos"]) == SAVE_EVERY
    expected = decoded(photos)
    for index in range(SAVE_EVERY):
        spoil(photos / f"{index:03d}.png")
    assert_holds(open_store(photos, place), expected)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"photos": [{"name": "a.png"}]}', '{"photos": 3}'])
def test_a_damaged_index_means_a_new_store(folder, place, content):
    open_store(folder, place)
    (place / INDEX_FILE).write_text(content)
    assert_holds(open_store(folder, place), decoded(folder))


@pytest.mark.parametrize("kept", [0, 500, -1])
def test_missing_pixels_are_decoded_again(folder, place, kept):
    """An index that promises more than there is must not yield black photos."""
    open_store(folder, place)
    content = (place / PIXELS_FILE).read_bytes()
    (place / PIXELS_FILE).write_bytes(content[:kept])
    assert_holds(open_store(folder, place), decoded(folder))
    (place / PIXELS_FILE).unlink()
    assert_holds(open_store(folder, place), decoded(folder))


# --- damaged photos ---------------------------------------------------------------------------------------


def damage(folder):
    """Add a file of text, an empty one, and a truncated JPEG; return their names."""
    (folder / "text.jpg").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    save(folder / "cut.jpg", noise(64, 64))
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:900])
    return {"text.jpg", "empty.png", "cut.jpg"}


def test_damaged_photos_are_skipped_and_reported(folder, place):
    expected = decoded(folder)
    names = damage(folder)
    for _ in range(2):  # the second time, too
        store = open_store(folder, place)
        assert_holds(store, expected)
        assert {skip.name for skip in store.skipped} == names
        assert all(skip.reason for skip in store.skipped)


def test_a_mended_photo_is_taken_up(folder, place):
    damage(folder)
    open_store(folder, place)
    save(folder / "text.jpg", noise(12, 12))
    store = open_store(folder, place)
    assert "text.jpg" in {photo.name for photo in store.photos}
    assert {skip.name for skip in store.skipped} == {"empty.png", "cut.jpg"}


# --- nothing to store -------------------------------------------------------------------------------------


def test_folders_without_photos_are_refused(tmp_path, place):
    with pytest.raises(InputError, match="no such folder"):
        open_store(tmp_path / "none", place)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no pictures \(\.bmp"):
        open_store(tmp_path / "empty", place)
    assert not place.exists()


def test_a_folder_of_damaged_photos_is_refused(tmp_path, place):
    photos = tmp_path / "photos"
    photos.mkdir()
    damage(photos)
    with pytest.raises(InputError, match="none of its 3 pictures could be read"):
        open_store(photos, place)


def test_the_store_may_be_deleted(folder, place):
    open_store(folder, place)
    shutil.rmtree(place)
    assert_holds(open_store(folder, place), decoded(folder))
