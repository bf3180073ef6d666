"""A network that sharpens and enlarges in one, from its settings to its weights."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load_file

from acutance.data.patches import PatchSampler
from acutance.data.protocol import degrade, find_row
from acutance.errors import ConfigError
from acutance.exporting.export import export_onnx
from acutance.inference.sharpener import Sharpener
from acutance.metrics.psnr import psnr
from acutance.networks.checkpoint_file import load_generator
from acutance.networks.generators import Generator, GeneratorConfig, enlarge, enlarging
from acutance.training.batches import draw_batch
from acutance.training.config import load_config
from acutance.training.loop import CHECKPOINT_FILE, GENERATOR_FILE, train
from acutance.training.players import new_generator
from acutance.training.validation import HeldOut, split_store, validate

CPU = torch.device("cpu")
X2 = (
    "generator.scale=2",
    "degradation.stages=[{ kind = 'blur', radius_px = 4, choices = [{ kind = 'gaussian', sigma_px = [0.5, 1.2] }] }, "
    "{ kind = 'reduce' }, { kind = 'noise', probability = 0.5 }]",
    "watch.rows=['x2-gauss-1.0']",
)
GAME = ("objective.adversarial=0.01", "adversary.discriminator.width=2", "adversary.discriminator.hidden=8")


def sampler_of(store, config):
    return PatchSampler(store, side_px=config.source_px, device=CPU)


def test_a_batch_is_small_pictures_and_references_twice_as_large(tiny, store):
    config = tiny(*X2)
    assert config.source_px == 2 * 16 + 2 * 4
    degraded, reference = draw_batch(config, sampler_of(store, config), 0).pair
    assert (degraded.shape, reference.shape) == ((4, 3, 16, 16), (4, 3, 32, 32))
    means = torch.nn.functional.avg_pool2d(reference, 2)
    assert (degraded - means).abs().mean() < 0.05  # of the very same place


def stop_after_two_steps():
    seen = []
    return {"on_tick": seen.append, "should_stop": lambda: len(seen) + 1 >= 2}


@pytest.mark.parametrize(
    "extra",
    [(), ("head_start=whitening", "optimizer.kind=muon"), GAME, ("generator.coarser=[{ width = 4, num_blocks = 1 }]",)],
    ids=["content", "muon", "game", "coarser"],
)
def test_two_and_two_steps_are_four_and_give_a_model_that_enlarges(tmp_path, tiny, store, fabric, extra):
    config = tiny(*X2, *extra)
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    train(config, store, straight, fabric=fabric)
    assert train(config, store, resumed, fabric=fabric, **stop_after_two_steps()).iteration == 2
    assert train(config, store, resumed, fabric=fabric, resume=True).iteration == 4
    first, second = (load_file(run / CHECKPOINT_FILE) for run in (straight, resumed))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    _, spec = load_generator(straight / GENERATOR_FILE)
    assert (spec.scale, spec.task) == (2, "sharpen-and-enlarge")
    export_onnx(straight / GENERATOR_FILE, tmp_path / "x2.onnx")
    with Sharpener(tmp_path / "x2.onnx", threads=1) as sharpener:
        assert sharpener.sharpen_pixels(np.zeros((9, 11, 3), np.uint8)).shape == (18, 22, 3)


def test_loss_falls_and_validation_says_so(tmp_path, tiny, store, fabric):
    config = tiny(
        *X2,
        "optimizer.learning_rate=2e-3",
        "schedule.iterations=40",
        "watch.log_every=1",
        "watch.validate_every=1",
        "ema_half_life_kimg=0.01",
    )
    train(config, store, tmp_path / "run", fabric=fabric)
    lines = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    scores = [line["x2-gauss-1.0"] for line in lines if line["kind"] == "validation"]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    assert scores[-1] > scores[0] + 3


# --- validation -------------------------------------------------------------------------------------------


def identity():
    """Build a network that enlarges its input bilinearly."""
    generator = Generator(GeneratorConfig(width=4, num_blocks=0, unshuffle=2, scale=2)).eval()
    torch.nn.init.zeros_(generator.tail.weight)
    return generator


@pytest.mark.parametrize("size", [(32, 40), (33, 41)])
def test_validation_compares_with_whole_cells_of_the_photo(photo, size):
    """What is left over of an odd photo is cut; the sheet shows the input as large as the rest."""
    crops = [photo(*size, seed=seed) for seed in range(2)]
    result = validate(identity(), [HeldOut(crop) for crop in crops], ("x2-gauss-1.0",), device=CPU)
    values = []
    for index, crop in enumerate(crops):
        small = degrade(crop, find_row("x2-gauss-1.0"), index=index)
        wide = np.pad(small, ((1, 1), (1, 1), (0, 0)), mode="reflect")  # beyond its border the network sees the mirror
        batch = torch.from_numpy(wide).permute(2, 0, 1)[None] / 255
        enlarged = np.rint(enlarge(batch, 2)[0, :, 2:-2, 2:-2].permute(1, 2, 0).numpy() * 255)
        values.append(psnr(enlarged.astype(np.uint8), crop[:32, :40]))
    assert result.psnr_db["x2-gauss-1.0"] == pytest.approx(np.mean(values), abs=0.02)
    small = degrade(crops[0], find_row("x2-gauss-1.0"), index=0)
    assert result.sheet.shape == (32, 3 * 40, 3)
    np.testing.assert_array_equal(result.sheet[:, :40], small.repeat(2, axis=0).repeat(2, axis=1))
    np.testing.assert_array_equal(result.sheet[:, 80:], crops[0][:32, :40])


def test_samples_of_a_run_are_sheets_of_one_size(tmp_path, tiny, store, fabric):
    config = tiny(*X2, "schedule.iterations=1", "watch.crop_px=31")
    train(config, store, tmp_path / "run", fabric=fabric)
    with Image.open(tmp_path / "run" / "samples" / "0000001.png") as sheet:
        assert sheet.size == (3 * 30, 30)
    _, (crop,) = split_store(store, config.watch)
    assert crop.sharp.shape == (31, 31, 3)


# --- weights to begin with --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny, store, fabric):
    """Weights of a short run that does not enlarge."""
    run = tmp_path_factory.mktemp("small") / "run"
    train(tiny("schedule.iterations=2"), store, run, fabric=fabric)
    return run / GENERATOR_FILE


def test_a_run_may_begin_with_weights_that_do_not_enlarge(tmp_path, tiny, store, fabric, trained):
    config = tiny(*X2, f"start_from={trained}", "head_start=whitening", "schedule.iterations=1")
    begun = new_generator(config, sampler_of(store, config), CPU).eval()
    expected = enlarging(load_generator(trained)[0])
    for name, tensor in begun.state_dict().items():
        assert torch.equal(tensor, expected.state_dict()[name]), name  # its head is not whitened again
    train(config, store, tmp_path / "run", fabric=fabric)
    assert load_generator(tmp_path / "run" / GENERATOR_FILE)[0].config == config.generator


def test_a_run_may_begin_with_weights_that_enlarge(tmp_path, tiny, store, fabric, trained):
    train(tiny(*X2, "schedule.iterations=1"), store, tmp_path / "first", fabric=fabric)
    weights = tmp_path / "first" / GENERATOR_FILE
    config = tiny(*X2, f"start_from={weights}")
    begun = new_generator(config, sampler_of(store, config), CPU)
    assert all(
        torch.equal(tensor, load_generator(weights)[0].state_dict()[name])
        for name, tensor in begun.state_dict().items()
    )
    back = tiny(f"start_from={weights}")
    with pytest.raises(ConfigError, match=r"start_from = .*: generator\.scale is 2 there, 1 asked for\.$"):
        new_generator(back, sampler_of(store, back), CPU)


def test_weights_of_another_shape_are_refused_as_what_they_are(tiny, store, trained):
    config = tiny(*X2, f"start_from={trained}", "generator.width=12")
    with pytest.raises(ConfigError, match=r": generator\.width is 8 there, 12 asked for\.$"):
        new_generator(config, sampler_of(store, config), CPU)


# --- settings ---------------------------------------------------------------------------------------------


def test_the_preset_has_the_body_of_the_default_model():
    config, fast = load_config("fast-x2"), load_config("fast")
    assert replace(config.generator, scale=1) == fast.generator
    assert config.degradation.reduction == 2
    kinds = [stage.kind for stage in config.degradation.stages]
    assert kinds == ["blur", "reduce", "noise", "jpeg"]
    assert config.watch.rows == ("x2-gauss-1.0", "x2")
    assert config.source_px == 2 * config.patch_px + 2 * config.degradation.margin_px


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("generator.scale=2",), r"generator\.scale = 2: must be by how much the degradation reduces \(1 here\)"),
        (X2[1:], r"generator\.scale = 1: must be by how much the degradation reduces \(2 here\); .*scale 1 none"),
        (
            (*X2[:2], "watch.rows=['x2-gauss-1.0', 'none']"),
            r"watch\.rows: 'none' reduces photos by 1, but generator\.scale is 2; there are x2-gauss-1\.0, x2\.",
        ),
        (
            ("watch.rows=['x2-gauss-1.0']",),
            r"watch\.rows: 'x2-gauss-1\.0' reduces photos by 2, but generator\.scale is 1; there are gauss-1\.0, ",
        ),
        ((*X2, "patch_px=17"), r"patch_px = 17: must be a multiple of 2"),
        (
            ("generator.scale=2", "degradation.stages=[{ kind = 'reduce', factor = 3 }]"),
            r"3: must be one of 2 \(at degradation\.stages\[0\]\.factor\)",
        ),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(tiny, overrides, message):
    with pytest.raises(ConfigError, match=message):
        tiny(*overrides)


def test_a_run_that_validates_nothing_may_name_any_row(tiny):
    assert tiny(*X2[:2], "watch.held_out=0", "watch.rows=['none']").generator.scale == 2
