"""The options of `acutance sharpen` that only videos have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from acutance.videos.settings import VideoSettings

PANEL = "Videos"
"""Heading above these options in --help."""

_UNITS_S = (1, 60, 3600)
"""Of seconds, minutes and hours, as they stand from the right."""


def moment(text: str | float) -> float:
    """Return the seconds that `90`, `1:30` or `0:01:30.5` mean.

    Raises:
        typer.BadParameter: When it is none of these.
    """
    if not isinstance(text, str):
        return text  # the default, which is parsed, too
    parts = text.split(":")
    try:
        numbers = [*map(int, parts[:-1]), float(parts[-1])]
    except ValueError:
        numbers = [math.nan]
    is_clock = len(parts) <= 3 and all(0 <= number < 60 for number in numbers[1:])
    if not (is_clock and math.isfinite(numbers[0]) and numbers[0] >= 0):
        raise typer.BadParameter(f"{text!r} is no time; write seconds, 1:30 or 0:01:30.5.")
    return float(sum(number * unit for number, unit in zip(reversed(numbers), _UNITS_S, strict=False)))


From = Annotated[
    float,
    typer.Option(
        "--from", parser=moment, metavar="TIME", help="Begin there: seconds, 1:30 or 0:01:30.5.", rich_help_panel=PANEL
    ),
]
To = Annotated[
    float | None,
    typer.Option("--to", parser=moment, metavar="TIME", help="End there; for a preview.", rich_help_panel=PANEL),
]
Codec = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto keeps the video's own; h264, h265, av1, vp9, prores, ffv1, mpeg4, mjpeg.",
        rich_help_panel=PANEL,
    ),
]
Quality = Annotated[
    str,
    typer.Option(
        metavar="QUALITY",
        help="lossless, high, medium, small, or the encoder's own number (crf).",
        rich_help_panel=PANEL,
    ),
]
Smoothing = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=0.95,
        help="Calms flicker: how much of what was changed in the last frame stays where nothing moves.",
        rich_help_panel=PANEL,
    ),
]
PictureOnly = Annotated[
    bool, typer.Option("--picture-only", help="Leave out sounds, subtitles and all else.", rich_help_panel=PANEL)
]


Stream = Annotated[
    str | None,
    typer.Option(
        "--stream",
        metavar="CAMERA",
        help="Follow a camera until Ctrl-C: rtsp://…, /dev/video0, or a file that plays like one.",
        rich_help_panel=PANEL,
    ),
]
Segment = Annotated[
    float | None,
    typer.Option(
        min=0.05, metavar="MINUTES", help="With --stream and a folder: a new file so often; 5.", rich_help_panel=PANEL
    ),
]
ContainerName = Annotated[
    str | None,
    typer.Option(
        "--container",
        metavar="NAME",
        help="Kind of video in a pipe or a camera's folder: y4m (raw), mkv, nut, ts, mp4.",
        rich_help_panel=PANEL,
    ),
]


def quality_of(text: str) -> str | float:
    """Return a quality as the library takes it: a name, or a number."""
    try:
        return float(text)
    except ValueError:
        return text


def video_settings(
    *, codec: str, quality: str, from_s: float, to_s: float | None, smoothing: float, picture_only: bool
) -> VideoSettings:
    """Return the settings that the options stand for.

    Raises:
        JobError: When the extra is missing.
        ConfigError: When a value is unknown or out of range.
    """
    from acutance.videos import VideoSettings

    return VideoSettings(
        codec=codec,  # type: ignore[arg-type]  # checked there
        quality=quality_of(quality),  # type: ignore[arg-type]
        from_s=from_s,
        to_s=to_s,
        smoothing=smoothing,
        picture_only=picture_only,
    )
