from __future__ import annotations

from fractions import Fraction

import pytest
from av.codec.context import CodecContext

from acutance.errors import ConfigError, OutputError
from acutance.videos import VideoSettings
from acutance.videos.codecs import ENCODERS, Coding, choose_coding, options_for
from acutance.videos.containers import CONTAINERS
from acutance.videos.priority import open_encoder


def chosen(suffix: str, source: str, pixel_format: str = "yuv420p", *, codec: str = "auto", ticks: float = 1000):
    return choose_coding(
        VideoSettings(codec=codec),
        CONTAINERS[suffix],
        source_codec=source,
        pixel_format=pixel_format,
        ticks_per_s=ticks,
    )


@pytest.mark.parametrize(
    ("suffix", "source", "codec"),
    [
        (".mp4", "h264", "h264"),
        (".mkv", "hevc", "h265"),
        (".mov", "prores", "prores"),
        (".webm", "h264", "vp9"),
        (".webm", "libdav1d", "av1"),
        (".mkv", "huffyuv", "ffv1"),
        (".mp4", "huffyuv", "h264"),
        (".mkv", "vp8", "vp9"),
        (".ts", "mpeg2video", "h264"),
        (".mkv", "wmv2", "h264"),
        (".y4m", "h264", "raw"),
    ],
)
def test_the_codec_stays_where_that_can_be(suffix, source, codec):
    assert chosen(suffix, source).encoder.codec == codec


def test_a_codec_whose_clock_is_too_coarse_is_left():
    assert chosen(".mp4", "mpeg4", ticks=12800).encoder.codec == "mpeg4"
    assert chosen(".mp4", "mpeg4", ticks=90000).encoder.codec == "h264"


@pytest.mark.parametrize(
    ("source", "pixel_format", "library", "encoded", "lost"),
    [
        ("h264", "yuv444p10le", "libx264", "yuv444p10le", ()),
        ("h264", "gbrp", "libx264rgb", "bgr24", ()),
        ("ffv1", "gbrap", "ffv1", "bgra", ()),
        ("hevc", "gbrp12le", "libx265", "gbrp12le", ()),
        ("h264", "gray", "libx264", "gray", ()),
        ("h264", "yuv411p", "libx264", "yuv422p", ()),
        ("h264", "yuva420p", "libx264", "yuv420p", ("its transparency",)),
        ("libdav1d", "yuv444p", "libsvtav1", "yuv420p", ("its resolution of colour",)),
        ("h264", "yuv420p12le", "libx264", "yuv420p10le", ("its depth",)),
    ],
)
def test_the_pixels_stay_as_they_are_or_it_is_said(source, pixel_format, library, encoded, lost):
    coding = chosen(".mkv", source, pixel_format)
    assert (coding.encoder.library, coding.pixel_format, coding.lost) == (library, encoded, lost)


def test_a_container_that_does_not_hold_the_codec_says_what_it_holds():
    with pytest.raises(OutputError, match="codec h264: WebM does not hold it; choose vp9, av1"):
        chosen(".webm", "h264", codec="h264")


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.library)
def test_every_encoder_opens_with_every_quality_that_it_has(encoder):
    coding = Coding(encoder, "yuv444p10le" if encoder.codec == "prores" else "yuv420p", ())
    if encoder.library == "libx264rgb":
        coding = Coding(encoder, "bgr24", ())
    for quality in encoder.levels:
        context = CodecContext.create(encoder.library, "w")
        context.width, context.height, context.pix_fmt = 64, 48, coding.pixel_format
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        context.options = options_for(coding, VideoSettings(quality=quality))
        open_encoder(context)


def test_parameters_of_one_list_are_joined():
    options = options_for(chosen(".mkv", "hevc"), VideoSettings(quality="lossless"), parameters="max-cll=1,2")
    assert options["x265-params"] == "log-level=none:lossless=1:max-cll=1,2"


def test_a_number_is_a_rate_factor_where_there_is_one():
    assert options_for(chosen(".mkv", "h264"), VideoSettings(quality=17.5))["crf"] == "17.5"
    with pytest.raises(ConfigError, match="quality = 17: ProRes takes no number; choose high, medium, small"):
        options_for(chosen(".mov", "prores", "yuv422p10le"), VideoSettings(quality=17))


def test_a_quality_that_a_codec_has_not_is_refused():
    with pytest.raises(ConfigError, match="quality lossless: ProRes has none; choose high, medium, small"):
        options_for(chosen(".mov", "prores", "yuv422p10le"), VideoSettings(quality="lossless"))


def test_prores_with_full_colour_or_transparency_is_4444():
    assert options_for(chosen(".mov", "prores", "yuv422p10le"), VideoSettings())["profile"] == "hq"
    for pixel_format in ("yuv444p10le", "yuva444p10le"):
        assert options_for(chosen(".mov", "prores", pixel_format), VideoSettings())["profile"] == "4444"
