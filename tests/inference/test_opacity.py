"""Transparency is freed of its picture's blur where it has it, and stays as it is where it was cut out later."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from acutance.geometry import Box, Size
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf, trajectory_psf
from acutance.inference.found_blur import FoundBlur, FoundMotion, FoundPaths
from acutance.inference.opacity import is_blurred_by
from acutance.inference.told import ToldBlur

LINE = ToldBlur.motion(12, degrees=30)


def cut_out() -> np.ndarray:
    y, x = np.mgrid[:150, :170]
    return (np.hypot(y - 70, x - 80) < 55).astype(np.float32)


def blurred(psf: np.ndarray) -> np.ndarray:
    return (np.rint(255 * convolve_mirror(cut_out()[..., None], psf)[..., 0]) / 255).astype(np.float32)


@pytest.mark.parametrize(
    "psf",
    [
        line_psf(4.0, 0.0),
        line_psf(12.0, 0.5),
        disk_psf(1.9),
        disk_psf(6.0),
        gaussian_psf(1.2),
        trajectory_psf([(0.0, 0.0), (4.0, 5.0), (1.0, 10.0), (3.0, 14.0)]),
    ],
)
def test_what_has_the_blur_is_told_from_what_was_cut_out(psf: np.ndarray) -> None:
    blur = ToldBlur.measured(psf)
    assert is_blurred_by(blurred(psf), blur)
    assert not is_blurred_by(cut_out(), blur)
    found = FoundBlur(kernel=SimpleNamespace(psf=psf), moved=False)
    assert is_blurred_by(blurred(psf), found)
    assert not is_blurred_by(cut_out(), found)


def test_nothing_transparent_and_smooth_fades_have_no_steps() -> None:
    assert is_blurred_by(np.ones((40, 50), np.float32), LINE)
    assert is_blurred_by(np.tile(np.linspace(0, 1, 100, dtype=np.float32), (60, 1)), LINE)


def test_motion_by_place_is_asked_by_place() -> None:
    class Motion(FoundMotion):
        def kernel_at(self, y: float, x: float) -> np.ndarray | None:
            return LINE.psf if x < 128 else None

    field = SimpleNamespace()
    motion = Motion(words="", share=1.0, field=field, banded={})
    assert is_blurred_by(blurred(LINE.psf), motion)
    assert not is_blurred_by(cut_out(), motion)


def test_paths_are_asked_part_by_part() -> None:
    path = SimpleNamespace(psf=LINE.psf)
    right = FoundPaths(words="", share=0.5, parts=((Box(0, 140, 150, 170), path),), size=Size(150, 170))
    left = FoundPaths(words="", share=0.5, parts=((Box(0, 0, 150, 85), path),), size=Size(150, 170))
    assert is_blurred_by(cut_out(), right)  # nothing is cut out there
    assert not is_blurred_by(cut_out(), left)
    assert is_blurred_by(blurred(LINE.psf), left)
