"""One video sharpened: a job's work only, since nobody waits for it. Frame by frame, from one file into another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from acutance.errors import AcutanceError
from acutance.media.video_formats import VIDEO_HEAD_BYTES, is_picture, sniff_video, video_suffix_of
from acutance.server.bounds import check_frame
from acutance.server.jobs import JobResult
from acutance.server.models import Models
from acutance.server.options import MEDIA_TYPES, SUFFIXES, Options
from acutance.server.refusals import Refused, Stopped, without_paths
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


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTask:
    """Sharpen a video into a file."""

    upload: Path
    target: Path
    """Its ending says what kind of file it is; what is finished of it is kept beside it, for a next run."""
    options: Options
    max_pixels: int
    """Of a frame; larger ones are refused before they are decoded."""

    def run(self, models: Models, stop: StopSignal, progress: Callable[[float], None]) -> JobResult:
        """Do it; see `Task.run`. No sentence names a path."""
        stop.start()
        try:
            _check_size(self.upload, self.max_pixels)
            return self._sharpened(models, stop, progress)
        except Stopped:
            raise
        except (AcutanceError, MemoryError, OSError) as error:
            raise without_paths(error, {self.upload: "the video", self.target: "the result"}) from error

    def _sharpened(self, models: Models, stop: StopSignal, progress: Callable[[float], None]) -> JobResult:
        from acutance.videos import VideoProgress, sharpen_video  # needs an extra

        def tell(seen: VideoProgress) -> None:
            stop.check()
            progress(seen.share or 0.0)

        choice = self.options.model
        ensemble = f", ensemble {choice.ensemble}" if choice.ensemble != 1 else ""
        with models.borrow(choice) as sharpener:
            made = sharpen_video(
                sharpener,
                self.upload,
                self.target,
                strength=self.options.strength,
                progress=tell,
                overwrite=True,
                resume_key=f"fidelity {choice.fidelity}, {choice.precision}{ensemble}",
            )
        return JobResult(
            media_type=VIDEO_TYPES[self.target.suffix],
            bytes=self.target.stat().st_size,
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
