"""One full iteration of the paper's training (D twice, VGG-19, G once): ours beside a straightforward one, run in turn.

The straightforward one is what the equations say, line by line, in eager float32: rows-first memory, a fresh pass of G
for every update of D, true and restored patches given to D one after the other, the truth's features computed with
gradients on, torch's default Adam.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from acutance.losses.objective import ObjectiveConfig
from acutance.losses.texture import texture
from acutance.networks.discriminator import Discriminator
from acutance.networks.generators import Generator
from acutance.networks.vgg19 import Vgg19Features
from acutance.networks.vgg19_weights import read_vgg19
from acutance.training.batch import Batch
from acutance.training.config import TrainConfig, load_config
from acutance.training.device import open_fabric
from acutance.training.optimizers import build_optimizers
from acutance.training.step import Player, train_step

PRESET = "nonbn-res-g-l-pool2-pool3"
ROUNDS = 15


def straightforward(config: TrainConfig, vgg19: Path, pair: tuple[Tensor, Tensor]) -> Callable[[], None]:
    """Build the plain iteration."""
    judge = replace(config.adversary.discriminator, patch_px=config.patch_px)
    g, d = Generator(config.generator), Discriminator(judge)
    vgg = Vgg19Features(read_vgg19(vgg19), config.objective.feature_layers)
    adam_g, adam_d = torch.optim.Adam(g.parameters(), 1e-4), torch.optim.Adam(d.parameters(), 1e-4)
    blurred, sharp = pair
    weights = config.objective

    def iteration() -> None:
        for _ in range(config.adversary.updates):
            loss = functional.softplus(-d(sharp)).mean() + functional.softplus(d(g(blurred).detach())).mean()
            adam_d.zero_grad()
            loss.backward()
            adam_d.step()
        restored = g(blurred)
        fake, true = vgg(restored), vgg(sharp)
        names = config.objective.feature_layers
        total = weights.content * (restored - sharp).abs().mean()
        total = total + weights.perceptual * sum((fake[n] - true[n]).square().mean() for n in names)
        total = total + weights.texture * texture(fake, true, layers=weights.texture_loss.layers)
        total = total + weights.adversarial * functional.softplus(-d(restored)).mean()
        adam_g.zero_grad()
        total.backward()
        adam_g.step()

    return iteration


def ours(config: TrainConfig, vgg19: Path, pair: tuple[Tensor, Tensor], *, precision: str) -> Callable[[], None]:
    """Build our iteration."""
    fabric = open_fabric("cpu", precision=precision)  # type: ignore[arg-type]
    players = []
    judge = replace(config.adversary.discriminator, patch_px=config.patch_px)
    for network, how in (
        (Generator(config.generator), config.optimizer),
        (Discriminator(judge), config.adversary.optimizer),
    ):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        placed, *optimizers = fabric.setup(network, *build_optimizers(how, network))
        players.append(Player(placed, optimizers, how.clip_norm))
    vgg = Vgg19Features(read_vgg19(vgg19), config.objective.feature_layers)
    objective: ObjectiveConfig = config.objective

    def iteration() -> None:
        train_step(
            fabric,
            players[0],
            players[1],
            Batch(pair),
            objective=objective,
            features=vgg,
            discriminator_updates=config.adversary.updates,
        )

    return iteration


def main(vgg19: Path) -> None:
    """Print medians and ratios."""
    config = load_config(PRESET)
    torch.manual_seed(0)
    pair = torch.rand(2, config.batch, 3, config.patch_px, config.patch_px).unbind(0)
    rows = {"straightforward, float32": straightforward(config, vgg19, pair)}
    for precision in ("32-true", "bf16-mixed"):
        rows[f"ours, {precision}"] = ours(config, vgg19, pair, precision=precision)
    times: dict[str, list[float]] = {name: [] for name in rows}
    for turn in range(ROUNDS + 2):
        for name, iteration in rows.items():
            start = time.perf_counter()
            iteration()
            if turn >= 2:
                times[name].append(time.perf_counter() - start)
    plain = statistics.median(times["straightforward, float32"])
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:34} {1e3 * median:7.1f} ms   {median / plain:5.2f} of the straightforward one")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/paper_step.py VGG19_WEIGHTS")
    main(Path(sys.argv[1]))
