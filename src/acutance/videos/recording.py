"""What is written of a camera: one file, a file every few minutes, or a pipe."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from acutance.errors import InputError
from acutance.geometry import Size
from acutance.media.atomic import temporary_beside
from acutance.videos.containers import CONTAINERS, Container
from acutance.videos.encoding import EncoderPlan, FrameEncoder
from acutance.videos.priority import open_encoder
from acutance.videos.writing import open_target, writing

_LONGEST_FILL_S = 2.0
"""A gap in a video of constant frame rate is filled with the last frame for so long."""


class _Recording:
    """One file, or the pipe."""

    def __init__(
        self, target: Path | BinaryIO, container: Container, plan: EncoderPlan, *, begin_s: float, overwrite: bool
    ) -> None:
        self.begin_s = begin_s
        self._plan = plan
        self._is_even = not container.has_timestamps
        self._last: int | None = None
        self._path = target if isinstance(target, Path) else Path("the output")
        with ExitStack() as stack:
            place = target
            if isinstance(target, Path):
                place, _ = stack.enter_context(temporary_beside(target, overwrite=overwrite))
            soon = replace(container, options={**container.options, "flush_packets": "1", **_prompt(container, target)})
            self._written = stack.enter_context(open_target(place, soon))
            with writing(self._path):
                self._written.metadata["creation_time"] = datetime.now(UTC).isoformat()
                self._stream = self._written.add_stream(plan.coding.encoder.library, rate=plan.rate)
                context = cast(VideoStream, self._stream).codec_context
                plan.set_up(context)
                self._stream.time_base = plan.base
                open_encoder(context, strict=False)
            self._encoder = FrameEncoder(plan, context)
            self._stack = stack.pop_all()

    def write(self, frame: VideoFrame, time_s: float) -> None:
        """Write a frame that was taken at a time of the run."""
        ticks = round((time_s - self.begin_s) / self._plan.source_base)
        with writing(self._path):
            if self._is_even:
                self._fill(ticks)
            self._mux(self._encoder.show(frame, ticks, 0))
        self._last = ticks

    def finish(self) -> None:
        """Write what is held back, and the end; give the file its name. When that fails, nothing is left of it."""
        with self._stack, writing(self._path):
            self._mux(self._encoder.flush())
            self._written.close()

    def _fill(self, ticks: int) -> None:
        """Repeat the last frame up to the next, where the container's frames have no times of their own."""
        if self._last is None:
            return
        step = 1 / (self._plan.rate * self._plan.source_base)
        longest = round(_LONGEST_FILL_S / self._plan.source_base)
        following = max(self._last, ticks - longest) + step
        while following < ticks - step / 2:
            self._mux(self._encoder.repeat(round(following), 0))
            following += step

    def _mux(self, packets: list[Packet[Stream]]) -> None:
        for packet in packets:
            packet.stream = self._stream
            self._written.mux_one(packet)


def _prompt(container: Container, target: Path | BinaryIO) -> dict[str, str]:
    """Return what makes Matroska, which gathers frames for seconds, give them at once into a pipe."""
    return (
        {"cluster_time_limit": "1"} if container.muxer in ("matroska", "webm") and not isinstance(target, Path) else {}
    )


class Recorder:
    """Writes the frames of a camera. For one thread only."""

    def __init__(self, target: Path | BinaryIO, suffix: str, *, segment_s: float | None, overwrite: bool) -> None:
        """Begin with nothing; the first file is made for the first frame.

        Args:
            target: A file, a pipe; or, with `segment_s`, a folder.
            suffix: What kind of files, as the ending of a name: one of `CONTAINERS`.
            segment_s: A new file is begun so often. Their names are the times of their first frames.
            overwrite: Replace a file that exists.
        """
        self._target = target
        self._suffix = suffix
        self._container = CONTAINERS[suffix]
        self._segment_s = segment_s
        self._overwrite = overwrite
        self._now: _Recording | None = None
        self._size: Size | None = None
        self.files: list[Path] = []
        """The files that were begun, in order."""

    def write(self, frame: VideoFrame, time_s: float, plan: EncoderPlan) -> None:
        """Write a frame.

        Args:
            frame: Sharpened.
            time_s: Of the run.
            plan: How it is encoded, if a new file is begun.

        Raises:
            InputError: When the camera's frames have another size than before, and there is one file for all.
            OutputError: When it cannot be written.
        """
        size = Size(frame.height, frame.width)
        if self._now is not None and size != self._size and self._segment_s is None:
            raise InputError(
                f"the camera sends frames of {size.width}×{size.height} px now; one file cannot hold both sizes: name "
                "a folder to record into."
            )
        is_over = (
            self._now is not None
            and self._segment_s is not None
            and (size != self._size or time_s - self._now.begin_s >= self._segment_s)
        )
        if is_over:
            self.finish()
        if self._now is None:
            self._size = size
            self._now = _Recording(self._next(), self._container, plan, begin_s=time_s, overwrite=self._overwrite)
        self._now.write(frame, time_s)

    def finish(self) -> None:
        """Finish the file that is being written."""
        now, self._now = self._now, None
        if now is not None:
            now.finish()

    def _next(self) -> Path | BinaryIO:
        if not isinstance(self._target, Path):
            return self._target
        path = self._target
        if self._segment_s is not None:
            name = time.strftime("%Y-%m-%d_%H-%M-%S")
            path = self._target / f"{name}{self._suffix}"
            number = 2
            while path.exists():
                path = self._target / f"{name}-{number}{self._suffix}"
                number += 1
        self.files.append(path)
        return path
