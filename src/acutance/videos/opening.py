"""Opening a video, and telling what is one: by content, never by name."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.codec.codec import UnknownCodecError
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from acutance.errors import InputError
from acutance.media.boxes import boxes_of
from acutance.media.formats import HEAD_BYTES
from acutance.media.paths import MARK
from acutance.media.video_formats import is_picture, video_suffix_for

_READERS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "avi",
    "mpegts",
    "mpeg",
    "flv",
    "asf",
    "mxf",
    "ogg",
    "nut",
    "rm",
    "dv",
    "gxf",
    "wtv",
    "ivf",
    "h264",
    "hevc",
    "obu",
    "m4v",
    "mpegvideo",
    "vc1",
    "yuv4mpegpipe",
)
"""What may be read. Lists of other files (HLS, DASH, concat) would let a file name any other one; pictures and text are
no videos."""

_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file",
    IsADirectoryError: "it is a folder",
    PermissionError: "reading is not allowed",
}


def is_video(path: Path) -> bool:
    """Say whether a file is a video that can be opened: whether its content is, whatever its name says.

    Pictures (animated ones, too), sounds with a cover picture, and anything damaged beyond opening are not.
    """
    try:
        with path.open("rb") as file:
            if is_picture(file.read(HEAD_BYTES)):
                return False
        with open_video(path) as container:
            return bool(video_streams(container))
    except (InputError, OSError):
        return False


def sharp_name(source: Path) -> Path:
    """Return where the result of a video goes when nobody says: `clip.mp4` → `clip.sharp.mp4` beside it.

    The ending is kept where it is true; what cannot be written becomes `.mkv`.
    """
    return source.with_name(f"{source.stem}{MARK}{video_suffix_for(source)}")


@contextmanager
def open_video(source: Path | BinaryIO) -> Iterator[InputContainer]:
    """Open a video for reading.

    Args:
        source: Its path, or an open stream of bytes.

    Raises:
        InputError: When it cannot be opened, or is nothing that is read.
    """
    name = str(source) if isinstance(source, Path) else "the input"
    if isinstance(source, Path):
        with suppress(OSError), source.open("rb") as file:
            if is_picture(file.read(HEAD_BYTES)):
                raise InputError(f"{name} is a picture, not a video.")
    options = {"format_whitelist": ",".join(_READERS)}
    try:
        # Without "file:" a name such as "http:x" would be an address; with the whitelist, nothing leads elsewhere.
        container = av.open(
            f"file:{source}" if isinstance(source, Path) else source,
            mode="r",
            container_options=options | {"protocol_whitelist": "file"} if isinstance(source, Path) else options,
            metadata_errors="surrogateescape",
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = next((words for kind, words in _REASONS.items() if isinstance(error, kind)), None)
        reason = reason or "it is not a video, or its beginning or index is damaged"
        raise InputError(f"{name} cannot be opened: {reason}.") from error
    try:
        yield container
    finally:
        container.close()


def has_fast_start(source: Path) -> bool:
    """Say whether a file of the MP4 family holds its index before its frames, so that a player may begin at once."""
    with suppress(OSError, EOFError, struct.error), source.open("rb") as file:
        end = file.seek(0, io.SEEK_END)
        kinds = (kind for kind, _, _ in boxes_of(file, 0, end) if kind in (b"moov", b"mdat"))
        return next(kinds, None) == b"moov"
    return False


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the moving pictures of a file, best first: neither covers nor thumbnails, nor what cannot be decoded."""
    best = container.streams.best("video")
    # Without a decoder there is no context, which the type of PyAV's attribute does not tell.
    found = [
        stream
        for stream in container.streams.video
        if not stream.disposition & _STILLS
        and cast(object, stream.codec_context) is not None
        and stream.codec_context.width > 0
    ]
    return sorted(found, key=lambda stream: (stream is not best, stream.index))


def alpha_decoder(video: VideoStream) -> VideoCodecContext | None:
    """Return a decoder that gives transparency where the usual one does not: VP8's and VP9's lies beside the picture.

    Returns:
        None where the stream has none, or no such decoder is there.
    """
    library = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(video.codec_context.name)
    if library is None or video.metadata.get("alpha_mode") != "1":
        return None
    with suppress(UnknownCodecError):
        context = cast(VideoCodecContext, CodecContext.create(library, "r"))
        context.extradata = video.codec_context.extradata
        return context
    return None
