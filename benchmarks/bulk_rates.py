"""What `acutance bulk` costs beside one process: `python benchmarks/bulk_rates.py [rate] [shards] [resume] [memory]`.

- `rate`: photos of 256×256 by a worker on each core, beside plain processes with one thread each, one on each core at
  once, and one alone; in turn, medians: at least 92 % of the plain ones.
- `shards`: tar files of 10 000 tiny pictures beside loose local files: at least 90 %.
- `resume`: `acutance bulk --resume` where 1 000 pictures are done (a folder, a manifest, and S3 where `moto[server]`
  is): under 10 s.
- `memory`: the driver's memory with 10 000 and 1 000 000 names, within 10 %. All of it is real but the store's listing
  and the workers, which enter each input into the ledger and make nothing.

Rates are those from when the first worker begins until the last ends. A machine where others work, too, gives each
process what it likes: so the CPU seconds of a picture are compared as well, those of the whole tree of processes
(driver, Ray, workers). Exit code 1 when something does not hold.
"""

from __future__ import annotations

import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

# Ray lets its workers stand back where others work, by 15; the one process that they are compared with does not.
os.environ.setdefault("RAY_worker_niceness", "0")

import numpy as np
import pyarrow as pa
from PIL import Image, ImageFilter

from acutance import Sharpener
from acutance.bulk import job
from acutance.bulk.items import Item, Manifest, bundles, items_in, items_of
from acutance.bulk.job import BulkSettings, cluster, run
from acutance.bulk.ledger import Done, Entry, Ledger
from acutance.bulk.stores import Listed, Store
from acutance.bulk.work import Worker
from acutance.cli.main import app
from acutance.media.patterns import PathFilter

MODEL: Final = "fast"
CORES: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""That this may use: taskset keeps the others free."""
PHOTOS, ALONE, SIDE, ROUNDS = 768, 192, 256, 3
SHARD, TINY, LOOSE = 10_000, 32, 4000
SAMPLED_S: Final = 2.0
NAMES: Final = "memory://names"
COUNTS: Final = (10_000, 1_000_000)
PROGRAM: Final = [sys.executable, "-c", "from acutance.cli.main import run; run()", "bulk"]


def photo(seed: int, side: int) -> Image.Image:
    """Draw soft noise, which codes about as a photo does."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1.5))


def tree_cpu_s() -> float:
    """Return the CPU seconds of this process and all below it, those that have ended included."""
    parents, spent = dict[int, int](), dict[int, float]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[number] = int(rest[1])
        spent[number] = sum(map(int, rest[11:15])) / os.sysconf("SC_CLK_TCK")
    mine, total = {os.getpid()}, 0.0
    while found := {number for number, parent in parents.items() if parent in mine and number not in mine}:
        mine |= found
    for number in mine:
        total += spent.get(number, 0.0)
    return total


def sharpened(source: Path, target: Path, number: int, count: int) -> tuple[float, float]:
    """Sharpen one of so many shares of a folder in this process, on one thread; return photos a second, CPU s of each.

    It waits until the others have opened their models, too.
    """
    with Sharpener(MODEL, threads=1) as sharpener:
        paths = sorted(source.iterdir())[:ALONE][number::count]
        sharpener(paths[0].read_bytes())
        print("ready", flush=True)
        input()
        begun, cpu_s = time.perf_counter(), time.process_time()
        for path in paths:
            sharpener(path, output=target / path.name)
        return len(paths) / (time.perf_counter() - begun), (time.process_time() - cpu_s) / len(paths)


def plain(source: Path, target: Path, count: int) -> tuple[float, float]:
    """Run so many plain processes at once; return photos a second of all, and CPU seconds of each photo."""
    command = [sys.executable, __file__, "--share", str(source), str(target)]
    processes = [
        subprocess.Popen([*command, str(number), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    told = list[tuple[float, float]]()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        rate_, cpu_s = process.communicate()[0].split()
        told.append((float(rate_), float(cpu_s)))
    return sum(one for one, _ in told), statistics.mean(one for _, one in told)


@dataclass(frozen=True)
class Made:
    """What a run over a folder came to, from when the first worker began until the last ended."""

    entries: list[Entry]
    seconds: float
    cpu_s: float
    """Of the driver, Ray and the workers."""

    @property
    def pictures(self) -> int:
        """Return how many were made."""
        return sum(entry.pictures for entry in self.entries)

    @property
    def rate(self) -> float:
        """Return pictures a second."""
        return self.pictures / self.seconds


def on_ray(source: Path, target: Path) -> Made:
    """Run over a folder with a worker on each core."""
    settings = BulkSettings(model=MODEL, workers=CORES)
    with settings.opened() as sharpener:
        key = settings.key(sharpener)
    from_, to = Store(str(source)), Store(str(target))
    items = items_of(from_, strength=1.0, wanted=PathFilter.of())
    samples, is_over = list[tuple[float, float]](), threading.Event()

    def sample() -> None:
        while not is_over.wait(SAMPLED_S):
            samples.append((time.time(), tree_cpu_s()))

    with cluster(None, cpus=CORES):
        watcher = threading.Thread(target=sample)
        watcher.start()
        entries = list(run(items, settings, from_, to, done=Done(), key=key))
        is_over.set()
        watcher.join()
    ends = [(target / entry.target).stat().st_mtime for entry in entries]
    begin = min(end - entry.seconds for end, entry in zip(ends, entries, strict=True))
    (first, before), *_, (last, after) = [one for one in samples if begin <= one[0] <= max(ends)]
    seconds = max(ends) - begin
    return Made(entries, seconds, (after - before) / (last - first) * seconds)


def rate(folder: Path) -> bool:
    """Compare one process and Ray, in turn."""
    source = folder / "photos"
    source.mkdir()
    for number in range(PHOTOS):
        photo(number, SIDE).save(source / f"{number:04d}.jpg", quality=90)
    alone, each, made = list[tuple[float, float]](), list[tuple[float, float]](), list[Made]()
    for number in range(ROUNDS):
        alone.append(plain(source, folder / f"alone{number}", 1))
        each.append(plain(source, folder / f"each{number}", CORES))
        made.append(on_ray(source, folder / f"together{number}"))
        print(
            f"  photos a second: {alone[-1][0]:.2f} by one plain process; on each core {each[-1][0] / CORES:.2f} by "
            f"plain processes, {made[-1].rate / CORES:.2f} on Ray",
            flush=True,
        )
    of_one = statistics.median(many.rate / CORES / one[0] for one, many in zip(alone, made, strict=True))
    wall = statistics.median(many.rate / one[0] for one, many in zip(each, made, strict=True))
    cpu = statistics.median(one[1] * many.pictures / many.cpu_s for one, many in zip(each, made, strict=True))
    print(
        f"rate: {100 * wall:.1f} % of plain processes on all {CORES} cores, {100 * of_one:.1f} % of one alone on each; "
        f"CPU seconds of a photo: {100 / cpu:.1f} % of a plain process's"
    )
    return wall >= 0.92


def shards(folder: Path) -> bool:
    """Compare tar files, one for each core, and loose files."""
    tars, loose = folder / "tars", folder / "loose"
    tars.mkdir()
    loose.mkdir()
    contents = list[bytes]()
    for number in range(100):
        content = io.BytesIO()
        photo(number, TINY).save(content, "PNG")
        contents.append(content.getvalue())
    for shard in range(CORES):
        with tarfile.open(tars / f"{shard}.tar", "w") as tar:
            for number in range(SHARD):
                member = tarfile.TarInfo(f"{number:06d}.png")
                member.size = len(contents[number % 100])
                tar.addfile(member, io.BytesIO(contents[number % 100]))
    for number in range(LOOSE):
        (loose / f"{number:06d}.png").write_bytes(contents[number % 100])
    from_tars, from_loose = on_ray(tars, folder / "tars.out"), on_ray(loose, folder / "loose.out")
    share = from_tars.rate / from_loose.rate
    cpu_share = from_loose.cpu_s / from_loose.pictures / (from_tars.cpu_s / from_tars.pictures)
    print(
        f"shards: {CORES} of {SHARD} pictures, {from_tars.rate:.1f} a second; loose files {from_loose.rate:.1f}: "
        f"{100 * share:.1f} %; CPU seconds of a picture: {100 / cpu_share:.1f} % of a loose file's"
    )
    assert all(entry.pictures == SHARD and not entry.reason for entry in from_tars.entries)
    return share >= 0.9


def resume(folder: Path) -> bool:
    """Time a run that finds all done."""
    source = folder / "small"
    source.mkdir()
    for number in range(1000):
        photo(number, TINY).save(source / f"{number:04d}.png")
    (folder / "small.txt").write_text("".join(f"small/{path.name}\n" for path in source.iterdir()))
    is_right = True
    for name, from_ in (("folder", source), ("manifest", folder / "small.txt")):
        is_right &= _resumed(name, str(from_), str(folder / f"{name}.out"))
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        print("resume: S3 is left out; it needs moto[server]")
        return is_right
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
        AWS_ACCESS_KEY_ID="bench",
        AWS_SECRET_ACCESS_KEY="bench",
        AWS_DEFAULT_REGION="us-east-1",
    )
    store = Store("s3://photos/in")
    store.system.mkdir("photos")
    store.system.pipe({store.path_of(path.name): path.read_bytes() for path in source.iterdir()})
    is_right &= _resumed("S3", store.address, "s3://photos/out")
    server.stop()
    return is_right


def _resumed(name: str, source: str, target: str) -> bool:
    """Make all, and time the second run; the first is here, without Ray, which the ledger does not tell."""
    settings = BulkSettings(model=MODEL)
    if source.endswith(".txt"):
        from_ = Store(source.rpartition("/")[0])
        items: Iterator[Item] = Manifest(Store(source), from_, strength=1.0).items()
    else:
        from_ = Store(source)
        items = items_of(from_, strength=1.0, wanted=PathFilter.of())
    with settings.opened() as sharpener:
        worker = Worker(sharpener, from_, Store(target), settings=settings.key(sharpener))
        made = [entry for bundle in bundles(items) for entry in worker.work(bundle)]
    assert len(made) == 1000
    assert all(entry.status == "done" for entry in made)
    times = list[float]()
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        command = [*PROGRAM, source, target, "--model", MODEL, "--resume"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        times.append(time.perf_counter() - begun)
        assert "nothing to do" in told, told
    print(f"resume: {name}: {statistics.median(times):.1f} s to “nothing to do” on 1 000 pictures that are done")
    return statistics.median(times) < 10


class _Stub:
    """In place of the actor that has the model: says of each input that it is done, and enters it into the ledger."""

    def __init__(self, settings: object, source: Store, target: Store, key: str, attempts: object) -> None:
        self._ledger, self._key = Ledger(target), key

    def __call__(self, bundle: pa.Table) -> pa.Table:
        items = items_in(bundle)
        entries = [
            Entry(key=item.key, path=item.path, version=item.version, settings=self._key, status="done")
            for item in items
        ]
        self._ledger.append(entries, [item.strength for item in items])
        return pa.table({"entry": [json.dumps(asdict(entry)) for entry in entries]})


def memory(folder: Path) -> bool:
    """Compare the driver's memory with few names and many: each in a process of its own."""
    found = list[int]()
    for count in COUNTS:
        begun = time.perf_counter()
        peak = folder / "peak"
        subprocess.run([sys.executable, __file__, "--memory-of", str(count), str(peak)], check=True)
        found.append(int(peak.read_text()))
        print(f"  {count} names: {found[-1] / 1e6:.1f} MB at most, {time.perf_counter() - begun:.0f} s", flush=True)
    change = found[1] / found[0] - 1
    print(f"memory: {100 * change:+.1f} % from {COUNTS[0]} to {COUNTS[1]} names")
    return abs(change) <= 0.1


def memory_of(count: int, told: Path) -> None:
    """Be `acutance bulk` over so many names, with a store that only lists and workers that only tell."""
    listed = Store.listed

    def names(self: Store, below: str = "") -> Iterator[Listed]:
        if self.address != NAMES:
            yield from listed(self, below)
            return
        for number in range(count):
            yield Listed(f"/names/{number % 1000:03d}/{number:09d}.jpg", 300_000, f"{number:032x}")

    Store.listed = names  # type: ignore[method-assign]
    job._Actor = _Stub  # type: ignore[assignment, misc]
    peak = [0]

    def watch() -> None:
        while True:
            text = Path("/proc/self/status").read_text()
            # Of its own: what it shares with Ray's object store is bounded by that.
            peak[0] = max(peak[0], 1024 * int(text.partition("RssAnon:")[2].split()[0]))
            time.sleep(0.1)

    threading.Thread(target=watch, daemon=True).start()
    shm = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        app(["bulk", NAMES, folder, "--model", MODEL, "--workers", str(CORES)], standalone_mode=False)
        told.write_text(str(peak[0]))  # before the ledger is read, which a run does for --resume alone
        assert len(Ledger(Store(folder)).done(_key())) == count


def _key() -> str:
    settings = BulkSettings(model=MODEL)
    with settings.opened() as sharpener:
        return settings.key(sharpener)


def main() -> int:
    """Measure what is asked for, or all."""
    if sys.argv[1:2] == ["--share"]:
        print(*sharpened(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
        return 0
    if sys.argv[1:2] == ["--memory-of"]:
        memory_of(int(sys.argv[2]), Path(sys.argv[3]))
        return 0
    parts = {"rate": rate, "shards": shards, "resume": resume, "memory": memory}
    holds = True
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as folder:
            holds &= parts[name](Path(folder))
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
