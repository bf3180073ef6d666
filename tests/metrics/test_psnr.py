"""PSNR against scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from acutance.errors import InputError
from acutance.metrics.psnr import psnr


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_psnr_is_scikit_images(height, width, seed):
    a, b = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-9)
    assert psnr(a, b) == psnr(b, a)


def test_one_level_everywhere_is_48_db():
    a = np.full((4, 4, 3), 7, np.uint8)
    assert psnr(a + np.uint8(1), a) == pytest.approx(20 * math.log10(255))


def test_extremes():
    black, white = np.zeros((2000, 700, 3), np.uint8), np.full((2000, 700, 3), 255, np.uint8)
    assert psnr(black, black) == math.inf
    assert psnr(black, white) == 0  # sums above 2³² do not overflow


def test_what_cannot_be_compared_is_refused():
    photo = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(InputError, match="5×4 and 4×5 px"):
        psnr(photo, photo.transpose(1, 0, 2))
    with pytest.raises(InputError, match="float64"):
        psnr(photo.astype(float), photo)
    with pytest.raises(InputError, match=r"\(4, 5\)"):
        psnr(photo[:, :, 0], photo[:, :, 0])
