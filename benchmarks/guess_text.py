"""Whether the map of guesses lights up where characters come out wrong.

python benchmarks/guess_text.py

Random characters are drawn, blurred and sharpened. Each is read by the likeliest of all characters drawn at its place
(correlation with the result); its guess is the mean of the map over its ink. Printed is the share read wrong, how often
the truth lies inside where there is ink, and the means of guesses; then, over the characters of all pages, the
correlation of guess and error, and how often a character that is read wrong has the higher guess of two (AUC: a half is
chance).
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import numpy.typing as npt
from guess_samples import CHARACTERS
from PIL import Image, ImageDraw, ImageFont

from acutance.imaging.kernels import convolve_mirror, gaussian_psf
from acutance.inference.sharpener import Sharpener
from acutance.trust.guesses import map_of_guesses

COLUMNS, ROWS = 24, 12
PAPER, NOISE_LEVELS = 245, 1.0


def drawn(character: str, cell_px: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> npt.NDArray[np.uint8]:
    """Draw one character, dark on light, in the middle of its cell."""
    cell = Image.new("L", (cell_px, cell_px), PAPER)
    ImageDraw.Draw(cell).text((cell_px / 2, cell_px / 2), character, fill=25, font=font, anchor="mm")
    return np.asarray(cell)


def read(cell: npt.NDArray[np.float64], drawings: npt.NDArray[np.float64]) -> int:
    """Return which drawing a cell is most like."""
    flat = cell.ravel() - cell.mean()
    rows = drawings.reshape(len(drawings), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return int((rows @ flat / np.linalg.norm(rows, axis=1)).argmax())


def main() -> None:
    """Print a row per size of the letters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sigmas", type=float, nargs="+", default=[1.0, 2.0, 3.0])
    parser.add_argument("--model", default="fast")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 14, 18])
    arguments = parser.parse_args()
    print("| σ | letters | read wrong | inside, of the ink | guess: wrong | right | paper | AUC |")
    print("|---|---|---|---|---|---|---|---|")
    guesses, errors, wrongs = [], [], []
    with Sharpener(arguments.model) as sharpener:
        for sigma, size in itertools.product(arguments.sigmas, arguments.sizes):
            random = np.random.default_rng(size)
            cell_px = 2 * size
            font = ImageFont.load_default(size)
            drawings = np.stack([drawn(one, cell_px, font) for one in CHARACTERS]).astype(np.float64)
            chosen = random.integers(len(CHARACTERS), size=(ROWS, COLUMNS))
            page = drawings[chosen].transpose(0, 2, 1, 3).reshape(ROWS * cell_px, COLUMNS * cell_px)
            sharp = np.repeat(page[..., None], 3, axis=2)
            noise = NOISE_LEVELS * random.standard_normal(sharp.shape)
            blurred = convolve_mirror(sharp, gaussian_psf(sigma)) + noise
            degraded = np.clip(np.rint(blurred), 0, 255).astype(np.uint8)
            result = sharpener.sharpen_pixels(degraded)
            told = map_of_guesses(degraded, result, model=sharpener.spec).distance
            off = np.abs(result - sharp).max(axis=2)

            def cells(plane: npt.NDArray[np.floating], side: int = cell_px) -> npt.NDArray[np.float64]:
                return plane.reshape(ROWS, side, COLUMNS, side).swapaxes(1, 2).astype(np.float64)

            is_ink = drawings[chosen] < PAPER - 60
            is_wrong = np.array(
                [[read(cell, drawings) for cell in row] for row in cells(result.astype(np.float64).mean(axis=2))]
            )
            is_wrong = is_wrong != chosen
            inked = np.maximum(is_ink.sum(axis=(2, 3)), 1)
            guess = (cells(told) * is_ink).sum(axis=(2, 3)) / inked
            error = (cells(off) * is_ink).sum(axis=(2, 3)) / inked
            inside = (cells((off <= told).astype(np.float64)) * is_ink).sum() / is_ink.sum()
            wrong, right = guess[is_wrong], guess[~is_wrong]
            means = [f"{part.mean():.0f}" if len(part) else "–" for part in (wrong, right)]
            paper = cells(told)[:, :, : size // 4, :].mean()
            print(
                f"| {sigma:g} | {size} px | {100 * is_wrong.mean():.0f} % | {100 * inside:.0f} % | {means[0]} | "
                f"{means[1]} | {paper:.0f} | {_auc(wrong, right):.2f} |",
                flush=True,
            )
            guesses.append(guess.ravel())
            errors.append(error.ravel())
            wrongs.append(is_wrong.ravel())
    guess, error, is_wrong = (np.concatenate(parts) for parts in (guesses, errors, wrongs))
    related = np.corrcoef(guess, error)[0, 1]
    print(f"all pages: correlation {related:.2f}, AUC {_auc(guess[is_wrong], guess[~is_wrong]):.2f}")


def _auc(wrong: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> float:
    return float((wrong[:, None] > right[None, :]).mean()) if len(wrong) and len(right) else float("nan")


if __name__ == "__main__":
    main()
