"""Several processes that train as one: who draws what, who writes, and how they stay of one mind.

Every process runs the same loop on its share of the batch. What a decision depends on (a loss, the clock, a wish to
stop) is first made the same in all of them: a process that decided alone would leave the others waiting for ever. With
one process every function here gives back what it was given.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import distributed

from acutance.errors import AcutanceError, ConfigError, JobError
from acutance.training.config import TrainConfig

Result = TypeVar("Result")


def check_processes(config: TrainConfig, count: int) -> None:
    """Check that so many processes can train together what one would.

    Raises:
        ConfigError: When they cannot share the batch evenly, or a loss compares the patches of a batch.
    """
    if count == 1:
        return
    shares = count * config.gradient_accumulation
    if config.batch % shares:
        parts = f" in {config.gradient_accumulation} parts each" if shares > count else ""
        raise ConfigError(
            f"batch = {config.batch}: cannot be shared evenly by {count} processes{parts}; make it a multiple of "
            f"{shares}."
        )
    if config.objective.adversarial and config.objective.game.kind == "relativistic":
        raise ConfigError(
            f"objective.game.kind = 'relativistic': compares patches of the whole batch, of which each of {count} "
            "processes has a part; use another kind, or one process."
        )


def sync_stop(fabric: Fabric, elapsed_s: float, *, is_stopped: bool) -> tuple[float, bool]:
    """Return the time that all go by, which is the first process's, and whether any of them wants to stop."""
    if fabric.world_size == 1:
        return elapsed_s, is_stopped
    time_s = elapsed_s if fabric.is_global_zero else 0.0
    votes = torch.tensor([time_s, float(is_stopped)], dtype=torch.float64, device=fabric.device)
    distributed.all_reduce(votes)
    agreed_s, stops = votes.tolist()
    assert math.isfinite(agreed_s)
    return agreed_s, stops > 0


def on_first(fabric: Fabric, action: Callable[[], object]) -> None:
    """Do something in the first process alone, while the others wait.

    Raises:
        AcutanceError: In every process what the action raised in the first, so that all end together.
    """
    _alone(fabric, action, rank=0)


def in_turn(fabric: Fabric, action: Callable[[], Result]) -> Result:
    """Do something in every process, one after the other: the first finds the work, the others find it done.

    Raises:
        AcutanceError: In every process what the action raised in one of them.
    """
    results: list[Result] = []
    for rank in range(fabric.world_size):
        _alone(fabric, lambda: results.append(action()), rank=rank)
    return results[0]


def _alone(fabric: Fabric, action: Callable[[], object], *, rank: int) -> None:
    if fabric.world_size == 1:
        action()
        return
    error: AcutanceError | None = None
    if fabric.global_rank == rank:
        try:
            action()
        except AcutanceError as raised:
            error = raised
    error = fabric.broadcast(error, src=rank)
    if error is not None:
        raise error


def leave_together(fabric: Fabric) -> None:
    """End this process once all of them have come here, their files written; with one process, return.

    Libraries that talk between processes run threads until the last moment, and taking them down while another process
    does the same has aborted a process whose work was done ("terminate called without an active exception"). So
    nothing is taken down: the system does it.
    """
    if fabric.world_size == 1:
        return
    fabric.barrier()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def reporting_lost_process(fabric: Fabric) -> Iterator[None]:
    """Say in plain words that another process ended, where the libraries that talk to it name sockets.

    Raises:
        JobError: When another process can no longer be talked to.
    """
    try:
        yield
    except RuntimeError as error:
        is_lost = isinstance(error, distributed.DistError) or "gloo" in str(error)
        if fabric.world_size == 1 or not is_lost:
            raise
        raise JobError(
            f"process {fabric.global_rank} of {fabric.world_size}: another process of this run ended or is silent; see "
            "what it said, and go on with --resume."
        ) from error
