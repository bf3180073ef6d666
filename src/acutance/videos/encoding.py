"""Encoding frames: an encoder set up for a video, and the times that its packets get."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.codec.context import CodecContext, Flags, ThreadType
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from acutance.videos.codecs import Coding
from acutance.videos.colour import Colour, Converter, Tags
from acutance.videos.containers import Container
from acutance.videos.priority import open_encoder

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is known of the pictures before the first is encoded."""

    width: int
    height: int
    colour: Colour
    tags: Tags
    side_data: Mapping[str, bytes]
    """Of the first frame as it was decoded."""
    is_interlaced: bool
    starts_at_s: Fraction
    """When the first frame is shown in the result."""


class EncoderPlan:
    """How the frames of one video are encoded: any number of encoders can be made by it, all alike."""

    def __init__(
        self,
        video: VideoStream,
        picture: Picture,
        *,
        container: Container,
        coding: Coding,
        options: dict[str, str],
        shift_s: Fraction = Fraction(0),
        is_live: bool = False,
    ) -> None:
        """Take down the settings.

        Args:
            video: The source's stream, of which a frame has been decoded.
            picture: What its frames look like.
            container: What the packets go into.
            coding: How the frames are encoded.
            options: Of the encoder.
            shift_s: By how much all times become earlier.
            is_live: Whether every frame is wanted as soon as it is there.
        """
        self.picture = picture
        self.coding = coding
        self.options = options
        self.rate = video.average_rate or _DEFAULT_RATE
        """Frames per second."""
        self.source_base = video.time_base or Fraction(1, av.time_base)
        """Seconds per tick of the source's times."""
        self.base = self.source_base if container.has_timestamps else 1 / self.rate
        """Seconds per tick of the packets' times."""
        self.shift = round(shift_s / self.source_base)
        """In ticks of the source."""
        self._is_live = is_live
        self._aspect = aspect_of(video)
        self._field_order = max(video.codec_context.field_order, _TOP_FIELD_FIRST)
        # Decoding times before zero would move all that such a file holds.
        starts_early = container.is_never_negative and picture.starts_at_s < _REORDERING_S
        self._is_reordering = container.has_timestamps and not starts_early
        # The only name that Apple's players take.
        self._tag = "hvc1" if coding.encoder.codec == "h265" and container.muxer in ("mp4", "mov") else None

    def set_up(self, context: VideoCodecContext) -> None:
        """Bring an encoder that is not open yet into shape."""
        picture, tags = self.picture, self.picture.tags
        context.width, context.height = picture.width, picture.height
        context.pix_fmt = self.coding.pixel_format
        context.time_base, context.framerate = self.base, self.rate
        context.color_primaries, context.color_trc = tags.primaries, tags.transfer
        context.colorspace, context.color_range = tags.matrix, tags.range
        if self._aspect:
            context.sample_aspect_ratio = self._aspect
        context.thread_type = ThreadType.AUTO  # PyAV's default would make x264 code slices, which costs quality
        context.flags |= int(Flags.frame_duration)
        if picture.is_interlaced and self.coding.encoder.is_interlacing:
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

    def opened(self, *, has_global_header: bool) -> VideoCodecContext:
        """Return an opened encoder of its own, which belongs to no file.

        Args:
            has_global_header: Whether the container keeps the codec's headers apart from its packets.
        """
        context = cast(VideoCodecContext, CodecContext.create(self.coding.encoder.library, "w"))
        if has_global_header:
            context.flags |= int(Flags.global_header)
        self.set_up(context)
        open_encoder(context)
        return context


class FrameEncoder:
    """Gives frames to an encoder, in their order. For one thread only."""

    def __init__(self, plan: EncoderPlan, context: VideoCodecContext) -> None:
        """Begin.

        Args:
            plan: What the encoder was set up by.
            context: The encoder.
        """
        self._plan = plan
        self._context = context
        self._converter = Converter()
        self._ticks_per_tick = plan.source_base / plan.base
        self._longest_delay = round(_LONGEST_DELAY_S / plan.base)
        self._last: VideoFrame | None = None
        self._last_time: int | None = None
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
        self._last = self._converter.to_format(frame, self._plan.coding.pixel_format, self._plan.picture.colour)
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
        if self._last_time is not None:
            ticks = max(ticks, self._last_time + 1)
        self._last_time = ticks
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
