"""The kernels that a pipeline says it blurred with are those it blurred with; light, grain and masks on the way."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from scipy import ndimage

from acutance.degradations.blur import SMOOTHING_RADIUS_PX, blur, smoothed
from acutance.degradations.blur_rows import Gaussian, Line, Shake
from acutance.degradations.light import to_gamma, to_linear
from acutance.degradations.noise import add_grain
from acutance.degradations.pipeline import DegradationConfig, degrade
from acutance.degradations.psf import delta_psf
from acutance.degradations.stages import Blur, Grain, Noise, Reduce, Unsharp
from acutance.errors import ConfigError

LEVEL = 1 / 255
RADIUS = 6
ROWS = (Gaussian(sigma_px=(0.5, 2.0)), Line(length_px=(2.0, 8.0)), Shake(length_px=(3.0, 6.0), origin="midpoint"))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def flat(count, *, level=0.5, side=48):
    return torch.full((count, 3, side, side), level)


@pytest.fixture(scope="module")
def sharp(photo):
    """Twelve sharp patches of 44 px, on the 8-bit grid."""
    return torch.from_numpy(np.stack([photo(44, 44, seed=seed) for seed in range(12)])).permute(0, 3, 1, 2) / 255


def rounded(images):
    return torch.round(images.clamp(0, 1) * 255) / 255


# --- the kernels of a batch -------------------------------------------------------------------------------


def test_each_patch_is_blurred_with_its_kernel(sharp):
    config = DegradationConfig(stages=(Blur(choices=ROWS, radius_px=RADIUS),))
    made = degrade(config, sharp, seeded())
    assert made.kernels.shape == (12, 2 * RADIUS + 1, 2 * RADIUS + 1)
    torch.testing.assert_close(made.kernels.sum(dim=(1, 2)), torch.ones(12))
    torch.testing.assert_close(made.degraded, rounded(blur(sharp, made.kernels)), atol=1e-6, rtol=0)
    assert torch.equal(made.reference, sharp[..., RADIUS:-RADIUS, RADIUS:-RADIUS])
    assert len(torch.unique(made.kernels.flatten(1), dim=0)) == 12


def test_each_patch_is_blurred_in_gamma_space_or_in_linear_light(sharp):
    config = DegradationConfig(stages=(Blur(choices=ROWS, radius_px=RADIUS, linear_share=0.5),))
    made = degrade(config, sharp, seeded(1))
    gamma = rounded(blur(sharp, made.kernels))
    linear = rounded(to_gamma(blur(to_linear(sharp), made.kernels)))
    off = [(made.degraded - one).abs().amax(dim=(1, 2, 3)) for one in (gamma, linear)]
    is_gamma, is_linear = (one < 1e-6 for one in off)
    assert (is_gamma ^ is_linear).all()
    assert 0 < is_linear.sum() < 12
    assert torch.equal(made.is_linear, is_linear)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 12)])
def test_all_or_none_in_linear_light(sharp, share, expected):
    kernels = Blur(choices=ROWS, radius_px=RADIUS).draw(12, seeded())
    stage = Blur(choices=ROWS, radius_px=RADIUS, linear_share=share)
    blurred = stage.blurred(sharp, kernels, stage.draw_light(12, seeded()))
    linear = to_gamma(blur(to_linear(sharp), kernels))
    assert int(((blurred - linear).abs().amax(dim=(1, 2, 3)) < 1e-6).sum()) == expected


def test_untouched_patches_and_those_without_blur_have_a_point_for_a_kernel(sharp):
    noise = Noise(probability=1.0, noise_sigma=(0.02, 0.02))
    config = DegradationConfig(stages=(Blur(choices=ROWS, radius_px=RADIUS, probability=0.7), noise), untouched=0.4)
    made = degrade(config, sharp, seeded(3))
    is_point = (made.kernels == delta_psf(12, radius_px=RADIUS, device=torch.device("cpu"))).all(dim=(1, 2))
    is_same = (made.degraded == made.reference).all(dim=(1, 2, 3))
    assert 0 < is_same.sum() < is_point.sum() < 12  # some were drawn no blur, and got noise
    assert is_point[is_same].all()


def test_no_kernels_without_one_blur_stage(sharp):
    twice = Blur(choices=ROWS, radius_px=RADIUS)
    assert degrade(DegradationConfig(stages=(Noise(),)), sharp, seeded()).kernels is None
    assert degrade(DegradationConfig(stages=(twice, twice)), sharp, seeded()).kernels is None


def test_degrade_gives_the_same_pairs(sharp):
    config = DegradationConfig(stages=(Blur(choices=ROWS, radius_px=RADIUS), Grain(), Unsharp()), untouched=0.2)
    made = degrade(config, sharp, seeded(5))
    degraded, reference, *_ = degrade(config, sharp, seeded(5))
    assert torch.equal(made.degraded, degraded)
    assert torch.equal(made.reference, reference)


def test_reduced_pairs_know_their_kernels_too(sharp):
    config = DegradationConfig(stages=(Blur(choices=ROWS, radius_px=RADIUS), Reduce()), untouched=0.5)
    made = degrade(config, sharp, seeded())
    assert made.degraded.shape == (12, 3, 16, 16)
    assert made.kernels.shape == (12, 2 * RADIUS + 1, 2 * RADIUS + 1)


# --- smoothing in passing ---------------------------------------------------------------------------------


def test_smoothed_is_that_of_scipy():
    images = torch.rand(3, 3, 17, 23, generator=seeded())
    sigmas = torch.tensor([0.4, 1.0, 2.0])
    for image, sigma, result in zip(images, sigmas, smoothed(images, sigmas), strict=True):
        expected = ndimage.gaussian_filter(
            image.double().numpy(),
            (0, float(sigma), float(sigma)),
            mode="mirror",
            radius=(0, *(SMOOTHING_RADIUS_PX,) * 2),
        )
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-6)


def test_smoothing_nothing_gives_nothing():
    assert smoothed(torch.empty(0, 3, 16, 16), torch.empty(0)).shape == (0, 3, 16, 16)


# --- grain ------------------------------------------------------------------------------------------------


def grain_of(*, sigma=0.02, size=0.7, colour=0.0, count=6):
    settings = (torch.full((count,), value) for value in (sigma, size, colour))
    return add_grain(flat(count, side=96), *settings, seeded()) - 0.5


def test_grain_has_the_deviation_that_was_asked_for():
    assert grain_of(sigma=0.02).std(dim=(2, 3)).flatten().tolist() == pytest.approx([0.02] * 18, rel=3e-3)


@pytest.mark.parametrize("colour", [0.0, 0.4, 1.0])
def test_the_channels_share_what_is_not_colour(colour):
    """Two channels have √(1 − c²) in common: their correlation is 1 − c²."""
    grain = grain_of(colour=colour, count=12)
    found = (grain[:, 0] * grain[:, 1]).mean() / grain.square().mean()
    assert float(found) == pytest.approx(1 - colour**2, abs=0.03)


def test_neighbours_are_as_alike_as_the_size_says():
    """White noise behind a Gaussian of σ has a correlation of exp(−1 / 4σ²) at a distance of 1 px."""
    for size in (0.7, 1.5):
        grain = grain_of(size=size)
        found = (grain[..., 1:] * grain[..., :-1]).mean() / grain.square().mean()
        assert float(found) == pytest.approx(np.exp(-1 / (4 * size**2)), abs=0.03)


def test_grain_touches_its_share_and_keeps_within_its_range():
    stage = Grain(probability=0.3, grain_sigma=(0.01, 0.03))
    made = stage.apply(flat(600, side=32), seeded()) - 0.5
    spread = made.square().mean(dim=(1, 2, 3)).sqrt()
    assert float((spread > 0).float().mean()) == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 600) ** 0.5)
    assert 0.0098 < spread[spread > 0].min() < 0.012
    assert 0.028 < spread.max() < 0.0306


# --- the camera's sharpening ------------------------------------------------------------------------------


def test_unsharp_adds_what_blur_takes(sharp):
    made = Unsharp(probability=1.0, amount=(0.6, 0.6), sigma_px=(1.2, 1.2)).apply(sharp, seeded())
    expected = sharp + 0.6 * (sharp - smoothed(sharp, torch.full((12,), 1.2)))
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=0)


def test_unsharp_leaves_what_is_even_and_touches_its_share(sharp):
    torch.testing.assert_close(Unsharp(probability=1.0).apply(flat(4), seeded()), flat(4), atol=1e-6, rtol=0)
    many = sharp[:1].expand(400, -1, -1, -1)
    is_touched = (Unsharp(probability=0.25).apply(many, seeded()) != many).any(dim=3).any(dim=2).any(dim=1)
    assert float(is_touched.float().mean()) == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 400) ** 0.5)


# --- noise, evenly in its logarithm -----------------------------------------------------------------------


@pytest.mark.parametrize(("spacing", "median"), [("linear", 0.0505), ("log", 0.01)])
def test_noise_is_spaced_as_it_says(spacing, median):
    stage = Noise(probability=1.0, noise_sigma=(0.001, 0.1), spacing=spacing)
    spread = (stage.apply(flat(500, side=16), seeded()) - 0.5).square().mean(dim=(1, 2, 3)).sqrt()
    assert float(spread.median()) == pytest.approx(median, rel=0.2)
    assert 0.0008 < spread.min() < spread.max() < 0.12


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Line(length_px=(5.0, 2.0)), "line.length_px"),
        (lambda: Line(length_px=(-1.0, 2.0)), "line.length_px"),
        (lambda: Blur(choices=ROWS, radius_px=8, linear_share=1.5), "blur.linear_share"),
        (lambda: Blur(choices=(Line(length_px=(2.0, 20.0)),), radius_px=9), "cuts off line"),
        (lambda: Noise(noise_sigma=(0.0, 0.1), spacing="log"), "must begin above 0"),
        (lambda: Grain(probability=1.5), "grain.probability"),
        (lambda: Grain(grain_sigma=(0.2, 0.1)), "grain.grain_sigma"),
        (lambda: Grain(size_px=(0.4, 3.0)), "grain.size_px"),
        (lambda: Grain(colour=(0.0, 1.1)), "grain.colour"),
        (lambda: Unsharp(probability=-0.1), "unsharp.probability"),
        (lambda: Unsharp(amount=(0.0, 9.0)), "unsharp.amount"),
        (lambda: Unsharp(sigma_px=(0.5, 2.5)), "unsharp.sigma_px"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()
