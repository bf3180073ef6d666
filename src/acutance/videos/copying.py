"""Streams that are not sharpened: their packets go from file to file as they are."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from acutance.errors import OutputError
from acutance.videos.containers import Container

if TYPE_CHECKING:
    from av.container.core import Chapter  # exists in PyAV's stubs only

_MUST_BE_KEPT = ("audio", "subtitle", "video")
"""Kinds of streams without which a result is worth less than an error."""

_DEEPEST_REORDERING = 16
"""Frames that any codec may hold back, at most."""

_OF_THE_FILE = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
"""Metadata that say what the file is; a new file has its own."""

_OF_THE_CODING = ("BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS", "SOURCE_ID")
"""Beginnings of Matroska's tags that describe how a stream was coded."""


class CopiedStreams:
    """The streams of a file that are copied into another one."""

    def __init__(
        self, source: InputContainer, video: VideoStream, container: Container, *, picture_only: bool = False
    ) -> None:
        """Sort the streams.

        Args:
            source: The file that is read.
            video: What is sharpened.
            container: What is written.
            picture_only: Copy none.

        Raises:
            OutputError: When a sound, a subtitle or another video cannot be held by the container.
        """
        self.streams: list[Stream] = []
        """What is copied."""
        self.lost: list[str] = []
        """What the container cannot hold, in words."""
        for stream in () if picture_only else source.streams:
            if stream.index == video.index or _is_made_again(stream, container):
                continue
            if (container.muxer == "matroska" and is_cover(stream)) or _can_hold(container, stream):
                self.streams.append(stream)
            elif stream.type in _MUST_BE_KEPT:
                other = (
                    "what the source ends in" if container.muxer == "matroska" else ".mkv or in what the source ends in"
                )
                raise OutputError(
                    f"{container.label} cannot hold stream {stream.index} ({stream.type}, {_codec(stream)}); give the "
                    f"result a name that ends in {other}, or leave all but the picture out (--picture-only, "
                    "picture_only)."
                )
            else:
                self.lost.append(f"stream {stream.index} ({stream.type}, {_codec(stream)})")
        self.indices = frozenset(stream.index for stream in self.streams)
        """Their numbers in the source."""
        self._is_matroska = container.muxer == "matroska"
        self._covers: dict[int, Packet[Stream]] = {}
        self._added: dict[int, Stream] = {}
        self._last: dict[int, int] = {}
        self.shift_s = Fraction(0)
        """By how much all times become earlier, for a preview."""
        self.mended = 0
        """How many packets were out of their order in time."""
        self.dropped = 0
        """How many packets were so damaged that they could not be written."""

    def add_to(self, target: OutputContainer, stream: Stream) -> None:
        """Add one of the streams to a file that is going to be written."""
        if stream.index in self._covers:
            target.add_attachment(*_named(stream), bytes(self._covers[stream.index]))
            return
        added = target.add_stream_from_template(stream)
        added.metadata.update(stream_metadata(stream, target.format.name))
        added.disposition = stream.disposition
        if stream.time_base:
            added.time_base = stream.time_base
        if target.format.name == "mpegts":
            added.id = stream.id
        self._added[stream.index] = added

    def take_covers(self, packets: Iterable[Packet[Stream]]) -> None:
        """Pick out cover pictures that Matroska wants as attachments, before the file is set up."""
        if self._is_matroska:
            for packet in packets:
                if is_cover(packet.stream):
                    self._covers[packet.stream_index] = packet

    def write(self, target: OutputContainer, packets: Iterable[Packet[Stream]]) -> None:
        """Write packets; content and times stay, but for a preview's shift."""
        for packet in packets:
            index = packet.stream_index
            if index not in self._added:
                continue  # a cover, which is an attachment now
            self._set_times(packet, index)
            packet.stream = self._added[index]
            try:
                target.mux_one(packet)
            except av.error.InvalidDataError:
                self.dropped += 1

    def _set_times(self, packet: Packet[Stream], index: int) -> None:
        """Shift the times; bring those of a damaged file into an order that can be written."""
        ticks = round(self.shift_s / packet.time_base) if self.shift_s and not is_cover(packet.stream) else 0
        pts, dts = packet.pts, packet.dts
        if dts is None:
            dts = self._guessed(packet, ticks)
        dts -= ticks
        if index in self._last and dts < self._last[index]:
            self.mended += 1
            dts = self._last[index] + 1
        self._last[index] = dts
        packet.dts = dts
        packet.pts = dts if pts is None else max(pts - ticks, dts)

    def _guessed(self, packet: Packet[Stream], ticks: int) -> int:
        """Return a time of decoding where the file has none: Matroska keeps only times of showing."""
        if packet.stream_index in self._last and (packet.pts is None or packet.stream.type == "video"):
            return self._last[packet.stream_index] + 1 + ticks
        if packet.pts is None:
            return ticks
        return packet.pts - _DEEPEST_REORDERING if packet.stream.type == "video" else packet.pts


def is_cover(stream: Stream) -> bool:
    """Say whether a stream is a picture that belongs to the file, not a video."""
    return bool(stream.disposition & Disposition.attached_pic)


def stream_metadata(stream: Stream, muxer: str, *, is_new_coding: bool = False) -> dict[str, str]:
    """Return the metadata of a stream that hold for the stream that is made from it."""
    metadata = {
        key: value
        for key, value in stream.metadata.items()
        if not key.startswith(_OF_THE_CODING) and not (is_new_coding and key.lower() in ("encoder", "alpha_mode"))
    }
    if muxer in ("mp4", "mov") and "name" in metadata:
        metadata.setdefault("title", metadata["name"])  # read under the one name, written under the other
    return metadata


def file_metadata(source: InputContainer) -> dict[str, str]:
    """Return the metadata of a file that hold for one that is made from it."""
    return {key: value for key, value in source.metadata.items() if key.lower() not in _OF_THE_FILE}


def chapters_between(source: InputContainer, from_s: Fraction, to_s: Fraction | None) -> list[Chapter]:
    """Return the chapters of a part of a file, cut to it, in times of that part."""
    chapters: list[Chapter] = []
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        start, end = max(chapter["start"] * base, from_s), chapter["end"] * base
        end = end if to_s is None else min(end, to_s)
        if start < end:
            ticks = [round((moment - from_s) / base) for moment in (start, end)]
            chapters.append({**chapter, "start": ticks[0], "end": ticks[1], "time_base": base})
    return chapters


def _is_made_again(stream: Stream, container: Container) -> bool:
    """Whether the muxer itself makes a stream from what else it is told: chapters, and the time code of MP4."""
    is_time_code = stream.type == "data" and "timecode" in stream.metadata and container.muxer in ("mp4", "mov")
    return is_time_code or stream.discard == Discard.all


def _named(stream: Stream) -> tuple[str, str]:
    """Return the name and the type of a cover picture."""
    codec = _codec(stream)
    mimetype = stream.metadata.get("mimetype", f"image/{'jpeg' if codec == 'mjpeg' else codec}")
    return stream.metadata.get("filename", f"cover.{mimetype.removeprefix('image/').replace('jpeg', 'jpg')}"), mimetype


def _can_hold(container: Container, stream: Stream) -> bool:
    """Try it, in memory: FFmpeg's lists of what a container holds are incomplete."""
    try:
        with av.open(io.BytesIO(), "w", format=container.muxer) as trial:
            trial.add_stream_from_template(stream).disposition = stream.disposition
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _codec(stream: Stream) -> str:
    name = None
    with suppress(AttributeError):  # a stream without a decoder has no name in PyAV
        name = stream.name if stream.type == "data" else stream.codec_context.name
    return name or "unknown codec"
