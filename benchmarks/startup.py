"""How long whole processes take: importing, help, and one small photo; also beside the extra `gpu`.

    python benchmarks/startup.py [--gpu-package FOLDER]

Bytecode is kept, as that of an installed program is. The photo is soft: of one that is sharp already, the program looks
for the reason why nothing changed, too.

With a folder that holds the plug-in package (`pip install --no-deps --target FOLDER onnxruntime-ep-webgpu`), every
command runs with and without it, in turn. On a machine without a graphics chip it must cost less than 0.1 s, and say
nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from pathlib import Path

from large_photos import write_photo
from timing import ProcessCost, acutance, process_cost

ALLOWED_S = 0.1


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gpu-package", type=Path, help="folder with onnxruntime-ep-webgpu, to compare with")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    if options.gpu_package and not (options.gpu_package / "onnxruntime_ep_webgpu").is_dir():
        parser.error(f"{options.gpu_package}: holds no onnxruntime_ep_webgpu")
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        write_photo(photo, height=512, width=768, softness_px=1.6)
        output = str(Path(folder) / "out.jpg")
        rows = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import acutance": [sys.executable, "-c", "import acutance"],
            "acutance --version": acutance("--version"),
            "acutance --help": acutance("--help"),
            "acutance sharpen 768×512.jpg": acutance("sharpen", str(photo), "-o", output, "--overwrite"),
            "the same, --model fast": acutance("sharpen", str(photo), "-o", output, "--overwrite", "-m", "fast"),
        }
        plain = {**os.environ, "XDG_CACHE_HOME": folder, "PYTHONPYCACHEPREFIX": str(Path(folder) / "bytecode")}
        plain.pop("PYTHONDONTWRITEBYTECODE", None)
        with_package = {
            **plain,
            "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(options.gpu_package)]),
        }
        for name, arguments in rows.items():
            costs: list[ProcessCost] = []
            others: list[ProcessCost] = []
            process_cost(arguments, environment=plain)  # the first one writes the bytecode
            for _ in range(options.runs):
                costs.append(process_cost(arguments, environment=plain))
                if options.gpu_package:
                    others.append(process_cost(arguments, environment=with_package))
            times = f"{_median_s(costs):6.3f} s   processor {_cpu_s(costs):6.3f} s"
            line = f"{name:32} {times}   peak {max(cost.peak_mb for cost in costs):5.0f} MB"
            print(line + (_beside(costs, others) if others else ""), flush=True)


def _median_s(costs: list[ProcessCost]) -> float:
    return statistics.median(cost.seconds for cost in costs)


def _cpu_s(costs: list[ProcessCost]) -> float:
    return statistics.median(cost.cpu_s for cost in costs)


def _without_times(words: str) -> str:
    """Return what was said without how long it took, which differs from run to run."""
    return re.sub(r"\d+(\.\d+)? s\b", "… s", words)


def _beside(costs: list[ProcessCost], others: list[ProcessCost]) -> str:
    """Tell what the package costs, in processor time, run by run; and whether anything else was said with it."""
    more_s = statistics.median(other.cpu_s - cost.cpu_s for cost, other in zip(costs, others, strict=True))
    are_silent = {_without_times(other.words) for other in others} <= {_without_times(cost.words) for cost in costs}
    holds = more_s < ALLOWED_S and are_silent
    return (
        f"   with the package {_median_s(others):6.3f} s, {more_s:+.3f} s of processor time, "
        f"{'not a word more' if are_silent else 'other words'}: {'held' if holds else 'NOT HELD'}"
    )


if __name__ == "__main__":
    main()
