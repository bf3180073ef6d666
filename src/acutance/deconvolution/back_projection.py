"""Back-projection: what a network restored, blurred again, has to be what was seen; what differs corrects it.

With Y what was seen, X what a network made of it, and K an even blur, the residual is R = Y − K·X = K·E + N, where E is
what X lacks and N is noise and rounding. Block by block, and band by band of frequency:

1. *The blur.* A network that is trained for the least error lacks what cannot be told from what it gives: E is
   uncorrelated with X. So ⟨Y·X*⟩ / ⟨|X|²⟩ is the blur's transfer, without bias. A Gaussian, of one width or of two, or
   a disk is fitted to it, over a block and those of its neighbours that are about as blurred.
2. *How far the network is to be corrected.* ⟨|R|²⟩ = |K|²·e + n + (∂K/∂ln s)²·d²·⟨|X|²⟩: e is the power of E, n that of
   the noise, and d the error of the strength s. The likeliest three (Whittle's likelihood) are taken, mostly by the
   same neighbours.
3. *The correction*, K·e / ⟨|R|²⟩ · R, a Wiener filter: all of the residual where the blur lets pass what is above the
   noise, nothing of it where it does not.

Lenses blur light itself, others what a file holds: each block is taken in the light in which less is left.

What is no even blur leaves a residual that no even blur explains: of motion, of seams of depth, and of JPEG's blocks
nothing is corrected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.even_blurs import BLOCK_PX, rings, transfer_on
from acutance.deconvolution.evenness import compression, evenness, faded, intactness, unexplained
from acutance.deconvolution.neighbours import BESIDE, REACH, Measured, Neighbourhood
from acutance.deconvolution.planes import Plane, plane_of, spectrum_of
from acutance.deconvolution.residuals import Powers, blur_of, likeliest, powers_of
from acutance.geometry import Size

STEP_PX: Final = BLOCK_PX // 2
"""From block to block."""

MARGIN_PX: Final = 16
"""Around a block, for what is blurred into it."""

_BORDER_PX: Final = 8
"""What lies beyond a picture's border was blurred into it, and nobody knows what: less is corrected there."""

_INNER: Final = slice(MARGIN_PX, MARGIN_PX + BLOCK_PX)

_IN_LINEAR_LIGHT: Final = 0.8
"""Linear light has to explain a blur by so much better than the file's own."""

_AGREED: Final = (0.4, 0.7)
"""Share of the blocks around that are about as blurred: with less, a border of depth is near, which may run through the
block, so that it has to be explained by the blur itself."""

_NO_BORDER: Final = (0.6, 0.9)
_AMPLIFIED: Final = (1.5, 15.0)
"""A residual is amplified by so much at most where so few, and so many, of the blocks around are about as blurred:
what one side of a border of depth blurs into the other rings when it is undone."""

_LIKE_OTHERS: Final = 0.8
"""Share of the blocks around in the powers that e, n and d are told by; the rest is the block's own. One block alone is
too few frequencies to tell them: with it alone .1 dB less is gained at σ = 1."""

_NOISE_LEVELS: Final = (0.8, 1.3)
"""In levels of 255: with more noise a network's errors are no more those of the blur alone."""

_NEAR_PX: Final = 4
_CERTAINTY: Final = (1.0, 2.0)
"""Within so many px a correction's power has to be so many times that of the noise in it, or nothing is corrected:
without JPEG's blocks, and with them, since their noise differs from place to place."""

_SLIGHTLY_COMPRESSED: Final = (1.1, 1.4)

_AT_ONCE: Final = 16
"""Blocks: memory does not grow with the width of a picture, and what is at work stays in the processor's cache."""

Pair = tuple[Plane, Plane]
"""What was seen and what was restored of the same rows, `h w` each."""

Window = Callable[[int, int], Pair]
"""Gives the rows `top` to `bottom`; `top` never decreases."""


def corrections(size: Size, window: Window, *, threads: int = 1) -> Iterator[Plane]:
    """Correct what was restored, from the top to the bottom.

    Args:
        size: Of the picture.
        window: Gives its rows; in [0, 1], the file's own gamma space.
        threads: How many rows of blocks are worked on at once.

    Yields:
        What to add to the restored luminance, `h w` each: all rows, in their order. Zero where nothing is to be
        corrected. The blocks lie where they do in the whole picture, whatever rows are asked for.

    Determinism: the same bits for the same input on one build of NumPy, however the rows come and whatever the threads.
    """
    half = np.zeros((STEP_PX, size.width), np.float32)
    for row, added in enumerate(_rows_of_blocks(size, window, threads)):
        if row:
            yield (half + added[:STEP_PX])[: size.height - (row - 1) * STEP_PX]
        half = added[STEP_PX:]


def _rows_of_blocks(size: Size, window: Window, threads: int) -> Iterator[Plane]:
    """Yield what each row of blocks adds, `2·STEP_PX w`: the second half of it meets the first of the next one."""
    rows, columns = (-(-side // STEP_PX) + 1 for side in size)
    powers: dict[int, dict[Light, Powers]] = {}
    measured: dict[int, dict[Light, Measured]] = {}
    working: deque[Future[Plane]] = deque()

    def within(first: int, last: int) -> range:
        return range(max(0, first), min(last, rows - 1) + 1)

    with ThreadPoolExecutor(threads, thread_name_prefix="acutance-correction") as pool:
        for row in range(rows):
            lowest = min(row + REACH + BESIDE, rows - 1)
            top = max(0, min((row - 1) * STEP_PX - MARGIN_PX, size.height - BLOCK_PX - MARGIN_PX))
            pair = window(top, min(size.height, (lowest + 1) * STEP_PX + MARGIN_PX))
            new = [
                (other, pool.submit(_powers_of, _Cut(size, top, other, columns), pair))
                for other in range(max(powers, default=-1) + 1, lowest + 1)
            ]
            powers.update((other, future.result()) for other, future in new)
            for other in within(max(measured, default=-1) + 1, row + REACH):
                beside = [powers[at] for at in within(other - BESIDE, other + BESIDE)]
                measured[other] = {
                    light: Measured.of(powers[other][light], [at[light] for at in beside]) for light in Light
                }
                powers.pop(other - BESIDE, None)
            near = [measured[other] for other in within(row - REACH, row + REACH)]
            working.append(pool.submit(_row_of_blocks, measured[row], near, _Cut(size, top, row, columns), pair))
            measured.pop(row - REACH, None)
            if len(working) > threads:
                yield working.popleft().result()
        while working:
            yield working.popleft().result()


@dataclass(frozen=True, slots=True)
class _Cut:
    """A row of blocks: the first reaches half a block beyond the picture, whose mirror image is there."""

    size: Size
    top: int
    """Of the rows at hand."""
    row: int
    columns: int

    def blocks(self, plane: Plane, numbers: npt.NDArray[np.int64], *, margin_px: int = 0) -> npt.NDArray[np.float32]:
        """Return some of them, `n h w`, with a margin."""
        span = np.arange(-margin_px, BLOCK_PX + margin_px) - STEP_PX
        rows = _mirrored(self.row * STEP_PX + span, self.size.height) - self.top
        columns = _mirrored(numbers[:, np.newaxis] * STEP_PX + span, self.size.width)
        return plane[rows[np.newaxis, :, np.newaxis], columns[:, np.newaxis, :]]

    def inside(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return how far inside the pixels of some blocks lie, `n h w`: 0 at the border, 1 from `_BORDER_PX` on."""
        span = np.arange(BLOCK_PX) - STEP_PX
        rows, columns = self.row * STEP_PX + span, numbers[:, np.newaxis] * STEP_PX + span
        down, across = (
            np.clip(np.minimum(places, length - 1 - places) / _BORDER_PX, 0, 1).astype(np.float32)
            for places, length in ((rows, self.size.height), (columns, self.size.width))
        )
        return np.asarray(down[np.newaxis, :, np.newaxis] * across[:, np.newaxis, :])


def _mirrored(places: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    within = places % max(2 * length - 2, 1)
    return np.asarray(np.minimum(within, 2 * length - 2 - within))


def _portions(numbers: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, len(numbers), _AT_ONCE):
        yield numbers[begin : begin + _AT_ONCE]


class Light(Enum):
    """In what light a picture was blurred: lenses blur light itself, editors what a file holds."""

    FILE = "file"
    LINEAR = "linear"

    def taken(self, *blocks: npt.NDArray[np.float32], level: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Return blocks in this light, in which a level of the file is about one at the block's own level, `n 1 1`."""
        # A square is near enough to sRGB's curve, and has an inverse that costs nothing.
        return [np.asarray(np.square(block) / level) if self is Light.LINEAR else block for block in blocks]

    def given(
        self, added: npt.NDArray[np.float32], restored: npt.NDArray[np.float32], level: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Return what is to be added to restored blocks of a file, of what is to be added in this light."""
        if self is Light.FILE:
            return added
        return np.asarray(np.sqrt(np.maximum(np.square(restored) + level * added, 0)) - np.maximum(restored, 0))


def _level(seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(2 * np.maximum(seen.mean(axis=(1, 2), keepdims=True), np.float32(0.05)))


def _powers_of(cut: _Cut, pair: Pair) -> dict[Light, Powers]:
    parts: dict[Light, list[Powers]] = {light: [] for light in Light}
    for some in _portions(np.arange(cut.columns)):
        seen, restored = (cut.blocks(plane, some) for plane in pair)
        for light in Light:
            parts[light].append(powers_of(*light.taken(seen, restored, level=_level(seen))))
    return {light: Powers.joined(several) for light, several in parts.items()}


@dataclass(frozen=True, slots=True)
class _Explained:
    """What explains some blocks in one light."""

    blur: npt.NDArray[np.int64]
    left: npt.NDArray[np.float32]

    @classmethod
    def of(cls, powers: Powers) -> _Explained:
        blur = blur_of(powers)
        return cls(blur, unexplained(powers, blur))


def _row_of_blocks(own: dict[Light, Measured], near: list[dict[Light, Measured]], cut: _Cut, pair: Pair) -> Plane:
    """Return what a row of blocks adds, each over half of the one before it."""
    whole = np.zeros((BLOCK_PX, (cut.columns + 1) * STEP_PX), np.float32)
    nearby = {light: Neighbourhood.of(own[light], [row[light] for row in near]) for light in Light}
    for some in _portions(np.arange(cut.columns)):
        around = {light: nearby[light].powers.of(some) for light in Light}
        by = {light: _Explained.of(around[light]) for light in Light}
        is_linear = by[Light.LINEAR].left < _IN_LINEAR_LIGHT * by[Light.FILE].left
        compressed, intact = compression(around[Light.FILE]), intactness(around[Light.FILE])
        for light in Light:
            blur, agreed = by[light].blur, 1 - faded(nearby[light].share[some], _AGREED)
            share = np.minimum(
                evenness(around[light], blur), np.maximum(agreed, evenness(own[light].powers.of(some), blur))
            )
            share *= intact
            chosen = np.flatnonzero(share * (is_linear == (light is Light.LINEAR)))
            if not chosen.size:
                continue
            numbers, blur = some[chosen], blur[chosen]
            largest = np.interp(nearby[light].share[numbers], _NO_BORDER, _AMPLIFIED).astype(np.float32)
            powers = own[light].powers.of(numbers).nearer(nearby[light].powers.of(numbers), _LIKE_OTHERS)
            gain, noise = _gains(powers, blur, largest)
            gain *= share[chosen, np.newaxis, np.newaxis]
            noise *= np.interp(compressed[chosen], _SLIGHTLY_COMPRESSED, _CERTAINTY).astype(np.float32)
            seen, wide = cut.blocks(pair[0], numbers), cut.blocks(pair[1], numbers, margin_px=MARGIN_PX)
            level = _level(seen)
            lit = light.taken(seen, wide, level=level)
            filtered = _filtered(gain, blur, lit[0], lit[1], cut.inside(numbers))
            added = _above_noise(filtered, noise) * _fading()
            for number, block in zip(numbers, light.given(added, wide[:, _INNER, _INNER], level), strict=True):
                whole[:, number * STEP_PX : number * STEP_PX + BLOCK_PX] += block
    return whole[:, STEP_PX : STEP_PX + cut.size.width]


def _gains(
    powers: Powers, blur: npt.NDArray[np.int64], largest: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return what of the residual corrects each frequency of each block, and the variance of the noise that passes."""
    likely = likeliest(powers, blur)
    share = faded(255 * np.sqrt(likely.noise), _NOISE_LEVELS)[:, np.newaxis, np.newaxis]
    error, most = likely.error[:, np.newaxis, np.newaxis], largest[:, np.newaxis, np.newaxis]
    transfers = np.stack([transfer_on(BLOCK_PX, number) for number in blur])
    gain = share * error * transfers / (error * np.square(transfers) + rings().spread(likely.unfit))
    np.clip(gain, -most, most, out=gain)
    passed = rings().over_directions(rings().means(np.square(gain)))
    return gain, (passed * likely.noises * rings().counts).sum(axis=1) / rings().counts.sum()


def _filtered(
    gain: npt.NDArray[np.float32],
    blur: npt.NDArray[np.int64],
    seen: npt.NDArray[np.float32],
    wide: npt.NDArray[np.float32],
    inside: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Return the residual of blocks, each frequency of it by its gain, faded out to the borders: `n h w`.

    Args:
        gain: Of each block, `n h w//2+1`.
        blur: Of each block.
        seen: `n h w`.
        wide: What was restored, with `MARGIN_PX` around.
        inside: How much the residual counts, `n h w`.
    """
    side = wide.shape[-1]
    transfers = np.stack([transfer_on(side, number) for number in blur])
    again = plane_of(transfers * spectrum_of(wide), (side, side))[:, _INNER, _INNER]
    residual = spectrum_of((seen - again) * inside * _fading())
    return plane_of(gain * residual, (BLOCK_PX, BLOCK_PX))


def _above_noise(blocks: npt.NDArray[np.float32], noise: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return corrections where they are more than noise: none in a flat place beside an edge that tells of errors."""
    around = np.pad(np.square(blocks), ((0, 0), (_NEAR_PX + 1, _NEAR_PX), (_NEAR_PX + 1, _NEAR_PX)))
    sums = around.cumsum(axis=1, dtype=np.float64).cumsum(axis=2)
    side = 2 * _NEAR_PX + 1
    box = sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side] + sums[:, :-side, :-side]
    allowed = noise[:, np.newaxis, np.newaxis] * _fading() ** 2
    shares = np.maximum(0, 1 - allowed / np.maximum(box / side**2, 1e-12))
    return np.asarray(blocks * shares, np.float32)


@cache
def _fading() -> npt.NDArray[np.float32]:
    """Return how a block fades out, `h w`: twice, before and after it is filtered, and all blocks make 1."""
    fade = np.sin(np.pi * (np.arange(BLOCK_PX) + 0.5) / BLOCK_PX).astype(np.float32)
    return np.asarray(fade[:, np.newaxis] * fade)
