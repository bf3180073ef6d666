"""What is trusted to be an even blur, and what the blocks around a block say of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from acutance.deconvolution.even_blurs import BLOCK_PX, blurs
from acutance.deconvolution.evenness import evenness, unexplained
from acutance.deconvolution.neighbours import BESIDE, REACH, Measured, Neighbourhood
from acutance.deconvolution.residuals import Powers, blur_of, powers_of


def texture(count: int = 12) -> np.ndarray:
    """Blocks with a spectrum like that of photos, `n h w`, as float32."""
    draw = np.random.default_rng(3)
    frequency = np.hypot(np.fft.fftfreq(BLOCK_PX)[:, None], np.fft.rfftfreq(BLOCK_PX))
    spectra = np.fft.rfft2(draw.normal(size=(count, BLOCK_PX, BLOCK_PX))) / np.maximum(frequency, 1 / BLOCK_PX)
    blocks = np.fft.irfft2(spectra)
    return (0.5 + 0.15 * blocks / blocks.std()).astype(np.float32)


def mean_of(powers: Powers) -> Powers:
    parts = (powers.restored, powers.common, powers.seen, powers.steps)
    return Powers(*(part.mean(axis=0, keepdims=True) for part in parts))


def seen_through(sharp: np.ndarray, sigma: tuple[float, float]) -> np.ndarray:
    return np.round(255 * ndimage.gaussian_filter(sharp, (0, *sigma), mode="wrap")) / np.float32(255)


def test_weak_even_blur_is_trusted_though_the_network_errs_as_much_as_it_changed():
    sharp = texture()
    restored = sharp + np.random.default_rng(4).normal(0, 3 / 255, sharp.shape).astype(np.float32)
    powers = mean_of(powers_of(seen_through(sharp, (0.5, 0.5)), restored))
    blur = blur_of(powers)
    assert blurs().widths_px[blur] == pytest.approx(0.5, abs=0.05)
    assert unexplained(powers, blur) > 0.12
    assert evenness(powers, blur) > 0.9


@pytest.mark.parametrize("shift_px", [0, 7], ids=["sharp", "double"])
def test_what_is_no_even_blur_is_not_trusted(shift_px):
    sharp = texture()
    restored = sharp + np.random.default_rng(4).normal(0, 3 / 255, sharp.shape).astype(np.float32)
    seen = np.round(255 * (sharp + np.roll(sharp, shift_px, axis=2)) / 2) / np.float32(255)
    powers = mean_of(powers_of(seen, restored))
    assert evenness(powers, blur_of(powers)) < 0.1


def test_blocks_on_the_other_side_of_a_border_of_depth_have_no_say():
    sharp = texture()
    left, right = (powers_of(seen_through(sharp, (sigma, sigma)), sharp) for sigma in (1.0, 1.6))
    row = Powers.joined([left.of(np.arange(6)), right.of(np.arange(6, 12))])
    rows = [row] * (2 * REACH + 1)
    measured = Measured.of(row, rows[: 2 * BESIDE + 1])
    found = Neighbourhood.of(measured, [measured] * len(rows))
    widths = blurs().widths_px[blur_of(found.powers)]
    np.testing.assert_allclose(widths[:5], 1.0, atol=0.06)
    np.testing.assert_allclose(widths[-5:], 1.6, atol=0.09)
    assert found.share[[0, -1]].min() > 0.7 > found.share[5:7].max()
