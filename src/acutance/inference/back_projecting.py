"""A restored picture, corrected by what was seen: in strips, so that a whole picture and its strips give the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from acutance.geometry import Size
from acutance.imaging.blend import blend
from acutance.imaging.convert import PixelType, to_float, to_type
from acutance.spec import ModelSpec

_LUMINANCE: Final = (np.float32(0.299), np.float32(0.587), np.float32(0.114))
"""Of red, green and blue, gamma space. What a network lacks is mostly alike in all three: to correct this alone is
nearly as good as each, in a third of the time."""

_ROWS: Final = 256
"""Of a whole picture, at once."""


class Rows(NamedTuple):
    """Rows of a picture, `h w 3` or `h w 1`, of one type."""

    seen: npt.NDArray[Any]
    restored: npt.NDArray[Any]
    """By the network, at full strength."""


def is_corrected(spec: ModelSpec, *, wanted: bool | None) -> bool:
    """Say whether what a model restores is corrected by what was seen.

    Args:
        spec: The model.
        wanted: None: where the model is of acutance's making. Others are known by probing alone; their answer stays.
    """
    return wanted is not False and spec.task == "sharpen" and spec.feather_px == 0 and bool(wanted or spec.is_own)


def corrected(
    pixels: npt.NDArray[PixelType], restored: npt.NDArray[PixelType], *, strength: float, threads: int
) -> npt.NDArray[PixelType]:
    """Correct a restored picture by what was seen; see `deconvolution.back_projection`.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey, gamma space; uint8, uint16, or float32 in [0, 1].
        restored: By the network, at full strength; of the same shape and type.
        strength: 0 keeps what was seen, 1 takes the corrected picture; see `blend`.
        threads: How many rows of blocks are worked on at once.

    Returns:
        A new array of the same shape and type.
    """
    size = Size(*pixels.shape[:2])
    result = np.empty_like(restored, order="C")
    tops = range(0, size.height, _ROWS)
    rows = (Rows(pixels[top : top + _ROWS], restored[top : top + _ROWS]) for top in tops)
    top = 0
    for part in corrected_rows(size, rows, strength=strength, threads=threads):
        result[top : top + len(part)] = part
        top += len(part)
    return result


def corrected_rows(size: Size, rows: Iterator[Rows], *, strength: float, threads: int) -> Iterator[npt.NDArray[Any]]:
    """Correct the rows of a restored picture, as they come; the same bits as for the whole.

    Args:
        size: Of the picture.
        rows: All of them, from the top.
        strength: See `corrected`.
        threads: See `corrected`.

    Yields:
        Corrected rows, all of them, from the top; later than they come, since what lies below counts.
    """
    from acutance.deconvolution.back_projection import corrections  # not loaded where nothing is corrected

    held = _Held(rows)
    for added in corrections(size, held.window, threads=threads):
        seen, restored = held.take(len(added))
        values = to_float(restored)
        values += added[..., np.newaxis]
        if strength != 1.0:
            values = blend(to_float(seen), values, strength)
        yield to_type(values, restored.dtype.type)


@dataclass(frozen=True, slots=True)
class _Luminance:
    seen: npt.NDArray[np.float32]
    restored: npt.NDArray[np.float32]

    @classmethod
    def of(cls, rows: Rows) -> _Luminance:
        return cls(_luminance(rows.seen), _luminance(rows.restored))

    def below(self, top: int) -> _Luminance:
        return _Luminance(self.seen[top:], self.restored[top:])

    def joined(self, other: _Luminance) -> _Luminance:
        return _Luminance(
            *(np.concatenate(pair) for pair in ((self.seen, other.seen), (self.restored, other.restored)))
        )


class _Held:
    """Rows that came, for as long as they are needed: their luminance in a window, themselves until they are taken."""

    def __init__(self, rows: Iterator[Rows]) -> None:
        self._rows = rows
        self._waiting: deque[Rows] = deque()
        self._luminance: _Luminance | None = None
        self._top = 0

    def window(self, top: int, bottom: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the luminance of some rows; none above them is asked for later."""
        if self._luminance is not None:
            self._luminance = self._luminance.below(top - self._top)
        self._top = top
        while self._luminance is None or top + len(self._luminance.seen) < bottom:
            rows = next(self._rows)
            self._waiting.append(rows)
            new = _Luminance.of(rows)
            self._luminance = new if self._luminance is None else self._luminance.joined(new)
        count = bottom - top
        return self._luminance.seen[:count], self._luminance.restored[:count]

    def take(self, count: int) -> Rows:
        """Return the next rows of those that came, and forget them."""
        taken: list[Rows] = []
        while count:
            rows = self._waiting.popleft()
            if len(rows.seen) > count:
                self._waiting.appendleft(Rows(rows.seen[count:], rows.restored[count:]))
                rows = Rows(rows.seen[:count], rows.restored[:count])
            taken.append(rows)
            count -= len(rows.seen)
        return taken[0] if len(taken) == 1 else Rows(*(np.concatenate(part) for part in zip(*taken, strict=True)))


def _luminance(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    values = to_float(pixels)
    if values.shape[2] == 1:
        return np.asarray(values[..., 0])
    red, green, blue = (share * values[..., channel] for channel, share in enumerate(_LUMINANCE))
    return np.asarray(red + green + blue)
