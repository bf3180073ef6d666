"""Not a speed: thousands of broken files of every format go through `acutance sharpen`, and each must end well.

Ends well: a whole result, or one sentence and no file at all; no traceback, and no more than ten seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from corpus import broken_versions, further_files, good_files
from timing import acutance

from acutance.errors import AcutanceError
from acutance.media import open_pictures

PER_KIND = 64
HANG_S = 10.0
RUN_LIMIT_S = 1800
MAX_PIXELS = "4000000"
"""A broken header may claim much; that is refused by its size, and not what is looked for here."""


def make_corpus(folder: Path, per_kind: int) -> int:
    """Write the broken files; return how many."""
    files = {**good_files(), **further_files()}
    for kind, (name, data) in enumerate(sorted(files.items())):
        stem, suffix = name.split(".")
        for number, broken in enumerate(broken_versions(data, per_kind, seed=kind)):
            (folder / f"{stem}-{number:04d}.{suffix}").write_bytes(broken)
    return len(files) * per_kind


def is_whole(path: Path) -> bool:
    """Say whether a result can be read to its end."""
    try:
        with open_pictures(path, max_bits=16) as pictures:
            return sum(1 for _ in pictures.photos()) == pictures.count
    except AcutanceError:
        return False


def main() -> None:
    """Make the corpus, run it, and print the counts; exit with 1 when one of them is not what it must be."""
    per_kind = int(sys.argv[1]) if len(sys.argv) > 1 else PER_KIND
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "in"), Path(place, "out")
        source.mkdir()
        count = make_corpus(source, per_kind)
        words = ("sharpen", str(source), "-o", str(target), "--json", "--no-record", "--max-pixels", MAX_PIXELS)
        run = subprocess.run(acutance(*words), capture_output=True, timeout=RUN_LIMIT_S, check=False)
        rows = [json.loads(line) for line in run.stdout.splitlines()]
        failed = [row for row in rows if row["status"] == "failed"]
        done = [row for row in rows if row["status"] == "done"]
        found = {
            "files not told of": count - len(rows),
            "tracebacks": run.stderr.count(b"Traceback") + sum("This is a bug" in row["error"] for row in failed),
            "hangs (> 10 s)": sum(row["seconds"] > HANG_S for row in rows),
            "outputs for failed files": sum(Path(row["target"]).exists() for row in failed),
            "other files left": sum(1 for path in target.rglob("*")) - len(done) if target.exists() else 0,
            "not one sentence": sum("\n" in row["error"] or not row["error"].endswith(".") for row in failed),
            "outputs that cannot be read": sum(not is_whole(Path(row["target"])) for row in done),
        }
        print(f"{count} broken files of {count // per_kind} kinds: {len(failed)} refused, {len(done)} still readable")
        for what, number in found.items():
            print(f"{what:30} {number}")
        print(f"slowest file                   {max(row['seconds'] for row in rows):.2f} s")
        for row in failed:
            if "This is a bug" in row["error"]:
                print(row["error"])
        for suffix, number in sorted(Counter(Path(row["source"]).suffix for row in failed).items()):
            print(f"refused {suffix:22} {number}")
        print(f"exit code                      {run.returncode}")
    if any(found.values()) or run.returncode != 1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
