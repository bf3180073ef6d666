"""Networks of the user's own: a class in a Python file or an installed package, named in the settings.

[generator]
kind = "own"
part = "my_parts.py:MyNetwork"
settings = { width = 16 }
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from acutance.config.own_parts import load_part, name_of_part, running
from acutance.errors import ConfigError
from acutance.geometry import ceil_to_multiple

_SAID = ("scale", "size_multiple", "reach_px", "macs_per_pixel")

UNKNOWN_REACH_FEATHER_PX = 64
"""By how much tiles overlap where a network does not say how far it looks."""


class OwnNetwork(Protocol):
    """What a network of one's own must be: a class derived from `torch.nn.Module`, which says four things of itself.

    They may be attributes of the class, or set by `__init__` from the settings.
    """

    scale: int
    """Output size over input size: 1 or 2."""
    size_multiple: int
    """Input height and width are always multiples of this; whoever calls pads by reflection."""
    reach_px: int | Literal["unknown"]
    """How far an output pixel looks in each direction, in input px: then tiles are exact. Where it is more than can be
    said, `"unknown"`: it is looked for when the network is exported."""
    macs_per_pixel: int
    """Multiply-accumulate operations per input pixel, for tables."""

    def forward(self, degraded: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 hs ws"]:
        """Restore a batch.

        Args:
            degraded: RGB in [0, 1], gamma space, float32; not to be changed in place.

        Returns:
            The pictures, `scale` times as large; they need not be clipped.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnNetworkConfig:
    """Which network of the user's own, and its settings."""

    part: str
    """`FILE.py:NAME` or `PACKAGE.MODULE:NAME`; the name is that of a class, see `OwnNetwork`."""
    kind: Literal["own"] = "own"
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Given to the class by name; acutance knows none of them."""
    scale: int = field(init=False, repr=False, compare=False)
    """Output size over input size: 1 or 2. This and what follows the network says of itself."""
    size_multiple: int = field(init=False, repr=False, compare=False)
    """Input height and width must be multiples of this."""
    reach_px: int | None = field(init=False, repr=False, compare=False)
    """How far an output pixel looks; None where the network does not know."""
    macs_per_pixel: int = field(init=False, repr=False, compare=False)
    """Multiply-accumulate operations per input pixel."""

    def __post_init__(self) -> None:
        """Build the network once, and check what it says of itself; torch's global randomness is left as it was.

        Raises:
            ConfigError: When it cannot be built, or says nothing that can be.
        """
        with torch.random.fork_rng(devices=[]):
            network = self.build()
        for name, value in zip(_SAID, _heard(self.part, network), strict=True):
            object.__setattr__(self, name, value)

    def build(self) -> nn.Module:
        """Build the network with random weights.

        Raises:
            ConfigError: When the part is no class of networks, or does not take the settings.
        """
        part = load_part(self.part)
        # Nothing else is called: a checkpoint that is read says which part and which settings.
        if not (isinstance(part, type) and issubclass(part, nn.Module)):
            raise ConfigError(f"{self.part}: must be a class derived from torch.nn.Module.")
        with running(self.part):
            return part(**self.settings)

    @property
    def name(self) -> str:
        """Name of the class."""
        return name_of_part(self.part)

    @property
    def guides(self) -> int:
        """None: a network of one's own is told no blur."""
        return 0

    @property
    def channels_in(self) -> int:
        """RGB."""
        return 3

    @property
    def receptive_radius_px(self) -> int:
        """How far an output pixel looks; 0 where the network does not know."""
        return self.reach_px or 0

    @property
    def halo_px(self) -> int:
        """Context that a tile needs on each side; 0 where the network does not know."""
        return ceil_to_multiple(self.receptive_radius_px, self.size_multiple)

    @property
    def feather_px(self) -> int:
        """By how much tiles overlap where the network does not say how far it looks; else 0."""
        return UNKNOWN_REACH_FEATHER_PX if self.reach_px is None else 0


class OwnGenerator(nn.Module):
    """A generator that is a network of the user's own.

    Input and output are RGB in [0, 1], gamma space; the output is not clipped.
    """

    def __init__(self, config: OwnNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.network = config.build()

    def forward(self, degraded: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 hs ws"]:
        """Return what the network makes of a batch."""
        return cast(Tensor, self.network(degraded))


def examine(generator: OwnGenerator, *, side_px: int) -> None:
    """Check, before hours go into it, that a network can be trained; it is left as it was.

    A batch of noise goes through a copy of it, forward and back, at the size of the patches and at one that is wider.

    Args:
        generator: On the device that it is trained on.
        side_px: Of the patches.

    Raises:
        ConfigError: When it fails, gives anything but pictures of the right size, changes what it is given, or has
            weights that nothing depends on.
    """
    config, part = generator.config, generator.config.part
    network = copy.deepcopy(generator).train()
    device = next((weight.device for weight in network.parameters()), None)
    if device is None or not any(weight.requires_grad for weight in network.parameters()):
        raise ConfigError(f"{part}: has no weights that could be trained.")
    source = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for width in (side_px, side_px + config.size_multiple):
            given = torch.rand(2, 3, side_px, width, generator=source).to(device)
            kept = given.clone()
            with running(part):
                made: object = network(given)
            _check_made(part, given, made, config.scale)
            if not torch.equal(given, kept):
                raise ConfigError(f"{part}: changes its input in place; let it work on a copy.")
            assert isinstance(made, Tensor)
            with running(part):
                made.float().square().mean().backward()  # type: ignore[no-untyped-call]
    weights = network.network.named_parameters()
    idle = [name for name, weight in weights if weight.requires_grad and weight.grad is None]
    if idle:
        raise ConfigError(
            f"{part}: nothing it gives depends on {', '.join(idle[:3])}{' …' if len(idle) > 3 else ''}; leave such "
            "weights out, or freeze them with requires_grad_(False)."
        )


def _check_made(part: str, given: Tensor, made: object, scale: int) -> None:
    count, channels, height, width = given.shape
    wanted = (count, channels, height * scale, width * scale)
    if not isinstance(made, Tensor) or made.shape != wanted:
        what = f"a tensor of shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
        raise ConfigError(
            f"{part}: returned {what} for pictures of shape {tuple(given.shape)}; with scale = {scale} it must be "
            f"{wanted}."
        )
    if not bool(torch.isfinite(made).all()):
        raise ConfigError(f"{part}: gives NaN or infinity for noise in [0, 1], before any training; check its start.")


def _heard(part: str, network: nn.Module) -> tuple[int, int, int | None, int]:
    """Read and check what a network says of itself."""
    missing = [name for name in _SAID if not hasattr(network, name)]
    if missing:
        raise ConfigError(
            f"{part}: does not say {', '.join(missing)}; a network of one's own must, see docs/how-to/own-parts.md."
        )
    scale, multiple = _whole(part, network, "scale", 1), _whole(part, network, "size_multiple", 1)
    if scale not in (1, 2):
        raise ConfigError(f"{part}: scale = {scale}: must be 1 or 2.")
    is_unknown = getattr(network, "reach_px", None) == "unknown"
    reach = None if is_unknown else _whole(part, network, "reach_px", 0, also=', or "unknown"')
    return scale, multiple, reach, _whole(part, network, "macs_per_pixel", 0)


def _whole(part: str, network: nn.Module, name: str, least: int, *, also: str = "") -> int:
    value: object = getattr(network, name)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{part}: {name} = {value!r}: must be a whole number from {least} on{also}.")
    return value
