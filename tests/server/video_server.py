"""A server in a process of its own that takes videos: PyAV and the networks of other tests do not share one.

Arguments: folder, milliseconds for a frame, file for a line per frame, a path (a clip of 24 frames is made there), and
the task of the model.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.server.app import create_app
from acutance.server.limits import Limits
from acutance.server.models import OneEngine
from acutance.server.running import listen, make_server

FRAMES = 24


def make_clip(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.metadata["title"] = "a clip"
        for number in range(FRAMES):
            pixels = np.full((48, 64, 3), 40 + 5 * number, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def main() -> None:
    folder, milliseconds, notes, clip = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    spec = replace(FAKE_SPEC, task=sys.argv[5])
    if not clip.exists():
        make_clip(clip)

    def slowly(batch: np.ndarray) -> np.ndarray:
        time.sleep(milliseconds / 1000)
        with notes.open("a") as file:
            file.write("frame\n")
        return 1.0 - batch

    limits = Limits(min_free_bytes=0, drain_s=0.2)
    with listen("127.0.0.1", 0) as listener:
        app = create_app(
            OneEngine(FakeEngine(slowly, spec), max_pixels=limits.max_pixels), folder=folder, limits=limits
        )
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        make_server(app, limits).run(sockets=[listener])


main()
