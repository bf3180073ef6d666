"""The batch of a step is a function of the seed and the step's number, however many are drawn in one go."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import numpy as np
import torch

from acutance.data.patches import PatchSampler
from acutance.data.photo_store import PhotoStore, StoredPhoto
from acutance.training.batches import PairSource, draw_batch

CPU = torch.device("cpu")


def sampler_of(store, config, **settings):
    return PatchSampler(store, side_px=config.source_px, device=CPU, **settings)


def test_one_at_a_time_on_a_cpu(store, tiny):
    config = tiny()
    sampler = sampler_of(store, config)
    source = PairSource(config, sampler)
    for iteration in (0, 1, 7):
        for part, alone in zip(source.batch(iteration).pair, draw_batch(config, sampler, iteration).pair, strict=True):
            assert torch.equal(part, alone)


def test_a_resumed_run_sees_the_same_batches(store, tiny):
    config = tiny()
    through, resumed = (PairSource(config, sampler_of(store, config), ahead=3) for _ in range(2))
    seen = {iteration: through.batch(iteration).pair for iteration in range(7)}
    for iteration in (5, 2, 6):
        for part, before in zip(resumed.batch(iteration).pair, seen[iteration], strict=True):
            assert torch.equal(part, before)


def test_drawn_together_batches_differ_and_are_whole(store, tiny):
    config = tiny()
    source = PairSource(config, sampler_of(store, config), ahead=3)
    references = [source.batch(iteration).pair[1] for iteration in range(4)]
    assert all(reference.shape == (config.batch, 3, config.patch_px, config.patch_px) for reference in references)
    patches = torch.cat(references).flatten(1)
    assert len(torch.unique(patches, dim=0)) == len(patches)


def test_each_batch_has_its_share_of_reduced_patches(tiny):
    """A grid of black dots on white becomes grey when it is reduced."""
    grid = np.zeros((128, 128, 3), np.uint8)
    grid[:, ::2] = grid[::2] = 255
    photos = PhotoStore((StoredPhoto("grid.png", 0, 128, 128, 0),), grid.ravel())
    config = tiny("reduced_share=0.5", "batch=8", "degradation.stages=[]", "patch_px=16")
    source = PairSource(config, sampler_of(photos, config, reduced_share=0.5), ahead=4)
    for iteration in range(4):
        _, reference = source.batch(iteration).pair
        is_reduced = reference.amin(dim=(1, 2, 3)) > 0.1
        assert is_reduced.sum() == 4
