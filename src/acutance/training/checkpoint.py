"""Checkpoints of a run: everything that the next step depends on, in one safetensors file. No pickles.

Since every batch is a function of seed and step number, the state is: the weights of all networks, the optimiser's
moments, and a few numbers. Written beside the old file and renamed over it, so there is always a whole one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from acutance.errors import CorruptWeights, first_line
from acutance.media.atomic import write_atomically

GENERATOR_FILE = "generator.safetensors"
"""What lies beside the checkpoint of a run: its averaged weights, as they were at the same step."""

FORMAT = 1
"""Version of the layout; a newer one is refused."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    iteration: int = 0
    """Steps of G done."""
    elapsed_s: float = 0.0
    """Seconds of training so far, over all resumptions."""
    images_seen: int = 0
    """Patches trained on."""
    rate_factor: float = 1.0
    """What the learning rates are multiplied by: halved at every rollback."""
    best: float | None = None
    """How good the best weights so far are, by the measure that chooses them; None before the first validation."""
    best_by: str = ""
    """By which measure, and over which rows, that is; empty where it is not known."""
    ailing: tuple[str, ...] = ()
    """Names of what went badly at the last look, so that it is not said again."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a checkpoint holds besides progress."""

    networks: Mapping[str, nn.Module]
    """By name: `generator`, `average`, and `discriminator` where there is one."""
    optimizers: tuple[torch.optim.Optimizer, ...]
    """Of all networks, in a fixed order."""


def save_checkpoint(path: Path, trained: Trained, progress: Progress) -> None:
    """Write the state of a run; the file at `path` is whole at every moment."""
    tensors: dict[str, Tensor] = {}
    for name, network in trained.networks.items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for number, optimizer in enumerate(trained.optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{index}.{key}": value for key, value in moments.items()}
    metadata = {"format": str(FORMAT), "progress": json.dumps(asdict(progress))}
    content = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, metadata)
    write_atomically(path, [content], overwrite=True)


def load_checkpoint(path: Path, trained: Trained) -> Progress:
    """Put the state of a run back, strictly.

    Raises:
        CorruptWeights: When the file is damaged, of a newer format, or of another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        if metadata["format"] != str(FORMAT):
            raise CorruptWeights(f"{path}: has format {metadata['format']}, this acutance reads {FORMAT}.")
        for name, network in trained.networks.items():
            network.load_state_dict(_below(tensors, f"{name}."))
        for number, optimizer in enumerate(trained.optimizers):
            _load_moments(optimizer, _below(tensors, f"optimizer.{number}."))
        values = json.loads(metadata["progress"])
        return Progress(**{**values, "ailing": tuple(values.get("ailing", ()))})
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise CorruptWeights(
            f"{path}: is damaged or not a checkpoint of this run ({first_line(error)}); start a new run from its last "
            f"weights: --set start_from={path.with_name(GENERATOR_FILE)}."
        ) from error


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put an optimiser's moments back; the groups (rates) are the schedule's and are set at every step.

    Moments that are there keep their place in memory: a captured step knows no other.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        shape = parameters[int(index)].shape
        if value.ndim > 0 and value.shape != shape:  # numbers that count steps have none
            raise ValueError(f"holds a moment of shape {tuple(value.shape)} for weights of {tuple(shape)}")
        state.setdefault(int(index), {})[name] = value
    if state and len(state) != len(parameters):
        raise ValueError(f"holds moments of {len(state)} of {len(parameters)} parameters")
    known = {index: optimizer.state.get(parameter, {}) for index, parameter in enumerate(parameters)}
    if state and all(known[index].keys() == moments.keys() for index, moments in state.items()):
        for number, moments in state.items():
            for moment, value in moments.items():
                known[number][moment].copy_(value)
        return
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
