"""A video from file to file, beside its three stages alone: decoding, the network, encoding; all at one size.

The stages run at the same time, so where each has a processor of its own (a GPU runs the network), a video takes as
long as the slowest of them. On one processor they share its cores: then what decoding, encoding, and the way to RGB and
back cost comes on top. Both are measured: with the network, and with one that only waits, as a GPU lets a processor do.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from acutance import Sharpener
from acutance.engines.engine import Engine
from acutance.engines.fake import FakeEngine
from acutance.engines.opening import open_engine
from acutance.geometry import ceil_to_multiple
from acutance.videos import VideoSettings, sharpen_video
from acutance.videos.codecs import choose_coding, options_for
from acutance.videos.containers import CONTAINERS
from acutance.zoo.catalogue import DEFAULT_MODEL, find_model

RATE = 25
ENGINE_RUNS = 3
SPEED_PX = 3
"""By so much the picture moves from frame to frame."""


def write_clip(path: Path, *, height: int, width: int, frames: int) -> None:
    """Write a clip as a phone would: a textured scene that moves, with some noise, in H.264."""
    rng = np.random.default_rng(0)
    shapes = Image.fromarray(rng.integers(0, 256, (24, 40, 3), dtype=np.uint8))
    scene = np.asarray(shapes.resize((width + SPEED_PX * frames, height), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = rng.normal(0, 12, scene.shape[:2])
    grain = (grain + np.roll(grain, 1, 0) + np.roll(grain, 1, 1)) / 2
    scene = scene + grain[..., None].astype(np.int16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            left = SPEED_PX * number
            pixels = scene[:, left : left + width] + rng.integers(-3, 4, (height, width, 1), dtype=np.int16)
            frame = av.VideoFrame.from_ndarray(np.clip(pixels, 0, 255).astype(np.uint8), format="rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))


def decoded(path: Path) -> list[av.VideoFrame]:
    """Decode a clip, as the pipeline does: with as many threads as the decoder likes."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        return list(container.decode(video=0))


def encode(frames: list[av.VideoFrame]) -> None:
    """Encode frames with the very settings of the pipeline."""
    settings = VideoSettings()
    coding = choose_coding(
        settings, CONTAINERS[".mp4"], source_codec="h264", pixel_format="yuv420p", ticks_per_s=RATE * 512
    )
    context = av.CodecContext.create(coding.encoder.library, "w")
    context.width, context.height, context.pix_fmt = frames[0].width, frames[0].height, coding.pixel_format
    context.time_base, context.framerate = Fraction(1, RATE), Fraction(RATE)
    context.thread_type = "AUTO"
    context.options = options_for(coding, settings)
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, RATE), 0
        context.encode(frame)
    context.encode(None)


@dataclass(frozen=True)
class Cost:
    """What a frame takes."""

    seconds: float
    core_seconds: float
    """Of all threads; hardly depends on what else the machine does."""


def cost(function: Callable[[], object], frames: int) -> Cost:
    """Return what a call that works on so many frames takes for one."""
    start, start_cores = time.perf_counter(), time.process_time()
    function()
    return Cost((time.perf_counter() - start) / frames, (time.process_time() - start_cores) / frames)


def median_cost(costs: Sequence[Cost]) -> Cost:
    """Return the medians."""
    return Cost(*(statistics.median(values) for values in zip(*map(astuple, costs), strict=True)))


def waiting(engine_s: float, frame_px: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a network that changes little and waits so long per frame, one batch after the other, as one GPU does."""
    busy = threading.Lock()

    def run(batch: np.ndarray) -> np.ndarray:
        with busy:
            time.sleep(engine_s * batch.shape[2] * batch.shape[3] / frame_px)
        batch *= np.float32(0.98)
        return batch

    return run


def measure(clip: Path, target: Path, *, frames: int, runs: int, engine_s: float | None) -> None:
    """Print the four rates.

    Args:
        clip: The video.
        target: Of the result.
        frames: How many there are.
        runs: The four are measured so often, in turn; medians count.
        engine_s: An engine that waits so long per frame instead of computing; None for the network.
    """
    with av.open(str(clip)) as container:
        height, width = container.streams.video[0].height, container.streams.video[0].width
    engine: Engine = (
        open_engine(find_model(DEFAULT_MODEL))
        if engine_s is None
        else FakeEngine(waiting(engine_s, height * width), is_offloaded=True)
    )
    multiple = engine.spec.size_multiple
    size = ceil_to_multiple(height, multiple), ceil_to_multiple(width, multiple)
    batch = np.random.default_rng(0).random((1, 3, *size), dtype=np.float32)
    with Sharpener(engine=engine) as sharpener:
        middle: list[float] = []

        def whole() -> None:
            moments: list[float] = []
            progress = lambda done: moments.append(time.perf_counter())  # noqa: E731
            sharpen_video(sharpener, clip, target, overwrite=True, progress=progress)
            first, last = len(moments) // 8, len(moments) - 1
            middle.append((last - first) / (moments[last] - moments[first]))

        whole()
        sharpened = decoded(target)
        alone: dict[str, tuple[Callable[[], object], int]] = {
            "decode": (lambda: decoded(clip), frames),
            "engine": (lambda: engine.run(batch), 1),
            "encode": (lambda: encode(sharpened), frames),
            "whole": (whole, frames),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in alone}
        for _ in range(runs):
            for name, (function, count) in alone.items():
                repeats = ENGINE_RUNS if name == "engine" else 1
                costs[name] += [cost(function, count) for _ in range(repeats)]
    found = {name: median_cost(values) for name, values in costs.items()}
    rates = {name: 1 / value.seconds for name, value in found.items()}
    for name, title in (
        *((name, f"{name} alone") for name in ("decode", "engine", "encode")),
        ("whole", "file to file"),
    ):
        print(f"  {title:13} {rates[name]:8.2f} frames/s {found[name].core_seconds:8.3f} core-seconds per frame")
    slowest = min(rates["decode"], rates["engine"], rates["encode"])
    extra = found["whole"].core_seconds / found["engine"].core_seconds - 1
    steady = statistics.median(middle)
    print(f"  in the middle {steady:8.2f} frames/s, without opening, the first frames, and the end")
    print(f"  file to file is {100 * rates['whole'] / rates['engine']:.1f} % of the engine's own rate, ", end="")
    print(f"{100 * rates['whole'] / slowest:.1f} % of the slowest stage's ", end="")
    print(f"(in the middle {100 * steady / slowest:.1f} %); {100 * extra:+.1f} % core-seconds")


def main() -> None:
    """Measure with the network and with one that waits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=24, help="with the network")
    parser.add_argument("--waiting-frames", type=int, default=150, help="with one that waits")
    parser.add_argument("--waiting-s", type=float, default=0.1, help="how long it waits for a frame")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    kinds = ((None, options.frames), (options.waiting_s, options.waiting_frames))
    with tempfile.TemporaryDirectory() as folder:
        clip, target = Path(folder) / "clip.mp4", Path(folder) / "sharp.mp4"
        for engine_s, frames in kinds:
            if not frames:
                continue
            write_clip(clip, height=height, width=width, frames=frames)
            kind = DEFAULT_MODEL if engine_s is None else f"a network that waits {engine_s} s, as for a GPU"
            print(f"{width}×{height}, {frames} frames, {kind}:", flush=True)
            measure(clip, target, frames=frames, runs=options.runs, engine_s=engine_s)


if __name__ == "__main__":
    main()
