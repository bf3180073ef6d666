"""Standard input and output of `acutance sharpen`: one photo, or one video that passes through frame by frame."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from acutance.cli.console import say
from acutance.cli.file_report import readable
from acutance.cli.video_files import shown_progress
from acutance.errors import ConfigError, InputError
from acutance.media.video_formats import VIDEO_HEAD_BYTES, is_picture, sniff_video, video_suffix_of

if TYPE_CHECKING:
    from acutance.cli.sharpen_run import Order
    from acutance.inference.sharpener import Sharpener

PIPE = "-"

STREAMABLE = (".y4m", ".mkv", ".webm", ".nut", ".ts", ".m2ts", ".mts", ".flv")
"""Kinds of videos that can be written from front to end."""


def is_piped(paths: list[Path], output: Path | None) -> bool:
    """Say whether standard input or output takes part.

    Raises:
        ConfigError: When it cannot in this way.
    """
    if PIPE not in {str(output), *map(str, paths)}:
        return False
    if len(paths) != 1 or str(output) != PIPE:
        raise ConfigError(
            "- is stdin or stdout, for one photo or video, and what comes from stdin goes to stdout: acutance sharpen "
            "- -o - <in.jpg >out.jpg, or acutance sharpen in.jpg -o - >out.jpg"
        )
    return True


def sharpen_pipe(sharpener: Sharpener, path: Path, order: Order) -> None:
    """Sharpen what comes from a file or from standard input, to standard output.

    Args:
        sharpener: The opened model.
        path: `-` is standard input.
        order: What the user wants. Without a container, a video stays of its own kind.

    Raises:
        InputError: When it cannot be read.
        ConfigError: When that kind of video cannot be written to a pipe.
    """
    with _opened(path) as source:
        head = source.peek(VIDEO_HEAD_BYTES) if hasattr(source, "peek") else b""
        if is_picture(head) or not sniff_video(head):
            sys.stdout.buffer.write(sharpener(source.read(), strength=order.strength))
            return
        settings = order.video_settings()
        from acutance.videos import sharpen_stream
        from acutance.videos.containers import CONTAINERS

        with shown_progress() as report:
            result = sharpen_stream(
                sharpener,
                source,
                sys.stdout.buffer,
                container=CONTAINERS[_suffix(head, path, order.container)],
                strength=order.strength,
                settings=settings,
                progress=lambda done: report("stdin" if str(path) == PIPE else readable(str(path)), done),
            )
    for note in result.warnings:
        say(readable(note))


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
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    with file:
        yield file
