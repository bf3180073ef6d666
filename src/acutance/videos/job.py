"""One video: looked at up to its first frame, then sharpened, in one go or in segments."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from acutance.errors import ImageTooLarge, InputError
from acutance.geometry import Size, in_pixels
from acutance.inference.sharpener import Sharpener
from acutance.media.reading import MORE_PIXELS
from acutance.videos.colour import tags_of
from acutance.videos.containers import Container
from acutance.videos.copying import CopiedStreams, chapters_between, file_metadata
from acutance.videos.encoding import EncoderPlan
from acutance.videos.flicker import mean_of
from acutance.videos.frames import FrameFinisher, FramePreparer, check_takes_frames, settled_on
from acutance.videos.opening import video_streams
from acutance.videos.progress import Clock, Report
from acutance.videos.reading import Damage, StreamChunk, VideoReader
from acutance.videos.remarks import (
    remarks_on_damage,
    remarks_on_flicker,
    remarks_on_loss,
    remarks_on_source,
    remarks_on_target,
)
from acutance.videos.segments import SegmentStore, SegmentWriter
from acutance.videos.settings import VideoSettings
from acutance.videos.stages import run_stages
from acutance.videos.writing import VideoWriter, Writer, writing


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoResult:
    """What was made of a video."""

    frames: int
    """Frames written."""
    concealed: int
    """Damaged frames among them that were replaced by the one before."""
    size: Size
    """Of the frames."""
    codec: str
    """Of the frames, e.g. `H.264`."""
    pixel_format: str
    """FFmpeg's name of what was encoded."""
    copied_streams: int
    """Sounds, subtitles and all else that was taken over as it was."""
    flicker: float | None
    """By how much more the result changes from frame to frame than the input where nothing moves, in levels of 255."""
    warnings: tuple[str, ...]
    """What a person should know, in sentences."""
    found: tuple[str, ...] = ()
    """What was seen in the first frame, and which model all frames got for that, where none was named."""
    seconds: float
    """That it took."""


class VideoJob:
    """One video on its way."""

    def __init__(
        self,
        sharpener: Sharpener,
        source: InputContainer,
        container: Container,
        *,
        strength: float,
        settings: VideoSettings,
        name: str,
        target: Path,
    ) -> None:
        """Look at the source up to its first frame, and decide how the result is written.

        Args:
            sharpener: The opened model.
            source: The opened video.
            container: What is written.
            strength: See `Sharpener.__call__`.
            settings: Codec, quality, and which part.
            name: Of the source, for sentences.
            target: Of the result, for sentences: what is written has another name until it is finished.

        Raises:
            InputError: When there is no frame, or too large ones.
            OutputError: When the container cannot hold what the source holds.
            ConfigError: When there is no encoder for what is asked for, or the model is for photos only.
        """
        check_takes_frames(sharpener)
        self._container = container
        self._start = time.perf_counter()
        self._strength = strength
        self._settings = settings
        self._source = source
        self._target = target
        videos = video_streams(source)
        if not videos:
            raise InputError(f"{name} holds no video that can be decoded.")
        self._video = videos[0]
        size = Size(self._video.height, self._video.width)
        if size.pixels > sharpener.max_pixels:
            raise ImageTooLarge(
                f"{name} has frames of {size.width}×{size.height} px = {in_pixels(size.pixels)}, the limit is "
                f"{in_pixels(sharpener.max_pixels)}; {MORE_PIXELS} if you trust the file."
            )
        tags = tags_of(self._video.codec_context)
        self._copied = CopiedStreams(source, self._video, container, picture_only=settings.picture_only)
        self._reader = VideoReader(source, self._video, copied=self._copied.indices, settings=settings)
        self._chunks = iter(self._reader)
        self._first = list(_up_to_a_frame(self._chunks))
        frame = self._first[-1].frame if self._first else None
        if frame is None:
            length = f"; it is {source.duration / 1e6:.1f} s long" if source.duration else ""
            part = f" in the part that was asked for{length}" if settings.is_preview else ""
            raise InputError(f"{name}: no frame could be decoded{part}.")
        self._sharpener, self._found = settled_on(sharpener, frame)
        self._preparer = FramePreparer(frame, tags, scale=sharpener.spec.scale)
        self._from_s = self._reader.from_s or Fraction(0)
        self._chapters = chapters_between(source, self._from_s, self._reader.to_s)
        self._plan = EncoderPlan(
            self._video,
            self._preparer,
            settings,
            container,
            source_codec=self._video.codec_context.name,
            starts_at_s=(self._first[-1].time or 0) * self._reader.time_base - self._from_s,
            shift_s=self._from_s,
        )
        self._finisher = FrameFinisher(self._preparer.layout, self._preparer.colour, smoothing=settings.smoothing)

    @property
    def has_own_keys(self) -> bool:
        """Whether the source has metadata under names of a maker's own, as cameras write them."""
        return any("." in key for key in self._source.metadata)

    def run(self, target: OutputContainer, report: Report | None) -> VideoResult:
        """Do the work in one go.

        Args:
            target: Opened, and empty; it is closed in the end.
            report: Called after every frame.

        Raises:
            AcutanceError: When any stage fails; all threads have ended then.
        """
        self._copied.take_covers(chain.from_iterable(chunk.packets for chunk in self._first))
        writer = self._writer(target)
        self._work(chain(self._first, self._chunks), writer, report)
        return self._result(
            self._reader.damage,
            self._reader,
            frames=writer.frames,
            flicker=self._finisher.meter.flicker,
            is_uneven=writer.encoder.is_uneven,
        )

    def key(self, source: Path, what_else: str) -> str:
        """Return what the segments depend on, as text.

        Args:
            source: The file.
            what_else: What the caller knows and the sharpener does not tell.
        """
        about = source.stat()
        return json.dumps(
            [
                [about.st_size, about.st_mtime_ns],
                [self._sharpener.spec.to_json(), self._sharpener.settings.words, self._strength, what_else],
                asdict(self._settings),
                [self._plan.coding.encoder.library, self._plan.coding.pixel_format, self._plan.options],
                [self._container.muxer, str(av.library_versions)],
            ]
        )

    def encode_into(self, store: SegmentStore, report: Report | None) -> None:
        """Do the work up to the packets of the video, behind the segments that are finished already.

        Args:
            store: Where the segments go.
            report: Called after every frame.

        Raises:
            AcutanceError: When any stage fails; finished segments stay then.
        """
        chunks: Iterator[StreamChunk] = chain(self._first, self._chunks)
        if store.segments:
            after = store.segments[-1].last_time
            self._reader = VideoReader(
                self._source, self._video, copied=frozenset(), settings=self._settings, after=after
            )
            chunks = iter(self._reader)
        writer = SegmentWriter(store, self._plan, meter=self._finisher.meter, damage=self._reader.damage)
        self._work(chunks, writer, report, done=store.frames)

    def join(self, store: SegmentStore, again: InputContainer, target: OutputContainer) -> VideoResult:
        """Write the segments and all other streams into one file.

        Args:
            store: Holds all segments.
            again: The source, opened once more.
            target: Opened, and empty; it is closed in the end.

        Raises:
            OutputError: When it cannot be written.
        """
        reader = VideoReader(
            again,
            video_streams(again)[0],
            copied=self._copied.indices,
            settings=self._settings,
            is_decoding=False,
        )
        chunks = iter(reader)
        first = next(chunks)
        self._copied.take_covers(first.packets)
        others = chain.from_iterable(chunk.packets for chunk in chain([first], chunks))
        writer = self._writer(target)
        writer.finish_with(_interleaved(store.packets(self._plan.base), others, shift_s=self._from_s))
        found = store.segments
        damage = Damage(
            concealed=sum(segment.concealed for segment in found),
            lost_at_start=max(segment.lost_at_start for segment in found),
            broken_off=reader.damage.broken_off,
        )
        sums = sum(segment.flicker_sum for segment in found), sum(segment.flicker_count for segment in found)
        return self._result(
            damage,
            reader,
            frames=store.frames,
            flicker=mean_of(*sums),
            is_uneven=any(segment.is_uneven for segment in found),
        )

    def checked(self, result: VideoResult, written: Path) -> VideoResult:
        """Look at a finished file, and add to its result what it does not say any more."""
        preparer, chapters = self._preparer, len(self._chapters)
        lost = remarks_on_loss(written, self._video, preparer.tags, preparer.side_data, chapters=chapters)
        return replace(result, warnings=(*result.warnings, *lost))

    def _work(self, chunks: Iterable[StreamChunk], writer: Writer, report: Report | None, *, done: int = 0) -> None:
        run_stages(
            chunks,
            preparer=self._preparer,
            sharpener=self._sharpener,
            finisher=self._finisher,
            writer=writer,
            strength=self._strength,
            clock=Clock(self._reader.expected_frames, report, done=done),
        )

    def _result(
        self, damage: Damage, reader: VideoReader, *, frames: int, flicker: float | None, is_uneven: bool
    ) -> VideoResult:
        coding = self._plan.coding
        counted = self._video.frames - reader.hidden_frames if self._video.frames else None
        counted = None if self._settings.is_preview else counted
        return VideoResult(
            frames=frames,
            concealed=damage.concealed,
            size=self._preparer.size,
            codec=coding.encoder.label,
            pixel_format=coding.pixel_format,
            copied_streams=len(self._copied.streams),
            flicker=flicker,
            warnings=(
                *remarks_on_source(
                    self._source,
                    is_interlaced=self._preparer.is_interlaced,
                    side_data=self._preparer.side_data,
                ),
                *remarks_on_damage(damage, frames=frames, expected=counted),
                *remarks_on_target(coding, self._copied, is_uneven=is_uneven),
                *remarks_on_flicker(flicker, smoothing=self._settings.smoothing),
            ),
            found=self._found,
            seconds=time.perf_counter() - self._start,
        )

    def _writer(self, target: OutputContainer) -> VideoWriter:
        """Set the target up."""
        with writing(self._target):
            target.metadata.update(file_metadata(self._source))
            target.set_chapters(self._chapters)
        self._copied.shift_s = self._from_s
        return VideoWriter(target, self._source, self._video, copied=self._copied, plan=self._plan, name=self._target)


def _up_to_a_frame(chunks: Iterator[StreamChunk]) -> Iterator[StreamChunk]:
    for chunk in chunks:
        yield chunk
        if chunk.frame is not None:
            return


def _interleaved(
    encoded: Iterator[Packet[Stream]], others: Iterator[Packet[Stream]], *, shift_s: Fraction
) -> Iterator[Packet[Stream]]:
    """Merge packets of the video with those that are copied, which are still in the source's time."""
    waiting = next(encoded, None)
    for packet in others:
        ticks = packet.dts if packet.dts is not None else packet.pts
        moment = None if ticks is None else ticks * packet.time_base - shift_s
        while waiting is not None and moment is not None and (waiting.dts or 0) * waiting.time_base <= moment:
            yield waiting
            waiting = next(encoded, None)
        yield packet
    while waiting is not None:
        yield waiting
        waiting = next(encoded, None)
