"""A batch in parts: the same step as in one, with less memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load_file

from acutance.data.patches import PatchSampler
from acutance.errors import ConfigError
from acutance.networks.discriminator import Discriminator
from acutance.networks.generators import Generator
from acutance.training.batches import draw_batch
from acutance.training.checkpoint import Progress
from acutance.training.loop import CHECKPOINT_FILE, GENERATOR_FILE, train
from acutance.training.players import assemble
from acutance.training.processes import check_processes
from acutance.training.stepper import Stepper

GAME = (
    "objective.adversarial=0.1",
    "objective.r1=0.1",
    "adversary.discriminator.width=2",
    "adversary.discriminator.hidden=8",
    "adversary.discriminator.normalisation=group",
)
EVIDENCE = ("objective.evidence.counts=true", "objective.consistency=0.5", "patch_px=48")
OWN_BATCHES = ("adversary.own_batches=true", "adversary.discriminator.conditional=true")


def after_steps(store, config, fabric, *, steps=2):
    """Give the players after a few steps, and the record of the last."""
    sampler = PatchSampler(store, side_px=config.source_px, device=fabric.device)
    players = assemble(config, sampler, fabric=fabric, vgg19=None)
    taker = Stepper(config, players, fabric=fabric, example=draw_batch(config, sampler, 0), say=pytest.fail)
    for number in range(steps):
        progress = Progress(iteration=number, images_seen=number * config.batch)
        record = taker.take(draw_batch(config, sampler, number), progress, rate_share=1.0)
        assert record.was_applied
    return players, record


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("optimizer.clip_norm=0.001",),
        ("objective.content_loss.kind=psnr", "objective.lattice=0.5"),
        (*GAME,),
        (*GAME, *EVIDENCE),
        (*GAME, *OWN_BATCHES),
    ],
    ids=["content", "clipped", "decibels and grids", "game", "evidence", "batches of D's own"],
)
def test_a_step_in_parts_is_the_step_of_the_whole_batch(store, tiny, fabric, settings):
    """Adam divides by the gradient's size, so where that is nothing it shows rounding: SGD-like rates are compared."""
    given = ("batch=4", "watch.validate_every=2", "optimizer.betas=[0.0,0.999]", *settings)
    whole, of_whole = after_steps(store, tiny(*given), fabric)
    parts, of_parts = after_steps(store, tiny(*given, "gradient_accumulation=4"), fabric)
    assert of_whole.terms.keys() == of_parts.terms.keys()
    for name, value in of_whole.terms.items():
        torch.testing.assert_close(of_parts.terms[name], value, atol=1e-6, rtol=1e-4, msg=name)
    torch.testing.assert_close(of_parts.gradient_norm, of_whole.gradient_norm, atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(of_parts.energy_ratio, of_whole.energy_ratio, atol=1e-6, rtol=1e-4)
    assert of_parts.pulls.keys() == of_whole.pulls.keys() == of_whole.terms.keys()
    for name, pull in of_whole.pulls.items():
        assert of_parts.pulls[name] == pytest.approx(pull, rel=1e-3), name
    if of_whole.game is not None:
        torch.testing.assert_close(of_parts.game.loss, of_whole.game.loss, atol=1e-6, rtol=1e-4)
    for name, network in whole.trained.networks.items():
        other = parts.trained.networks[name].state_dict()
        for key, tensor in network.state_dict().items():
            torch.testing.assert_close(other[key], tensor, atol=2e-5, rtol=1e-3, msg=f"{name}.{key}")


def test_gradients_add_up_to_rounding(store, tiny, fabric):
    """With a rate of nothing the weights stay, and the gradients of the last step are those of the whole batch."""
    config = tiny("batch=8", "optimizer.clip_norm=0", "optimizer.learning_rate=1e-12")
    gradients = []
    for parts in (1, 2, 8):
        players, _ = after_steps(store, replace(config, gradient_accumulation=parts), fabric, steps=1)
        gradients.append([parameter.grad.clone() for parameter in players.model.parameters()])
    for whole, *others in zip(*gradients, strict=True):
        for other in others:
            torch.testing.assert_close(other, whole, atol=1e-7, rtol=1e-5)


def test_no_pass_is_larger_than_a_part(store, tiny, fabric, monkeypatch):
    sizes = []

    def noted(forward):
        def run(network, images, **more):
            sizes.append(len(images))
            return forward(network, images, **more)

        return run

    for network in (Generator, Discriminator):
        monkeypatch.setattr(network, "forward", noted(network.forward))
    after_steps(store, tiny(*GAME, "gradient_accumulation=4", "adversary.updates=1"), fabric, steps=1)
    assert max(sizes) == 2, "a patch of G's, and the same beside its truth for D"
    assert sizes.count(1) >= 12


def test_a_step_in_parts_leaves_as_it_was_what_is_not_finite(store, tiny, fabric):
    config = tiny("gradient_accumulation=2", "generator.block=classical")
    sampler = PatchSampler(store, side_px=config.source_px, device=fabric.device)
    players = assemble(config, sampler, fabric=fabric, vgg19=None)
    batch = draw_batch(config, sampler, 0)
    batch.pair[0][-1, 0, 0, 0] = float("nan")  # of the last part alone
    before = {name: tensor.clone() for name, tensor in players.model.state_dict().items()}
    taker = Stepper(config, players, fabric=fabric, example=batch, say=pytest.fail)
    assert not taker.take(batch, Progress(), rate_share=1.0).was_applied
    assert all(torch.equal(tensor, before[name]) for name, tensor in players.model.state_dict().items())


def test_moving_statistics_are_moved_once_by_a_round_of_the_game(store, tiny, fabric):
    """G restores the batch for D first, and then learns from it; each of its parts counts once."""
    config = tiny(*GAME, "gradient_accumulation=2", "generator.block=classical", "adversary.updates=2")
    players, _ = after_steps(store, config, fabric, steps=1)
    counts = {int(value) for name, value in players.model.state_dict().items() if "num_batches" in name}
    assert counts == {2}


def test_a_run_in_parts_resumes_exactly_and_may_go_on_in_others(store, tiny, fabric, tmp_path):
    config = tiny("gradient_accumulation=2")
    train(config, store, tmp_path / "whole", fabric=fabric)
    stops = iter([False, True])
    train(config, store, tmp_path / "halves", fabric=fabric, should_stop=lambda: next(stops))
    train(config, store, tmp_path / "halves", fabric=fabric, resume=True)
    whole, halves = (load_file(tmp_path / run / CHECKPOINT_FILE) for run in ("whole", "halves"))
    assert all(torch.equal(tensor, halves[name]) for name, tensor in whole.items())
    longer = tiny("gradient_accumulation=4", "schedule.iterations=5")
    assert train(longer, store, tmp_path / "halves", fabric=fabric, resume=True).images_seen == 5 * config.batch


def test_averages_and_schedule_are_those_of_the_whole_batch(store, tiny, fabric, tmp_path):
    """A half-life of 20 patches, and rates that fall: both go by patches and steps, not by parts."""
    for parts in (1, 4):
        config = tiny("ema_half_life_kimg=0.02", f"gradient_accumulation={parts}", "optimizer.betas=[0.0,0.999]")
        progress = train(config, store, tmp_path / str(parts), fabric=fabric)
        assert (progress.iteration, progress.images_seen) == (4, 16)
    one, four = (load_file(tmp_path / str(parts) / GENERATOR_FILE) for parts in (1, 4))
    for name, tensor in one.items():
        torch.testing.assert_close(four[name], tensor, atol=2e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("gradient_accumulation=3",), r"gradient_accumulation = 3: must be at least 1, and batch \(4\) a multiple"),
        (("gradient_accumulation=0",), "gradient_accumulation = 0: must be at least 1"),
        ((*GAME, "gradient_accumulation=2", "objective.game.kind=relativistic"), "set gradient_accumulation = 1"),
    ],
)
def test_what_cannot_be_cut_is_refused(tiny, settings, words):
    with pytest.raises(ConfigError, match=words):
        tiny(*settings)


def test_parts_and_processes_share_a_batch(tiny):
    check_processes(tiny("gradient_accumulation=2"), 2)
    with pytest.raises(ConfigError, match="by 2 processes in 4 parts each; make it a multiple of 8"):
        check_processes(tiny("gradient_accumulation=4"), 2)
