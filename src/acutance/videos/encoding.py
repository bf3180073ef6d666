"""Encoding frames: an encoder set up for a video, and the times that its packets get."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import cast

import av
from av.codec.context import CodecContext, Flags, ThreadType
from av.format import ContainerFormat
from av.format import Flags as FormatFlags
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from acutance.videos.codecs import choose_coding, options_for
from acutance.videos.colour import Converter
from acutance.videos.containers import Container
from acutance.videos.frames import FramePreparer
from acutance.videos.hdr import hdr_parameters
from acutance.videos.priority import open_encoder
from acutance.videos.settings import VideoSettings

_DEFAULT_RATE = Fraction(25)
_TOP_FIELD_FIRST = 2
_REORDERING_S = 1
"""More than any encoder's decoding times lie before the times of showing."""
_LONGEST_DELAY_S = 3600
"""No frame is decoded earlier than this before it is shown."""
_UNEVEN = Fraction(1, 20)
"""Of a frame: a time that lies further from the grid of a constant frame rate is not on it."""

# SVT-AV1 writes to stderr by itself; 1 leaves errors.
os.environ.setdefault("SVT_LOG", "1")


class EncoderPlan:
    """How the frames of one video are encoded: any number of encoders can be made by it, all alike."""

    def __init__(
        self,
        video: VideoStream,
        preparer: FramePreparer,
        settings: VideoSettings,
        container: Container,
        *,
        source_codec: str,
        starts_at_s: Fraction = Fraction(0),
        shift_s: Fraction = Fraction(0),
        is_live: bool = False,
    ) -> None:
        """Choose an encoder and its options.

        Args:
            video: The source's stream, of which a frame has been decoded.
            preparer: Knows what its frames look like.
            settings: Codec and quality.
            container: What the packets go into.
            source_codec: FFmpeg's name of the codec that `auto` keeps.
            starts_at_s: When the first frame is shown in the result.
            shift_s: By how much all times become earlier.
            is_live: Whether every frame is wanted as soon as it is there.

        Raises:
            OutputError: When the container does not hold the codec that is asked for.
            ConfigError: When there is no encoder for it, or it cannot do what is asked for.
        """
        self.source_base = video.time_base or Fraction(1, av.time_base)
        """Seconds per tick of the source's times."""
        self.coding = choose_coding(
            settings,
            container,
            source_codec=source_codec,
            pixel_format=preparer.layout.name,
            ticks_per_s=float(1 / self.source_base),
        )
        """The encoder and the pixel format."""
        self.side_data = preparer.side_data
        """Of the first frame as it was decoded."""
        parameters = "" if is_live else hdr_parameters(self.side_data, self.coding.encoder.hdr_style)
        self.options = options_for(self.coding, settings, parameters=parameters, is_live=is_live)
        """Of the encoder."""
        self.colour = preparer.colour
        """What YUV means in this video."""
        self._tags = preparer.tags_in(self.coding.pixel_format)
        self._size = preparer.size
        self._has_fields = preparer.has_fields and self.coding.encoder.is_interlacing
        self.rate = video.average_rate or _DEFAULT_RATE
        """Frames per second."""
        self.base = self.source_base if container.has_timestamps else 1 / self.rate
        """Seconds per tick of the packets' times."""
        self.shift = round(shift_s / self.source_base)
        """In ticks of the source."""
        self._is_live = is_live
        self._aspect = aspect_of(video)
        self._field_order = max(video.codec_context.field_order, _TOP_FIELD_FIRST)
        # Decoding times before zero would move all that such a file holds.
        starts_early = container.is_never_negative and starts_at_s < _REORDERING_S
        self._is_reordering = container.has_timestamps and not starts_early
        # The only name that Apple's players take.
        self._tag = "hvc1" if self.coding.encoder.codec == "h265" and container.muxer in ("mp4", "mov") else None
        # Such a container keeps the codec's headers apart from its packets.
        flags = ContainerFormat(container.muxer, "w").flags
        self._has_global_header = bool(flags & cast(int, FormatFlags.global_header.value))

    def set_up(self, context: VideoCodecContext) -> None:
        """Bring an encoder that is not open yet into shape."""
        context.width, context.height = self._size.width, self._size.height
        context.pix_fmt = self.coding.pixel_format
        context.time_base, context.framerate = self.base, self.rate
        self._tags.put_on(context)
        if self._aspect:
            context.sample_aspect_ratio = self._aspect
        context.thread_type = ThreadType.AUTO  # PyAV's default would make x264 code slices, which costs quality
        context.flags |= int(Flags.frame_duration)
        if self._has_fields:
            context.flags |= int(Flags.interlaced_dct) | int(Flags.interlaced_me)
            context.field_order = self._field_order
        if self._is_live:
            context.thread_type = ThreadType.SLICE  # threads that share out frames would hold some back
            context.gop_size = max(1, round(self.rate))  # who joins later waits for the next key frame
        if self._is_live or not self._is_reordering:
            context.max_b_frames = 0
        if self._tag:
            context.codec_tag = self._tag
        context.options = dict(self.options)

    def opened(self) -> VideoCodecContext:
        """Return an opened encoder of its own, which belongs to no file."""
        context = cast(VideoCodecContext, CodecContext.create(self.coding.encoder.library, "w"))
        if self._has_global_header:
            context.flags |= int(Flags.global_header)
        self.set_up(context)
        open_encoder(context)
        return context


class FrameEncoder:
    """Gives frames to an encoder, in their order. For one thread only."""

    def __init__(self, plan: EncoderPlan, context: VideoCodecContext, *, after: int | None = None) -> None:
        """Begin.

        Args:
            plan: What the encoder was set up by.
            context: The encoder.
            after: The time of the last frame that an encoder before this one was given; see `last_time`.
        """
        self._plan = plan
        self._context = context
        self._converter = Converter()
        self._ticks_per_tick = plan.source_base / plan.base
        self._longest_delay = round(_LONGEST_DELAY_S / plan.base)
        self._last: VideoFrame | None = None
        self.last_time = after
        """Of the last frame, in ticks of the packets; None when there was none."""
        self.is_uneven = False
        """Whether frames had times that a file of constant frame rate cannot give them."""

    def show(self, frame: VideoFrame, time: int, duration: int) -> list[Packet[Stream]]:
        """Encode a frame.

        Args:
            frame: Of a planar format.
            time: In ticks of the source's time base.
            duration: In these, too; 0 when it is not known.

        Returns:
            The packets that are ready: of earlier frames, as a rule.
        """
        self._last = self._converter.to_format(frame, self._plan.coding.pixel_format, self._plan.colour)
        return self._encoded(self._last, time, duration)

    def repeat(self, time: int, duration: int) -> list[Packet[Stream]]:
        """Encode the last frame again, if there was one."""
        return [] if self._last is None else self._encoded(self._last, time, duration)

    def flush(self) -> list[Packet[Stream]]:
        """Return what the encoder still holds; it takes no more frames then."""
        return self._checked(self._context.encode(None))

    def _encoded(self, frame: VideoFrame, time: int, duration: int) -> list[Packet[Stream]]:
        exact = (time - self._plan.shift) * self._ticks_per_tick
        ticks = round(exact)
        self.is_uneven |= abs(exact - ticks) > _UNEVEN
        if self.last_time is not None:
            ticks = max(ticks, self.last_time + 1)
        self.last_time = ticks
        frame.time_base, frame.pts = self._plan.base, ticks
        frame.duration = round(duration * self._ticks_per_tick)
        frame.pict_type = 0  # else the encoder would put key frames where the source's were
        return self._checked(self._context.encode(frame))

    def _checked(self, packets: list[Packet[Stream]]) -> list[Packet[Stream]]:
        for packet in packets:
            if packet.pts is not None and not 0 <= packet.pts - (packet.dts or 0) <= self._longest_delay:
                packet.dts = packet.pts  # x265 leaves it to chance in a video of one or two frames
        return packets


def aspect_of(video: VideoStream) -> Fraction | None:
    """Return width over height of a pixel, once a frame has been decoded: some codecs say it only there."""
    return video.sample_aspect_ratio or video.codec_context.sample_aspect_ratio
