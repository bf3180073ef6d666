"""The mean over orientations: what it is, what it costs, and that tiles stay exact."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from acutance import Sharpener
from acutance.engines.engine import Engine, EngineSettings, Ensemble
from acutance.engines.ensemble import SelfEnsemble
from acutance.engines.fake import FAKE_SPEC, Batch, FakeEngine
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.engines.opening import open_engine
from acutance.errors import ConfigError
from acutance.inference.tiling import restore_tiled
from acutance.zoo.catalogue import find_model


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def batch_of(height: int, width: int) -> Batch:
    return np.random.default_rng(3).random((1, 3, height, width), dtype=np.float32)


def lopsided(batch: Batch) -> Batch:
    """A 'network' that takes each pixel from its left neighbour: no orientation gives what another does."""
    return np.concatenate([batch[..., :1], batch[..., :-1]], axis=3)


def turned(batch: Batch, count: int) -> list[Batch]:
    """Every orientation by other means: quarter turns and mirror images."""
    quarters = [np.rot90(batch, turns, (2, 3)) for turns in range(4)]
    all_eight = [one for quarter in quarters for one in (quarter, quarter[..., ::-1])]
    upright = [quarters[0], quarters[2], quarters[0][..., ::-1], quarters[2][..., ::-1]]
    return {2: upright[:2], 4: upright, 8: all_eight}[count]


@pytest.mark.parametrize("count", [2, 4, 8])
def test_each_orientation_is_restored_once(count: Ensemble) -> None:
    seen = list[bytes]()

    def note(batch: Batch) -> Batch:
        seen.append(batch.tobytes())
        return batch

    batch = batch_of(8, 12)
    restored = SelfEnsemble(FakeEngine(note), count).run(batch)
    np.testing.assert_allclose(restored, batch, atol=1e-6)
    assert sorted(seen) == sorted(np.ascontiguousarray(one).tobytes() for one in turned(batch, count))


def test_it_is_the_mean_of_what_is_turned_back() -> None:
    batch = batch_of(6, 6)
    mean = SelfEnsemble(FakeEngine(lopsided), 8).run(batch)
    padded = np.pad(batch, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    neighbours = (padded[..., 1:-1, :-2], padded[..., 1:-1, 2:], padded[..., :-2, 1:-1], padded[..., 2:, 1:-1])
    np.testing.assert_allclose(mean, sum(neighbours) / 4, atol=1e-6)


def test_an_enlargement_is_turned_back_whole() -> None:
    def twice(batch: Batch) -> Batch:
        return batch.repeat(2, axis=2).repeat(2, axis=3)

    engine = SelfEnsemble(FakeEngine(twice, replace(FAKE_SPEC, scale=2)), 8)
    batch = batch_of(4, 10)
    np.testing.assert_allclose(engine.run(batch), twice(batch), atol=1e-6)


@pytest.fixture(scope="module")
def shipped() -> Engine:
    return OnnxRuntimeEngine.from_bytes(find_model("fast").fidelity.read_bytes(), threads=2)


@pytest.mark.parametrize("size", [(151, 131), (1, 40), (70, 66)])
def test_tiles_stay_exact(shipped: Engine, size: tuple[int, int]) -> None:
    engine = SelfEnsemble(shipped, 8)
    whole = restore_tiled(engine, photo(*size), tile_px=4096)
    np.testing.assert_array_equal(restore_tiled(engine, photo(*size), tile_px=48), whole)


def test_a_turned_picture_gives_the_turned_result(shipped: Engine) -> None:
    engine, pixels = SelfEnsemble(shipped, 8), photo(64, 48)  # whole cells of the network: no side has more margin
    turned_after = np.rot90(restore_tiled(engine, pixels))
    restored = restore_tiled(engine, np.ascontiguousarray(np.rot90(pixels)))
    assert np.abs(restored.astype(int) - turned_after.astype(int)).max() <= 1  # the sums are rounded in another order


def test_the_sharpener_takes_it_and_is_pickled_with_it() -> None:
    pixels = photo(40, 40)
    with Sharpener("fast", engine="onnxruntime", threads=1, ensemble=2) as sharpener:
        averaged = sharpener(pixels)
        with pickle.loads(pickle.dumps(sharpener)) as again:
            np.testing.assert_array_equal(again(pixels), averaged)
    with Sharpener("fast", engine="onnxruntime", threads=1) as sharpener:
        assert not np.array_equal(sharpener(pixels), averaged)


def test_counts_that_there_are_not() -> None:
    with pytest.raises(ConfigError, match="ensemble = 3: must be one of 1, 2, 4, 8"):
        open_engine(find_model("fast"), EngineSettings(ensemble=3))  # type: ignore[arg-type]


def test_a_network_of_one_size_is_not_laid_on_its_side() -> None:
    spec = replace(FAKE_SPEC, fixed_height_px=256, fixed_width_px=448)
    with pytest.raises(ConfigError, match="448×256 px alone, which cannot be turned; use 4"):
        SelfEnsemble(FakeEngine(spec=spec), 8)
    assert SelfEnsemble(FakeEngine(spec=spec), 4).spec is spec


def test_closing_it_closes_the_engine() -> None:
    engine = FakeEngine(is_offloaded=True)
    ensemble = SelfEnsemble(engine, 2)
    assert ensemble.is_offloaded
    ensemble.close()
    assert engine.is_closed
