"""Weights to begin with from an exported file: whoever has installed acutance can train its models on.

An ONNX file holds the numbers of a network, not its settings. Most of these are told by the names and counts of the
numbers and by the spec; the others are tried, those of the network that is to be trained first, and the one is taken
whose weights are exactly those of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from math import isclose, isqrt
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acutance.engines.model_file import Numbers, find_numbers, read_spec
from acutance.errors import ConfigError, InputError
from acutance.networks.blocks import KERNEL_PX, LEAKY_SLOPE, BlockKind
from acutance.networks.generators import CHANNELS, NORMALISED, CoarserScale, Generator, GeneratorConfig
from acutance.spec import ModelSpec
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
        wanted: What is to be trained; if the file is of another network, that is returned.

    Raises:
        CorruptWeights: When the file is damaged.
        ConfigError: When it holds none of this project's networks.
    """
    content = path.read_bytes()
    numbers = find_numbers(content)
    for config in _candidates(numbers, read_spec(content, name=str(path)), wanted):
        with torch.device("meta"):
            shape = Generator(config)
        if not _fits(shape, numbers, content):
            continue
        state = {name: _read(name, tensor, numbers, content, config) for name, tensor in shape.state_dict().items()}
        generator = Generator(config)
        generator.load_state_dict(state)
        return generator.eval()
    raise ConfigError(
        f"start_from = {path}: its weights are of none of this project's networks; give the checkpoint (safetensors) "
        "that it was exported from."
    )


def _candidates(numbers: dict[str, Numbers], spec: ModelSpec, wanted: GeneratorConfig) -> Iterator[GeneratorConfig]:
    """Yield the networks whose numbers a file may hold, those most like the one wanted first.

    What the numbers do not tell (the kind of block where names are alike, skips) is taken from that one.
    """
    counts = _counts(numbers)
    head, body, tail = (counts.get(f"{name}.weight", 0) for name in ("head", "body_conv", "tail"))
    width = isqrt(body // KERNEL_PX**2)
    if not (head and width and tail):
        return
    scales = list(_scales(counts, "", width))
    unshuffle = spec.size_multiple >> (len(scales) - 1)
    if unshuffle not in (1, 2, 4) or spec.scale not in (1, 2):  # more than types tell below
        return
    head_kernel = isqrt(head // (CHANNELS * (1 + spec.guides) * width)) // unshuffle  # over pixels, as it is exported
    tail_kernel = isqrt(tail // (CHANNELS * width)) // (unshuffle * spec.scale)
    if head_kernel % 2 == 0 or tail_kernel % 2 == 0:
        return
    has_biases = "head.bias" in counts
    for block, activation in product(
        dict.fromkeys((wanted.block, *get_args(BlockKind))),
        dict.fromkeys((wanted.activation, "relu", "leaky-relu", "prelu")),  # the last has any slopes
    ):
        if block in NORMALISED and not has_biases:
            continue
        yield replace(
            wanted,
            width=width,
            num_blocks=scales[0].num_blocks,
            coarser=tuple(scales[1:]),
            block=block,
            activation=activation,
            head_kernel=head_kernel,
            tail_kernel=tail_kernel,
            unshuffle=unshuffle,  # type: ignore[arg-type]
            scale=spec.scale,  # type: ignore[arg-type]
            biases=has_biases,
            guides=spec.guides,
        )


def _counts(numbers: dict[str, Numbers]) -> dict[str, int]:
    """Return how many numbers there are of each name."""
    return {name: (one.end - one.start) // one.dtype.itemsize for name, one in numbers.items()}


def _scales(counts: Mapping[str, int], place: str, width: int) -> Iterator[CoarserScale]:
    """Yield a scale of the body, of which the width is known, and those nested in it."""
    name_of_block = re.compile(re.escape(place) + r"blocks\.(\d+)\.(conv1|down)\.weight")
    layers = [match for name in counts if (match := name_of_block.fullmatch(name))]
    nested = [match for match in layers if match[2] == "down"]
    yield CoarserScale(width=width, num_blocks=len(layers) - len(nested))
    for match in nested:
        yield from _scales(counts, f"{place}blocks.{match[1]}.", counts[match[0]] // (4 * width))


def _file_name(name: str) -> str:
    """Return what a weight is called in a file: the slope of a PReLU is an attribute of its node."""
    layer, _, _ = name.rpartition(".")
    return f"{layer}.alpha" if "activation" in layer else name


def _fits(generator: Generator, numbers: dict[str, Numbers], content: bytes) -> bool:
    """Return whether a file has all numbers of a network, of their counts, and none besides."""
    wanted = {_file_name(name): tensor.numel() for name, tensor in generator.state_dict().items()}
    found = _counts(numbers)
    leaky = {f"{name}.alpha" for name, layer in generator.named_modules() if isinstance(layer, nn.LeakyReLU)}
    slopes = {name: numbers[name].read(content).item() for name in found if name.endswith(".alpha")}
    others = {name for name in found if name not in wanted and name.endswith((".weight", ".bias", ".alpha"))}
    return (
        others == leaky
        and all(isclose(slopes[name], LEAKY_SLOPE, rel_tol=1e-6) for name in leaky)
        and all(found.get(name) == size for name, size in wanted.items())
    )


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
