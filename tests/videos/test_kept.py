"""What a video says of itself: colours, rotation, pixel aspect, HDR."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest

from acutance.videos import VideoSettings, sharpen_video
from acutance.videos.encoding import aspect_of
from acutance.videos.hdr import display_matrix_of, hdr_parameters, side_data_of

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "video_kept.py"

DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
HDR10 = {
    "libx264": {"x264-params": f"mastering-display={DISPLAY}:cll=1000,400"},
    "libx265": {"x265-params": f"log-level=none:master-display={DISPLAY}:max-cll=1000,400"},
    "libsvtav1": {
        "svtav1-params": "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000.0,0.005)"
        ":content-light=1000,400"
    },
}


def side_data(path: Path) -> dict[str, bytes]:
    with av.open(str(path)) as container:
        return side_data_of(next(container.decode(video=0)))


def tags(path: Path) -> tuple[object, ...]:
    with av.open(str(path)) as container:
        (video,) = container.streams.video
        context = video.codec_context
        return (
            context.color_primaries,
            context.color_trc,
            context.colorspace,
            context.color_range,
            video.sample_aspect_ratio,
        )


@pytest.mark.parametrize("colours", [(1, 1, 1, 1), (9, 16, 9, 1), (9, 18, 9, 1), (5, 6, 5, 1), (1, 13, 1, 2)])
@pytest.mark.parametrize(
    "case",
    [
        ("a.mkv", "libx264", "yuv420p"),
        ("a.mp4", "libx264", "yuv420p10le"),
        ("a.mp4", "libx265", "yuv420p10le"),
        ("a.mov", "prores_ks", "yuv422p10le"),
        ("a.mkv", "ffv1", "yuv444p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
    ],
    ids="-".join,
)
def test_colours_mean_the_same(make, keeper, case, colours):
    name, codec, pixel_format = case
    source = make(name, codec=codec, pixel_format=pixel_format, colours=colours, times=(0, 40, 80))
    target = source.with_name("b" + source.suffix)
    result = sharpen_video(keeper, source, target)
    assert result.warnings == ()
    assert tags(target) == tags(source)


def test_what_is_not_said_of_colours_stays_unsaid(make, keeper):
    source = make("a.mkv", codec="libx264", times=(0, 40))
    sharpen_video(keeper, source, source.with_name("b.mkv"))
    assert tags(source.with_name("b.mkv"))[:3] == (2, 2, 2)


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_rotation_stays(make, keeper, ffprobe, name, rotation):
    source = make(name, codec="libx264", rotation=rotation, times=(0, 40))
    target = source.with_name("b" + source.suffix)
    result = sharpen_video(keeper, source, target)
    assert (result.size, result.warnings) == ((48, 64), ())
    assert display_matrix_of(side_data(target)) == display_matrix_of(side_data(source))
    one, other = (ffprobe(path, "-show_entries", "stream_side_data=rotation") for path in (source, target))
    assert one == other


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.mov", "prores_ks")])
def test_pixels_that_are_no_squares_stay_so(make, keeper, name, codec):
    source = make(name, codec=codec, pixel_format="yuv422p10le", aspect=Fraction(4, 3), times=(0, 40))
    target = source.with_name("b" + source.suffix)
    assert sharpen_video(keeper, source, target).warnings == ()
    with av.open(str(target)) as container:
        (video,) = container.streams.video
        next(container.decode(video))
        assert aspect_of(video) == Fraction(4, 3)


def test_an_aspect_that_cannot_be_said_is_told(make, keeper):
    source = make("a.mp4", codec="libsvtav1", aspect=Fraction(4, 3), times=(0, 40))
    result = sharpen_video(keeper, source, source.with_name("b.mkv"))
    assert any("its pixels' aspect" in words for words in result.warnings)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
@pytest.mark.parametrize("codec", HDR10)
def test_hdr10_stays(make, keeper, name, codec):
    source = make(
        name, codec=codec, pixel_format="yuv420p10le", colours=(9, 16, 9, 1), options=HDR10[codec], times=(0, 40, 80)
    )
    target = source.with_name("b" + source.suffix)
    result = sharpen_video(keeper, source, target)
    assert result.warnings == ()
    one, other = side_data(source), side_data(target)
    assert other["CONTENT_LIGHT_LEVEL"] == one["CONTENT_LIGHT_LEVEL"] == struct.pack("=2I", 1000, 400)
    numbers = [struct.unpack_from("=20i", data["MASTERING_DISPLAY_METADATA"]) for data in (one, other)]
    values = [[above / below for above, below in zip(n[::2], n[1::2], strict=True)] for n in numbers]
    assert values[1] == pytest.approx(values[0], abs=2e-4)
    assert values[1][9] == pytest.approx(1000)


def in_mp4(path: Path, boxes: bytes) -> None:
    """Put boxes into the description of an MP4 file's first stream; its index lies behind its data."""
    changed = bytearray(path.read_bytes())
    start = 0
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        start = changed.index(name, start)
        (size,) = struct.unpack_from(">I", changed, start - 4)
        struct.pack_into(">I", changed, start - 4, size + len(boxes))
    place = changed.index(b"avcC", start) - 4
    path.write_bytes(changed[:place] + boxes + changed[place:])


def test_hdr10_that_only_the_container_knows_stays_there(make, keeper):
    source = make("a.mp4", codec="libx264", pixel_format="yuv420p10le", colours=(9, 16, 9, 1), times=(0, 40))
    display = struct.pack(">8H2I", 13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10_000_000, 50)
    light = struct.pack(">2H", 1000, 400)
    in_mp4(source, struct.pack(">I", 32) + b"mdcv" + display + struct.pack(">I", 12) + b"clli" + light)
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= side_data(source).keys()
    target = source.with_name("b.mp4")
    result = sharpen_video(keeper, source, target, settings=VideoSettings(quality="lossless"))
    assert result.warnings == ()
    assert b"mdcv" + display in target.read_bytes()
    assert b"clli" + light in target.read_bytes()
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= side_data(target).keys()
    # Another codec gets them in its own stream, since the container's cannot be set there.
    target = source.with_name("c.mp4")
    assert sharpen_video(keeper, source, target, settings=VideoSettings(codec="h265")).warnings == ()
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= side_data(target).keys()


def test_hdr_of_encoders_that_know_none_is_left_to_the_container():
    assert hdr_parameters({"CONTENT_LIGHT_LEVEL": struct.pack("=2I", 1, 2)}, None) == ""
    assert hdr_parameters({}, "x265") == ""
    unknown = struct.pack("=20i2I", *[0, 1] * 10, 0, 0)
    assert hdr_parameters({"MASTERING_DISPLAY_METADATA": unknown}, "x265") == ""


def test_lossless_hevc_in_mp4_has_the_name_that_all_players_take(make, keeper):
    source = make("a.mp4", codec="libx265", times=(0, 40, 80))
    target = source.with_name("b.mp4")
    sharpen_video(keeper, source, target)
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.skipif(not shutil.which("ffmpeg") or not shutil.which("ffprobe"), reason="needs Debian's package ffmpeg")
def test_the_benchmark_of_what_is_kept_finds_all_equal():
    command = [sys.executable, str(BENCHMARK), "--seconds", "2", "--size", "160x120"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = done.stdout.splitlines()[1:]
    assert len(verdicts) == 7
    assert all(verdict.startswith("equal ") for verdict in verdicts)
