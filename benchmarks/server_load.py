"""Many clients at once: 64 of them post 1-megapixel JPEGs to `acutance serve` for a minute, each one after the other.

Printed beside what is promised: no 5xx, throughput against the bare engine, memory after warming up, how evenly clients
are served, and how soon `/healthz` answers meanwhile. The bare engine is measured side by side: every few seconds the
server is held (SIGSTOP) for as long as the engine takes for two pictures, so that other load slows both alike.

Each client has an address of its own (127.0.1.1, 127.0.1.2, …), as the server counts clients by address: Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import resource
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from large_photos import write_photo
from timing import acutance

from acutance.engines.opening import open_engine
from acutance.geometry import Size
from acutance.imaging.pad import with_margin
from acutance.zoo.catalogue import DEFAULT_MODEL, find_model

HEIGHT, WIDTH = 864, 1152
CELL_PX = 4
"""What sizes must be a multiple of for the default model."""
MEGAPIXELS = HEIGHT * WIDTH / 1e6
WARM_UP_SHARE = 0.25
"""Of the time: memory counts from then on."""
HEALTH_EVERY_S = 0.25
"""Asked more often, the asking itself slows a network that runs on every core."""
SOFTNESS_PX = 1.5
"""Of the photos: sharp or noisy ones would come back as they are, and be looked at for the reason."""
BARE_EVERY_S = 5.0


@dataclass
class Seen:
    """What was seen."""

    statuses: Counter[int] = field(default_factory=Counter)
    done: Counter[int] = field(default_factory=Counter)
    """Pictures by client."""
    ends_s: list[float] = field(default_factory=list)
    """When each was done."""
    waits_s: list[float] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    bare_s: list[float] = field(default_factory=list)
    """Of the engine alone, for one picture."""
    held_s: float = 0.0
    """For how long the server was held meanwhile."""
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    """Time and resident memory of the server and its workers."""


def family(process: int) -> list[int]:
    """Return a process and all that it has started."""
    found = [process]
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [other for child in path.read_text().split() for other in family(int(child))]
    return found


def resident_mb(process: int) -> float:
    """Return the memory of a process and all that it has started."""
    pages = 0
    for one in family(process):
        with contextlib.suppress(OSError, IndexError):
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@asynccontextmanager
async def connection(port: int, client: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection from a client's own address."""
    local = (f"127.0.{1 + client // 250}.{1 + client % 250}", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=local)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str, body: bytes = b"") -> int:
    """Send a request; return the answer's status once all of it came."""
    writer.write(f"{head} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = re.search(r"content-length: (\d+)", answer, re.IGNORECASE)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(answer.split(" ", 2)[1])


async def client(number: int, port: int, photo: bytes, seen: Seen) -> None:
    """Post one picture after the other."""
    async with connection(port, number) as (reader, writer):
        while True:
            start = time.monotonic()
            status = await ask(reader, writer, "POST /v1/sharpen", photo)
            now = time.monotonic()
            seen.statuses[status] += 1
            if status == 200:
                seen.done[number] += 1
                seen.ends_s.append(now)
                seen.waits_s.append(now - start)
            else:
                await asyncio.sleep(0.5)


async def compare(pid: int, seen: Seen, is_held: asyncio.Lock) -> None:
    """Hold the server again and again, and run the engine alone."""
    engine = open_engine(find_model(DEFAULT_MODEL))
    batch = np.random.default_rng(0).random((1, 3, HEIGHT, WIDTH), dtype=np.float32)
    while True:
        await asyncio.sleep(BARE_EVERY_S)
        async with is_held:
            start = time.monotonic()
            processes = family(pid)
            for process in processes:
                os.kill(process, signal.SIGSTOP)
            try:
                await asyncio.to_thread(engine.run, batch)  # after a rest the first run takes longer
                warm = time.monotonic()
                await asyncio.to_thread(engine.run, batch)
                seen.bare_s.append(time.monotonic() - warm)
            finally:
                for process in processes:
                    os.kill(process, signal.SIGCONT)
            seen.held_s += time.monotonic() - start


async def watch(port: int, pid: int, seen: Seen, is_held: asyncio.Lock) -> None:
    """Ask for the server's health again and again, and look at its memory."""
    while True:
        async with is_held:
            start = time.monotonic()
            async with connection(port, 10_000) as (reader, writer):
                await ask(reader, writer, "GET /healthz")
                seen.health_s.append(time.monotonic() - start)
        seen.memory_mb.append((start, resident_mb(pid)))
        await asyncio.sleep(HEALTH_EVERY_S)


@contextmanager
def served(folder: Path, *options: str, model: str = DEFAULT_MODEL) -> Iterator[tuple[int, int]]:
    """Run `acutance serve`; give its port and process."""
    command = acutance("serve", "--port", "0", "--data", str(folder / "data"), "--model", model, *options)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = re.search(r":(\d+) \(", process.stderr.readline())
        assert found is not None, "it did not begin"
        yield int(found[1]), process.pid
    finally:
        process.terminate()
        process.communicate(timeout=60)


async def load(port: int, pid: int, photo: bytes, *, clients: int, seconds: float) -> tuple[Seen, float]:
    """Put the load on; return what was seen, and when it began. At the end all clients go away at once."""
    seen = Seen()
    start = time.monotonic()
    is_held = asyncio.Lock()
    tasks = [asyncio.create_task(watch(port, pid, seen, is_held)), asyncio.create_task(compare(pid, seen, is_held))]
    tasks += [asyncio.create_task(client(number, port, photo, seen)) for number in range(clients)]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):  # a server that closes a connection is no success
            raise ended
    return seen, start


def main() -> None:
    """Print what was seen beside what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--runs", type=int, default=1, help="pictures that the server works on at once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_photo(Path(folder) / "photo.jpg", height=HEIGHT, width=WIDTH, softness_px=SOFTNESS_PX)
        photo = (Path(folder) / "photo.jpg").read_bytes()
        with served(Path(folder), "--runs", str(given.runs)) as (port, pid):
            seen, start = asyncio.run(load(port, pid, photo, clients=given.clients, seconds=given.seconds))
    report(seen, start, given.seconds, given.clients)


def report(seen: Seen, start: float, seconds: float, clients: int) -> None:
    """Print the figures."""
    # From the first answer to the last: the first picture's time is also that of opening the network.
    first, last = min(seen.ends_s), max(seen.ends_s)
    rate = (len(seen.ends_s) - 1) * MEGAPIXELS / (last - first - seen.held_s)
    bare = MEGAPIXELS / statistics.mean(seen.bare_s)
    memory = [megabytes for at, megabytes in seen.memory_mb if start + WARM_UP_SHARE * seconds < at < start + seconds]
    middle = statistics.median(memory)
    health = np.percentile([1000 * wait for wait in seen.health_s], [50, 99])
    shares = [seen.done[number] for number in range(clients)]
    print(f"answers                 {dict(sorted(seen.statuses.items()))} (no 5xx)")
    print(f"throughput              {rate:.2f} MP/s, bare engine {bare:.2f}: {100 * rate / bare:.0f} % (at least 85)")
    seen_rate = rate * with_margin(Size(HEIGHT, WIDTH), CELL_PX).size.pixels / (HEIGHT * WIDTH)
    print(f"with pictures' margins  {seen_rate:.2f} MP/s through the network: {100 * seen_rate / bare:.0f} %")
    print(
        f"memory after warming up {middle:.0f} MB, {100 * (min(memory) / middle - 1):+.1f} … "
        f"{100 * (max(memory) / middle - 1):+.1f} % (within 10)"
    )
    print(f"pictures per client     {min(shares)} … {max(shares)} (fair)")
    print(f"time per picture        median {statistics.median(seen.waits_s):.1f} s")
    print(f"/healthz                median {health[0]:.1f} ms, 99th percentile {health[1]:.1f} ms (under 100)")


if __name__ == "__main__":
    main()
