"""A result that was blurred again: what is carried by the evidence, and what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.errors import InputError
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, line_psf
from acutance.trust.consistency import consistency
from acutance.trust.reblurring import SIDES, fitted_kernel

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
PSF = gaussian_psf(1.4)


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return np.ascontiguousarray(np.asarray(Image.open(PHOTO).convert("RGB"))[60:220, 120:280])


@pytest.fixture(scope="module")
def seen(sharp) -> np.ndarray:
    return blurred(sharp, PSF)


def blurred(pixels: np.ndarray, psf: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(convolve_mirror(pixels.astype(np.float64), psf)), 0, 255).astype(np.uint8)


def grey(pixels: np.ndarray) -> np.ndarray:
    return (pixels.mean(axis=2) / 255).astype(np.float32)


def test_the_truth_contradicts_nothing(sharp, seen):
    told = consistency(seen, sharp, psf=PSF)
    assert told.is_exact
    assert told.contradicted < 0.01
    assert told.misfit_levels < 0.6
    assert 0.05 < told.unsupported < 0.7  # of its finest detail the blurred picture says nothing
    assert "exact" in str(told)


def test_what_was_left_as_it_is_claims_nothing(seen):
    for psf in (PSF, None):
        told = consistency(seen, seen, psf=psf)
        assert told.uncarried == 0
        assert told.picture.max() == 0


def test_a_mark_that_was_never_there_is_contradicted_where_it_is(sharp, seen):
    forged = sharp.copy()
    forged[60:90, 60:90] = 255 - forged[60:90, 60:90] // 2
    for psf in (PSF, None):
        told = consistency(seen, forged, psf=psf)
        assert told.contradicted > 0.2
        inside = np.zeros(told.picture.shape, bool)
        inside[55:95, 55:95] = True
        assert told.picture[inside].mean() > 5 * told.picture[~inside].mean()


def test_texture_finer_than_the_evidence_is_not_supported(sharp, seen):
    grain = np.random.default_rng(0).normal(0, 20, sharp.shape[:2])[..., None]
    invented = np.clip(sharp + grain, 0, 255).astype(np.uint8)
    plain, textured = (consistency(seen, result, psf=PSF) for result in (sharp, invented))
    assert textured.unsupported > plain.unsupported + 0.2


def test_a_kernel_beside_its_middle_is_taken_as_it_is(sharp):
    moved = np.roll(sharp, 2, axis=1)
    psf = np.zeros((1, 1)) + 1
    near = consistency(moved[:, 8:-8], sharp[:, 8:-8], psf=psf, origin=(0.0, -2.0))
    off = consistency(moved[:, 8:-8], sharp[:, 8:-8], psf=psf)
    assert near.misfit_levels < off.misfit_levels / 3


@pytest.mark.parametrize("psf", [gaussian_psf(1.0), line_psf(7.0, 0.6)], ids=["round", "straight"])
def test_the_kernel_is_found_from_the_truth(sharp, psf):
    found = fitted_kernel(grey(blurred(sharp, psf)), grey(sharp))
    assert found.psf.sum() == pytest.approx(1.0, abs=1e-6)
    assert found.misfit < 0.8 / 255
    side = max(len(found.psf), len(psf))
    own, true = (np.pad(one, (side - len(one)) // 2) for one in (found.psf, psf))
    assert np.abs(own - true).sum() < 0.35


def test_the_smallest_kernel_is_taken(sharp):
    assert len(fitted_kernel(grey(sharp), grey(sharp)).psf) == 1
    assert len(fitted_kernel(grey(blurred(sharp, gaussian_psf(0.5))), grey(sharp)).psf) < SIDES[-1]


def test_grey_small_and_deep_pictures_are_told_too(seen, sharp):
    deep = consistency(seen.astype(np.uint16) * 257, sharp.astype(np.uint16) * 257)
    assert deep.uncarried == pytest.approx(consistency(seen, sharp).uncarried, abs=1e-3)
    for side in (1, 2, 9, 40):
        told = consistency(seen[:side, :side, :1], sharp[:side, :side, :1])
        assert told.picture.shape == (side, side)
        assert np.isfinite(told.uncarried)


def test_other_sizes_are_refused(seen):
    with pytest.raises(InputError, match="needs the same size"):
        consistency(seen, seen[:-1])
