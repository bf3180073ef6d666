"""What a user can set about a video."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from acutance.errors import ConfigError

CodecName = Literal["h264", "h265", "av1", "vp9", "prores", "ffv1", "mpeg4", "mjpeg", "raw"]
"""Codecs that are written, by the names that people know them by."""

QualityName = Literal["lossless", "high", "medium", "small"]

LARGEST_SMOOTHING = 0.95
"""More would carry a frame's details over hundreds of frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """How a video is written, and which part of it.

    Examples:
        >>> VideoSettings(codec="h265", from_s=10, to_s=15).quality
        'high'
    """

    codec: CodecName | Literal["auto"] = "auto"
    """`auto` keeps the source's codec where it can be written and the target's container holds it."""
    quality: QualityName | float = "high"
    """`high` cannot be told from the frames that were encoded; `medium` and `small` take less room; `lossless` keeps
    every bit; a number is the encoder's own constant rate factor (H.264: 0 … 51, smaller is better)."""
    from_s: float = 0.0
    """Where a preview begins, in seconds from the start of the file."""
    to_s: float | None = None
    """Where a preview ends; None is the end of the file."""
    smoothing: float = 0.0
    """0 … 0.95: how much of what was changed in the previous frame is kept where nothing moves; calms flicker."""
    picture_only: bool = False
    """Leave out sounds, subtitles and all other streams."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: When a value is unknown or out of range.
        """
        codecs = ("auto", *get_args(CodecName))
        if self.codec not in codecs:
            raise ConfigError(f"codec {self.codec!r}: unknown; there are {', '.join(codecs)}.")
        qualities = get_args(QualityName)
        if isinstance(self.quality, str) and self.quality not in qualities:
            raise ConfigError(f"quality {self.quality!r}: unknown; there are {', '.join(qualities)}, or a number.")
        if not isinstance(self.quality, str) and not 0 <= self.quality <= 63:
            raise ConfigError(f"quality = {self.quality}: a rate factor must lie within 0 … 63.")
        if not (math.isfinite(self.from_s) and self.from_s >= 0):
            raise ConfigError(f"from = {self.from_s} s: must not be negative.")
        if self.to_s is not None and not self.to_s > self.from_s:
            raise ConfigError(f"to = {self.to_s} s: must lie behind the start, {self.from_s:g} s.")
        if self.to_s == math.inf:
            raise ConfigError(f"to = {self.to_s} s: must be a moment of the video; leave it out for all of it.")
        if not 0 <= self.smoothing <= LARGEST_SMOOTHING:
            raise ConfigError(f"smoothing = {self.smoothing}: must lie within 0 … {LARGEST_SMOOTHING}.")

    @property
    def is_preview(self) -> bool:
        """Whether only a part of the video is wanted."""
        return self.from_s > 0 or self.to_s is not None
