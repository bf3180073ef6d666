from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from acutance.errors import InputError, UnsupportedImage
from acutance.media import Photo, from_pil, to_pil
from acutance.media.pil import arrays_of, decoding


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_there_and_back_is_the_same(pixels, alpha, mode):
    image = Image.fromarray(np.dstack([pixels, alpha]), "RGBA").convert(mode)
    again = to_pil(from_pil(image))
    assert again.mode == mode
    np.testing.assert_array_equal(np.asarray(again), np.asarray(image))


@pytest.mark.parametrize(
    ("mode", "wanted"), [("1", "L"), ("P", "RGB"), ("RGBX", "RGB"), ("PA", "RGBA"), ("RGBa", "RGBA")]
)
def test_other_modes_become_the_nearest(pixels, mode, wanted):
    image = Image.fromarray(pixels).convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
    again = to_pil(from_pil(image))
    assert again.mode == wanted
    np.testing.assert_array_equal(np.asarray(again), np.asarray(image.convert(wanted)))


@pytest.mark.parametrize("mode", ["I", "F", "CMYK", "LAB", "HSV", "YCbCr"])
def test_modes_that_would_lose_something_are_refused(mode):
    with pytest.raises(UnsupportedImage, match="Pillow's kind"):
        from_pil(Image.new(mode, (5, 4)))


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_16_bit_grey_goes_there_and_back(values16, mode):
    grey = np.ascontiguousarray(values16[:, :, 0])
    image = Image.frombytes(mode, (31, 20), grey.astype(">u2" if mode.endswith("B") else "<u2").tobytes())
    photo = from_pil(image)
    np.testing.assert_array_equal(photo.pixels[:, :, 0], grey)
    assert to_pil(photo).mode == "I;16"
    np.testing.assert_array_equal(np.asarray(to_pil(photo)), grey)


def test_16_bit_colour_has_no_image(values16):
    with pytest.raises(InputError, match="16 bits per channel in colour"):
        to_pil(Photo(pixels=values16[:, :, :3].copy()))


def test_metadata_pass_through_info(photo, save):
    image = to_pil(photo)
    options = {key: image.info[key] for key in ("exif", "icc_profile", "xmp", "dpi")}

    again = from_pil(Image.open(io.BytesIO(save(image, "JPEG", **options)))).metadata

    assert again.exif == photo.metadata.exif
    assert again.icc_profile == photo.metadata.icc_profile
    assert again.xmp == photo.metadata.xmp
    assert again.dpi == photo.metadata.dpi
    assert again.source_format == "JPEG"


def test_a_plain_image_has_no_metadata(pixels):
    metadata = from_pil(Image.fromarray(pixels)).metadata
    assert metadata.source_format is None
    assert metadata.exif is None
    assert to_pil(Photo(pixels=pixels)).info == {}


def test_a_file_that_proves_damaged_when_it_is_loaded_is_refused(save, pixels):
    jpeg = save(np.tile(pixels, (9, 9, 1)), "JPEG")
    lazy = Image.open(io.BytesIO(jpeg[: len(jpeg) // 2]))
    with pytest.raises(UnsupportedImage, match="the image is cut off or damaged"):
        from_pil(lazy)


def test_of_an_animation_the_present_frame_is_taken(save, pixels):
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    animation = Image.open(io.BytesIO(save(frames[0], "PNG", save_all=True, append_images=frames[1:])))
    animation.seek(1)
    np.testing.assert_array_equal(from_pil(animation).pixels, 255 - pixels)


def test_strips_join_without_a_seam():
    # More than one strip, and a last one that is not full.
    values = np.random.default_rng(4).integers(0, 256, (1100, 1200, 4), np.uint8)
    pixels, alpha = arrays_of(Image.fromarray(values), "it")
    np.testing.assert_array_equal(np.dstack([pixels, alpha]), values)


def test_the_photo_does_not_share_memory_with_the_image(pixels):
    image = Image.fromarray(pixels)
    photo = from_pil(image)
    image.paste((0, 0, 0), (0, 0, 31, 20))
    np.testing.assert_array_equal(photo.pixels, pixels)
    photo.pixels[0, 0] = 1  # and may be written to


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("broken data stream when reading image file"), "its pixels cannot be decoded"),
        (OSError("image file is truncated (3 bytes not processed)"), "its pixels end too early"),
        (SyntaxError("cannot read this header"), "cannot read this header"),
        (ValueError("operands could not be broadcast together with shapes (3,) (4,)"), "its pixels cannot be decoded"),
        (AttributeError("'NoneType' object has no attribute 'tile'"), "its pixels cannot be decoded"),
        (IndexError("list index out of range"), "its pixels cannot be decoded"),
    ],
)
def test_what_fails_inside_of_a_library_is_not_told_to_people(error, said):
    with pytest.raises(UnsupportedImage, match=said) as told, decoding("a.tif"):
        raise error
    assert "damaged" in str(told.value)
    assert not any(word in str(told.value) for word in ("NoneType", "operands", "index", "stream", "processed"))


def test_what_a_plugin_repeats_is_not_told_either():
    cause = IndexError("string index out of range")
    with pytest.raises(UnsupportedImage, match="its pixels cannot be decoded"), decoding("a.tif"):
        raise SyntaxError(cause) from cause
