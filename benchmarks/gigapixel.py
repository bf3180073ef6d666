"""Not a speed alone: a picture larger than memory, from file to file in strips, and what the process takes at its peak.

A made-up TIFF (or PNG, or JPEG with the extra `large`) of a gigapixel is sharpened under `--max-memory`. Then windows
of the result are compared with the same windows sharpened by themselves: they must be equal to the last bit.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from timing import acutance, process_cost

from acutance import Sharpener
from acutance.geometry import Size
from acutance.media import Metadata, Strip, StripSource, encode_strips, format_of, open_pictures, write_atomically
from acutance.media.photo import TiffCoding
from acutance.zoo.catalogue import DEFAULT_MODEL

CELL_PX = 1024
WINDOW_PX = 192
MARGIN_PX = 256
"""Around a window: more than the halo, and a multiple of what networks ask for."""
WINDOWS = 12


@dataclass(frozen=True)
class Scene:
    """A picture of any size whose every pixel is known: a cell of smooth shapes and grain, repeated, ever darker."""

    size: Size

    def rows(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> npt.NDArray[np.uint8]:
        """Return a part of it, uint8 `rows columns 3`."""
        columns = np.arange(left, self.size.width if right is None else right)
        rows = np.arange(top, bottom)
        part = _CELL[rows % CELL_PX][:, columns % CELL_PX]
        shade = (rows // CELL_PX * 7 + (columns // CELL_PX * 5)[np.newaxis].T).T % 64
        return part - shade[..., np.newaxis].astype(np.uint8)

    def strips(self) -> StripSource:
        """Return it to be read in strips."""

        def read() -> Iterator[Strip]:
            for top in range(0, self.size.height, 64):
                yield Strip(self.rows(top, min(top + 64, self.size.height)), None)

        return StripSource(size=self.size, bits=8, colours=3, has_alpha=False, read=read)


def _cell() -> npt.NDArray[np.uint8]:
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    shapes = np.asarray(smooth.resize((CELL_PX, CELL_PX), Image.Resampling.BICUBIC))
    return np.clip(shapes + random.integers(-12, 13, (CELL_PX, CELL_PX, 1)), 64, 255).astype(np.uint8)


_CELL = _cell()


def compare(scene: Scene, result: Path, model: str) -> tuple[int, int]:
    """Return how many windows of a result were looked at, and how many differ from those sharpened by themselves."""
    random = np.random.default_rng(1)
    tops = sorted(int(top) // 8 * 8 for top in random.integers(0, scene.size.height - WINDOW_PX, WINDOWS))
    lefts = [int(left) // 8 * 8 for left in random.integers(0, scene.size.width - WINDOW_PX, WINDOWS)]
    found: list[list[npt.NDArray[np.uint8]]] = [[] for _ in tops]
    with open_pictures(result, max_pixels=1, max_streamed_pixels=2**62) as pictures:
        source = pictures.strips()
        assert source is not None
        place = 0
        for strip in source.read():
            for number, (top, left) in enumerate(zip(tops, lefts, strict=True)):
                rows = strip.pixels[max(top - place, 0) : max(top + WINDOW_PX - place, 0), left : left + WINDOW_PX]
                found[number].append(rows.copy())
            place += len(strip.pixels)
    different = 0
    with Sharpener(model) as sharpener:
        for top, left, pieces in zip(tops, lefts, found, strict=True):
            first, start = max(top - MARGIN_PX, 0), max(left - MARGIN_PX, 0)
            last = min(top + WINDOW_PX + MARGIN_PX, scene.size.height)
            end = min(left + WINDOW_PX + MARGIN_PX, scene.size.width)
            alone = sharpener.sharpen_pixels(scene.rows(first, last, start, end))
            wanted = alone[top - first :, left - start :][:WINDOW_PX, :WINDOW_PX]
            different += not np.array_equal(np.concatenate(pieces), wanted)
    return len(tops), different


def main() -> None:
    """Make the picture, sharpen it, and print time, peak memory and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=32_768, help="in px; memory depends on it")
    parser.add_argument("--height", type=int, help="in px, as the width by default; time depends on both")
    parser.add_argument("--max-memory", type=int, default=1500, help="in MB")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or ONNX file")
    parser.add_argument("--suffix", default=".tif", help="of the files: .tif, .png or .jpg")
    parser.add_argument("--folder", type=Path, help="where there is room for the files; default: a temporary one")
    options = parser.parse_args()
    scene = Scene(Size(options.height or options.width, options.width))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source, target = Path(folder, f"large{options.suffix}"), Path(folder, f"sharp{options.suffix}")
        metadata = Metadata(coding=TiffCoding(compression="tiff_lzw", has_predictor=True))
        write_atomically(source, encode_strips(scene.strips(), metadata, format_of(source)), overwrite=False)
        print(f"{scene.size.pixels / 1e6:.0f} megapixels, {source.stat().st_size / 1e6:.0f} MB on disk", flush=True)
        words = ("sharpen", str(source), "-o", str(target), "--model", options.model)
        words += ("--max-memory", str(options.max_memory))
        cost = process_cost(acutance(*words))
        speed = scene.size.pixels / 1e6 / cost.seconds
        print(f"--max-memory {options.max_memory}: peak {cost.peak_mb:.0f} MB, {cost.seconds:.0f} s ({speed:.2f} MP/s)")
        if format_of(target) == "JPEG":
            print("a JPEG is lossy: no windows are compared (tests compare strips with the whole)")
            return
        windows, different = compare(scene, target, options.model)
        print(f"{windows} windows compared with themselves sharpened alone: {different} differ")


if __name__ == "__main__":
    main()
