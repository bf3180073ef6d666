"""Speed and memory of ONNX Runtime by its settings: what the engine's settings were chosen from."""

from __future__ import annotations

import os
import subprocess
import sys

PROBE = """
import resource, sys, time
import numpy as np
from acutance.engines.silent_onnxruntime import onnxruntime as ort
from acutance.zoo.catalogue import find_model
threads, arena, pattern, spinning = (int(value) for value in sys.argv[1:5])
options = ort.SessionOptions()
options.intra_op_num_threads = threads
options.enable_cpu_mem_arena = bool(arena)
options.enable_mem_pattern = bool(pattern)
options.add_session_config_entry("session.intra_op.allow_spinning", str(spinning))
session = ort.InferenceSession(str(find_model("fast").fidelity), options, providers=["CPUExecutionProvider"])
batches = [np.random.default_rng(0).random((1, 3, 1024, 1024), dtype=np.float32)] * 3
times = []
for _ in range(4):
    start = time.perf_counter()
    for batch in batches:
        session.run(None, {"degraded": batch})
    times.append(time.perf_counter() - start)
megapixels = sum(batch[0, 0].size for batch in batches) / 1e6
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(f"threads {threads}  arena {arena}  pattern {pattern}  spinning {spinning}   "
      f"{megapixels / sorted(times)[1]:.3f} MP/s   peak {peak:5.0f} MB", flush=True)
"""


def main() -> None:
    """Print a row per setting; batches are of one size, as tiles are."""
    cores = os.cpu_count() or 1
    settings = [
        (0, 1, 1, 1),
        (0, 0, 1, 1),
        (0, 1, 0, 1),
        (0, 0, 0, 1),
        (0, 1, 0, 0),
        (1, 1, 0, 1),
        (2 * cores, 1, 0, 1),
    ]
    for row in settings:
        subprocess.run([sys.executable, "-c", PROBE, *map(str, row)], check=True)


if __name__ == "__main__":
    main()
