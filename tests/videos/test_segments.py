"""Runs that are stopped and go on: the result is that of one run, and nothing is made twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from acutance.engines.fake import FakeEngine
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import Region
from acutance.videos import VideoProgress, VideoResult, VideoSettings, sharpen_video
from acutance.videos import segments as segments_module
from acutance.videos.job import _interleaved

TIMES = tuple(np.cumsum([0, *np.random.default_rng(5).integers(20, 90, 59)]).tolist())
"""60 frames, unevenly."""


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    monkeypatch.setattr(segments_module, "SEGMENT_FRAMES", 10)


@pytest.fixture
def source(make) -> Path:
    return make(
        "a.mkv",
        codec="libx264",
        times=TIMES,
        options={"g": "7", "bf": "2"},
        audio=("flac",),
        subtitles=((100, 300, b"text"),),
        chapters=((0, 900, "one"), (900, 2500, "two")),
    )


def run(
    source: Path,
    *,
    stop_after: int | None = None,
    key: str = "",
    strength: float = 1.0,
    region: Region | None = None,
    **settings,
) -> tuple[VideoResult, int]:
    """Run, or stop in the middle; return the result and how many frames the network saw."""
    seen = []

    def halve(batch: np.ndarray) -> np.ndarray:
        if len(seen) == stop_after:
            raise Stopped
        seen.append(1)
        return batch * 0.5

    target = source.with_name("b.mkv")
    with Sharpener(engine=FakeEngine(halve), region=region) as sharpener:
        result = sharpen_video(
            sharpener,
            source,
            target,
            strength=strength,
            settings=VideoSettings(**settings),
            overwrite=True,
            resume_key=key,
        )
    return result, len(seen)


def parts(source: Path) -> list[str]:
    folder = source.with_name(".b.mkv.acutance-parts")
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("codec", ["ffv1", "h264", "h265", "vp9", "av1"])
def test_segments_make_one_video_with_all_that_belongs_to_it(source, frames_of, packets_of, times_of, codec):
    result, seen = run(source, codec=codec)
    target = source.with_name("b.mkv")
    assert (result.frames, seen, result.warnings) == (60, 60, ())
    assert times_of(target) == times_of(source)
    assert packets_of(target)[1] == packets_of(source)[1]
    assert packets_of(target)[2] == packets_of(source)[2]
    assert parts(source) == []


@pytest.mark.parametrize("codec", ["ffv1", "h264", "h265", "vp9", "av1"])
def test_a_lossless_result_is_the_same_with_and_without_segments(source, frames_of, difference, codec):
    with_segments, _ = run(source, codec=codec, quality="lossless")
    with Sharpener(engine=FakeEngine(lambda batch: batch * 0.5)) as sharpener:
        settings = VideoSettings(codec=codec, quality="lossless")
        whole = sharpen_video(sharpener, source, source.with_name("c.mkv"), settings=settings)
    assert difference(frames_of(source.with_name("b.mkv")), frames_of(source.with_name("c.mkv"))) == 0
    assert whole.flicker == pytest.approx(with_segments.flicker)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.ts"])
def test_segments_go_into_other_containers_too(make, packets_of, frames_of, difference, name):
    source = make(name, codec="libx264", times=TIMES, audio=("aac",), options={"bf": "3"})
    target = source.with_name("b" + source.suffix)
    for path, key in ((target, ""), (source.with_name("c" + source.suffix), None)):
        with Sharpener(engine=FakeEngine(lambda batch: batch * 0.5)) as sharpener:
            settings = VideoSettings(quality="lossless")
            sharpen_video(sharpener, source, path, settings=settings, resume_key=key)
    assert [frame.seconds for frame in frames_of(target)] == [frame.seconds for frame in frames_of(source)]
    assert packets_of(target)[1] == packets_of(source)[1]
    assert difference(frames_of(target), frames_of(source.with_name("c" + source.suffix))) == 0


@pytest.mark.parametrize("stop_after", [None, 15])
def test_frames_that_come_too_fast_for_a_constant_rate_stay_in_order_over_segments(make, times_of, stop_after):
    source = make("a.mp4", codec="libx264", times=(*range(0, 1000, 33), *range(1000, 12000, 400)))
    one, parts = source.with_name("one.avi"), source.with_name("parts.avi")
    seen = []

    def halve(batch: np.ndarray) -> np.ndarray:
        seen.append(1)
        if len(seen) == stop_after:
            raise Stopped
        return batch * 0.5

    with Sharpener(engine=FakeEngine(lambda batch: batch * 0.5)) as sharpener:
        sharpen_video(sharpener, source, one)
    with Sharpener(engine=FakeEngine(halve)) as sharpener:
        if stop_after is not None:
            with pytest.raises(Stopped):
                sharpen_video(sharpener, source, parts, resume_key="")
        sharpen_video(sharpener, source, parts, resume_key="")
    assert times_of(parts) == times_of(one)


@pytest.mark.parametrize("stop_after", [0, 5, 14, 35, 59])
def test_a_stopped_run_goes_on_where_it_was(source, frames_of, difference, stop_after):
    run(source, codec="ffv1")
    expected = frames_of(source.with_name("b.mkv"))
    source.with_name("b.mkv").unlink()
    with pytest.raises(Stopped):
        run(source, codec="ffv1", stop_after=stop_after)
    assert not source.with_name("b.mkv").exists()
    kept = len(parts(source))
    assert kept <= stop_after // 10
    assert kept >= (stop_after - 8) // 10  # what waits between the stages is lost
    result, seen = run(source, codec="ffv1")
    assert seen == 60 - 10 * kept
    assert result.frames == 60
    assert difference(frames_of(source.with_name("b.mkv")), expected) == 0
    assert parts(source) == []


def test_a_run_that_goes_on_tells_what_is_done(source):
    with pytest.raises(Stopped):
        run(source, stop_after=35)
    kept = 10 * len(parts(source))
    told: list[VideoProgress] = []
    with Sharpener(engine=FakeEngine(lambda batch: batch * 0.5)) as sharpener:
        sharpen_video(
            sharpener,
            source,
            source.with_name("b.mkv"),
            progress=told.append,
            resume_key="",
        )
    assert told[0].frames == kept + 1
    assert told[-1].frames == 60


@pytest.mark.parametrize("change", ["settings", "strength", "region", "key", "source", "damage"])
def test_segments_of_another_job_or_damaged_ones_are_not_taken(source, change):
    with pytest.raises(Stopped):
        run(source, stop_after=45, codec="ffv1")
    kept = len(parts(source))
    assert kept >= 3
    settings, key, strength, region, expected = {"codec": "ffv1"}, "", 1.0, None, 60
    if change == "settings":
        settings = {"codec": "ffv1", "smoothing": 0.5}
    elif change == "strength":
        strength = 0.5
    elif change == "region":
        region = Region(x=8, y=8, width=32, height=32)
    elif change == "key":
        key = "fidelity 0.5"
    elif change == "source":
        os.utime(source, (1, 1))
    else:
        path = source.with_name(".b.mkv.acutance-parts") / "000001.packets"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        expected = 50
    result, seen = run(source, key=key, strength=strength, region=region, **settings)
    assert (result.frames, seen) == (60, expected)


def test_packets_are_joined_in_the_order_of_their_times() -> None:
    """Else a player that reads from a network waits for sound until the whole video has come."""

    def packets(name: str, *ticks: int | None, base: int) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name, dts=tick, pts=None, time_base=Fraction(1, base)) for tick in ticks]

    encoded = packets("v", 0, 40, 80, 120, base=1000)
    others = packets("a", 2000, 2040, None, 2090, base=1000)  # in the source's time: the part begins at 2 s
    order = [packet.name for packet in _interleaved(iter(encoded), iter(others), shift_s=Fraction(2))]
    assert order == ["v", "a", "v", "a", "a", "v", "a", "v"]
    others[0].dts, others[0].pts = None, 2050  # without a time of decoding, that of showing counts
    order = [packet.name for packet in _interleaved(iter(encoded), iter(others[:1]), shift_s=Fraction(2))]
    assert order == ["v", "v", "a", "v", "v"]
    assert [one.name for one in _interleaved(iter(()), iter(others), shift_s=Fraction(0))] == ["a"] * 4


def test_a_preview_goes_on_too(source, times_of):
    with pytest.raises(Stopped):
        run(source, stop_after=25, from_s=0.5, to_s=2.5)
    assert parts(source)
    result, seen = run(source, from_s=0.5, to_s=2.5)
    wanted = [time for time in times_of(source) if 0.5 <= time < 2.5]
    assert result.frames == len(wanted) > seen
    found = times_of(source.with_name("b.mkv"))
    assert [round((time - wanted[0]) * 1000) for time in wanted] == [round((time - found[0]) * 1000) for time in found]


def test_damage_is_remembered_over_a_stop(make, times_of):
    source = make("a.mkv", codec="mjpeg", pixel_format="yuvj420p", times=TIMES)
    from av import open as open_av

    with open_av(str(source)) as container:
        broken = [bytes(packet) for packet in container.demux(video=0) if packet.size][4:6]
    expected = times_of(source)
    content = source.read_bytes()
    for packet in broken:
        content = content.replace(packet, bytes(len(packet)))
    source.write_bytes(content)
    with pytest.raises(Stopped):
        run(source, stop_after=40)
    assert parts(source)
    result, _ = run(source)
    assert (result.frames, result.concealed) == (60, 2)
    assert times_of(source.with_name("b.mkv")) == expected


KILLED = """
import sys, time
from pathlib import Path
from acutance.engines.fake import FakeEngine
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import Region
from acutance.videos import VideoSettings, segments, sharpen_video
segments.SEGMENT_FRAMES = 10
def slow(batch):
    time.sleep(0.02)
    return batch * 0.5
with Sharpener(engine=FakeEngine(slow)) as sharpener:
    sharpen_video(sharpener, Path(sys.argv[1]), Path(sys.argv[2]), settings=VideoSettings(codec="ffv1"), resume_key="",
                  progress=lambda progress: print(progress.frames, flush=True))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_run_goes_on(source, frames_of, difference):
    target = source.with_name("b.mkv")
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(source), str(target)], stdout=subprocess.PIPE, text=True
    )
    for line in child.stdout:
        if int(line) == 30:
            child.send_signal(signal.SIGKILL)
            break
    child.stdout.close()
    child.wait()
    assert not target.exists()
    assert len(parts(source)) >= 1
    result, seen = run(source, codec="ffv1")
    assert result.frames == 60
    assert seen < 60
    assert len(frames_of(target)) == 60
