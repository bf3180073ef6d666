"""A camera in, a sharper picture out, as it comes: when the machine is too slow, the latest frame is taken.

Three threads work at once: one reads the camera, one runs the network on the latest frame that has come, one encodes
and writes. Nothing waits in a queue but one frame, so what is shown is never older than two frames' work.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from acutance.errors import ImageTooLarge
from acutance.geometry import Size, in_pixels
from acutance.inference.sharpener import Sharpener
from acutance.media.reading import MORE_PIXELS
from acutance.videos.cameras import Arrival, Camera
from acutance.videos.channel import INTERRUPTIBLE_S, Cancelled, Channel
from acutance.videos.colour import tags_of
from acutance.videos.containers import CONTAINERS, Container
from acutance.videos.encoding import EncoderPlan
from acutance.videos.frames import (
    FrameFinisher,
    FramePreparer,
    PendingFrame,
    check_takes_frames,
    settled_on,
    sharpen_frame,
)
from acutance.videos.mailbox import Mailbox
from acutance.videos.reading import StreamChunk
from acutance.videos.recording import Recorder
from acutance.videos.settings import VideoSettings

_CAMERA_CODECS = ("h264", "hevc", "av1", "libdav1d")
"""Codecs that are kept; others are made for cameras that can do no better, and become the container's first."""

_RECENT_S = 10.0
"""Rates are measured over so long, up to now."""

_MOST_MOMENTS = 4096
"""Of rates: more are not remembered, since it may be that nobody asks for them in days."""

_RECENT_FRAMES = 256
"""Latencies are those of so many frames, up to now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStatus:
    """How a live run is doing."""

    seconds: float
    """Since it began."""
    received: int
    """Frames that have come."""
    written: int
    """Frames that were sharpened and written."""
    passed_over: int
    """Frames that a later one has overtaken, because the network was busy."""
    damaged: int
    """Frames that could not be decoded."""
    connections: int
    """How often the camera was connected."""
    received_per_s: float
    """Frames per second lately."""
    written_per_s: float
    latency_s: float | None
    """From when a frame had come and was decoded until it was encoded and written: the median of the last frames. What
    the camera and the network took before, nobody here can measure."""
    latency_95_s: float | None
    """19 of 20 frames were as fast or faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveResult:
    """What was made of a camera."""

    status: LiveStatus
    """At the end."""
    files: tuple[Path, ...]
    """That were written."""
    size: Size | None
    """Of the last frames; None when none came."""
    codec: str


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all frames of one connection have in common."""

    preparer: FramePreparer
    finisher: FrameFinisher
    plan: EncoderPlan
    sharpener: Sharpener


class _Counts:
    """Counts of a run, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin = time.monotonic()
        self.received = 0
        self.written = 0
        self._came: deque[float] = deque(maxlen=_MOST_MOMENTS)
        self._went: deque[float] = deque(maxlen=_MOST_MOMENTS)
        self._latencies: deque[float] = deque(maxlen=_RECENT_FRAMES)

    def receive(self) -> None:
        with self._lock:
            self.received += 1
            self._came.append(time.monotonic())

    def write(self, latency_s: float) -> None:
        with self._lock:
            self.written += 1
            self._went.append(time.monotonic())
            self._latencies.append(latency_s)

    def status(self, *, passed_over: int, damaged: int, connections: int) -> LiveStatus:
        """Sum up."""
        with self._lock:
            latencies = sorted(self._latencies)
            return LiveStatus(
                seconds=time.monotonic() - self._begin,
                received=self.received,
                written=self.written,
                passed_over=passed_over,
                damaged=damaged,
                connections=connections,
                received_per_s=_rate(self._came),
                written_per_s=_rate(self._went),
                latency_s=statistics.median(latencies) if latencies else None,
                latency_95_s=latencies[int(0.95 * (len(latencies) - 1))] if latencies else None,
            )


def _rate(moments: deque[float]) -> float:
    """Return how many moments there were per second lately; older ones are forgotten."""
    now = time.monotonic()
    while moments and now - moments[0] > _RECENT_S:
        moments.popleft()
    return (len(moments) - 1) / (moments[-1] - moments[0]) if len(moments) > 1 else 0.0


def sharpen_live(
    sharpener: Sharpener,
    source: str,
    target: str | Path | BinaryIO,
    *,
    suffix: str = ".mkv",
    strength: float = 1.0,
    settings: VideoSettings | None = None,
    segment_s: float | None = None,
    overwrite: bool = False,
    report: Callable[[LiveStatus], None] | None = None,
    tell: Callable[[str], None] = lambda words: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> LiveResult:
    """Sharpen what a camera sends, until it is told to stop.

    A frame that comes while the network is busy waits; if another comes before the network is free, it is passed over.
    The frames that are written keep the times at which they were taken. A connection that is lost is tried again, after
    1, 2, 4 … 30 s. Only the picture is written.

    Args:
        sharpener: The opened model.
        source: An address (`rtsp://…`), a device (`/dev/video0`), or a file, which is played at its own pace.
        target: A file, a pipe, or a folder where `segment_s` is given.
        suffix: What kind of video is written, as the ending of a name.
        strength: See `Sharpener.__call__`.
        settings: Codec and quality; the run ends by itself after `to_s` seconds.
        segment_s: A new file is begun so often.
        overwrite: Replace a file that exists.
        report: Takes how it is doing, some times a second, in the calling thread.
        tell: Takes a sentence when the connection is lost or back, from any thread.
        should_stop: Asked some times a second.

    Raises:
        InputError: When the camera cannot be opened at first, or sends no video, or frames of another size later on.
        OutputError: When the result cannot be written.
        ConfigError: When the model is for photos only.
        EngineError: When the network fails.
    """
    check_takes_frames(sharpener)
    settings = settings or VideoSettings()
    camera = Camera(source, tell=tell)
    run = _LiveRun(sharpener, camera, strength=strength, settings=settings, container=CONTAINERS[suffix], tell=tell)
    recorder = Recorder(
        Path(target) if isinstance(target, str) else target, suffix, segment_s=segment_s, overwrite=overwrite
    )
    run.work(recorder, report, should_stop)
    return LiveResult(status=run.status, files=tuple(recorder.files), size=run.size, codec=run.codec)


class _LiveRun:
    """The three threads, and what goes from one to the next."""

    def __init__(
        self,
        sharpener: Sharpener,
        camera: Camera,
        *,
        strength: float,
        settings: VideoSettings,
        container: Container,
        tell: Callable[[str], None],
    ) -> None:
        self._sharpener = sharpener
        self._tell = tell
        self._camera = camera
        self._strength = strength
        self._settings = settings
        self._container = container
        self._latest = Mailbox[tuple[Arrival, _Scene]]()
        self._sharpened = Channel[tuple[Arrival, _Scene, PendingFrame]](1)
        self._counts = _Counts()
        self.size: Size | None = None
        self.codec = ""

    @property
    def status(self) -> LiveStatus:
        """How it is doing."""
        camera = self._camera
        return self._counts.status(
            passed_over=self._latest.passed_over, damaged=camera.damaged, connections=camera.connections
        )

    def work(
        self, recorder: Recorder, report: Callable[[LiveStatus], None] | None, should_stop: Callable[[], bool]
    ) -> None:
        """Work until the camera ends, or until it is told to stop; what has been written is finished in any case."""

        def over(stage: Future[None]) -> None:
            self._latest.finish()
            if stage.exception() is not None:
                self._sharpened.cancel()

        with ThreadPoolExecutor(2, thread_name_prefix="acutance-live") as pool:
            stages = [pool.submit(self._read), pool.submit(self._write, recorder)]
            for stage in stages:
                stage.add_done_callback(over)
            try:
                self._sharpen(report, should_stop)
            except Cancelled:
                pass  # the stage that failed says why, below
            finally:
                self._camera.stop()
                self._sharpened.finish()
        for stage in stages:
            stage.result()

    def _sharpen(self, report: Callable[[LiveStatus], None] | None, should_stop: Callable[[], bool]) -> None:
        while not self._latest.is_finished and not should_stop():
            found = self._latest.take(INTERRUPTIBLE_S)
            if found is not None:
                arrival, scene = found
                if self._settings.to_s is not None and arrival.time_s >= self._settings.to_s:
                    return
                pending = scene.preparer.prepare(StreamChunk([], time=0, frame=arrival.frame))
                sharpen_frame(pending, scene.sharpener, self._strength)
                self._sharpened.put((arrival, scene, pending))
            if report is not None:
                report(self.status)

    def _read(self) -> None:
        scene: _Scene | None = None
        known: tuple[int, int, int] | None = None
        with closing(self._camera.frames()) as arrivals:
            for arrival in arrivals:
                self._counts.receive()
                kind = arrival.connection, arrival.frame.width, arrival.frame.height
                if scene is None or kind != known:
                    known, scene = kind, self._scene(arrival)
                self._latest.put((arrival, scene))

    def _write(self, recorder: Recorder) -> None:
        try:
            for arrival, scene, pending in self._sharpened:
                frame = scene.finisher.finish(pending)
                if frame is not None:
                    self.size = Size(frame.height, frame.width)
                    recorder.write(frame, arrival.time_s, scene.plan)
                    self._counts.write(time.monotonic() - arrival.arrived)
        except Cancelled:
            pass
        finally:
            recorder.finish()

    def _scene(self, arrival: Arrival) -> _Scene:
        """Look at the first frame of a connection."""
        frame, stream = arrival.frame, arrival.stream
        sharpener, words = settled_on(self._sharpener, frame)
        for sentence in words:
            self._tell(sentence)
        size = Size(frame.height, frame.width)
        if size.pixels > self._sharpener.max_pixels:
            raise ImageTooLarge(
                f"{self._camera.name} sends frames of {size.width}×{size.height} px, the limit is "
                f"{in_pixels(self._sharpener.max_pixels)}; {MORE_PIXELS} if you trust it."
            )
        preparer = FramePreparer(frame, tags_of(stream.codec_context), scale=self._sharpener.spec.scale)
        name = stream.codec_context.name
        plan = EncoderPlan(
            stream,
            preparer,
            self._settings,
            self._container,
            source_codec=name if name in _CAMERA_CODECS else "",
            is_live=True,
        )
        self.codec = plan.coding.encoder.label
        finisher = FrameFinisher(preparer.layout, preparer.colour, smoothing=self._settings.smoothing)
        return _Scene(preparer, finisher, plan, sharpener)
