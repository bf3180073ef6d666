"""Writing a video: frames are encoded, other packets copied, and all that the file said of itself is said again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import av
from av.codec.codec import Codec
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from acutance.errors import OutputError
from acutance.media.atomic import not_written
from acutance.videos.containers import Container
from acutance.videos.copying import CopiedStreams, stream_metadata
from acutance.videos.encoding import EncoderPlan, FrameEncoder
from acutance.videos.hdr import DOLBY_VISION, IN_CONTAINER, display_matrix_of
from acutance.videos.planes import Layout
from acutance.videos.priority import open_encoder

_MP4_FAMILY = ("mp4", "mov", "3gp")


class Writer(Protocol):
    """Takes a video chunk by chunk. For one thread only."""

    def copy(self, packets: list[Packet[Stream]]) -> None:
        """Write packets of the streams that are copied."""

    def show(self, frame: VideoFrame, time: int, duration: int) -> None:
        """Write a frame; see `FrameEncoder.show`."""

    def repeat(self, time: int, duration: int) -> None:
        """Write the last frame again."""

    def finish(self) -> None:
        """Write what is still held back, and the end."""


class VideoWriter:
    """Writes one file: a `Writer`."""

    def __init__(
        self,
        target: OutputContainer,
        source: InputContainer,
        video: VideoStream,
        *,
        copied: CopiedStreams,
        plan: EncoderPlan,
        name: Path,
    ) -> None:
        """Set the file up: all its streams, in the source's order.

        Args:
            target: The file, opened.
            source: What is read.
            video: The stream of it that is sharpened.
            copied: Its other streams.
            plan: How the frames are encoded.
            name: Of the result, for sentences.

        Raises:
            OutputError: When the encoder refuses the frames, or the container the stream.
        """
        self._target = target
        self._path = name
        self._copied = copied
        self._plan = plan
        self._last_dts: int | None = None
        self.frames = 0
        """Frames written so far."""
        with writing(self._path):
            for stream in source.streams:
                if stream.index == video.index:
                    self._stream, context = self._add_video(video)
                elif stream.index in copied.indices:
                    copied.add_to(target, stream)
            open_encoder(context, strict=False)
        self.encoder = FrameEncoder(plan, context)
        """Takes the frames."""

    def copy(self, packets: list[Packet[Stream]]) -> None:
        """Write packets of the other streams."""
        with writing(self._path):
            self._copied.write(self._target, packets)

    def show(self, frame: VideoFrame, time: int, duration: int) -> None:
        """Write a frame; see `FrameEncoder.show`."""
        with writing(self._path):
            self._mux(self.encoder.show(frame, time, duration))
        self.frames += 1

    def repeat(self, time: int, duration: int) -> None:
        """Write the last frame again."""
        with writing(self._path):
            self._mux(self.encoder.repeat(time, duration))
        self.frames += 1

    def finish(self) -> None:
        """Write what the encoder still holds, and the end of the file."""
        with writing(self._path):
            self._mux(self.encoder.flush())
            self._target.close()

    def finish_with(self, packets: Iterable[Packet[Stream]]) -> None:
        """Write packets that were encoded before, then the end of the file.

        Args:
            packets: In order of decoding: those of the video have no stream, those that are copied the source's.
        """
        with writing(self._path):
            for packet in packets:
                if cast(Stream | None, packet.stream) is None:
                    self._mux([packet])
                else:
                    self._copied.write(self._target, [packet])
            self._target.close()

    def _mux(self, packets: Iterable[Packet[Stream]]) -> None:
        for packet in packets:
            # Where segments meet, the first packets of the next may have been given earlier times of decoding.
            if self._last_dts is not None and packet.dts is not None and packet.dts <= self._last_dts:
                packet.dts = self._last_dts + 1
            self._last_dts = packet.dts
            packet.stream = self._stream
            self._target.mux_one(packet)

    def _add_video(self, video: VideoStream) -> tuple[Stream, VideoCodecContext]:
        library = self._plan.coding.encoder.library
        side_data = self._plan.side_data
        is_same_codec = video.codec_context.codec.id == Codec(library, "w").id
        stream: VideoStream
        if is_same_codec and side_data.keys() & IN_CONTAINER and not side_data.keys() & DOLBY_VISION:
            # PyAV sets no such data of a stream, but takes them over with all else; the encoder is apart then.
            stream = self._target.add_stream_from_template(video, opaque=True)
            context = self._plan.opened()
            _describe(stream.codec_context, context)
        else:
            stream = cast(VideoStream, self._target.add_stream(library, rate=self._plan.rate))
            context = stream.codec_context
            self._plan.set_up(context)
        stream.time_base = self._plan.base
        stream.disposition = video.disposition
        stream.metadata.update(stream_metadata(video, self._target.format.name, is_new_coding=True))
        if self._plan.coding.encoder.codec == "vp9" and Layout(self._plan.coding.pixel_format).alpha is not None:
            stream.metadata["alpha_mode"] = "1"  # it lies beside the packets, and players look for it only if told
        matrix = display_matrix_of(side_data)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        if self._target.format.name == "mpegts":
            stream.id = video.id
        return stream, context


def _describe(described: VideoCodecContext, encoder: VideoCodecContext) -> None:
    """Let a stream that was made after the source's say what the encoder gives."""
    described.extradata = encoder.extradata
    described.bit_rate, described.level = 0, encoder.level
    described.width, described.height, described.pix_fmt = encoder.width, encoder.height, encoder.pix_fmt
    described.framerate = encoder.framerate
    described.color_primaries, described.color_trc = encoder.color_primaries, encoder.color_trc
    described.colorspace, described.color_range = encoder.colorspace, encoder.color_range
    described.field_order = encoder.field_order
    if encoder.sample_aspect_ratio:
        described.sample_aspect_ratio = encoder.sample_aspect_ratio
    if encoder.codec_tag.strip("\0"):
        described.codec_tag = encoder.codec_tag


@contextmanager
def open_target(
    target: Path | BinaryIO, container: Container, *, keeps_keys: bool = False, starts_fast: bool = False
) -> Iterator[OutputContainer]:
    """Open a file to write; whatever happens, it is closed.

    Args:
        target: Its name, or an open stream of bytes.
        container: What kind of file.
        keeps_keys: Whether MP4 is to hold metadata under any name, in Apple's way, instead of the usual ones only.
        starts_fast: Whether MP4 is to hold its index at the beginning; in a file only, which is written twice then.
    """
    options = dict(container.options)
    flags = ["use_metadata_tags"] * keeps_keys + ["faststart"] * (starts_fast and isinstance(target, Path))
    if flags and container.muxer in _MP4_FAMILY:
        options["movflags"] = "+".join(flags)
    written = av.open(
        f"file:{target}" if isinstance(target, Path) else target,
        "w",
        format=container.muxer,
        container_options=options,
        metadata_errors="surrogateescape",
    )
    try:
        yield written
    finally:
        with suppress(av.FFmpegError, ValueError):  # it has been closed already, or its end does not matter any more
            written.close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the library's errors within the block into sentences.

    Args:
        path: What is written.

    Raises:
        OutputError: When the library failed.
    """
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise not_written(path, error) from error
        raise OutputError(
            f"the video cannot be written: the encoder or the container refused it ({error.strerror or error}); "
            "choose another codec or another kind of file."
        ) from error
    except ValueError as error:
        raise OutputError(f"the video cannot be written: {error}; choose another codec or kind of file.") from error
