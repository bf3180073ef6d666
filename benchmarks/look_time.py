"""How long a 12-megapixel photo takes to be inspected on one core: decoding, and looking.

python benchmarks/look_time.py [PHOTO]
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
from PIL import Image

from acutance.inference.inspecting import look_at
from acutance.inference.inspection import first_photo

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.png"
SIZE = (4000, 3000)
RUNS = 5


def main() -> None:
    """Print the median of processor time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="?", help="default: an enlarged example with noise, JPEG quality 92")
    photo = parser.parse_args().photo
    content = photo.read_bytes() if photo else example()
    look_at(first_photo(content).pixels, threads=1)  # opens the estimator
    decoding, looking = [], []
    for _ in range(RUNS):
        start = time.process_time()
        found = first_photo(content)
        decoded = time.process_time()
        look_at(found.pixels, found.metadata, threads=1)
        decoding.append(decoded - start)
        looking.append(time.process_time() - decoded)
    parts = [float(np.median(one)) for one in (decoding, looking)]
    print(
        f"{found.size.pixels / 1e6:.1f} megapixels: {sum(parts):.2f} s, decoding {parts[0]:.2f}, looking {parts[1]:.2f}"
    )


def example() -> bytes:
    """Return a JPEG of 12 megapixels."""
    large = np.asarray(Image.open(EXAMPLE).convert("RGB").resize(SIZE, Image.Resampling.BICUBIC), np.float32)
    noisy = large + np.random.default_rng(0).normal(0, 2, large.shape).astype(np.float32)
    stream = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=92)
    return stream.getvalue()


if __name__ == "__main__":
    main()
