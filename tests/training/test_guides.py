"""What a network is told of the blur: deconvolved patches, as NumPy makes them, with kernels a little off."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.data.patches import PatchSampler
from acutance.data.photo_store import open_store
from acutance.deconvolution.data_consistency import consistent as consistent_in_numpy
from acutance.deconvolution.wiener import PENALTIES, wiener_guides
from acutance.degradations.blur import blur
from acutance.degradations.light import to_gamma, to_linear
from acutance.degradations.pipeline import degrade
from acutance.degradations.psf import delta_psf, gaussian_psf, line_psf
from acutance.errors import ConfigError
from acutance.imaging.response import Response
from acutance.networks.checkpoint_file import describe, generator_bytes
from acutance.networks.generators import Generator
from acutance.training import players
from acutance.training.batch import Told, parts_of
from acutance.training.batches import PairSource, batch_generator, draw_batch
from acutance.training.config import load_config
from acutance.training.guides import GuideConfig, consistent, distorted, restored_by, told_of, wiener, with_guides
from acutance.training.loop import GENERATOR_FILE, train
from acutance.training.players import new_generator

CPU = torch.device("cpu")
GUIDED = ("generator.guides=3", "watch.held_out=0")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def lines(lengths, angle=0.4, *, radius_px=8):
    lengths = torch.tensor(lengths)
    return line_psf(lengths, torch.full_like(lengths, angle), radius_px=radius_px)


def in_values(kernels):
    return Told(kernels, torch.zeros(len(kernels), dtype=torch.bool))


@pytest.fixture(scope="module")
def sharp(photo):
    return torch.from_numpy(np.stack([photo(80, 72, seed=seed) for seed in range(3)])).permute(0, 3, 1, 2) / 255


# --- the filter -------------------------------------------------------------------------------------------


def test_guides_are_those_of_numpy(sharp):
    kernels = torch.cat([lines([3.0, 9.0]), gaussian_psf(*torch.full((2, 1), 1.5), torch.zeros(1), radius_px=8)])
    degraded = blur(sharp, kernels)
    made = wiener(degraded, kernels)
    assert made.shape == (3, 9, 64, 56)
    for patch, psf, guides in zip(degraded.numpy(), kernels.double().numpy(), made.numpy(), strict=True):
        expected = np.stack([wiener_guides(channel, psf) for channel in patch], axis=1)  # penalty, colour
        np.testing.assert_allclose(guides.reshape(expected.shape), expected, atol=2e-4)


def test_guides_are_nearer_to_the_truth_and_smoother_from_one_to_the_next(sharp):
    kernels = lines([6.0, 6.0, 6.0])
    degraded = torch.round(blur(sharp, kernels) * 255) / 255
    truth = sharp[..., 8:-8, 8:-8]
    guides = wiener(degraded, kernels).unflatten(1, (len(PENALTIES), 3))
    inner = (..., slice(12, -12), slice(12, -12))
    seen = (degraded - truth)[inner].square().mean()
    assert (guides[:, 1] - truth)[inner].square().mean() < 0.5 * seen
    roughness = [float(guides[:, number].diff(dim=-1).square().mean()) for number in range(3)]
    assert roughness[0] > roughness[1] > roughness[2]


def test_a_point_gives_almost_the_patch_itself(sharp):
    made = wiener(sharp, delta_psf(3, radius_px=5, device=CPU))
    torch.testing.assert_close(made[:, :3], sharp, atol=0.01, rtol=0)


# --- kernels that are a little off ------------------------------------------------------------------------


def test_the_exact_share_is_told_the_very_kernel():
    kernels = lines([10.0] * 800)
    told = distorted(kernels, GuideConfig(exact_share=0.3), seeded())
    is_exact = (told == kernels).all(dim=2).all(dim=1)
    assert float(is_exact.float().mean()) == pytest.approx(0.3, abs=4 * (0.21 / 800) ** 0.5)
    torch.testing.assert_close(told.sum(dim=(1, 2)), torch.ones(800))
    assert told.min() >= 0


@pytest.mark.parametrize("settings", [{"exact_share": 1.0}, {"error_px": 0.0, "exact_share": 0.0}])
def test_no_error_is_none(settings):
    kernels = lines([4.0, 10.0, 15.0])
    torch.testing.assert_close(distorted(kernels, GuideConfig(**settings), seeded()), kernels, atol=1e-5, rtol=0)


def half_vectors(kernels):
    """Return, for kernels of straight motion, the vector (x, y) from the middle to an end, by their second moments."""
    axis = torch.arange(kernels.shape[-1], dtype=torch.float32) - kernels.shape[-1] // 2
    xx = (kernels * axis[None, :] ** 2).sum(dim=(1, 2))
    yy = (kernels * axis[:, None] ** 2).sum(dim=(1, 2))
    xy = (kernels * axis[:, None] * axis[None, :]).sum(dim=(1, 2))
    angle = 0.5 * torch.atan2(2 * xy, xx - yy)
    largest = (xx + yy) / 2 + torch.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return torch.sqrt(3 * largest)[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)


@pytest.mark.parametrize("length", [8.0, 14.0])
def test_the_ends_lie_off_by_about_the_error(length):
    """Along the path and across it; the longer it is, the less it turns for that."""
    config = GuideConfig(error_px=0.4, exact_share=0.0)
    kernels = lines([length] * 600, angle=0.4, radius_px=12)
    (before,), after = half_vectors(kernels[:1]), half_vectors(distorted(kernels, config, seeded()))
    along = torch.tensor([math.cos(0.4), math.sin(0.4)])
    across = torch.tensor([-math.sin(0.4), math.cos(0.4)])
    off = after - before
    assert float((off @ along).std()) == pytest.approx(0.4, rel=0.15)
    assert float((off @ across).std()) == pytest.approx(0.4, rel=0.15)
    assert (off.mean(dim=0).abs() < 0.1).all()


def test_what_is_said_of_the_error_is_checked():
    for settings, words in (
        ({"exact_share": 1.2}, "exact_share"),
        ({"light_share": -0.1}, "light_share"),
        ({"error_px": -1.0}, "error_px"),
    ):
        with pytest.raises(ConfigError, match=words):
            GuideConfig(**settings)
    with pytest.raises(ConfigError, match="error_px"):
        GuideConfig(error_px=float("nan"))


# --- settings ---------------------------------------------------------------------------------------------

TWO_BLURS = (
    "degradation.stages=[{ kind = 'blur', radius_px = 8, choices = [{ kind = 'gaussian', sigma_px = [0.5, 1.2] }] }, "
    "{ kind = 'blur', radius_px = 8, choices = [{ kind = 'line', length_px = [2.0, 8.0] }] }]"
)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("generator.guides=2", "watch.held_out=0"), "generator.guides = 2: must be 3"),
        ((*GUIDED, "degradation.stages=[]"), "exactly one blur stage"),
        ((*GUIDED, TWO_BLURS), "exactly one blur stage"),
        (("generator.guides=3", "watch.held_out=1"), "watch.held_out = 0"),
        (("degradation.stages=[{ kind = 'grain' }]", "patch_px=4"), "more than 4 with a stage grain"),
        (("ramp_share=1.5",), "ramp_share = 1.5"),
        (("ramp_share=0.6", "reduced_share=0.6"), "reduced_share \\+ ramp_share"),
    ],
)
def test_settings_that_cannot_be_are_refused(tiny, overrides, words):
    with pytest.raises(ConfigError, match=words):
        tiny(*overrides)


# --- batches ----------------------------------------------------------------------------------------------


def test_a_batch_is_the_patches_with_their_guides(store, tiny):
    config = tiny(*GUIDED, "degradation.untouched=0.3", "patch_px=32")
    sampler = PatchSampler(store, side_px=config.source_px, device=CPU)
    batch = draw_batch(config, sampler, 5)
    given, reference = batch.pair
    assert given.shape == (4, 12, 32, 32)
    source = batch_generator(config, 5, CPU)
    made = degrade(config.degradation, sampler.draw(4, source), source)
    assert torch.equal(given[:, :3], made.degraded)
    assert torch.equal(reference, made.reference)
    told = told_of(made, config.guide, source)
    assert torch.equal(batch.told.kernels, told.kernels)
    assert torch.equal(batch.told.is_linear, told.is_linear)
    assert torch.equal(given, with_guides(made.degraded, told))
    plain = draw_batch(tiny("watch.held_out=0", "degradation.untouched=0.3", "patch_px=32"), sampler, 5)
    assert torch.equal(plain.pair[0], made.degraded)
    assert plain.told is None


def test_what_a_guided_network_gives_is_made_to_explain_its_input(store, tiny):
    config = tiny(*GUIDED, "patch_px=32", "guide.exact_share=1.0")
    batch = draw_batch(config, PatchSampler(store, side_px=config.source_px, device=CPU), 5)
    seen = batch.pair[0][:, :3]
    batch = batch._replace(pair=(seen, batch.pair[1]))
    restored = restored_by(torch.nn.Identity(), batch)
    assert torch.equal(restored, consistent(seen, seen, batch.told))
    assert not torch.equal(restored, seen)
    halves = torch.cat([restored_by(torch.nn.Identity(), part) for part in parts_of(batch, 2)])
    torch.testing.assert_close(halves, restored)
    assert torch.equal(restored_by(torch.nn.Identity(), batch._replace(told=None)), seen)


def test_the_data_consistency_step_is_that_of_numpy(sharp):
    kernels = torch.cat([lines([5.0, 9.0]), gaussian_psf(*torch.full((2, 1), 1.5), torch.zeros(1), radius_px=8)])
    seen = blur(sharp, kernels)
    lacking = blur(sharp, gaussian_psf(*torch.full((2, 3), 0.9), torch.zeros(3), radius_px=8))
    made = consistent(lacking, seen, in_values(kernels))
    assert (made - lacking).abs().amax(dim=(1, 2, 3)).min() > 0.005  # none is left as it is
    for patch, psf, restored, corrected in zip(seen.numpy(), kernels.double().numpy(), lacking, made, strict=True):
        expected = consistent_in_numpy(restored.numpy(), patch, psf)
        np.testing.assert_allclose(corrected.numpy(), expected, atol=1e-4)


def test_what_the_data_tell_need_not_be_learnt(sharp):
    """The gradient through the step is small for what the kernel passes, and whole for what it does not."""
    kernels = lines([8.0, 8.0, 8.0], angle=0.0)
    seen = blur(sharp, kernels)
    lacking = blur(sharp, gaussian_psf(*torch.full((2, 3), 0.9), torch.zeros(3), radius_px=8)).requires_grad_()
    columns = torch.arange(seen.shape[-1]) * 2 * math.pi
    passed, stopped = torch.cos(columns / 40), torch.cos(columns / 8)
    made = consistent(lacking, seen, in_values(kernels))
    by_wave = []
    for wave in (passed, stopped):
        (gradient,) = torch.autograd.grad((made * wave).sum(), lacking, retain_graph=True)
        inner = gradient[..., 20:-20]
        by_wave.append(float((inner * wave[20:-20]).mean() / (wave[20:-20] ** 2).mean()))
    assert by_wave[0] < 0.4
    assert 0.8 < by_wave[1] < 1.2


def test_a_blur_of_light_is_undone_in_light_as_numpy_does(sharp):
    kernels = lines([5.0, 9.0, 7.0])
    told = Told(kernels, torch.tensor([True, False, True]))
    in_light = told.is_linear.view(-1, 1, 1, 1)
    seen = torch.where(in_light, to_gamma(blur(to_linear(sharp), kernels)), blur(sharp, kernels))
    lacking = blur(sharp, gaussian_psf(*torch.full((2, 3), 0.9), torch.zeros(3), radius_px=8))
    guides, corrected = with_guides(seen, told)[:, 3:].numpy(), consistent(lacking, seen, told).numpy()
    for number, psf in enumerate(kernels.double().numpy()):
        response = Response.SRGB if told.is_linear[number] else Response.NONE
        expected = np.stack([wiener_guides(one, psf, response=response) for one in seen[number].numpy()], axis=1)
        np.testing.assert_allclose(guides[number].reshape(expected.shape), expected, atol=1e-3)
        expected = consistent_in_numpy(lacking[number].numpy(), seen[number].numpy(), psf, response=response)
        np.testing.assert_allclose(corrected[number], expected, atol=2e-4)
        error = np.abs(corrected[number] - sharp[number, :, 8:-8, 8:-8].numpy()).mean()
        assert error < 0.8 * np.abs(lacking[number].numpy() - sharp[number, :, 8:-8, 8:-8].numpy()).mean()


def test_a_share_of_what_light_blurred_is_undone_in_it(sharp, tiny):
    config = tiny(*GUIDED, "guide.light_share=0.5")
    stage = replace(config.degradation.stages[0], linear_share=0.5)
    made = degrade(replace(config.degradation, stages=(stage,)), sharp[:, :, :64, :64].repeat(40, 1, 1, 1), seeded())
    told = told_of(made, config.guide, seeded(1))
    assert not (told.is_linear & ~made.is_linear).any()
    assert 0.35 < float(told.is_linear.sum() / made.is_linear.sum()) < 0.65
    assert not told_of(made, replace(config.guide, light_share=0.0), seeded(1)).is_linear.any()
    assert torch.equal(told_of(made, replace(config.guide, light_share=1.0), seeded(1)).is_linear, made.is_linear)


@pytest.mark.parametrize("ahead", [1, 3])
def test_guided_batches_are_the_same_in_any_order(store, tiny, ahead):
    config = tiny(*GUIDED)
    sampler = PatchSampler(store, side_px=config.source_px, device=CPU, ramp_share=0.25)
    through, resumed = (PairSource(config, sampler, ahead=ahead) for _ in range(2))
    seen = {iteration: through.batch(iteration).pair for iteration in range(5)}
    for iteration in (4, 1, 2, 0):
        for part, before in zip(resumed.batch(iteration).pair, seen[iteration], strict=True):
            assert torch.equal(part, before)


# --- the presets that are shipped -------------------------------------------------------------------------

SMALL = ("batch=4", "generator.width=8", "generator.num_blocks=1", "generator.coarser=[{ width = 8, num_blocks = 1 }]")
SHORT = ("schedule.iterations=2", "schedule.warmup_iterations=0", "watch.held_out=0", "watch.save_every=2")


@pytest.fixture(scope="module")
def large_photos(photo, tmp_path_factory):
    """Two photos that patches of twice their side fit into."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("large")
    for index in range(2):
        Image.fromarray(photo(330, 340, seed=index)).save(folder / f"{index}.png")
    return open_store(folder, tmp_path_factory.mktemp("large-store"))


@pytest.mark.parametrize("preset", ["motion", "fast"])
def test_the_presets_train(preset, large_photos, fabric, tmp_path, monkeypatch):
    monkeypatch.setattr(players, "WHITENING_PATCHES", 8)
    config = load_config(preset, [*SMALL, *SHORT])
    assert not config.generator.biases
    assert config.head_start == "whitening"
    progress = train(config, large_photos, tmp_path / "run", fabric=fabric)
    assert progress.iteration == 2
    assert (tmp_path / "run" / GENERATOR_FILE).exists()
    sampler = PatchSampler(
        large_photos, side_px=config.source_px, device=CPU, reduced_share=config.reduced_share, ramp_share=0.25
    )
    given, reference = draw_batch(config, sampler, 0).pair
    assert given.shape == (4, {"motion": 12, "fast": 3}[preset], config.patch_px, config.patch_px)
    assert reference.shape == (4, 3, config.patch_px, config.patch_px)
    assert bool(torch.isfinite(given).all())


# --- a start from a network with biases -------------------------------------------------------------------


def test_a_network_without_biases_may_begin_with_one_that_has_them(store, tiny, tmp_path):
    torch.manual_seed(3)
    config = tiny("generator.biases=false", "generator.num_blocks=2", f"start_from={tmp_path / 'known.safetensors'}")
    known = Generator(tiny().generator)  # one block less
    for parameter in known.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    spec = describe(known, name="known", training_data="none", licence="Apache-2.0")
    (tmp_path / "known.safetensors").write_bytes(generator_bytes(known, spec))
    sampler = PatchSampler(store, side_px=config.source_px, device=CPU)
    begun = new_generator(config, sampler, CPU)
    assert begun.config == config.generator
    assert torch.equal(begun.head.weight, known.head.weight)
    for name, parameter in known.named_parameters():
        if name.endswith("bias"):
            parameter.data.zero_()
    given = torch.rand(1, 3, 16, 16, generator=seeded())
    torch.testing.assert_close(begun(given), known(given), atol=1e-6, rtol=1e-5)


def test_a_network_with_biases_does_not_begin_with_one_that_has_none(store, tiny, tmp_path):
    bare = Generator(tiny("generator.biases=false").generator)
    spec = describe(bare, name="bare", training_data="none", licence="Apache-2.0")
    (tmp_path / "bare.safetensors").write_bytes(generator_bytes(bare, spec))
    config = tiny(f"start_from={tmp_path / 'bare.safetensors'}")
    with pytest.raises(
        ConfigError, match=r"than the settings ask for: generator.biases is false there, true asked for"
    ):
        new_generator(config, PatchSampler(store, side_px=config.source_px, device=CPU), CPU)
