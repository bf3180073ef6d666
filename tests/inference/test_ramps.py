"""Smooth ramps of 8 bits stay smooth, whatever a network makes of the steps that rounding left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acutance.engines.fake import FAKE_SPEC, Batch, FakeEngine
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.geometry import Box
from acutance.inference.ramps import REACH_PX, kept_on_ramps
from acutance.inference.tiling import restore_tiled
from acutance.zoo.catalogue import find_model

OWN = replace(FAKE_SPEC, macs_per_pixel=1, halo_px=REACH_PX)
Y, X = np.mgrid[:90, :120]


def rounded(*channels: np.ndarray) -> np.ndarray:
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


RAMPS = {
    "slow": rounded(*(60 + X / 37,) * 3),
    "a sky": rounded(40 + X / 5, 80 + X / 6, 120 + X / 11),
    "both ways": rounded(60 + X / 9 + Y / 7, 50 + X / 5 - Y / 13, 40 + X / 11 + Y / 3),
    "steep": rounded(*(0.8 * X + 20,) * 3),
    "curved": rounded(*(90 + 40 * np.sin(X / 60) * np.cos(Y / 70),) * 3),
    "one colour": np.full((90, 120, 3), 77, np.uint8),
}


def stripes(batch: Batch) -> Batch:
    """A network that makes six levels of the least step."""
    return np.asarray(batch + np.float32(6 / 255) * np.sign(np.sin(np.arange(batch.shape[3]))), np.float32)


def changes(pixels: np.ndarray, engine: FakeEngine, **options: float) -> np.ndarray:
    return restore_tiled(engine, pixels, **options).astype(int) - pixels


@pytest.mark.parametrize("name", RAMPS)
def test_a_ramp_changes_by_one_level_at_most(name):
    assert np.abs(changes(RAMPS[name], FakeEngine(stripes, OWN))).max() == 1


@pytest.mark.parametrize("model", ["fast", "night"])
def test_the_shipped_networks_make_no_stripes_of_a_sky(model):
    engine = OnnxRuntimeEngine.from_bytes(find_model(model).fidelity.read_bytes(), threads=1)
    assert np.abs(changes(RAMPS["a sky"], engine)).max() <= 1
    engine.close()


def test_beside_a_ramp_and_on_letters_of_the_same_brightness_all_is_restored():
    pixels = RAMPS["slow"].copy()
    pixels[30:60:3, 20:60] = (90, 60, 60)  # nearly the same brightness, another colour
    pixels[30:60, 80:110] = np.random.default_rng(0).integers(50, 80, (30, 30, 3))
    changed = np.abs(changes(pixels, FakeEngine(stripes, OWN)))
    assert (changed[30:60, 20:60] == 6).all()
    assert (changed[30:60, 80:110] == 6).all()
    assert changed[:10].max() == 1


def test_faint_texture_is_no_ramp():
    texture = 100 + 3 * np.sin(X / 4) * np.sin(Y / 4)
    assert (np.abs(changes(rounded(*(texture,) * 3), FakeEngine(stripes, OWN))) == 6).all()


@pytest.mark.parametrize(
    ("pixels", "spec"),
    [
        (RAMPS["slow"].astype(np.uint16) * 16, OWN),  # its steps may be all that there is
        (RAMPS["slow"].astype(np.float32) / 255, OWN),
        (RAMPS["slow"], replace(OWN, macs_per_pixel=0)),  # what others made stays theirs
        (RAMPS["slow"], replace(OWN, halo_px=REACH_PX - 1)),
    ],
)
def test_elsewhere_the_network_has_its_way(pixels, spec):
    alone = restore_tiled(FakeEngine(stripes, replace(spec, macs_per_pixel=0)), pixels)
    np.testing.assert_array_equal(restore_tiled(FakeEngine(stripes, spec), pixels), alone)


@pytest.mark.parametrize("tile_px", [32, 47, 64])
def test_tiles_give_the_same_bits(tile_px):
    pixels = np.concatenate([RAMPS["both ways"], np.random.default_rng(1).integers(0, 255, (90, 60, 3), np.uint8)], 1)
    engine = FakeEngine(lambda batch: batch * np.float32(1.04), OWN)
    whole = restore_tiled(engine, pixels)
    np.testing.assert_array_equal(restore_tiled(engine, pixels, tile_px=tile_px), whole)


def test_strength_exaggerates_what_is_left():
    assert np.abs(changes(RAMPS["a sky"], FakeEngine(stripes, OWN), strength=2.0)).max() == 2


def test_what_has_no_ramp_is_given_back():
    noise = np.random.default_rng(2).integers(0, 255, (60, 60, 3), np.uint8)
    restored = np.zeros((3, 60, 60), np.float32)
    assert kept_on_ramps(noise, Box(0, 0, 60, 60), restored) is restored
