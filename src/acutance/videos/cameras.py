"""Cameras: a stream from the network, a device, or a file that is played at its own pace; connected again when lost.

A camera does not wait, so its frames are read as they come, in a thread of their own, and put on a time axis that goes
on over a lost connection: that of the clock on the wall, in seconds since the run began.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from acutance.errors import InputError
from acutance.videos.opening import open_video, video_streams

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""Between two attempts to connect; it doubles from the first to this."""

SILENCE_S = 10.0
"""A camera that sends nothing for so long counts as lost."""

PROBE_S = 1
"""So long a camera is listened to, at most, to learn what it sends; the library's own 5 s would be waited for at every
connection."""

_LARGEST_DRIFT_S = 2.0
"""Where a camera's times lie further from the clock than this, they have jumped, and begin anew."""

_PROTOCOLS = "rtsp,rtsps,rtmp,rtmps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto"
"""What an address may lead to: nothing on this disk, whatever a camera answers."""

_USER = re.compile(r"(?<=://)[^/?#\s]*@")
"""Name and password in an address: all up to the last @, as FFmpeg takes it, since passwords may hold others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A frame of a camera."""

    frame: VideoFrame
    stream: VideoStream
    """Whose frame it is; for the thread that reads only."""
    connection: int
    """How often the camera had been connected when it came, from 1."""
    time_s: float
    """When it was taken, in seconds since the run began, as far as that can be known."""
    arrived: float
    """When it had come and was decoded, by `time.monotonic`."""


class Camera:
    """One camera."""

    def __init__(self, source: str, *, tell: Callable[[str], None]) -> None:
        """Find out what kind of camera it is.

        Args:
            source: An address (`rtsp://…`), a device (`/dev/video0`), or a file.
            tell: Takes a sentence whenever the connection is lost or back.

        Raises:
            InputError: When there is no such file or device.
        """
        self.name = without_password(source)
        """For sentences."""
        self._source = source
        self._tell = tell
        self._stop = threading.Event()
        self._begin = time.monotonic()
        self._last_s = -1.0
        self._offset_s: float | None = None
        self.connections = 0
        """How often it was connected."""
        self.damaged = 0
        """Frames that could not be decoded."""
        is_address = "://" in source
        self._is_file = not is_address and Path(source).is_file()
        if not (is_address or self._is_file or _is_device(source)):
            raise InputError(
                f"{source}: there is no such file or device; give an address such as rtsp://camera/stream, a device "
                "such as /dev/video0, or a file."
            )

    def stop(self) -> None:
        """End the reading, from any thread; a camera that is silent ends it when it counts as lost."""
        self._stop.set()

    def frames(self) -> Generator[Arrival, None, None]:
        """Yield the frames as they come; end with the file, or when it is told to.

        Raises:
            InputError: When the first connection fails; later ones are tried until it is told to stop.
        """
        pause_s, is_lost = FIRST_PAUSE_S, False
        while not self._stop.is_set():
            try:
                with self._opened() as container:
                    for arrival in self._frames_of(container):
                        if is_lost:
                            self._tell(f"{self.name} is back.")
                        pause_s, is_lost = FIRST_PAUSE_S, False
                        yield arrival
                if self._is_file or self._stop.is_set():
                    return
                if self.connections == 0:
                    raise InputError(f"{self.name} sends no video that can be decoded.")
                reason = "it ended"
            except (InputError, av.FFmpegError) as error:
                if self.connections == 0 or self._is_file:
                    raise _refused(self.name, error) from error
                reason = _reason(error)
            is_lost = True
            self._tell(f"{self.name} is lost ({reason}); connecting again in {pause_s:g} s.")
            self._stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _opened(self) -> AbstractContextManager[InputContainer]:
        if self._is_file:
            return open_video(Path(self._source))
        return _open_live(self._source)

    def _frames_of(self, container: InputContainer) -> Iterator[Arrival]:
        videos = video_streams(container)
        if not videos:
            raise InputError(f"{self.name} sends no video that can be decoded.")
        stream = videos[0]
        stream.thread_type = "SLICE"  # threads that share out frames would hold some back
        self._offset_s = None
        is_first = True
        for packet in container.demux(stream):
            if self._stop.is_set():
                return
            try:
                frames = stream.decode(packet)
            except av.error.InvalidDataError:
                self.damaged += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.damaged += 1
                    continue
                if is_first:
                    self.connections += 1
                    is_first = False
                yield self._arrival(frame, stream)

    def _arrival(self, frame: VideoFrame, stream: VideoStream) -> Arrival:
        """Put a frame on the time axis; a file's is waited for."""
        own_s = None if frame.pts is None else float(frame.pts * (stream.time_base or Fraction(1, av.time_base)))
        now_s = time.monotonic() - self._begin
        if own_s is None:
            time_s = now_s
        else:
            if self._offset_s is None:
                self._offset_s = now_s - own_s
            time_s = own_s + self._offset_s
            if self._is_file:
                self._stop.wait(max(0.0, time_s - now_s))
            elif abs(time_s - now_s) > _LARGEST_DRIFT_S:
                self._offset_s, time_s = now_s - own_s, now_s
        self._last_s = max(time_s, self._last_s + 1e-4)
        return Arrival(
            frame=frame,
            stream=stream,
            connection=self.connections,
            time_s=self._last_s,
            arrived=time.monotonic(),
        )


def without_password(source: str) -> str:
    """Return an address without the name and the password in it."""
    return _USER.sub("", source)


def _is_device(source: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(source).st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def _open_live(source: str) -> Iterator[InputContainer]:
    """Open an address or a device with as little waiting as possible.

    Raises:
        av.FFmpegError: When it cannot be opened.
    """
    options = {"flags": "low_delay", "analyzeduration": str(PROBE_S * av.time_base), "fpsprobesize": "4"}
    reader = None
    if "://" in source:
        options["protocol_whitelist"] = _PROTOCOLS
        if source.startswith(("rtsp:", "rtsps:")):
            options["rtsp_transport"] = "tcp"  # what UDP loses on the way smears whole seconds
    else:
        reader = "v4l2" if sys.platform == "linux" else None
    container = av.open(
        source,
        mode="r",
        format=reader,
        container_options=options,
        timeout=(SILENCE_S, SILENCE_S),
        metadata_errors="ignore",
    )
    try:
        yield container
    finally:
        container.close()


def _refused(name: str, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(f"{name} cannot be opened: {_reason(error)}; check the address, the network and the password.")


def _reason(error: Exception) -> str:
    if isinstance(error, av.error.ExitError):
        return f"it has sent nothing for {SILENCE_S:g} s"
    return (error.strerror if isinstance(error, av.FFmpegError) else None) or without_password(str(error).rstrip("."))
