from __future__ import annotations

import numpy as np
import pytest

from acutance.imaging.blend import blend


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.random((5, 4, 3), dtype=np.float32), rng.random((5, 4, 3), dtype=np.float32)


def test_the_ends_are_exact(pair):
    degraded, restored = pair
    np.testing.assert_array_equal(blend(degraded, restored, 0.0), degraded)
    np.testing.assert_array_equal(blend(degraded, restored, 1.0), restored)


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.5])
def test_it_is_the_straight_line_through_both(pair, strength):
    degraded, restored = pair
    wanted = (1 - strength) * degraded.astype(np.float64) + strength * restored.astype(np.float64)

    blended = blend(degraded, restored, strength)

    assert blended.dtype == np.float32
    np.testing.assert_allclose(blended, wanted, atol=1e-6)


def test_inputs_are_left_alone(pair):
    degraded, restored = (image.copy() for image in pair)
    blend(degraded, restored, 0.5)
    np.testing.assert_array_equal(degraded, pair[0])
    np.testing.assert_array_equal(restored, pair[1])
