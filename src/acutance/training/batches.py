"""Training pairs: every batch is a function of the seed and the step's number, so there is no random state to save."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric

from acutance.data.patches import PatchSampler
from acutance.degradations.pipeline import degrade
from acutance.training.batch import Batch, Known, chosen
from acutance.training.config import TrainConfig
from acutance.training.guides import told_of, with_guides

SEED_STRIDE = 1_000_003
"""Prime that keeps the batches of different seeds apart."""

START = -1
"""Number of the "step" before the first, whose randomness the start of the weights uses."""


def batch_generator(config: TrainConfig, iteration: int, device: torch.device) -> torch.Generator:
    """Return the source of randomness of one step."""
    return torch.Generator(device=device).manual_seed(config.seed * SEED_STRIDE + iteration)


def draw_batch(config: TrainConfig, sampler: PatchSampler, iteration: int, *, count: int | None = None) -> Batch:
    """Draw the batch of a step, on the sampler's device; what is known of its blur where the objective asks for it.

    Args:
        config: Whose degradation and seed.
        sampler: Of patches of `config.source_px`.
        iteration: Number of the step.
        count: Patches; None is the config's batch.
    """
    source = batch_generator(config, iteration, sampler.device)
    batch = _drawn(config, sampler, source, count or config.batch)
    if not (config.adversary.own_batches and config.objective.adversarial):
        return batch
    others = tuple(_drawn(config, sampler, source, count or config.batch) for _ in range(config.adversary.updates))
    return batch._replace(of_discriminator=others)


def _drawn(config: TrainConfig, sampler: PatchSampler, source: torch.Generator, count: int) -> Batch:
    """Draw one batch of patches, and degrade it where it is not taken blurred."""
    if config.paired:
        return Batch(sampler.draw_pair(count, source))
    made = degrade(config.degradation, sampler.draw(count, source), source)
    known = None
    if config.objective.needs_blur:
        assert made.kernels is not None  # `TrainConfig` has checked it
        known = Known(made.kernels, made.noise)
    if not config.generator.guides:
        return Batch((made.degraded, made.reference), known)
    told = told_of(made, config.guide, source)
    return Batch((with_guides(made.degraded, told), made.reference), known, told)


def own_part(fabric: Fabric, batch: Batch) -> Batch:
    """Return this process's part of a batch that all of them drew: together they see what one would have seen."""
    if fabric.world_size == 1:
        return batch
    count = batch.pair[0].shape[0] // fabric.world_size
    return chosen(batch, slice(fabric.global_rank * count, (fabric.global_rank + 1) * count))


AHEAD = 8
"""Batches that a GPU draws in one go: it spends as long on one, waiting for Python (13 ms)."""


class PairSource:
    """Gives the batch of each step, in whatever order they are asked for; on a GPU several are drawn at a time."""

    def __init__(self, config: TrainConfig, sampler: PatchSampler, *, ahead: int | None = None) -> None:
        """Prepare the source.

        Args:
            config: Whose degradation, seed and batch.
            sampler: Of patches of `config.source_px`.
            ahead: Batches drawn in one go; None is `AHEAD` on a GPU and one on a CPU, where it gains nothing.
        """
        self._config, self._sampler = config, sampler
        self._ahead = ahead or (AHEAD if sampler.device.type == "cuda" else 1)
        self._first: int | None = None
        self._drawn: Batch | None = None
        self._following: Batch | None = None
        self._stream: torch.cuda.Stream | None = None
        if sampler.device.type == "cuda":
            self._stream = torch.cuda.Stream(sampler.device)  # type: ignore[no-untyped-call]

    def batch(self, iteration: int) -> Batch:
        """Return the batch of a step: a function of the seed, its number and `ahead` alone."""
        place = iteration % self._ahead
        first = iteration - place
        if self._drawn is None or self._first != first:
            is_following = self._first is not None and first == self._first + self._ahead
            ready = self._following if is_following else None
            self._first, self._drawn = first, ready or self._draw(first)
            self._following = None
            if self._stream is not None:
                # While the device is at the steps of these, the next are drawn, in a stream of their own.
                self._following = self._draw_beside(first + self._ahead, self._stream)
        # Every `ahead`-th patch: those that were reduced come last, and each batch is to have its share of them.
        return chosen(self._drawn, slice(place, None, self._ahead))

    def _draw(self, first: int) -> Batch:
        return draw_batch(self._config, self._sampler, first, count=self._config.batch * self._ahead)

    def _draw_beside(self, first: int, stream: torch.cuda.Stream) -> Batch:
        main = torch.cuda.current_stream()
        with torch.cuda.stream(stream):
            batch = self._draw(first)
        for part in (batch, *batch.of_discriminator):
            for values in (*part.pair, *(part.known or ()), *(part.told or ())):
                values.record_stream(main)  # its memory is not used again before the steps that read it are done
        stream.synchronize()
        return batch
