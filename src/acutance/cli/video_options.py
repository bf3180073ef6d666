"""The options of `acutance sharpen` that only videos have."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.errors import ConfigError

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
        "--from",
        parser=moment,
        metavar="TIME",
        help="Begin at this time: seconds, 1:30 or 0:01:30.5.",
        rich_help_panel=PANEL,
    ),
]
To = Annotated[
    float | None,
    typer.Option("--to", parser=moment, metavar="TIME", help="End at this time; for a preview.", rich_help_panel=PANEL),
]
Codec = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto keeps the video's own; h264, h265, av1, vp9, prores, ffv1, mpeg4, mjpeg, raw (in y4m alone).",
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
        help="Calm flicker: the share of the last frame's change that is kept where nothing moves.",
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
        min=0.05,
        metavar="MINUTES",
        help="With --stream and a folder: begin a new file after so long; default 5.",
        rich_help_panel=PANEL,
    ),
]
ContainerName = Annotated[
    str | None,
    typer.Option(
        "--container",
        metavar="NAME",
        help="Kind of video on stdout: y4m (raw), mkv, webm, nut, ts, m2ts, mts, flv; in a camera's folder also mp4, "
        "mov and the others.",
        rich_help_panel=PANEL,
    ),
]


def quality_of(text: str) -> str | float:
    """Return a quality as the library takes it: a name, or a number."""
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOptions:
    """The options that say how a video is written and which part of it, as they were given."""

    codec: str = "auto"
    quality: str = "high"
    from_s: float = 0.0
    to_s: float | None = None
    smoothing: float = 0.0
    picture_only: bool = False

    @property
    def given(self) -> tuple[str, ...]:
        """The options that were given and ask for something."""
        asked = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        return tuple(f"--{name.removesuffix('_s').replace('_', '-')}" for name in asked)

    def refuse_any(self, why: str) -> None:
        """Refuse what was given.

        Args:
            why: It means nothing here, as the end of a sentence.

        Raises:
            ConfigError: When anything was.
        """
        if self.given:
            them = "it" if len(self.given) == 1 else "them"
            raise ConfigError(f"{', '.join(self.given)}: for videos, and {why}; leave {them} out.")

    def settings(self) -> VideoSettings:
        """Return the settings that the options stand for.

        Raises:
            JobError: When the extra is missing.
            ConfigError: When a value is unknown or out of range.
        """
        from acutance.videos import VideoSettings

        return VideoSettings(
            codec=self.codec,  # type: ignore[arg-type]  # checked there
            quality=quality_of(self.quality),  # type: ignore[arg-type]
            from_s=self.from_s,
            to_s=self.to_s,
            smoothing=self.smoothing,
            picture_only=self.picture_only,
        )
