"""The path of a shaken camera, looked for in the light that it blurred."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution.shake import known_shake
from acutance.imaging.kernels import convolve_mirror, trajectory_psf
from acutance.imaging.response import Response
from acutance.inference import paths
from acutance.inference.paths import path_in

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
PATH = trajectory_psf([(0.0, 0.0), (4.0, 5.0), (1.0, 10.0), (3.0, 14.0)])


def shaken_in(response: Response) -> np.ndarray:
    sharp = np.asarray(Image.open(PHOTO).convert("L"), np.float64)[..., np.newaxis] / 255
    values = response.values(convolve_mirror(response.light(sharp), PATH))[..., 0]
    return (np.clip(np.rint(255 * values), 0, 255) / 255).astype(np.float32)


@pytest.mark.parametrize("response", Response)
def test_a_path_is_looked_for_again_in_the_light_that_it_tells_of(response, monkeypatch):
    seen, looked_at, told = shaken_in(response), [], []

    def find(grey, *, threads, progress):
        looked_at.append(grey)
        progress(0.0, "looking")
        progress(1.0, "done")
        return known_shake(seen[150:350, 150:350], PATH)

    monkeypatch.setattr(paths, "find_shake", find)
    found = path_in(seen, threads=2, progress=lambda share, doing: told.append(share))
    assert found is not None
    assert found.is_path
    assert found.response is response
    expected = [seen] if response is Response.NONE else [seen, response.light(seen)]
    assert len(looked_at) == len(expected)
    assert all(np.array_equal(*pair) for pair in zip(looked_at, expected, strict=True))
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] <= 1


def test_what_is_not_found_again_stays_as_it_was_found(monkeypatch):
    seen = shaken_in(Response.TONED)
    first = known_shake(seen[150:350, 150:350], PATH)
    answers = [first, None]
    monkeypatch.setattr(paths, "find_shake", lambda *_, **__: answers.pop(0))
    found = path_in(seen, threads=1, progress=lambda share, doing: None)
    assert found is not None
    assert found.kernel is first
    assert found.response is Response.TONED
    assert not answers


def test_where_there_is_no_path_none_is_found():
    assert path_in(np.full((120, 120), 0.5, np.float32), threads=1, progress=lambda share, doing: None) is None
