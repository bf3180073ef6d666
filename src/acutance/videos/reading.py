"""Reading a video: frames in order of their times, and between them the packets that are copied.

Frames that are damaged beyond use are replaced by a repetition of the one before, at their own times, so that nothing
after them moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from acutance.videos.copying import is_cover
from acutance.videos.frame_times import FrameTimes
from acutance.videos.opening import alpha_decoder
from acutance.videos.settings import VideoSettings

_MOST_PACKETS = 256
"""So many packets go ahead without a frame, so that they do not pile up."""

_LARGEST_OFFSET_S = 10
"""By so much sounds may lie behind the picture in a file."""

_SEEK_BACK_S = (0, 10, 60)
"""Some formats land behind the moment that is asked for; then an earlier one is tried."""


@dataclass(slots=True)
class StreamChunk:
    """A stretch of the file: packets to copy, then at most one frame."""

    packets: list[Packet[Stream]]
    time: int | None = None
    """When the frame is shown, in ticks of the video's time base; None when there is none."""
    duration: int = 0
    """How long, in ticks; 0 when the file does not say."""
    frame: VideoFrame | None = None
    """The frame; None repeats the one before."""


@dataclass(slots=True)
class Damage:
    """What was wrong with the file."""

    concealed: int = 0
    """Frames that were replaced by the one before."""
    lost_at_start: int = 0
    """Frames before the first one that could be decoded."""
    broken_off: str = ""
    """What the library said when the file could not be read to its end."""


class VideoReader:
    """Reads one file from front to end, once."""

    def __init__(
        self,
        container: InputContainer,
        video: VideoStream,
        *,
        copied: frozenset[int],
        settings: VideoSettings,
        after: int | None = None,
        is_decoding: bool = True,
    ) -> None:
        """Begin.

        Args:
            container: The opened file.
            video: The stream whose frames are wanted.
            copied: Numbers of the streams whose packets are wanted.
            settings: Which part of the file.
            after: Frames up to this time, in ticks of the video, are passed over: another run has done them.
            is_decoding: False gives the packets alone.
        """
        self._after = after
        self._is_decoding = is_decoding
        self._container = container
        self._video = video
        self._copied = copied
        self._times = FrameTimes(video, container.format.name)
        self.time_base = self._times.time_base
        """Seconds per tick of the video's times."""
        self.damage = Damage()
        self.hidden_frames = 0
        """Frames that an edit list of MP4 cuts away."""
        self._is_suspicious = False
        self._alpha_decoder = alpha_decoder(video)
        self._start_s = start = Fraction(container.start_time or 0, av.time_base)
        self.from_s = start + _exact(settings.from_s) if settings.from_s > 0 else None
        """Where the part begins, in the file's own time; None is the start of the file."""
        self.to_s = None if settings.to_s is None else start + _exact(settings.to_s)
        self._held: list[Packet[Stream]] = []
        self._last: int | None = None
        self._is_past_end = False
        self._unfinished = {stream.index for stream in container.streams.audio if stream.index in copied}

    @property
    def expected_frames(self) -> int | None:
        """How many frames there are to come, as far as the file tells."""
        if self.from_s is None and self.to_s is None and self._video.frames:
            return self._video.frames
        ends = [] if self.to_s is None else [self.to_s]
        if self._container.duration is not None:
            ends.append(self._start_s + Fraction(self._container.duration, av.time_base))
        rate = self._video.average_rate
        return round(max(min(ends) - (self.from_s or self._start_s), Fraction(0)) * rate) if ends and rate else None

    def __iter__(self) -> Iterator[StreamChunk]:
        """Yield the chunks in order.

        Raises:
            InputError: When times jump back, as in files that were joined end to end.
        """
        if self._after is not None:
            self._go_to(self._after)
        elif self.from_s is not None:
            self._go_to(round(self.from_s / self.time_base))
        for packet in self._packets():
            if packet.stream_index == self._video.index:
                yield from self._decoded(packet)
            elif packet.stream_index in self._copied and packet.size:
                self._hold(packet)
                if len(self._held) >= _MOST_PACKETS:
                    yield StreamChunk(self._released())
            if self._is_past_end and self._is_all_read(packet):
                break
        if not self._is_past_end:
            yield from self._missing(None)
        yield StreamChunk(self._released())

    def _go_to(self, wanted: int) -> None:
        """Move to the last key frame at or before a moment; cover pictures come again after every move."""
        first = self._video.start_time or 0
        places = [max(wanted - round(back / self.time_base), first) for back in _SEEK_BACK_S]
        for place, is_byte in (*((place, False) for place in dict.fromkeys((*places, first))), (0, True)):
            try:
                self._container.seek(place, stream=self._video, unsupported_byte_offset=is_byte)
                time = next((frame.pts for frame in self._container.decode(self._video)), None)
                if time is not None and time <= max(wanted, first):
                    self._container.seek(place, stream=self._video, unsupported_byte_offset=is_byte)
                    return
            except av.FFmpegError:
                continue
        with suppress(av.FFmpegError):  # raw streams have no times to go by: all is read, from the start
            self._container.seek(0, stream=self._video, unsupported_byte_offset=True)

    def _packets(self) -> Iterator[Packet[Stream]]:
        """Yield the packets; where the file cannot be read on, it ends, and the decoder gives what it still has."""
        try:
            yield from self._container.demux()
            return
        except av.FFmpegError as error:
            self.damage.broken_off = error.strerror or "damaged data"
        except IndexError:
            pass  # PyAV stumbles at the end of a file in which streams appeared late
        self._is_suspicious = True
        flush: Packet[Stream] = Packet()
        flush.stream = self._video
        yield flush

    def _decoded(self, packet: Packet[Stream]) -> Iterator[StreamChunk]:
        self.hidden_frames += packet.is_discard
        if not self._is_decoding and packet.dts is not None:
            self._is_past_end |= self._is_behind(packet.dts)
        if self._is_past_end or not self._is_decoding:
            return
        self._is_suspicious |= packet.is_corrupt
        self._times.expect(packet)
        try:
            if self._alpha_decoder is None:
                frames = self._video.decode(packet)
            else:
                frames = self._alpha_decoder.decode(packet if packet.size else None)
        except av.error.MemoryError:
            raise
        except av.FFmpegError:
            self._is_suspicious = True
            return
        for frame in frames:
            frame.time_base = self.time_base
            yield from self._shown(frame)

    def _shown(self, frame: VideoFrame) -> Iterator[StreamChunk]:
        """Yield a frame, and before it those that are missing; none outside the part that is wanted."""
        time = self._times.of(frame, is_sound=not self._is_suspicious)
        self._is_suspicious |= frame.is_corrupt
        yield from self._missing(time)
        self._times.drop(time)
        if self._is_before(time):
            return
        if self._is_behind(time):
            self._is_past_end = True
            return
        if frame.is_corrupt and self._last is not None:
            yield self._repeated(time, frame.duration)
        else:
            self._last = time
            yield StreamChunk(self._released(), time=time, duration=frame.duration, frame=frame)

    def _missing(self, time: int | None) -> Iterator[StreamChunk]:
        """Yield repetitions for frames that should have come out before a time.

        In a sound file they are frames that are never shown (of VP8, and what an edit list cuts away).
        """
        for missing, duration in self._times.before(time):
            if not self._is_suspicious or self._is_before(missing) or self._is_behind(missing):
                continue
            if self._last is None:
                self.damage.lost_at_start += 1
            elif missing > self._last:
                yield self._repeated(missing, duration)

    def _repeated(self, time: int, duration: int) -> StreamChunk:
        self.damage.concealed += 1
        self._last = time
        return StreamChunk(self._released(), time=time, duration=duration)

    def _is_before(self, time: int) -> bool:
        is_done = self._after is not None and time <= self._after
        return is_done or (self.from_s is not None and time * self.time_base < self.from_s)

    def _is_behind(self, time: int) -> bool:
        return self.to_s is not None and time * self.time_base >= self.to_s

    def _hold(self, packet: Packet[Stream]) -> None:
        """Keep a packet to copy, if it is of the part that is wanted."""
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None or (self.from_s is None and self.to_s is None) or is_cover(packet.stream):
            self._held.append(packet)
            return
        begin = time * packet.time_base
        if self.to_s is not None and begin >= self.to_s:
            self._unfinished.discard(packet.stream_index)
            return
        if self.from_s is not None and begin < self.from_s:
            first = -(-self.from_s // packet.time_base)  # a subtitle that is still shown is shown for the rest
            if packet.stream.type != "subtitle" or time + (packet.duration or 0) <= first:
                return
            packet.duration = time + (packet.duration or 0) - int(first)
            packet.pts = packet.dts = int(first)
        self._held.append(packet)

    def _is_all_read(self, packet: Packet[Stream]) -> bool:
        """Whether nothing of the part can follow, once the picture is beyond it."""
        if not self._unfinished:
            return True
        if self.to_s is None or packet.dts is None or packet.stream_index != self._video.index:
            return False
        return packet.dts * self.time_base > self.to_s + _LARGEST_OFFSET_S

    def _released(self) -> list[Packet[Stream]]:
        packets, self._held = self._held, []
        return packets


def _exact(seconds: float) -> Fraction:
    """Return the number that a person wrote: 0.2 is a fifth, not the float next to it."""
    return Fraction(seconds).limit_denominator(av.time_base)
