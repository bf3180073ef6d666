"""Whole videos through all stages, with an engine that runs no network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.codec.codec import Codec

from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import ConfigError, EngineError, ImageTooLarge, InputError, OutputError
from acutance.extras import how_to_get
from acutance.imaging.pad import MARGIN_PX
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import Region
from acutance.spec import ModelSpec
from acutance.videos import VideoProgress, VideoSettings, sharpen_video
from acutance.videos.stages import MOST_IN_WORK, QUEUE_FRAMES

LOSSLESS = VideoSettings(quality="lossless")
UNEVEN_MS = (0, 33, 67, 100, 200, 233, 300, 310, 400)


def exact_formats() -> list[tuple[str, str]]:
    """Every pixel format of every lossless encoder that there is."""
    formats = []
    for codec in ("ffv1", "libx264", "libx264rgb", "libx265", "libvpx-vp9", "libsvtav1"):
        names = [pixel_format.name for pixel_format in Codec(codec, "w").video_formats]
        # Floats are not worked on, and transparency beside the picture is another test's.
        formats += [
            (codec, name)
            for name in names
            if not any(part in name for part in ("f16", "f32", "ya8")) and (codec == "ffv1" or "a" not in name[3:4])
        ]
    return formats


def names_in(folder) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("case", exact_formats(), ids="-".join)
def test_what_is_not_changed_stays_to_the_last_bit_in_every_pixel_format(make, keeper, frames_of, difference, case):
    codec, pixel_format = case
    source = make("a.mkv", codec=codec, pixel_format=pixel_format, times=(0, 40))
    target = source.with_name("b.mkv")
    sharpen_video(keeper, source, target, settings=LOSSLESS)
    one, other = frames_of(source), frames_of(target)
    if [frame.format for frame in one] == [frame.format for frame in other]:
        assert difference(one, other) == 0
    else:  # rgb48le and rgba64le come back as three or four planes
        assert pixel_format in ("rgb48le", "rgba64le")
        assert other[0].format == {"rgb48le": "gbrp16le", "rgba64le": "gbrap16le"}[pixel_format]


@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuv444p10le", "bgr0", "gray", "gray12le", "yuva444p", "gbrap10le"]
)
def test_frames_are_what_the_network_made_of_them(make, inverter, frames_of, pixel_format):
    source = make("a.mkv", pixel_format=pixel_format, colours=(1, 1, 1, 2), times=(0, 40), noise=0)
    target = source.with_name("b.mkv")
    result = sharpen_video(inverter, source, target)
    assert (result.codec, result.frames, result.concealed) == ("FFV1", 2, 0)
    top = (1 << av.VideoFormat(pixel_format).components[0].bits) - 1
    for before, after in zip(frames_of(source), frames_of(target), strict=True):
        for index, (plane, inverted) in enumerate(zip(before.planes, after.planes, strict=True)):
            if before.format in ("bgr0", "bgra"):
                colours = [samples.reshape(48, 64, 4)[..., :3] for samples in (plane, inverted)]
                np.testing.assert_array_equal(colours[1], 255 - colours[0])
            elif index == 3:
                np.testing.assert_array_equal(inverted, plane)
            else:  # of full range: inverted RGB has inverted luma, and chroma mirrored at its middle
                mirrored = top + (index > 0 and "yuv" in pixel_format) - plane
                # Chroma of 4:2:0 is averaged where the scaler had interpolated it; RGB of 8 bit has been rounded.
                assert np.abs(inverted - mirrored).max() <= top * (0.03 if pixel_format == "yuv420p" else 0.008)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_strength_zero_runs_nothing(make, frames_of, difference, strength):
    engine = FakeEngine(lambda batch: 1.0 - batch)
    source = make("a.mkv")
    with Sharpener(engine=engine) as sharpener:
        sharpen_video(sharpener, source, source.with_name("b.mkv"), strength=strength)
    assert bool(engine.sizes) == bool(strength)
    assert (difference(frames_of(source), frames_of(source.with_name("b.mkv"))) == 0) == (not strength)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov", "a.nut", "a.ts", "a.flv", "a.wmv"])
def test_every_frame_keeps_its_time(make, keeper, times_of, name):
    codec, options = ("mpeg4", {}) if name.endswith("wmv") else ("libx264", {"bf": "3"})
    source = make(name, codec=codec, times=UNEVEN_MS, options=options)
    target = source.with_name("b" + source.suffix)
    result = sharpen_video(keeper, source, target)
    assert times_of(target) == times_of(source)
    assert result.frames == len(UNEVEN_MS)


@pytest.mark.parametrize("time_base", [Fraction(1001, 30000), Fraction(1, 90000), Fraction(1, 600), Fraction(1, 25)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.nut"])
def test_times_of_any_clock_are_exact(make, keeper, times_of, name, time_base):
    ticks = tuple(round(time / 1000 / time_base) for time in (400, 440, 480, 560))
    source = make(name, codec="libx264", times=ticks, time_base=time_base)
    target = source.with_name("b" + source.suffix)
    sharpen_video(keeper, source, target)
    assert times_of(target) == times_of(source)


def test_an_avi_keeps_its_frames(make, keeper, frames_of, difference):
    source = make("a.avi", times=(0, 1, 2, 3), time_base=Fraction(1, 25))
    target = source.with_name("b.avi")
    assert sharpen_video(keeper, source, target).warnings == ()
    assert difference(frames_of(source), frames_of(target)) == 0


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
def test_the_shortest_videos_are_written(make, keeper, times_of, count, codec):
    source = make("a.mp4", codec="libx264", times=(0, 40, 80)[:count])
    target = source.with_name("b.mp4")
    assert sharpen_video(keeper, source, target, settings=VideoSettings(codec=codec)).frames == count
    assert times_of(target) == times_of(source)


def test_a_file_of_constant_rate_says_that_it_moved_the_frames(make, keeper, times_of):
    source = make("a.mkv", codec="libx264", times=UNEVEN_MS)
    result = sharpen_video(keeper, source, source.with_name("b.avi"))
    assert any("constant frame rate" in words for words in result.warnings)
    assert len(times_of(source.with_name("b.avi"))) == len(UNEVEN_MS)


def test_the_result_is_judged_equal_by_ffprobe(make, keeper, ffprobe):
    source = make("a.mkv", codec="libx264", times=UNEVEN_MS, colours=(9, 16, 9, 1), pixel_format="yuv420p10le")
    target = source.with_name("b.mkv")
    sharpen_video(keeper, source, target)
    entries = "stream=pix_fmt,color_range,color_space,color_transfer,color_primaries,width,height,codec_name"
    one, other = (ffprobe(path, "-show_entries", entries)["streams"] for path in (source, target))
    assert one == other
    one, other = (ffprobe(path, "-show_entries", "frame=pts", "-select_streams", "v") for path in (source, target))
    assert one["frames"] == other["frames"]


@pytest.fixture
def darker() -> Sharpener:
    return Sharpener(
        engine=FakeEngine(lambda batch: batch * np.float32(0.5)), region=Region(x=0, y=0, width=16, height=16)
    )


def test_names_are_taken_as_text_too(make, keeper, frames_of, difference):
    source = make("a.mkv", times=(0, 40))
    target = source.with_name("b.mkv")
    sharpen_video(keeper, str(source), str(target), settings=LOSSLESS)
    assert difference(frames_of(source), frames_of(target)) == 0


def test_a_region_of_a_video_is_sharpened_and_the_rest_stays(make, darker, frames_of):
    source = make("a.mkv", times=(0, 40))
    target = source.with_name("b.mkv")
    sharpen_video(darker, source, target, settings=LOSSLESS)
    for before, after in zip(frames_of(source), frames_of(target), strict=True):
        np.testing.assert_array_equal(after.planes[0][28:, 28:], before.planes[0][28:, 28:])
        assert after.planes[0][:12, :12].mean() < 0.8 * before.planes[0][:12, :12].mean()


@pytest.mark.parametrize(
    ("clip", "how"), [({"rotation": 90}, "turned when it is shown"), ({"is_interlaced": True}, "interlaced")]
)
def test_a_region_of_frames_that_are_shown_otherwise_is_refused(make, darker, clip, how):
    """It is told in px of what is looked at: elsewhere it would be another part."""
    source = make("a.mp4", codec="libx264", times=(0, 40), **clip)
    with pytest.raises(ConfigError, match=f"region 0,0,16,16: this video is {how}"):
        sharpen_video(darker, source, source.with_name("b.mp4"))
    assert names_in(source.parent) == ["a.mp4"]


def test_where_blocks_begin_is_told_once_for_all_frames_of_a_named_model_too(make, monkeypatch):
    """From frame to frame they would flicker."""
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr("acutance.inference.restoring.first_block", lambda pixels: asked.append(pixels.shape) or (0, 0))
    source = make("a.mkv", times=(0, 40, 80))
    engine = FakeEngine(spec=replace(FAKE_SPEC, size_multiple=4))
    with Sharpener(engine=engine) as named:
        sharpen_video(named, source, source.with_name("b.mkv"), settings=LOSSLESS)
    assert asked == [(48, 64, 3)]


def test_the_network_sees_fields_of_interlaced_frames_one_by_one(make, frames_of):
    source = make("a.mkv", codec="libx264", is_interlaced=True, options={"qp": "0"})
    target = source.with_name("b.mkv")
    engine = FakeEngine(
        lambda batch: np.broadcast_to(batch.mean(axis=2, keepdims=True), batch.shape).astype(np.float32)
    )
    with Sharpener(engine=engine) as sharpener:
        result = sharpen_video(sharpener, source, target, settings=LOSSLESS)
    assert set(engine.sizes) == {(24 + 2 * MARGIN_PX, 64 + 2 * MARGIN_PX)}
    assert any("interlaced" in words for words in result.warnings)
    with av.open(str(target)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    for before, after in zip(frames_of(source), frames_of(target), strict=True):
        for field in (0, 1):
            luma = after.planes[0][field::2]
            assert np.abs(luma - before.planes[0][field::2].mean(axis=0)).max() < 12  # chroma is shared by two rows


def test_a_model_that_enlarges_gives_a_larger_video(make, frames_of):
    spec = ModelSpec(**{name: getattr(FAKE_SPEC, name) for name in FAKE_SPEC.__slots__} | {"scale": 2})
    engine = FakeEngine(lambda batch: batch.repeat(2, axis=2).repeat(2, axis=3), spec)
    source = make("a.mkv", colours=(1, 1, 1, 2))
    target = source.with_name("b.mkv")
    with Sharpener(engine=engine) as sharpener:
        result = sharpen_video(sharpener, source, target)
    assert result.size == (96, 128)
    for before, after in zip(frames_of(source), frames_of(target), strict=True):
        doubled = before.planes[0].repeat(2, axis=0).repeat(2, axis=1)
        assert np.abs(after.planes[0] - doubled).mean() < 1.5


def test_hidden_colours_do_not_bleed_and_transparency_stays(tmp_path, frames_of):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 16, 16, "bgra"
        pixels = np.full((16, 16, 4), 90, np.uint8)
        pixels[..., 3] = 255
        pixels[:, 8:] = (255, 0, 255, 0)
        out.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="bgra")))
        out.mux(video.encode(None))
    wide = FakeEngine(lambda batch: np.broadcast_to(batch.mean(axis=3, keepdims=True), batch.shape).astype(np.float32))
    with Sharpener(engine=wide) as sharpener:
        sharpen_video(sharpener, path, tmp_path / "b.mkv")
    result = frames_of(tmp_path / "b.mkv")[0].planes[0].reshape(16, 16, 4)
    np.testing.assert_array_equal(result[:, :8], pixels[:, :8])
    np.testing.assert_array_equal(result[..., 3], pixels[..., 3])


def test_progress_counts_every_frame_of_a_file_that_tells_how_many(make, keeper):
    told: list[VideoProgress] = []
    source = make("a.mp4", codec="libx264")
    sharpen_video(keeper, source, source.with_name("b.mp4"), progress=told.append)
    assert [(progress.frames, progress.total) for progress in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_flicker_is_measured_and_smoothing_lessens_it(make):
    rng = np.random.default_rng(0)
    source = make("a.mkv", is_still=True, noise=0, times=tuple(range(0, 400, 40)))

    def run(smoothing: float) -> float:
        engine = FakeEngine(lambda batch: batch + rng.normal(0, 0.05, batch.shape).astype(np.float32))
        with Sharpener(engine=engine) as sharpener:
            settings = VideoSettings(smoothing=smoothing)
            return sharpen_video(
                sharpener, source, source.with_name("b.mkv"), settings=settings, overwrite=True
            ).flicker

    flicker = run(0.0)
    assert 10 < flicker < 20  # 0.05 of noise twice, in levels of 255
    assert run(0.8) < 0.5 * flicker


def test_a_target_that_exists_is_kept_unless_it_may_be_replaced(make, keeper, times_of):
    source = make("a.mkv")
    target = source.with_name("b.mkv")
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        sharpen_video(keeper, source, target)
    assert target.read_bytes() == b"precious"
    sharpen_video(keeper, source, target, overwrite=True)
    assert len(times_of(target)) == 4


def test_a_video_can_replace_itself(make, keeper, times_of):
    source = make("a.mkv")
    sharpen_video(keeper, source, source, overwrite=True)
    assert len(times_of(source)) == 4
    assert names_in(source.parent) == ["a.mkv"]


@pytest.mark.parametrize(
    ("target", "settings", "expected"),
    [
        ("b.jpg", {}, (OutputError, "must end in one of")),
        ("b.webm", {"codec": "h264"}, (OutputError, "WebM does not hold it")),
        ("b.mov", {"codec": "prores", "quality": "lossless"}, (ConfigError, "ProRes has none")),
        ("b.mkv", {"from_s": 60}, (InputError, "no frame could be decoded in the part")),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(make, keeper, target, settings, expected):
    error, words = expected
    source = make("a.mkv")
    with pytest.raises(error, match=words):
        sharpen_video(keeper, source, source.with_name(target), settings=VideoSettings(**settings))
    assert names_in(source.parent) == ["a.mkv"]


def test_a_strength_out_of_range_is_refused(make, keeper):
    source = make("a.mkv")
    with pytest.raises(ConfigError, match="strength = 3"):
        sharpen_video(keeper, source, source.with_name("b.mkv"), strength=3)
    assert names_in(source.parent) == ["a.mkv"]


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(make):
    source = make("a.mkv")
    with (
        Sharpener(engine=FakeEngine(), max_pixels=3000) as sharpener,
        pytest.raises(ImageTooLarge, match=r"frames of 64×48 px = 3072 px, the limit is 3000 px"),
    ):
        sharpen_video(sharpener, source, source.with_name("b.mkv"))


def test_what_is_no_video_is_refused(tmp_path, keeper):
    for name, content, words in (
        ("a.txt", b"hello", "cannot be opened"),
        ("b.mp4", b"\xff\xd8\xff\xe0", "is a picture"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words):
            sharpen_video(keeper, tmp_path / name, tmp_path / "out.mkv")
        assert not (tmp_path / "out.mkv").exists()


def test_sounds_alone_are_refused(keeper, tmp_path):
    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as out:
        sound = out.add_stream("pcm_s16le", rate=48000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), format="s16", layout="stereo")
        samples.sample_rate, samples.pts, samples.time_base = 48000, 0, Fraction(1, 48000)
        out.mux(sound.encode(samples))
    with pytest.raises(InputError, match="holds no video that can be decoded"):
        sharpen_video(keeper, path, tmp_path / "b.mkv")
    assert names_in(tmp_path) == ["a.mka"]


@pytest.mark.parametrize("error", [EngineError("the engine broke."), RuntimeError("a bug"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_nothing_and_ends_all_threads(make, error):
    source = make("a.mkv", times=tuple(range(0, 1000, 40)), audio=("flac",))
    before = threading.active_count()
    calls = []

    def fail(batch: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 4:
            raise error
        return batch

    with Sharpener(engine=FakeEngine(fail)) as sharpener, pytest.raises(type(error)):
        sharpen_video(sharpener, source, source.with_name("b.mkv"))
    assert threading.active_count() == before
    assert names_in(source.parent) == ["a.mkv"]


def test_a_failing_progress_or_writer_ends_all_threads(make, keeper):
    source = make("a.mkv", times=tuple(range(0, 1000, 40)))
    before = threading.active_count()

    def fail(progress: VideoProgress) -> None:
        if progress.frames == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sharpen_video(keeper, source, source.with_name("b.mkv"), progress=fail)
    assert threading.active_count() == before
    assert names_in(source.parent) == ["a.mkv"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX limits")
def test_a_disk_that_takes_no_more_is_said(make, keeper):
    import resource

    source = make("a.mkv", width=320, height=240, noise=0.3, times=tuple(range(0, 800, 40)))
    before = threading.active_count()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(OutputError, match="does not take files that large"):
            sharpen_video(keeper, source, source.with_name("b.mkv"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert threading.active_count() == before
    assert names_in(source.parent) == ["a.mkv"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_it_at_once_and_leaves_nothing(make):
    source = make("a.mkv", times=tuple(range(0, 1200, 40)))

    def slow(batch: np.ndarray) -> np.ndarray:
        time.sleep(2)
        return batch

    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    start = time.monotonic()
    timer.start()
    with Sharpener(engine=FakeEngine(slow)) as sharpener, pytest.raises(KeyboardInterrupt):
        sharpen_video(sharpener, source, source.with_name("b.mkv"))
    timer.join()
    assert time.monotonic() - start < 30  # of sixty
    assert names_in(source.parent) == ["a.mkv"]


@pytest.mark.parametrize("is_offloaded", [False, True])
def test_few_frames_are_in_memory_whichever_stage_is_slow(make, monkeypatch, is_offloaded):
    """Decoding must not run ahead of the network, nor the network of the encoder."""
    from acutance.videos import frames, writing

    source = make("a.mkv", times=tuple(range(0, 1000, 40)))
    counts = {"prepared": 0, "sharpened": 0, "written": 0}
    ahead = []
    prepare, show = frames.FramePreparer.prepare, writing.VideoWriter.show

    def counting_prepare(self, chunk):
        counts["prepared"] += chunk.frame is not None
        return prepare(self, chunk)

    def counting_show(self, *arguments):
        if is_slow == "encoder":
            time.sleep(0.01)
        ahead.append(counts["prepared"] - counts["written"])
        counts["written"] += 1
        show(self, *arguments)

    def run(batch: np.ndarray) -> np.ndarray:
        if is_slow == "network":
            time.sleep(0.01)
        ahead.append(counts["prepared"] - counts["written"])
        return batch

    monkeypatch.setattr(frames.FramePreparer, "prepare", counting_prepare)
    monkeypatch.setattr(writing.VideoWriter, "show", counting_show)
    for is_slow in ("encoder", "network"):  # noqa: B007 - read by the functions above
        counts.update(prepared=0, sharpened=0, written=0)
        with Sharpener(engine=FakeEngine(run, is_offloaded=is_offloaded)) as sharpener:
            sharpen_video(sharpener, source, source.with_name("b.mkv"), overwrite=True)
        # Those in the three stages, and a full queue before and behind the network.
        assert max(ahead) <= 2 * QUEUE_FRAMES + (MOST_IN_WORK if is_offloaded else 1) + 2


def test_encoders_write_nothing_to_the_terminal(make, keeper, capfd):
    source = make("a.mkv")
    for codec in ("h264", "h265", "av1", "vp9"):
        settings = VideoSettings(codec=codec)
        sharpen_video(keeper, source, source.with_name("b.mkv"), settings=settings, overwrite=True)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def alphas_of(path, library: str) -> list[np.ndarray]:
    """Decode the transparency that lies beside VP8 or VP9."""
    context, frames = av.CodecContext.create(library, "r"), []
    with av.open(str(path)) as container:
        assert (
            container.streams.video[0].metadata.get("alpha_mode", container.streams.video[0].metadata.get("ALPHA_MODE"))
            == "1"
        )
        for packet in container.demux(container.streams.video[0]):
            frames += context.decode(packet if packet.size else None)
    assert all(frame.format.name.startswith("yuva") for frame in frames)
    return [np.frombuffer(frame.planes[3], np.uint8).reshape(frame.height, -1)[:, : frame.width] for frame in frames]


@pytest.mark.parametrize("resume_key", [None, "key"])
@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_transparency_beside_the_picture_is_kept(make, inverter, codec, resume_key):
    """The usual decoder of VP8 and VP9 does not give it; segments keep it, too."""
    options = {"auto-alt-ref": "0"} if codec == "libvpx" else {}
    source = make("a.webm", codec=codec, pixel_format="yuva420p", options=options)
    target = source.with_name("b.webm")
    result = sharpen_video(inverter, source, target, settings=LOSSLESS, resume_key=resume_key)
    assert result.warnings == ()
    assert result.pixel_format == "yuva420p"
    for before, after in zip(alphas_of(source, codec), alphas_of(target, "libvpx-vp9"), strict=True):
        np.testing.assert_array_equal(before, after)


def test_transparency_that_the_result_cannot_hold_is_said(make, keeper):
    source = make("a.webm", codec="libvpx-vp9", pixel_format="yuva420p")
    result = sharpen_video(keeper, source, source.with_name("b.mp4"), settings=VideoSettings(codec="h264"))
    assert result.warnings == ("H.264 could not keep its transparency: it was encoded as yuv420p.",)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.m4v"])
@pytest.mark.parametrize("is_fast", [True, False])
@pytest.mark.parametrize("resume_key", [None, "key"])
def test_a_file_whose_index_comes_first_comes_back_as_one(make, keeper, name, is_fast, resume_key):
    """A browser can begin to play it before all of it is there."""

    def is_index_first(path) -> bool:
        content = path.read_bytes()
        return content.index(b"moov") < content.index(b"mdat")

    source = make(name, codec="libx264", audio=("aac",), metadata={"com.maker.key": "value"})
    if is_fast:
        plain, source = source, source.with_name(f"fast-{name}")
        options = {"movflags": "faststart+use_metadata_tags"}
        with av.open(str(plain)) as read, av.open(str(source), "w", options=options) as written:
            streams = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
            for packet in read.demux():
                if packet.size:
                    packet.stream = streams[packet.stream_index]
                    written.mux(packet)
    assert is_index_first(source) == is_fast
    target = source.with_name(f"b-{name}")
    sharpen_video(keeper, source, target, resume_key=resume_key)
    assert is_index_first(target) == is_fast


@pytest.mark.parametrize("into", ["avi", "mkv"])
@pytest.mark.parametrize("coding", [("libx264", 3), ("libx264", 0), ("mpeg4", 2), ("mpeg4", 0)])
def test_frames_of_an_avi_stay_where_they_are(make, keeper, times_of, into, coding):
    """It numbers packets as they are decoded, which with B-frames is not the order in which frames are shown."""
    codec, b_frames = coding
    options = {"bf": str(b_frames), **({"preset": "fast"} if codec == "libx264" else {})}
    settings = {"times": tuple(range(20)), "time_base": Fraction(1, 25), "noise": 0.1}
    source = make("a.avi", codec=codec, options=options, audio=("mp2",), **settings)
    target = source.with_name(f"b.{into}")
    result = sharpen_video(keeper, source, target)
    assert result.warnings == ()
    times = times_of(target)
    assert len(times) == 20
    assert [round(float(time - times[0]) * 25, 1) for time in times] == list(range(20))
    if into == "avi":  # as often as one likes: no empty frame stands before the first
        sharpen_video(keeper, target, source.with_name("c.avi"))
        assert times_of(source.with_name("c.avi")) == times
        with av.open(str(target)) as written:
            assert written.streams.video[0].frames == 20
    else:
        assert times[0] == 0


def test_without_pyav_the_way_to_get_it_is_said():
    code = (
        "import importlib.util; importlib.util.find_spec = lambda name: None\n"
        "from acutance.errors import AcutanceError\n"
        "try:\n    import acutance.videos\n"
        "except AcutanceError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"videos: PyAV is not installed; {how_to_get('video')}.\n"


@pytest.mark.parametrize(("is_offloaded", "most"), [(False, 1), (True, 2)])
def test_a_network_on_the_processor_gets_one_frame_at_a_time_and_one_elsewhere_two(make, times_of, is_offloaded, most):
    source = make("a.mkv", times=tuple(range(0, 400, 40)))
    working, seen = [], []

    def run(batch: np.ndarray) -> np.ndarray:
        working.append(1)
        time.sleep(0.02)
        seen.append(len(working))
        working.pop()
        return batch

    with Sharpener(engine=FakeEngine(run, is_offloaded=is_offloaded)) as sharpener:
        sharpen_video(sharpener, source, source.with_name("b.mkv"))
    assert max(seen) == most
    assert times_of(source.with_name("b.mkv")) == times_of(source)
