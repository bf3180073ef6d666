"""How often the truth lies within the stated interval of the map of guesses, by row of the protocol.

python benchmarks/guess_coverage.py bsd100/ kodak24/ --model fast --every 10

Every photo is cut to a square, degraded, sharpened and mapped. The last column is the correlation between the stated
distance and the error, over all pixels of the row.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from guess_samples import crop_of, errors_of

from acutance.data.blurs import MeasuredBlur
from acutance.data.kernel_file import load_psfs
from acutance.data.photo_store import list_photos
from acutance.data.protocol import ROWS, degrade, find_row
from acutance.inference.sharpener import Sharpener
from acutance.trust.guesses import map_of_guesses


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of sharp photos")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--fidelity", type=float, default=1.0)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--side", type=int, default=256, help="of the squares, in px")
    parser.add_argument("--rows", help="comma-separated; default all of one size")
    parser.add_argument("--kernels", type=Path, help="measured kernels (.npz), for the row camera-shake")
    arguments = parser.parse_args()
    psfs = load_psfs(arguments.kernels) if arguments.kernels else []
    names = arguments.rows.split(",") if arguments.rows else [row.name for row in ROWS if row.reduction == 1]
    paths = [path for folder in arguments.folders for path in list_photos(folder)[3 :: arguments.every]]
    print(f"{len(paths)} photos, model {arguments.model}, fidelity {arguments.fidelity:g}")
    print("| row | inside, % | of the textured third, % | worst … best photo | distance | error | correlation |")
    print("|---|---|---|---|---|---|---|")
    with Sharpener(arguments.model, fidelity=arguments.fidelity) as sharpener:
        for name in names:
            row = find_row(name)
            if isinstance(row.blur, MeasuredBlur) and not psfs:
                continue
            inside, textured, distances, errors = [], [], [], []
            for index, path in enumerate(paths):
                sharp = crop_of(path, arguments.side, np.random.default_rng([index, 9]))
                degraded = degrade(sharp, row, index=index, psfs=psfs)
                result = sharpener.sharpen_pixels(degraded, strength=arguments.strength)
                off = errors_of(sharp, degraded, result, row)
                told = map_of_guesses(
                    degraded,
                    result,
                    model=sharpener.spec,
                    strength=arguments.strength,
                    fidelity=arguments.fidelity,
                ).distance
                within = off <= told
                inside.append(float(within.mean()))
                textured.append(float(within[told >= np.quantile(told, 2 / 3)].mean()))
                distances.append(told.ravel())
                errors.append(off.ravel())
            told, off = np.concatenate(distances), np.concatenate(errors)
            related = np.corrcoef(told, off)[0, 1] if told.std() and off.std() else float("nan")
            print(
                f"| `{name}` | {100 * np.mean(inside):.1f} | {100 * np.mean(textured):.1f} | {100 * min(inside):.0f} … "
                f"{100 * max(inside):.0f} | {told.mean():.1f} | {off.mean():.1f} | {related:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
