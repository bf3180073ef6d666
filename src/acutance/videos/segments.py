"""Segments: a long video is encoded in parts that are kept, so that a run that was stopped goes on where it was.

A segment is a file of packets with a line of JSON before them. It gets its name when it is whole, so what is there is
finished. Segments of another job, of another source or other settings, are recognised by their key and made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import get_args

from av.packet import Packet, PacketSideData, PktSideDataT
from av.stream import Stream
from av.video.frame import VideoFrame

from acutance.errors import OutputError
from acutance.media.atomic import not_written, write_atomically
from acutance.videos.encoding import EncoderPlan, FrameEncoder
from acutance.videos.flicker import FlickerMeter
from acutance.videos.reading import Damage
from acutance.videos.writing import writing

SEGMENT_FRAMES = 120
"""Some seconds of video: little is lost by a stop, and a key frame so often costs nothing."""

SEGMENT_BYTES = 64 << 20
"""A segment is held in memory until it is whole; lossless video fills it sooner."""

_PACKET = struct.Struct("<qqqIIB")
"""Time of showing, of decoding, duration, size, size of the transparency beside it, whether it is a key frame."""
_BESIDE: PktSideDataT = "matroska_block_additional"
"""Where the encoders of VP8 and VP9 put transparency: beside a packet."""
_VERSION = "3"
"""Of what a segment looks like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What is known of a finished segment."""

    frames: int
    concealed: int
    """Frames among them that repeat the one before."""
    last_time: int
    """Of its last frame, in ticks of the source."""
    last_ticks: int
    """Of the same, in ticks of the result."""
    lost_at_start: int
    """Frames of the video before the first that could be decoded, as far as they were met."""
    flicker_sum: float
    flicker_count: int
    is_uneven: bool


class SegmentStore:
    """The segments of one job, in a hidden folder beside its target."""

    def __init__(self, target: Path, key: str) -> None:
        """Look for segments that an earlier run has finished.

        Args:
            target: The result.
            key: Says what the result depends on.
        """
        self._folder = target.with_name(f".{target.name}.acutance-parts")
        self.target = target
        """The result."""
        self._key = hashlib.sha256(f"{_VERSION} {key}".encode("utf-8", "surrogateescape")).hexdigest()
        self.segments: list[Segment] = []
        """The finished ones, in order."""
        while (segment := self._found(len(self.segments))) is not None:
            self.segments.append(segment)

    @property
    def frames(self) -> int:
        """Frames in the finished segments."""
        return sum(segment.frames for segment in self.segments)

    def add(self, segment: Segment, packets: list[Packet[Stream]]) -> None:
        """Keep a finished segment.

        Raises:
            OutputError: When it cannot be written.
        """
        body = b"".join(part for packet in packets for part in _parts_of(packet))
        head = {"key": self._key, "sha256": hashlib.sha256(body).hexdigest(), "segment": asdict(segment)}
        line = json.dumps(head).encode() + b"\n"
        try:
            write_atomically(self._path(len(self.segments)), [line, body], overwrite=True)
        except OutputError as error:
            with suppress(OSError):
                self._folder.rmdir()  # if it is empty
            cause = error.__cause__
            # The person knows the result's name, not that of a part of it.
            raise not_written(self.target, cause) if isinstance(cause, OSError) else error from cause
        self.segments.append(segment)

    def packets(self, base: Fraction) -> Iterator[Packet[Stream]]:
        """Yield the packets of all segments.

        Args:
            base: Seconds per tick of their times.

        Raises:
            OutputError: When a segment cannot be read any more.
        """
        for number in range(len(self.segments)):
            path = self._path(number)
            try:
                body = path.read_bytes().partition(b"\n")[2]
            except OSError as error:
                raise OutputError(f"{path} cannot be read any more ({error.strerror}); run it again.") from error
            place = 0
            while place < len(body):
                pts, dts, duration, size, size_beside, is_key = _PACKET.unpack_from(body, place)
                place += _PACKET.size
                packet: Packet[Stream] = Packet(body[place : place + size])
                place += size
                if size_beside:
                    kind = get_args(PktSideDataT).index(_BESIDE)
                    beside = PacketSideData(kind, size_beside)  # type: ignore[call-arg]  # PyAV's stubs leave it out
                    beside.update(body[place : place + size_beside])
                    packet.set_sidedata(beside, move=True)
                    place += size_beside
                packet.pts, packet.dts, packet.duration, packet.is_keyframe = pts, dts, duration, bool(is_key)
                packet.time_base = base
                yield packet

    def remove(self) -> None:
        """Remove all segments, once the result is there."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.packets"

    def _found(self, number: int) -> Segment | None:
        """Return a segment if it is there, whole, and of this job."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            line, _, body = self._path(number).read_bytes().partition(b"\n")
            head = json.loads(line)
            if head["key"] == self._key and head["sha256"] == hashlib.sha256(body).hexdigest():
                return Segment(**head["segment"])
        return None


def _parts_of(packet: Packet[Stream]) -> tuple[bytes, bytes, bytes]:
    beside = bytes(packet.get_sidedata(_BESIDE)) if packet.has_sidedata(_BESIDE) else b""
    sizes = packet.size, len(beside), packet.is_keyframe
    return _PACKET.pack(packet.pts, packet.dts, packet.duration or 0, *sizes), bytes(packet), beside


class SegmentWriter:
    """A `Writer` that encodes a video in segments; what is copied is left to the end."""

    def __init__(self, store: SegmentStore, plan: EncoderPlan, *, meter: FlickerMeter, damage: Damage) -> None:
        """Begin behind the last finished segment.

        Args:
            store: Where they are kept.
            plan: How the frames are encoded.
            meter: Measures the flicker meanwhile.
            damage: What was wrong with the source so far.
        """
        self._store = store
        self._plan = plan
        self._meter = meter
        self._damage = damage
        self._encoder: FrameEncoder | None = None
        self._packets: list[Packet[Stream]] = []
        self._frames = self._concealed = self._last_time = self._bytes = 0
        self._flicker = (0.0, 0)

    def copy(self, packets: list[Packet[Stream]]) -> None:
        """Do nothing: other streams are copied when the segments are joined."""

    def show(self, frame: VideoFrame, time: int, duration: int) -> None:
        """Encode a frame, in a new segment when the last is long enough. Never does one begin with a repetition."""
        if self._frames >= SEGMENT_FRAMES or self._bytes >= SEGMENT_BYTES:
            self.finish()
        with writing(self._store.target):
            if self._encoder is None:
                before = self._store.segments[-1].last_ticks if self._store.segments else None
                self._encoder = FrameEncoder(self._plan, self._plan.opened(), after=before)
            packets = self._encoder.show(frame, time, duration)
        self._packets += packets
        self._bytes += sum(packet.size for packet in packets)
        self._frames += 1
        self._last_time = time

    def repeat(self, time: int, duration: int) -> None:
        """Encode the last frame again."""
        if self._encoder is not None:
            with writing(self._store.target):
                self._packets += self._encoder.repeat(time, duration)
            self._frames += 1
            self._concealed += 1
            self._last_time = time

    def finish(self) -> None:
        """Finish the segment that is being encoded."""
        if self._encoder is None:
            return
        with writing(self._store.target):
            self._packets += self._encoder.flush()
        flicker = self._meter.sums
        segment = Segment(
            frames=self._frames,
            concealed=self._concealed,
            last_time=self._last_time,
            last_ticks=self._encoder.last_time or 0,
            lost_at_start=self._damage.lost_at_start,
            flicker_sum=flicker[0] - self._flicker[0],
            flicker_count=flicker[1] - self._flicker[1],
            is_uneven=self._encoder.is_uneven,
        )
        self._store.add(segment, self._packets)
        self._encoder, self._packets, self._flicker = None, [], flicker
        self._frames = self._concealed = self._bytes = 0
