"""How well the estimator tells what blurred a photo: kinds, strengths and noise, over rows of the protocol.

python benchmarks/blur_estimator.py bsd100/ --every 5
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acutance.data.blurs import DefocusBlur, GaussianBlur, LineBlur
from acutance.data.photo_store import list_photos
from acutance.data.protocol import degrade, drawn, find_row
from acutance.estimation.verdict import BlurVerdict
from acutance.inference.belief import grey_of
from acutance.inference.looking import blur_field
from acutance.media import read_photo

ROWS = (
    *("none", "gauss-1.0", "gauss-1.6", "gauss-2.0", "gauss-3.0", "gauss-4.0", "gauss-1.6-n2", "gauss-1.6-n6"),
    *("gauss-1.6-n12", "gauss-1.6-linear", "defocus-2", "defocus-4", "motion-4", "motion-8", "motion-12", "motion-16"),
    *("motion-8-n2", "motion-16-n2", "motion-path", "jpeg-50"),
)


def called(seen: BlurVerdict) -> str:
    """Name the kind, with sharp pictures apart."""
    return "sharp" if seen.is_sharp else seen.kind


def strength_of(blur: object) -> float | None:
    """Return σ, radius or length of a blur that has one."""
    match blur:
        case GaussianBlur(sigma_px):
            return sigma_px
        case DefocusBlur(radius_px):
            return radius_px
        case LineBlur(length_px, _):
            return length_px
    return None


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of sharp photos")
    parser.add_argument("--every", type=int, default=5, help="take one photo in so many")
    arguments = parser.parse_args()
    paths = list_photos(arguments.photos)[:: arguments.every]
    print("| row | taken for | strength, median error | worst tenth | angle, median error | noise, median (levels) |")
    print("|---|---|---|---|---|---|")
    for name in ROWS:
        row = find_row(name)
        kinds: Counter[str] = Counter()
        errors, angles, noises = [], [], []
        for index, path in enumerate(paths):
            pixels: npt.NDArray[np.uint8] = np.ascontiguousarray(read_photo(path).pixels[..., :3]).astype(np.uint8)
            degraded = degrade(pixels, row, index=index)
            field = blur_field(grey_of(degraded.astype(np.float32) / 255))
            seen, blur = field.whole, drawn(row, index).blur
            kinds[called(seen)] += 1
            noises.append(field.noise)
            strength = strength_of(blur)
            if strength is not None:
                errors.append(abs(seen.strength_px / strength - 1))
            if isinstance(blur, LineBlur):
                angles.append(math.degrees(abs((seen.angle - blur.angle + math.pi / 2) % math.pi - math.pi / 2)))
        taken = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
        strength = f"{100 * np.median(errors):.0f} % | {100 * np.quantile(errors, 0.9):.0f} %" if errors else "– | –"
        angle = f"{np.median(angles):.1f}°" if angles else "–"
        print(f"| `{name}` | {taken} | {strength} | {angle} | {np.median(noises):.1f} |", flush=True)


if __name__ == "__main__":
    main()
