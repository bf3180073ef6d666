"""Changes the code in small ways, one at a time, and counts how many of the changes the tests notice (cosmic-ray).

    pip install cosmic-ray
    python scripts/mutants.py [--per-module 10] [--seed 0] [MODULE …]

Of each module of `TESTS` so many mutants are drawn evenly, and the tests beside it are run on each: those that fail
kill it. Survivors are listed with what was changed; whoever reads them says whether they change anything that a user
could notice. Run it in a copy of the repository: the files are changed in place, and changed back.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TESTS: Final = {
    "inference/changes.py": "tests/inference/test_changes.py",
    "inference/choosing.py": "tests/inference/test_automatic.py tests/inference/test_inspecting.py",
    "inference/feathering.py": "tests/inference/test_feathering.py",
    "inference/files.py": "tests/inference/test_files.py",
    "inference/grain.py": "tests/inference/test_grain.py",
    "inference/journal.py": "tests/inference/test_journal.py tests/inference/test_files.py",
    "inference/memory.py": "tests/inference/test_memory.py",
    "inference/photo_sharpener.py": "tests/inference/test_sharpener.py",
    "inference/ramps.py": "tests/inference/test_ramps.py",
    "inference/streaming.py": "tests/inference/test_streaming.py",
    "inference/told.py": "tests/inference/test_told.py",
    "inference/tiling.py": "tests/inference/test_tiling.py tests/inference/test_streaming.py",
    "media/atomic.py": "tests/media/test_atomic.py",
    "media/exif.py": "tests/media/test_exif.py",
    "media/ifd.py": "tests/media/test_ifd.py tests/media/test_exif.py",
    "media/part_file.py": "tests/media/test_part_file.py",
    "media/paths.py": "tests/media/test_paths.py",
    "media/patterns.py": "tests/media/test_patterns.py",
    "media/photo.py": "tests/media/test_photo.py",
    "media/reading.py": "tests/media/test_reading.py tests/media/test_pictures.py tests/media/test_broken_files.py",
    "media/writing.py": "tests/media/test_writing.py tests/media/test_round_trip.py",
    "training/step.py": "tests/training/test_step.py tests/training/test_plain_rounds.py tests/training/test_loop.py",
    "training/stepper.py": "tests/training/test_accumulation.py tests/training/test_plain_rounds.py",
}
"""Which tests judge a module of `src/acutance`."""

NO_MUTANT: Final = ("core/ReplaceBinaryOperator_BitOr_%", "core/NumberReplacer", "core/RemoveDecorator")
"""Changes that mostly mean nothing: `X | None` of an annotation, limits found by trial, `@cache` and `@overload`. Of
numbers a quarter is kept."""

TIMEOUT_S: Final = 300


def main() -> None:
    """Draw, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=list(TESTS), help="of the table in this file")
    parser.add_argument("--per-module", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    killed = survived = 0
    for module in options.modules:
        outcomes = _judged(module, options.per_module, options.seed)
        alive = [words for is_killed, words in outcomes if not is_killed]
        killed, survived = killed + len(outcomes) - len(alive), survived + len(alive)
        print(f"{module}: {len(outcomes) - len(alive)} of {len(outcomes)} killed", flush=True)
        for words in alive:
            print(words, flush=True)
    print(f"{killed} of {killed + survived} killed, {killed / max(killed + survived, 1):.0%}")


def _judged(module: str, count: int, seed: int) -> list[tuple[bool, str]]:
    """Return of each mutant whether a test noticed it, and what it changed."""
    with tempfile.TemporaryDirectory() as folder:
        config, session = Path(folder) / "cosmic-ray.toml", Path(folder) / "session.sqlite"
        tests = f"{sys.executable} -m pytest -n 0 -x -q --no-header -p no:cacheprovider {TESTS[module]}"
        config.write_text(
            f'[cosmic-ray]\nmodule-path = "{ROOT / "src/acutance" / module}"\ntimeout = {TIMEOUT_S}\n'
            f'excluded-modules = []\ntest-command = "{tests}"\n[cosmic-ray.distributor]\nname = "local"\n',
            encoding="utf-8",
        )
        _cosmic_ray("init", str(config), str(session))
        with closing(sqlite3.connect(session)) as database:
            _keep(database, count, random.Random(f"{module} {seed}"))
        _cosmic_ray("exec", str(config), str(session))
        with closing(sqlite3.connect(session)) as database:
            rows = database.execute("SELECT test_outcome, diff FROM work_results ORDER BY job_id").fetchall()
    return [(outcome.rpartition(".")[2].lower() == "killed", _changed(diff)) for outcome, diff in rows]


def _keep(database: sqlite3.Connection, count: int, drawn: random.Random) -> None:
    """Leave so many mutants in a session, drawn evenly."""
    jobs = []
    for job, operator in database.execute("SELECT job_id, operator_name FROM mutation_specs ORDER BY job_id"):
        means_little = any(
            operator.startswith(name[:-1]) if name.endswith("%") else operator == name for name in NO_MUTANT
        )
        if not means_little or (operator == "core/NumberReplacer" and drawn.random() < 0.25):
            jobs.append(job)
    kept = set(drawn.sample(jobs, min(count, len(jobs))))
    gone = [(job,) for (job,) in database.execute("SELECT job_id FROM work_items") if job not in kept]
    for table in ("mutation_specs", "work_items"):
        database.executemany(f"DELETE FROM {table} WHERE job_id = ?", gone)
    database.commit()


def _cosmic_ray(*arguments: str) -> None:
    subprocess.run(["cosmic-ray", *arguments], cwd=ROOT, check=True)


def _changed(diff: str) -> str:
    """Return the lines of a diff that changed."""
    lines = diff.splitlines()
    return "\n".join(f"    {line}" for line in lines if line[:1] in "+-@" and line[:3] not in ("+++", "---"))


if __name__ == "__main__":
    main()
