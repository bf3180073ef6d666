r"""Draw a sheet of examples of the blind mixture (row `mix` of the protocol) on one photo, each with what was drawn.

    python scripts/mixture_sheet.py PHOTO --crop 150,0,310,160 -o docs/images/mixture.webp

First stands the sharp photo, then draw 0, 1, 2 …: those that the first photos of a test set get. Beside each caption is
the kernel, pixel for pixel. `noise` is its standard deviation at mid-grey, of 255.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from acutance.data.blurs import AnisotropicBlur, Blur, DefocusBlur, GaussianBlur, PathBlur, Psf
from acutance.data.protocol import Pixels, Row, degrade, drawn, find_row, true_psf
from acutance.evaluation.comparison import BACKGROUND, GAP_PX, INK
from acutance.media.reading import read_photo

KERNEL_PX = 35
"""Side of the drawn kernels: nothing of the mixture's reaches farther, but for the last tails of wide Gaussians."""

FONT_PX = 11
"""Three lines of it stand beside a kernel."""


def blur_words(blur: Blur | None) -> str:
    """Name a blur and its strength in px."""
    match blur:
        case GaussianBlur(sigma_px):
            return f"Gaussian {sigma_px:.2f}"
        case AnisotropicBlur(sigma_px, ratio):
            return f"Gaussian {sigma_px:.2f} / {sigma_px / ratio:.2f}"
        case DefocusBlur(radius_px):
            return f"defocus {radius_px:.2f}"
        case PathBlur(points, softness):
            return f"shake {np.ptp(points, axis=0).max():.1f}, soft {softness:.1f}"
        case _:
            return "sharp"


def other_words(row: Row) -> str:
    """Name what else becomes of the photo."""
    words = []
    if row.noise_sigma > 0 or row.signal_gain > 0:
        words.append(f"noise {255 * math.sqrt(row.noise_sigma**2 + 0.5 * row.signal_gain):.1f}")
    if row.rescale > 1:
        words.append(f"resized {row.rescale:.2f}")
    if row.jpeg_quality is not None:
        words.append(f"JPEG {row.jpeg_quality}")
    return "\n".join(", ".join(line) for line in (words[:2], words[2:]))


def kernel_picture(psf: Psf) -> Image.Image:
    """Draw a kernel in the middle of a square, as bright as it gets."""
    room = max(KERNEL_PX, *psf.shape)
    canvas = np.zeros((room, room))
    top, left = room // 2 - psf.shape[0] // 2, room // 2 - psf.shape[1] // 2
    canvas[top : top + psf.shape[0], left : left + psf.shape[1]] = psf / psf.max()
    inset = (room - KERNEL_PX) // 2
    shown = canvas[inset : inset + KERNEL_PX, inset : inset + KERNEL_PX]
    return Image.fromarray(np.rint(255 * np.sqrt(shown)).astype(np.uint8))  # the root: faint ends show, too


def cell(photo: Pixels, row: Row, psf: Psf | None) -> Image.Image:
    """Draw a degraded photo with its caption and kernel below."""
    height, width = photo.shape[:2]
    picture = Image.new("RGB", (width, height + KERNEL_PX + 2), BACKGROUND)
    picture.paste(Image.fromarray(photo))
    font = ImageFont.load_default(FONT_PX)
    words = f"{blur_words(row.blur)}\n{other_words(row)}"
    ImageDraw.Draw(picture).text((0, height + 1), words, fill=INK, font=font, spacing=1)
    if psf is not None:
        picture.paste(kernel_picture(psf), (width - KERNEL_PX, height + 2))
    return picture


def sheet(cells: list[Image.Image], columns: int) -> Image.Image:
    """Lay cells of one size out in rows."""
    width, height = cells[0].size
    rows = -(-len(cells) // columns)
    whole = Image.new("RGB", (columns * (width + GAP_PX) + GAP_PX, rows * (height + GAP_PX) + GAP_PX), BACKGROUND)
    for number, one in enumerate(cells):
        row, column = divmod(number, columns)
        whole.paste(one, (GAP_PX + column * (width + GAP_PX), GAP_PX + row * (height + GAP_PX)))
    return whole


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--crop", help="LEFT,TOP,RIGHT,BOTTOM of the part that is shown; default all.")
    parser.add_argument("--count", type=int, default=23, help="Number of draws.")
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    pixels = read_photo(arguments.photo).pixels
    reference = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    left, top, right, bottom = (
        map(int, arguments.crop.split(",")) if arguments.crop else (0, 0, *reference.shape[1::-1])
    )
    box = (slice(top, bottom), slice(left, right))
    cells = [cell(reference[box], find_row("none"), None)]
    for index in range(arguments.count):
        row = drawn(find_row("mix"), index)
        # All of the photo is degraded, and a part of it shown, so that no border is seen.
        cells.append(cell(degrade(reference, row, index=index)[box], row, true_psf(row, index)))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    sheet(cells, arguments.columns).save(arguments.output, quality=82, method=6)


if __name__ == "__main__":
    main()
