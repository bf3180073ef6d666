"""What `auto` gains on blur that is too wide to be told in the picture itself, and what it would gain in its own size.

python benchmarks/wide_blur.py urban10/ --every 2

Every photo is blurred with mirror boundary and rounded to 8 bit; PSNR in dB without a border of 64 px.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Final
from unittest import mock

import numpy as np
import numpy.typing as npt

from acutance.data.blurs import DefocusBlur, GaussianBlur, KnownBlur, LineBlur, blur_psf
from acutance.data.photo_store import list_photos
from acutance.imaging.kernels import convolve_mirror
from acutance.inference.sharpener import Sharpener
from acutance.media import Photo, read_photo

Pixels = npt.NDArray[np.uint8]

BORDER_PX: Final = 64
ROWS: Final[dict[str, KnownBlur]] = {
    "motion of 16 px": LineBlur(16.0, 0.4),
    "motion of 28 px": LineBlur(28.0, 1.2),
    "motion of 36 px": LineBlur(36.0, 2.4),
    "motion of 48 px": LineBlur(48.0, 0.4),
    "disk of 5 px": DefocusBlur(5.0),
    "disk of 8 px": DefocusBlur(8.0),
    "disk of 12 px": DefocusBlur(12.0),
    "σ = 4": GaussianBlur(4.0),
    "σ = 6": GaussianBlur(6.0),
    "σ = 9": GaussianBlur(9.0),
}


def psnr(one: Pixels, other: Pixels) -> float:
    """Return it without the border, in dB."""
    inner = slice(BORDER_PX, -BORDER_PX)
    off = (one.astype(np.float64) - other)[inner, inner]
    return 10 * math.log10(255**2 / float((off**2).mean()))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of sharp photos, of 800 px a side or more")
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    photos = [read_photo(path).pixels for folder in arguments.folders for path in list_photos(folder)]
    chosen = [photo for photo in photos[:: arguments.every] if photo.shape[2] == 3]
    print(f"{len(chosen)} photos")
    print(f"| blur | input | in its own size | auto | worst gain | made at a fraction |\n{'|---' * 6}|")
    with Sharpener() as sharpener:
        for name, blur in ROWS.items():
            figures, fractions = [], 0
            for sharp in chosen:
                values = convolve_mirror(sharp.astype(np.float64), blur_psf(blur))
                seen = np.clip(np.rint(values), 0, 255).astype(np.uint8)
                found: list[str] = []
                with mock.patch("acutance.inference.inspecting._may_be_wide", return_value=False):
                    own = sharpener.sharpen_photo(Photo(pixels=seen)).pixels
                result = sharpener.sharpen_photo(Photo(pixels=seen), found=found.append).pixels
                fractions += "of its size" in found[0]
                figures.append([psnr(one, sharp) for one in (seen, own, result)])
            means = np.mean(figures, 0)
            gain = min(after - before for before, _, after in figures)
            print(
                f"| {name} | {means[0]:.2f} | {means[1]:.2f} | {means[2]:.2f} | {gain:+.2f} | {fractions} |", flush=True
            )


if __name__ == "__main__":
    main()
