"""Linear light in torch is that of NumPy, there and back."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations.light import to_gamma, to_linear
from acutance.imaging import light


def test_it_is_the_curve_of_numpy():
    values = torch.linspace(0.0, 1.0, 4096).view(1, 1, 64, 64)
    wide = values.double().numpy()
    np.testing.assert_allclose(to_linear(values).numpy(), light.to_linear(wide), atol=2e-7)
    np.testing.assert_allclose(to_gamma(values).numpy(), light.to_gamma(wide), atol=3e-7)


def test_there_and_back_is_the_same():
    values = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(to_gamma(to_linear(values)), values, atol=1e-6, rtol=0)


def test_what_blur_leaves_just_below_black_stays_finite():
    """A convolution by FFT gives −1e-8 beside black: the straight part goes on there."""
    values = torch.tensor([-1e-4, -1e-8, 0.0]).view(1, 1, 1, 3)
    assert to_gamma(values).flatten().tolist() == pytest.approx([-12.92e-4, -12.92e-8, 0.0], rel=1e-5)
    assert to_linear(values).flatten().tolist() == pytest.approx([-1e-4 / 12.92, -1e-8 / 12.92, 0.0], rel=1e-5)
