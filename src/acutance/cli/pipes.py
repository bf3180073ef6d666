"""Standard input and output of `acutance sharpen`: one photo, or one video that passes through frame by frame."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from acutance.cli.console import say
from acutance.cli.file_report import FileReport
from acutance.cli.standard_streams import stdin_bytes, stdout_bytes
from acutance.cli.video_files import check_codec, shown_progress
from acutance.errors import ConfigError, InputError
from acutance.inference.picture_files import FileResult, sharpen_file, sharpened_content
from acutance.media import check_target
from acutance.media.pil import silence_libtiff
from acutance.media.video_formats import VIDEO_HEAD_BYTES, is_picture, sniff_video, video_suffix_of

if TYPE_CHECKING:
    from acutance.cli.sharpen_run import SharpenOptions
    from acutance.inference.sharpener import Sharpener
    from acutance.videos import VideoResult

PIPE = "-"

STREAMABLE = (".y4m", ".mkv", ".webm", ".nut", ".ts", ".m2ts", ".mts", ".flv")
"""Kinds of videos that can be written from front to end."""


def is_piped(paths: list[Path], output: Path | None, *, is_folder: bool = False, is_dry: bool = False) -> bool:
    """Say whether standard input or output takes part.

    Args:
        paths: What is read.
        output: Where the result goes.
        is_folder: Whether that is meant as a folder.
        is_dry: Whether it is only to be told what would be done.

    Raises:
        ConfigError: When it cannot in this way.
    """
    if PIPE not in {str(output), *map(str, paths)}:
        return False
    if is_dry:
        raise ConfigError("--dry-run: is for files and folders, not for pipes; leave it out.")
    if len(paths) != 1 or output is None:
        raise ConfigError(
            "- is stdin or stdout, for one photo or video, and what comes from stdin needs a place: acutance sharpen "
            "- -o out.jpg <in.jpg, acutance sharpen - -o - <in.jpg >out.jpg, or acutance sharpen in.jpg -o - >out.jpg"
        )
    if str(output) != PIPE and (is_folder or os.path.isdir(output)):
        raise ConfigError(f"{output} is a folder, and what comes from stdin has no name; name a file in it.")
    return True


def sharpen_pipe(sharpener: Sharpener, path: Path, output: Path, options: SharpenOptions) -> None:
    """Sharpen what comes from a file or from standard input, to standard output or to a file.

    Args:
        sharpener: The opened model.
        path: `-` is standard input.
        output: `-` is standard output. A file is written whole or not at all.
        options: What the user wants. Without a container, a video on standard output stays of its own kind.

    Raises:
        InputError: When it cannot be read.
        OutputError: When the file cannot be written.
        ConfigError: When that kind of video cannot be written to a pipe.
    """
    silence_libtiff()
    is_stdout = str(output) == PIPE
    if not is_stdout:
        check_target(output, overwrite=options.overwrite)
    with _opened(path) as source:
        head = source.peek(VIDEO_HEAD_BYTES) if hasattr(source, "peek") else b""
        if is_picture(head) or not sniff_video(head):
            options.video.refuse_any("this is none")
            start = time.perf_counter()
            if is_stdout:
                _photo_to_stdout(sharpener, source.read(), options)
            else:
                made = sharpen_file(
                    sharpener, source.read(), output, strength=options.strength, overwrite=options.overwrite
                )
                _tell(replace(made, seconds=time.perf_counter() - start), options)
        elif is_stdout:
            target = Path(f"stdout{_suffix(head, path, options.container)}")
            video = _sharpened_video(sharpener, source, stdout_bytes(), path, target, options)
            for note in () if options.quiet else (*video.found, *video.warnings):
                say(note)
        else:
            _tell(_video_to_file(sharpener, source, path, output, options), options)


def _photo_to_stdout(sharpener: Sharpener, content: bytes, options: SharpenOptions) -> None:
    """Sharpen a photo to standard output; what is said of it goes to stderr."""
    with sharpener.opened(content) as pictures:
        result, made = sharpened_content(sharpener, pictures, strength=options.strength)
    out = stdout_bytes()
    out.write(result)
    out.flush()
    for note in () if options.quiet else made.words:
        say(note)


def _video_to_file(
    sharpener: Sharpener, source: BinaryIO, path: Path, target: Path, options: SharpenOptions
) -> FileResult:
    start = time.perf_counter()
    video = _sharpened_video(sharpener, source, target, path, target, options)
    from acutance.videos.files import VideoFileResult

    return VideoFileResult(
        source=path,
        target=target,
        status="done",
        megapixels=video.frames * video.size.pixels / 1e6,
        seconds=time.perf_counter() - start,
        video=video,
    )


def _sharpened_video(
    sharpener: Sharpener, source: BinaryIO, target: BinaryIO | Path, path: Path, name: Path, options: SharpenOptions
) -> VideoResult:
    """Let a video pass, and show how far it is; the name says what kind of file is written."""
    settings = options.video.settings()
    from acutance.videos import sharpen_stream
    from acutance.videos.containers import container_of

    check_codec(settings, [name])
    with shown_progress(is_quiet=options.quiet) as report:
        return sharpen_stream(
            sharpener,
            source,
            target,
            container=container_of(name),
            strength=options.strength,
            settings=settings,
            overwrite=options.overwrite,
            progress=lambda done: report("stdin" if str(path) == PIPE else str(path), done),
        )


def _tell(result: FileResult, options: SharpenOptions) -> None:
    FileReport(1, as_json=options.as_json, can_resume=False, is_quiet=options.quiet).tell(result)


def _suffix(head: bytes, path: Path, container: str | None) -> str:
    """Return the ending that says what kind of video is written."""
    if container is None:
        own = video_suffix_of(head, path.suffix)
        return own.lower() if own.lower() in STREAMABLE else ".mkv"
    suffix = f".{container.lower().removeprefix('.')}"
    if suffix not in STREAMABLE:
        allowed = ", ".join(ending[1:] for ending in STREAMABLE)
        raise ConfigError(f"container {container}: cannot be written to a pipe; choose {allowed}.")
    return suffix


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == PIPE:
        yield stdin_bytes()
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    with file:
        yield file
