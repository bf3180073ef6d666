"""Steps that know what their patches were blurred with: consistency, evidence, and a D that sees the input."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load_file

from acutance.data.patches import PatchSampler
from acutance.degradations.blur import blur
from acutance.degradations.psf import gaussian_psf
from acutance.errors import ConfigError
from acutance.losses.evidence import EvidenceConfig
from acutance.losses.objective import ObjectiveConfig
from acutance.networks.discriminator import Discriminator, DiscriminatorConfig
from acutance.training.batch import Batch, Known
from acutance.training.batches import PairSource, draw_batch
from acutance.training.loop import CHECKPOINT_FILE, train
from acutance.training.step import Player, train_step

KNOWING = (
    "objective.adversarial=0.01",
    "objective.consistency=1.0",
    "objective.evidence.counts=true",
    "adversary.discriminator.width=2",
    "adversary.discriminator.hidden=8",
    "adversary.discriminator.conditional=true",
    "patch_px=20",
)
CPU = torch.device("cpu")


class Given(torch.nn.Module):
    """A generator that gives what it was told, through one weight that can be moved."""

    def __init__(self, output):
        super().__init__()
        self.output = output
        self.gains = torch.nn.Parameter(torch.ones(len(output), 1, 1, 1))

    def forward(self, images):
        return self.gains * self.output


class Watched(torch.nn.Module):
    """Remembers what a discriminator is shown."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.seen = inner, []

    def forward(self, images, batches=1):
        self.seen.append(images.detach())
        return self.inner(images, batches)


def known(sigmas, noise=None):
    sigma = torch.tensor(sigmas)
    kernels = gaussian_psf(sigma, sigma, torch.zeros_like(sigma), radius_px=8)
    return Known(kernels, torch.zeros_like(sigma) if noise is None else torch.tensor(noise))


def patches(count=2, side=32, seed=0):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def player(fabric, network, rate=0.1):
    placed, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=rate))
    return Player(placed, [optimizer])


# --- consistency ------------------------------------------------------------------------------------------


def consistency(fabric, output, truth, what):
    batch = Batch((truth, truth), what)
    record = train_step(fabric, player(fabric, Given(output)), None, batch, objective=ObjectiveConfig(consistency=1.0))
    return float(record.terms["consistency"])


def test_the_truth_is_consistent(fabric):
    assert consistency(fabric, patches(), patches(), known([1.0, 2.0])) == 0.0


def test_what_the_blur_takes_away_may_be_invented_and_nothing_else(fabric):
    truth = patches()
    stripes = 0.1 * (-1.0) ** torch.arange(32.0)
    hidden = consistency(fabric, truth + stripes, truth, known([2.0, 2.0]))
    assert hidden < 1e-5  # a Gaussian of 2 px leaves nothing of stripes of 1 px
    assert consistency(fabric, truth + 0.1, truth, known([2.0, 2.0])) == pytest.approx(0.1, rel=1e-4)


def test_the_truth_blurred_again_is_the_input(store, tiny):
    """In gamma space, without noise, and up to the rounding of the input."""
    config = tiny("objective.consistency=1.0", "patch_px=32")
    sampler = PatchSampler(store, side_px=config.source_px, device=CPU)
    batch = draw_batch(config, sampler, 0)
    (degraded, reference), what = batch.pair, batch.known
    inner = degraded[..., 8:-8, 8:-8]
    assert float((blur(reference, what.kernels) - inner).abs().max()) < 0.51 / 255 + 1e-5


# --- evidence ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", ["perceptual", "adversarial"])
def test_patches_without_evidence_have_no_such_gradient(fabric, term):
    generator = Given(patches(3))
    judge = Discriminator(DiscriminatorConfig(width=2, hidden=8, patch_px=32, normalisation="group"))
    train_step(
        fabric,
        player(fabric, generator, rate=0.0),
        player(fabric, judge) if term == "adversarial" else None,
        Batch((patches(3, seed=1), patches(3, seed=1)), known([1.0, 4.0, 1.0], noise=[0.0, 0.0, 0.05])),
        objective=ObjectiveConfig(content=0.0, evidence=EvidenceConfig(counts=True), **{term: 1.0}),
        features=lambda images: {"pool2": images, "pool5": images},
        discriminator_updates=1,
    )
    crisp, wide, noisy = generator.gains.grad.flatten().tolist()
    assert crisp != 0.0
    assert (wide, noisy) == (0.0, 0.0)


def test_content_and_consistency_train_on_all_patches(fabric):
    generator = Given(patches(2))
    objective = ObjectiveConfig(consistency=1.0, evidence=EvidenceConfig(counts=True), perceptual=1.0)
    train_step(
        fabric,
        player(fabric, generator, rate=0.0),
        None,
        Batch((patches(2, seed=1), patches(2, seed=1)), known([1.0, 4.0])),
        objective=objective,
        features=lambda images: {"pool2": images, "pool5": images},
        discriminator_updates=1,
    )
    assert all(slope != 0.0 for slope in generator.gains.grad.flatten().tolist())


def test_d_learns_nothing_from_patches_without_evidence(fabric):
    judge = Discriminator(DiscriminatorConfig(width=2, hidden=8, patch_px=32, normalisation="group"))
    before = torch.nn.utils.parameters_to_vector(judge.parameters()).detach().clone()
    record = train_step(
        fabric,
        player(fabric, Given(patches())),
        player(fabric, judge),
        Batch((patches(seed=1), patches(seed=1)), known([4.0, 4.0])),
        objective=ObjectiveConfig(adversarial=1.0, evidence=EvidenceConfig(counts=True)),
        features=None,
        discriminator_updates=1,
    )
    assert torch.equal(torch.nn.utils.parameters_to_vector(judge.parameters()), before)
    assert (float(record.game.accuracy_real), float(record.game.accuracy_fake)) == (0.0, 0.0)


# --- a conditional game -----------------------------------------------------------------------------------


def test_d_sees_the_input_beside_truth_and_output(fabric):
    output, degraded, reference = patches(), patches(seed=1), patches(seed=2)
    shape = DiscriminatorConfig(width=2, hidden=8, patch_px=32, normalisation="group", conditional=True)
    judge = Watched(Discriminator(shape))
    train_step(
        fabric,
        player(fabric, Given(output), rate=0.0),
        player(fabric, judge),
        Batch((degraded, reference)),
        objective=ObjectiveConfig(adversarial=1.0, r1=0.1),
        features=None,
        discriminator_updates=1,
        is_conditional=True,
    )
    truth, made = (torch.cat([pictures, degraded], dim=1) for pictures in (reference, output))
    assert torch.equal(judge.seen[0], torch.cat([truth, made]))
    assert torch.equal(judge.seen[1], truth)  # R1's
    assert torch.equal(judge.seen[2], made)


# --- a run ------------------------------------------------------------------------------------------------


def test_what_is_known_comes_with_the_batch_it_belongs_to(store, tiny):
    config = tiny(*KNOWING)
    sampler = PatchSampler(store, side_px=config.source_px, device=CPU)
    together = draw_batch(config, sampler, 0, count=3 * config.batch)
    source = PairSource(config, sampler, ahead=3)
    for iteration in (0, 2, 1):
        batch = source.batch(iteration)
        assert torch.equal(batch.pair[0], together.pair[0][iteration::3])
        for part, whole in zip(batch.known, together.known, strict=True):
            assert torch.equal(part, whole[iteration::3])


def test_knowing_changes_no_patch(store, tiny):
    plain, knowing = tiny("patch_px=20"), tiny(*KNOWING)
    sampler = PatchSampler(store, side_px=plain.source_px, device=CPU)
    assert draw_batch(plain, sampler, 3).known is None
    for before, after in zip(draw_batch(plain, sampler, 3).pair, draw_batch(knowing, sampler, 3).pair, strict=True):
        assert torch.equal(before, after)


def test_two_and_two_rounds_are_four(tmp_path, tiny, store, fabric):
    config = tiny(*KNOWING, "watch.held_out=0")
    seen = []
    train(config, store, tmp_path / "whole", fabric=fabric)
    train(
        config,
        store,
        tmp_path / "parts",
        fabric=fabric,
        on_tick=seen.append,
        should_stop=lambda: len(seen) + 1 >= 2,
    )
    train(config, store, tmp_path / "parts", fabric=fabric, resume=True)
    whole, parts = (load_file(tmp_path / name / CHECKPOINT_FILE) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name


def test_a_warm_up_is_consistent_too(tmp_path, tiny, store, fabric):
    config = tiny(*KNOWING, "watch.held_out=0", "adversary.warmup_iterations=4", "watch.log_every=4")
    train(config, store, tmp_path / "run", fabric=fabric)
    line = next(line for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines() if '"train"' in line)
    assert '"consistency"' in line
    assert '"adversarial"' not in line


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("objective.consistency=1.0", "degradation.stages=[]"), "exactly one blur stage"),
        (("objective.evidence.counts=true", "degradation.stages=[]"), "exactly one blur stage"),
        (("objective.consistency=1.0", "patch_px=16"), "as large as the kernels"),
        (("objective.evidence.blur_px=[3.0, 2.0]",), "must rise"),
    ],
)
def test_what_cannot_be_known_is_refused(tiny, overrides, message):
    with pytest.raises(ConfigError, match=message):
        tiny(*overrides)


def test_a_conditional_d_is_refused_where_sizes_differ():
    from acutance.training.config import load_config

    with pytest.raises(ConfigError, match=r"only for generator\.scale = 1"):
        load_config("fast-x2", ["adversary.discriminator.conditional=true"])
