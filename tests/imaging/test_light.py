"""The curves between light and a file's values."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.imaging.light import to_gamma, to_linear, with_tone_curve, without_tone_curve

LEVELS = np.linspace(0, 1, 1001)


def test_srgb_is_iec_61966():
    known = {0.0: 0.0, 0.04045: 0.0031308, 0.5: 0.2140411, 1.0: 1.0}
    for value, light in known.items():
        assert to_linear(np.array(value)) == pytest.approx(light, abs=1e-7)
        assert to_gamma(np.array(light)) == pytest.approx(value, abs=1e-6)


def test_curves_and_their_inverses():
    np.testing.assert_allclose(to_gamma(to_linear(LEVELS)), LEVELS, atol=1e-7)
    np.testing.assert_allclose(with_tone_curve(without_tone_curve(LEVELS)), LEVELS, atol=1e-12)
    assert (np.diff(to_linear(LEVELS)) > 0).all()
    assert (np.diff(with_tone_curve(LEVELS)) > 0).all()


def test_what_a_blur_leaves_outside_stays_finite():
    outside = np.array([-0.01, 1.02])
    assert to_gamma(outside)[0] == pytest.approx(-0.1292)
    assert to_gamma(outside)[1] > 1
    np.testing.assert_array_equal(with_tone_curve(outside), [0, 1])
    np.testing.assert_allclose(without_tone_curve(outside), [0, 1], atol=1e-12)
