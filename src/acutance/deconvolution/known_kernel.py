"""A picture freed of a blur whose kernel is known: sparse gradients, and nothing assumed beyond the border.

The sharp picture with few gradients (total variation; Krishnan & Fergus 2009 for the family) that explains the blurred
one is found by ADMM with an unknown boundary (Almeida & Figueiredo 2013): it is estimated on a larger domain and only
compared with what was seen, so nothing is tapered at the border, and a tile of a large picture is solved like a picture
of its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import (
    Plane,
    Planes,
    Psf,
    continued,
    continued_shape,
    difference_power,
    differences,
    differences_adjoint,
    plane_of,
    spectrum_of,
    transfer_of,
)

_BLOCK_PX = 16
_FLAT_SHARE = 0.1
_ROUNDING_SIGMA = 0.29 / 255

_OPPONENTS = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]], np.float32) / np.sqrt(np.array([[3], [2], [6]], np.float32))
"""From RGB to lightness, red against green, and yellow against blue: a rotation, so noise and misfit stay what they
are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKernelOptions:
    """How a known kernel is undone."""

    fidelity: float = 20000.0
    """Weight of half the squared residual against the sum of absolute gradients: crisper and noisier when higher."""
    iterations: int = 30
    """Of ADMM."""
    penalty: float = 100.0
    """Of ADMM on the gradients."""
    lightness_prior: float = 1.0
    """Weight of the gradients of (R + G + B) / √3 in a picture in colours."""
    colour_prior: float = 2.0
    """Weight of those of the two opponent colours: a shaken scene's colours change less often than its lightness."""
    clipped: float = 254.5 / 255
    """Values from here on count as clipped: the scene may be brighter, so the result need only be as bright."""


def deconvolved(
    seen: Planes,
    psf: Psf,
    options: KnownKernelOptions | None = None,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    threads: int = 1,
) -> Planes:
    """Undo a known blur in one channel, or in several.

    A pixel depends on its surroundings out to a few widths of the kernel, so a large picture can be done in tiles that
    overlap by some three widths. Three channels are RGB: the prior weighs their lightness and their colour differently,
    so that noise, in which colour is a large part, does not come out as coloured grain.

    Args:
        seen: `h w` or `c h w` in [0, 1], larger than a few px; unless there are three, each channel is done alone.
        psf: Its blur.
        options: How.
        origin: `(y, x)` of the psf's origin, in px from its middle: a point of the result is seen with the psf's origin
            on it. May be a part of a pixel.
        threads: How many channels are worked on at once.

    Returns:
        As `seen`, not clipped.

    Determinism: the same bits for the same input on one build of NumPy, with any number of threads.
    """
    shape = (seen.shape[-2], seen.shape[-1])
    planes = seen.reshape(-1, *shape)
    problem = _Problem(shape, psf, origin, options or KnownKernelOptions())
    with ThreadPoolExecutor(max(min(threads, len(planes)), 1)) as pool:
        return problem.solved(planes, pool).reshape(seen.shape)


@dataclass(slots=True)
class _Channel:
    """What ADMM knows of one channel: split variables less their scaled duals, and the duals."""

    seen: Plane
    x: Plane
    target: Plane
    """What the blurred picture should be, on the larger domain."""
    dual: Plane
    """Of that, where something was seen."""
    h: Plane
    v: Plane
    dual_h: Plane
    dual_v: Plane
    limit: np.float32
    """Gradients up to here become 0: argmin over s of |s| + penalty/2 · (s − g)² is g less g clipped to it."""


class _Problem:
    """What all channels of a picture have in common."""

    def __init__(
        self, shape: tuple[int, int], psf: Psf, origin: tuple[float, float], options: KnownKernelOptions
    ) -> None:
        self.options = options
        self.margin = psf.shape[0] // 2
        self.border = min(self.margin + 1, shape[0] - 1, shape[1] - 1)
        self.inner = np.s_[self.border : self.border + shape[0], self.border : self.border + shape[1]]
        self.wide = continued_shape((shape[0] + 2 * self.border, shape[1] + 2 * self.border), self.margin)
        self.transfer = transfer_of(psf, self.wide, origin)
        data_penalty, penalty = np.float32(options.fidelity / 4), np.float32(options.penalty)
        bottom = data_penalty * (self.transfer.real**2 + self.transfer.imag**2) + penalty * difference_power(self.wide)
        self.inverse, self.smooth = np.conj(self.transfer) * (data_penalty / bottom), penalty / bottom
        self.share = np.float32(options.fidelity / (options.fidelity + float(data_penalty)))

    def solved(self, seen: Planes, pool: ThreadPoolExecutor) -> Planes:
        """Return channels `c h w` without the blur."""
        clipped = seen >= self.options.clipped
        if len(seen) != 3:
            return np.stack(list(pool.map(self._alone, seen, clipped)))
        weights = (self.options.lightness_prior, self.options.colour_prior, self.options.colour_prior)
        channels = list(pool.map(self._begun, np.tensordot(_OPPONENTS, seen, 1), weights))
        where = np.nonzero(clipped.any(axis=0))
        clipped_there = clipped[:, where[0], where[1]]
        for _ in range(self.options.iterations):
            list(pool.map(self._step, channels))
            if len(where[0]):
                duals = _OPPONENTS.T @ np.stack([channel.dual[where] for channel in channels])
                duals[clipped_there] = np.minimum(duals[clipped_there], 0)  # the scene may have been brighter
                for channel, dual in zip(channels, _OPPONENTS @ duals, strict=True):
                    channel.dual[where] = dual
            list(pool.map(self._end_step, channels))
        opponents = np.stack([channel.x[self.inner] for channel in channels])
        return np.tensordot(_OPPONENTS.T, opponents, 1).astype(np.float32, copy=False)

    def _alone(self, seen: Plane, clipped: npt.NDArray[np.bool_]) -> Plane:
        channel = self._begun(seen, 1.0)
        where = np.nonzero(clipped)
        for _ in range(self.options.iterations):
            self._step(channel)
            if len(where[0]):
                channel.dual[where] = np.minimum(channel.dual[where], 0)  # the scene may have been brighter
            self._end_step(channel)
        return channel.x[self.inner]

    def _begun(self, seen: Plane, weight: float) -> _Channel:
        x = continued(np.pad(seen, self.border, mode="reflect"), self.margin)
        limit = np.float32(weight / self.options.penalty)
        h, v = (gradient - np.clip(gradient, -limit, limit) for gradient in differences(x))
        nothing = np.zeros(self.wide, np.float32)
        dual = np.zeros(seen.shape, np.float32)
        return _Channel(seen, x, x, dual, h, v, dual_h=nothing, dual_v=nothing, limit=limit)

    def _step(self, channel: _Channel) -> None:
        """Improve the picture; what it should be when blurred is drawn towards what was seen: its dual."""
        spectrum = spectrum_of(channel.target)
        spectrum *= self.inverse
        edges = spectrum_of(differences_adjoint(channel.h, channel.v))
        edges *= self.smooth
        spectrum += edges
        channel.x = plane_of(spectrum, self.wide)
        spectrum *= self.transfer
        channel.target = plane_of(spectrum, self.wide)
        blurred = channel.target[self.inner]
        blurred += channel.dual
        np.subtract(blurred, channel.seen, out=channel.dual)
        channel.dual *= self.share

    def _end_step(self, channel: _Channel) -> None:
        channel.target[self.inner] -= 2 * channel.dual
        limit = channel.limit
        h, v = differences(channel.x)
        h += channel.dual_h
        v += channel.dual_v
        channel.dual_h, channel.dual_v = np.clip(h, -limit, limit), np.clip(v, -limit, limit)
        h -= 2 * channel.dual_h
        v -= 2 * channel.dual_v
        channel.h, channel.v = h, v


def noise_sigma(plane: Plane) -> float:
    """Estimate the standard deviation of white noise: that of the second differences (Immerkær 1996) in flat blocks.

    It is at least that of rounding to 8 bits, 0.29 / 255.
    """
    response = np.diff(np.diff(plane, 2, axis=0), 2, axis=1) / np.float32(6)
    rows, columns = response.shape[0] // _BLOCK_PX, response.shape[1] // _BLOCK_PX
    if rows == 0 or columns == 0:
        return _ROUNDING_SIGMA
    blocks = response[: rows * _BLOCK_PX, : columns * _BLOCK_PX].reshape(rows, _BLOCK_PX, columns, _BLOCK_PX)
    sigma = np.sqrt((blocks**2).mean(axis=(1, 3)))
    noisy = sigma[sigma > 0.5 * _ROUNDING_SIGMA]  # what is clipped has no noise
    return max(float(np.quantile(noisy, _FLAT_SHARE)), _ROUNDING_SIGMA) if noisy.size else _ROUNDING_SIGMA
