"""A picture freed of a blur whose kernel is known: sparse gradients, and nothing assumed beyond the border.

The sharp picture with few gradients (total variation; Krishnan & Fergus 2009 for the family) that explains the blurred
one is found by ADMM with an unknown boundary (Almeida & Figueiredo 2013): it is estimated on a larger domain and only
compared with what was seen, so nothing is tapered at the border, and a tile of a large picture is solved like a picture
of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acutance.deconvolution.planes import (
    Plane,
    Psf,
    continued,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKernelOptions:
    """How a known kernel is undone."""

    fidelity: float = 20000.0
    """Weight of half the squared residual against the sum of absolute gradients: crisper and noisier when higher."""
    iterations: int = 30
    """Of ADMM."""
    penalty: float = 100.0
    """Of ADMM on the gradients."""
    clipped: float = 254.5 / 255
    """Values from here on count as clipped: the scene may be brighter, so the result need only be as bright."""


def deconvolved(seen: Plane, psf: Psf, options: KnownKernelOptions | None = None) -> Plane:
    """Undo a known blur in one channel.

    A pixel depends on its surroundings out to a few widths of the kernel, so a large picture can be done in tiles that
    overlap by some three widths.

    Args:
        seen: `h w` in [0, 1], larger than a few px.
        psf: Its blur.
        options: How.

    Returns:
        `h w`, not clipped.

    Determinism: the same bits for the same input on one build of NumPy.
    """
    options = options or KnownKernelOptions()
    height, width = seen.shape
    margin = psf.shape[0]
    border = min(margin // 2 + 1, height - 1, width - 1)
    wide = continued(np.pad(seen, border, mode="reflect"), margin // 2)
    inner = np.s_[border : border + height, border : border + width]
    transfer = transfer_of(psf, wide.shape)
    data_penalty, penalty = np.float32(options.fidelity / 4), np.float32(options.penalty)
    bottom = data_penalty * (transfer.real**2 + transfer.imag**2) + penalty * difference_power(wide.shape)
    inverse, smooth = np.conj(transfer) * (data_penalty / bottom), penalty / bottom
    share = np.float32(options.fidelity / (options.fidelity + float(data_penalty)))
    clipped = seen >= options.clipped
    # Split variables and their scaled duals: z for what the blurred picture would be, h and v for the gradients.
    x, z = wide, wide.copy()
    h, v = (_shrunk(g, options.penalty) for g in differences(x))
    dual_z, dual_h, dual_v = (np.zeros(wide.shape, np.float32) for _ in range(3))
    for _ in range(options.iterations):
        spectrum = inverse * spectrum_of(z - dual_z)
        spectrum += smooth * spectrum_of(differences_adjoint(h - dual_h, v - dual_v))
        x = plane_of(spectrum, wide.shape)
        spectrum *= transfer
        blurred = plane_of(spectrum, wide.shape) + dual_z
        z = blurred.copy()
        part = blurred[inner]
        fitted = part + share * (seen - part)
        z[inner] = np.where(clipped, np.maximum(part, fitted), fitted)
        dual_z = blurred - z
        right, down = differences(x)
        right += dual_h
        down += dual_v
        h, v = _shrunk(right, options.penalty), _shrunk(down, options.penalty)
        dual_h, dual_v = right - h, down - v
    return x[inner]


def _shrunk(gradient: Plane, penalty: float) -> Plane:
    """Return argmin over s of |s| + penalty/2 · (s − g)², for each element."""
    return np.sign(gradient) * np.maximum(np.abs(gradient) - np.float32(1 / penalty), 0)


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
