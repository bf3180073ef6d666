"""When frames are shown: what the packets said of them, in order, in spite of mistakes in the file."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from fractions import Fraction

import av
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from acutance.errors import InputError

_LARGEST_JUMP_S = 1
"""A time that lies further back than this is no mistake of rounding."""

_MOST_BEHIND = 3
"""So many packets one after the other that are decoded earlier than one before them are no mistake, either: another
video begins, however short this one is."""

_ROUNDING_FRAMES = 2
"""By so much a packet may lie back because times are rounded, or written in a wrong order."""

_DECODING_ORDER = "avi"
"""A format that numbers packets in the order of decoding: in what order frames are shown only the decoder knows."""

_MAY_REORDER = ("h264", "hevc")
"""Codecs that may have B-frames. Of videos that have, or of these in any case, the library takes the packets in AVI to
be shown one frame after their number, that is, one frame behind the sound."""


class FrameTimes:
    """Times of the frames of one stream, in ticks; those that went into the decoder and have not come out are known."""

    def __init__(self, video: VideoStream, format_: str) -> None:
        """Begin.

        Args:
            video: The stream.
            format_: FFmpeg's name of the file's format.
        """
        self.time_base = video.time_base or Fraction(1, av.time_base)
        """Seconds per tick."""
        codec = video.codec_context
        self._has_order_only = format_ == _DECODING_ORDER and codec.has_b_frames
        self._is_late = self._has_order_only or (format_ == _DECODING_ORDER and codec.name in _MAY_REORDER)
        self._frame_ticks = max(1, round(1 / ((video.average_rate or 25) * self.time_base)))
        self._waiting: list[tuple[int, int]] = []
        self._clock: int | None = None
        self._latest: int | None = None
        self._num_behind = 0

    def expect(self, packet: Packet[Stream]) -> None:
        """Take down what a packet says, before it is decoded.

        Raises:
            InputError: When another video begins within the file.
        """
        self._check_goes_on(packet)
        if packet.pts is not None:
            packet.pts -= self._is_late
            if packet.size and not packet.is_discard:
                heapq.heappush(self._waiting, (packet.pts, packet.duration or 0))

    def before(self, time: int | None) -> Iterator[tuple[int, int]]:
        """Take out and yield times and durations of frames that should have come before a time, or of all."""
        while self._waiting and (time is None or self._waiting[0][0] < time):
            yield heapq.heappop(self._waiting)

    def drop(self, time: int) -> None:
        """Take out the frames of that time: they have come."""
        while self._waiting and self._waiting[0][0] == time:
            heapq.heappop(self._waiting)

    def of(self, frame: VideoFrame, *, is_sound: bool) -> int:
        """Return when a frame is shown: later than any before it, in spite of what the file says.

        Args:
            frame: As decoded.
            is_sound: Whether nothing was wrong with the file until now, so that as many frames come out as went in.

        Raises:
            InputError: When times jump back, as in files that were joined end to end.
        """
        time, last = frame.pts if frame.pts is not None else frame.dts, self._clock
        if self._has_order_only and is_sound and self._waiting:
            time = self._waiting[0][0]
        if last is None:
            time = 0 if time is None else time
        elif time is None:
            time = last + self._frame_ticks
        elif (last - time) * self.time_base > _LARGEST_JUMP_S:
            raise self._jumps_back(last)
        else:
            time = max(time, last + 1)
        self._clock = time
        return time

    def _check_goes_on(self, packet: Packet[Stream]) -> None:
        if packet.dts is None:
            return
        if self._latest is None or packet.dts >= self._latest - _ROUNDING_FRAMES * self._frame_ticks:
            self._num_behind = 0
            self._latest = max(packet.dts, self._latest or packet.dts)
            return
        self._num_behind += 1
        if self._num_behind >= _MOST_BEHIND:
            raise self._jumps_back(self._latest)

    def _jumps_back(self, time: int) -> InputError:
        return InputError(
            f"the times of the frames jump back at {float(time * self.time_base):.1f} s, as in files that were joined "
            "end to end; cut the file there, and sharpen the parts one by one."
        )
