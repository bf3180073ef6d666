"""The round of the game: who moves when, and that nobody else does."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load_file

from acutance.data.patches import PatchSampler
from acutance.errors import ConfigError, JobError
from acutance.losses.objective import ObjectiveConfig
from acutance.networks.discriminator import Discriminator, DiscriminatorConfig
from acutance.networks.generators import Generator, GeneratorConfig
from acutance.training.batch import Batch
from acutance.training.batches import draw_batch
from acutance.training.device import open_fabric
from acutance.training.loop import CHECKPOINT_FILE, train
from acutance.training.players import assemble
from acutance.training.step import Player, train_step
from acutance.training.stepper import take_step

GAME = (
    "objective.adversarial=0.01",
    "adversary.discriminator.width=2",
    "adversary.discriminator.hidden=8",
    "adversary.optimizer.learning_rate=1e-3",
)
OBJECTIVE = ObjectiveConfig(adversarial=0.1)


class Counting(torch.nn.Module):
    """Counts the passes of a network and remembers their sizes."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.batches = []

    def forward(self, images, batches=1):
        self.batches.append((len(images), batches))
        return self.inner(images, batches)


def build(normalisation="batch"):
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=4, num_blocks=1))
    judge = DiscriminatorConfig(width=2, hidden=8, patch_px=16, normalisation=normalisation)
    return generator, Counting(Discriminator(judge))


def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 4, 3, 16, 16, generator=generator).unbind(0)


def weights_of(network):
    # Not `parameters_to_vector`: it views, and weights may lie channels last.
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).clone()


def play(fabric, generator, discriminator, *, rates=(0.1, 0.1), objective=OBJECTIVE, updates=2, see=None, others=()):
    players = []
    for network, rate in zip((generator, discriminator), rates, strict=True):
        placed, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=rate))
        players.append(Player(placed, [optimizer]))
    return train_step(
        fabric,
        *players,
        Batch(batch(), of_discriminator=others),
        objective=objective,
        features=see,
        discriminator_updates=updates,
    )


def test_d_is_updated_twice_and_asked_once_more(fabric):
    generator, discriminator = build()
    record = play(fabric, generator, discriminator)
    assert discriminator.batches == [(8, 2), (8, 2), (4, 1)]
    assert record.was_applied
    assert set(record.terms) == {"content", "adversarial"}
    assert 0 <= float(record.game.accuracy_real) <= 1
    assert all(parameter.requires_grad for parameter in discriminator.parameters())


def test_d_learns_from_batches_of_its_own_where_it_has_some(fabric):
    """Its loss is that of its own last batch; G's is still that of the batch of the step."""
    own = tuple(Batch(torch.rand(2, 4, 3, 16, 16).unbind(0)) for _ in range(2))
    shared, apart, expected = (
        play(fabric, *build("group"), rates=(0.0, 0.0), others=others) for others in ((), own, (own[1],) * 2)
    )
    assert float(apart.game.loss) == float(expected.game.loss) != float(shared.game.loss)
    assert float(apart.terms["content"]) == float(shared.terms["content"])


@pytest.mark.parametrize(("rates", "moves"), [((0.1, 0.0), (True, False)), ((0.0, 0.1), (False, True))])
def test_each_moves_only_by_its_own_optimizer(fabric, rates, moves):
    networks = build()
    before = [weights_of(network) for network in networks]
    play(fabric, *networks, rates=rates)
    after = [weights_of(network) for network in networks]
    assert [not torch.equal(a, b) for a, b in zip(before, after, strict=True)] == list(moves)


def test_d_gets_better_at_telling_them_apart(fabric):
    generator, discriminator = build("group")
    losses = [float(play(fabric, generator, discriminator, rates=(0.0, 0.05), updates=1).game.loss) for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]


def test_features_of_the_truth_carry_no_gradient_and_are_made_once(fabric):
    seen = []

    def see(images):
        seen.append(images.requires_grad)
        return {"pool2": images.mean(dim=1, keepdim=True), "pool5": images}

    objective = ObjectiveConfig(perceptual=0.1, adversarial=0.1)
    record = play(fabric, *build(), objective=objective, see=see)
    assert seen == [False, True]
    assert set(record.terms) == {"content", "perceptual", "adversarial"}


def test_relativistic_games_ask_d_about_the_truth_too(fabric):
    from acutance.losses.adversarial import GameConfig

    generator, discriminator = build("group")
    play(
        fabric,
        generator,
        discriminator,
        objective=ObjectiveConfig(adversarial=0.1, game=GameConfig(kind="relativistic")),
    )
    assert len(discriminator.batches) == 4  # two updates, then both sides


def test_of_a_relativistic_d_only_differences_are_right_or_wrong(fabric):
    from acutance.losses.adversarial import GameConfig

    objective = ObjectiveConfig(adversarial=0.1, game=GameConfig(kind="relativistic"))
    told = []
    for level in (0.0, 50.0):  # at which all logits lie above 0
        generator, discriminator = build("group")
        torch.nn.init.constant_(discriminator.inner.logit.bias, level)
        game = play(fabric, generator, discriminator, objective=objective, updates=1).game
        told.append((float(game.accuracy_real), float(game.accuracy_fake)))
    assert told[0] == told[1]


def test_a_game_with_r1(fabric):
    record = play(fabric, *build("group"), objective=ObjectiveConfig(adversarial=0.1, r1=1.0))
    assert record.was_applied


def stop_after(steps):
    seen = []
    return {"on_tick": seen.append, "should_stop": lambda: len(seen) + 1 >= steps}


@pytest.mark.parametrize("extra", [(), ("adversary.warmup_iterations=3",), ("optimizer.kind=muon",)])
def test_two_and_two_rounds_are_four(tmp_path, tiny, store, fabric, extra):
    config = tiny(*GAME, *extra, "watch.held_out=0")
    train(config, store, tmp_path / "whole", fabric=fabric)
    train(config, store, tmp_path / "parts", fabric=fabric, **stop_after(2))
    train(config, store, tmp_path / "parts", fabric=fabric, resume=True)
    whole, parts = (load_file(tmp_path / name / CHECKPOINT_FILE) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert any(name.startswith("discriminator.") for name in whole)
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name


def test_while_it_warms_up_content_alone_counts(tiny, store, fabric):
    """D and the terms besides the content wait; from the first step after the warm-up on they play."""
    config = tiny(*GAME, "adversary.warmup_iterations=2", "watch.held_out=0")
    sampler = PatchSampler(store, side_px=config.source_px, device=fabric.device)
    players = assemble(config, sampler, fabric=fabric, vgg19=None)
    judge = players.trained.networks["discriminator"]
    before = weights_of(judge)
    for iteration in range(3):
        batch = draw_batch(config, sampler, iteration)
        record = take_step(config, players, batch, iteration=iteration, fabric=fabric)
        if iteration < 2:
            assert set(record.terms) == {"content"}
            assert record.game is None
            assert torch.equal(weights_of(judge), before)
    assert set(record.terms) == {"content", "adversarial"}
    assert record.game is not None
    assert not torch.equal(weights_of(judge), before)


def test_features_without_weights_are_refused_before_anything_is_written(tmp_path, tiny, store, fabric):
    with pytest.raises(ConfigError, match="VGG-19"):
        train(tiny("objective.perceptual=0.1"), store, tmp_path / "run", fabric=fabric)
    assert not (tmp_path / "run").exists()


def test_a_discriminator_that_does_not_fit_the_patches_is_refused(tiny):
    with pytest.raises(ConfigError, match=r"discriminator\.patch_px"):
        tiny(*GAME, "patch_px=8")


def test_a_game_that_blows_up_goes_back_and_slows_down(tmp_path, tiny, store, fabric):
    """D's rate is absurd: its weights overflow; the run returns to its checkpoint, slower each time, then gives up."""
    overrides = (*GAME, "schedule.iterations=400", "watch.held_out=0", "watch.save_every=1", "watch.log_every=1000")
    config = tiny(*overrides, "adversary.optimizer.learning_rate=1e30", "schedule.warmup_iterations=0")
    ticks = []
    with pytest.raises(JobError, match="no finite gradient"):
        train(config, store, tmp_path / "run", fabric=fabric, on_tick=ticks.append)
    words = [line for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines() if "health" in line]
    assert len(words) == 3
    assert all("half the rates" in line for line in words)
    assert ticks[-1].progress.rate_factor == 0.125


def test_training_starts_from_earlier_weights(tmp_path, tiny, store, fabric):
    train(tiny("watch.held_out=0"), store, tmp_path / "first", fabric=fabric)
    weights = tmp_path / "first" / "generator.safetensors"
    still = ("optimizer.learning_rate=1e-30", "schedule.iterations=1", "watch.held_out=0")
    train(tiny(f"start_from={weights}", *still), store, tmp_path / "second", fabric=fabric)
    first, second = (load_file(tmp_path / name / "generator.safetensors") for name in ("first", "second"))
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=0, atol=1e-7)
    with pytest.raises(ConfigError, match="start_from"):
        train(tiny(f"start_from={weights}", "generator.width=12"), store, tmp_path / "third", fabric=fabric)


@pytest.mark.parametrize("every", [1, 2])
def test_the_pull_of_each_term_is_recorded_and_changes_nothing(tmp_path, tiny, store, fabric, every):
    runs = {}
    for name, watch in (("watched", every), ("not", 1000)):
        config = tiny(*GAME, f"watch.validate_every={watch}", "watch.held_out=0")
        train(config, store, tmp_path / name, fabric=fabric)
        lines = [json.loads(line) for line in (tmp_path / name / "stats.jsonl").read_text().splitlines()]
        runs[name] = ([line for line in lines if line["kind"] == "pull"], load_file(tmp_path / name / CHECKPOINT_FILE))
    pulls, weights = runs["watched"]
    assert [line["iteration"] for line in pulls] == list(range(every, 5, every))
    assert all(line["content"] > 0 and line["adversarial"] > 0 for line in pulls)
    assert runs["not"][0] == []
    for name, tensor in weights.items():
        assert torch.equal(tensor, runs["not"][1][name]), name


def test_all_that_is_measured_can_be_measured_in_bfloat16(tmp_path, tiny, store):
    """Gradients that are not of the loss: R1's, and the pull of each term."""
    config = tiny(*GAME, "objective.r1=0.1", "precision=bf16-mixed", "watch.validate_every=2", "watch.held_out=0")
    train(config, store, tmp_path / "run", fabric=open_fabric("cpu", precision="bf16-mixed"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    assert [line["adversarial"] > 0 for line in lines if line["kind"] == "pull"] == [True, True]


def test_bfloat16_leaves_what_goes_in_and_comes_out_as_it_is():
    fabric = open_fabric("cpu", precision="bf16-mixed")
    network = fabric.setup(Generator(GeneratorConfig(width=4, num_blocks=1)))
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    images = batch()[0]
    assert torch.equal(network(images), images)  # the input is added to nothing, unrounded


def test_compiled_networks_have_no_second_derivative(tiny):
    with pytest.raises(ConfigError, match="second derivative"):
        tiny(*GAME, "objective.r1=0.1", "compiles=true")


@pytest.mark.parametrize("own", [False, True])
def test_a_refused_round_leaves_no_trace_in_anybodys_statistics(fabric, own):
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=4, num_blocks=1, block="classical"))
    _, discriminator = build()
    play(fabric, generator, discriminator)
    before = [buffer.clone() for network in (generator, discriminator) for buffer in network.buffers()]
    bad = torch.full((2, 4, 3, 16, 16), float("nan")).unbind(0)
    players = [Player(*setup_of(fabric, network)) for network in (generator, discriminator)]
    record = train_step(
        fabric,
        *players,
        Batch(bad, of_discriminator=(Batch(bad),) * 2 if own else ()),
        objective=OBJECTIVE,
        features=None,
        discriminator_updates=2,
    )
    assert not record.was_applied
    after = [buffer for network in (generator, discriminator) for buffer in network.buffers()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def setup_of(fabric, network):
    placed, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=0.1))
    return placed, [optimizer]


CONDITIONAL_EVIDENCE = ("adversary.discriminator.conditional=true", "objective.evidence.counts=true", "patch_px=24")
UNET = ("adversary.discriminator={kind='unet',width=2}", "objective.adversarial=0.05")


@pytest.mark.parametrize(
    "more",
    [(), ("objective.r1=0.1",), ("gradient_accumulation=2",), ("objective.game.kind=hinge",), CONDITIONAL_EVIDENCE],
)
def test_a_d_that_judges_every_pixel_plays_and_resumes_exactly(store, tiny, fabric, tmp_path, more):
    config = tiny(*UNET, *more)
    train(config, store, tmp_path / "whole", fabric=fabric)
    stops = iter([False, True])
    train(config, store, tmp_path / "halves", fabric=fabric, should_stop=lambda: next(stops))
    train(config, store, tmp_path / "halves", fabric=fabric, resume=True)
    whole, halves = (load_file(tmp_path / run / CHECKPOINT_FILE) for run in ("whole", "halves"))
    assert any("discriminator.down.0.parametrizations" in name for name in whole)
    assert all(torch.equal(tensor, halves[name]) for name, tensor in whole.items())


def test_it_learns_to_tell_restored_from_true(store, tiny, fabric, tmp_path):
    config = tiny(*UNET, "adversary.optimizer.learning_rate=3e-3", "schedule.iterations=40", "watch.log_every=10")
    config = replace(config, optimizer=replace(config.optimizer, learning_rate=1e-9))  # G stays as it begins
    train(config, store, tmp_path / "run", fabric=fabric)
    lines = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    losses = [line["discriminator_loss"] for line in lines if line["kind"] == "train"]
    assert losses[-1] < 0.9 * losses[0]
