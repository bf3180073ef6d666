"""Weights to begin with from an exported file: whoever has installed acutance can train its models on.

An ONNX file holds the numbers of a network, not its settings. So networks that may be meant are tried, the one that is
to be trained first, and the one is taken whose weights are exactly those of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from acutance.config.presets import preset_names, preset_path
from acutance.config.settings import from_values
from acutance.engines.model_file import Numbers, find_numbers
from acutance.errors import ConfigError, InputError
from acutance.networks.generators import Generator, GeneratorConfig
from acutance.training.config import preset_values
from acutance.zoo.catalogue import find_model, list_models


def shipped_file(start_from: Path) -> Path | None:
    """Return the ONNX file that a `start_from` names: a model that ships, or a path; None for a checkpoint."""
    if start_from.is_file():
        return start_from if start_from.suffix == ".onnx" else None
    names = [row.name for row in list_models()]
    if start_from.suffix == "" and len(start_from.parts) == 1 and str(start_from) in names:
        return find_model(str(start_from)).fidelity
    if start_from.suffix == "":
        raise InputError(
            f"start_from = {start_from}: no such checkpoint, nor a model that ships; there are {', '.join(names)}."
        )
    return None


def read_exported(path: Path, wanted: GeneratorConfig) -> Generator:
    """Read the generator whose weights an ONNX file holds, as float32 (they may be kept in 16 bits).

    Args:
        path: Written by `export_onnx`. Batch normalisation was folded then: such a file gives a network without.
        wanted: What is to be trained; if the file is of a smaller relative, that is returned.

    Raises:
        CorruptWeights: When the file is damaged.
        ConfigError: When it holds none of the networks that could be meant.
    """
    content = path.read_bytes()
    numbers = find_numbers(content)
    for config in _candidates(wanted):
        with torch.device("meta"):
            shape = Generator(config)
        if not _fits(shape, numbers):
            continue
        state = {name: _read(name, tensor, numbers, content, config) for name, tensor in shape.state_dict().items()}
        generator = Generator(config)
        generator.load_state_dict(state)
        return generator.eval()
    raise ConfigError(
        f"start_from = {path}: its weights are of another network than the settings ask for ({wanted}), and of none of "
        "the presets'; give the checkpoint (safetensors) that it was exported from."
    )


def _candidates(wanted: GeneratorConfig) -> Iterator[GeneratorConfig]:
    """Yield the networks that may be meant: the one wanted, what it may begin with, and those of the presets."""
    for scale, biases in product(dict.fromkeys((wanted.scale, 1)), dict.fromkeys((wanted.biases, True))):
        yield replace(wanted, scale=scale, biases=biases)
    for name in preset_names():
        values = preset_values(preset_path(name)).get("generator", {})
        assert isinstance(values, dict)
        yield from_values(GeneratorConfig, values, source=name)


def _file_name(name: str) -> str:
    """Return what a weight is called in a file: the slope of a PReLU is an attribute of its node."""
    layer, _, _ = name.rpartition(".")
    return f"{layer}.alpha" if "activation" in layer else name


def _fits(generator: Generator, numbers: dict[str, Numbers]) -> bool:
    """Return whether a file has all weights of a network, of their sizes, and no weight besides."""
    wanted = {_file_name(name): tensor.numel() for name, tensor in generator.state_dict().items()}
    found = {name: (one.end - one.start) // one.dtype.itemsize for name, one in numbers.items()}
    others = [name for name in found if name.endswith((".weight", ".bias")) and name not in wanted]
    return not others and all(found.get(name) == size for name, size in wanted.items())


def _read(name: str, like: Tensor, numbers: dict[str, Numbers], content: bytes, config: GeneratorConfig) -> Tensor:
    values = numbers[_file_name(name)].read(content).astype(np.float32)
    unshuffled = {"head.weight": config.unshuffle}.get(name, 2 if name.endswith(".down.weight") else 1)
    if unshuffled > 1:
        values = _unfolded(values, unshuffled, tuple(like.shape))
    return torch.from_numpy(values.reshape(tuple(like.shape)).copy())


def _unfolded(values: npt.NDArray[np.float32], factor: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Turn weights over pixels (o, c, k·u, k·u) back into weights over unshuffled cells (o, c·u·u, k, k)."""
    outputs, cells, side, _ = shape
    pixels = values.reshape(outputs, cells // factor**2, side, factor, side, factor)
    return pixels.transpose(0, 1, 3, 5, 2, 4).reshape(shape)
