"""Whatever can judge: the kinds of discriminator, each a row of one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from acutance.networks.discriminator import Discriminator, DiscriminatorConfig
from acutance.networks.unet_discriminator import UNetDiscriminator, UNetDiscriminatorConfig

AnyDiscriminatorConfig = DiscriminatorConfig | UNetDiscriminatorConfig
"""What one is built from; all have `patch_px`, `channels` and `conditional`."""

AnyDiscriminator = Discriminator | UNetDiscriminator
"""Patches and the number of batches in, logits out: one per patch, or one per pixel."""

DISCRIMINATORS: Final[Mapping[type, Callable[[Any], AnyDiscriminator]]] = MappingProxyType(
    {DiscriminatorConfig: Discriminator, UNetDiscriminatorConfig: UNetDiscriminator}
)
"""The kinds: the paper's, and one with the shape of a U."""


def build_discriminator(config: AnyDiscriminatorConfig) -> AnyDiscriminator:
    """Build a discriminator with random weights."""
    return DISCRIMINATORS[type(config)](config)
