"""A server in a process of its own, to be killed: its network takes its time and notes each run in a file.

Arguments: folder, milliseconds for a run, file for a line per run, and the port, if it matters.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from acutance.engines.fake import FakeEngine
from acutance.server.app import create_app
from acutance.server.limits import Limits
from acutance.server.models import OneEngine
from acutance.server.running import listen, make_server


def main() -> None:
    folder, milliseconds, notes = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])

    def slowly(batch: np.ndarray) -> np.ndarray:
        time.sleep(milliseconds / 1000)
        with notes.open("a") as file:
            file.write(f"{int(np.rint(batch[0, 0, 0, 0] * 255))}\n")
        return 1.0 - batch

    limits = Limits(min_free_bytes=0, drain_s=10)
    with listen("127.0.0.1", int(sys.argv[4]) if len(sys.argv) > 4 else 0) as listener:
        app = create_app(OneEngine(FakeEngine(slowly), max_pixels=limits.max_pixels), folder=folder, limits=limits)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        make_server(app, limits).run(sockets=[listener])


main()
