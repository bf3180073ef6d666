"""What a person should know of a result: one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from acutance.inference.files import counted
from acutance.videos.codecs import Coding
from acutance.videos.colour import Tags, tags_of
from acutance.videos.copying import CopiedStreams
from acutance.videos.encoding import aspect_of
from acutance.videos.hdr import DOLBY_VISION, HDR10_PLUS, IN_CONTAINER, side_data_of
from acutance.videos.opening import alpha_decoder, open_video, video_streams
from acutance.videos.reading import Damage

WORTH_SMOOTHING = 1.0
"""Levels of 255 of flicker that a person may see."""

_WORDS = {
    "DISPLAYMATRIX": "its rotation",
    "MASTERING_DISPLAY_METADATA": "its mastering display (HDR)",
    "CONTENT_LIGHT_LEVEL": "its light levels (HDR)",
    "SPHERICAL": "that it is a 360° video",
    "STEREO3D": "that it is stereoscopic",
    "ICC_PROFILE": "its colour profile",
}


def remarks_on_source(source: InputContainer, *, is_interlaced: bool, side_data: Mapping[str, bytes]) -> Iterator[str]:
    """Yield what is special about a video that is going to be sharpened."""
    videos = video_streams(source)
    others = len(videos) - 1
    if others:
        rest = "the other" if others == 1 else f"the other {others}"
        yield f"the file holds {others + 1} videos: one was sharpened, {rest} copied."
    if is_interlaced:
        yield "the video is interlaced: each of the two fields of a frame was sharpened by itself."
    if videos[0].metadata.get("alpha_mode") == "1" and alpha_decoder(videos[0]) is None:
        yield "the video's transparency was left out: the decoder does not give it."
    if side_data.keys() & DOLBY_VISION:
        yield "Dolby Vision's own data were left out, because they describe other pixels; the base layer was kept."
    if side_data.keys() & HDR10_PLUS:
        yield "HDR10+'s data for every scene could not be written; the static ones were kept."


def remarks_on_damage(damage: Damage, *, frames: int, expected: int | None) -> Iterator[str]:
    """Yield what was wrong with the source.

    Args:
        damage: What was noticed.
        frames: How many there are now.
        expected: How many the file says there are, where it counts them.
    """
    if damage.concealed:
        were = "was" if damage.concealed == 1 else "were"
        yield f"{counted(damage.concealed, 'damaged frame')} {were} replaced by the one before."
    if damage.lost_at_start:
        them = "it" if damage.lost_at_start == 1 else "them"
        lost = counted(damage.lost_at_start, "frame")
        yield f"{lost} at the start could not be decoded; the video begins after {them}."
    if damage.broken_off:
        yield f"the file could not be read to its end ({damage.broken_off})."
    elif expected is not None and frames < expected - damage.lost_at_start:
        yield f"the file says that it has {counted(expected, 'frame')}, but only {frames} could be read."


def remarks_on_target(coding: Coding, copied: CopiedStreams, *, is_uneven: bool) -> Iterator[str]:
    """Yield what the kind of file that was written could not hold."""
    for lost in coding.lost:
        yield f"{coding.encoder.label} could not keep {lost}: it was encoded as {coding.pixel_format}."
    if copied.lost:
        yield f"left out, because the container cannot hold them: {', '.join(copied.lost)}."
    if copied.mended:
        packets = counted(copied.mended, "packet")
        yield f"the order in time of {packets} of copied streams was wrong and has been put right."
    if copied.dropped:
        yield f"{counted(copied.dropped, 'damaged packet')} of copied streams could not be written."
    if is_uneven:
        yield "this kind of file has a constant frame rate: the times of the frames were rounded to it."


def remarks_on_flicker(flicker: float | None, *, smoothing: float) -> Iterator[str]:
    """Yield whether the result flickers, where nothing was done about that."""
    if flicker is not None and flicker >= WORTH_SMOOTHING and not smoothing:
        yield (
            f"where nothing moves, the result changes by {flicker:.1f} levels of 255 more from frame to frame than the "
            "source (flicker): a smoothing of 0.5 (--smoothing, smoothing) calms it."
        )


def remarks_on_loss(
    written: Path, video: VideoStream, tags: Tags, side_data: Mapping[str, bytes], *, chapters: int
) -> Iterator[str]:
    """Look at what was written, and yield what it does not say any more of what the source said.

    Args:
        written: The file.
        video: The stream of the source.
        tags: Of its colours.
        side_data: Of the source's first frame.
        chapters: How many there should be.
    """
    with open_video(written) as container:
        streams = video_streams(container)
        if not streams:
            return
        now = streams[0]
        found = tags_of(now.codec_context)
        lost = []
        if not tags.are_kept_in(found):
            lost.append("how its colours are meant")
        present = _first_side_data(container, now)
        if (aspect_of(now) or 1) != (aspect_of(video) or 1):
            lost.append("its pixels' aspect")
        kept_kinds = IN_CONTAINER | {"DISPLAYMATRIX"}
        lost += [words for kind, words in _WORDS.items() if kind in side_data.keys() & kept_kinds - present.keys()]
        if len(container.chapters()) < chapters:
            lost.append("its chapters")
    if lost:
        yield f"this kind of file does not say, in a way that was understood when it was read again, {', '.join(lost)}."


def _first_side_data(container: InputContainer, video: VideoStream) -> dict[str, bytes]:
    try:
        return next((side_data_of(frame) for frame in container.decode(video)), {})
    except av.FFmpegError:
        return {}
