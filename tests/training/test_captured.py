"""What a captured step needs of optimisers, average and checkpoint; the capture itself where there is CUDA."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch import nn

from acutance.data.patches import PatchSampler
from acutance.networks.generators import Generator, GeneratorConfig
from acutance.training import stepper
from acutance.training.batch import Batch
from acutance.training.batches import draw_batch
from acutance.training.checkpoint import Progress, Trained, load_checkpoint, save_checkpoint
from acutance.training.device import open_fabric
from acutance.training.ema import RAMP_UP, WeightAverage
from acutance.training.optimizers import Muon, OptimizerConfig, build_optimizers
from acutance.training.players import assemble
from acutance.training.stepper import Stepper, captured_step

CPU = torch.device("cpu")
MUON = ("optimizer.kind=muon", "optimizer.clip_norm=0")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- a step that the device decides not to take -----------------------------------------------------------


def muon_after(flags):
    """Take a step for each flag; where it is 1, with gradients that are not finite."""
    weights = [nn.Parameter(torch.randn(6, 3, 3, 3, generator=seeded(seed))) for seed in (1, 2)]
    muon = Muon(weights, lr=0.1, momentum=0.9)
    source = seeded(3)
    for flag in flags:
        muon.found_inf = None if flag is None else torch.tensor(float(flag))
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=source)
            if flag == 1:
                weight.grad[0, 0] = torch.tensor([float("nan"), float("inf"), 1.0])
        muon.step()
    return [*weights, *(muon.state[weight]["momentum"] for weight in weights)]


def test_muon_with_nothing_found_is_muon():
    for found, plain in zip(muon_after([0, 0, 0]), muon_after([None, None, None]), strict=True):
        torch.testing.assert_close(found, plain, atol=0, rtol=0)


def test_muon_changes_nothing_where_the_gradient_is_not_finite():
    before = muon_after([0, 0])
    after = muon_after([0, 0, 1])
    for kept, changed in zip(before, after, strict=True):
        assert torch.equal(kept, changed)


def test_the_first_of_all_steps_may_be_the_one_that_is_not_taken():
    first = nn.Parameter(torch.randn(6, 3, 3, 3, generator=seeded(1)))
    weights = muon_after([1])
    assert torch.equal(weights[0], first)
    assert not weights[2].any()  # the momentum is still nothing


def test_rates_may_be_tensors():
    weight, other = (nn.Parameter(torch.randn(6, 3, 3, 3, generator=seeded(1))) for _ in range(2))
    muon, plain = Muon([weight], lr=0.1, momentum=0.9), Muon([other], lr=0.1, momentum=0.9)
    muon.param_groups[0]["lr"] = torch.tensor(0.1)
    for one, optimizer in ((weight, muon), (other, plain)):
        one.grad = torch.randn(one.shape, generator=seeded(2))
        optimizer.step()
    torch.testing.assert_close(weight, other)


# --- the average ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seen", "half_life_img"), [(10_000_000, 500.0), (1_000, 1_000 * RAMP_UP)])
def test_the_average_says_how_far_it_moves(seen, half_life_img):
    average = WeightAverage(nn.Linear(1, 1, bias=False), half_life_kimg=0.5)
    share = average.share(batch=50, images_seen=seen)
    assert share == pytest.approx(1 - 0.5 ** (50 / half_life_img))
    before = average.model.weight.item()
    other = nn.Linear(1, 1, bias=False)
    average.update(other, batch=50, images_seen=seen)
    assert average.model.weight.item() == pytest.approx(before + share * (other.weight.item() - before), rel=1e-5)


# --- where a step is not captured -------------------------------------------------------------------------


def players_of(store, config, fabric):
    sampler = PatchSampler(store, side_px=config.source_px, device=fabric.device)
    return assemble(config, sampler, fabric=fabric, vgg19=None), draw_batch(config, sampler, 0).pair


def test_on_a_cpu_nothing_is_captured(store, tiny, fabric):
    config = tiny(*MUON)
    players, pair = players_of(store, config, fabric)
    said = []
    assert captured_step(config, players, Batch(pair), fabric=fabric, say=said.append) is None
    assert said == []


def test_a_stepper_counts_the_steps_that_were_not_applied_and_averages_the_others(store, tiny, fabric):
    config = tiny(*MUON)
    players, pair = players_of(store, config, fabric)
    taker = Stepper(config, players, fabric=fabric, example=Batch(pair), say=print)
    before = copy.deepcopy(players.average.model.state_dict())
    for count in (1, 2):
        record = taker.take(Batch((pair[0] * float("nan"), pair[1])), Progress(), rate_share=1.0)
        assert not record.was_applied
        assert taker.skipped_in_a_row == count
    assert all(torch.equal(tensor, before[name]) for name, tensor in players.average.model.state_dict().items())
    assert taker.take(Batch(pair), Progress(), rate_share=1.0).was_applied
    assert taker.skipped_in_a_row == 0
    assert not all(torch.equal(tensor, before[name]) for name, tensor in players.average.model.state_dict().items())


# --- a checkpoint that is loaded while a run goes on ------------------------------------------------------


def trained(seed):
    """Give a network after two steps, and its optimisers."""
    torch.manual_seed(seed)
    network = Generator(GeneratorConfig(width=4, num_blocks=1))
    optimizers = build_optimizers(OptimizerConfig(kind="muon"), network, last=network.tail.weight)
    for _ in range(2):
        network.zero_grad()
        network(torch.rand(1, 3, 8, 8)).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
    return Trained({"generator": network}, optimizers)


def moments(one):
    return [
        value
        for optimizer in one.optimizers
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]


def test_going_back_leaves_moments_where_a_captured_step_knows_them(tmp_path):
    """A graph reads and writes memory: moments that were put elsewhere would be none of its business."""
    good, other = trained(0), trained(1)
    save_checkpoint(tmp_path / "checkpoint", good, Progress())
    places = [value.data_ptr() for value in moments(other)]
    load_checkpoint(tmp_path / "checkpoint", other)
    assert [value.data_ptr() for value in moments(other)] == places
    assert len(places) > 5
    for value, expected in zip(moments(other), moments(good), strict=True):
        assert torch.equal(value, expected)


# --- captured ---------------------------------------------------------------------------------------------

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="a step is captured on a CUDA device alone")


@needs_cuda
@pytest.mark.gpu
def test_captured_steps_are_those_launched_from_python(store, tiny, monkeypatch):
    config = tiny(*MUON, "schedule.warmup_iterations=0", "watch.log_every=1")
    fabric = open_fabric("cuda")
    (captured, pair), (launched, _) = (players_of(store, config, fabric) for _ in range(2))
    by_graph = Stepper(config, captured, fabric=fabric, example=Batch(pair), say=pytest.fail)
    monkeypatch.setattr(stepper, "captured_step", lambda *given, **settings: None)
    by_hand = Stepper(config, launched, fabric=fabric, example=Batch(pair), say=pytest.fail)
    bad = (pair[0] * float("nan"), pair[1])
    for number, given in enumerate((pair, pair, bad, pair)):
        progress = Progress(iteration=number, images_seen=number * config.batch)
        for one in (by_graph, by_hand):
            one.take(given, progress, rate_share=0.5)
            assert one.skipped_in_a_row == (1 if given is bad else 0)
    for first, second in ((captured.model, launched.model), (captured.average.model, launched.average.model)):
        for name, tensor in first.state_dict().items():
            torch.testing.assert_close(tensor, second.state_dict()[name], atol=2e-4, rtol=1e-3, msg=name)
