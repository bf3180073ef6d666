"""One frame on its way: made ready for the network, sharpened, and changed accordingly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from acutance.errors import ConfigError, InputError
from acutance.geometry import Size
from acutance.imaging.picture import fill_transparent
from acutance.inference.sharpener import Sharpener
from acutance.videos.colour import (
    RGB_MATRIX,
    Colour,
    Converter,
    Residual,
    Rgb,
    Tags,
    add_residual,
    alpha_of,
    colour_of,
    residual_of,
    tags_of,
)
from acutance.videos.flicker import FlickerMeter, ResidualSmoother
from acutance.videos.hdr import display_matrix_of, side_data_of
from acutance.videos.planes import Layout, Plane, planar_name, planes_of
from acutance.videos.reading import StreamChunk


@dataclass(slots=True)
class PendingFrame:
    """A chunk of the file with its frame, at whatever stage that is."""

    chunk: StreamChunk
    frame: VideoFrame | None = None
    """Planar, of the size of the result, and ours to change; None repeats the last one, or shows none."""
    shown: Rgb | None = None
    """What the network is shown."""
    before: Rgb | None = None
    """The same at the size of the result."""
    after: Rgb | None = None
    """What the network gave."""
    is_interlaced: bool = False


class FramePreparer:
    """Brings frames into the form in which they are worked on. For one thread only."""

    def __init__(self, first: VideoFrame, tags: Tags, *, scale: int) -> None:
        """Look at the first frame.

        Args:
            first: As decoded.
            tags: What the stream says of its colours.
            scale: Of the model.

        Raises:
            InputError: When its pixel format or colours are not supported.
        """
        self.layout = Layout(planar_name(first.format.name))
        self.tags = tags.completed(tags_of(first))
        """What the video says of its colours."""
        self.colour = colour_of(first, self.tags)
        """What YUV means in this video."""
        self.side_data = side_data_of(first)
        """What it carries beside its pixels."""
        self.is_interlaced = first.interlaced_frame
        self.has_fields = self.is_interlaced and scale == 1
        """Whether the result is interlaced: what a field is, is lost in an enlarged frame."""
        self.size = Size(first.height * scale, first.width * scale)
        """Of the result."""
        self._source_size = first.width, first.height
        self._scale = scale
        self._converter = Converter()

    def tags_in(self, pixel_format: str) -> Tags:
        """Return the tags of the result; where RGB becomes YUV or the other way round, the matrix is another."""
        if VideoFormat(pixel_format).is_rgb:
            return replace(self.tags, matrix=RGB_MATRIX)
        if self.layout.is_rgb or self.tags.matrix == RGB_MATRIX:
            return replace(self.tags, matrix=self.colour.matrix)
        return self.tags

    def prepare(self, chunk: StreamChunk) -> PendingFrame:
        """Make a chunk ready.

        Raises:
            InputError: When the size of the frames has changed.
        """
        if chunk.frame is None:
            return PendingFrame(chunk)
        decoded, chunk.frame = chunk.frame, None
        if (decoded.width, decoded.height) != self._source_size:
            sizes = "from {} × {} to {} × {} px".format(*self._source_size, decoded.width, decoded.height)
            raise InputError(f"the size of the frames changes within the video, {sizes}; cut it there first.")
        frame = self._converter.to_format(decoded, self.layout.name, self.colour)
        frame.make_writable()
        self.tags.put_on(frame)
        shown = before = self._picture(frame)
        if self._scale > 1:
            frame = self._converter.to_format(frame, self.layout.name, self.colour, scale=self._scale)
            before = self._picture(frame)
        is_interlaced = decoded.interlaced_frame and self._scale == 1
        return PendingFrame(chunk, frame=frame, shown=shown, before=before, is_interlaced=is_interlaced)

    def _picture(self, frame: VideoFrame) -> Rgb:
        pixels = self._converter.to_rgb(frame, self.layout, self.colour)
        alpha = alpha_of(frame, self.layout)
        if alpha is None:
            return pixels
        return fill_transparent(cast(npt.NDArray[np.uint8], pixels), cast(npt.NDArray[np.uint8], alpha))  # or uint16


def check_takes_frames(sharpener: Sharpener) -> None:
    """Refuse models that are for photos only.

    Raises:
        ConfigError: When the model looks at a picture as a whole, for seconds, or results are to be signed.
    """
    if sharpener.settings.signed_by is not None:
        raise ConfigError("signing (--c2pa-certificate, signed_by): only photos are signed, not videos; leave it out.")
    if sharpener.spec.needs_whole:
        raise ConfigError(f"model {sharpener.spec.name}: is for photos, not for videos; choose another model.")


def settled_on(sharpener: Sharpener, first: VideoFrame) -> tuple[Sharpener, tuple[str, ...]]:
    """Return the sharpener for all frames, by a look at the first where no model was named, and what it saw.

    Of an interlaced video a field is looked at, as it is sharpened: two fields together have combs for edges.

    Raises:
        ConfigError: When a region is restored, and frames are not as they are looked at; or it lies outside of them.
    """
    is_two_fields = first.interlaced_frame and sharpener.spec.scale == 1
    if sharpener.region is not None and (is_two_fields or display_matrix_of(side_data_of(first)) is not None):
        how = "interlaced" if is_two_fields else "turned when it is shown"
        raise ConfigError(
            f"region {sharpener.region}: this video is {how}, where no region can be sharpened; leave it out, or write "
            "the video anew, upright and progressive, first."
        )
    pixels = cast(npt.NDArray[np.uint8], first.to_ndarray(format="rgb24"))
    return sharpener.for_frames(pixels[::2] if is_two_fields else pixels)


def sharpen_frame(pending: PendingFrame, sharpener: Sharpener, strength: float) -> None:
    """Run the network on a frame; the two fields of an interlaced frame are pictures of two moments, each by itself."""
    if pending.shown is None:
        return
    if not pending.is_interlaced:
        pending.after = _sharpened(pending.shown, sharpener, strength)
        return
    pending.after = np.empty_like(pending.shown)
    for field in (0, 1):
        pending.after[field::2] = _sharpened(pending.shown[field::2], sharpener, strength)


class FrameFinisher:
    """Puts what the network changed into the frames, in their order."""

    def __init__(self, layout: Layout, colour: Colour, *, smoothing: float) -> None:
        self._layout = layout
        self._colour = colour
        self._smoother = ResidualSmoother(smoothing)
        self.meter = FlickerMeter()

    def finish(self, pending: PendingFrame) -> VideoFrame | None:
        """Change the frame and return it; None when it has none."""
        if pending.frame is None or pending.before is None or pending.after is None:
            return None
        residual = self._smoother.smooth(pending.before, residual_of(pending.before, pending.after))
        self.meter.add(pending.before, residual)
        planes = planes_of(pending.frame, self._layout.dtype)
        for part, change in _fields(planes, residual) if pending.is_interlaced else [(planes, residual)]:
            add_residual(part, change, self._layout, self._colour)
        return pending.frame


def _fields(planes: list[Plane], residual: Residual) -> list[tuple[list[Plane], Residual]]:
    return [([plane[row::2] for plane in planes], [change[row::2] for change in residual]) for row in (0, 1)]


def _sharpened(pixels: Rgb, sharpener: Sharpener, strength: float) -> Rgb:
    return sharpener.sharpen_pixels(cast(npt.NDArray[np.uint8], pixels), strength=strength)  # or uint16
