"""How long whole processes take: importing, help, and one small photo."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from large_photos import write_photo
from timing import acutance, process_cost

RUNS = 7


def main() -> None:
    """Print medians."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        write_photo(photo, height=512, width=768)
        output = str(Path(folder) / "out.jpg")
        rows = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import acutance": [sys.executable, "-c", "import acutance"],
            "acutance --version": acutance("--version"),
            "acutance --help": acutance("--help"),
            "acutance sharpen 768×512.jpg": acutance("sharpen", str(photo), "-o", output, "--overwrite"),
            "the same, --model fast": acutance("sharpen", str(photo), "-o", output, "--overwrite", "-m", "fast"),
        }
        # By turns: what else the machine does meets all rows alike.
        costs = [{name: process_cost(arguments) for name, arguments in rows.items()} for _ in range(RUNS)]
        for name in rows:
            seconds = statistics.median(run[name].seconds for run in costs)
            cpu_s = statistics.median(run[name].cpu_s for run in costs)
            memory = max(run[name].peak_mb for run in costs)
            print(f"{name:32} {seconds:6.3f} s   processor {cpu_s:6.3f} s   peak {memory:5.0f} MB")


if __name__ == "__main__":
    main()
