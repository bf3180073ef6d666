"""`acutance serve` under siege: files made to harm, trickling uploads, idle connections, workers that are killed.

Printed beside what is promised: every file is refused in one sentence or ends within 2 s of a cancel, the server and
its workers take at most 1.2 GB meanwhile, the next 64×64 picture is answered within 3 s; two addresses with 128
trickling uploads each and one with 1 100 idle connections keep no third client from its picture, nor `/healthz` from
answering within 100 ms (99th percentile); with workers killed again and again, no job is lost. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import re
import resource
import signal
import socket
import statistics
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from server_load import family, resident_mb, served

from acutance.client import Client, ServerRefused

CANCEL_S, NEXT_S, MOST_MB = 2.0, 3.0, 1200
LOOK_S = 5.0
"""After which a file that is still worked on is cancelled."""

Image.MAX_IMAGE_PIXELS = None


def png(width: int, height: int, *, bits: int, kind: int, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """Return a PNG of zeros."""
    channels = {0: 1, 2: 3, 6: 4}[kind]
    row = b"\0" * (1 + (width * channels * bits + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row * 64) for _ in range(height // 64)) + packer.compress(row * (height % 64))
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, int(interlaced))
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", data + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg(side: int, *, scans: int = 0) -> bytes:
    """Return a JPEG of one grey; progressive, with its last scan repeated, where scans are given."""
    content = saved(Image.new("RGB", (side, side), (90, 90, 90)), "JPEG", progressive=scans > 0)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * scans + b"\xff\xd9"


def gif(frames: int, side: int, *, shown: int = 1) -> bytes:
    """Return a GIF of small pictures on a large screen."""
    one = saved(Image.new("P", (shown, shown)), "GIF")
    start = one.index(b"\x2c", 13 + 3 * 2 ** ((one[10] & 7) + 1))
    return one[:6] + struct.pack("<HH", side, side) + one[10:start] + one[start:-1] * frames + b"\x3b"


def animation(format_: str, frames: int, side: int) -> bytes:
    """Return an animation of flat frames."""
    pictures = [Image.new("RGB", (side, side), (shade, 0, 0)) for shade in range(frames)]
    return saved(pictures[0], format_, save_all=True, append_images=pictures[1:])


def saved(image: Image.Image, format_: str, **options: object) -> bytes:
    """Return a picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def flat(side: int, mode: str = "RGB") -> Image.Image:
    """Return a picture of one colour."""
    return Image.new(mode, (side, side))


BOMBS: Mapping[str, Callable[[], bytes]] = {
    "JPEG, 3 000 scans, 16 MP": lambda: jpeg(4000, scans=3000),
    "JPEG, 90 scans, 64 MP": lambda: jpeg(8000, scans=80),
    "JPEG, 100 MP": lambda: jpeg(10000),
    "PNG, 100 MP, 16 bits, alpha": lambda: png(10000, 10000, bits=16, kind=6),
    "PNG, 100 MP, 1 bit": lambda: png(10000, 10000, bits=1, kind=0),
    "PNG, 100 MP, interlaced": lambda: png(10000, 10000, bits=8, kind=2, interlaced=True),
    "PNG, 100 million px wide": lambda: png(100_000_000, 1, bits=8, kind=0),
    "PNG, text of 500 MB": lambda: png(
        64, 64, bits=8, kind=2, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(500_000_000)))
    ),
    "PNG, profile of 500 MB": lambda: png(
        64, 64, bits=8, kind=2, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(500_000_000)))
    ),
    "GIF, 5 000 frames of 81 MP": lambda: gif(5000, 9000),
    "GIF, 59 frames of 16 MP": lambda: gif(59, 4096),
    "GIF, 500 000 frames of a pixel": lambda: gif(500_000, 1),
    "GIF, 60 frames of 16 MP, drawn": lambda: gif(59, 4000, shown=4000),
    "APNG, 40 frames of 4 MP": lambda: animation("PNG", 40, 2048),
    "WebP, 30 frames of 4 MP": lambda: animation("WEBP", 30, 2048),
    "WebP, 81 MP": lambda: saved(flat(9000), "WEBP", lossless=True),
    "TIFF, 100 MP, deflate": lambda: saved(flat(10000), "TIFF", compression="tiff_deflate"),
    "TIFF, 100 MP, CMYK, LZW": lambda: saved(flat(10000, "CMYK"), "TIFF", compression="tiff_lzw"),
    "TIFF, 60 pages of 16 MP": lambda: saved(
        flat(4000), "TIFF", compression="tiff_deflate", save_all=True, append_images=[flat(4000)] * 59
    ),
    "JPEG 2000, 64 MP": lambda: saved(flat(8000), "JPEG2000"),
    "AVIF, 36 MP": lambda: saved(flat(6000), "AVIF", speed=10),
    "BMP, 81 MP": lambda: saved(flat(9000, "L"), "BMP"),
}
"""By what they are."""


@contextmanager
def watched(process: int) -> Iterator[list[float]]:
    """Give the highest memory so far, in MB."""
    peak, is_over = [0.0], threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            peak[0] = max(peak[0], resident_mb(process))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def inside(client: Client) -> bool:
    """Say whether a picture has a place."""
    return re.search(r"^acutance_pictures_inside 0", client.metrics(), re.MULTILINE) is None


def bombs(client: Client, process: int, small: bytes, more: list[Path]) -> None:
    """Send each file as a job, cancel it if it takes long, then send a small picture."""
    files = {**BOMBS, **{str(path.name): path.read_bytes for path in more}}
    for name, make in files.items():
        content = make()
        with watched(process) as peak:
            start = time.monotonic()
            try:
                words = ended(client, content, start)
            except ServerRefused as refused:
                words = f"refused: {refused}"
            start = time.monotonic()
            client.sharpen(small)
            wait_s = time.monotonic() - start
        is_held = wait_s < NEXT_S and peak[0] < MOST_MB
        print(f"{'ok ' if is_held else 'NOT'} {name} ({len(content) / 1e3:.0f} kB): {words}")
        print(f"      next picture {wait_s:.2f} s (under {NEXT_S:g}), peak {peak[0]:.0f} MB (under {MOST_MB})")


def ended(client: Client, content: bytes, start: float) -> str:
    """Say how a job ended."""
    job = client.submit(content)
    while not job.is_final and time.monotonic() - start < LOOK_S:
        time.sleep(0.05)
        job = client.job(job.id)
    if job.is_final:
        return f"{job.state} after {time.monotonic() - start:.1f} s{': ' + job.detail if job.detail else ''}"
    start = time.monotonic()
    client.cancel(job.id)
    while inside(client):
        time.sleep(0.01)
    took_s = time.monotonic() - start
    return f"{'' if took_s < CANCEL_S else 'NOT '}ended {took_s:.2f} s after its cancel (under {CANCEL_S:g})"


def crowd(port: int, client: Client, small: bytes, seconds: float) -> None:
    """Let many connect who want nothing, and send pictures meanwhile."""
    lines: list[socket.socket] = []
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"
    for address, count, said in (("127.0.0.2", 128, head), ("127.0.0.3", 128, head), ("127.0.0.4", 1100, b"")):
        for _ in range(count):
            line = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0))
            line.sendall(said)
            lines.append(line)
    waits, health = [], []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for line in random.Random(0).sample(lines[:256], 32):
            with contextlib.suppress(OSError):
                line.sendall(b"x")
        start = time.monotonic()
        client.sharpen(small)
        waits.append(time.monotonic() - start)
        for _ in range(10):
            start = time.monotonic()
            client.healthy()
            health.append(1000 * (time.monotonic() - start))
    for line in lines:
        line.close()
    print(
        f"256 trickling, 1 100 idle: {len(waits)} pictures of a third client, median {statistics.median(waits):.2f} s"
    )
    print(f"      /healthz 99th percentile {np.percentile(health, 99):.0f} ms (under 100)")


def deaths(client: Client, process: int, small: bytes) -> None:
    """Kill workers while jobs are done."""
    ids = [client.submit(small, key=f"job {number}").id for number in range(50)]
    for _ in range(10):
        time.sleep(0.3)
        for worker in family(process)[1:]:
            with contextlib.suppress(OSError):
                os.kill(worker, signal.SIGKILL)
    states = []
    for job_id in ids:
        with contextlib.suppress(ServerRefused):
            states.append(client.wait(job_id, every_s=0.1).state)
    print(f"workers killed ten times: {states.count('done')} of {len(ids)} jobs done")


class Watcher(Client):
    """A client that asks for what supervisors ask for."""

    def metrics(self) -> str:
        """Return the figures."""
        return self._call("GET", "/metrics")[1].decode()

    def healthy(self) -> None:
        """Ask whether the server lives."""
        self._call("GET", "/healthz")


def main() -> None:
    """Print what was seen beside what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the crowd")
    parser.add_argument("--only", choices=("bombs", "crowd", "deaths"))
    parser.add_argument("files", nargs="*", type=Path, help="more files made to harm")
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    small = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), "PNG")
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (port, process):
        client = Watcher(f"http://127.0.0.1:{port}")
        client.sharpen(small)  # the engine is open
        if given.only in (None, "crowd"):
            crowd(port, client, small, given.seconds)
        if given.only in (None, "deaths"):
            deaths(client, process, small)
        if given.only in (None, "bombs"):
            bombs(client, process, small, given.files)
        print(f"at the end: {client.wait(client.submit(small).id).state}, {resident_mb(process):.0f} MB")


if __name__ == "__main__":
    main()
