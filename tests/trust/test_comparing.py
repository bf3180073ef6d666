"""What people hold in memory, compared: arrays as they come from the sharpener, and PIL images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import acutance
from acutance.errors import ConfigError, InputError, UnknownModel
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, line_psf
from acutance.trust.comparing import compared
from acutance.trust.consistency import consistency
from acutance.trust.guesses import map_of_guesses


@pytest.fixture(scope="module")
def seen() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (60, 70, 4)).astype(np.float64)
    return np.clip(np.rint(convolve_mirror(noise, gaussian_psf(1.5))), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def sharp(seen) -> np.ndarray:
    return np.clip(seen.astype(int) * 2 - 128, 0, 255).astype(np.uint8)


def changed_alike(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one.astype(float) - other).max() < 0.1)


@pytest.mark.parametrize("kind", ["h w", "float64", "big endian", "RGBA", "PIL"])
def test_all_that_the_sharpener_takes_is_compared(seen, sharp, kind):
    pair = seen[..., :3], sharp[..., :3]
    match kind:
        case "h w":
            given = expected = tuple(one[..., :1] for one in pair)
            given = tuple(one[..., 0] for one in given)
        case "float64":
            given, expected = tuple(one / 255 for one in pair), pair
        case "big endian":
            given, expected = tuple((one.astype(np.uint16) * 257).astype(">u2") for one in pair), pair
        case "RGBA":
            given, expected = tuple(np.dstack([one, np.full(one.shape[:2], 255, np.uint8)]) for one in pair), pair
        case _:
            given, expected = tuple(Image.fromarray(one) for one in pair), pair
    told, right = consistency(*given), consistency(*expected)
    assert told.uncarried == pytest.approx(right.uncarried, abs=1e-3)
    assert changed_alike(told.picture, right.picture)
    np.testing.assert_allclose(
        np.maximum(map_of_guesses(*given).distance, 1), map_of_guesses(*expected).distance, atol=0.1
    )


def test_what_lies_under_full_transparency_was_not_changed(seen, sharp):
    before, after = (np.dstack([one[..., :3], np.full(one.shape[:2], 255, np.uint8)]) for one in (seen, sharp))
    before[20:40, 20:40] = 0  # black, and fully transparent
    pixels, result = compared(before, after, needed_by="a test")
    np.testing.assert_array_equal(pixels[20:40, 20:40], result[20:40, 20:40])
    np.testing.assert_array_equal(pixels[:20], seen[:20, :, :3])


@pytest.mark.parametrize("ask", [consistency, map_of_guesses])
def test_what_cannot_be_compared_is_one_sentence(seen, ask):
    with pytest.raises(InputError, match=r"70×60 px in colour and the result 70×60 px in grey; .* needs the same"):
        ask(seen[..., :3], seen[..., 0])
    with pytest.raises(InputError, match="NaN or infinity"):
        ask(np.full((9, 9), np.nan), np.zeros((9, 9)))
    with pytest.raises(InputError, match="must be h w"):
        ask(seen.astype(int), seen.astype(int))
    with pytest.raises(ConfigError, match="threads = 0"):
        ask(seen[..., :3], seen[..., :3], threads=0)


def test_strengths_and_fidelities_that_there_are_not(seen, sharp):
    for name, value in (("strength", np.nan), ("strength", 2.5), ("fidelity", 1.5), ("fidelity", np.nan)):
        with pytest.raises(ConfigError, match=f"{name} = .*: must lie within 0 … "):
            acutance.map_of_guesses(seen[..., :3], sharp[..., :3], **{name: value})


def test_a_model_is_known_by_its_name(seen, sharp):
    with acutance.Sharpener("fast", threads=1) as fast:
        by_spec = acutance.map_of_guesses(seen[..., :3], sharp[..., :3], model=fast.spec)
    by_name = acutance.map_of_guesses(seen[..., :3], sharp[..., :3], model="fast")
    assert by_name.is_calibrated
    np.testing.assert_array_equal(by_name.distance, by_spec.distance)
    with pytest.raises(UnknownModel, match="fats"):
        acutance.map_of_guesses(seen[..., :3], sharp[..., :3], model="fats")


@pytest.mark.parametrize("psf", [np.ones((3, 3)), np.ones((2, 2)) / 4, np.ones((1, 3)) / 3, np.full((3, 3), np.nan)])
def test_what_is_no_psf_is_refused(seen, psf):
    with pytest.raises(ConfigError, match="a psf of shape"):
        consistency(seen[..., :3], seen[..., :3], psf=psf)


def test_a_kernel_that_reaches_far_is_exact_across_regions():
    """The truth, blurred again, is what was seen: also where two regions meet."""
    truth = np.kron(np.random.default_rng(0).random((40, 40)), np.ones((8, 8))).astype(np.float32)[..., None]
    psf = line_psf(99, 0.3)
    told = consistency(convolve_mirror(truth, psf).astype(np.float32), truth, psf=psf)
    assert told.misfit_levels < 1.2
