from __future__ import annotations

import io
import os
import threading

import av
import numpy as np
import pytest

from acutance.errors import InputError, OutputError
from acutance.videos import sharpen_stream
from acutance.videos.containers import CONTAINERS


def through_pipes(sharpener, content: bytes, **settings) -> bytes:
    """Send a video through two real pipes, which cannot be wound back."""
    ends = [
        os.fdopen(end, mode) for pipe in (os.pipe(), os.pipe()) for end, mode in zip(pipe, ("rb", "wb"), strict=True)
    ]
    source, into, outcome, target = ends
    received = []

    def feed() -> None:
        with into:
            into.write(content)

    def drain() -> None:
        received.append(outcome.read())

    helpers = [threading.Thread(target=feed), threading.Thread(target=drain)]
    for helper in helpers:
        helper.start()
    with source:
        try:
            with target:
                sharpen_stream(sharpener, source, target, **settings)
        finally:
            for helper in helpers:
                helper.join()
            outcome.close()
    return received[0]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_raw_video_goes_through(make, inverter, frames_of, tmp_path, pixel_format):
    source = make(
        "a.mkv", codec="libx264", pixel_format=pixel_format, colours=(1, 1, 1, 1), options={"qp": "0"}, noise=0
    )
    result = through_pipes(inverter, source.read_bytes())
    assert result.startswith(b"YUV4MPEG2 W64 H48 F25:1")
    (tmp_path / "b.y4m").write_bytes(result)
    before, after = frames_of(source), frames_of(tmp_path / "b.y4m")
    assert len(before) == len(after) == 4
    for one, other in zip(before, after, strict=True):
        luma = (one.planes[0] - 16) / 219
        assert np.abs((other.planes[0] - 16) / 219 - (1 - luma)).max() < 0.03


def test_raw_video_comes_in(make, keeper, frames_of, difference, tmp_path):
    raw = through_pipes(keeper, make("a.mkv").read_bytes())
    again = through_pipes(keeper, raw)
    assert raw == again


def test_matroska_through_a_pipe_keeps_all(make, keeper, packets_of, times_of, tmp_path):
    source = make("a.mkv", codec="libx264", times=(0, 33, 100, 180), audio=("flac",), subtitles=((0, 90, b"hello"),))
    target = tmp_path / "b.mkv"
    target.write_bytes(through_pipes(keeper, source.read_bytes(), container=CONTAINERS[".mkv"]))
    assert times_of(target) == times_of(source)
    assert packets_of(target)[1] == packets_of(source)[1]
    assert packets_of(target)[2] == packets_of(source)[2]


def test_what_is_no_video_is_refused(keeper):
    with pytest.raises(InputError, match="the input cannot be opened"):
        sharpen_stream(keeper, io.BytesIO(b"hello" * 100), io.BytesIO())


def test_a_sound_that_raw_video_cannot_hold_is_said(make, keeper):
    source = make("a.mkv", audio=("flac",))
    with pytest.raises(OutputError, match=r"Y4M cannot hold stream 1 \(audio, flac\)"):
        sharpen_stream(keeper, io.BytesIO(source.read_bytes()), io.BytesIO())


def test_a_reader_that_goes_away_ends_it(make, keeper):
    class Gone(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            raise BrokenPipeError

    before = threading.active_count()
    with pytest.raises((OutputError, BrokenPipeError)):
        sharpen_stream(keeper, io.BytesIO(make("a.mkv").read_bytes()), Gone())
    assert threading.active_count() == before


def test_frames_pass_on_before_the_input_ends(make, keeper):
    """A camera never ends: what comes out must not wait for what comes in."""
    raw = through_pipes(keeper, make("a.mkv", width=256, height=192, times=tuple(range(0, 1200, 40))).read_bytes())
    with av.open(io.BytesIO(raw)) as container:
        assert len(list(container.decode(video=0))) == 30
    ends = [
        os.fdopen(end, mode) for pipe in (os.pipe(), os.pipe()) for end, mode in zip(pipe, ("rb", "wb"), strict=True)
    ]
    source, into, outcome, target = ends
    is_first_out = threading.Event()

    def drain() -> None:
        outcome.read(100_000)
        is_first_out.set()
        while outcome.read(1 << 16):
            pass

    def run() -> None:
        with source, target:
            sharpen_stream(keeper, source, target)

    helpers = [threading.Thread(target=drain), threading.Thread(target=run)]
    for helper in helpers:
        helper.start()
    into.write(raw[: len(raw) * 3 // 4])
    into.flush()
    assert is_first_out.wait(10)
    into.write(raw[len(raw) * 3 // 4 :])
    into.close()
    for helper in helpers:
        helper.join()
    outcome.close()
