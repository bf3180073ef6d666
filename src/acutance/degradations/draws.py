"""Random parameters for a batch, drawn on the device of the generator."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from acutance.errors import ConfigError

Spacing = Literal["linear", "log"]


def check_range(
    name: str, bounds: tuple[float, float], *, low: float, high: float, spacing: Spacing = "linear"
) -> None:
    """Check that `low ≤ bounds[0] ≤ bounds[1] ≤ high`, and that a log-spaced range does not begin at zero.

    Raises:
        ConfigError: Naming the setting, its value and what is allowed.
    """
    first, last = bounds
    if not low <= first <= last <= high:
        raise ConfigError(f"{name} = [{first}, {last}]: must rise within {low} … {high}.")
    if spacing == "log" and first <= 0:
        raise ConfigError(f'{name} = [{first}, {last}]: a range with spacing "log" must begin above 0.')


def check_share(name: str, value: float) -> None:
    """Check that a probability or a share lies within 0 … 1.

    Raises:
        ConfigError: Naming the setting and its value.
    """
    if not 0.0 <= value <= 1.0:
        raise ConfigError(f"{name} = {value}: must lie within 0 … 1.")


def uniform(
    count: int, bounds: tuple[float, float], generator: torch.Generator, *, spacing: Spacing = "linear"
) -> Float[Tensor, " n"]:
    """Draw `count` numbers between the bounds, evenly or evenly in the logarithm."""
    share = torch.rand(count, generator=generator, device=generator.device)
    low, high = bounds
    if spacing == "log":
        return torch.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)


def happens(count: int, probability: float, generator: torch.Generator) -> Bool[Tensor, " n"]:
    """Toss a coin for every image of a batch."""
    return torch.rand(count, generator=generator, device=generator.device) < probability
