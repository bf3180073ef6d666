"""A device that the CPU watches: whatever it does, the pixels are the CPU's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from acutance.engines.fake import FAKE_SPEC, Batch, FakeEngine
from acutance.engines.guarded_engine import LEAST_PX, GuardedEngine
from acutance.errors import EngineError, NonFiniteOutput, OutOfMemory
from acutance.inference.tiling import restore_tiled

WIDE = (384, 400)  # more pixels than LEAST_PX


def half(batch: Batch) -> Batch:
    return batch * np.float32(0.5)


def noise(*shape: int) -> Batch:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def guarded(device: Callable[[Batch], Batch], **settings: object) -> tuple[GuardedEngine, FakeEngine, FakeEngine]:
    theirs, ours = FakeEngine(device, is_offloaded=True), FakeEngine(half)
    return GuardedEngine(theirs, ours, title="a chip", **settings), theirs, ours  # type: ignore[arg-type]


def test_a_device_that_is_right_does_the_work(caplog: pytest.LogCaptureFixture) -> None:
    engine, theirs, ours = guarded(half)
    batch = noise(1, 3, *WIDE)
    for _ in range(3):
        np.testing.assert_array_equal(engine.run(batch), half(batch))
    assert engine.uses_device
    assert engine.is_offloaded
    assert len(theirs.sizes) == 3
    assert ours.sizes == [(32, 32)], "a new size is looked at once, in a corner"
    assert not caplog.records
    engine.close()
    assert theirs.is_closed
    assert ours.is_closed


def test_a_device_that_fails_leaves_the_rest_to_the_cpu_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    def lost(batch: Batch) -> Batch:
        raise EngineError("failed (the device is lost).")

    engine, theirs, _ = guarded(lost)
    batch = noise(2, 3, 16, 24)
    for _ in range(2):
        np.testing.assert_array_equal(engine.run(batch), half(batch))
    assert not engine.uses_device
    assert (16, 24) in theirs.sizes
    assert [record.getMessage() for record in caplog.records] == [
        "a chip: failed (the device is lost); the CPU does the rest."
    ]
    assert caplog.records[0].levelno == logging.WARNING
    assert caplog.records[0].name == "acutance.inference"


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.6])
def test_a_device_that_turns_wrong_gives_no_pixel(value: float, caplog: pytest.LogCaptureFixture) -> None:
    def wrong(batch: Batch) -> Batch:
        return np.where(batch > 0.9, np.float32(value), half(batch))

    engine, _, _ = guarded(wrong)
    batch = noise(1, 3, 64, 64)
    np.testing.assert_array_equal(engine.run(batch), half(batch))
    assert not engine.uses_device
    (record,) = caplog.records
    assert ("levels of 255 off" if value == 0.6 else "no numbers") in record.getMessage()


def test_what_overflows_in_16_bits_is_the_cpus_tile_alone(caplog: pytest.LogCaptureFixture) -> None:
    def overflowing(batch: Batch) -> Batch:
        return half(batch) if batch.max() <= 1 else np.full_like(batch, np.inf)

    engine, _, ours = guarded(overflowing, is_rounded=True)
    batch = 2 * noise(1, 3, 64, 64)
    np.testing.assert_array_equal(engine.run(batch), half(batch))
    np.testing.assert_array_equal(engine.run(batch / 2), half(batch / 2))
    assert engine.uses_device
    assert ours.sizes == [(64, 64), (32, 32)]
    assert not caplog.records


def test_a_network_that_gives_no_numbers_is_not_the_devices_fault(caplog: pytest.LogCaptureFixture) -> None:
    nothing = FakeEngine(lambda batch: batch * np.float32(np.nan))
    engine = GuardedEngine(nothing, nothing, title="a chip")
    pixels = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(NonFiniteOutput, match="fake"):
        restore_tiled(engine, pixels)
    assert engine.uses_device
    assert not caplog.records


@pytest.mark.parametrize("says", ["out of memory", "something else", "nothing, but zeros", "no numbers"])
def test_tiles_too_large_are_cut_smaller_and_no_more_tried(says: str, caplog: pytest.LogCaptureFixture) -> None:
    """Errors of every kind: some drivers say that memory is short, some say nonsense, some nothing."""
    most = 120_000

    def small_only(batch: Batch) -> Batch:
        if batch.shape[2] * batch.shape[3] <= most:
            return half(batch)
        if says == "nothing, but zeros":
            return np.zeros_like(batch)
        if says == "no numbers":
            return np.full_like(batch, np.nan)
        raise OutOfMemory(says) if says == "out of memory" else EngineError(says)

    engine, theirs, ours = guarded(small_only)
    pixels = np.random.default_rng(0).random((900, 500, 3), dtype=np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(restore_tiled(engine, pixels, tile_px=900), half(pixels))
    assert engine.uses_device
    too_large = [size for size in theirs.sizes if size[0] * size[1] > most]
    assert 1 <= len(too_large) <= 2, "what has failed once is not tried again at that size"
    assert max(high * wide for high, wide in ours.sizes) <= max(high * wide for high, wide in too_large)
    assert not caplog.records


def test_a_device_that_cannot_do_a_small_tile_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    def none(batch: Batch) -> Batch:
        raise OutOfMemory("none at all")

    engine, theirs, _ = guarded(none)
    pixels = np.random.default_rng(0).random((700, 600, 3), dtype=np.float32)
    np.testing.assert_array_equal(restore_tiled(engine, pixels), half(pixels))
    assert not engine.uses_device
    assert min(high * wide for high, wide in theirs.sizes) <= LEAST_PX
    assert "not enough memory" in caplog.text


def test_tiles_are_sized_to_the_devices_memory() -> None:
    engine, theirs, _ = guarded(half, memory_bytes=400_000_000)
    pixels = np.random.default_rng(0).random((900, 500, 3), dtype=np.float32)
    np.testing.assert_array_equal(restore_tiled(engine, pixels), half(pixels))
    assert max(high * wide for high, wide in theirs.sizes) <= 200_000


def test_a_network_that_looks_further_than_its_halo_is_compared_as_a_whole() -> None:
    def mean(batch: Batch) -> Batch:
        return np.broadcast_to(batch.mean((2, 3), keepdims=True), batch.shape).astype(np.float32)

    spec = replace(FAKE_SPEC, receptive_radius_px=10_000)
    engine = GuardedEngine(FakeEngine(mean, spec), FakeEngine(mean, spec), title="a chip")
    batch = noise(1, 3, 64, 96) ** 2
    np.testing.assert_array_equal(engine.run(batch), mean(batch))
    assert engine.uses_device


def test_a_network_of_one_size_is_compared_as_a_whole() -> None:
    def fixed(batch: Batch) -> Batch:
        if batch.shape[2:] != (64, 64):
            raise EngineError("ONNX Runtime failed: takes 64×64 only")
        return half(batch)

    engine = GuardedEngine(FakeEngine(fixed), FakeEngine(fixed), title="a chip")
    batch = noise(1, 3, 64, 64)
    np.testing.assert_array_equal(engine.run(batch), half(batch))
    assert engine.uses_device


def test_what_the_cpu_cannot_do_either_is_told_and_not_the_devices_fault() -> None:
    def nobody(batch: Batch) -> Batch:
        raise EngineError("ONNX Runtime failed: wrong channels")

    engine, _, _ = guarded(nobody)
    engine._cpu = FakeEngine(nobody)
    with pytest.raises(EngineError, match="wrong channels"):
        engine.run(noise(1, 4, 8, 8))
    assert engine.uses_device
