"""Curved motion that differs over a picture: each part of it is asked by itself, and each path has to convince.

A camera that turned while it was held has another path in each corner. Parts in which no path convinces stay as they
are. Two paths of one motion are told apart by some px at will, since a kernel does not say where it lies: so each is
aligned with its neighbour's, or edges would be doubled where one part fades into the next.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.psfs import offset_between
from acutance.deconvolution.shake import Progress, Shake
from acutance.estimation.blocks import first_block, start_in
from acutance.estimation.verdict import BlurVerdict
from acutance.geometry import Box, with_halo
from acutance.imaging.response import Response
from acutance.inference.found_blur import FoundBlur, FoundPaths
from acutance.inference.looking import blur_field
from acutance.inference.paths import path_in

LEAST_PART_PX: Final = 320
"""No side of a part is shorter: in parts of 240 px, paths that were none cost .06 dB (row `motion-scene`, bsd100)."""
MOST_PARTS: Final = 12
"""Each takes some seconds."""
AROUND_PX: Final = 48
"""Looked at around each part, too."""
SHORTEST_SHARE, LONGEST_SHARE = 0.55, 1.7
"""Of the length that the estimator tells of a part, a path in it must have so much, and no more."""

Place = tuple[int, int]


def paths_by_place(
    grey: npt.NDArray[np.float32], *, threads: int | None = None, progress: Progress
) -> FoundPaths | None:
    """Look for a path in each part of a picture.

    Args:
        grey: `h w` in [0, 1], gamma space.
        threads: None is one per core.
        progress: Called with the share done and what comes next.

    Returns:
        The paths that convince; None where there is none, or the picture is too small for parts.
    """
    whole = Box(0, 0, *grey.shape)
    parts = _parts(whole)
    if len(parts) == 1:
        return None
    start = first_block(grey[..., np.newaxis])
    found: dict[Place, Shake] = {}
    lights: Counter[Response] = Counter()
    for number, (at, part) in enumerate(parts.items()):
        progress(number / len(parts), f"looking for the path of the camera, part {number + 1} of {len(parts)}")
        around = with_halo(part, within=whole, halo_px=AROUND_PX).source
        path = _path_in(np.ascontiguousarray(grey[around.slices]), start=start_in(around, start), threads=threads)
        if path is not None:
            found[at] = path.kernel
            lights[path.response] += 1
    if not found:
        return None
    aligned = _aligned(found)
    response = max(Response, key=lambda one: lights[one])  # of equals the first
    share = sum(parts[at].size.pixels for at in found) / whole.size.pixels
    words = f"curved motion that differs over the picture: taken out of {100 * share:.0f} % of it"
    paths = tuple((parts[at], aligned[at]) for at in found)
    return FoundPaths(words=words, share=share, parts=paths, size=whole.size, response=response)


def _parts(whole: Box) -> dict[Place, Box]:
    """Cut a picture into parts, about square, by row and column; where it can, no side is below the least."""
    side = max(LEAST_PART_PX, math.sqrt(whole.size.pixels / MOST_PARTS))
    rows, columns = (
        np.linspace(0, length, max(int(length // side), 1) + 1).round().astype(int).tolist() for length in whole.size
    )
    return {
        (row, column): Box(top, left, bottom, right)
        for row, (top, bottom) in enumerate(pairwise(rows))
        for column, (left, right) in enumerate(pairwise(columns))
    }


def _path_in(grey: npt.NDArray[np.float32], *, start: tuple[int, int], threads: int | None) -> FoundBlur | None:
    """Look for a path in a part, where the estimator sees motion; it must be about as long as that tells."""
    seen: BlurVerdict = blur_field(grey, start=start, threads=threads).whole
    if seen.kind not in {"path", "line"}:
        return None
    path = path_in(grey, threads=threads, progress=lambda share, doing: None)
    if path is None or not SHORTEST_SHARE <= path.kernel.length_px / seen.strength_px <= LONGEST_SHARE:
        return None
    return path


def _aligned(found: dict[Place, Shake]) -> dict[Place, Shake]:
    """Give neighbouring paths one origin: where it lies along its own path, the most convincing one says."""
    aligned: dict[Place, Shake] = {}
    for start in sorted(found, key=lambda at: -found[at].evidence.merit):
        todo = [] if start in aligned else [start]
        aligned.setdefault(start, found[start])
        for at in todo:  # grows: neighbours of neighbours follow
            row, column = at
            for near in ((row, column - 1), (row, column + 1), (row - 1, column), (row + 1, column)):
                if near in found and near not in aligned:
                    y, x = offset_between(aligned[at].psf, found[near].psf)
                    origin = aligned[at].origin
                    aligned[near] = replace(found[near], origin=(origin[0] + y, origin[1] + x))
                    todo.append(near)
    return aligned
