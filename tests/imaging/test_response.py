"""How the values of a file come from light."""

from __future__ import annotations

import numpy as np
import pytest

from acutance.imaging.light import to_linear, without_tone_curve
from acutance.imaging.response import Response

VALUES = np.linspace(0, 1, 257)


@pytest.mark.parametrize("response", Response)
@pytest.mark.parametrize(("dtype", "within"), [(np.float64, 1e-9), (np.float32, 2e-4)])
def test_light_and_back(response, dtype, within):
    values = VALUES.astype(dtype)
    light = response.light(values)
    assert light.dtype == dtype
    assert response.values(light).dtype == dtype
    np.testing.assert_allclose(response.values(light), values, atol=within)
    assert light[0] == pytest.approx(0, abs=1e-6)
    assert light[-1] == pytest.approx(1, abs=1e-6)
    assert (np.diff(light) > 0).all()


def test_each_is_the_curve_that_it_names():
    assert Response.NONE.light(VALUES) is VALUES
    np.testing.assert_array_equal(Response.SRGB.light(VALUES), to_linear(VALUES))
    np.testing.assert_array_equal(Response.TONED.light(VALUES), to_linear(without_tone_curve(VALUES)))


def test_there_is_no_light_below_none():
    ringing = np.array([-0.4, -1e-6, 0.0, 1.3])
    for response in (Response.SRGB, Response.TONED):
        assert response.values(ringing)[:3].tolist() == [0.0, 0.0, 0.0]
    assert Response.SRGB.values(ringing)[3] > 1
    assert Response.NONE.values(ringing)[0] == -0.4
