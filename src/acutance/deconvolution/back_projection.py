"""Back-projection: what a network restored, blurred again, has to be what was seen; what differs corrects it.

With Y what was seen, X what a network made of it, and K an even blur, the residual is R = Y − K·X = K·E + N, where E is
what X lacks and N is noise and rounding. Block by block, and band by band of frequency:

1. *The blur.* A network that is trained for the least error lacks what cannot be told from what it gives: E is
   uncorrelated with X. So ⟨Y·X*⟩ / ⟨|X|²⟩ is the blur's transfer, without bias. A Gaussian or a disk is fitted to it,
   over a block and its neighbours.
2. *How far the network is to be corrected.* ⟨|R|²⟩ = |K|²·e + n + (∂K/∂ln s)²·d²·⟨|X|²⟩: e is the power of E, n that of
   the noise, and d the error of the strength s. The likeliest three (Whittle's likelihood) are taken, in every block.
3. *The correction*, K·e / ⟨|R|²⟩ · R, a Wiener filter: all of the residual where the blur lets pass what is above the
   noise, nothing of it where it does not.

What is no even blur leaves a residual that no even blur explains: of motion, of seams of depth, and of JPEG's blocks
nothing is corrected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.isotropic import BLOCK_PX, Bands, blurs, rings, transfer_on, windowed
from acutance.deconvolution.planes import Plane, plane_of, spectrum_of
from acutance.geometry import Size

STEP_PX: Final = BLOCK_PX // 2
"""From block to block."""

MARGIN_PX: Final = 24
"""Around a block, for what is blurred into it."""

NEIGHBOURS: Final = 3
"""A block's blur is that of the blocks up to so far from it, to either side."""

_ROUNDING: Final = np.float32(1 / 12 / 255**2)
"""The variance of rounding to 8 bits; nothing is taken for less noisy."""

_ERRORS: Final = np.geomspace(2e-6, 1e-2, 12).astype(np.float32)
_NOISES: Final = (_ROUNDING * 1.6 ** np.arange(10)).astype(np.float32)
_STRENGTH_ERRORS: Final = np.array([0.01, 0.03, 0.09, 0.27], np.float32)
"""e, n and d of which the likeliest are taken."""

_MEETING: Final = 9
"""Blocks overlap and fade: so many of `(2·NEIGHBOURS + 1)²` are as good as independent."""

_KERNEL_TOLERANCE: Final = np.float32(2e-4)
"""Squared error of a transfer, as a share of it, that says nothing against a blur: real ones are no exact Gaussians."""

_UNEXPLAINED: Final = (0.06, 0.14)
"""Share of what the network changed that the blur does not explain: all is corrected up to the first, nothing from the
second on. Even blur has .003 to .04 (.11 where it is very weak, .14 in a JPEG of quality 60), motion and seams of depth
.16 and more."""

_LEAST_FREQUENCY: Final = 0.03
"""Cycles a pixel; below, the network changes nothing that could be explained."""

_NOISE_LEVELS: Final = (0.8, 1.3)
"""In levels of 255: with more noise a network's errors are no more those of the blur alone."""

_AT_ONCE: Final = 16
"""Blocks: memory does not grow with the width of a picture, and what is at work stays in the processor's cache."""

Pair = tuple[Plane, Plane]
"""What was seen and what was restored of the same rows, `h w` each."""

Window = Callable[[int, int], Pair]
"""Gives the rows `top` to `bottom`; `top` never decreases."""


@dataclass(frozen=True, slots=True)
class _Powers:
    """Of blocks: the powers of what was restored and seen, and what they have in common."""

    restored: Bands
    common: Bands
    seen: Bands

    def residual(self, blur: npt.NDArray[np.int64]) -> Bands:
        transfer = blurs().transfers[blur]
        power = self.seen - 2 * transfer * self.common + np.square(transfer) * self.restored
        return np.maximum(power, _ROUNDING / 2)

    def of(self, chosen: npt.NDArray[np.int64]) -> _Powers:
        return _Powers(self.restored[chosen], self.common[chosen], self.seen[chosen])

    @classmethod
    def joined(cls, parts: Sequence[_Powers]) -> _Powers:
        names = ("restored", "common", "seen")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, slots=True)
class _Likeliest:
    """What explains the residuals of blocks best."""

    cost: npt.NDArray[np.float32]
    error: npt.NDArray[np.float32]
    noise: npt.NDArray[np.float32]
    total: Bands
    """The power of the residual by this."""


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
    powers: dict[int, _Powers] = {}
    working: deque[Future[Plane]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="acutance-correction") as pool:
        for row in range(rows):
            last = min(row + NEIGHBOURS, rows - 1)
            top = max(0, min((row - 1) * STEP_PX - MARGIN_PX, size.height - BLOCK_PX - MARGIN_PX))
            pair = window(top, min(size.height, (last + 1) * STEP_PX + MARGIN_PX))
            measured = [
                (other, pool.submit(_powers_of, _Cut(size, top, other, columns), pair))
                for other in range(max(powers, default=-1) + 1, last + 1)
            ]
            powers.update((other, future.result()) for other, future in measured)
            near = [powers[other] for other in range(max(0, row - NEIGHBOURS), last + 1)]
            cut = _Cut(size, top, row, columns)
            working.append(pool.submit(_row_of_blocks, powers[row], near, cut, pair))
            powers.pop(row - NEIGHBOURS, None)
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


def _mirrored(places: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    within = places % (2 * length)
    return np.minimum(within, 2 * length - 1 - within)


def _portions(numbers: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, len(numbers), _AT_ONCE):
        yield numbers[begin : begin + _AT_ONCE]


def _powers_of(cut: _Cut, pair: Pair) -> _Powers:
    return _Powers.joined([_powers(cut, some, pair) for some in _portions(np.arange(cut.columns))])


def _powers(cut: _Cut, numbers: npt.NDArray[np.int64], pair: Pair) -> _Powers:
    theirs, ours = (windowed(cut.blocks(plane, numbers)) for plane in pair)
    means = rings().means
    return _Powers(
        restored=np.maximum(means(np.square(ours.real) + np.square(ours.imag)), np.float32(1e-9)),
        common=means(theirs.real * ours.real + theirs.imag * ours.imag),
        seen=means(np.square(theirs.real) + np.square(theirs.imag)),
    )


def _pooled(rows: list[_Powers]) -> _Powers:
    """Return the means over a block and its neighbours in these rows."""

    def near(values: Sequence[Bands]) -> Bands:
        columns: Bands = np.stack(values).mean(axis=0, dtype=np.float32)
        places = range(len(columns))
        return np.stack([columns[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1].mean(axis=0) for at in places])

    return _Powers(
        near([row.restored for row in rows]), near([row.common for row in rows]), near([row.seen for row in rows])
    )


def _row_of_blocks(powers: _Powers, near: list[_Powers], cut: _Cut, pair: Pair) -> Plane:
    """Return what a row of blocks adds, each over half of the one before it."""
    whole = np.zeros((BLOCK_PX, (cut.columns + 1) * STEP_PX), np.float32)
    pooled = _pooled(near)
    for some in _portions(np.arange(cut.columns)):
        around = pooled.of(some)
        blur = _blur_of(around)
        share = _faded(_unexplained(around, blur), _UNEXPLAINED)
        chosen = np.flatnonzero(share)
        if not chosen.size:
            continue
        numbers, blur = some[chosen], blur[chosen]
        gain = share[chosen, np.newaxis] * _gains(powers.of(numbers), blur)
        for number, block in zip(
            numbers,
            _filtered(gain, blur, cut.blocks(pair[0], numbers), cut.blocks(pair[1], numbers, margin_px=MARGIN_PX)),
            strict=True,
        ):
            whole[:, number * STEP_PX : number * STEP_PX + BLOCK_PX] += block
    return whole[:, STEP_PX : STEP_PX + cut.size.width]


def _gains(powers: _Powers, blur: npt.NDArray[np.int64]) -> Bands:
    """Return what of the residual corrects each band of each block."""
    likely = _likeliest(powers, blur)
    share = _faded(255 * np.sqrt(likely.noise), _NOISE_LEVELS)
    return (share * likely.error)[:, np.newaxis] * blurs().transfers[blur] / likely.total


def _filtered(
    gain: Bands, blur: npt.NDArray[np.int64], seen: npt.NDArray[np.float32], wide: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the residual of blocks, each band of it by its gain, faded out to the borders: `n h w`.

    Args:
        gain: Of each block.
        blur: Of each block.
        seen: `n h w`.
        wide: What was restored, with `MARGIN_PX` around.
    """
    side = wide.shape[-1]
    transfers = np.stack([transfer_on(side, number) for number in blur])
    inner = slice(MARGIN_PX, MARGIN_PX + BLOCK_PX)
    again = plane_of(transfers * spectrum_of(wide), (side, side))[:, inner, inner]
    fade = np.sin(np.pi * (np.arange(BLOCK_PX) + 0.5) / BLOCK_PX).astype(np.float32)
    faded = fade[:, np.newaxis] * fade
    residual = spectrum_of((seen - again) * faded)
    return plane_of(rings().spread(gain) * residual, (BLOCK_PX, BLOCK_PX)) * faded


def _faded(value: npt.NDArray[np.float32], limits: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Return 1 up to the first limit, 0 from the second on."""
    return np.asarray(np.clip((limits[1] - value) / (limits[1] - limits[0]), 0, 1), np.float32)


def _unexplained(powers: _Powers, blur: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the share of what was changed that the blur does not explain."""
    counts = rings().counts * (rings().centres > _LEAST_FREQUENCY).astype(np.float32)
    changed = np.maximum(powers.seen - 2 * powers.common + powers.restored, 0)
    total = np.maximum((changed * counts).sum(1), np.float32(1e-9))
    return np.asarray((powers.residual(blur) * counts).sum(1) / total)


def _blur_of(powers: _Powers) -> npt.NDArray[np.int64]:
    """Return the number of the blur that explains each block best."""
    known = blurs()
    # What of the noise the network lets pass is common to both, and no sign of a weak blur.
    floor = np.maximum(_ROUNDING, powers.seen[:, 3 * powers.seen.shape[1] // 4 :].min(1, keepdims=True))
    common = powers.common * np.maximum(0, 1 - floor / powers.seen)
    measured = common / powers.restored
    left = np.maximum(powers.seen - np.square(powers.common) / powers.restored, _ROUNDING / 2)
    variance = left / (_MEETING * rings().counts * powers.restored)
    weight = 1 / (variance + _KERNEL_TOLERANCE * np.square(np.maximum(measured, np.float32(0.02))) + np.float32(1e-6))
    weight[:, [0, -1]] = 0  # hardly changed; and of corners, which are no ring
    misfit = np.einsum("nb,kb->nk", weight, np.square(known.transfers))
    misfit -= 2 * np.einsum("nb,kb->nk", weight * measured, known.transfers)
    gaussian = misfit[:, : known.gaussians].argmin(1)
    disk = known.gaussians + misfit[:, known.gaussians :].argmin(1)
    # Beyond its first zero a disk turns the sign, with a weight that hardly counts: the residual decides.
    is_disk = _likeliest(powers, disk).cost < _likeliest(powers, gaussian).cost
    return np.asarray(np.where(is_disk, disk, gaussian))


def _likeliest(powers: _Powers, blur: npt.NDArray[np.int64]) -> _Likeliest:
    """Return the errors, noise and error of the strength that explain the residuals best."""
    known = blurs()
    residual = powers.residual(blur)
    passed = np.square(known.transfers[blur])
    by_strength = np.square(known.slopes[blur]) * powers.restored
    errors, noises, strengths = (
        grid.ravel() for grid in np.meshgrid(_ERRORS, _NOISES, np.square(_STRENGTH_ERRORS), indexing="ij")
    )
    total = errors[:, np.newaxis] * passed[:, np.newaxis]
    total += noises[:, np.newaxis]
    total += strengths[:, np.newaxis] * by_strength[:, np.newaxis]
    cost = np.log(total)
    cost += residual[:, np.newaxis] / total
    cost = (cost[..., 1:] * rings().counts[1:]).sum(-1)
    best = cost.argmin(1)
    each = np.arange(len(best))
    return _Likeliest(cost[each, best], errors[best], noises[best], total[each, best])
