from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from acutance.errors import UnsupportedImage, WrongName
from acutance.media import Photo, encode_photo, lost_in, read_photo, write_photo
from acutance.media.photo import PnmCoding


@pytest.mark.parametrize("white", [256, 1000, 1023, 4095, 65535])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_value_of_many_levels_comes_back(white, channels):
    values = np.linspace(0, white, 20 * 30 * channels).astype(np.uint16).reshape(20, 30, channels)
    source = b"P%d\n30 20\n%d\n" % (5 if channels == 1 else 6, white) + values.astype(">u2").tobytes()

    photo = read_photo(source, max_bits=16)

    assert photo.metadata.coding == PnmCoding(white=white)
    np.testing.assert_allclose(photo.pixels, values * (65535 / white), atol=0.501)
    assert encode_photo(photo, format="PPM") == source


@pytest.mark.parametrize("kind", [2, 3])
def test_text_is_read(values16, kind):
    values = values16[:, :, : 1 if kind == 2 else 3]
    words = " ".join(str(value) for value in values.ravel())
    source = b"P%d # text\n# and more\n31 # wide\n20\n65535\n" % kind + words.encode().replace(b" 9", b"\n# no 5\n9")
    photo = read_photo(source, max_bits=16)
    np.testing.assert_array_equal(photo.pixels, values)
    again = encode_photo(photo, format="PPM")
    head = b"P%d\n# text\n# and more\n# wide\n31 20\n65535\n" % (kind + 3)
    assert again == head + values.astype(">u2").tobytes()


@pytest.mark.parametrize("channels", [1, 3])
def test_pillow_reads_8_bits(pixels, channels):
    photo = Photo(pixels=pixels[:, :, :channels].copy())
    encoded = encode_photo(photo, format="PPM")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded))), photo.pixels.squeeze())
    np.testing.assert_array_equal(read_photo(encoded).pixels, photo.pixels)


def test_few_levels_are_spread():
    assert read_photo(b"P5 2 1 15\n\x00\x0f").pixels.ravel().tolist() == [0, 255]


@pytest.mark.parametrize("source", [b"P4\n9 1\n\x55\x80", b"P1\n# dots\n9 1\n0 1 0 1 0 1 0 1 1\n"])
def test_a_bitmap_becomes_grey_and_that_is_said(source):
    photo = read_photo(source)
    assert photo.pixels.ravel().tolist() == [255, 0, 255, 0, 255, 0, 255, 0, 0]
    assert lost_in(photo, "PPM") == ("the depth of 1 bit (written as 8)",)


@pytest.mark.parametrize(("white", "lost"), [(7, ("the depth of 3 bits (written as 8)",)), (255, ())])
def test_few_levels_are_told(white, lost):
    assert lost_in(read_photo(b"P5 2 1 %d\n\0\7" % white), "PPM") == lost


def test_transparency_is_laid_on_white_in_any_depth(values16):
    photo = Photo(pixels=values16[:, :, :3].copy(), alpha=values16[:, :, 3].copy())
    again = read_photo(encode_photo(photo, format="PPM"), max_bits=16)
    opacity = values16[:, :, 3:] / 65535
    np.testing.assert_allclose(again.pixels, photo.pixels * opacity + 65535 * (1 - opacity), atol=0.51)
    assert lost_in(photo, "PPM") == ("transparency (laid on white)",)


def test_who_takes_8_bits_is_not_given_16():
    with pytest.raises(UnsupportedImage, match="16 bits"):
        read_photo(b"P5 1 1 65535\n\0\0")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"P5 2 1 1000\n\0\0\0", "ends too early"),
        (b"P2 2 1 1000\n5", "ends too early"),
        (b"P2 2 1 1000\n5 x", "cut off or damaged"),
        (b"P2 2 1 1000\n5 1001", "brighter than white"),
        (b"P5 2 1 1000\n\xff\xff\0\0", "brighter than white"),
        (b"P5 2 1 70000\n\0\0", "white is 70000"),
        (b"P5 2 1 0\n\0\0", "white is 0"),
        (b"P5 2", "header is incomplete"),
        (b"P5 2 b 9\n", "header is incomplete"),
        (b"P6 0 5 255\n", "0×5"),
    ],
)
def test_damage_is_told(source, words):
    with pytest.raises(UnsupportedImage, match=words):
        read_photo(source, max_bits=16)


def test_a_name_for_greys_refuses_colours(tmp_path):
    with pytest.raises(WrongName, match=r"a \.pgm holds greys"):
        write_photo(Photo(pixels=np.zeros((4, 5, 3), np.uint8)), tmp_path / "a.pgm")
    assert not list(tmp_path.iterdir())
    write_photo(Photo(pixels=np.zeros((4, 5, 1), np.uint8)), tmp_path / "a.pgm")
    write_photo(Photo(pixels=np.zeros((4, 5, 3), np.uint8)), tmp_path / "a.pnm")
