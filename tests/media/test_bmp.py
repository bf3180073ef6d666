from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from acutance.media import Metadata, Photo, encode_photo, lost_in, read_photo


def shown(bmp: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(bmp)))


@pytest.mark.parametrize("width", [1, 2, 3, 4, 31])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize("profile", [None, b"\0" * 16 + b"RGB " + bytes(range(200))])
def test_pillow_reads_the_result(pixels, alpha, width, mode, profile):
    colours = 1 if mode.startswith("L") else 3
    photo = Photo(
        pixels=pixels[:, :width, :colours].copy(),
        alpha=alpha[:, :width].copy() if mode.endswith("A") else None,
        metadata=Metadata(icc_profile=profile, dpi=(300.0, 240.0)),
    )
    bmp = encode_photo(photo, format="BMP")

    wanted = photo.pixels.repeat(3, axis=2) if mode == "LA" else photo.pixels
    wanted = wanted if photo.alpha is None else np.dstack([wanted, photo.alpha])
    np.testing.assert_array_equal(shown(bmp).reshape(wanted.shape), wanted)
    again = read_photo(bmp)
    np.testing.assert_array_equal(again.pixels, wanted[:, :, :3])
    assert again.metadata.icc_profile == photo.metadata.icc_profile
    assert again.metadata.dpi == pytest.approx((300, 240), abs=0.02)
    assert struct.unpack_from("<I", bmp, 2) == (len(bmp),)
    assert lost_in(photo, "BMP") == ()


def test_a_profile_outside_the_file_is_left_out(pixels, icc_profile):
    bmp = encode_photo(Photo(pixels=pixels, metadata=Metadata(icc_profile=icc_profile)), format="BMP")
    assert read_photo(bmp[:-1]).metadata.icc_profile is None


def test_a_grey_profile_does_not_fit_a_palette_and_that_is_said(pixels):
    metadata = Metadata(icc_profile=b"\0" * 16 + b"GRAY" + bytes(200))
    photo = Photo(pixels=pixels[:, :, :1].copy(), metadata=metadata)
    assert read_photo(encode_photo(photo, format="BMP")).metadata.icc_profile is None
    assert lost_in(photo, "BMP") == ("the colour profile (it is for grey pictures)",)


def test_a_palette_and_one_bit_become_more_and_that_is_said(save, pixels):
    image = Image.fromarray(pixels).quantize(9)
    photo = read_photo(save(image, "BMP"))
    np.testing.assert_array_equal(photo.pixels, np.asarray(image.convert("RGB")))
    assert lost_in(photo, "BMP") == ("the palette (colours are written in full)",)
    dots = Image.fromarray(pixels[:, :, 0] > 99)
    photo = read_photo(save(dots, "BMP"))
    np.testing.assert_array_equal(photo.pixels[:, :, 0], np.asarray(dots.convert("L")))
    assert lost_in(photo, "PNG") == ("the depth of 1 bit (written as 8)",)


def test_what_it_holds_comes_back(save, pixels):
    photo = read_photo(save(pixels, "BMP", dpi=(300, 300)))
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert photo.metadata.dpi == pytest.approx((300, 300), abs=0.02)


@pytest.mark.parametrize(
    ("space", "primaries", "lost"),
    [
        (b"\0\0\0\0", bytes(48), ()),
        (b"\0\0\0\0", bytes((1, *bytes(47))), ("the calibration of the colours (primaries and gamma)",)),
        (b"BGRs", bytes((1, *bytes(47))), ()),
        (b"KNIL", bytes(48), ("the colour profile, which lies in another file",)),
    ],
)
@pytest.mark.parametrize("header", [108, 124])
def test_what_a_long_header_says_of_the_colours_is_told(pixels, space, primaries, lost, header):
    start = 14 + header
    sides = struct.pack("<IiiHHIIiiII", header, 31, 20, 1, 24, 0, 20 * 96, 0, 0, 0, 0)
    rows = np.pad(pixels[::-1, :, ::-1].reshape(20, -1), ((0, 0), (0, 3))).tobytes()
    long = (sides + bytes(16) + space + primaries).ljust(header, b"\0")
    photo = read_photo(struct.pack("<2sIII", b"BM", start + len(rows), 0, start) + long + rows)
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert lost_in(photo, "BMP") == lost
