"""A part of a video: frames, sounds, subtitles and chapters of just that part, in step."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from acutance.videos import VideoProgress, VideoSettings, sharpen_video

TIMES = tuple(range(0, 2000, 40))
TEXTS = ((100, 1000, b"still shown"), (300, 50, b"before"), (800, 100, b"inside"), (1500, 90, b"after"))
CHAPTERS = ((0, 500, "before"), (500, 1000, "across"), (1000, 2000, "to the end"))
PART = VideoSettings(from_s=0.6, to_s=1.2, quality="lossless")


@pytest.mark.parametrize("case", list(itertools.product(["a.mkv", "a.mp4", "a.ts", "a.nut"], ["1", "8", "250"])))
def test_the_part_holds_its_frames_and_sounds(make, keeper, frames_of, packets_of, case):
    name, keyframes = case
    source = make(name, codec="libx264", times=TIMES, audio=("aac",), options={"g": keyframes, "bf": "2"})
    target = source.with_name("b" + source.suffix)
    told: list[VideoProgress] = []
    result = sharpen_video(keeper, source, target, settings=PART, progress=told.append)
    with av.open(str(source)) as container:
        start = Fraction(container.start_time, av.time_base) + Fraction(3, 5)
    wanted = [frame for frame in frames_of(source) if start <= frame.seconds < start + Fraction(3, 5)]
    found = frames_of(target)
    assert len(found) == len(wanted) == result.frames
    assert told[-1].frames == result.frames
    tick = Fraction(1, 1000)
    for one, other in zip(wanted, found, strict=True):
        assert abs(other.seconds - (one.seconds - start)) <= tick
        for plane, expected in zip(other.planes, one.planes, strict=True):
            np.testing.assert_array_equal(plane, expected)
    sounds = [packet for packet in packets_of(source)[1] if start <= packet[0] < start + Fraction(3, 5)]
    kept = packets_of(target)[1]
    assert [content for _, content in kept] == [content for _, content in sounds]
    for (time, _), (original, _) in zip(kept, sounds, strict=True):
        assert abs(time - (original - start)) <= tick


def test_subtitles_and_chapters_are_cut_to_the_part(make, keeper):
    source = make("a.mkv", codec="libx264", times=TIMES, subtitles=TEXTS, chapters=CHAPTERS)
    target = source.with_name("b.mkv")
    sharpen_video(keeper, source, target, settings=PART)
    with av.open(str(target)) as container:
        shown = [
            (packet.pts, packet.duration, bytes(packet))
            for packet in container.demux(container.streams.subtitles[0])
            if packet.size
        ]
        assert shown == [(0, 500, b"still shown"), (200, 100, b"inside")]
        assert [
            (int(chapter["start"] * chapter["time_base"] * 1000), int(chapter["end"] * chapter["time_base"] * 1000))
            for chapter in container.chapters()
        ] == [(0, 400), (400, 600)]


def test_a_beginning_alone_moves_nothing(make, keeper, times_of):
    source = make("a.mkv", codec="libx264", times=TIMES)
    sharpen_video(keeper, source, source.with_name("b.mkv"), settings=VideoSettings(to_s=0.2))
    assert times_of(source.with_name("b.mkv")) == times_of(source)[:5]


def test_an_end_alone_reaches_the_end(make, keeper, times_of):
    source = make("a.mkv", codec="libx264", times=TIMES)
    result = sharpen_video(keeper, source, source.with_name("b.mkv"), settings=VideoSettings(from_s=1.8))
    assert result.frames == 5
    assert times_of(source.with_name("b.mkv")) == [Fraction(time, 1000) for time in (0, 40, 80, 120, 160)]


def test_only_the_part_is_shown_to_the_network(make):
    from acutance.engines.fake import FakeEngine
    from acutance.inference.sharpener import Sharpener

    engine = FakeEngine()
    source = make("a.mkv", codec="libx264", times=TIMES, options={"g": "250"})
    with Sharpener(engine=engine) as sharpener:
        sharpen_video(sharpener, source, source.with_name("b.mkv"), settings=PART)
    assert len(engine.sizes) == 15


def test_a_stream_without_times_is_counted_from_its_start(make, keeper, frames_of, difference, tmp_path):
    source = make("a.mkv", codec="libx264", times=TIMES, options={"g": "8"})
    raw = tmp_path / "a.h264"
    with av.open(str(source)) as container, av.open(str(raw), "w", format="h264") as out:
        stream = out.add_stream_from_template(container.streams.video[0], opaque=True)
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                packet.dts = packet.pts if packet.dts is None else packet.dts
                packet.stream = stream
                out.mux(packet)
    sharpen_video(keeper, raw, tmp_path / "b.mkv", settings=PART)
    assert difference(frames_of(tmp_path / "b.mkv"), frames_of(source)[15:30]) == 0
