"""A folder that is killed again and again: `python benchmarks/killed_folder.py [PICTURES [KILLS [SEED]]]`.

Small generated pictures are sharpened by the program itself, which is killed (SIGKILL) at random moments and each time
gone on with by `--resume`; beside it, once without being killed. Every result must be that of the undisturbed run, bit
for bit, and what was there after a kill must be the same file, untouched, at the end. Exit code 1 when it is not so.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from timing import acutance

PICTURES, KILLS = 200, 10
JOBS = 2
SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".bmp")
RECORD = ".acutance.jsonl"

Identity = tuple[int, int]
"""Inode and time of a file: another when it is made again."""


def make_pictures(folder: Path, count: int) -> None:
    """Make pictures of five formats and various sizes, in five folders."""
    for number in range(count):
        drawn = np.random.default_rng(number)
        path = folder / f"day {number % 5}" / f"{number:03d}{SUFFIXES[number // 5 % len(SUFFIXES)]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = drawn.integers(40, 160, 2)
        coarse = drawn.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((int(width), int(height)), Image.Resampling.BICUBIC).save(path)


def results_in(folder: Path) -> dict[str, Path]:
    """Return what has its final name, by its path below a folder."""
    return {str(path.relative_to(folder)): path for path in folder.rglob("[!.]*") if path.is_file()}


def identities(folder: Path) -> dict[str, Identity]:
    """Return which files they are."""
    states = {name: path.stat() for name, path in results_in(folder).items()}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in states.items()}


def kill_at_random(command: list[str], target: Path, *, goal: int, chance: random.Random) -> bool:
    """Run a command until so many results are there and a moment longer; return whether it was still running then."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        if len(results_in(target)) >= goal:
            time.sleep(chance.uniform(0.0, 1.0))  # while it starts, or looks up what is finished
        while process.poll() is None and len(results_in(target)) < goal:
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 0.01))
        process.kill()
        return process.wait() == -signal.SIGKILL


def complaints(clean: Path, target: Path, seen: dict[str, Identity]) -> Iterator[str]:
    """Say what is wrong with the results that are there."""
    expected, now = results_in(clean), identities(target)
    for name, path in results_in(target).items():
        if path.read_bytes() != expected[name].read_bytes():
            yield f"{name} is not the result of an undisturbed run"
    for name, identity in seen.items():
        if now.get(name) != identity:
            yield f"{name} was made twice"


def lines_in(folder: Path) -> list[str]:
    """Return the results that the records of a folder speak of; a line that was torn speaks of none."""
    names = []
    for record in folder.rglob(RECORD):
        for line in record.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                names.append(f"{record.parent.name}/{json.loads(line)['target']}")
    return names


def main(pictures: int = PICTURES, kills: int = KILLS, seed: int = 0) -> int:
    """Print one line; return the exit code."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        source, clean, target = (Path(place) / name for name in ("in", "clean", "out"))
        make_pictures(source, pictures)
        subprocess.run(acutance("sharpen", str(source), "-o", str(clean)), check=True, capture_output=True)
        command = acutance("sharpen", str(source), "-o", str(target), "--resume", "--jobs", str(JOBS))
        wrong: list[str] = []
        seen: dict[str, Identity] = {}
        hits: list[int] = []
        for goal in sorted(chance.randrange(pictures * 4 // 5) for _ in range(kills)):
            if kill_at_random(command, target, goal=goal, chance=chance):
                hits.append(len(results_in(target)))
            wrong += complaints(clean, target, seen)
            seen |= identities(target)
        last = subprocess.run(command, check=False, capture_output=True)
        wrong += complaints(clean, target, seen)
        wrong += [last.stderr.decode()] if last.returncode else []
        wrong += [f"{name} is missing" for name in results_in(clean).keys() - results_in(target).keys()]
        wrong += [f"{path} is left over" for path in target.rglob("*.part")]
        unfinished = len(lines_in(target)) - len(set(lines_in(target)))
        if unfinished > JOBS * kills:
            wrong.append(f"{unfinished} results have a second line in the record")
    verdict = "; ".join(wrong) or "every result right, none made twice, nothing left over"
    print(
        f"{pictures} pictures, {JOBS} jobs, killed {len(hits)} times (with {', '.join(map(str, hits))} finished): "
        f"{verdict}; {unfinished} lines of results that had not got their name"
    )
    return 1 if wrong or not hits else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
