"""Blur undone blindly, beside the same when it is told: how far the estimate is from the truth, in dB.

    python benchmarks/blind_and_told.py bsd100/ --every 5
    python benchmarks/blind_and_told.py bsd100/ --every 5 --rows defocus-2,defocus-4

Photos are blurred as the protocol's rows say, and restored by `motion`, once told nothing, once told length and
direction, or radius. Mean PSNR over the photos.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from acutance.data.blurs import DefocusBlur, LineBlur
from acutance.data.photo_store import list_photos
from acutance.data.protocol import Row, degrade, drawn, find_row
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import ToldBlur
from acutance.media.reading import read_photo
from acutance.metrics.psnr import psnr

ROWS = ",".join(f"motion-{length}{noise}" for noise in ("", "-n2") for length in (4, 8, 12, 16))


def told_blur(row: Row, index: int) -> ToldBlur:
    """Return what blurs a photo in a row.

    Raises:
        SystemExit: When it is neither straight motion nor a disk.
    """
    match drawn(row, index).blur:
        case LineBlur(length_px=length, angle=angle):
            return ToldBlur.motion(length, degrees=math.degrees(angle))
        case DefocusBlur(radius_px=radius):
            return ToldBlur.defocus(radius)
        case _:
            raise SystemExit(f"{row.name}: neither straight motion nor a disk; give rows as motion-8 and defocus-4.")


def main() -> None:
    """Blur, restore twice, and print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos_folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every so many of the photos")
    parser.add_argument("--rows", default=ROWS)
    options = parser.parse_args()
    paths = list(enumerate(list_photos(options.photos_folder)))[:: options.every]
    print("| row | input | blind | told | blind less told | within 0.6 dB |\n|---|---|---|---|---|---|")
    with Sharpener("motion") as sharpener:
        for row in map(find_row, options.rows.split(",")):
            quality = []
            for index, path in paths:
                sharp = read_photo(path).pixels
                blurred = degrade(sharp, row, index=index)
                restored = blurred, sharpener(blurred), sharpener.told(told_blur(row, index))(blurred)
                quality.append([psnr(picture, sharp) for picture in restored])
            means = np.mean(quality, axis=0)
            near = np.mean([told - blind <= 0.6 for _, blind, told in quality])
            cells = " | ".join(f"{mean:.2f}" for mean in means)
            print(f"| `{row.name}` | {cells} | {means[1] - means[2]:+.2f} | {near:.0%} |", flush=True)


if __name__ == "__main__":
    main()
