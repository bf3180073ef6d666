"""Not a speed: 2 048 broken videos of every kind go through `acutance sharpen`, and each must end well.

Ends well: a result that can be decoded to its end, or one sentence and no file at all; no traceback, and no more than
ten seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from corpus import broken_versions
from timing import acutance

os.environ.setdefault("SVT_LOG", "1")  # or it writes to stderr by itself

PER_KIND = 128
HANG_S = 10.0
RUN_LIMIT_S = 3000
FRAMES = 8
SIDE_PX = 64

KINDS = {
    # name: encoder, pixel format, sound
    "h264.mp4": ("libx264", "yuv420p", "aac"),
    "h265.mp4": ("libx265", "yuv420p10le", "aac"),
    "mjpeg.mov": ("mjpeg", "yuvj420p", "pcm_s16le"),
    "prores.mov": ("prores_ks", "yuv422p10le", "pcm_s16le"),
    "h264.mkv": ("libx264", "yuv444p", "flac"),
    "ffv1.mkv": ("ffv1", "yuv420p", "flac"),
    "av1.mkv": ("libsvtav1", "yuv420p", "libopus"),
    "vp9.webm": ("libvpx-vp9", "yuv420p", "libopus"),
    "mpeg4.avi": ("mpeg4", "yuv420p", "mp2"),
    "h264.ts": ("libx264", "yuv420p", "mp2"),
    "mpeg2.vob": ("mpeg2video", "yuv420p", "mp2"),
    "h264.flv": ("libx264", "yuv420p", "aac"),
    "h264.nut": ("libx264", "yuv420p", "flac"),
    "mpeg2.mxf": ("mpeg2video", "yuv420p", None),
    "wmv.asf": ("mpeg4", "yuv420p", "mp2"),
    "raw.y4m": ("wrapped_avframe", "yuv420p", None),
}


def write_video(path: Path, encoder: str, pixel_format: str, sound: str | None) -> None:
    """Write a small good video."""
    quiet = {"libx265": {"x265-params": "log-level=none"}}.get(encoder, {})
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        video = out.add_stream(encoder, rate=25, options=quiet)
        video.width, video.height, video.pix_fmt, video.gop_size = SIDE_PX, SIDE_PX, pixel_format, 4
        audio = None if sound is None else out.add_stream(sound, rate=48000)
        for number in range(FRAMES):
            pixels = np.add.outer(np.arange(SIDE_PX) * 2, np.arange(SIDE_PX) + 5 * number)[..., None] % 200
            pixels = pixels + rng.integers(0, 20, (SIDE_PX, SIDE_PX, 3))
            frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
            if audio is not None:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 3840), np.int16), format="s16", layout="stereo")
                samples.sample_rate, samples.pts, samples.time_base = 48000, 1920 * number, Fraction(1, 48000)
                out.mux(audio.encode(samples))
        out.mux(video.encode(None))
        if audio is not None:
            out.mux(audio.encode(None))


def make_corpus(folder: Path, per_kind: int) -> int:
    """Write the broken files; return how many."""
    for kind, (name, (encoder, pixel_format, sound)) in enumerate(KINDS.items()):
        stem, suffix = name.split(".")
        good = folder / f"good.{suffix}"
        write_video(good, encoder, pixel_format, sound)
        for number, broken in enumerate(broken_versions(good.read_bytes(), per_kind, seed=kind)):
            (folder / f"{stem}-{suffix}-{number:04d}.{'mpg' if suffix == 'ts' else suffix}").write_bytes(broken)
        good.unlink()
    return len(KINDS) * per_kind


def can_be_decoded(path: Path) -> bool:
    """Say whether a result can be decoded to its end."""
    try:
        with av.open(str(path), metadata_errors="surrogateescape") as container:
            return sum(1 for _ in container.decode(video=0)) > 0
    except av.FFmpegError:
        return False


def main() -> None:
    """Make the corpus, run it, and print the counts; exit with 1 when one of them is not what it must be."""
    per_kind = int(sys.argv[1]) if len(sys.argv) > 1 else PER_KIND
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "in"), Path(place, "out")
        source.mkdir()
        count = make_corpus(source, per_kind)
        words = ("sharpen", str(source), "-o", str(target), "--json", "--no-record", "--strength", "0")
        run = subprocess.run(acutance(*words), capture_output=True, timeout=RUN_LIMIT_S, check=False)
        rows = [json.loads(line) for line in run.stdout.splitlines()]
        failed = [row for row in rows if row["status"] == "failed"]
        done = [row for row in rows if row["status"] == "done"]
        found = {
            "files not told of": count - len(rows),
            "tracebacks": run.stderr.count(b"Traceback") + sum("This is a bug" in row["error"] for row in failed),
            "hangs (> 10 s)": sum(row["seconds"] > HANG_S for row in rows),
            "outputs for failed files": sum(Path(row["target"]).exists() for row in failed),
            "other files left": sum(1 for path in target.rglob("*")) - len(done) if target.exists() else 0,
            "not one sentence": sum("\n" in row["error"] or not row["error"].endswith(".") for row in failed),
            "outputs that cannot be decoded": sum(not can_be_decoded(Path(row["target"])) for row in done),
        }
        print(f"{count} broken videos of {len(KINDS)} kinds: {len(failed)} refused, {len(done)} made, ", end="")
        print(f"{sum(bool(row['video']['warnings']) for row in done)} of them with a warning")
        for what, number in found.items():
            print(f"{what:30} {number}")
        print(f"slowest file                   {max(row['seconds'] for row in rows):.2f} s")
        for row in failed:
            if "This is a bug" in row["error"] or "\n" in row["error"] or not row["error"].endswith("."):
                print(row["error"])
        for name, number in sorted(Counter(Path(row["source"]).stem[:-5] for row in failed).items()):
            print(f"refused {name:22} {number}")
        print(f"exit code                      {run.returncode}")
        if run.returncode not in (0, 1):
            print(run.stderr.decode(errors="replace")[-2000:])
    if any(found.values()) or run.returncode != 1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
