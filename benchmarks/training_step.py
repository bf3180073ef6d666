"""What a training step spends on patches, on degradation, on blur alone, and on the network."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from timing import median_s

from acutance.data.patches import PatchSampler
from acutance.data.photo_store import open_store
from acutance.degradations.pipeline import degrade
from acutance.degradations.stages import Blur
from acutance.training.batch import Batch
from acutance.training.batches import draw_batch
from acutance.training.config import TrainConfig, load_config
from acutance.training.device import open_fabric
from acutance.training.players import assemble
from acutance.training.stepper import take_step

Precision = Literal["32-true", "bf16-mixed"]
PRECISIONS: tuple[Precision, ...] = ("32-true", "bf16-mixed")


def main(data: Path, preset: str = "fast", vgg19: Path | None = None) -> None:
    """Print milliseconds and shares for a preset in float32 and bf16."""
    config = load_config(preset)
    random = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        sampler = PatchSampler(open_store(data, Path(folder)), side_px=config.source_px, device=torch.device("cpu"))
        sharp = sampler.draw(config.batch, random)
        batch = draw_batch(config, sampler, 0)
        blurs = [stage for stage in config.degradation.stages if isinstance(stage, Blur)]
        parts = {
            "patches": median_s(lambda: sampler.draw(config.batch, random), runs=30),
            "degradation": median_s(lambda: degrade(config.degradation, sharp, random), runs=30),
            "of which blur": median_s(lambda: [stage.apply(sharp, random) for stage in blurs], runs=30),
        }
    for precision in PRECISIONS:
        network = network_s(replace(config, precision=precision), sampler, batch, vgg19)
        print(f"{preset}, batch {config.batch} of {config.patch_px} px, {precision}: network {1e3 * network:.1f} ms")
        for name, seconds in parts.items():
            print(f"  {name:14} {1e3 * seconds:6.2f} ms  {100 * seconds / network:5.1f} % of the network's time")


def network_s(config: TrainConfig, sampler: PatchSampler, batch: Batch, vgg19: Path | None) -> float:
    """Return the median time of a step, a round of the game where there is one, on a batch that is there already."""
    fabric = open_fabric("cpu", precision=config.precision)
    cast = assemble(config, sampler, fabric=fabric, vgg19=vgg19)
    first = config.adversary.warmup_iterations
    return median_s(lambda: take_step(config, cast, batch, iteration=first, fabric=fabric), runs=30)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python benchmarks/training_step.py DATA [PRESET [VGG19_WEIGHTS]]")
    main(Path(sys.argv[1]), *sys.argv[2:3], *map(Path, sys.argv[3:4]))
