"""Larger networks that begin where smaller ones stand: what was learnt is not learnt again."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch
from torch import nn

from acutance.errors import ConfigError
from acutance.networks.blocks import BlockKind, ClassicalBlock, ImprovedBlock
from acutance.networks.generators import Generator, GeneratorConfig, NestedScale

GROWABLE: Final[tuple[BlockKind, ...]] = ("classical", "improved")
"""Kinds of block that add nothing to what they are given once their last layer is silent (`_silence`). Without a plain
skip around it, a new block changes something."""


def can_grow(known: GeneratorConfig, config: GeneratorConfig) -> bool:
    """Return whether a generator of one config can become one of the other by `growing`, or is one already."""
    old, new = known.scales, config.scales
    pairs = list(zip(old, new, strict=False))
    has_new_blocks = any(before.num_blocks != after.num_blocks for before, after in pairs)
    return (
        replace(known, num_blocks=config.num_blocks, coarser=config.coarser) == config
        and len(new) >= len(old)
        and all(before.width == after.width and before.num_blocks <= after.num_blocks for before, after in pairs)
        and not (has_new_blocks and config.block not in GROWABLE)
    )


@torch.no_grad()
def growing(generator: Generator, config: GeneratorConfig) -> Generator:
    """Return a generator with more blocks or further scales, which gives what this one gives.

    New blocks stand in the middle of their scale, and further scales in the middle of the coarsest. What they add is 0
    at first.

    Args:
        generator: Is not changed.
        config: Of the new one: as the old one's, but for more blocks, and more scales below the old ones.

    Raises:
        ConfigError: When it cannot (`can_grow`).
    """
    if not can_grow(generator.config, config):
        raise ConfigError(f"generator: {config} is not {generator.config} with more blocks or scales.")
    larger = Generator(config)
    state = larger.state_dict()
    places = _places(generator.config, config)
    for name, tensor in generator.state_dict().items():
        state[_moved(name, places)] = tensor.clone()
    larger.load_state_dict(state)
    old = set(places.values())
    scales = {place.rpartition(".")[0] for place in old}  # the old scales' lists of blocks, where they lie now
    for name, module in larger.named_modules():
        is_in_old_scale = name.rpartition(".")[0] in scales
        if is_in_old_scale and name not in old and f"{name}.up" not in old:
            _silence(module)
    return larger.train(generator.training)


@torch.no_grad()
def without_biases(generator: Generator) -> Generator:
    """Return a generator with the same weights and no biases: a start to train on from, not the same function."""
    config = replace(generator.config, biases=False)
    bare = Generator(config)
    bare.load_state_dict({name: tensor for name, tensor in generator.state_dict().items() if name in bare.state_dict()})
    return bare.train(generator.training)


def _places(known: GeneratorConfig, config: GeneratorConfig) -> dict[str, str]:
    """Return where each block, and each way down and up, of the old network lies in the new one."""
    places: dict[str, str] = {}
    old_path = new_path = "blocks"
    for level, (old, new) in enumerate(zip(known.scales, config.scales, strict=False)):
        is_last_old, is_last_new = level == len(known.scales) - 1, level == len(config.scales) - 1
        old_middle, new_middle = old.num_blocks // 2, new.num_blocks // 2
        for block in range(old.num_blocks):
            old_index = block + (not is_last_old and block >= old_middle)
            number = block if block < old_middle else block + new.num_blocks - old.num_blocks
            new_index = number + (not is_last_new and number >= new_middle)
            places[f"{old_path}.{old_index}"] = f"{new_path}.{new_index}"
        if is_last_old:
            break
        old_path, new_path = f"{old_path}.{old_middle}", f"{new_path}.{new_middle}"
        for way in ("down", "up"):
            places[f"{old_path}.{way}"] = f"{new_path}.{way}"
        old_path, new_path = f"{old_path}.blocks", f"{new_path}.blocks"
    return places


def _moved(name: str, places: dict[str, str]) -> str:
    """Return the new name of a weight."""
    for old, new in places.items():
        if name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return name  # head, tail and what lies between


def _silence(module: nn.Module) -> None:
    """Have a new part add nothing to what it is given."""
    match module:
        case NestedScale(up=last) | ImprovedBlock(conv2=last) | ClassicalBlock(norm2=last):
            for parameter in last.parameters():
                parameter.zero_()
