from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from acutance.errors import InputError
from acutance.media import Metadata, Photo


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 5), np.uint8), ((4, 5, 2), np.uint8), ((4, 5, 4), np.uint8), ((4, 5, 3), np.float32), ((0, 5, 3), np.uint8)],
)
def test_other_arrays_are_refused(shape, dtype):
    with pytest.raises(InputError, match="must be uint8"):
        Photo(pixels=np.zeros(shape, dtype=dtype))


@pytest.mark.parametrize(("shape", "dtype"), [((4, 6), np.uint8), ((4, 5, 1), np.uint8), ((4, 5), np.uint16)])
def test_other_alphas_are_refused(shape, dtype):
    with pytest.raises(InputError, match="alpha"):
        Photo(pixels=np.zeros((4, 5, 3), dtype=np.uint8), alpha=np.zeros(shape, dtype=dtype))


def test_with_pixels_keeps_alpha_and_metadata(photo, alpha):
    before = Photo(pixels=photo.pixels, alpha=alpha, metadata=photo.metadata)

    after = before.with_pixels(255 - photo.pixels)

    assert after.alpha is alpha
    assert after.metadata is photo.metadata
    np.testing.assert_array_equal(after.pixels, 255 - photo.pixels)
    np.testing.assert_array_equal(before.pixels, photo.pixels)


def test_with_pixels_takes_a_larger_picture_only_with_its_alpha(pixels, alpha):
    photo = Photo(pixels=pixels, alpha=alpha)
    twice = pixels.repeat(2, axis=0).repeat(2, axis=1)
    with pytest.raises(InputError, match="alpha"):
        photo.with_pixels(twice)
    assert photo.with_pixels(twice, alpha.repeat(2, axis=0).repeat(2, axis=1)).size == (40, 62)


def test_with_pixels_keeps_the_number_of_channels(pixels):
    with pytest.raises(InputError, match="3 channels"):
        Photo(pixels=pixels).with_pixels(pixels[:, :, :1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_shows(make_exif, pixels, alpha, orientation):
    exif = make_exif(orientation=orientation)
    photo = Photo(pixels=pixels, alpha=alpha, metadata=Metadata(exif=exif, dpi=(300.0, 240.0)))
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([pixels, alpha])).save(buffer, "PNG", exif=exif)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(buffer)))

    upright = photo.upright()

    np.testing.assert_array_equal(np.dstack([upright.pixels, upright.alpha]), wanted)
    assert upright.metadata.orientation == 1
    assert upright.metadata.dpi == ((240.0, 300.0) if orientation >= 5 else (300.0, 240.0))


def test_a_photo_without_exif_is_upright(pixels):
    photo = Photo(pixels=pixels)
    assert photo.metadata.orientation == 1
    assert photo.upright() is photo
