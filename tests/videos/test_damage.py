"""Damaged files: what can be saved is, at its own times, and what was wrong is said."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from acutance.errors import AcutanceError, InputError
from acutance.videos import VideoSettings, sharpen_video

TIMES = tuple(range(0, 480, 40))
LOSSLESS = VideoSettings(quality="lossless")


def packet_places(path: Path, *, index: int = 0) -> list[tuple[int, int, Fraction]]:
    """Return where the packets of a stream lie, their sizes and their times."""
    content = path.read_bytes()
    with av.open(str(path)) as container:
        found = []
        for packet in container.demux(container.streams[index]):
            if packet.size:
                found.append((content.index(bytes(packet)), packet.size, packet.pts * packet.time_base))
        return found


def damaged(path: Path, packets: list[int], *, kind: str = "zeros") -> Path:
    """Overwrite the content of some packets, which stay where they are."""
    content = bytearray(path.read_bytes())
    for place, size, _ in [packet_places(path)[number] for number in packets]:
        if kind == "zeros":
            content[place : place + size] = bytes(size)
        else:
            noise = np.random.default_rng(place).integers(0, 256, size // 2, np.uint8).tobytes()
            content[place + size // 4 : place + size // 4 + len(noise)] = noise
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("case", [("a.mkv", "mjpeg"), ("a.mp4", "libx264"), ("a.nut", "libx264")], ids="-".join)
def test_frames_that_cannot_be_decoded_repeat_the_one_before(make, keeper, frames_of, case):
    name, codec = case
    intra = {"libx264": {"g": "1"}}.get(codec, {})
    source = make(
        name, codec=codec, times=TIMES, pixel_format="yuvj420p" if codec == "mjpeg" else "yuv420p", options=intra
    )
    before = frames_of(source)
    target = source.with_name("b.mkv")
    result = sharpen_video(keeper, damaged(source, [3, 4, 8]), target, settings=VideoSettings(codec="ffv1"))
    assert (result.frames, result.concealed) == (12, 3)
    assert "3 damaged frames were replaced by the one before." in result.warnings
    after = frames_of(target)
    for one, other in zip(before, after, strict=True):
        assert abs(one.seconds - other.seconds) < Fraction(1, 1000)
    for number, shown in enumerate(after):
        stand_in = {3: 2, 4: 2, 8: 7}.get(number, number)
        for plane, expected in zip(shown.planes, before[stand_in].planes, strict=True):
            np.testing.assert_array_equal(plane, expected)


def test_a_damaged_last_frame_is_replaced_too(make, keeper, times_of):
    source = make("a.mkv", codec="mjpeg", pixel_format="yuvj420p", times=TIMES)
    result = sharpen_video(keeper, damaged(source, [10, 11]), source.with_name("b.mkv"))
    assert (result.frames, result.concealed) == (12, 2)
    assert times_of(source.with_name("b.mkv"))[-1] == Fraction(440, 1000)


def test_what_cannot_be_shown_at_the_start_is_said_and_moves_nothing(make, keeper, times_of):
    source = make("a.mkv", codec="mjpeg", pixel_format="yuvj420p", times=TIMES, audio=("flac",))
    result = sharpen_video(keeper, damaged(source, [0, 1]), source.with_name("b.mkv"))
    assert (result.frames, result.concealed) == (10, 0)
    assert any("2 frames at the start could not be decoded" in words for words in result.warnings)
    assert times_of(source.with_name("b.mkv"))[0] == Fraction(80, 1000)


def test_frames_that_lean_on_a_damaged_one_keep_their_times(make, keeper, times_of):
    source = make("a.mkv", codec="libx264", times=TIMES, options={"bf": "2", "g": "6"})
    expected = times_of(source)
    result = sharpen_video(keeper, damaged(source, [2, 3]), source.with_name("b.mkv"))
    assert result.concealed > 0
    assert times_of(source.with_name("b.mkv")) == expected


def test_frames_that_only_others_lean_on_are_no_damage(make, keeper, times_of):
    options = {"auto-alt-ref": "1", "lag-in-frames": "5", "deadline": "good"}
    source = make("a.mkv", codec="libvpx", times=TIMES, options=options)
    result = sharpen_video(keeper, source, source.with_name("b.mkv"))
    assert (result.concealed, result.warnings) == (0, ())
    assert times_of(source.with_name("b.mkv")) == times_of(source)


@pytest.mark.parametrize("resume_key", [None, ""])
def test_frames_that_an_edit_list_cuts_away_are_no_damage(make, keeper, times_of, resume_key):
    source = make("a.mp4", codec="libx264", times=(-80, -40, 0, 40, 80, 120))
    with av.open(str(source)) as container:
        assert container.streams.video[0].frames == 6
    result = sharpen_video(keeper, source, source.with_name("b.mp4"), resume_key=resume_key)
    assert (result.frames, result.concealed, result.warnings) == (4, 0, ())
    assert times_of(source.with_name("b.mp4")) == times_of(source) == [Fraction(n, 25) for n in range(4)]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.avi", "a.nut"])
def test_a_file_that_breaks_off_gives_what_there_is(make, keeper, times_of, name, share):
    is_avi = name.endswith("avi")
    source = make(
        name,
        codec="mpeg4" if is_avi else "libx264",
        width=160,
        height=120,
        noise=0.1,
        times=tuple(range(12)) if is_avi else TIMES,
        time_base=Fraction(1, 25 if is_avi else 1000),
        options={"g": "4"},
        audio=("mp2",),
    )
    whole = times_of(source)
    content = source.read_bytes()
    source.write_bytes(content[: int(len(content) * share)])
    target = source.with_name("b" + source.suffix)
    result = sharpen_video(keeper, source, target)
    found = times_of(target)
    assert 0 < result.frames == len(found) < len(whole)
    assert found == whole[: len(found)]


def test_an_mp4_that_breaks_off_says_how_many_frames_are_missing(make, keeper):
    source = make("a.mp4", codec="libx264", times=TIMES, options={"movflags": "faststart"})
    with av.open(str(source)) as whole:  # the index goes to the front
        path = source.with_name("front.mp4")
        with av.open(str(path), "w", container_options={"movflags": "faststart"}) as out:
            stream = out.add_stream_from_template(whole.streams.video[0], opaque=True)
            for packet in whole.demux(whole.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.7)])
    result = sharpen_video(keeper, path, path.with_name("b.mp4"))
    assert 0 < result.frames - result.concealed < 12
    assert result.warnings


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov", "a.ts", "a.nut", "a.avi", "a.flv", "a.webm"])
def test_files_with_broken_bytes_give_a_sentence_or_a_video(make, keeper, times_of, name):
    """No traceback, no hang, no half file."""
    is_avi = name.endswith("avi")
    source = make(
        name,
        codec="libvpx-vp9" if name.endswith("webm") else "libx264",
        times=tuple(range(8)) if is_avi else TIMES[:8],
        time_base=Fraction(1, 25 if is_avi else 1000),
        options={"deadline": "realtime", "cpu-used": "8"} if name.endswith("webm") else {},
        audio=() if is_avi or name.endswith("webm") else ("aac",),
    )
    content = source.read_bytes()
    sentences = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        broken = bytearray(content)
        if seed % 3 == 0:
            broken = broken[: rng.integers(1, len(broken))]
        for place in rng.integers(0, len(broken), 1 + 6 * (seed % 4)):
            broken[place : place + 4] = rng.integers(0, 256, 4, np.uint8).tobytes()
        path = source.with_name(f"broken{seed}{source.suffix}")
        path.write_bytes(broken[: len(content)])
        target = source.with_name("out.mkv")
        try:
            result = sharpen_video(keeper, path, target, overwrite=True)
        except AcutanceError as error:
            sentences.append(str(error))
            assert not target.exists()
        else:
            times = times_of(target)
            assert len(times) == result.frames
            assert times == sorted(set(times))
            target.unlink()
        assert not list(source.parent.glob(".acutance-*"))
    assert all(sentence.endswith(".") for sentence in sentences)


def test_a_size_that_changes_within_the_video_is_said(make, keeper):
    small, large = make("a.ts", codec="libx264"), make("b.ts", codec="libx264", width=96, times=(200, 240, 280))
    path = small.with_name("both.ts")
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(InputError, match="size of the frames changes within the video, from 64 × 48 to 96 × 48 px"):
        sharpen_video(keeper, path, path.with_name("out.mkv"))


def test_times_that_jump_back_are_said(make, keeper):
    late, early = make("a.ts", codec="libx264", times=(9000, 9040, 9080)), make("b.ts", codec="libx264")
    path = late.with_name("both.ts")
    path.write_bytes(late.read_bytes() + early.read_bytes())
    with pytest.raises(InputError, match=r"jump back at 9\.\d s"):
        sharpen_video(keeper, path, path.with_name("out.mkv"))


def test_short_videos_that_were_joined_are_said(make, keeper):
    """Shorter than a second, so that no time lies far back; all of the second one would be at one moment."""
    times = tuple(range(0, 600, 40))
    part = make("a.ts", codec="libx264", times=times, options={"bf": "2"}, noise=0.1)
    path = part.with_name("both.ts")
    path.write_bytes(part.read_bytes() * 3)
    with pytest.raises(InputError, match=r"jump back at \d\.\d s, as in files that were joined"):
        sharpen_video(keeper, path, path.with_name("out.mkv"))


def test_a_damaged_sound_does_not_stop_the_video(make, keeper, times_of):
    source = make("a.ts", codec="libx264", times=TIMES, audio=("aac",))
    expected = times_of(source)
    content = bytearray(source.read_bytes())
    for start in range(0, len(content), 188):  # the sound's packets have the second PID
        if int.from_bytes(content[start + 1 : start + 3]) & 0x1FFF == 0x101 and start % 3:
            content[start + 60 : start + 100] = bytes(40)
    source.write_bytes(content)
    target = source.with_name("b.mkv")
    assert sharpen_video(keeper, source, target).frames == len(expected)
    assert len(times_of(target)) == len(expected)


def test_broken_videos_of_every_kind_end_well():
    """A lean sample of the benchmark, which takes 2 048."""
    benchmark = Path(__file__).parents[2] / "benchmarks" / "broken_videos.py"
    done = subprocess.run(
        [sys.executable, str(benchmark), "4"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("64 broken videos of 16 kinds: ")
