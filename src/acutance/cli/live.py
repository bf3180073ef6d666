"""How `acutance sharpen --stream` follows a camera, and shows how it is doing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from acutance.cli.console import LINE_EVERY_S, is_terminal, say, status_line, stop_request
from acutance.cli.standard_streams import stdout_bytes
from acutance.cli.video_files import check_codec
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.cli.sharpen_run import SharpenOptions
    from acutance.inference.sharpener import Sharpener
    from acutance.videos.live import LiveStatus

DEFAULT_SEGMENT_S = 300.0
"""A file of a folder holds so much: not more is lost when the power is cut."""

PIPE = "-"


def follow_camera(
    sharpener: Sharpener,
    source: str,
    output: Path | None,
    options: SharpenOptions,
    *,
    is_folder: bool,
    segment_min: float | None,
) -> None:
    """Sharpen what a camera sends until Ctrl-C, which is the usual end.

    Args:
        sharpener: The opened model.
        source: The camera; see `acutance.videos.live.sharpen_live`.
        output: A file, a folder, or `-`.
        options: What the user wants.
        is_folder: Whether the output is meant as a folder in any case.
        segment_min: Minutes of a file in a folder.

    Raises:
        ConfigError: When the result cannot be where the user wants it.
        AcutanceError: See `sharpen_live`.
    """
    settings = options.video.settings()  # first of all, since the extra may be missing
    from acutance.videos.live import sharpen_live

    if output is None:
        raise ConfigError("a camera needs a place for its picture: -o out.mkv, a folder (-o recordings/), or -o - .")
    is_pipe = str(output) == PIPE
    is_folder = not is_pipe and (is_folder or os.path.isdir(output) or not output.suffix)
    if segment_min is not None and not is_folder:
        raise ConfigError("--segment: is for a folder, as in -o recordings/.")
    if options.container is not None and not (is_pipe or is_folder):
        raise ConfigError("--container: is for a folder or stdout; the name of a file says what kind of video it is.")
    if settings.from_s:
        raise ConfigError("--from: is not for a camera, which begins now; leave it out.")
    usual = "ts" if is_pipe else "mkv"  # of what players know, only MPEG-TS gives every frame at once
    suffix = _suffix(options.container or usual, own=None if is_pipe or is_folder else output)
    check_codec(settings, [Path(f"camera{suffix}")])
    segment_s = (60 * segment_min if segment_min is not None else DEFAULT_SEGMENT_S) if is_folder else None
    with stop_request("after the frame in work") as is_asked, _shown(as_json=options.as_json and not is_pipe) as report:
        result = sharpen_live(
            sharpener,
            source,
            stdout_bytes() if is_pipe else output,
            suffix=suffix,
            strength=options.strength,
            settings=settings,
            segment_s=segment_s,
            overwrite=options.overwrite,
            report=report,
            tell=say,
            should_stop=is_asked,
        )
    status = result.status
    if options.as_json and not is_pipe:
        row = {**asdict(status), "files": [str(path) for path in result.files], "codec": result.codec}
        typer.echo(json.dumps(row))
    for path in result.files:
        say(str(path))
    say(f"{status.written} of {status.received} frames sharpened, {status.passed_over} passed over; {_latency(status)}")


def _suffix(container: str, *, own: Path | None) -> str:
    """Return the ending that says the kind of file: that of a file's own name, or what was asked for."""
    from acutance.videos.containers import CONTAINERS, container_of

    if own is not None:
        container_of(own)
        return own.suffix.lower()
    suffix = f".{container.lower().removeprefix('.')}"
    if suffix not in CONTAINERS:
        raise ConfigError(f"container {container}: unknown; there are {', '.join(key[1:] for key in CONTAINERS)}.")
    return suffix


@contextmanager
def _shown(*, as_json: bool) -> Iterator[Callable[[LiveStatus], None]]:
    """Show how it is doing: as a line that changes on a terminal, else as one now and then."""
    last = time.monotonic()
    with status_line() as show:

        def report(status: LiveStatus) -> None:
            nonlocal last
            show(_words(status))
            if time.monotonic() - last < LINE_EVERY_S:
                return
            last = time.monotonic()
            if as_json:
                typer.echo(json.dumps(asdict(status)))
            elif not is_terminal():
                say(_words(status))

        yield report


def _words(status: LiveStatus) -> str:
    return (
        f"{status.received_per_s:.1f} frames/s come, {status.written_per_s:.1f} are sharpened, "
        f"{status.passed_over} passed over; {_latency(status)}"
    )


def _latency(status: LiveStatus) -> str:
    if status.latency_s is None or status.latency_95_s is None:
        return "latency not known yet"
    return f"latency {status.latency_s:.2f} s (95 % below {status.latency_95_s:.2f} s)"
