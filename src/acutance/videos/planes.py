"""Frames as NumPy arrays: one array per plane, and the planar format in which any frame can be worked on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from acutance.errors import InputError

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""Samples of one component, `h w`, in whole levels."""

_SUBSAMPLING = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (4, 1): "411", (4, 4): "410", (1, 2): "440"}
"""Luma samples per chroma sample, across and down, and how that is called."""

_PROBE_PX = 64
"""Divides by every subsampling there is."""


class Layout:
    """What the planes of a planar format hold."""

    def __init__(self, name: str) -> None:
        """Look a planar format up.

        Args:
            name: A format that `planar_name` returned.
        """
        components = VideoFormat(name, _PROBE_PX, _PROBE_PX).components
        self.name = name
        self.is_rgb = VideoFormat(name).is_rgb
        self.is_grey = len(components) == 1
        self.bits = components[0].bits
        colours = [component for component in components if not component.is_alpha]
        self.order = [component.plane for component in colours]
        """Indices of the planes of red, green and blue; or of luma and the two chromas."""
        self.alpha = next((component.plane for component in components if component.is_alpha), None)
        """Index of the plane of transparency."""
        self.dtype = "u1" if self.bits == 8 else "<u2"
        """Of the samples, as NumPy names it."""

    @property
    def top(self) -> int:
        """The largest level."""
        return int((1 << self.bits) - 1)


def planar_name(name: str) -> str:
    """Return the planar little-endian pixel format that holds the samples of another one exactly.

    Args:
        name: Of a pixel format, FFmpeg's, e.g. `nv12`.

    Raises:
        InputError: When there is none: floating-point numbers, sensor data, XYZ.
    """
    pixel_format = VideoFormat(name, _PROBE_PX, _PROBE_PX)
    components = pixel_format.components
    bits = max(component.bits for component in components)
    if pixel_format.is_bayer or bits > 16 or "f16" in name or name.startswith(("xyz", "ya")):
        raise InputError(f"pixel format {name}: is not supported; convert the video to yuv444p10 or gbrp first.")
    alpha = "a" if any(component.is_alpha for component in components) else ""
    if pixel_format.is_rgb or pixel_format.has_palette:
        found = f"gbr{alpha}p"
    elif len(components) == 1:
        found = "gray"
    else:
        across = _PROBE_PX // components[1].width
        down = _PROBE_PX // components[1].height
        found = f"yuv{alpha}{_SUBSAMPLING[across, down]}p"
    return found if bits <= 8 else f"{found}{bits}le"


def planes_of(frame: VideoFrame, dtype: str) -> list[Plane]:
    """Return views of a planar frame's planes, `h w` each; what is written to them is written to the frame."""
    views: list[Plane] = []
    for plane in frame.planes:
        rows: Plane = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : plane.width]
        views.append(rows[::-1] if plane.line_size < 0 else rows)
    return views


def packed_view(frame: VideoFrame) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Return an `rgb24` or `rgb48le` frame's pixels as an `h w 3` view."""
    (plane,) = frame.planes
    rows: Plane = np.frombuffer(memoryview(plane), "u1" if frame.format.name == "rgb24" else "<u2")
    rows = rows.reshape(plane.height, -1)[:, : 3 * plane.width]
    return rows.reshape(plane.height, plane.width, 3)
