"""One process of several, as torchrun starts them: `python one_of_several.py JOB FOLDER`; the tests start these.

Not a test itself: pytest cannot be in two processes at once.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from torch.nn.utils import parameters_to_vector

from acutance.data.photo_store import open_store
from acutance.errors import ConfigError
from acutance.losses.features import FeaturePair
from acutance.losses.objective import ObjectiveConfig, generator_loss
from acutance.losses.perceptual import PerceptualConfig
from acutance.losses.texture import TextureConfig
from acutance.networks.generators import Generator, GeneratorConfig
from acutance.networks.synchronised_norm import synchronise
from acutance.training.batch import Batch
from acutance.training.config import load_config
from acutance.training.device import open_fabric
from acutance.training.loop import train
from acutance.training.processes import in_turn, leave_together
from acutance.training.step import Player, train_step

SMALL = (
    "generator.width=8",
    "generator.num_blocks=1",
    "generator.block=classical",
    "head_start=whitening",
    "objective.adversarial=0.01",
    "objective.r1=0.1",
    "adversary.discriminator.width=2",
    "adversary.discriminator.hidden=8",
    "batch=4",
    "patch_px=16",
    "schedule.iterations=4",
    "schedule.warmup_iterations=2",
    "watch.log_every=1",
    "watch.validate_every=2",
    "watch.crop_px=32",
    "watch.held_out=1",
    "watch.rows=['gauss-1.6']",
)


def settings(*overrides):
    return load_config("smoke", [*SMALL, *overrides])


def normalised(batch):
    """Return what a normalisation gives, first and second derivatives of it, and its running statistics."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3)).double()
    torch.nn.init.normal_(network[0].weight)
    torch.nn.init.normal_(network[0].bias)
    if torch.distributed.is_initialized():
        synchronise(network)
    images = batch.clone().requires_grad_()
    output = network(images)
    (slope,) = torch.autograd.grad(output.pow(3).sum(), images, create_graph=True)
    (slope.square().sum() + output.pow(4).sum()).backward()
    found = {"output": output, "slope": slope, "gradient": images.grad}
    whole = {f"d{name}": parameter.grad for name, parameter in network.named_parameters()}
    return found, {**whole, **network.state_dict()}


def whole_batch():
    generator = torch.Generator().manual_seed(3)
    return 5.0 + torch.randn(6, 3, 4, 5, generator=generator, dtype=torch.float64)


def relative(batch):
    """Return losses on features that are divided by the size of the whole batch's features, and their gradient."""
    restored, reference = batch.clone().requires_grad_(), batch.roll(1, dims=3) * batch[:, :1, :1, :1]
    objective = ObjectiveConfig(
        perceptual=1.0,
        texture=1.0,
        perceptual_loss=PerceptualConfig(normalisation="relative"),
        texture_loss=TextureConfig(normalisation="relative"),
    )
    features = FeaturePair(*({"pool2": images, "pool5": images.square()} for images in (restored, reference)))
    loss = generator_loss(objective, restored, reference, features=features)
    loss.total.backward()
    return loss.total.detach(), restored.grad


def poisoned_step(fabric):
    """Take a step on a batch that is NaN in the last process only; return what each thinks, and its weights."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=4, num_blocks=1))
    before = parameters_to_vector(generator.parameters()).detach().clone()
    placed, optimizer = fabric.setup(generator, torch.optim.SGD(generator.parameters(), lr=0.1))
    pair = torch.rand(2, 2, 3, 16, 16).unbind(0)
    if fabric.global_rank == fabric.world_size - 1:
        pair[1][0] = float("nan")
    record = train_step(fabric, Player(placed, [optimizer]), None, Batch(pair), objective=ObjectiveConfig())
    return record.was_applied, torch.equal(before, parameters_to_vector(generator.parameters()))


def main(job, folder):
    fabric = open_fabric("cpu")
    rank = fabric.global_rank
    if job == "all":
        torch.save(normalised(whole_batch().chunk(fabric.world_size)[rank]), folder / f"norm-{rank}.pt")
        torch.save(relative(whole_batch().chunk(fabric.world_size)[rank]), folder / f"relative-{rank}.pt")
        torch.save(poisoned_step(fabric), folder / f"poisoned-{rank}.pt")
    store = in_turn(fabric, lambda: open_store(folder / "photos", folder / "store"))
    config = settings()
    ticks = []

    def die(tick):
        if rank == 1 and tick.progress.iteration == 2:
            raise ZeroDivisionError("stands for a process that dies")

    if job == "crash":
        train(settings("schedule.iterations=100000"), store, folder / "crash", fabric=fabric, on_tick=die)
    train(config, store, folder / "straight", fabric=fabric, on_tick=ticks.append)
    torch.save([tick.loss for tick in ticks], folder / f"losses-{rank}.pt")
    # The last process alone is asked to stop; all do.
    stop = iter([False, True] if rank == fabric.world_size - 1 else [False] * 9)
    progress = train(config, store, folder / "parts", fabric=fabric, should_stop=lambda: next(stop))
    assert progress.iteration == 2
    if rank == 0:
        shutil.copytree(folder / "parts", folder / "handed-over")
    train(config, store, folder / "parts", fabric=fabric, resume=True)
    try:
        train(config, store, folder / "parts", fabric=fabric)
    except ConfigError as error:
        (folder / f"refused-{rank}.txt").write_text(str(error))
    # Every process has a clock of its own; the run ends in all at the same step.
    timed = settings("schedule.iterations=100000", "schedule.minutes=0.01", "watch.held_out=0")
    progress = train(timed, store, folder / "timed", fabric=fabric)
    torch.save(progress.iteration, folder / f"timed-{rank}.pt")
    leave_together(fabric)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
