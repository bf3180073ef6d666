"""What closed forms make of a part of a picture whose kernel is known: the guides of a network, and its correction."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.data_consistency import consistent
from acutance.deconvolution.planes import Plane, Planes, Psf
from acutance.deconvolution.wiener import PENALTIES, wiener_guides
from acutance.geometry import Box, with_halo
from acutance.imaging.response import Response
from acutance.inference.belief import grey_of
from acutance.inference.found_blur import PATCH_PX, FoundBlur, FoundMotion
from acutance.inference.told import ToldBlur

PATCH_HALO_PX = 48
"""What counts of the surroundings of a patch with a kernel of its own."""


def solver_of(
    found: FoundBlur | FoundMotion | ToldBlur, source: Box, *, response: Response, pool: ThreadPoolExecutor
) -> Solver:
    """Return what solves a part of a picture.

    Args:
        found: What blurred the picture.
        source: The part.
        response: How its values come from what was blurred.
        pool: Where channels, or patches, are worked on side by side.
    """
    if isinstance(found, FoundMotion):
        return ByPlace(found, source, response, pool)
    return OneKernel(found, response, pool)


class OneKernel:
    """What is done with one kernel all over."""

    def __init__(self, found: FoundBlur | ToldBlur, response: Response, pool: ThreadPoolExecutor) -> None:
        self._pool, self._response = pool, response
        self._kernel = None if isinstance(found, ToldBlur) or found.is_sure else found.kernel
        self._psf = found.psf if isinstance(found, ToldBlur) else found.kernel.psf
        self._origin = (0.0, 0.0) if isinstance(found, ToldBlur) else found.kernel.origin
        self.reach_px = len(self._psf)

    def trust(self, seen: npt.NDArray[np.float32]) -> Callable[[], Plane]:
        """Begin to ask, of `h w c`, how far the kernel explains what is there; return what waits for the answer."""
        if self._kernel is None:
            return lambda: np.ones(seen.shape[:2], np.float32)
        return self._pool.submit(self._kernel.trust, self._response.light(grey_of(seen))).result

    def guides(self, planes: Planes) -> npt.NDArray[np.float32]:
        """Return guides `3 c h w` of `c h w`."""
        solve = partial(wiener_guides, psf=self._psf, origin=self._origin, response=self._response)
        return np.stack(list(self._pool.map(solve, planes)), 1)

    def consistent(self, restored: Planes, planes: Planes, shown: Box) -> Planes:
        """Correct what the network gives for a part, `c h w`, by what it does not explain."""
        return consistent(restored, planes, self._psf, origin=self._origin, response=self._response, pool=self._pool)


class ByPlace:
    """What is done with kernels that differ over a part of a picture: in overlapping patches, which are cross-faded."""

    reach_px = PATCH_HALO_PX

    def __init__(self, found: FoundMotion, source: Box, response: Response, pool: ThreadPoolExecutor) -> None:
        self._found, self._source, self._response, self._pool = found, source, response, pool

    def trust(self, seen: npt.NDArray[np.float32]) -> Callable[[], Plane]:
        """Return what tells, of `h w c`, the share of the patches that moved."""
        still, moved = (np.full((1, *seen.shape[:2]), share, np.float32) for share in (0, 1))
        return lambda: self._solved(still, self._source, lambda part, psf: moved[:, *part])[0]

    def guides(self, planes: Planes) -> npt.NDArray[np.float32]:
        """Return guides `3 c h w` of `c h w`; where nothing moved, they are the picture."""

        def solved(part: tuple[slice, slice], psf: Psf) -> Planes:
            solve = partial(wiener_guides, psf=psf, response=self._response)
            guides = [solve(np.ascontiguousarray(plane[part])) for plane in planes]
            return np.stack(guides, 1).reshape(len(still), *guides[0].shape[1:])

        still = np.tile(planes, (len(PENALTIES), 1, 1))
        guides = self._solved(still, self._source, solved)
        return guides.reshape(len(PENALTIES), *planes.shape)

    def consistent(self, restored: Planes, planes: Planes, shown: Box) -> Planes:
        """Correct what the network gives for a part, `c h w`, by what it does not explain."""

        def solved(part: tuple[slice, slice], psf: Psf) -> Planes:
            return consistent(restored[:, *part], planes[:, *part], psf, response=self._response)

        return self._solved(restored, shown.shifted(-self._source.top, -self._source.left), solved)

    def _solved(self, still: Planes, box: Box, solve: Callable[[tuple[slice, slice], Psf], Planes]) -> Planes:
        """Solve each patch with its own kernel, and fade from one to the next.

        Args:
            still: `n h w`: what a patch is that did not move.
            box: Where it lies in the picture.
            solve: Given a part of it and a kernel, returns what that is, `n h w`.
        """
        made, weights = np.zeros_like(still), np.zeros(still.shape[1:], np.float32)
        rise = np.sin(np.pi * (np.arange(2 * PATCH_PX) + 0.5) / (2 * PATCH_PX)) ** 2
        window = np.outer(rise, rise).astype(np.float32)
        centres = [
            (y, x)
            for y in range(box.top // PATCH_PX * PATCH_PX, box.bottom + PATCH_PX, PATCH_PX)
            for x in range(box.left // PATCH_PX * PATCH_PX, box.right + PATCH_PX, PATCH_PX)
        ]

        def solved(centre: tuple[int, int]) -> Planes | None:
            psf = self._found.kernel_at(*centre)
            patch = _patch_around(*centre).within(box)
            if psf is None or min(patch.size) <= 0:
                return None
            around = with_halo(patch, within=box, halo_px=PATCH_HALO_PX).source
            answer = solve(around.shifted(box.top, box.left).slices, psf)
            return answer[:, *patch.shifted(around.top, around.left).slices]

        for centre, answer in zip(centres, self._pool.map(solved, centres), strict=True):
            patch = _patch_around(*centre).within(box)
            if min(patch.size) <= 0:
                continue
            here = patch.shifted(box.top, box.left).slices
            weight = window[patch.shifted(*_patch_around(*centre)[:2]).slices]
            made[:, *here] += weight * (still[:, *here] if answer is None else answer)
            weights[here] += weight
        return np.asarray(made / weights)


def _patch_around(y: int, x: int) -> Box:
    return Box(y - PATCH_PX, x - PATCH_PX, y + PATCH_PX, x + PATCH_PX)


Solver = OneKernel | ByPlace
"""What solves a part of a picture."""
