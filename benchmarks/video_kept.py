"""Not a speed: a video with all that there can be goes through `acutance sharpen --strength 0`; Debian's FFmpeg judges.

The clip has a variable frame rate, two sounds, subtitles and chapters. Nothing may be missing or moved: as many frames,
every timestamp, every packet of the other streams by its hash; and since nothing is sharpened and the codec is
lossless, every pixel. The judge is another build of another version of FFmpeg than the one inside PyAV.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from timing import acutance

CHAPTERS = """;FFMETADATA1
title=everything
[CHAPTER]
TIMEBASE=1/1000
START=0
END={middle}
title=one
[CHAPTER]
TIMEBASE=1/1000
START={middle}
END={end}
title=two
"""


def output_of(*command: str) -> str:
    """Run a program and return what it prints.

    Raises:
        RuntimeError: When it fails.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def write_clip(path: Path, *, size: str, seconds: int) -> None:
    """Write the clip: frames at random moments of a grid of 60 per second, 27 per second on average."""
    texts, about = path.with_suffix(".srt"), path.with_suffix(".txt")
    texts.write_text(
        "".join(f"{n + 1}\n00:00:{n:02d},100 --> 00:00:{n:02d},900\nsecond {n}\n\n" for n in range(min(seconds, 60)))
    )
    about.write_text(CHAPTERS.format(middle=500 * seconds, end=1000 * seconds))
    scene = f"testsrc2=s={size}:r=60:d={seconds},noise=alls=3:allf=t,select='gt(random(1)\\,0.55)',format=yuv420p"
    inputs = ["-f", "lavfi", "-i", scene]
    for pitch in (440, 660):
        inputs += ["-f", "lavfi", "-i", f"sine={pitch}:d={seconds}"]
    colours = ["-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv"]
    coding = [
        "-fps_mode",
        "vfr",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-crf",
        "18",
        "-c:a",
        "aac",
        "-c:s",
        "mov_text",
    ]
    names = ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", "-metadata:s:s:0", "language=fra"]
    maps = ["-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map_metadata", "4", "-map_chapters", "4"]
    output_of(
        *["ffmpeg", "-y", "-v", "error", *inputs, "-i", str(texts), "-i", str(about)],
        *[*maps, *colours, *coding, *names, str(path)],
    )


@dataclass(frozen=True)
class Kept:
    """What FFmpeg finds in a file."""

    frames: list[tuple[Fraction, str]]
    """When each is shown, and the hash of its pixels."""
    packets: list[tuple[int, Fraction, str]]
    """Of all other streams: stream, time, hash."""
    chapters: list[tuple[str, str, str]]
    languages: list[str]
    colours: list[str]


def look(path: Path) -> Kept:
    """Ask FFmpeg."""
    told = output_of(
        *["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"],
        *["-f", "framehash", "-hash", "md5", "-"],
    )
    base = next(Fraction(line.split(":")[1].strip()) for line in told.splitlines() if line.startswith("#tb 0"))
    rows = [line.split(",") for line in told.splitlines() if not line.startswith("#")]
    about = json.loads(
        output_of(
            *["ffprobe", "-v", "error", "-of", "json", "-show_packets", "-show_data_hash", "sha256"],
            *["-show_streams", "-show_chapters", str(path)],
        )
    )
    bases = {stream["index"]: Fraction(stream["time_base"]) for stream in about["streams"]}
    videos = {stream["index"] for stream in about["streams"] if stream["codec_type"] == "video"}
    (video,) = [stream for stream in about["streams"] if stream["index"] in videos]
    return Kept(
        frames=[(int(row[2]) * base, row[5].strip()) for row in rows],
        # How the streams are interleaved may change, their own order not.
        packets=sorted(
            (
                (packet["stream_index"], packet["pts"] * bases[packet["stream_index"]], packet["data_hash"])
                for packet in about["packets"]
                if packet["stream_index"] not in videos
            ),
            key=lambda packet: packet[0],
        ),
        chapters=[(one["start_time"], one["end_time"], one["tags"]["title"]) for one in about["chapters"]],
        languages=[stream.get("tags", {}).get("language", "") for stream in about["streams"]],
        colours=[video.get(key, "") for key in ("color_primaries", "color_transfer", "color_space", "color_range")],
    )


def worst_difference(one: Path, other: Path, *, size: str) -> int:
    """Decode both and return the largest difference of any sample, in levels of 255."""
    width, height = map(int, size.split("x"))
    frame_bytes = width * height * 3 // 2
    readers = [
        subprocess.Popen(
            [
                "ffmpeg",
                "-v",
                "error",
                "-i",
                str(path),
                "-map",
                "0:v:0",
                "-fps_mode",
                "passthrough",
                "-f",
                "rawvideo",
                "-",
            ],
            stdout=subprocess.PIPE,
        )
        for path in (one, other)
    ]
    worst = 0
    while True:
        first, second = (np.frombuffer(reader.stdout.read(frame_bytes), np.uint8) for reader in readers)
        if not (len(first) and len(second)):
            break
        worst = max(worst, int(np.abs(first.astype(np.int16) - second).max()))
    for reader in readers:
        reader.stdout.close()
        reader.wait()
    return worst


def main() -> int:
    """Make the clip, sharpen it, compare; return how many kinds of things were lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--name", default="clip.mp4", help="of the result; its ending says the container")
    parser.add_argument("--codec", default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.mp4", Path(folder) / options.name
        write_clip(source, size=options.size, seconds=options.seconds)
        start = time.perf_counter()
        lossless = ["--strength", "0", "--quality", "lossless", "--codec", options.codec]
        output_of(*acutance("sharpen", str(source), "-o", str(target), *lossless))
        seconds = time.perf_counter() - start
        before, after = look(source), look(target)
        times = [time for time, _ in before.frames], [time for time, _ in after.frames]
        off = [float(abs(one - other)) for one, other in zip(*times, strict=False)]
        worst = 0 if before.frames == after.frames else worst_difference(source, target, size=options.size)
        streams = len({stream for stream, _, _ in before.packets})
        steps = sorted({float(later - earlier) for earlier, later in zip(times[0], times[0][1:], strict=False)})
        print(f"{options.size}, {options.seconds} s, frames {steps[0]:.3f} … {steps[-1]:.3f} s apart; {seconds:.0f} s")
        verdicts = {
            f"frames: {len(before.frames)} and {len(after.frames)}": len(before.frames) == len(after.frames),
            f"timestamps: at most {max(off):.6f} s off": max(off) == 0,
            f"pixels: at most {worst} levels off": worst <= 1,
            f"{len(before.packets)} packets of {streams} other streams": before.packets == after.packets,
            f"chapters: {len(after.chapters)}": before.chapters == after.chapters,
            f"languages: {', '.join(after.languages)}": before.languages == after.languages,
            f"colours: {', '.join(after.colours)}": before.colours == after.colours,
        }
    for words, is_right in verdicts.items():
        print(f"{'equal  ' if is_right else 'DIFFERS'} {words}")
    return sum(not is_right for is_right in verdicts.values())


if __name__ == "__main__":
    sys.exit(main())
