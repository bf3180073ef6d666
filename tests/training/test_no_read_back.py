"""A step never waits for its device: counted operator by operator, for every preset, term, optimiser and block.

Nothing is read back to the host, and no shape depends on values: such a step can be captured as one graph. (Drawing a
batch is not part of it. There a stage for some of the patches has one shape that depends on the draw.)
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from acutance.config.presets import preset_names
from acutance.data.patches import PatchSampler
from acutance.data.photo_store import open_store
from acutance.degradations.pipeline import degrade
from acutance.degradations.stages import Stage
from acutance.losses.adversarial import GAMES
from acutance.losses.content import ContentConfig, ContentKind
from acutance.losses.objective import TERMS
from acutance.networks import blocks
from acutance.networks.any_discriminator import DISCRIMINATORS
from acutance.networks.blocks import BlockKind
from acutance.networks.discriminator import DiscriminatorConfig, NormalisationKind
from acutance.networks.unet_discriminator import UNetDiscriminatorConfig
from acutance.training import players as building
from acutance.training.batches import batch_generator, draw_batch
from acutance.training.checkpoint import Progress
from acutance.training.config import load_config
from acutance.training.players import assemble
from acutance.training.stepper import Stepper, take_step

READS = ("_local_scalar_dense", "is_nonzero", "item", "equal")
DEPENDS_ON_VALUES = ("nonzero", "masked_select", "unique", "_unique2", "unique_dim", "bincount", "nonzero_static")


class Watching(TorchDispatchMode):
    """Counts the operators that read a value back, and those whose result's shape depends on values."""

    def __init__(self):
        super().__init__()
        self.reads, self.shapes, self.all = Counter(), Counter(), 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        name = operator.overloadpacket.__name__
        self.all += 1
        if name in READS:
            self.reads[name] += 1
        has_mask = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if name in DEPENDS_ON_VALUES or has_mask:
            self.shapes[name] += 1
        return operator(*args, **(kwargs or {}))


def test_the_watcher_sees_what_it_is_to_see():
    values = torch.tensor([0.0, 1.0])
    with Watching() as watching:
        float(values[1])
        bool(values[0] > 0)
        values[values > 0]
        values.nonzero()
    assert watching.reads["_local_scalar_dense"] == 2
    assert watching.shapes["nonzero"] >= 1
    assert watching.shapes.total() >= 2


class FakeFeatures:
    """Convolutions with random weights that have the names of VGG-19's layers; real weights are 80 MB."""

    def __init__(self, layers):
        source = torch.Generator().manual_seed(0)
        self.weights = {name: torch.randn(4, 3, 3, 3, generator=source) for name in layers}

    def __call__(self, images):
        return {name: torch.conv2d(images, weight, padding=1).relu() for name, weight in self.weights.items()}


def small(preset, *overrides):
    """Give a preset with small networks and patches, all else as it is."""
    config = load_config(preset, ["batch=4", "watch.held_out=0", "head_start=random", *overrides])
    generator = config.generator
    coarser = tuple(replace(scale, width=4, num_blocks=1) for scale in generator.coarser)
    judge = config.adversary.discriminator
    if isinstance(judge, DiscriminatorConfig):
        judge = replace(judge, width=2, hidden=4)
    return replace(
        config,
        generator=replace(generator, width=4, num_blocks=1, coarser=coarser),
        adversary=replace(config.adversary, discriminator=judge),
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Give a store of one photo that is large enough for every preset's patches."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0).integers(0, 256, (26, 26, 3), np.uint8)
    Image.fromarray(noise).resize((208, 208), Image.Resampling.BICUBIC).save(folder / "a.png")
    return open_store(folder, tmp_path_factory.mktemp("store"))


@pytest.fixture
def watched(large, fabric, monkeypatch):
    """Give what counts the operators of a step, after one that builds what is built once."""

    def extractor(config, vgg19, device):
        layers = config.objective.feature_layers
        return FakeFeatures(layers) if layers else None

    monkeypatch.setattr(building, "_features", extractor)
    monkeypatch.setattr(blocks, "SAMPLED_FROM", sys.maxsize)  # a short cut that is taken on a CPU alone

    def count(config, *, iteration=None):
        iteration = config.adversary.warmup_iterations if iteration is None else iteration
        sampler = PatchSampler(large, side_px=config.source_px, device=fabric.device)
        players = assemble(config, sampler, fabric=fabric, vgg19=None)
        batch = draw_batch(config, sampler, 0)
        take_step(config, players, batch, iteration=iteration, fabric=fabric)
        with Watching() as watching:
            record = take_step(config, players, batch, iteration=iteration, fabric=fabric)
            players.average.update(players.model, batch=4, images_seen=8, was_applied=record.was_applied)
        assert record.was_applied
        assert watching.all > 50
        return watching

    return count


def assert_never_waits(watching):
    assert not watching.reads
    assert not watching.shapes


@pytest.mark.parametrize("preset", preset_names())
def test_no_preset_reads_anything_back_in_a_step(watched, preset):
    assert_never_waits(watched(small(preset)))


@pytest.mark.parametrize("part", ["content_loss", "game", "term", "optimizer", "block", "judge", "other"])
def test_nothing_that_can_be_set_does(watched, part):
    """All values that there are, from the tables that settings are read by."""
    configs = {
        "content_loss": [replace_objective(content_loss=ContentConfig(kind=kind)) for kind in get_args(ContentKind)],
        "game": [small("nonbn-res-g-l", f"objective.game.kind={kind}") for kind in GAMES],
        "term": [small("fast", "patch_px=48", f"objective.{name}=0.5") for name in TERMS if name != "adversarial"],
        "optimizer": [
            small("nonbn-res-g", f"optimizer.kind={kind}", f"optimizer.clip_norm={norm}")
            for kind in ("adam", "muon")
            for norm in (0.0, 0.1)
        ],
        "block": [small("nonbn-res-g", f"generator.block={kind}") for kind in get_args(BlockKind)],
        "judge": [
            *(
                judged(DiscriminatorConfig(width=2, hidden=4, normalisation=kind))
                for kind in get_args(NormalisationKind)
            ),
            judged(UNetDiscriminatorConfig(width=2)),
            judged(UNetDiscriminatorConfig(width=2, conditional=True)),
        ],
        "other": [
            small("nonbn-res-g-l", "objective.r1=1.0"),
            small("nonbn-res-g-l", "gradient_accumulation=2"),
            small("fast", "precision=bf16-mixed"),
        ],
    }
    assert {type(config.adversary.discriminator) for config in configs["judge"]} == set(DISCRIMINATORS)
    for config in configs[part]:
        assert_never_waits(watched(config))


def replace_objective(**settings):
    config = small("fast")
    return replace(config, objective=replace(config.objective, **settings))


def judged(judge):
    config = small("nonbn-res-g-l")
    return replace(config, adversary=replace(config.adversary, discriminator=judge))


@pytest.mark.parametrize("kind", get_args(Stage), ids=lambda kind: kind.kind)
def test_a_stage_reads_nothing_back_while_it_draws(kind):
    """A stage that is for some of the patches alone has one shape that depends on which they are."""
    found = [
        (config, stage)
        for config in map(load_config, preset_names())
        for stage in config.degradation.stages
        if type(stage) is kind
    ]
    if not found:
        pytest.skip("no preset has such a stage")
    config, stage = max(found, key=lambda pair: getattr(pair[1], "probability", 1.0) < 1)
    side = config.patch_px + 2 * stage.margin_px
    sharp = torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    alone = replace(config.degradation, stages=(stage,), untouched=0.0)
    source = batch_generator(config, 0, sharp.device)
    degrade(alone, sharp, source)
    with Watching() as watching:
        degrade(alone, sharp, source)
    assert not watching.reads
    assert set(watching.shapes) <= {"nonzero"}
    assert watching.shapes.total() <= 1


def test_a_refused_step_is_refused_on_the_device(store, tiny, fabric):
    """Fifty steps, every seventh of which is not finite: the weights are those of a run without these."""
    config = tiny("optimizer.kind=muon", "objective.adversarial=0.01", "adversary.discriminator.width=2")
    sampler = PatchSampler(store, side_px=config.source_px, device=fabric.device)
    batches = [draw_batch(config, sampler, number) for number in range(50)]
    bad = batches[0]._replace(pair=(batches[0].pair[0] * float("nan"), batches[0].pair[1]))
    states = []
    for is_hit in (False, True):
        players = assemble(config, sampler, fabric=fabric, vgg19=None)
        taker = Stepper(config, players, fabric=fabric, example=batches[0], say=pytest.fail)
        for number, batch in enumerate(batches):
            if is_hit and number % 7 == 3:
                assert not taker.take(bad, Progress(iteration=number), rate_share=1.0).was_applied
                assert taker.skipped_in_a_row == 1
            assert taker.take(batch, Progress(iteration=number), rate_share=1.0).was_applied
            assert taker.skipped_in_a_row == 0
        states.append(
            {
                f"{name}.{key}": value
                for name, network in players.trained.networks.items()
                for key, value in network.state_dict().items()
            }
        )
    for name, tensor in states[0].items():
        assert torch.equal(states[1][name], tensor), name
