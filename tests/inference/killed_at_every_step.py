"""A folder whose run is killed before every single thing that it does: `python killed_at_every_step.py FOLDER CASE`.

Not a test itself: it forks, which is safe only in a process without threads. In each round a child process sharpens
the same photos into a folder of its own and is killed (SIGKILL) before the n-th thing that it asks of the file system;
a second child resumes. n grows until the first child comes to its end. Prints, as JSON, how many rounds there were and
what was wrong.

Cases: `links`, a disk with hard links; `no links`, one without; `outdated`, results of other settings are in the way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path

from acutance.engines.fake import FakeEngine
from acutance.inference.files import sharpen_files
from acutance.inference.journal import RECORD_NAME, ResultKey
from acutance.inference.ledger import Ledger
from acutance.inference.sharpener import Sharpener
from acutance.media import fingerprint_of, plan_outputs

STEPS = {"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.scandir", "os.chmod"}
"""Audit events of what changes files, or comes between."""


def watch(*, kill_at, has_links):
    count = 0

    def hook(event, _):
        nonlocal count
        if event == "os.link" and not has_links:
            raise PermissionError(1, "no hard links")
        if event in STEPS:  # which the killing itself is not
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def sharpen(source, target, *, strength=1.0):
    key = ResultKey(model="fake", weights_sha256="", scale=1, strength=strength, fidelity=1.0, precision="auto")
    sharpener = Sharpener(engine=FakeEngine(lambda batch: 1.0 - batch))
    plan = plan_outputs([source], target)
    ledger = Ledger(key, resume=True)
    return all(result.status != "failed" for result in sharpen_files(sharpener, plan, strength=strength, ledger=ledger))


def in_a_process(source, target, *, case, kill_at=0):
    """Return the exit code, or minus the signal."""
    child = os.fork()
    if child == 0:
        try:
            watch(kill_at=kill_at, has_links=case != "no links")
            os._exit(0 if sharpen(source, target, strength=0.5 if case == "outdated" else 1.0) else 1)
        except BaseException:  # noqa: BLE001 - a child must not go on as its parent
            traceback.print_exc()
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def results_in(folder):
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("[!.]*") if path.is_file()}


def content_of(folder):
    return {name: fingerprint_of(path).sha256 for name, path in results_in(folder).items()}


def round_of(source, target, clean, *, case, kill_at):
    """Return how the first process ended, and what was wrong then."""
    if case == "outdated":
        in_a_process(source, target, case="links")
    before = content_of(target)
    code = in_a_process(source, target, case=case, kill_at=kill_at)
    wrong = []
    kept = {}
    for name, path in results_in(target).items():
        digest, state = fingerprint_of(path).sha256, path.stat()
        if digest == clean[name]:
            kept[name] = (state.st_ino, state.st_mtime_ns)
        elif digest != before.get(name) and not (case == "no links" and state.st_size == 0):
            wrong.append(f"{kill_at}: {name} is half written")
    if in_a_process(source, target, case=case) != 0:
        wrong.append(f"{kill_at}: not resumed")
    if content_of(target) != clean:
        wrong.append(f"{kill_at}: other results")
    for name, identity in kept.items():
        state = (target / name).stat()
        if (state.st_ino, state.st_mtime_ns) != identity:
            wrong.append(f"{kill_at}: {name} was made twice")
    hidden = sorted(path.name for path in target.rglob(".*"))
    if hidden != [RECORD_NAME] * 2:
        wrong.append(f"{kill_at}: {hidden} is left")
    return code, wrong


def main(folder, case):
    in_a_process(folder / "in", folder / "clean", case=case)
    clean = content_of(folder / "clean")
    rounds, wrong, code = 0, [], -signal.SIGKILL
    while code == -signal.SIGKILL:
        rounds += 1
        code, found = round_of(folder / "in", folder / str(rounds), clean, case=case, kill_at=rounds)
        wrong += found
    sys.stdout.write(json.dumps({"rounds": rounds, "wrong": wrong, "last": code, "results": len(clean)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
