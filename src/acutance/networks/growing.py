"""Larger networks that begin where smaller ones stand: what was learnt is not learnt again."""

from __future__ import annotations

from dataclasses import replace

import torch

from acutance.errors import ConfigError
from acutance.networks.generators import CoarserScale, Generator, NestedScale


@torch.no_grad()
def deepening(generator: Generator, coarser: tuple[CoarserScale, ...]) -> Generator:
    """Return a generator with further scales nested in the coarsest of this one, which gives what this one gives.

    What a new scale adds is 0 at first.

    Args:
        generator: Is not changed.
        coarser: All coarser scales of the new one; those of the old one must come first.

    Raises:
        ConfigError: When the new scales do not begin with the old ones.
    """
    known = generator.config.coarser
    if coarser[: len(known)] != known or len(coarser) == len(known):
        raise ConfigError(f"generator.coarser: {coarser} does not continue {known}.")
    deeper = Generator(replace(generator.config, coarser=coarser))
    scales = generator.config.scales
    path = "".join(f"blocks.{scale.num_blocks // 2}." for scale in scales[:-1]) + "blocks."
    middle = scales[-1].num_blocks // 2
    state = deeper.state_dict()
    for name, tensor in generator.state_dict().items():
        state[_moved(name, path, middle)] = tensor.clone()
    state[f"{path}{middle}.up.weight"].zero_()
    state[f"{path}{middle}.up.bias"].zero_()
    deeper.load_state_dict(state)
    assert isinstance(deeper.get_submodule(f"{path}{middle}"), NestedScale)
    return deeper.train(generator.training)


def _moved(name: str, path: str, middle: int) -> str:
    """Return the new name of a weight: blocks behind the middle of the old coarsest scale make room for the new one."""
    if not name.startswith(path):
        return name
    index, _, rest = name.removeprefix(path).partition(".")
    return f"{path}{int(index) + (int(index) >= middle)}.{rest}"
