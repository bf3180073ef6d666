"""How long whole processes take: importing, help, and one small photo."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from large_photos import write_photo
from timing import acutance, process_cost

RUNS = 9


def main() -> None:
    """Print medians."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        write_photo(photo, height=512, width=768)
        output = str(Path(folder) / "out.jpg")
        rows = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import acutance": [sys.executable, "-c", "import acutance"],
            "acutance --help": acutance("--help"),
            "acutance sharpen 768×512.jpg": acutance("sharpen", str(photo), "-o", output, "--overwrite"),
        }
        for name, arguments in rows.items():
            costs = [process_cost(arguments) for _ in range(RUNS)]
            seconds = statistics.median(cost.seconds for cost in costs)
            memory = max(cost.peak_mb for cost in costs)
            print(f"{name:32} {seconds:6.3f} s   peak {memory:5.0f} MB")


if __name__ == "__main__":
    main()
