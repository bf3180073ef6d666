"""Speed and memory by side of the tile: what the default tile size was chosen from."""

from __future__ import annotations

import subprocess
import sys

SIDES_PX = (256, 512, 768, 1024, 1344, 1536)

PROBE = """
import resource, sys, time
import numpy as np
from acutance import Sharpener
side = int(sys.argv[1])
sharpener = Sharpener(tile_px=side)
pixels = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
sharpener.sharpen_pixels(pixels[:side, :side])
times = []
for _ in range(3):
    start = time.perf_counter()
    sharpener.sharpen_pixels(pixels)
    times.append(time.perf_counter() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(f"{side:5} px   {12 / sorted(times)[1]:.3f} MP/s   peak {peak:5.0f} MB")
"""


def main() -> None:
    """Print a row per side; each in a process of its own, so that memory is not shared."""
    for side in SIDES_PX:
        subprocess.run([sys.executable, "-c", PROBE, str(side)], check=True)


if __name__ == "__main__":
    main()
