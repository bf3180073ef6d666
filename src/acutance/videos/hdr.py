"""What frames carry beside their pixels: rotation, the mastering display, light levels."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Literal, cast

from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

IN_CONTAINER = frozenset({"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "SPHERICAL", "STEREO3D", "ICC_PROFILE"})
"""What a container can hold of a whole stream, by PyAV's names."""

DOLBY_VISION = frozenset({"DOVI_RPU_BUFFER", "DOVI_METADATA"})
HDR10_PLUS = frozenset({"DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID"})

_RATIONALS = "=20i2I"
"""AVMasteringDisplayMetadata: red, green, blue, white (x, y each), least and greatest luminance as fractions; then
whether the colours and whether the luminances are known."""


def side_data_of(frame: VideoFrame) -> dict[str, bytes]:
    """Return what a frame carries, by PyAV's name of the kind; nothing if PyAV does not know one of the kinds."""
    try:
        items = cast(Iterable[SideData], frame.side_data)  # PyAV's stub knows one key only
        return {item.type.name: bytes(item) for item in items}
    except ValueError:
        return {}


def display_matrix_of(side_data: Mapping[str, bytes]) -> tuple[int, ...] | None:
    """Return the nine numbers that turn and mirror the picture; None when it is shown as it is."""
    content = side_data.get("DISPLAYMATRIX")
    return None if content is None else struct.unpack("=9i", content)


def hdr_parameters(side_data: Mapping[str, bytes], style: Literal["x264", "x265", "svt"] | None) -> str:
    """Return the parameters that make an encoder write mastering display and light levels; empty without either."""
    if style is None:
        return ""
    display = _mastering_display(side_data.get("MASTERING_DISPLAY_METADATA"), in_units=style != "svt")
    light = side_data.get("CONTENT_LIGHT_LEVEL")
    levels = "{},{}".format(*struct.unpack("=2I", light)) if light else ""
    names = {
        "x264": ("mastering-display", "cll"),
        "x265": ("master-display", "max-cll"),
        "svt": ("mastering-display", "content-light"),
    }[style]
    return ":".join(f"{name}={value}" for name, value in zip(names, (display, levels), strict=True) if value)


def _mastering_display(content: bytes | None, *, in_units: bool) -> str:
    """Return the mastering display in the way of x264 and x265: colours in 1/50000, luminance in 1/10000 cd/m².

    Args:
        content: The bytes of the side data.
        in_units: False gives plain decimals, as SVT-AV1 wants them.
    """
    if content is None:
        return ""
    *numbers, has_colours, has_luminance = struct.unpack_from(_RATIONALS, content)
    if not (has_colours and has_luminance):
        return ""
    values = [above / below if below else 0.0 for above, below in zip(numbers[::2], numbers[1::2], strict=True)]

    def text(value: float, unit: int) -> str:
        return str(round(value * unit)) if in_units else f"{value:.5f}"

    red, green, blue, white = (
        f"({text(values[2 * index], 50_000)},{text(values[2 * index + 1], 50_000)})" for index in range(4)
    )
    return f"G{green}B{blue}R{red}WP{white}L({text(values[9], 10_000)},{text(values[8], 10_000)})"
