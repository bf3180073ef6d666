"""Batched convolution by FFT against SciPy, image by image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations.blur import blur
from acutance.degradations.psf import delta_psf, gaussian_psf
from acutance.imaging.kernels import convolve_mirror
from acutance.imaging.kernels import gaussian_psf as oracle_psf


def batch(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 3),
    channels=st.integers(1, 3),
    radius=st.integers(1, 6),
    more=st.tuples(*[st.integers(0, 9)] * 2),
)
def test_every_image_is_convolved_with_its_own_kernel(count, channels, radius, more):
    side = 2 * radius + 1
    images, psf = batch(count, channels, side + more[0], side + more[1]), batch(count, side, side, seed=1)
    blurred = blur(images, psf)
    for index in range(count):
        for channel in range(channels):
            expected = signal.convolve2d(images[index, channel].numpy(), psf[index].numpy(), mode="valid")
            np.testing.assert_allclose(blurred[index, channel].numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.3, 0.8, 1.6, 4.0])
def test_gaussian_blur_is_scipys_inside(sigma):
    images = batch(2, 3, 60, 50)
    sigmas = torch.full((2,), sigma)
    blurred = blur(images, gaussian_psf(sigmas, sigmas, torch.zeros(2), radius_px=16)).numpy()
    expected = ndimage.gaussian_filter(images.double().numpy(), (0, 0, sigma, sigma), radius=(0, 0, 16, 16))
    np.testing.assert_allclose(blurred, expected[..., 16:-16, 16:-16], atol=2e-6)


@pytest.mark.parametrize("sigma", [1.0, 1.6, 3.0])
def test_gaussian_blur_is_the_protocols_inside(sigma):
    psf = oracle_psf(sigma)
    radius = psf.shape[0] // 2
    images = batch(1, 3, 40, 44)
    sigmas = torch.tensor([sigma])
    blurred = blur(images, gaussian_psf(sigmas, sigmas, torch.zeros(1), radius_px=radius))
    expected = convolve_mirror(images[0].permute(1, 2, 0).numpy(), psf)[radius:-radius, radius:-radius]
    np.testing.assert_allclose(blurred[0].permute(1, 2, 0).numpy(), expected, atol=2e-6)


def test_a_point_of_light_becomes_the_kernel():
    """A true convolution: the kernel appears as it is stored, not mirrored."""
    point = torch.zeros(1, 1, 9, 9)
    point[0, 0, 4, 4] = 1
    psf = torch.arange(25.0).view(1, 5, 5)
    torch.testing.assert_close(blur(point, psf)[0, 0], psf[0], atol=1e-4, rtol=0)


def test_no_blur_only_cuts_the_margin():
    images = batch(2, 3, 20, 24)
    blurred = blur(images, delta_psf(2, radius_px=4, device=images.device))
    torch.testing.assert_close(blurred, images[..., 4:-4, 4:-4], atol=1e-6, rtol=0)
