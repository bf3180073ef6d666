"""Grain is never more after than before, where a picture shows nothing else.

Grain hangs together over two or three pixels, as blurred detail does. A network that undoes blur takes it for that in
some places and for noise in others: beside each other lie a smooth patch and one with twice the grain. In places that
show no more than grain, less than that is left of it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.evenness import faded
from acutance.deconvolution.plausibility import mean_around
from acutance.geometry import Size, plan_tiles
from acutance.imaging.blend import blend
from acutance.imaging.convert import PixelType, to_float, to_type

_SIDE_PX: Final = 13
"""What is wider is no grain; and of so many px a place is made up."""
_LEFT: Final = 0.6
"""Share of the grain, as a standard deviation, that is left at most. With .3 patches of texture get lost, with 1 the
seams to smooth patches show."""
_GRAIN_ALONE: Final = (1.3, 1.8)
"""How much more there is in a place than its steps from pixel to pixel say of grain: up to the first nothing else is
there, from the second on something is. Blurred detail has no such steps; so grain may be more where it is darker."""
_MOST: Final = (4.0, 8.0)
"""Up to the first, times the power of the grain, a place may be grain; from the second on it is not."""
_FLATTEST: Final = 0.1
"""Share of the picture that shows least: it says how grain hangs together."""
_SPREAD: Final = 1.5
"""So many times what the flattest places show is the grain at most: what is told of a picture without flat places is
more."""
_EVERY: Final = 4
_TILE_PX: Final = 512
_NOTHING: Final = 1e-12


def calmed(
    pixels: npt.NDArray[PixelType], restored: npt.NDArray[PixelType], *, levels: float, strength: float
) -> npt.NDArray[PixelType]:
    """Take the grain of flat places out of what a network restored.

    Args:
        pixels: `h w c`: the picture with its grain; uint8, uint16, or float32 in [0, 1].
        restored: By the network, at full strength; of the same shape and type.
        levels: Standard deviation of the grain, in levels of 255.
        strength: 0 keeps what was seen, 1 takes the result; see `blend`.

    Returns:
        A new array of the same shape and type.
    """
    tiles = list(plan_tiles(Size(*pixels.shape[:2]), tile_px=_TILE_PX, halo_px=2 * (_SIDE_PX // 2) + 1))
    seen = _Powers(*(np.empty(pixels.shape[:2], np.float32) for _ in range(2)))
    for tile in tiles:
        inner = tile.target.shifted(tile.source.top, tile.source.left).slices
        values = to_float(pixels[tile.source.slices])
        seen.all[tile.target.slices] = _power(_without_mean(values))[inner]
        seen.steps[tile.target.slices] = _power(_steps(values))[inner]
    is_grain = _share_of_grain(seen, levels)
    result = np.empty_like(restored, order="C")
    for tile in tiles:
        inner = tile.target.shifted(tile.source.top, tile.source.left).slices
        values = to_float(restored[tile.source.slices])
        rest = _without_mean(values)
        power, rest = _power(rest)[inner], rest[inner]
        left = np.minimum(1, _LEFT * np.sqrt(seen.all[tile.target.slices] / np.maximum(power, _NOTHING)))
        values = values[inner] - (is_grain[tile.target.slices] * (1 - left))[..., np.newaxis] * rest
        if strength != 1.0:
            values = blend(to_float(pixels[tile.target.slices]), values, strength)
        result[tile.target.slices] = to_type(values, restored.dtype.type)
    return result


class _Powers(NamedTuple):
    """What a place shows, around each pixel: mean squares, `h w`."""

    all: npt.NDArray[np.float32]
    """Of what is finer than `_SIDE_PX`."""
    steps: npt.NDArray[np.float32]
    """Of what is left from pixel to pixel."""


def _share_of_grain(seen: _Powers, levels: float) -> npt.NDArray[np.float32]:
    """Return how surely each pixel of a picture shows nothing but grain, `h w`."""
    power, steps = (plane[::_EVERY, ::_EVERY] for plane in seen)
    flattest = np.quantile(power, _FLATTEST)
    is_flat = power <= flattest
    usual = float(np.median(steps[is_flat] / np.maximum(power[is_flat], _NOTHING)))
    grain = max(min((levels / 255) ** 2, _SPREAD * float(flattest)), _NOTHING)
    excess = usual * seen.all / np.maximum(seen.steps, _NOTHING)
    return faded(excess, _GRAIN_ALONE) * faded(seen.all / grain, _MOST)


def _steps(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return by how much each pixel differs from its four neighbours together."""
    around = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="symmetric")
    return np.asarray(
        4 * values - around[:-2, 1:-1] - around[2:, 1:-1] - around[1:-1, :-2] - around[1:-1, 2:], np.float32
    )


def _without_mean(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what is finer than `_SIDE_PX`."""
    means = [mean_around(values[..., channel], _SIDE_PX) for channel in range(values.shape[2])]
    return np.asarray(values - np.stack(means, axis=-1), np.float32)


def _power(rest: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return its mean square around each pixel, over the channels, too: `h w`."""
    return np.asarray(mean_around(np.square(rest).mean(axis=2), _SIDE_PX), np.float32)
