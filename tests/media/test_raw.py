"""Cameras' raw files: developed into 16 bits, or, without the extra, named and counted."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

from acutance.errors import InputError, UnsupportedImage
from acutance.media import lost_in, open_pictures, plan_outputs, raw, raw_files_in, read_photo
from acutance.media.exif import orientation_of

SIDE = 64
GREY = 6000
"""Of 16 383: what a grey card gives in each colour, divided by the white balance."""
NEUTRAL = (0.5, 1.0, 0.7)


def negative(*, orientation: int = 1, **changes: object) -> bytes:
    """Make a DNG file of a grey card seen through red, green and blue, brighter on its right half."""
    levels = np.empty((SIDE, SIDE), np.uint16)
    for row, column, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        levels[row::2, column::2] = round(GREY * NEUTRAL[colour])
    levels[:, SIDE // 2 :] *= 2
    identity = [number for value in np.eye(3).ravel() for number in (round(value * 10_000), 10_000)]
    tags = [
        (271, "s", 0, "Maker", True),
        (272, "s", 0, "Camera", True),
        (274, "H", 1, orientation, True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes((0, 1, 1, 2)), True),
        (50706, "B", 4, bytes((1, 4, 0, 0)), True),
        (50708, "s", 0, "Maker Camera", True),
        (50714, "H", 1, 0, True),
        (50717, "H", 1, 16383, True),
        (50721, "2i", 9, identity, True),
        (50728, "2I", 3, [n for value in NEUTRAL for n in (round(value * 1000), 1000)], True),
        (50778, "H", 1, 21, True),
    ]
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, levels, photometric=32803, metadata=None, software=None, extratags=tags, **changes)
    return buffer.getvalue()


needs_libraw = pytest.mark.skipif(not raw.is_installed(), reason="needs the extra 'raw'")


@needs_libraw
def test_a_raw_file_is_developed_with_the_cameras_white_balance_into_16_bits():
    photo = read_photo(negative(), max_bits=16)

    assert photo.pixels.dtype == np.uint16
    assert photo.pixels.shape == (SIDE, SIDE, 3)
    left, right = photo.pixels[8:-8, 8:24].astype(float), photo.pixels[8:-8, 40:56].astype(float)
    for part in (left, right):
        means = part.mean(axis=(0, 1))
        assert np.ptp(means) < 0.02 * means.max()  # a grey card is grey
    ratio = ((right.mean() / 65535 + 0.055) / 1.055) ** 2.4 / ((left.mean() / 65535 + 0.055) / 1.055) ** 2.4
    assert ratio == pytest.approx(2, rel=0.03)  # the curve of sRGB, and nothing brightened
    assert photo.metadata.icc_profile is not None
    assert "the raw data" in lost_in(photo, "TIFF")[0]


@needs_libraw
def test_a_raw_file_is_turned_upright_and_keeps_its_exif():
    photo = read_photo(negative(orientation=6), max_bits=16)

    assert photo.metadata.exif is not None
    assert orientation_of(photo.metadata.exif) == 1
    assert b"Camera" in photo.metadata.exif
    assert photo.pixels[56:].mean() > 1.2 * photo.pixels[:8].mean()  # what was right is below
    with open_pictures(negative(orientation=6), max_bits=16) as pictures:
        assert pictures.format == "TIFF"


@needs_libraw
def test_a_raw_file_is_never_reduced_to_8_bits():
    with pytest.raises(UnsupportedImage, match="16 bits per channel"):
        read_photo(negative())


@needs_libraw
def test_a_cut_raw_file_is_damaged_in_a_sentence():
    data = negative()
    with pytest.raises(UnsupportedImage, match=r"^the image is .*\.$") as error:
        read_photo(data[: len(data) // 2], max_bits=16)
    assert "LibRaw" not in str(error.value)
    assert "rawpy" not in str(error.value)


@needs_libraw
def test_a_folder_of_raw_files_and_photos_is_planned(tmp_path):
    (tmp_path / "a.dng").write_bytes(negative())
    (tmp_path / "a.NEF").write_bytes(negative())
    names = sorted(file.target.name for file in plan_outputs([tmp_path / "a.dng"]))
    assert names == ["a.sharp.tif"]
    assert raw_files_in([tmp_path]) == {}


def test_without_the_extra_it_is_said_what_reads_it(monkeypatch):
    monkeypatch.setattr(raw, "is_installed", lambda: False)
    with pytest.raises(UnsupportedImage, match=r"a camera's raw file.*pip install 'rawpy"):
        read_photo(negative(), max_bits=16)


def test_without_the_extra_raw_files_are_counted(monkeypatch, tmp_path):
    monkeypatch.setattr(raw, "is_installed", lambda: False)
    monkeypatch.setattr("acutance.media.paths.PHOTO_SUFFIXES", frozenset((".jpg",)))
    (tmp_path / "day").mkdir()
    for name in ("a.NEF", "day/b.nef", "c.cr3", ".d.nef", "e.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")

    assert raw_files_in([tmp_path, tmp_path / "e.jpg"]) == {".cr3": 1, ".nef": 2}
    assert raw_files_in([tmp_path], exclude=["day/"]) == {".cr3": 1, ".nef": 1}
    (tmp_path / "e.jpg").unlink()
    with pytest.raises(InputError, match=r"3 raw files of cameras \(\.cr3, \.nef\).*pip install 'rawpy"):
        plan_outputs([tmp_path])
