"""A run that is killed again and again: `python killed_often.py FOLDER KILLS`; a test starts this.

Not a test itself: it forks, which is safe only in a process that has computed nothing yet. Every child goes on with the
run in FOLDER/run as `acutance train --resume` would; it is killed (SIGKILL) at a random moment, and the next one goes
on. The last is left to end. Prints, as JSON, at which step each was killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from acutance.data.photo_store import open_store
from acutance.training.config import load_config
from acutance.training.device import open_fabric
from acutance.training.loop import train
from acutance.training.run_folder import CONFIG_FILE

SETTINGS = (
    "generator.width=4",
    "generator.num_blocks=1",
    "objective.adversarial=0.01",
    "adversary.discriminator.width=2",
    "adversary.discriminator.hidden=8",
    "batch=2",
    "patch_px=16",
    "schedule.iterations=40",
    "watch.save_every=2",
    "watch.log_every=1",
    "watch.validate_every=10",
    "watch.crop_px=32",
    "watch.held_out=1",
    "watch.rows=['gauss-1.6']",
)


def go_on(folder, run, report):
    store = open_store(folder / "photos", folder / "store")
    config, resume = load_config("smoke", SETTINGS), (run / CONFIG_FILE).exists()
    train(config, store, run, fabric=open_fabric("cpu"), resume=resume, on_tick=lambda _: os.write(report, b"."))


def in_a_process(folder, run, *, steps=None, delay_s=0.0):
    """Return how the process ended: its exit code, or minus the signal that killed it, so many steps and seconds on."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        go_on(folder, run, write)
        os._exit(0)
    os.close(write)
    if steps is not None:
        for _ in range(steps):
            os.read(read, 1)
        time.sleep(delay_s)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(read)
    return code


def main(folder, kills):
    codes = [in_a_process(folder, folder / "whole")]
    chance = random.Random(0)
    for _ in range(kills):
        # The delay is that of one to two steps, their files included: while the start, a step, or a file is going on.
        codes.append(in_a_process(folder, folder / "run", steps=chance.randrange(7), delay_s=chance.uniform(0.0, 0.04)))
    codes.append(in_a_process(folder, folder / "run"))
    sys.stdout.write(json.dumps(codes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
