"""The estimator's training: labels share the truth, and three steps leave weights that load."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.data.patches import PatchSampler
from acutance.data.photo_store import open_store
from acutance.degradations import psf as psfs
from acutance.errors import CorruptWeights, InputError, OutputError
from acutance.estimation import classes as bins
from acutance.estimation.verdict import verdict_of
from acutance.losses.evidence import spread
from acutance.networks.estimator import WINDOW_PX, Answers, BlurEstimator
from acutance.training import estimator as training
from acutance.training.estimator import (
    KERNEL_PX,
    KERNEL_RADIUS_PX,
    SOURCE_PX,
    EstimatorConfig,
    draw_labelled,
    estimator_loss,
    load_estimator,
    train_estimator,
)

CPU = torch.device("cpu")


def shares_of(numbers, parts):
    """Give the shares of all classes from labels, `n classes`."""
    shares = torch.zeros(numbers.shape[0], bins.CLASSES)
    return shares.scatter_add_(1, numbers, parts).numpy().astype(np.float64)


def between(values, grid, first):
    return shares_of(*training._between(torch.tensor(values), training._values(grid, torch.zeros(1)), first))


def lines(vectors):
    x, y = torch.tensor(vectors, dtype=torch.float64).T
    return shares_of(*training._on_grid(torch.hypot(x, y).float(), torch.atan2(y, x).float()))


# --- labels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid", "first"), [(bins.RADII_PX, bins.FIRST_RADIUS), (bins.PATH_LENGTHS_PX, bins.FIRST_PATH)]
)
def test_the_centre_of_a_class_is_that_class_alone_and_between_two_is_shared(grid, first):
    (centre,) = between([float(grid[4])], grid, first)
    assert centre[first + 4] == pytest.approx(1.0, abs=1e-5)
    (shared,) = between([float(0.3 * grid[4] + 0.7 * grid[5])], grid, first)
    assert shared[first + 4] == pytest.approx(0.3, abs=1e-5)
    assert shared[first + 5] == pytest.approx(0.7, abs=1e-5)
    assert shared.sum() == pytest.approx(1.0)


def test_what_lies_beyond_the_classes_counts_as_the_outermost():
    low, high = between([-3.0, 99.0], bins.RADII_PX, bins.FIRST_RADIUS)
    assert low[bins.FIRST_RADIUS] == pytest.approx(1.0)
    assert high[bins.FIRST_LINE - 1] == pytest.approx(1.0, abs=2e-3)
    assert high.sum() == pytest.approx(1.0)


def test_a_vector_is_one_class_or_shared_by_its_four_neighbours():
    (one,) = lines([(6.0, 3.0)])
    assert one.max() == pytest.approx(1.0, abs=1e-4)
    (four,) = lines([(6.0 + 0.25 * 1.5, 3.0 + 0.5 * 1.5)])
    assert sorted(four[four > 1e-4]) == pytest.approx([0.125, 0.125, 0.375, 0.375], abs=1e-4)


def test_a_vector_and_its_opposite_are_one():
    vectors = np.random.default_rng(0).uniform(-16, 16, (50, 2))
    np.testing.assert_allclose(lines(vectors), lines(-vectors), atol=1e-4)


def test_verdicts_tell_the_truth_that_labels_share():
    vectors = np.random.default_rng(1).uniform(-16, 16, (60, 2))
    vectors = vectors[np.hypot(*vectors.T) > 2.5]
    for shares, (x, y) in zip(lines(vectors), vectors, strict=True):
        told = verdict_of(np.log(shares + 1e-12))
        assert told.kind == "line"
        assert told.strength_px == pytest.approx(math.hypot(x, y), abs=0.01)
        off = (told.angle - math.atan2(y, x) + math.pi / 2) % math.pi - math.pi / 2
        assert abs(off) < 0.002


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_labels_of_a_batch_tell_its_kernels(kind):
    """Kinds in the order of the classes; what a lens adds to a kernel is not told, so spreads bound the strengths."""
    count = 40
    source = torch.Generator().manual_seed(kind)
    kernels, numbers, parts = training._drawn_kernels(torch.full((count,), kind), source)
    assert kernels.shape == (count, KERNEL_PX, KERNEL_PX)
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(count))
    torch.testing.assert_close(parts.sum(dim=1), torch.ones(count))
    spreads = spread(kernels)[0].numpy()
    for shares, sigma in zip(shares_of(numbers, parts), spreads, strict=True):
        told = verdict_of(np.log(shares + 1e-12))
        assert told.kind == ("gaussian", "defocus", "line", "path")[kind]
        if told.kind == "gaussian":
            one = torch.tensor([told.strength_px], dtype=torch.float32)
            expected, _ = spread(psfs.gaussian_psf(one, one, one, radius_px=KERNEL_RADIUS_PX))
            is_sharper = told.strength_px < bins.SIGMAS_PX[0] + 1e-4  # than the first class
            assert sigma <= float(expected) + 1e-3 if is_sharper else sigma == pytest.approx(float(expected), abs=2e-3)
        elif told.strength_px < 29.9:  # longer paths are of the last class
            # A disk of radius r has r / 2, a line of length l has l / √12; the lens adds up to 0.9 px.
            own = told.strength_px * (0.5 if told.kind == "defocus" else 1 / math.sqrt(12))
            assert own - 0.35 <= sigma <= math.hypot(own, 0.9) + 0.15


# --- batches ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sampler(photo, tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for index in range(2):
        Image.fromarray(photo(SOURCE_PX + 10, SOURCE_PX + 20, seed=index)).save(folder / f"{index}.png")
    return PatchSampler(open_store(folder, tmp_path_factory.mktemp("store")), side_px=SOURCE_PX, device=CPU)


def test_a_batch_is_windows_of_brightness_with_labels(sampler):
    truth = draw_labelled(sampler, 6, torch.Generator().manual_seed(0))
    assert truth.grey.shape == (6, 1, WINDOW_PX, WINDOW_PX)
    assert 0 <= truth.grey.min() < truth.grey.max() <= 1.0001
    assert truth.kernels.shape == (6, 2 * KERNEL_RADIUS_PX + 1, 2 * KERNEL_RADIUS_PX + 1)
    torch.testing.assert_close(truth.shares.sum(dim=1), torch.ones(6))
    assert (truth.noise >= -2).all()  # log₂ of ¼
    again = draw_labelled(sampler, 6, torch.Generator().manual_seed(0))
    assert all(torch.equal(first, second) for first, second in zip(truth, again, strict=True))


def test_the_loss_is_least_for_the_truth(sampler):
    truth = draw_labelled(sampler, 4, torch.Generator().manual_seed(1))
    shares = torch.from_numpy(shares_of(truth.numbers, truth.shares)).float()
    right = Answers(
        torch.log(shares + 1e-9)[..., None, None],
        torch.log(truth.kernels.flatten(1).clamp_min(1e-9))[..., None, None],
        truth.noise.view(4, 1, 1, 1),
    )
    least = estimator_loss(right, truth)
    entropy = -(shares * torch.log(shares + 1e-9)).sum(dim=1).mean()
    assert float(least["classes"]) == pytest.approx(float(entropy), abs=1e-3)
    assert float(least["kernel"]) == pytest.approx(0.0, abs=1e-3)
    assert float(least["noise"]) == 0.0
    wrong = estimator_loss(Answers(*(answer.roll(1, 0) + 0.1 for answer in right)), truth)
    assert all(wrong[name] > least[name] for name in least)


# --- training ---------------------------------------------------------------------------------------------


def test_a_few_steps_run_and_write_weights(sampler, tmp_path, monkeypatch):
    """The clock is the loop's only end: it is wound by hand."""
    ticks = iter(range(100))
    monkeypatch.setattr(training.time, "perf_counter", lambda: float(next(ticks)))
    said = []
    config = EstimatorConfig(minutes=6 / 60, batch=4)
    path = tmp_path / "estimator.safetensors"
    average = train_estimator(config, sampler, path, on_log=said.append, log_every=1)
    assert len(said) >= 3
    assert [json.loads(line)["step"] for line in said] == list(range(1, len(said) + 1))
    assert all(math.isfinite(json.loads(line)["classes"]) for line in said)
    loaded = load_estimator(path)
    for name, tensor in average.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])
    torch.manual_seed(config.seed)
    begun = BlurEstimator(classes=bins.CLASSES, kernel_px=KERNEL_PX)
    assert not torch.equal(begun.hidden.weight, loaded.hidden.weight)


def test_the_script_trains_exports_and_goes_on(photo, tmp_path, monkeypatch, capsys):
    from PIL import Image

    script = Path(__file__).parents[2] / "scripts" / "train_estimator.py"
    spec = importlib.util.spec_from_file_location("train_estimator", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo(SOURCE_PX + 4, SOURCE_PX + 4)).save(tmp_path / "photos" / "a.png")
    clock = itertools.count()
    monkeypatch.setattr(training.time, "perf_counter", lambda: float(next(clock)))
    common = ["--data", str(tmp_path / "photos"), "--minutes", "0.05", "--batch", "2", "--device", "cpu"]
    module.main([*common, "-o", str(tmp_path / "a.onnx")])
    assert "wrote" in capsys.readouterr().out
    module.main([*common, "-o", str(tmp_path / "b.onnx"), "--start", str(tmp_path / "a.safetensors")])
    assert (tmp_path / "b.onnx").read_bytes() != (tmp_path / "a.onnx").read_bytes()
    with pytest.raises(InputError, match="no such file"):
        module.main([*common, "-o", str(tmp_path / "c.onnx"), "--start", str(tmp_path / "none.safetensors")])
    (tmp_path / "bad.safetensors").write_bytes(b"not weights")
    with pytest.raises(CorruptWeights, match="not an estimator's weights"):
        module.main([*common, "-o", str(tmp_path / "c.onnx"), "--start", str(tmp_path / "bad.safetensors")])
    with pytest.raises(OutputError):
        module.main([*common, "-o", str(tmp_path / "a.onnx")])
