"""One video sharpened: a job's work only, since nobody waits for it. Frame by frame, from one file into another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from acutance.errors import AcutanceError
from acutance.media.video_formats import VIDEO_HEAD_BYTES, is_picture, sniff_video, video_suffix_of
from acutance.server.bounds import check_frame
from acutance.server.jobs import JobResult
from acutance.server.models import Models
from acutance.server.options import MEDIA_TYPES, SUFFIXES, Options
from acutance.server.refusals import Refused, Stopped, answer_to
from acutance.server.stopping import StopSignal

VIDEO_TYPES: Mapping[str, str] = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
    ".ts": "video/mp2t",
    ".flv": "video/x-flv",
    ".wmv": "video/x-ms-wmv",
    ".mxf": "application/mxf",
    ".nut": "video/x-nut",
    ".y4m": "video/x-yuv4mpeg",
}
"""Media types of results, by the ending that they are written with."""


def suffix_of(media_type: str) -> str:
    """Return the ending of a result's name; nothing where its type is not known."""
    pictures = {MEDIA_TYPES[format_]: suffix for format_, suffix in SUFFIXES.items()}
    videos = {type_: suffix for suffix, type_ in VIDEO_TYPES.items()}
    return {**pictures, **videos}.get(media_type, "")


def takes_videos() -> bool:
    """Say whether the extra by which videos are read is installed."""
    return find_spec("av") is not None


def is_video(head: bytes) -> bool:
    """Say whether a file is a video, from its first `VIDEO_HEAD_BYTES` bytes."""
    return not is_picture(head) and sniff_video(head) is not None


def head_for_videos(path: Path) -> bytes:
    """Return as much of a file as it takes to tell a video."""
    with path.open("rb") as file:
        return file.read(VIDEO_HEAD_BYTES)


def video_type_of(head: bytes) -> str:
    """Return the media type of a result, from its beginning."""
    return VIDEO_TYPES.get(video_suffix_of(head, ""), "application/octet-stream")


def sharpen_video_upload(
    upload: Path,
    target: Path,
    options: Options,
    *,
    models: Models,
    max_pixels: int,
    stop: StopSignal,
    progress: Callable[[float], None],
) -> JobResult:
    """Sharpen a video into a file. What is finished of it is kept beside the target, so that a next run goes on there.

    Args:
        upload: The video.
        target: The result; its ending says what kind of file it is.
        options: What is asked for.
        models: Where the sharpener comes from.
        max_pixels: Of a frame; larger ones are refused before they are decoded.
        stop: Looked at after each frame.
        progress: Called with the share of frames done.

    Returns:
        Facts about the result.

    Raises:
        Refused: When it cannot be done; the sentence names no path.
        Stopped: When it was asked for.
    """
    stop.start()
    try:
        _check_size(upload, max_pixels)
        return _sharpened(upload, target, options, models=models, stop=stop, progress=progress)
    except Stopped:
        raise
    except (AcutanceError, MemoryError, OSError) as error:
        answer = answer_to(error)
        detail = answer.detail.replace(str(upload), "the video").replace(str(target), "the result")
        raise Refused(answer.status, answer.error, detail, retry_after_s=answer.retry_after_s) from error


def _sharpened(
    upload: Path,
    target: Path,
    options: Options,
    *,
    models: Models,
    stop: StopSignal,
    progress: Callable[[float], None],
) -> JobResult:
    from acutance.videos import VideoProgress, sharpen_video  # needs an extra

    choice = options.model

    def tell(seen: VideoProgress) -> None:
        stop.check()
        progress(seen.share or 0.0)

    ensemble = f", ensemble {choice.ensemble}" if choice.ensemble != 1 else ""
    with models.borrow(choice) as sharpener:
        made = sharpen_video(
            sharpener,
            upload,
            target,
            strength=options.strength,
            progress=tell,
            overwrite=True,
            resume_key=f"fidelity {choice.fidelity}, {choice.precision}{ensemble}",
        )
    return JobResult(
        media_type=VIDEO_TYPES[target.suffix],
        bytes=target.stat().st_size,
        seconds=made.seconds,
        megapixels=made.frames * made.size.pixels / 1e6,
        lost=made.warnings,
        found=made.found,
    )


def _check_size(upload: Path, max_pixels: int) -> None:
    """Refuse a video of too large frames.

    Raises:
        InputError: When it is no video, or cannot be opened.
        Refused: When its frames are too large.
    """
    from acutance.videos.opening import open_video, video_streams

    with open_video(upload) as opened:
        for stream in video_streams(opened):
            width, height = stream.codec_context.width, stream.codec_context.height
            check_frame(width, height, "the video")
            if width * height > max_pixels:
                raise Refused(
                    413,
                    "image_too_large",
                    f"the video's frames have {width} × {height} pixels: more than the {max_pixels} that are allowed.",
                )
