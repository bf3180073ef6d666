"""A still from a clip: its frames show one thing many times, so their mean has less noise than any of them.

The frames around a moment are registered to the one at that moment, by the region that is wanted and not by what is
around it, to some hundredths of a px; the mean of the first round is what the second one is registered to. Each is
weighed by how well it fits, and places that do not (something passed, a frame is damaged) are left out. Nothing comes
from anywhere but the clip. Of interlaced material each field is a picture of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.texture import textured_box
from acutance.errors import ConfigError
from acutance.geometry import Box, Size, with_halo
from acutance.imaging.convert import to_float
from acutance.imaging.merging import merged
from acutance.imaging.registration import (
    Matrix,
    Plane,
    Registration,
    coarse_shift,
    grid_of,
    registered,
    sampled,
    shift_matrix,
    smoothed,
)
from acutance.inference.belief import grey_of
from acutance.inference.told import Region
from acutance.videos.moment import MOST_FRAMES, Shown, frames_near

MARGIN_PX: Final = 32
"""Made around a region, for the network to see; cut away in the end."""
_SEARCH_PX: Final = 24
_REGISTERED_PIXELS: Final = 120_000
"""Larger regions are registered by so much of them as has most texture."""
_BAND_PIXELS: Final = 120_000
_BAND_HALO_PX: Final = 8
_LEAST_CORRELATION: Final = 0.25
_WORST_FIT: Final = 4.0
"""A frame that is off by so many times the usual variance is not used."""

Progress = Callable[[float], None]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class StillFrame:
    """What one frame, or one field of it, gave."""

    time_s: float
    """When it is shown, from the start of the clip."""
    field: int | None
    """0 for the even rows, 1 for the odd ones; None of a whole frame."""
    used: bool
    weight: float
    """Beside the best one's, 0 … 1; 0 where it is not used."""
    share: float
    """Of the region, where it was found to fit."""
    shift_px: tuple[float, float]
    """By how much the middle of the region lies to the right and below, in px, from where it is in the reference."""
    matrix: tuple[tuple[float, ...], ...]
    """3×3: from places (x, y, 1) of the still's frame to places in this one."""
    correlation: float
    """With the merged picture, smoothed."""
    why: str = ""
    """Why it is not used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Still:
    """A picture that was merged from frames."""

    pixels: npt.NDArray[np.uint16]
    """`h w c`, 16 bits: the mean of many frames has more than 8. With surroundings for a network to see."""
    inner: Box
    """What was asked for, in it."""
    time_s: float
    """Of the reference, the frame nearest to the moment that was asked for."""
    scale: int
    frames: tuple[StillFrame, ...]
    """In the order of their times."""

    @property
    def used(self) -> int:
        """How many frames or fields were merged."""
        return sum(frame.used for frame in self.frames)


def still(
    source: str | Path,
    *,
    at_s: float,
    frames: int = 25,
    region: Region | None = None,
    scale: int = 1,
    fields: bool | None = None,
    progress: Progress = lambda share: None,
) -> Still:
    """Merge the frames around a moment.

    Args:
        source: The clip.
        at_s: The moment, in seconds from its start; the still shows things where they are then.
        frames: How many frames, before and after, 1 … 250.
        region: What is wanted of them; None is the whole frame. What moves by itself there is followed.
        scale: 1, or 2 for twice the pixels each way.
        fields: Whether the frames are two fields each; None is what they say.
        progress: Called with the share done, 0 … 1.

    Raises:
        InputError: When it is no clip, or has no frame at that moment.
        ConfigError: When a number is out of range.

    Determinism: the same bits for the same clip on one build of NumPy and FFmpeg.
    """
    if not 1 <= frames <= MOST_FRAMES:
        raise ConfigError(f"frames = {frames}: must lie within 1 … {MOST_FRAMES}.")
    if scale not in (1, 2):
        raise ConfigError(f"scale = {scale}: must be 1 or 2.")
    if not (math.isfinite(at_s) and at_s >= 0):
        raise ConfigError(f"at = {at_s} s: must be a moment of the clip, 0 or later.")
    shown = frames_near(Path(source), at_s, frames, fields=fields)
    progress(0.2)
    middle = min(range(len(shown)), key=lambda number: abs(shown[number].time_s - at_s))
    size = Size(*shown[middle].pixels.shape[:2])
    picture = Box(0, 0, *size)
    box = picture if region is None else region.box_in(size)
    _register(shown, middle, box, lambda share: progress(0.2 + 0.5 * share))
    around = with_halo(box, within=picture, halo_px=MARGIN_PX).source
    values = _merge(shown, around, box, scale=scale, progress=lambda share: progress(0.7 + 0.3 * share))
    pixels = np.rint(np.clip(values, 0, 1) * 65535).astype(np.uint16)
    inner = box.shifted(around.top, around.left).scaled(scale)
    best = max(one.weight for one in shown)
    told = tuple(_told(one, box, best) for one in shown)
    return Still(pixels=pixels, inner=inner, time_s=shown[middle].time_s, scale=scale, frames=told)


def _told(one: Shown, box: Box, best: float) -> StillFrame:
    found = one.registration
    return StillFrame(
        time_s=round(one.time_s, 6),
        field=one.field,
        used=one.weight > 0,
        weight=one.weight / best,
        share=one.share if one.weight > 0 else 0.0,
        shift_px=(0.0, 0.0) if found is None else found.shift_at(box),
        matrix=() if found is None else tuple(tuple(row) for row in found.matrix.tolist()),
        correlation=0.0 if found is None else found.correlation,
        why=one.why,
    )


def _register(shown: list[Shown], middle: int, box: Box, progress: Progress) -> None:
    """Find the region in every frame, from the reference outwards; then once more, in their mean."""
    reference = shown[middle]
    picture = Box(0, 0, *reference.pixels.shape[:2])
    grey = grey_of(to_float(reference.pixels[box.slices]))
    part = textured_box(grey, _REGISTERED_PIXELS).shifted(-box.top, -box.left)
    area = with_halo(part, within=picture, halo_px=_SEARCH_PX).source
    plane = smoothed(grey_of(to_float(reference.pixels[area.slices])))
    order = sorted(range(len(shown)), key=lambda number: abs(number - middle))
    for turn in range(2):
        for done, number in enumerate(order):
            one = shown[number]
            if turn == 0:
                near = shown[number + (1 if number < middle else -1)] if number != middle else None
                start = shift_matrix(0, 0) if near is None or near.registration is None else near.registration.matrix
            else:
                start = shift_matrix(0, 0) if one.registration is None else one.registration.matrix
            one.registration = _found(plane, one, part, area, start, is_first=turn == 0 and number != middle)
            progress((turn * len(order) + done + 1) / (2 * len(order)))
        if turn == 0 and len(shown) > 2:
            _judge(shown, middle, area, part, plane)
            plane = smoothed(grey_of(_merged_part(shown, area, scale=1)))
    _judge(shown, middle, area, part, plane)


def _found(plane: Plane, one: Shown, part: Box, area: Box, start: Matrix, *, is_first: bool) -> Registration | None:
    """Register one frame near where it is expected, looking for it first where that is a guess."""
    middle = np.array([(part.left + part.right) / 2, (part.top + part.bottom) / 2, 1.0])
    there = start @ middle
    off = np.rint(there[:2] / there[2] - middle[:2]).astype(int)
    window = _window(one.pixels, Box(area.top, area.left, area.bottom, area.right), (int(off[0]), int(off[1])))
    other = smoothed(grey_of(to_float(window)))
    into, back = shift_matrix(-area.left - off[0], -area.top - off[1]), shift_matrix(area.left, area.top)
    local: Matrix = into @ start @ back
    if is_first:
        local = shift_matrix(*coarse_shift(plane, other))
    found = registered(plane, other, part.shifted(area.top, area.left), local)
    if found is None:
        return None
    whole: Matrix = np.linalg.inv(into) @ found.matrix @ np.linalg.inv(back)
    return replace(found, matrix=whole)


def _window(pixels: npt.NDArray[Any], area: Box, off: tuple[int, int]) -> npt.NDArray[Any]:
    """Return a part of a frame, moved; beyond its border, its edge."""
    rows = np.clip(np.arange(area.top, area.bottom) + off[1], 0, pixels.shape[0] - 1)
    columns = np.clip(np.arange(area.left, area.right) + off[0], 0, pixels.shape[1] - 1)
    return pixels[rows[:, None], columns[None, :]]


def _judge(shown: list[Shown], middle: int, area: Box, part: Box, plane: Plane) -> None:
    """Say how much each frame counts, and how its light differs."""
    x, y, _ = grid_of(area, scale=1)
    mine = to_float(shown[middle].pixels[part.slices])
    own = mine.reshape(-1, mine.shape[2]).mean(axis=0)
    place = part.shifted(area.top, area.left).slices
    seen = plane[place].astype(np.float64)
    for one in shown:
        one.weight, one.fit = 0.0, math.inf
        if one.registration is None:
            one.why = "the region was not found in it"
            continue
        values, inside = sampled(to_float(one.pixels), one.registration.matrix, x, y)
        if not inside[place].any():
            one.registration, one.why = None, "the region left the picture"
            continue
        theirs, values, inside = smoothed(grey_of(values))[place], values[place], inside[place]
        ratio = seen[inside].std() / max(float(theirs[inside].std()), 1e-6)
        gain = float(np.clip(one.registration.correlation * ratio, 0.5, 2.0))
        one.light = gain, values[inside].mean(axis=0), own
        one.fit = float(seen.var()) * (1 - min(one.registration.correlation, 1.0) ** 2) + 1e-7
    usual = float(np.median([one.fit for one in shown if math.isfinite(one.fit)] or [1.0]))
    for number, one in enumerate(shown):
        if not math.isfinite(one.fit):
            continue
        is_like = one.registration is not None and one.registration.correlation >= _LEAST_CORRELATION
        if number != middle and (one.fit > _WORST_FIT * usual or not is_like):
            one.why = "it does not look like the others"
        else:
            one.weight, one.why = usual / (usual + one.fit), ""
    own = shown[middle]
    if own.weight == 0:  # by itself it always fits
        own.registration = Registration(matrix=shift_matrix(0, 0), correlation=1.0, model="translation")
        own.weight, own.why = 0.5, ""


def _merged_part(shown: list[Shown], box: Box, *, scale: int) -> Values:
    """Merge a part of the frames that count."""
    x, y, _ = grid_of(box, scale=scale)
    pictures, held, used = [], [], [one for one in shown if one.weight > 0 and one.registration is not None]
    for one in used:
        assert one.registration is not None
        values, inside = sampled(to_float(one.pixels), one.registration.matrix, x, y)
        if one.light is not None:
            gain, theirs, own = one.light
            values = own + np.float32(gain) * (values - theirs)
        pictures.append(values.astype(np.float32))
        held.append(inside)
    mean, shares = merged(pictures, held, np.array([one.weight for one in used]))
    for one, share in zip(used, shares, strict=True):
        one.share = float(share)
    return mean


def _merge(shown: list[Shown], around: Box, box: Box, *, scale: int, progress: Progress) -> Values:
    """Merge the region, band by band: all frames of one at a time."""
    height, width = around.size
    rows = max(_BAND_PIXELS // (width * scale * scale), 2 * _BAND_HALO_PX)
    bands, shares = [], np.zeros(len(shown))
    for top in range(around.top, around.bottom, rows):
        bottom = min(top + rows, around.bottom)
        source = Box(
            max(top - _BAND_HALO_PX, around.top), around.left, min(bottom + _BAND_HALO_PX, around.bottom), around.right
        )
        values = _merged_part(shown, source, scale=scale)
        bands.append(values[(top - source.top) * scale : (bottom - source.top) * scale])
        overlap = max(min(bottom, box.bottom) - max(top, box.top), 0)
        shares += overlap * np.array([one.share for one in shown])
        progress((bottom - around.top) / height)
    for one, share in zip(shown, shares / box.size.height, strict=True):
        one.share = float(share)
    return np.concatenate(bands)
