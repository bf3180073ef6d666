"""What a network that says nothing of itself takes and gives: looked up in its graph, and found by running it.

- *Scale* and *multiple*: by pictures of a few sizes.
- *Range*: by a picture with black, white and full colours, blurred as photos are. In its own range a network brings
  it nearer to the sharp one, and knows that there is nothing beyond black and white; in another it does one of them
  less.
- *Reach*: by two pictures that differ around a window alone. As far as their results differ inside it, a pixel looks,
  and no farther: then tiles with so much context are exact. Two cuts of one picture tell whether that holds wherever it
  is cut.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from acutance.engines.foreign_graph import RANGES, ForeignForm, ValueRange
from acutance.errors import CorruptWeights, first_line
from acutance.geometry import ceil_to_multiple
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, line_psf

Picture = npt.NDArray[np.float32]
"""`h w 3` RGB in [0, 1]."""

PROBE_PX = 64
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""What input sizes may have to be multiples of."""

WINDOWS_PX = (64, 128, 256)
"""Of the pictures that show how far a pixel looks; nearly half of the largest is the longest reach that is found."""

PATIENCE_S = 20.0
"""A network that takes longer for one window is not asked for a larger one."""

SAME = 2e-6
"""Values that differ by no more are the same: an eighth of a step of 16 bits. Other sizes are computed in another
order."""

_EXCESS_WEIGHT = 20.0
"""Of what lies beyond black and white, against the error that is left. With 15 and less a network for -1 … 1 is taken
for one for 0 … 1, which shows it half the contrast: then it sharpens more, and beyond black."""
_SURE_ERROR, _SURE_EXCESS = 0.9, 0.0105
"""A range with less of both is the right one; the eight networks that this was measured with had .54 to .84 and .0045
to .0154 in their own, and not both so small in any other."""
_LEAD = 0.04
"""By which the best range must lead the next. Networks without biases are alike in several; then their results are."""
_SANE = 1.5
"""No network is above this in its own range."""
_RESTORES = 0.97
"""The error that is left by a network that restores anything of a picture; others tell nothing."""
_ALIKE = 2e-3
"""Root mean square between results that are taken for the same."""


class Session(Protocol):
    """What of an ONNX Runtime session is needed."""

    def run(self, outputs: Sequence[str], inputs: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Run it."""


class DoesNotFit(Exception):
    """The network does not take a picture of that size."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A network, and what is known of what it takes."""

    session: Session
    form: ForeignForm
    errors: tuple[type[Exception], ...]
    """What the session raises."""

    def run(self, picture: Picture, range_: ValueRange | None = None) -> Picture:
        """Return what the network makes of a picture, in [0, 1] as the picture is.

        Raises:
            DoesNotFit: When it fails, or gives no picture.
        """
        factor, offset = RANGES[range_ or self.form.range]
        values = picture[..., ::-1] if self.form.colours == "bgr" else picture
        values = values * np.float32(factor) + np.float32(offset)
        if self.form.layout == "nchw":
            values = values.transpose(2, 0, 1)
        batch = np.ascontiguousarray(values[np.newaxis], self.form.number)
        try:
            (result,) = self.session.run([self.form.output], {self.form.input: batch})
        except self.errors as error:
            raise DoesNotFit(first_line(error)) from error
        if result.ndim != 4 or result.shape[1 if self.form.layout == "nchw" else 3] != 3:
            raise DoesNotFit(f"it gives an array of shape {result.shape}")
        planes: Picture = result[0].astype(np.float32)
        restored = planes.transpose(1, 2, 0) if self.form.layout == "nchw" else planes
        factor, offset = RANGES[self.form.output_range or range_ or self.form.range]
        restored = np.divide(restored - np.float32(offset), np.float32(factor), dtype=np.float32)
        return np.asarray(restored[..., ::-1] if self.form.colours == "bgr" else restored)


def find_scale(probe: Probe, size: tuple[int, int]) -> int:
    """Return how many times as large the result is.

    Args:
        probe: The network.
        size: Height and width to try it with.

    Raises:
        DoesNotFit: When it does not take that size.
        CorruptWeights: When the result is no whole number of times as large.
    """
    height, width = probe.run(_sharp(*size)).shape[:2]
    return whole_scale((height, width), size)


def whole_scale(result: tuple[int, int], size: tuple[int, int]) -> int:
    """Return how many times as large as a picture a result is.

    Raises:
        CorruptWeights: When it is no whole number of times as large.
    """
    scale = result[0] // size[0]
    if scale < 1 or result != (size[0] * scale, size[1] * scale):
        raise CorruptWeights(
            f"it makes {result[0]}×{result[1]} px of {size[0]}×{size[1]}: neither the same size nor a multiple; it is "
            "no network that restores or enlarges pictures."
        )
    return scale


def find_multiple(probe: Probe, scale: int) -> int:
    """Return what input sizes have to be multiples of.

    Raises:
        DoesNotFit: When none of the usual ones will do.
    """
    for multiple in MULTIPLES:
        side = PROBE_PX + multiple  # a multiple of this one, and not of the next
        try:
            height, width = probe.run(_sharp(side, side)).shape[:2]
        except DoesNotFit:
            continue
        if (height, width) == (side * scale, side * scale):
            return multiple
    raise DoesNotFit(f"it takes no size that was tried, not even multiples of {MULTIPLES[-1]}")


def find_range(probe: Probe, scale: int, size: tuple[int, int]) -> ValueRange | None:
    """Return what black and white are to a network, or None where it cannot be told.

    Args:
        probe: The network.
        scale: Of its result.
        size: Height and width of the picture to try it with.
    """
    sharp = _sharp(*size)
    for blurred in (_gaussian(sharp), _moved(sharp)):
        errors: dict[ValueRange, float] = {}
        scores: dict[ValueRange, float] = {}
        results: dict[ValueRange, Picture] = {}
        for range_ in RANGES:
            restored = _reduced(probe.run(blurred, range_), scale)
            error = _rms(restored - sharp) / _rms(blurred - sharp)
            excess = _rms(restored - restored.clip(0, 1))
            if not np.isfinite(error):
                continue
            if error < _SURE_ERROR and excess < _SURE_EXCESS:
                return range_
            errors[range_] = error
            scores[range_], results[range_] = error + _EXCESS_WEIGHT * excess, restored
        ranked = sorted(scores, key=lambda range_: scores[range_])
        if not ranked:
            return None
        best, others = ranked[0], ranked[1:]
        close = [other for other in others if scores[other] - scores[best] < _LEAD]
        tells = errors[best] < _RESTORES or all(scores[other] > _SANE for other in others)
        if tells and scores[best] < _SANE and all(_rms(results[other] - results[best]) < _ALIKE for other in close):
            return next(range_ for range_ in RANGES if range_ in (best, *close))
    return None


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a network looks."""

    multiple: int
    """Where tiles have to begin for its answer to stay the same."""
    halo_px: int | None
    """Context that a tile needs; None where none was found that is enough."""


def find_reach(probe: Probe, scale: int, multiple: int) -> Reach:
    """Find how much context a tile needs.

    Args:
        probe: The network, which takes any size.
        scale: Of its result.
        multiple: What its input sizes have to be multiples of.
    """
    for window in WINDOWS_PX:
        start = time.perf_counter()
        depth = _depth(probe, scale, multiple, ceil_to_multiple(window, multiple))
        if depth is not None:
            return _checked(probe, scale, multiple, depth)
        if time.perf_counter() - start > 2 * PATIENCE_S:
            break
    return Reach(multiple, None)


def _depth(probe: Probe, scale: int, multiple: int, window: int) -> int | None:
    """Return how deep into a window, in input px, what surrounds it is seen; None where that is all of it."""
    border = ceil_to_multiple(16, multiple)
    side = window + 2 * border
    inside = np.random.default_rng(0).random((side, side, 3), np.float32)
    changed = 1 - inside
    changed[border:-border, border:-border] = inside[border:-border, border:-border]
    seen = np.abs(probe.run(inside) - probe.run(changed)).max(axis=2) > SAME
    seen = seen.reshape(side, scale, side, scale).any(axis=(1, 3))[border:-border, border:-border]
    steps = np.arange(window) + 1
    from_border = np.minimum(steps, steps[::-1])
    depths = np.minimum(from_border[:, np.newaxis], from_border)[seen]
    deepest = int(depths.max(initial=0))
    return deepest if deepest < window // 2 - max(multiple, 4) else None


def _checked(probe: Probe, scale: int, multiple: int, halo_px: int) -> Reach:
    """Cut a picture elsewhere, at multiples of more and more, until a part of it comes out as it does in the whole."""
    for step in (candidate for candidate in MULTIPLES if candidate >= multiple and candidate % multiple == 0):
        halo = ceil_to_multiple(halo_px, step)
        part = ceil_to_multiple(max(16, step), step)
        whole = np.random.default_rng(1).random((2 * halo + part + step, 2 * halo + part + step, 3), np.float32)
        cut = whole[step:, step:]
        try:
            expected, found = probe.run(whole), probe.run(cut)
        except DoesNotFit:
            continue
        inner = slice(halo * scale, (halo + part) * scale)
        shifted = slice((halo + step) * scale, (halo + part + step) * scale)
        if np.abs(expected[shifted, shifted] - found[inner, inner]).max() <= SAME:
            return Reach(step, halo_px)
    return Reach(multiple, None)


def _sharp(height: int, width: int) -> Picture:
    """Return a picture of ramps and of patches in black, white and the full colours."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.stack([y / height, x / width, (x + y) / (height + width)], axis=-1)
    for index in range(max(height * width // 100, 1)):
        high, wide = random.integers(4, 20, 2)
        top, left = random.integers(0, height), random.integers(0, width)
        picture[top : top + high, left : left + wide] = random.integers(0, 2, 3 if index % 3 else 1)
    return picture


def _gaussian(picture: Picture) -> Picture:
    return _convolved(picture, gaussian_psf(1.2))


def _moved(picture: Picture) -> Picture:
    return _convolved(picture, line_psf(7, 0.0))


def _convolved(picture: Picture, psf: npt.NDArray[np.float64]) -> Picture:
    blurred = convolve_mirror(picture.astype(np.float64), psf)
    return blurred.clip(0, 1).astype(np.float32)


def _reduced(picture: Picture, factor: int) -> Picture:
    """Return the means of cells of `factor` px."""
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    cells = picture[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    return np.asarray(cells.mean(axis=(1, 3), dtype=np.float32))


def _rms(values: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))
