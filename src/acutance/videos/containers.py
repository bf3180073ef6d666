"""Kinds of files that videos are written to: chosen by the target's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from acutance.errors import OutputError
from acutance.media.paths import MARK
from acutance.videos.settings import CodecName


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A kind of file."""

    muxer: str
    """FFmpeg's name of what writes it."""
    label: str
    """Its name in a sentence."""
    readers: frozenset[str]
    """FFmpeg's names of what reads it, as a demuxer's list of names contains them."""
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
    readers=frozenset({"mp4", "mov"}),
    codecs=("h264", "h265", "av1", "vp9", "mpeg4", "mjpeg"),
)
_TS = Container(
    muxer="mpegts", label="MPEG-TS", readers=frozenset({"mpegts"}), codecs=("h264", "h265"), is_never_negative=True
)
_M2TS = Container(
    muxer="mpegts",
    label="MPEG-TS",
    readers=frozenset({"mpegts"}),
    codecs=("h264", "h265"),
    options={"mpegts_m2ts_mode": "1"},
    is_never_negative=True,
)

_ASF = Container(
    muxer="asf", label="Windows Media", readers=frozenset({"asf"}), codecs=("mpeg4",), is_never_negative=True
)

CONTAINERS: Mapping[str, Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container(
        muxer="mov",
        label="QuickTime",
        readers=frozenset({"mov"}),
        codecs=("h264", "h265", "prores", "mjpeg", "mpeg4", "av1"),
    ),
    ".mkv": Container(
        muxer="matroska",
        label="Matroska",
        readers=frozenset({"matroska"}),
        codecs=("h264", "h265", "av1", "vp9", "ffv1", "prores", "mpeg4", "mjpeg"),
    ),
    ".webm": Container(muxer="webm", label="WebM", readers=frozenset({"webm"}), codecs=("vp9", "av1")),
    ".avi": Container(
        muxer="avi",
        label="AVI",
        readers=frozenset({"avi"}),
        codecs=("h264", "mpeg4", "mjpeg", "ffv1"),
        has_timestamps=False,
    ),
    ".ts": _TS,
    ".m2ts": _M2TS,
    ".mts": _M2TS,
    ".flv": Container(muxer="flv", label="FLV", readers=frozenset({"flv"}), codecs=("h264",), is_never_negative=True),
    ".3gp": Container(muxer="3gp", label="3GP", readers=frozenset({"3gp", "mov"}), codecs=("h264", "mpeg4")),
    ".wmv": _ASF,
    ".asf": _ASF,
    ".mxf": Container(muxer="mxf", label="MXF", readers=frozenset({"mxf"}), codecs=("h264", "prores")),
    ".nut": Container(
        muxer="nut",
        label="NUT",
        readers=frozenset({"nut"}),
        codecs=("ffv1", "h264", "h265", "av1", "vp9", "mpeg4", "mjpeg"),
        is_never_negative=True,
    ),
    ".y4m": Container(
        muxer="yuv4mpegpipe",
        label="Y4M",
        readers=frozenset({"yuv4mpegpipe"}),
        codecs=("raw",),
        has_timestamps=False,
    ),
}
"""By the ending of the name, in lower case."""


def container_of(path: Path) -> Container:
    """Return the kind of file that a name asks for.

    Raises:
        OutputError: When the ending says none.
    """
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        allowed = ", ".join(CONTAINERS)
        raise OutputError(f"{path}: the name of a video must end in one of {allowed}.") from None


def named_after(source: Path, readers: str) -> Path:
    """Return where the result of a video goes when nobody says, by what its content is.

    Args:
        source: The video.
        readers: FFmpeg's names of the demuxer that reads it. The ending is kept where it is true, or else names what
            the content is; what cannot be written becomes `.mkv`.
    """
    found = set(readers.split(","))
    own = CONTAINERS.get(source.suffix.lower())
    if own is not None and own.readers & found:
        return source.with_name(f"{source.stem}{MARK}{source.suffix}")
    suffix = next((ending for ending, container in CONTAINERS.items() if container.readers & found), ".mkv")
    return source.with_name(f"{source.stem}{MARK}{suffix}")
