r"""Draw a sheet of real photos before and after models: whole, and with magnified details.

    python scripts/photo_sheet.py PHOTO … --model fast --model fast@fidelity=0 -o docs/images/fast-photos.webp

A row per photo: as it came, then after each model. The details are where the first model changed most.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from acutance.evaluation.comparison import BACKGROUND, Pixels, SheetLayout, comparison_sheet
from acutance.evaluation.restorers import ModelChoice
from acutance.inference.photo_sharpener import PhotoSharpener
from acutance.media.reading import read_photo


def stacked(rows: list[Pixels]) -> Pixels:
    """Lay rows of different widths under each other."""
    width = max(row.shape[1] for row in rows)
    padded = []
    for row in rows:
        canvas = np.full((row.shape[0], width, 3), BACKGROUND, np.uint8)
        canvas[:, : row.shape[1]] = row
        padded.append(canvas)
    return np.vstack(padded)


def in_colour(pixels: Pixels) -> Pixels:
    """Return grey pixels (`h w 1`) as RGB, and RGB as it is."""
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def main() -> None:
    """Restore, lay out, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--detail-px", type=int, default=72)
    parser.add_argument("--magnification", type=int, default=3)
    parser.add_argument("--details", type=int, default=2)
    parser.add_argument("--quality", type=int, default=80)
    arguments = parser.parse_args()
    layout = SheetLayout(
        detail_px=arguments.detail_px, magnification=arguments.magnification, num_details=arguments.details
    )
    before = [in_colour(read_photo(path).pixels) for path in arguments.photos]
    columns = [[("as it came", photo)] for photo in before]
    for text in arguments.model:
        choice = ModelChoice.parse(text)
        with PhotoSharpener(choice.model, choice.engine) as sharpener:
            for row, photo in zip(columns, before, strict=True):
                row.append((text, sharpener.sharpen_pixels(photo)))
    sheet = stacked([comparison_sheet(row, layout=layout) for row in columns])
    Image.fromarray(sheet).save(arguments.output, quality=arguments.quality, method=6)


if __name__ == "__main__":
    main()
