"""From a frame's planes to RGB, and a change of RGB back into the planes.

What a network changed is added to the planes that were decoded, so that what it did not change stays as it was, to the
last bit, whatever the pixel format: no conversion there and back rounds anything away, and chroma is never resampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from acutance.errors import InputError
from acutance.videos.planes import Layout, Plane, packed_view, planes_of

Rgb = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""`h w 3`, or `h w 1` of a grey video; gamma space."""

Residual = list[npt.NDArray[np.float32]]
"""What is added to each channel of RGB (or to grey), `h w` each, in levels of the RGB that it was made from."""

_LUMA_WEIGHTS = {
    # ITU-T H.273, table 4: weights of red and of blue in luma
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_IN_SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
"""FFmpeg's scaler knows BT.601 under one number only."""

_GUESSED = {0, 2, 3, 12}
"""Codes that leave the matrix to a guess: RGB (of a YUV video), unspecified, reserved, derived from the primaries."""

RGB_MATRIX = 0
"""Code of a video that is RGB already."""

_UNSPECIFIED = 2
_BT2020_PRIMARIES = 9
_HD_HEIGHT = 720
_FULL_RANGE = int(ColorRange.JPEG)
_SMOOTH = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


@dataclass(frozen=True, slots=True)
class Colour:
    """How a video's YUV means RGB."""

    matrix: int
    """ITU-T H.273 code of the matrix, one of those in the table above."""
    is_full_range: bool
    """Whether black and white are the smallest and largest levels, instead of 16 and 235 (of 8 bit)."""

    @property
    def weights(self) -> tuple[float, float, float]:
        """Weights of red, green and blue in luma."""
        red, blue = _LUMA_WEIGHTS[self.matrix]
        return red, 1.0 - red - blue, blue


@dataclass(frozen=True, slots=True)
class Tags:
    """What a video says of its colours: codes of ITU-T H.273, and FFmpeg's of the range (1 limited, 2 full)."""

    primaries: int
    transfer: int
    matrix: int
    range: int

    def completed(self, other: Tags) -> Tags:
        """Return these; where they say nothing, the others."""
        return Tags(
            primaries=_said(self.primaries, other.primaries),
            transfer=_said(self.transfer, other.transfer),
            matrix=_said(self.matrix, other.matrix),
            range=self.range or other.range,
        )

    def are_kept_in(self, other: Tags) -> bool:
        """Say whether the others mean the same; what these do not say, the others may."""
        codes = ((self.primaries, other.primaries), (self.transfer, other.transfer), (self.matrix, other.matrix))
        is_kept = all(_said(ours, theirs) == theirs for ours, theirs in codes)
        return is_kept and (self.range == _FULL_RANGE) == (other.range == _FULL_RANGE)

    def put_on(self, place: VideoFrame | VideoCodecContext) -> None:
        """Let an encoder say the same, or a frame, where some encoders look."""
        place.color_primaries, place.color_trc = self.primaries, self.transfer
        place.colorspace, place.color_range = self.matrix, self.range


def _said(code: int, otherwise: int) -> int:
    return otherwise if code == _UNSPECIFIED else code


def tags_of(said_by: VideoFrame | VideoCodecContext) -> Tags:
    """Return the tags of a frame; or of a stream, before any of its frames is decoded, since decoders change them."""
    name = said_by.format.name if isinstance(said_by, VideoFrame) else said_by.pix_fmt
    range_ = _FULL_RANGE if (name or "").startswith("yuvj") else said_by.color_range
    return Tags(said_by.color_primaries, said_by.color_trc, said_by.colorspace, range_)


def colour_of(frame: VideoFrame, tags: Tags) -> Colour:
    """Return what a video's YUV means by its tags; where they say nothing, what players assume.

    Raises:
        InputError: When its colours are coded in a way that is not supported (YCgCo, ICtCp).
    """
    is_full = tags.range == _FULL_RANGE
    matrix = tags.matrix
    if matrix in _GUESSED:
        is_bt2020 = tags.primaries == _BT2020_PRIMARIES
        matrix = 9 if is_bt2020 else 1 if frame.height >= _HD_HEIGHT else 6
    if matrix not in _LUMA_WEIGHTS and not frame.format.is_rgb and len(frame.format.components) >= 3:
        raise InputError(f"colour matrix {matrix} (ITU-T H.273): is not supported; convert the video to BT.709 first.")
    return Colour(matrix=matrix if matrix in _LUMA_WEIGHTS else 1, is_full_range=is_full)


class Converter:
    """Converts frames. For one thread only: the scaler behind it has a state."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def to_format(self, frame: VideoFrame, name: str, colour: Colour, *, scale: int = 1) -> VideoFrame:
        """Return the frame in another pixel format of the same colours, `scale` times as large; all it carries stays.

        Where the other format holds the same samples, they stay the same.
        """
        if frame.format.name == name and scale == 1:
            return frame
        tags = frame.colorspace, frame.color_range
        converted = self._converted(frame, name, colour, scale)
        converted.colorspace, converted.color_range = tags
        return converted

    def to_rgb(self, frame: VideoFrame, layout: Layout, colour: Colour) -> Rgb:
        """Return the picture of a planar frame as RGB, or grey.

        Returns:
            uint8 of an 8-bit video, else uint16 whose white is 65535. May be a view: use it before the frame changes.
        """
        if layout.is_grey:
            (grey,) = planes_of(frame, layout.dtype)
            return _stretched(grey, layout)[..., np.newaxis]
        return packed_view(self._converted(frame, "rgb24" if layout.bits == 8 else "rgb48le", colour))

    def _converted(self, frame: VideoFrame, name: str, colour: Colour, scale: int = 1) -> VideoFrame:
        # For the scaler RGB is always of full range, and grey of the range of the luma that it stands for.
        source_range, target_range = (
            _FULL_RANGE if is_rgb or colour.is_full_range else int(ColorRange.MPEG)
            for is_rgb in (frame.format.is_rgb, VideoFormat(name).is_rgb)
        )
        matrix = _IN_SWSCALE[colour.matrix]
        return self._scaler.reformat(
            frame,
            width=frame.width * scale,
            height=frame.height * scale,
            format=name,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=source_range,
            dst_color_range=target_range,
            interpolation=_SMOOTH,
            threads=1,
        )


def alpha_of(frame: VideoFrame, layout: Layout) -> Plane | None:
    """Return the transparency of a planar frame, in the range of the RGB that belongs to it; None without."""
    if layout.alpha is None:
        return None
    return _stretched(planes_of(frame, layout.dtype)[layout.alpha], layout)


def _stretched(plane: Plane, layout: Layout) -> Plane:
    """Return samples of up to 16 bit with white at 255 or 65535."""
    if layout.top in (255, 65535):
        return plane
    stretched: npt.NDArray[np.uint16] = np.rint(plane * np.float32(65535 / layout.top)).astype(np.uint16)
    return stretched


def residual_of(before: Rgb, after: Rgb) -> Residual:
    """Return what was changed: `after` − `before`, channel by channel; empty when nothing was."""
    if np.array_equal(before, after):
        return []
    changes = []
    for channel in range(before.shape[2]):
        change = after[..., channel].astype(np.float32)
        change -= before[..., channel]
        changes.append(change)
    return changes


def add_residual(planes: list[Plane], residual: Residual, layout: Layout, colour: Colour) -> None:
    """Add a change of RGB to the planes of a frame, in place; transparency stays.

    Args:
        planes: Of a frame of that layout, or every other row of each (a field).
        residual: See `residual_of`; of the same size as the planes.
        layout: Of the planes.
        colour: What their YUV means.
    """
    if not residual:
        return
    white = 255 if layout.bits == 8 else 65535
    if layout.is_rgb or layout.is_grey:
        for index, change in zip(layout.order, residual, strict=True):
            _add(planes[index], change * np.float32(layout.top / white), layout.top)
        return
    red, _, blue = colour.weights
    luma_levels, chroma_levels = _levels(layout, colour)
    luma = sum((change * np.float32(weight) for change, weight in zip(residual, colour.weights, strict=True)), _zero)
    to_luma, to_blue, to_red = (planes[index] for index in layout.order)
    for plane, change, weight in ((to_blue, residual[2], blue), (to_red, residual[0], red)):
        factor = np.float32(chroma_levels / white / (2.0 * (1.0 - weight)))
        _add(plane, _reduced((change - luma) * factor, plane.shape), layout.top)
    _add(to_luma, luma * np.float32(luma_levels / white), layout.top)


_zero = np.zeros((), np.float32)


def _levels(layout: Layout, colour: Colour) -> tuple[int, int]:
    """Return the number of levels from black to white, and from the least to the greatest chroma."""
    if colour.is_full_range:
        return layout.top, layout.top
    step = 1 << (layout.bits - 8)
    return 219 * step, 224 * step


def _reduced(values: npt.NDArray[np.float32], size: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Average values to the size of a chroma plane.

    Across, a chroma sample sits on every second luma sample (as in MPEG-2 and all since), so its neighbours on both
    sides count equally; down, it sits between two rows.
    """
    down, across = (-(-full // part) for full, part in zip(values.shape, size, strict=True))
    if down > 1:
        values = np.pad(values, ((0, size[0] * down - values.shape[0]), (0, 0)), mode="edge")
        values = np.add.reduce([values[row::down] for row in range(down)]) * np.float32(1 / down)
    if across == 2:
        padded = np.pad(values, ((0, 0), (1, 2)), mode="edge")
        left, middle, right = (padded[:, start::2][:, : size[1]] for start in range(3))
        values = (left + right) * np.float32(0.25) + middle * np.float32(0.5)
    elif across > 2:
        values = np.pad(values, ((0, 0), (0, size[1] * across - values.shape[1])), mode="edge")
        values = np.add.reduce([values[:, column::across] for column in range(across)]) * np.float32(1 / across)
    return values


def _add(plane: Plane, change: npt.NDArray[np.float32], top: int) -> None:
    values = np.rint(change)
    values += plane
    np.clip(values, 0, top, out=values)
    plane[...] = values
