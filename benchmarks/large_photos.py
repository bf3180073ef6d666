"""A 12-megapixel JPEG: time, and overhead around the bare engine; a 100-megapixel one: peak memory."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from timing import acutance, median_s, process_cost

from acutance import Sharpener
from acutance.engines.opening import open_engine
from acutance.zoo.catalogue import DEFAULT_MODEL, find_model

ENGINE_SIDE_PX = 1024
RUNS = 5


def write_photo(path: Path, *, height: int, width: int, softness_px: float = 0.0) -> None:
    """Write a made-up photo: smooth shapes with fine texture, so that JPEG has something to do; blurred if asked."""
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    smooth = Image.fromarray(tile).resize((1024, 1024), Image.Resampling.BICUBIC)
    grain = rng.integers(-12, 13, (1024, 1024, 1))
    cell = np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)
    repeats = (-(-height // 1024), -(-width // 1024), 1)
    photo = Image.fromarray(np.tile(cell, repeats)[:height, :width])
    photo.filter(ImageFilter.GaussianBlur(softness_px)).save(path, quality=90)


def overhead(folder: Path) -> None:
    """Print the time of a 12-megapixel file beside that of the bare engine, run in turn."""
    photo, target = folder / "12mp.jpg", folder / "12mp.sharp.jpg"
    write_photo(photo, height=3000, width=4000)
    engine = open_engine(find_model(DEFAULT_MODEL))
    sharpener = Sharpener()
    batch = np.random.default_rng(0).random((1, 3, ENGINE_SIDE_PX, ENGINE_SIDE_PX), dtype=np.float32)
    bare, whole = [], []
    sharpener(photo, output=target, overwrite=True)
    for _ in range(RUNS):
        bare.append(median_s(lambda: engine.run(batch), runs=3) * 12e6 / ENGINE_SIDE_PX**2)
        start = time.perf_counter()
        sharpener(photo, output=target, overwrite=True)
        whole.append(time.perf_counter() - start)
    bare_s, whole_s = statistics.median(bare), statistics.median(whole)
    print(f"12 megapixels, bare engine       {bare_s:6.2f} s  ({12 / bare_s:.2f} MP/s)")
    print(f"12 megapixels, file to file      {whole_s:6.2f} s  ({12 / whole_s:.2f} MP/s)")
    print(f"overhead                         {100 * (whole_s / bare_s - 1):6.1f} %")


def memory(folder: Path) -> None:
    """Print time and peak memory of whole processes."""
    for name, height, width in (("12-megapixel JPEG", 3000, 4000), ("100-megapixel JPEG", 10_000, 10_000)):
        photo = folder / "large.jpg"
        write_photo(photo, height=height, width=width)
        cost = process_cost(acutance("sharpen", str(photo), "-o", str(folder / "out.jpg"), "--overwrite"))
        print(f"{name}, whole process  {cost.seconds:6.1f} s   peak {cost.peak_mb:5.0f} MB")


def main() -> None:
    """Print both."""
    with tempfile.TemporaryDirectory() as folder:
        overhead(Path(folder))
        memory(Path(folder))


if __name__ == "__main__":
    main()
