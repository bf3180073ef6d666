"""Who takes part in a run: the networks, what moves them, and what is kept of them, built from the settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from acutance.data.patches import PatchSampler
from acutance.errors import ConfigError
from acutance.networks.any_discriminator import AnyDiscriminator, build_discriminator
from acutance.networks.any_generator import AnyConfig, AnyGenerator, build_generator
from acutance.networks.branch_start import start_branches
from acutance.networks.checkpoint_file import load_generator
from acutance.networks.generators import Generator, enlarging
from acutance.networks.growing import can_grow, growing, without_biases
from acutance.networks.own import OwnGenerator, OwnNetworkConfig, examine
from acutance.networks.synchronised_norm import synchronise
from acutance.networks.vgg19 import Vgg19Features
from acutance.networks.vgg19_weights import find_vgg19, read_vgg19
from acutance.networks.whitening import whiten_head
from acutance.training.batches import START, draw_batch
from acutance.training.checkpoint import Trained
from acutance.training.config import TrainConfig
from acutance.training.ema import WeightAverage
from acutance.training.optimizers import OptimizerConfig, build_optimizers
from acutance.training.run_folder import told_differences
from acutance.training.shipped_start import read_exported, shipped_file
from acutance.training.step import FeatureExtractor, Player

WHITENING_PATCHES = 256
"""Training patches from which the whitening of the head is computed."""


@dataclass(frozen=True, slots=True)
class Players:
    """Everybody in a run."""

    generator: Player
    discriminator: Player | None
    features: FeatureExtractor | None
    model: AnyGenerator
    """The generator itself, without Fabric's wrapping."""
    average: WeightAverage[AnyGenerator]
    trained: Trained
    """What a checkpoint holds of all this."""


def assemble(
    config: TrainConfig, sampler: PatchSampler, *, fabric: Fabric, vgg19: Path | None, is_resumed: bool = False
) -> Players:
    """Build everybody as they are before the first step: a function of the settings and the photos.

    Args:
        config: All settings.
        sampler: Of the photos.
        fabric: Where it runs.
        vgg19: Weights of VGG-19, for an objective that looks at features.
        is_resumed: Whether a checkpoint is read next, which holds all weights: none are computed or read for a start.

    Raises:
        ConfigError: When the objective looks at features and no VGG-19 weights are given, or `start_from` is
            another network.
        CorruptWeights: When the weights of VGG-19 lack a layer that the objective asks for, or are damaged.
    """
    device = fabric.device
    features = _features(config, vgg19, device)
    model = new_generator(config, sampler, device, is_resumed=is_resumed)
    if fabric.world_size > 1:
        synchronise(model)
    optimizers = build_optimizers(config.optimizer, model, last=last_weights(model))
    generator = _placed(
        fabric, model, optimizers, config.optimizer, compiles=config.compiles
    )  # several processes: all take the first's weights
    average = WeightAverage(model, config.ema_half_life_kimg)
    networks: dict[str, nn.Module] = {"generator": model, "average": average.model}
    discriminator = None
    if config.objective.adversarial:
        judge = new_discriminator(config, device)
        if fabric.world_size > 1:
            synchronise(judge)
        networks["discriminator"] = judge
        of_judge = build_optimizers(config.adversary.optimizer, judge)
        discriminator = _placed(fabric, judge, of_judge, config.adversary.optimizer, compiles=config.compiles)
        optimizers += of_judge
    return Players(generator, discriminator, features, model, average, Trained(networks, optimizers))


def new_generator(
    config: TrainConfig, sampler: PatchSampler, device: torch.device, *, is_resumed: bool = False
) -> AnyGenerator:
    """Build the generator: random, with a whitened head, or from earlier weights; random, too, where it is resumed.

    Raises:
        ConfigError: When `start_from` is another network, or a network of the user's own cannot be trained.
    """
    torch.manual_seed(config.seed)
    model = build_generator(config.generator)
    if isinstance(model, Generator):
        start_branches(model, config.branch_gain)
    if config.start_from is not None and not is_resumed:
        model.load_state_dict(_earlier(config.start_from, config.generator).state_dict())
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(model, OwnGenerator):
        examine(model, side_px=config.patch_px)
    elif config.head_start == "whitening" and config.start_from is None and not is_resumed:
        whiten_head(model, draw_batch(config, sampler, START, count=WHITENING_PATCHES).pair[0])
    return model


def _earlier(start_from: Path, wanted: AnyConfig) -> AnyGenerator:
    """Read the weights to begin with, of a checkpoint, an exported file or a model that ships, in the shape wanted."""
    another = f"start_from = {start_from}: is another network than the settings ask for"
    if isinstance(wanted, OwnNetworkConfig):
        earlier = load_generator(start_from, part=wanted.part)[0]
        if earlier.config != wanted:
            raise ConfigError(f"{another}: {told_differences(earlier.config, wanted, 'generator.')}.")
        return earlier
    exported = shipped_file(start_from)
    earlier = load_generator(start_from)[0] if exported is None else read_exported(exported, wanted)
    assert isinstance(earlier, Generator)  # one of the user's own is refused: its part is not named
    if earlier.config.scale < wanted.scale:
        earlier = enlarging(earlier)
    if earlier.config.biases and not wanted.biases:
        earlier = without_biases(earlier)
    if not can_grow(earlier.config, wanted):
        raise ConfigError(f"{another}: {told_differences(earlier.config, wanted, 'generator.')}.")
    return growing(earlier, wanted)


def new_discriminator(config: TrainConfig, device: torch.device) -> AnyDiscriminator:
    """Build a random discriminator for the patches that the generator gives."""
    torch.manual_seed(config.seed + 1)
    patch_px = config.patch_px * config.generator.scale
    judge = build_discriminator(replace(config.adversary.discriminator, patch_px=patch_px))
    judge.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return judge


def last_weights(model: AnyGenerator) -> nn.Parameter | None:
    """Return the weights whose output is the picture; of a network of the user's own, those of its last convolution."""
    if isinstance(model, OwnGenerator):
        convolutions = [weight for weight in model.parameters() if weight.ndim == 4]
        return convolutions[-1] if convolutions else None
    weights = model.tail.weight
    assert isinstance(weights, nn.Parameter)
    return weights


def _placed(
    fabric: Fabric,
    network: nn.Module,
    optimizers: tuple[torch.optim.Optimizer, ...],
    config: OptimizerConfig,
    *,
    compiles: bool,
) -> Player:
    runs: nn.Module = torch.compile(network) if compiles else network  # type: ignore[assignment]
    placed, *placed_optimizers = fabric.setup(runs, *optimizers)
    return Player(placed, placed_optimizers, config.clip_norm)


def _features(config: TrainConfig, vgg19: Path | None, device: torch.device) -> FeatureExtractor | None:
    layers = config.objective.feature_layers
    if not layers:
        return None
    return Vgg19Features(read_vgg19(find_vgg19(vgg19, download=False)), layers).to(device)
