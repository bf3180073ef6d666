"""Tiling changes nothing: neither the bits of the result, nor what happens at borders and odd sizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acutance.engines.fake import FAKE_SPEC, Batch, FakeEngine
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.errors import NonFiniteOutput, OutOfMemory
from acutance.geometry import Size
from acutance.imaging.resize import resize_bicubic
from acutance.inference.tiling import restore_tiled
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import find_model


def spec(**changes: int) -> ModelSpec:
    values = {name: getattr(FAKE_SPEC, name) for name in FAKE_SPEC.__dataclass_fields__}
    return ModelSpec(**{**values, **changes})


def box_mean(batch: Batch) -> Batch:
    """A 'network' of radius 2 that pads with zeros, as convolutions do."""
    padded = np.pad(batch, ((0, 0), (0, 0), (2, 2), (2, 2)))
    height, width = batch.shape[2:]
    total = sum(padded[:, :, i : i + height, j : j + width] for i in range(5) for j in range(5))
    return np.asarray(total / np.float32(25), dtype=np.float32)


def picture(height: int, width: int, dtype: type = np.uint8) -> np.ndarray:
    random = np.random.default_rng(height * 1000 + width)
    if dtype is np.float32:
        return random.random((height, width, 3), dtype=np.float32)
    return random.integers(0, np.iinfo(dtype).max + 1, (height, width, 3), dtype=dtype)


@pytest.fixture(scope="module")
def shipped() -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine.from_bytes(find_model("fast").fidelity.read_bytes(), threads=2)


@pytest.mark.parametrize("tile_px", [32, 34, 57, 100, 128])
@pytest.mark.parametrize("size", [(151, 203), (96, 96), (1, 1), (1, 77), (3, 2), (130, 31)])
def test_tiled_is_whole_bit_for_bit_on_onnx_runtime(
    shipped: OnnxRuntimeEngine, size: tuple[int, int], tile_px: int
) -> None:
    pixels = picture(*size)
    whole = restore_tiled(shipped, pixels, tile_px=4096)
    np.testing.assert_array_equal(restore_tiled(shipped, pixels, tile_px=tile_px), whole)


def test_floats_are_tiled_bit_for_bit_too(shipped: OnnxRuntimeEngine) -> None:
    pixels = picture(121, 143, np.float32)
    whole = restore_tiled(shipped, pixels, tile_px=4096)
    np.testing.assert_array_equal(restore_tiled(shipped, pixels, tile_px=50), whole)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(8, 80), st.sampled_from([1, 2, 4]), st.sampled_from([0.3, 1.0])
)
def test_any_size_any_tile(height: int, width: int, tile_px: int, multiple: int, strength: float) -> None:
    engine = FakeEngine(box_mean, spec(halo_px=2, size_multiple=multiple))
    pixels = picture(height, width)
    whole = restore_tiled(engine, pixels, tile_px=4096, strength=strength)
    tiled = restore_tiled(engine, pixels, tile_px=tile_px, strength=strength)
    np.testing.assert_array_equal(tiled, whole)
    assert all(side % multiple == 0 for size in engine.sizes for side in size)


def doubled(batch: Batch) -> Batch:
    """A 'network' that enlarges by repeating pixels."""
    return batch.repeat(2, axis=2).repeat(2, axis=3)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(8, 80), st.sampled_from([0.0, 0.3, 1.5]))
def test_any_strength_where_the_network_enlarges(height: int, width: int, tile_px: int, strength: float) -> None:
    engine = FakeEngine(doubled, spec(scale=2, halo_px=4, size_multiple=2))
    pixels = picture(height, width)
    whole = restore_tiled(engine, pixels, tile_px=4096, strength=strength)
    np.testing.assert_array_equal(restore_tiled(engine, pixels, tile_px=tile_px, strength=strength), whole)


def test_strength_blends_with_the_enlarged_picture() -> None:
    engine = FakeEngine(lambda batch: np.zeros_like(doubled(batch)), spec(scale=2, halo_px=4, size_multiple=2))
    pixels = picture(40, 50)
    shown = resize_bicubic(pixels.astype(np.float64), Size(80, 100))
    none = restore_tiled(engine, pixels, strength=0.0)
    inside = slice(8, -8)  # at the border Pillow leaves out what a mirror image stands for here
    assert float(np.abs(none - np.clip(shown, 0, 255))[inside, inside].max()) < 0.51
    half = restore_tiled(engine, pixels, strength=0.5)
    assert float(np.abs(half - np.clip(shown / 2, 0, 255))[inside, inside].max()) < 0.51
    assert not restore_tiled(engine, pixels, strength=1.0).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_identity_network_gives_the_very_pixels_back(dtype: type) -> None:
    pixels = picture(37, 53, dtype)
    np.testing.assert_array_equal(restore_tiled(FakeEngine(), pixels, tile_px=16), pixels)


def test_strength_blends_before_rounding() -> None:
    pixels = picture(20, 20)
    inverted = FakeEngine(lambda batch: 1.0 - batch)
    half = restore_tiled(inverted, pixels, strength=0.5)
    assert set(np.unique(half)) <= {127, 128}
    np.testing.assert_array_equal(restore_tiled(inverted, pixels, strength=0.0), pixels)


def test_an_enlarging_network_fills_the_larger_picture() -> None:
    engine = FakeEngine(lambda batch: batch.repeat(2, axis=2).repeat(2, axis=3), spec(scale=2, size_multiple=2))
    pixels = picture(21, 33)
    enlarged = restore_tiled(engine, pixels, tile_px=8)
    np.testing.assert_array_equal(enlarged, pixels.repeat(2, axis=0).repeat(2, axis=1))


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    engine = FakeEngine()
    restore_tiled(engine, picture(50, 70), tile_px=32, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == 1.0
    assert len(shares) == len(engine.sizes) == 6  # of 4 × 5 tiles, those that are not margin alone


def test_short_memory_means_smaller_tiles_and_the_same_result() -> None:
    def short_of_memory(batch: Batch) -> Batch:
        if batch[0, 0].size > 60 * 60:
            raise OutOfMemory("too large")
        return box_mean(batch)

    pixels = picture(200, 180)
    engine = FakeEngine(short_of_memory, spec(halo_px=2, size_multiple=2))
    expected = restore_tiled(FakeEngine(box_mean, spec(halo_px=2, size_multiple=2)), pixels)
    np.testing.assert_array_equal(restore_tiled(engine, pixels, tile_px=256), expected)


def test_no_memory_at_all_is_said() -> None:
    def never(batch: Batch) -> Batch:
        raise OutOfMemory("too large")

    with pytest.raises(OutOfMemory):
        restore_tiled(FakeEngine(never), picture(100, 100))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_non_finite_output_is_refused_with_its_place(poison: float) -> None:
    def poisoned(batch: Batch) -> Batch:
        result = batch.copy()
        result[0, 1, -1, -1] = poison
        return result

    with pytest.raises(NonFiniteOutput, match="rows 0–32, columns 0–32"):
        restore_tiled(FakeEngine(poisoned), picture(64, 64), tile_px=32)


@pytest.mark.parametrize(("size", "count"), [((54, 92), 1), ((92, 54), 1), ((72, 72), 1), ((73, 73), 9)])
def test_a_picture_of_no_more_pixels_than_a_tile_with_its_halo_is_not_cut(size: tuple[int, int], count: int) -> None:
    engine = FakeEngine(spec=replace(FAKE_SPEC, halo_px=4))
    restore_tiled(engine, np.zeros((*size, 3), np.uint8), tile_px=64)
    assert len(engine.sizes) == count


def test_a_frame_of_full_hd_is_not_cut(shipped: OnnxRuntimeEngine) -> None:
    engine = FakeEngine(spec=shipped.spec)
    restore_tiled(engine, np.zeros((1080, 1920, 3), np.uint8))
    assert engine.sizes == [(1080 + 64, 1920 + 64)]


def ramp(height: int, width: int) -> np.ndarray:
    """A bright picture that darkens evenly to the right and upwards: a sky."""
    rows, columns = np.mgrid[:height, :width]
    grey = np.rint(235 + 0.05 * rows - 0.1 * columns).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("tile_px", [40, 4096])
def test_the_border_of_a_ramp_is_no_edge_to_a_network_that_pads_with_zeros(tile_px: int) -> None:
    engine = FakeEngine(box_mean, spec(halo_px=2, size_multiple=4))
    pixels = ramp(101, 118)
    change = np.abs(restore_tiled(engine, pixels, tile_px=tile_px).astype(int) - pixels)
    assert change[8:-8, 8:-8].max() == 0
    assert change.max() <= 1  # where a level ends next to the border, its mirror image does, too


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 40), (37, 50)])
def test_flat_pictures_stay_flat_to_the_border(size: tuple[int, int]) -> None:
    engine = FakeEngine(box_mean, spec(halo_px=2, size_multiple=4))
    pixels = np.full((*size, 3), 255, np.uint8)
    np.testing.assert_array_equal(restore_tiled(engine, pixels), pixels)


def test_where_something_is_not_finite_is_said_within_the_picture() -> None:
    with pytest.raises(NonFiniteOutput, match="rows 0–5, columns 0–7;"):
        restore_tiled(FakeEngine(lambda batch: batch * np.float32(np.nan)), picture(5, 7))
