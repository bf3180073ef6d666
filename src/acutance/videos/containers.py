"""Kinds of files that videos are written to: chosen by the target's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from acutance.errors import WrongName
from acutance.videos.settings import CodecName


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A kind of file."""

    muxer: str
    """FFmpeg's name of what writes it."""
    label: str
    """Its name in a sentence."""
    codecs: tuple[CodecName, ...]
    """Codecs that players expect in it; the first is taken where the source's own cannot be."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the muxer."""
    has_timestamps: bool = True
    """Whether every frame has a time of its own; else the frame rate is constant."""
    is_never_negative: bool = False
    """Whether no time in it may lie before zero, that of decoding included."""


_MP4 = Container(
    muxer="mp4",
    label="MP4",
    codecs=("h264", "h265", "av1", "vp9", "mpeg4", "mjpeg"),
)
_TS = Container(muxer="mpegts", label="MPEG-TS", codecs=("h264", "h265"), is_never_negative=True)
_M2TS = replace(_TS, options={"mpegts_m2ts_mode": "1"})
_ASF = Container(muxer="asf", label="Windows Media", codecs=("mpeg4",), is_never_negative=True)

CONTAINERS: Mapping[str, Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container(
        muxer="mov",
        label="QuickTime",
        codecs=("h264", "h265", "prores", "mjpeg", "mpeg4", "av1"),
    ),
    ".mkv": Container(
        muxer="matroska",
        label="Matroska",
        codecs=("h264", "h265", "av1", "vp9", "ffv1", "prores", "mpeg4", "mjpeg"),
    ),
    ".webm": Container(muxer="webm", label="WebM", codecs=("vp9", "av1")),
    ".avi": Container(
        muxer="avi",
        label="AVI",
        codecs=("h264", "mpeg4", "mjpeg", "ffv1"),
        has_timestamps=False,
    ),
    ".ts": _TS,
    ".m2ts": _M2TS,
    ".mts": _M2TS,
    ".flv": Container(muxer="flv", label="FLV", codecs=("h264",), is_never_negative=True),
    ".3gp": Container(muxer="3gp", label="3GP", codecs=("h264", "mpeg4")),
    ".wmv": _ASF,
    ".asf": _ASF,
    ".mxf": Container(muxer="mxf", label="MXF", codecs=("h264", "prores")),
    ".nut": Container(
        muxer="nut",
        label="NUT",
        codecs=("ffv1", "h264", "h265", "av1", "vp9", "mpeg4", "mjpeg"),
        is_never_negative=True,
    ),
    ".y4m": Container(
        muxer="yuv4mpegpipe",
        label="Y4M",
        codecs=("raw",),
        has_timestamps=False,
    ),
}
"""By the ending of the name, in lower case."""


def container_of(path: Path) -> Container:
    """Return the kind of file that a name asks for.

    Raises:
        WrongName: When the ending says none.
    """
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        allowed = ", ".join(CONTAINERS)
        raise WrongName(f"{path}: the name of a video must end in one of {allowed}.") from None
