"""How many operators a training step hands to the device, and how often it waits for a value: read back, or as a shape.

python benchmarks/step_operators.py VGG19_WEIGHTS [PRESET …]
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from acutance.data.patches import PatchSampler
from acutance.data.photo_store import open_store
from acutance.networks import blocks
from acutance.training.batches import draw_batch
from acutance.training.config import load_config
from acutance.training.device import open_fabric
from acutance.training.players import assemble
from acutance.training.stepper import take_step

PRESETS = ("nonbn-res-g-l-pool2-pool3", "fast", "fast-perceptual")
WAITS = ("_local_scalar_dense", "is_nonzero", "item", "equal", "nonzero", "masked_select", "unique", "_unique2")
VIEWS = ("view", "_unsafe_view", "permute", "transpose", "t", "detach", "alias", "slice", "select", "unsqueeze",
         "squeeze", "expand", "split", "as_strided", "chunk", "unbind", "reshape", "_reshape_alias")  # fmt: skip
"""Operators that compute nothing: no kernel is launched for them."""


class Operators(TorchDispatchMode):
    """Counts operators by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        self.counts[operator.overloadpacket.__name__] += 1
        return operator(*args, **(kwargs or {}))


def count(preset: str, vgg19: Path) -> Counter[str]:
    """Count what the second step of a run does; the first builds what is built once."""
    blocks.SAMPLED_FROM = sys.maxsize  # a short cut that is taken on a CPU alone
    config = load_config(preset, ["head_start=random", "watch.held_out=0"])
    fabric = open_fabric("cpu")
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC).save(Path(folder) / "a.png")
        store = open_store(Path(folder), Path(folder) / "store")
        sampler = PatchSampler(store, side_px=config.source_px, device=fabric.device)
        players = assemble(config, sampler, fabric=fabric, vgg19=vgg19)
        batch = draw_batch(config, sampler, 0)

    def step() -> None:
        record = take_step(config, players, batch, iteration=config.adversary.warmup_iterations, fabric=fabric)
        players.average.update(
            players.model, batch=config.batch, images_seen=config.batch, was_applied=record.was_applied
        )

    step()
    with Operators() as watching:
        step()
    return watching.counts


def main(vgg19: Path, presets: list[str]) -> None:
    """Print a row for each preset."""
    for preset in presets or PRESETS:
        counts = count(preset, vgg19)
        waits = sum(counts[name] for name in WAITS)
        computing = counts.total() - sum(counts[name] for name in VIEWS)
        print(f"{preset}: {counts.total()} operators, {computing} of which compute; waits {waits}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python benchmarks/step_operators.py VGG19_WEIGHTS [PRESET …]")
    main(Path(sys.argv[1]), sys.argv[2:])
