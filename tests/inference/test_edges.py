"""What is made of bare steps is sharp, whatever the estimator, which knows photos, takes it for."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

import acutance
from acutance.imaging.convert import to_float
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf
from acutance.inference.belief import grey_of
from acutance.inference.edges import is_made_of_steps
from acutance.inference.unblurring import blur_in


def code(module_px: int, *, seed: int = 1) -> np.ndarray:
    modules = np.random.default_rng(seed).integers(0, 2, (37, 37)).astype(np.uint8)
    return np.repeat(255 * modules.repeat(module_px, 0).repeat(module_px, 1)[..., None], 3, axis=2)


def steps_in(pixels: np.ndarray) -> bool:
    return is_made_of_steps([grey_of(to_float(pixels))])


def checker(side_px: int) -> np.ndarray:
    y, x = np.mgrid[:200, :240]
    return np.repeat(np.uint8(20 + 200 * ((x // side_px + y // side_px) % 2))[..., None], 3, axis=2)


@pytest.mark.parametrize("sharp", [code(8), checker(3), checker(16)], ids=["code", "fine checker", "checker"])
def test_bare_steps_are_sharp(sharp: np.ndarray) -> None:
    """The code and the checkers were soft by σ = 4.1 to 4.6 px, up to 99 % sure."""
    seen = acutance.inspect(sharp)
    assert seen.kind == "sharp"
    assert seen.model is None
    assert seen.agreement == 1
    assert seen.words.endswith("sharp already: leave it as it is")
    assert blur_in(sharp, progress=lambda share, phase: None) == (None, "sharp already: left as it is")


def test_a_code_that_was_saved_as_jpeg_is_sharp() -> None:
    file = io.BytesIO()
    Image.fromarray(code(5)).save(file, "JPEG", quality=75)
    assert steps_in(np.asarray(Image.open(file)))


@pytest.mark.parametrize("psf", [line_psf(3.0, 0.0), line_psf(8.0, np.pi / 2), disk_psf(2.0), gaussian_psf(0.8)])
def test_what_is_blurred_has_no_bare_steps(psf: np.ndarray) -> None:
    """Motion along rows leaves the steps between them."""
    assert not steps_in(np.clip(np.rint(convolve_mirror(code(8), psf)), 0, 255).astype(np.uint8))


def test_photos_ramps_and_one_colour_are_not_made_of_steps(photo: Callable[..., np.ndarray]) -> None:
    assert not steps_in(photo(120, 140))
    ramp = np.repeat(np.linspace(0, 60, 200).astype(np.uint8)[None, :, None], 90, axis=0)
    assert not steps_in(ramp)
    assert not steps_in(np.full((40, 50, 3), 90, np.uint8))
    assert not steps_in(np.zeros((1, 1, 1), np.uint8))
    stamped = np.clip(np.rint(convolve_mirror(photo(160, 200), gaussian_psf(2.0))), 0, 255).astype(np.uint8)
    stamped[120:150, 60:190] = code(4)[:30, :130]
    assert not steps_in(stamped)
