"""Commands of the README and the how-tos are run as they stand there, on tiny files of the names that they use.

What is not run is named below with the reason; of that, `test_docs.py` parses every word.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from acutance.cli.main import app
from acutance.imaging.kernels import convolve_mirror, line_psf
from acutance.zoo.catalogue import FOLDER

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "sharpen", "video", "models-of-others", "evaluate", "data")
FENCE = re.compile(r"```bash\n(.*?)```", re.DOTALL)
NOT_RUN = {
    "s3://": "needs an object store: tests/bulk",
    "rtsp://": "needs a camera: tests/videos/test_live.py",
    "/dev/video0": "needs a camera: tests/videos/test_live.py",
    "acutance serve": "does not end by itself: tests/server",
    "data fetch": "downloads gigabytes: tests/data/test_div2k.py, from a server of its own",
    "--lpips": "needs weights of others: tests/networks/test_lpips.py",
    "--sha256": "the sum is an example: tests/engines/test_adding.py",
    "models remove net": "follows the line above it: tests/engines/test_adding.py",
    "--model net\n": "follows the line above it: tests/engines/test_adding.py",
    ".pth": "needs weights of others: tests/exporting/test_foreign_weights.py",
    "ffmpeg": "needs ffmpeg and a player: tests/videos/test_streaming.py",
    "mpv": "needs a player: tests/videos/test_streaming.py",
    "faces@": "needs photos of faces: tests/evaluation/recognition/test_faces.py",
    "x265": "needs an encoder: tests/videos/test_streaming.py",
}
"""A part of a command that is not run here, and why; where another test runs it, which."""
LESS = {
    "--markdown read.md": "--items 2 --markdown read.md",
    "--items 24": "--items 2",
    "--minutes 60": "--iterations 1 --set batch=1 --set patch_px=32 --set watch.held_out=0",
}
"""What takes long, and what is said instead."""
NEEDS = {
    "serif": "tesseract",
    "clips@": "rapidocr",
    "train ": "torch",
    "export ": "torch",
    "clip.": "av",
    "--plots": "matplotlib",
}
"""A part of a command, and the module or the program that it needs: where it is missing, the command is not run."""


def lines_of(name: str) -> list[str]:
    page = ROOT / name if name.endswith(".md") else ROOT / "docs" / "how-to" / f"{name}.md"
    lines = "".join(FENCE.findall(page.read_text("utf-8"))).replace("\\\n", " ").splitlines()
    return [line for line in (re.sub(r"(^|\s+)#.*", "", line) for line in lines) if "acutance" in line]


def reason_of(line: str) -> str | None:
    return next((reason for part, reason in NOT_RUN.items() if part in f"{line}\n"), None)


def photo(path: Path, height: int = 64, width: int = 64) -> None:
    """Draw a picture with edges, seeded by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tiles = np.random.default_rng(sum(path.name.encode())).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    Image.fromarray(tiles.repeat(8, axis=0).repeat(8, axis=1)).save(path)


def street(path: Path) -> None:
    """Draw a dull picture, 12 px moved, with details in the region that the pages name."""
    details = Image.open(ROOT / "examples" / "astronaut.png").convert("RGB").crop((80, 270, 420, 470))
    still = Image.new("RGB", (720, 776), "gray")
    still.paste(details, (390, 600))
    moved = convolve_mirror(np.asarray(still), line_psf(12.0, 0.0))
    Image.fromarray(np.rint(moved.clip(0, 255)).astype(np.uint8)).save(path, quality=95)


def clip(path: Path, height: int, width: int, seconds: int) -> None:
    """Film one moving picture, a frame a second."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    tiles = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    pixels = tiles.repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(1))
        stream.width, stream.height = width, height
        for moment in range(seconds):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(pixels, moment, axis=1)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Every file that the pages name. The working folder is this one."""
    place = tmp_path / "reader"
    photos = ["photo.jpg", "in.jpg", "holiday/a.jpg", "holiday/b.png", "bsd100/a.png"]
    for name in (*photos, "blurred/a.png", "sharp/a.png", "scan.tif"):
        photo(place / name)
    for name in ("my-photos/a.png", "div2k/DIV2K_train_HR/a.png"):
        photo(place / name, 128, 128)
    street(place / "street.jpg")
    kernel = np.zeros((5, 5))
    kernel[2] = 0.2
    np.savez(place / "kernel.npz", kernel=kernel)
    np.savez(place / "levin09.npz", *[kernel] * 8)
    shutil.copytree(ROOT / "examples", place / "examples")
    for name in ("net.onnx", "mine.onnx"):
        shutil.copy(FOLDER / "weights" / "fast.onnx", place / name)
    if find_spec("av"):
        clip(place / "clip.mov", 48, 64, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        yield place


def run(line: str) -> None:
    """Run one line as a shell would."""
    words = shlex.split(line)
    into = Path(words[words.index(">") + 1]) if ">" in words else None
    source = Path(words[words.index("<") + 1]).read_bytes() if "<" in words else None
    words = words[: next((words.index(sign) for sign in "<>" if sign in words), len(words))]
    done = CliRunner().invoke(app, words[1:], input=source, catch_exceptions=False)
    assert done.exit_code == 0, f"{line}\n{done.output}"
    if into is not None:
        into.write_bytes(done.stdout_bytes)


def clear(line: str, folder: Path) -> None:
    """Remove results of earlier lines, which acutance would not overwrite."""
    if line.startswith("acutance export"):
        Path("mine.onnx").unlink(missing_ok=True)
    if "--resume" in line or not line.startswith("acutance sharpen"):
        return
    for pattern in ("*.sharp.*", "out.jpg", "sharp.tif", "map.png", "photo.html", "clip.mp4"):
        for path in folder.glob(pattern):
            path.unlink()
    if "-o sharp/" in line:
        shutil.rmtree(folder / "sharp", ignore_errors=True)


def film(line: str, folder: Path) -> None:
    """Make the clip that a line is about: small and long, or large and short."""
    if "clip.mp4" in line and "clip.mov" not in line:
        (folder / "clip.mp4").unlink(missing_ok=True)
        if "still" in line:
            clip(folder / "clip.mp4", 776, 720, 14)
        else:
            clip(folder / "clip.mp4", 48, 64, 96 if "--from" in line else 2)


@pytest.mark.parametrize("name", PAGES)
def test_it_runs_as_it_stands(name: str, folder: Path) -> None:
    lines = [line for line in lines_of(name) if not reason_of(line)]
    assert lines
    for line in lines:
        if any(part in line and not (find_spec(need) or shutil.which(need)) for part, need in NEEDS.items()):
            continue
        clear(line, folder)
        film(line, folder)
        if line.startswith("acutance compare") and not Path("photo.sharp.jpg").exists():
            run("acutance sharpen photo.jpg")
        short = line.split(" && ")[-1].replace(".venv/bin/", "")
        for long, less in LESS.items():
            short = short.replace(long, less)
        run(short)


def test_most_lines_are_run() -> None:
    lines = [line for name in PAGES for line in lines_of(name)]
    assert len([line for line in lines if not reason_of(line)]) >= 0.6 * len(lines)


def test_every_reason_is_of_use() -> None:
    """And every test that is named for what is not run here exists."""
    text = "\n".join([*(line for name in PAGES for line in lines_of(name)), ""])
    assert not [part for part in NOT_RUN if part not in text]
    named = {word.strip(",") for reason in NOT_RUN.values() for word in reason.split() if word.startswith("tests/")}
    assert not [name for name in named if not (ROOT / name).exists()]
