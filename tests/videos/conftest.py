"""Small clips, made when a test needs them: smooth moving colours, a fraction of a second long."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the extra video")

import av
from av.codec.context import Flags

from acutance.engines.fake import FakeEngine
from acutance.inference.sharpener import Sharpener
from acutance.videos.priority import open_encoder

MILLISECONDS = Fraction(1, 1000)
UNEVEN_MS = (0, 33, 67, 100, 200, 233, 300, 310, 400)
"""Times of the frames of a clip with a variable frame rate."""

QUIET = {
    # x265 leaves the first decoding times to chance in a clip of two frames, where it may reorder them.
    "libx265": {"x265-params": "log-level=none:bframes=0", "preset": "ultrafast"},
    "libx264": {"preset": "ultrafast"},
}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What a clip is to be."""

    codec: str = "ffv1"
    pixel_format: str = "yuv420p"
    width: int = 64
    height: int = 48
    times: tuple[int, ...] = (0, 40, 80, 120)
    time_base: Fraction = MILLISECONDS
    options: dict[str, str] = field(default_factory=dict)
    colours: tuple[int, int, int, int] = (2, 2, 2, 0)
    """Primaries, transfer, matrix, range."""
    aspect: Fraction | None = None
    rotation: int = 0
    is_interlaced: bool = False
    is_still: bool = False
    noise: float = 0.02
    audio: tuple[str, ...] = ()
    subtitles: tuple[tuple[int, int, bytes], ...] = ()
    """Start, duration, text."""
    attachment: bytes = b""
    chapters: tuple[tuple[int, int, str], ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def picture(height: int, width: int, *, bits: int, seed: int, moment: int, noise: float) -> np.ndarray:
    """Return smooth levels with a little noise."""
    y, x = np.mgrid[:height, :width]
    # Chroma is weak, so that no colour lies outside RGB.
    values = 0.5 + (0.1 if seed else 0.25) * np.sin(x / 7 + moment * 0.3 + seed) * np.cos(y / 5 - seed)
    values += np.random.default_rng(moment * 9 + seed).normal(0, noise, (height, width))
    top = (1 << bits) - 1
    return np.rint(np.clip(values * top, 0.07 * top, 0.9 * top))


def _fill(frame: av.VideoFrame, moment: int, noise: float = 0.02) -> None:
    """Paint a frame of any format of whole numbers."""
    components = frame.format.components
    for index, plane in enumerate(frame.planes):
        inside = [component for component in components if component.plane == index]
        bits = max(component.bits for component in inside)
        rows = np.frombuffer(plane, np.uint8 if bits <= 8 else np.uint16).reshape(plane.height, -1)
        levels = picture(plane.height, rows.shape[1], bits=bits, seed=index, moment=moment, noise=noise)
        # Samples of 10 bit and less in 16 lie at the top in formats that interleave the chromas (p010).
        rows[:] = levels * 64 if frame.format.name == "p010le" else levels


def make_clip(path: Path, clip: Clip) -> Path:
    """Write a clip; the container is that of the name."""
    with av.open(str(path), "w") as out:
        video = out.add_stream(clip.codec, rate=25, options=QUIET.get(clip.codec, {}) | clip.options)
        context = video.codec_context
        video.width, video.height, video.pix_fmt = clip.width, clip.height, clip.pixel_format
        context.time_base = video.time_base = clip.time_base
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = clip.colours
        context.flags |= int(Flags.frame_duration)
        if clip.is_interlaced:
            context.flags |= int(Flags.interlaced_dct) | int(Flags.interlaced_me)
            context.field_order = 2
        if clip.aspect:
            context.sample_aspect_ratio = clip.aspect
        if clip.rotation:
            video.set_display_rotation(clip.rotation)
        sounds = [out.add_stream(codec, rate=48000) for codec in clip.audio]
        for index, sound in enumerate(sounds):
            sound.metadata.update(language=("eng", "deu")[index], title=f"sound {index}")
        texts = out.add_mux_stream("subrip", time_base=MILLISECONDS) if clip.subtitles else None
        if clip.attachment:
            out.add_attachment("a font.ttf", "font/ttf", clip.attachment)
        out.metadata.update(clip.metadata)
        out.set_chapters(
            [
                {"id": number + 1, "start": start, "end": end, "time_base": MILLISECONDS, "metadata": {"title": title}}
                for number, (start, end, title) in enumerate(clip.chapters)
            ]
        )
        open_encoder(context, strict=False)  # SVT-AV1 would take real-time priority for all tests that follow
        for moment, time in enumerate(clip.times):
            frame = av.VideoFrame(clip.width, clip.height, clip.pixel_format)
            _fill(frame, 0 if clip.is_still else moment, clip.noise)
            frame.pts, frame.time_base = time, clip.time_base
            following = clip.times[moment + 1 : moment + 2] or (time + round(1 / 25 / clip.time_base),)
            frame.duration = following[0] - time
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        seconds = float((clip.times[-1] - clip.times[0]) * clip.time_base) + 0.04
        for index, sound in enumerate(sounds):
            for block in range(max(1, round(seconds / 0.02))):
                values = np.sin(np.arange(1920).reshape(1, -1) * (0.05 + 0.01 * index) + block) * 8000
                samples = av.AudioFrame.from_ndarray(values.astype(np.int16), format="s16", layout="stereo")
                samples.sample_rate, samples.pts, samples.time_base = 48000, block * 960, Fraction(1, 48000)
                out.mux(sound.encode(samples))
            out.mux(sound.encode(None))
        for start, duration, text in clip.subtitles:
            packet = av.Packet(text)
            packet.stream, packet.time_base = texts, MILLISECONDS
            packet.pts = packet.dts = start
            packet.duration = duration
            out.mux(packet)
    return path


@dataclass(frozen=True)
class Shown:
    """A frame that was read again."""

    seconds: Fraction
    planes: list[np.ndarray]
    format: str


def _frames_of(path: Path) -> list[Shown]:
    """Decode a clip; planes without their padding."""
    with av.open(str(path)) as container:
        return [_shown_by(frame) for frame in container.decode(container.streams.video[0])]


def _shown_by(frame: av.VideoFrame) -> Shown:
    planes = []
    for index, plane in enumerate(frame.planes):
        inside = [component for component in frame.format.components if component.plane == index]
        is_wide = max(component.bits for component in inside) > 8
        rows = np.frombuffer(plane, np.uint16 if is_wide else np.uint8).reshape(plane.height, -1)
        per_pixel = 4 if frame.format.name == "bgr0" else len(inside)
        planes.append(rows[:, : plane.width * per_pixel].astype(np.int64))
    return Shown(frame.pts * frame.time_base, planes, frame.format.name)


def _times_of(path: Path) -> list[Fraction]:
    return [frame.seconds for frame in _frames_of(path)]


def _difference(one: list[Shown], other: list[Shown]) -> int:
    """Return the largest difference of any sample, in levels."""
    assert len(one) == len(other)
    assert [frame.format for frame in one] == [frame.format for frame in other]
    return max(
        int(np.abs(left - right).max())
        for first, second in zip(one, other, strict=True)
        for left, right in zip(first.planes, second.planes, strict=True)
    )


def _packets_of(path: Path) -> dict[int, list[tuple[Fraction, str]]]:
    """Return times and hashes of the packets of every stream."""
    found: dict[int, list[tuple[Fraction, str]]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size:
                content = hashlib.sha256(bytes(packet)).hexdigest()
                found.setdefault(packet.stream_index, []).append((packet.pts * packet.time_base, content))
    return found


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Make a clip of a name, with the settings of `Clip`."""
    return lambda name, **settings: make_clip(tmp_path / name, Clip(**settings))


@pytest.fixture
def fill() -> Callable[..., None]:
    return _fill


@pytest.fixture
def frames_of() -> Callable[[Path], list[Shown]]:
    return _frames_of


@pytest.fixture
def shown_by() -> Callable[[av.VideoFrame], Shown]:
    return _shown_by


@pytest.fixture
def times_of() -> Callable[[Path], list[Fraction]]:
    return _times_of


@pytest.fixture
def packets_of() -> Callable[[Path], dict[int, list[tuple[Fraction, str]]]]:
    return _packets_of


@pytest.fixture
def difference() -> Callable[[list[Shown], list[Shown]], int]:
    return _difference


@pytest.fixture
def keeper() -> Iterator[Sharpener]:
    """Changes nothing, but does so by running."""
    with Sharpener(engine=FakeEngine()) as sharpener:
        yield sharpener


@pytest.fixture
def inverter() -> Iterator[Sharpener]:
    with Sharpener(engine=FakeEngine(lambda batch: 1.0 - batch)) as sharpener:
        yield sharpener


@pytest.fixture
def ffprobe() -> Callable[..., dict]:
    """The independent judge: what ffprobe says of a file, of its own build of the libraries."""
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")

    def ask(path: Path, *arguments: str) -> dict:
        command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)

    return ask
