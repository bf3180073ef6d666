"""Encoders: how each is told what quality is wanted, and which of them takes which pixels.

A table, one row per encoder. The settings of `high` were chosen so that the loss is far below what sharpening changes;
the presets, so that encoding takes a small part of the time that the network does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from av.codec.codec import Codec, PixFmtLoss, UnknownCodecError, find_best_pix_fmt_of_list

from acutance.errors import ConfigError, OutputError
from acutance.videos.containers import Container
from acutance.videos.planes import Layout
from acutance.videos.settings import CodecName, QualityName, VideoSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """One row: a library's encoder."""

    codec: CodecName
    library: str
    """FFmpeg's name of it."""
    label: str
    """The codec's name in a sentence."""
    decoders: frozenset[str]
    """FFmpeg's names of the codecs that it stands for when a video keeps its codec."""
    levels: Mapping[QualityName, Mapping[str, str]]
    """Options by quality; what is missing, the codec cannot do."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options in any case."""
    factor_option: str | None = None
    """The option that takes a number as quality."""
    parameters_option: str | None = None
    """The option that takes a list of the library's own parameters."""
    hdr_style: Literal["x264", "x265", "svt"] | None = None
    """How mastering display and light levels are told to it."""
    live_options: Mapping[str, str] = field(default_factory=dict)
    """Options that make it give every frame at once."""
    is_interlacing: bool = False
    """Whether it codes two fields as such."""
    largest_time_base: int | None = None
    """The finest time base that it takes, in ticks per second."""


def _factors(option: str, high: int, medium: int, small: int) -> dict[QualityName, Mapping[str, str]]:
    return {"high": {option: str(high)}, "medium": {option: str(medium)}, "small": {option: str(small)}}


def _quantisers() -> dict[QualityName, Mapping[str, str]]:
    """Return the options of FFmpeg's own encoders for constant quantisers, 1 (best) … 31, in its unit of 1/118."""
    values: dict[QualityName, int] = {"high": 2, "medium": 4, "small": 8}
    return {name: {"flags": "+qscale", "global_quality": str(118 * value)} for name, value in values.items()}


_ANY_LEVEL: dict[QualityName, Mapping[str, str]] = {level: {} for level in get_args(QualityName)}

_X264 = Encoder(
    codec="h264",
    library="libx264",
    label="H.264",
    decoders=frozenset({"h264"}),
    levels=_factors("crf", 14, 18, 23) | {"lossless": {"qp": "0"}},
    options={"preset": "fast"},
    factor_option="crf",
    parameters_option="x264-params",
    hdr_style="x264",
    live_options={"tune": "zerolatency"},
    is_interlacing=True,
)

ENCODERS: tuple[Encoder, ...] = (
    _X264,
    replace(_X264, library="libx264rgb"),
    Encoder(
        codec="h265",
        library="libx265",
        label="H.265",
        decoders=frozenset({"hevc"}),
        levels=_factors("crf", 15, 20, 26) | {"lossless": {"x265-params": "lossless=1"}},
        options={"preset": "veryfast", "x265-params": "log-level=none"},  # it writes to stderr by itself
        factor_option="crf",
        parameters_option="x265-params",
        hdr_style="x265",
        live_options={"tune": "zerolatency"},
    ),
    Encoder(
        codec="av1",
        library="libsvtav1",
        label="AV1",
        decoders=frozenset({"av1", "libdav1d", "libaom-av1"}),
        levels=_factors("crf", 16, 26, 36) | {"lossless": {"svtav1-params": "lossless=1"}},
        options={"preset": "8"},
        factor_option="crf",
        parameters_option="svtav1-params",
        hdr_style="svt",
        live_options={"svtav1-params": "pred-struct=1"},
    ),
    Encoder(
        codec="vp9",
        library="libvpx-vp9",
        label="VP9",
        decoders=frozenset({"vp9", "vp8", "libvpx-vp9", "libvpx"}),
        levels=_factors("crf", 14, 24, 34) | {"lossless": {"lossless": "1"}},
        options={"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
        factor_option="crf",
        live_options={"deadline": "realtime", "lag-in-frames": "0"},
    ),
    Encoder(
        codec="prores",
        library="prores_ks",
        label="ProRes",
        decoders=frozenset({"prores", "dnxhd", "cfhd"}),
        levels={"high": {"profile": "hq"}, "medium": {"profile": "standard"}, "small": {"profile": "lt"}},
        options={"vendor": "apl0"},
        is_interlacing=True,
    ),
    Encoder(
        codec="ffv1",
        library="ffv1",
        label="FFV1",
        decoders=frozenset({"ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "rawvideo", "png", "qtrle", "v210"}),
        levels=_ANY_LEVEL,
        options={"level": "3", "g": "1", "slicecrc": "1"},
    ),
    Encoder(
        codec="mpeg4",
        library="mpeg4",
        label="MPEG-4",
        decoders=frozenset({"mpeg4"}),
        levels=_quantisers(),
        is_interlacing=True,
        largest_time_base=65535,
    ),
    Encoder(
        codec="mjpeg",
        library="mjpeg",
        label="MJPEG",
        decoders=frozenset({"mjpeg"}),
        levels=_quantisers(),
        options={"strict": "unofficial"},  # or it refuses limited range
    ),
    Encoder(codec="raw", library="wrapped_avframe", label="raw video", decoders=frozenset(), levels=_ANY_LEVEL),
)

_Y4M_FORMATS = ("gray", "yuv411p", "yuv420p", "yuv422p", "yuv444p")
"""What every reader of the Y4M format takes."""

_LOSSES = {
    PixFmtLoss.RESOLUTION: "its resolution of colour",
    PixFmtLoss.DEPTH: "its depth",
    PixFmtLoss.COLORSPACE: "RGB, kept as YUV",
    PixFmtLoss.ALPHA: "its transparency",
    PixFmtLoss.COLORQUANT: "its number of colours",
    PixFmtLoss.CHROMA: "its colours",
}


@dataclass(frozen=True, slots=True)
class Coding:
    """What a video is going to be encoded with."""

    encoder: Encoder
    pixel_format: str
    lost: tuple[str, ...]
    """What that pixel format cannot hold of the source's, in words."""


def choose_coding(
    settings: VideoSettings, container: Container, *, source_codec: str, pixel_format: str, ticks_per_s: float
) -> Coding:
    """Choose the encoder and the pixel format.

    Args:
        settings: The user's wish. `auto` is the source's codec; where that cannot be, the container's first.
        container: Of the target.
        source_codec: FFmpeg's name of the source's codec.
        pixel_format: A planar one, that the frames are in.
        ticks_per_s: Of the source's timestamps.

    Raises:
        OutputError: When the container does not hold the codec that is asked for.
        ConfigError: When the library has no encoder for it, or the codec cannot do what is asked for.
    """
    fitting = [row for row in ENCODERS if row.largest_time_base is None or ticks_per_s <= row.largest_time_base]
    if settings.codec == "auto":
        own = [row.codec for row in fitting if source_codec in row.decoders and row.codec in container.codecs]
        wanted = (*own, *container.codecs)
    else:
        if settings.codec not in container.codecs:
            allowed = ", ".join(container.codecs)
            raise OutputError(f"codec {settings.codec}: {container.label} does not hold it; choose {allowed}.")
        wanted = (settings.codec,)
    for codec in wanted:
        codings = [_coding(row, pixel_format) for row in fitting if row.codec == codec and _is_there(row)]
        if codings:
            return min(codings, key=lambda coding: len(coding.lost))
    raise ConfigError(f"codec {settings.codec}: there is no encoder for this video here; choose another one.")


def options_for(
    coding: Coding, settings: VideoSettings, *, parameters: str = "", is_live: bool = False
) -> dict[str, str]:
    """Return the options that an encoder is opened with.

    Args:
        coding: What was chosen.
        settings: The user's wish.
        parameters: More of the library's own parameters, joined by colons.
        is_live: Whether every frame is wanted as soon as it is there.

    Raises:
        ConfigError: When the codec cannot do what is asked for.
    """
    encoder, quality = coding.encoder, settings.quality
    if isinstance(quality, str):
        if quality not in encoder.levels:
            raise ConfigError(f"quality {quality}: {encoder.label} has none; choose {', '.join(encoder.levels)}.")
        level = encoder.levels[quality]
    elif encoder.factor_option is None:
        raise ConfigError(
            f"quality = {quality:g}: {encoder.label} takes no number; choose {', '.join(encoder.levels)}."
        )
    else:
        level = {encoder.factor_option: f"{quality:g}"}
    options = dict(encoder.options)
    live = encoder.live_options if is_live else {}
    for key, value in (*level.items(), *live.items(), (encoder.parameters_option or "", parameters)):
        if value:
            is_list = key == encoder.parameters_option and key in options
            options[key] = f"{options[key]}:{value}" if is_list else value
    if encoder.codec == "prores" and "444" in coding.pixel_format:
        options["profile"] = "4444"
    return options


def _coding(encoder: Encoder, pixel_format: str) -> Coding:
    formats = _formats(encoder)
    if pixel_format in formats:
        return Coding(encoder, pixel_format, ())
    found, loss = find_best_pix_fmt_of_list(formats, pixel_format, Layout(pixel_format).alpha is not None)
    if found is None:
        return Coding(encoder, formats[0], ("its pixel format",))
    return Coding(encoder, found.name, tuple(words for flag, words in _LOSSES.items() if flag & loss))


def _formats(encoder: Encoder) -> list[str]:
    if encoder.codec == "raw":
        return list(_Y4M_FORMATS)
    names = [pixel_format.name for pixel_format in Codec(encoder.library, "w").video_formats or ()]
    # The old names for full range say nothing that the stream's range does not, and floats are not made here.
    return [name for name in names if not name.startswith("yuvj") and "f32" not in name and "f16" not in name]


def _is_there(encoder: Encoder) -> bool:
    try:
        Codec(encoder.library, "w")
    except UnknownCodecError:
        return False
    return True
