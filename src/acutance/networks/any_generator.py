"""Whatever can be trained as a generator: one of ours, or a network of the user's own."""

from __future__ import annotations

from acutance.networks.generators import Generator, GeneratorConfig
from acutance.networks.own import OwnGenerator, OwnNetworkConfig

AnyConfig = GeneratorConfig | OwnNetworkConfig
"""What it is built from."""

AnyGenerator = Generator | OwnGenerator
"""The network."""


def build_generator(config: AnyConfig) -> AnyGenerator:
    """Build a generator with random weights.

    Raises:
        ConfigError: When a network of the user's own cannot be built.
    """
    return Generator(config) if isinstance(config, GeneratorConfig) else OwnGenerator(config)
