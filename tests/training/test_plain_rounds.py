"""Steps give what anybody would write down plainly: torch's own Adam, and a host that looks at every number.

What makes ours fast must not change what they give: decisions on the device, D's two batches in one pass, G's output
kept for D, weights in the order of memory, the average in one call. Compared in float64: in float32 a gradient near
nothing gets another sign by rounding, and Adam takes a whole step for it.
"""

from __future__ import annotations

import copy
import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from acutance.data.patches import PatchSampler
from acutance.training.batches import draw_batch
from acutance.training.checkpoint import Progress
from acutance.training.ema import RAMP_UP
from acutance.training.players import assemble
from acutance.training.stepper import Stepper

STEPS = 50
HALF_LIFE_IMG = 60.0
GAME = ("objective.adversarial=0.01", "adversary.discriminator.width=4", "adversary.discriminator.hidden=8")


@pytest.fixture
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def in_full(batch):
    """Give a batch in float64."""
    degraded, reference = (images.double() for images in batch.pair)
    return batch._replace(pair=(degraded, reference), of_discriminator=tuple(map(in_full, batch.of_discriminator)))


def rate_of(number):
    """Give a share of the learning rate's height that changes from step to step."""
    return 0.2 + 0.8 * abs(math.cos(number))


class PlainPlayer:
    """A network, torch's Adam, and a step that is taken or not."""

    def __init__(self, network, config):
        self.network, self.clip_norm, self.height = network, config.clip_norm, config.learning_rate
        self.adam = torch.optim.Adam(network.parameters(), lr=self.height, betas=config.betas, foreach=False)

    def descend(self, loss, share, buffers):
        """Take the step where all numbers are finite; else put the moving statistics back."""
        self.network.zero_grad()
        loss.backward()
        gradients = [weight.grad for weight in self.network.parameters()]
        norm = math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients))
        if not (math.isfinite(loss.item()) and math.isfinite(norm)):
            for buffer, kept in zip(self.network.buffers(), buffers, strict=True):
                buffer.data.copy_(kept)
            return False
        if self.clip_norm and norm > self.clip_norm:
            for gradient in gradients:
                gradient.mul_(self.clip_norm / norm)
        self.adam.param_groups[0]["lr"] = self.height * share
        self.adam.step()
        return True


def kept(network):
    return [buffer.clone() for buffer in network.buffers()]


class Plainly:
    """The content step and the round of the game, word for word."""

    def __init__(self, config, generator, judge):
        self.config = config
        self.generator = PlainPlayer(generator, config.optimizer)
        self.judge = None if judge is None else PlainPlayer(judge, config.adversary.optimizer)
        self.average = copy.deepcopy(generator).eval()
        self.seen = 0

    def take(self, batch, share):
        degraded, reference = batch.pair
        before = kept(self.generator.network)
        restored = self.generator.network(degraded)
        for update in range(self.config.adversary.updates if self.judge else 0):
            shown = batch.of_discriminator[update].pair if batch.of_discriminator else None
            fake = restored.detach() if shown is None else self.generator.network(shown[0]).detach()
            truth = reference if shown is None else shown[1]
            of_judge = kept(self.judge.network)
            real, made = self.judge.network(truth), self.judge.network(fake)
            right = binary_cross_entropy_with_logits(real, torch.ones_like(real))
            wrong = binary_cross_entropy_with_logits(made, torch.zeros_like(made))
            self.judge.descend(right + wrong, share, of_judge)
        loss = self.config.objective.content * (restored - reference).abs().mean()
        if self.judge:
            of_judge = kept(self.judge.network)
            fooled = self.judge.network(restored)
            loss = loss + self.config.objective.adversarial * binary_cross_entropy_with_logits(
                fooled, torch.ones_like(fooled)
            )
        self.seen += self.config.batch
        is_taken = self.generator.descend(loss, share, before)
        if not is_taken and self.judge:
            for buffer, old in zip(self.judge.network.buffers(), of_judge, strict=True):
                buffer.data.copy_(old)
        if is_taken:
            self._move_average()

    @torch.no_grad()
    def _move_average(self):
        share = 1 - 0.5 ** (self.config.batch / min(HALF_LIFE_IMG, RAMP_UP * self.seen))
        now = self.generator.network.state_dict()
        for name, old in self.average.state_dict().items():
            old.copy_(old + share * (now[name] - old) if old.is_floating_point() else now[name])


@pytest.mark.parametrize(
    "others",
    [
        (),
        GAME,
        (*GAME, "adversary.own_batches=true", "generator.block=classical", "generator.activation=relu"),
    ],
    ids=["content", "game", "game with batches of D's own and normalisation"],
)
def test_fifty_steps_are_those_of_a_plain_loop(store, tiny, fabric, in_float64, others):
    config = tiny("optimizer.clip_norm=0.2", f"ema_half_life_kimg={HALF_LIFE_IMG / 1_000}", *others)
    sampler = PatchSampler(store, side_px=config.source_px, device=fabric.device)
    players = assemble(config, sampler, fabric=fabric, vgg19=None)
    judge = players.trained.networks.get("discriminator")
    plainly = Plainly(config, copy.deepcopy(players.model), copy.deepcopy(judge))
    batches = [in_full(draw_batch(config, sampler, number)) for number in range(STEPS)]
    bad = batches[20].pair
    batches[20] = batches[20]._replace(pair=(bad[0] * float("nan"), bad[1]))
    stepper = Stepper(config, players, fabric=fabric, example=batches[0], say=pytest.fail)
    for number, batch in enumerate(batches):
        progress = Progress(iteration=number, images_seen=number * config.batch)
        record = stepper.take(batch, progress, rate_share=rate_of(number))
        assert bool(record.was_applied) == (number != 20)
        plainly.take(batch, rate_of(number))
    pairs = [(players.model, plainly.generator.network), (players.average.model, plainly.average)]
    if judge is not None:
        pairs.append((judge, plainly.judge.network))
    for ours, plain in pairs:
        wanted = plain.state_dict()
        for name, tensor in ours.state_dict().items():
            assert tensor.dtype in (torch.float64, torch.int64)
            assert (tensor - wanted[name]).abs().max() < 1e-6, name
