"""Tiles that overlap and are blended: whole where nothing differs, without a step where something does."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from acutance.engines.device_check import corner_difference, picture_of_noise, worst_difference
from acutance.engines.fake import FAKE_SPEC, Batch, FakeEngine
from acutance.errors import NonFiniteOutput, OutOfMemory
from acutance.geometry import Size, overlapping_starts
from acutance.imaging.resize import resize_bicubic
from acutance.inference.tiling import restore_tiled

FIXED = replace(FAKE_SPEC, fixed_height_px=40, fixed_width_px=56, feather_px=10)
FREE = replace(FAKE_SPEC, feather_px=16, size_multiple=4)


@pytest.mark.parametrize("size", [(1, 1), (7, 90), (40, 56), (101, 133)])
@pytest.mark.parametrize("spec", [FIXED, FREE])
def test_what_every_tile_agrees_on_is_kept(photo, size, spec) -> None:
    pixels = photo(*size)
    engine = FakeEngine(spec=spec)
    np.testing.assert_array_equal(restore_tiled(engine, pixels, tile_px=64), pixels)
    if spec is FIXED:
        assert set(engine.sizes) == {(40, 56)}


def test_enlarged_tiles_are_put_together(photo) -> None:
    pixels = photo(90, 70)
    engine = FakeEngine(lambda batch: batch.repeat(2, 2).repeat(2, 3), replace(FIXED, scale=2))
    np.testing.assert_array_equal(restore_tiled(engine, pixels), pixels.repeat(2, 0).repeat(2, 1))


def test_strength_is_applied(photo) -> None:
    pixels = photo(70, 70)
    engine = FakeEngine(lambda batch: 0 * batch, FIXED)
    assert not restore_tiled(engine, pixels).any()
    half = restore_tiled(engine, pixels, strength=0.5)
    assert np.abs(half - pixels / 2).max() <= 0.51


def test_strength_blends_with_the_enlarged_picture(photo) -> None:
    pixels = photo(70, 90)
    engine = FakeEngine(lambda batch: np.zeros_like(batch.repeat(2, 2).repeat(2, 3)), replace(FIXED, scale=2))
    shown = resize_bicubic(pixels.astype(np.float64), Size(140, 180))
    half = restore_tiled(engine, pixels, strength=0.5)
    inside = slice(8, -8)  # at the border Pillow leaves out what a mirror image stands for here
    assert float(np.abs(half - np.clip(shown / 2, 0, 255))[inside, inside].max()) < 0.51


def test_tiles_that_disagree_leave_no_step() -> None:
    counter = iter(range(100))
    engine = FakeEngine(lambda batch: np.full_like(batch, (next(counter) % 2) * 0.5 + 0.25), FIXED)
    result = restore_tiled(engine, np.zeros((200, 200, 3), np.float32))
    steps = max(np.abs(np.diff(result, axis=axis)).max() for axis in (0, 1))
    assert result.min() < 0.3
    assert result.max() > 0.7
    assert steps <= 1.5 * 0.5 / 10 + 1e-6, "the difference of two tiles is spread over all of their overlap"


def test_tiles_are_halved_where_memory_is_short(photo) -> None:
    def frugal(batch: Batch) -> Batch:
        if batch.shape[2] > 100:
            raise OutOfMemory("too large")
        return batch

    pixels = photo(300, 300)
    engine = FakeEngine(frugal, FREE)
    np.testing.assert_array_equal(restore_tiled(engine, pixels, tile_px=4096), pixels)
    assert max(max(size) for size in engine.sizes[1:]) < 364

    def broken(batch: Batch) -> Batch:
        raise OutOfMemory("never enough")

    for spec in (FREE, FIXED):
        with pytest.raises(OutOfMemory):
            restore_tiled(FakeEngine(broken, spec), pixels, tile_px=4096)


def test_what_is_not_finite_is_refused(photo) -> None:
    engine = FakeEngine(lambda batch: batch * np.float32("nan"), FIXED)
    with pytest.raises(NonFiniteOutput, match="model fake"):
        restore_tiled(engine, photo(60, 60))


def test_starts_cover_a_side() -> None:
    for length in range(40, 200, 4):
        starts = overlapping_starts(length, tile=40, overlap=12, multiple=4)
        assert starts[0] == 0
        assert starts[-1] == length - 40
        assert all(start % 4 == 0 for start in starts)
        assert all(after - before <= 40 - 12 for before, after in pairwise(starts))


def test_devices_are_checked_on_pictures_that_the_network_takes() -> None:
    def darker(batch: Batch) -> Batch:
        assert batch.shape[2:] == (40, 56)
        return batch - batch.mean()

    engine = FakeEngine(darker, FIXED)
    batch = picture_of_noise(FIXED)
    assert worst_difference(engine, engine, batch) == 0
    assert corner_difference(engine.run(batch), engine, batch) == 0
