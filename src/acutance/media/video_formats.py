"""Kinds of video files: recognised by content when reading, chosen by name when writing.

Nothing is decoded here, and no library of videos is needed, so that a video can be told from a photo, and its result
be named, where the extra `video` is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from acutance.media.formats import HEAD_BYTES, head_of, sniff_format

FileKind = Literal["photo", "video"]

VideoFormat = str
"""What a kind of files that videos are read from is called, in the tables below."""

_WRITTEN: Mapping[VideoFormat, tuple[str, ...]] = {
    "MP4": (".mp4", ".m4v", ".mov", ".3gp"),
    "QuickTime": (".mov", ".mp4", ".m4v", ".3gp"),
    "Matroska": (".mkv", ".webm"),
    "AVI": (".avi",),
    "MPEG-TS": (".ts", ".m2ts", ".mts"),
    "FLV": (".flv",),
    "Windows Media": (".wmv", ".asf"),
    "MXF": (".mxf",),
    "NUT": (".nut",),
    "Y4M": (".y4m",),
}
"""Suffixes under which a kind is written; the first is the one given to new files. The others become `.mkv`."""

WRITABLE_VIDEO_SUFFIXES = frozenset(suffix for suffixes in _WRITTEN.values() for suffix in suffixes)

_ANY_SUFFIX = ".mkv"
"""Of what holds nearly everything."""

SOURCE_CODE_SUFFIXES = frozenset((".ts", ".mts"))
"""Suffixes of videos that programs' sources have, too: in a folder, the content decides."""

VIDEO_SUFFIXES = WRITABLE_VIDEO_SUFFIXES - SOURCE_CODE_SUFFIXES | {
    ".3g2",
    ".dv",
    ".gxf",
    ".h264",
    ".h265",
    ".hevc",
    ".ivf",
    ".mpeg",
    ".mpg",
    ".ogv",
    ".rm",
    ".rmvb",
    ".vob",
    ".wtv",
}
"""Suffixes by which a file in a folder counts as a video."""

VIDEO_HEAD_BYTES = 400
"""How much of a file's beginning `sniff_video` wants to see: three packets of MPEG-TS."""

_SIGNATURES: tuple[tuple[int, bytes, VideoFormat], ...] = (
    *((4, box, "QuickTime") for box in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")),
    (0, b"\x1a\x45\xdf\xa3", "Matroska"),
    (8, b"AVI ", "AVI"),
    (0, b"FLV\x01", "FLV"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "MXF"),
    (0, b"nut/multimedia container\0", "NUT"),
    (0, b"YUV4MPEG2", "Y4M"),
    (0, b"\0\0\x01\xba", "MPEG-PS"),
    (0, b"OggS", "Ogg"),
    (0, b"DKIF", "IVF"),
    (0, b".RMF", "RealMedia"),
    (0, b"\0\0\x01\xb3", "elementary stream"),
    (0, b"\0\0\0\x01", "elementary stream"),
)
"""Offset, bytes there, and what such a file is."""

_PICTURE_BRANDS = (b"mif1", b"msf1")
"""Main brands of MP4-like files that are pictures, whatever else they say."""

_TS_PACKETS = ((0, 188), (4, 192))
"""Where MPEG-TS's first packet begins, and how far it is to the next; the second on camcorders and Blu-ray discs."""


def sniff_video(head: bytes) -> VideoFormat | None:
    """Return what kind of video a file seems to be, from its first `VIDEO_HEAD_BYTES` bytes; None for no video."""
    if is_picture(head):
        return None
    if head[4:8] == b"ftyp":
        return "QuickTime" if head[8:12] == b"qt  " else "MP4"
    for start, step in _TS_PACKETS:
        if head[start : start + 2 * step + 1 : step] == b"GGG":
            return "MPEG-TS"
    return next((name for place, sign, name in _SIGNATURES if head[place:].startswith(sign)), None)


def is_picture(head: bytes) -> bool:
    """Say whether a file is a picture, of those that are read and of those that are not, from its beginning."""
    is_heif = head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS
    return is_heif or sniff_format(head[:HEAD_BYTES]) is not None


def kind_of(path: Path) -> FileKind:
    """Return whether a file is a photo or a video: by its content; where that says neither, by its name.

    A file that is neither, or cannot be read, counts as a photo; reading it will say what is wrong.
    """
    head = head_of(path, VIDEO_HEAD_BYTES)
    if is_picture(head):
        return "photo"
    return "video" if sniff_video(head) or path.suffix.lower() in VIDEO_SUFFIXES else "photo"


def video_suffix_for(path: Path) -> str:
    """Return the suffix of the result of a video: its own, where that is true and can be written."""
    return video_suffix_of(head_of(path, VIDEO_HEAD_BYTES), path.suffix)


def video_suffix_of(head: bytes, suffix: str) -> str:
    """Return the same as `video_suffix_for`, of a video's beginning and what its name ends in."""
    found = sniff_video(head)
    suffixes = _WRITTEN.get(found, ()) if found else tuple(WRITABLE_VIDEO_SUFFIXES)
    if suffix.lower() in suffixes:
        return suffix
    return suffixes[0] if found and suffixes else _ANY_SUFFIX
