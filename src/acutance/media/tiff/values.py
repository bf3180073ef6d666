"""What the numbers of a TIFF page mean: of any depth, whole or floating-point, they become levels of 8 or 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from acutance.media.container import refused
from acutance.media.tiff.layout import Layout

Values = npt.NDArray[Any]
"""uint8 or uint16."""

_WHITE_16 = 65535
_SIGNED_LAB = 8
# From Lab's white (D50) to linear sRGB (D65): Bradford's adaptation and the primaries of IEC 61966-2-1, multiplied.
_LINEAR_OF_XYZ = np.array(
    [
        [3.1341359, -1.6173863, -0.4906619],
        [-0.9787955, 1.9162544, 0.0334427],
        [0.0719553, -0.2289768, 1.4053860],
    ]
)
_D50 = np.array([0.96422, 1.0, 0.82521])


def levels_of(data: bytes, layout: Layout, shape: tuple[int, int, int], name: str) -> Values:
    """Return the levels of some rows, uint8 for numbers of 8 bits and uint16 for all others.

    Args:
        data: The rows, unpacked.
        layout: Of the page.
        shape: Rows, columns and samples.
        name: For errors.

    Raises:
        UnsupportedImage: When floating-point numbers reach beyond 0 … 1.
    """
    if layout.is_float:
        return _of_floats(data, layout, shape, name)
    if layout.bits not in (8, 16, 32, 64):
        return _spread(_unpacked_bits(data, layout.bits, shape), layout.bits)
    kind = np.dtype(f"u{layout.bits // 8}")
    values = np.frombuffer(data, kind.newbyteorder(layout.order)).astype(kind).reshape(shape)
    if layout.predictor == 2:
        values = np.cumsum(values, axis=1, dtype=kind)
    return values if layout.bits <= 16 else _spread(values, layout.bits)


def _spread(values: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint16]:
    """Return numbers of so many bits as levels, white at 65535."""
    return np.rint(values * (_WHITE_16 / (2.0**bits - 1))).astype(np.uint16)


def _unpacked_bits(data: bytes, bits: int, shape: tuple[int, int, int]) -> npt.NDArray[np.uint32]:
    """Return numbers that stand behind each other to the bit; each row begins with a byte of its own."""
    rows, columns, samples = shape
    each = np.unpackbits(np.frombuffer(data, np.uint8).reshape(rows, -1), axis=1)
    each = each[:, : columns * samples * bits].reshape(*shape, bits)
    values = np.zeros(shape, np.uint32)
    for place in range(bits):
        values = values << np.uint32(1) | each[..., place]
    return values


def _of_floats(data: bytes, layout: Layout, shape: tuple[int, int, int], name: str) -> npt.NDArray[np.uint16]:
    size, order = layout.bits // 8, layout.order
    if layout.predictor != 1:  # all first bytes of a row, all second ones, …, as differences over the samples
        rows, columns, samples = shape
        differences = np.frombuffer(data, np.uint8).reshape(rows, -1, samples)
        planes = np.cumsum(differences, axis=1, dtype=np.uint8).reshape(rows, size, columns * samples)
        data, order = planes.transpose(0, 2, 1).tobytes(), ">"
    values = np.frombuffer(data, np.dtype(f"f{size}").newbyteorder(order)).reshape(shape).astype(np.float64)
    if not (values >= 0).all() or not (values <= 1).all():
        what = "a picture of floating-point numbers, some of which are not within 0 … 1"
        raise refused(name, what, "bring them there (0 is black, 1 is white), or convert it to 16 bits first")
    return np.rint(values * _WHITE_16).astype(np.uint16)


def srgb_of_lab(levels: Values, photometric: int) -> Values:
    """Return the colours of CIE Lab in sRGB, of the same type; those that it does not have are cut off.

    Args:
        levels: `n 3`, L, a and b as the file has them.
        photometric: 8: a and b are signed; 9: they are shifted, as in colour profiles.
    """
    deep = levels.dtype == np.uint16
    one = 256.0 if deep else 1.0
    if photometric == _SIGNED_LAB:
        white = 65535.0 if deep else 255.0
        chroma = levels[:, 1:].view(np.int16 if deep else np.int8).astype(np.float64) / one
    else:
        white = 65280.0 if deep else 255.0
        chroma = levels[:, 1:] / one - 128
    middle = (levels[:, 0] / white * 100 + 16) / 116
    roots = np.stack([middle + chroma[:, 0] / 500, middle, middle - chroma[:, 1] / 200], axis=1)
    xyz = np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29)) * _D50
    linear = np.clip(xyz @ _LINEAR_OF_XYZ.T, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    rounded: Values = np.rint(curved * np.iinfo(levels.dtype).max).astype(levels.dtype)
    return rounded
