"""In what light a picture was blurred, as its spectrum tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.estimation.responses import response_in
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf
from acutance.imaging.response import Response

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
KERNELS = {"motion": line_psf(8.0, 1.2), "defocus": disk_psf(4.0)}


@pytest.fixture(scope="module")
def sharp():
    return np.asarray(Image.open(PHOTO).convert("L"), np.float64)[..., np.newaxis] / 255


def blurred(sharp, psf, response, *, noise=0.0):
    values = response.values(convolve_mirror(response.light(sharp), psf))
    values = values + noise / 255 * np.random.default_rng(0).standard_normal(values.shape)
    return (np.clip(np.round(values * 255), 0, 255) / 255).astype(np.float32)[..., 0]


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("response", Response)
def test_the_light_of_a_blur_is_found(sharp, kind, noise, response):
    seen = blurred(sharp, KERNELS[kind], response, noise=noise)
    assert response_in(seen, KERNELS[kind], beyond_gaps=kind == "defocus") is response


def test_where_there_are_no_clear_bands_the_values_are_taken(sharp):
    seen = blurred(sharp, line_psf(8.0, 1.2), Response.SRGB)
    assert response_in(seen, line_psf(15.0, 2.6)) is Response.NONE  # another motion's
    assert response_in(blurred(sharp, line_psf(8.0, 1.2), Response.SRGB, noise=40), line_psf(8.0, 1.2)) is Response.NONE
    assert response_in(seen[:16, :16], line_psf(8.0, 1.2)) is Response.NONE  # too small
    assert response_in(np.full((64, 64), 0.5, np.float32), line_psf(8.0, 1.2)) is Response.NONE
    assert response_in(sharp[..., 0].astype(np.float32), gaussian_psf(1.5)) is Response.NONE
