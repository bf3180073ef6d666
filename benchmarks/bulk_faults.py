"""A bulk run that is shot at: `python benchmarks/bulk_faults.py [PICTURES [KILLS [DRIVER_KILLS]]]`.

Three raylets on this machine, a real S3 server over HTTP on loopback (moto, from its own package: `pip install
'moto[server]'`), small pictures, and `acutance bulk` as users start it. While it runs, a raylet and a worker are killed
(SIGKILL) so often each, and the driver, which goes on with `--resume`. In the end every result must be there once and
be that of an undisturbed worker, every input must have its row in the ledger, no half object may be left, and no more
may have been made twice than was in work when something was killed. Exit code 1 when it is not so.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

os.environ.update(
    AWS_ACCESS_KEY_ID="bench",
    AWS_SECRET_ACCESS_KEY="bench",
    AWS_DEFAULT_REGION="us-east-1",
    RAY_USAGE_STATS_ENABLED="0",
)
PORT = 5123
os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{PORT}"

from PIL import Image  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from acutance.bulk.items import BUNDLE  # noqa: E402
from acutance.bulk.job import CALLS  # noqa: E402
from acutance.bulk.ledger import LEDGER, Ledger  # noqa: E402
from acutance.bulk.stores import Store  # noqa: E402

PICTURES, KILLS, DRIVER_KILLS = 20_000, 5, 2
KINDS = 100
"""Contents that differ, so that a result under another's name is seen."""
BATCH = 1000
PER_SHOT = 2000
"""For each so many pictures the pauses between kills are as long again, so that they fall all over the run."""
SOURCE, TARGET = "s3://photos/in", "s3://photos/out"
PROGRAM = [
    sys.executable,
    "-c",
    "from acutance.cli.main import run; run()",
    "bulk",
    SOURCE,
    TARGET,
    "--cpus",
    "1",
    "--model",
    "fast",
]


@contextmanager
def s3_server() -> Iterator[Store]:
    """Run an S3 server with one bucket."""
    server = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(PORT)]
    with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(300):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT)):
                    break
                time.sleep(0.2)
            store = Store(SOURCE)
            store.system.mkdir("photos")
            enabled = {"Status": "Enabled"}
            store.system.call_s3("put_bucket_versioning", Bucket="photos", VersioningConfiguration=enabled)
            yield store
        finally:
            process.kill()


def key_of(number: int) -> str:
    """Return the name of a picture, and of its result."""
    return f"{number % KINDS:02d}/{number:06d}.png"


def fill(store: Store, count: int) -> list[bytes]:
    """Put so many pictures into the bucket, of `KINDS` contents; return these."""
    contents = list[bytes]()
    for kind in range(KINDS):
        pixels = np.random.default_rng(kind).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        contents.append(content.getvalue())
    for first in range(0, count, BATCH):
        numbers = range(first, min(count, first + BATCH))
        store.system.pipe({store.path_of(key_of(number)): contents[number % KINDS] for number in numbers})
    return contents


def expected(contents: list[bytes]) -> list[str]:
    """Return the MD5 of what `acutance sharpen` makes of each on one thread: the ETag of an object put in one piece."""
    from acutance import Sharpener

    with Sharpener("fast", threads=1) as sharpener:
        return [hashlib.md5(sharpener(content)).hexdigest() for content in contents]


def puts(target: Store) -> Counter[str]:
    """Return how often each result was put: the bucket keeps all versions."""
    bucket, _, prefix = target.root.partition("/")
    request, found = {"Bucket": bucket, "Prefix": f"{prefix}/"}, Counter[str]()
    while True:
        answer = target.system.call_s3("list_object_versions", **request)
        found.update(target.key_of(f"{bucket}/{entry['Key']}") for entry in answer.get("Versions", ()))
        if not answer.get("IsTruncated"):
            return found
        request |= {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer["NextVersionIdMarker"]}


def workers() -> list[int]:
    """Return the processes of this run's actors that have the model; a cluster of somebody else's is left alone."""
    found = subprocess.run(["pgrep", "-f", "ray::MapWorker"], capture_output=True, text=True, check=False)
    mine = list[int]()
    for number in map(int, found.stdout.split()):
        with contextlib.suppress(OSError):
            if f"127.0.0.1:{PORT}".encode() in Path(f"/proc/{number}/environ").read_bytes():
                mine.append(number)
    return mine


def shoot(cluster: Cluster, wanted: list[str], *, cores: int, pace: float, log: Path) -> tuple[int, Counter[str]]:
    """Run until all is done, killing what is wanted meanwhile; return the last exit code and what was killed."""
    chance, done, begun = random.Random(1), Counter[str](), time.monotonic()
    nodes = [cluster.add_node(num_cpus=cores) for _ in range(2)]
    address, code, resume = cluster.address, -1, []
    while True:
        with (
            log.open("ab") as file,
            subprocess.Popen([*PROGRAM, "--address", address, *resume], stdout=file, stderr=file) as driver,
        ):
            resume = ["--resume"]
            while driver.poll() is None:
                pause = time.monotonic() + pace * chance.uniform(4.0, 9.0)
                while driver.poll() is None and time.monotonic() < pause:
                    time.sleep(0.2)
                if not wanted or not workers() or driver.poll() is not None:
                    continue
                what = wanted.pop()
                done[what] += 1
                print(f"{time.monotonic() - begun:.0f} s: killed: {what}", flush=True)
                if what == "driver":
                    driver.kill()
                elif what == "worker":
                    os.kill(chance.choice(workers()), signal.SIGKILL)
                else:
                    cluster.remove_node(nodes.pop(0), allow_graceful=False)
                    nodes.append(cluster.add_node(num_cpus=cores))
            code = driver.returncode
        if code != -signal.SIGKILL:
            return code, done


def main() -> int:
    """Run, and look at what came out."""
    pictures, kills, driver_kills = [*map(int, sys.argv[1:]), *(PICTURES, KILLS, DRIVER_KILLS)[len(sys.argv) - 1 :]]
    with s3_server() as store, tempfile.TemporaryDirectory() as folder:
        contents = fill(store, pictures)
        log = Path(folder) / "log"
        cores = max(1, (os.cpu_count() or 1) // 2)
        shots = ["raylet", "worker"] * kills + ["driver"] * driver_kills
        random.Random(0).shuffle(shots)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        begun = time.monotonic()
        try:
            code, killed = shoot(cluster, shots, cores=cores, pace=max(1.0, pictures / PER_SHOT / 2), log=log)
        finally:
            cluster.shutdown()
        seconds = time.monotonic() - begun
        target = Store(TARGET)
        listed = list(target.listed())
        results = {target.key_of(entry.path): entry.version for entry in listed}
        results = {key: version for key, version in results.items() if not key.startswith(LEDGER)}
        wanted = {key_of(number) for number in range(pictures)}
        made, right = puts(target), expected(contents)
        wrong = [key for key, version in results.items() if version != right[int(key[:2])]]
        rows = Counter(row["key"] for table in Ledger(target).rows(["key"]) for row in table.to_pylist())
        statuses = Counter(row["status"] for table in Ledger(target).rows(["status"]) for row in table.to_pylist())
        print(log.read_text(errors="replace")[-2000:])
    repeated = sum(made[key] for key in results) - len(results)
    in_work = BUNDLE * CALLS * (killed["worker"] + cores * killed["raylet"] + 2 * cores * killed["driver"])
    print(
        f"{pictures} pictures, killed {dict(killed)}, {seconds:.0f} s, exit code {code}: {len(results)} results, "
        f"{len(wanted - results.keys())} missing, {len(results.keys() - wanted)} that nobody asked for, {len(wrong)} "
        f"wrong, {sum(rows.values())} rows for {len(rows)} inputs, {len(wanted - rows.keys())} without a row, "
        f"{repeated} made twice (in work: at most {in_work}), {dict(statuses)}"
    )
    is_right = results.keys() == wanted == rows.keys() and not wrong and code == 0 and set(statuses) == {"done"}
    is_hit = killed == Counter(raylet=kills, worker=kills, driver=driver_kills)
    return 0 if is_right and is_hit and repeated <= in_work else 1


if __name__ == "__main__":
    raise SystemExit(main())
