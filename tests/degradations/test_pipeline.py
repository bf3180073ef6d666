"""Pipelines: what is touched and how often, what margin is consumed, and that a seed is a batch."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations.blur import blur
from acutance.degradations.blur_rows import Defocus, Gaussian, Measured, Shake
from acutance.degradations.pipeline import DegradationConfig, degrade
from acutance.degradations.reduce import reduce
from acutance.degradations.stages import Blur, Jpeg, Noise, Reduce, Rescale
from acutance.errors import ConfigError

GAUSSIAN = Gaussian(sigma_px=(1.0, 2.0))
EVERYTHING = DegradationConfig(
    stages=(
        Blur(choices=(GAUSSIAN, Defocus(), Shake(length_px=(3.0, 6.0))), radius_px=8, probability=0.9),
        Rescale(probability=0.5),
        Noise(probability=0.5, noise_sigma=(0.0, 0.02), signal_gain=(0.0, 0.001)),
        Jpeg(probability=0.5),
    ),
    untouched=0.2,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def sharp(photo):
    """Eight sharp patches of 40 px: `n 3 h w`, on the 8-bit grid."""
    return torch.from_numpy(np.stack([photo(40, 40, seed=seed) for seed in range(8)])).permute(0, 3, 1, 2) / 255


def share_touched(stage, count=600, seed=3):
    """Return how many of many tiny random images a stage changes."""
    images = torch.rand(count, 3, 8 + 2 * stage.margin_px, 8 + 2 * stage.margin_px, generator=seeded(seed))
    margin = stage.margin_px
    inner = images[..., margin : margin + 8, margin : margin + 8]
    return float(((stage.apply(images, seeded()) - inner).abs().amax(dim=(1, 2, 3)) > 1e-5).float().mean())


# --- pairs ------------------------------------------------------------------------------------------------


def test_pair_is_smaller_by_the_margin_and_aligned(sharp):
    assert EVERYTHING.margin_px == 8
    degraded, reference, *_ = degrade(EVERYTHING, sharp, seeded())
    assert degraded.shape == reference.shape == (8, 3, 24, 24)
    assert torch.equal(reference, sharp[..., 8:-8, 8:-8])


def test_a_reduced_pair_is_half_the_reference_and_aligned(sharp):
    """The margin is cut at full size, so that the small picture is that of the whole reference."""
    config = DegradationConfig(stages=(*EVERYTHING.stages[:1], Reduce(), *EVERYTHING.stages[1:]))
    assert (config.margin_px, config.reduction) == (8, 2)
    degraded, reference, *_ = degrade(config, sharp, seeded())
    assert (degraded.shape, reference.shape) == ((8, 3, 12, 12), (8, 3, 24, 24))
    assert torch.equal(reference, sharp[..., 8:-8, 8:-8])
    only_reduced, *_ = degrade(DegradationConfig(stages=(Reduce(),)), sharp[..., 8:-8, 8:-8], seeded())
    torch.testing.assert_close(only_reduced, reduce(reference, 2).clamp(0, 1), atol=0.51 / 255, rtol=0)


def test_untouched_patches_are_reduced_all_the_same(sharp):
    config = DegradationConfig(stages=(*EVERYTHING.stages[:1], Reduce(), *EVERYTHING.stages[1:]), untouched=1.0)
    degraded, reference, *_ = degrade(config, sharp, seeded())
    torch.testing.assert_close(degraded * 255, torch.round(reduce(reference, 2).clamp(0, 1) * 255), atol=1e-4, rtol=0)


def test_reduction_draws_nothing():
    """A stage that is always there and needs no chance leaves the others theirs."""
    source = seeded()
    Reduce().apply(torch.zeros(2, 3, 4, 4), source)
    assert torch.equal(source.get_state(), seeded().get_state())


def test_without_a_reduction_both_are_of_one_size():
    assert EVERYTHING.reduction == 1
    assert DegradationConfig(stages=()).reduction == 1


def test_margins_of_several_blurs_add_up(sharp):
    slight = Gaussian(sigma_px=(0.5, 1.0))
    blurs = (Blur(choices=(slight,), radius_px=3), Noise(), Blur(choices=(slight,), radius_px=5))
    config = DegradationConfig(stages=blurs)
    assert config.margin_px == 8
    degraded, reference, *_ = degrade(config, sharp, seeded())
    assert degraded.shape == reference.shape == (8, 3, 24, 24)


def test_no_stages_change_nothing(sharp):
    degraded, reference, *_ = degrade(DegradationConfig(stages=()), sharp, seeded())
    assert torch.equal(reference, sharp)
    torch.testing.assert_close(degraded, sharp, atol=1e-7, rtol=0)


def test_degraded_is_on_the_grid_of_8_bit(sharp):
    degraded, *_ = degrade(EVERYTHING, sharp, seeded())
    levels = degraded * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert degraded.min() >= 0
    assert degraded.max() <= 1


def test_untouched_patches_are_the_reference_itself(sharp):
    config = DegradationConfig(stages=EVERYTHING.stages, untouched=1.0)
    degraded, reference, *_ = degrade(config, sharp, seeded())
    assert torch.equal(degraded, reference)


def test_share_of_untouched_patches_is_as_asked(photo):
    patch = torch.from_numpy(photo(24, 24)).permute(2, 0, 1).expand(400, 3, 24, 24) / 255
    config = DegradationConfig(stages=(Blur(choices=(GAUSSIAN,), radius_px=8),), untouched=0.3)
    degraded, reference, *_ = degrade(config, patch, seeded())
    share = float((degraded == reference).all(dim=3).all(dim=2).all(dim=1).float().mean())
    assert share == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 400))


def test_a_seed_is_a_batch(sharp):
    first, second = degrade(EVERYTHING, sharp, seeded(7)), degrade(EVERYTHING, sharp, seeded(7))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], degrade(EVERYTHING, sharp, seeded(8))[0])


def test_the_input_is_left_alone(sharp):
    before = sharp.clone()
    degrade(EVERYTHING, sharp, seeded())
    assert torch.equal(sharp, before)


# --- stages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    "stage",
    [
        lambda p: Blur(choices=(GAUSSIAN,), radius_px=6, probability=p),
        lambda p: Rescale(probability=p, factor=(1.5, 2.0)),
        lambda p: Noise(probability=p, noise_sigma=(0.01, 0.02)),
        lambda p: Jpeg(probability=p),
    ],
    ids=["blur", "rescale", "noise", "jpeg"],
)
def test_stages_touch_the_share_of_images_asked_for(stage, probability):
    limit = 4 * math.sqrt(probability * (1 - probability) / 600)
    assert share_touched(stage(probability)) == pytest.approx(probability, abs=limit)


def test_kinds_of_blur_are_drawn_by_their_weight():
    """A weight of 0 is never drawn; 3 to 1 is three quarters: told apart by what they do to a point."""
    strong, weak = Gaussian(sigma_px=(2.0, 2.0), weight=3.0), Gaussian(sigma_px=(0.3, 0.3), weight=1.0)
    stage = Blur(choices=(strong, weak, Shake(weight=0.0)), radius_px=8)
    points = torch.zeros(800, 3, 17, 17)
    points[..., 8, 8] = 1
    peaks = stage.apply(points, seeded())[:, 0, 0, 0]
    is_strong = peaks < 0.5
    assert float(is_strong.float().mean()) == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 800))
    torch.testing.assert_close(
        peaks[is_strong], torch.full_like(peaks[is_strong], 1 / (8 * math.pi)), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize(
    "row", [Gaussian(sigma_px=(0.5, 2.0), anisotropy=3.0), Defocus(), Shake(length_px=(2.0, 6.0))], ids=lambda r: r.kind
)
def test_rows_draw_one_unit_kernel_per_image(row):
    psf = row.draw(5, 8, seeded())
    assert psf.shape == (5, 17, 17)
    torch.testing.assert_close(psf.sum(dim=(1, 2)), torch.ones(5))
    assert len({tuple(kernel.flatten().tolist()) for kernel in psf}) == 5
    assert torch.equal(psf, row.draw(5, 8, seeded()))


def test_anisotropy_shortens_one_axis_only():
    """Kernel by kernel: σ of the long axis within its range, the short one between σ / ratio and σ."""
    psf = Gaussian(sigma_px=(2.0, 2.0), anisotropy=3.0).draw(40, 10, seeded()).double().numpy()
    offsets = np.arange(-10, 11)
    y, x = np.meshgrid(offsets, offsets, indexing="ij")
    for kernel in psf:
        off = (kernel * x * y).sum()
        covariance = [[(kernel * x * x).sum(), off], [off, (kernel * y * y).sum()]]
        short, long = np.sqrt(np.linalg.eigvalsh(covariance))
        assert long == pytest.approx(2.0, rel=0.02)
        assert 2.0 / 3.0 * 0.98 <= short <= 2.0 * 1.02


@pytest.mark.parametrize("inertia", [0.0, 0.9, 0.999])
@pytest.mark.parametrize("length", [1.0, 3.3, 8.0, 14.5, 26.0, 30.0])
def test_shakes_fit_into_their_reach(length, inertia):
    """Nothing is cut off at the smallest radius that is allowed, softening included."""
    row = Shake(length_px=(length, length), inertia=inertia)
    radius = math.ceil(row.reach_px)
    Blur(choices=(row,), radius_px=radius)
    roomy = row.draw(40, radius + 2, seeded())
    torch.testing.assert_close(roomy[:, 2:-2, 2:-2], row.draw(40, radius, seeded()), atol=1e-6, rtol=0)


def test_measured_kernels_are_used_as_they_are(tmp_path, sharp):
    random = np.random.default_rng(0)
    arrays = {"a": random.uniform(0, 1, (5, 3)), "b": random.uniform(0, 9, (4, 6)), "c": np.arange(3.0)}
    np.savez(tmp_path / "kernels.npz", **arrays)
    row = Measured(file=tmp_path / "kernels.npz")
    drawn = row.draw(30, 4, seeded())
    expected = []
    for name in "ab":  # the origin of a kernel is its element (kh // 2, kw // 2); "c" is no picture
        height, width = arrays[name].shape
        kernel = np.zeros((9, 9))
        kernel[4 - height // 2 : 4 - height // 2 + height, 4 - width // 2 : 4 - width // 2 + width] = arrays[name]
        expected.append(kernel / kernel.sum())
    matches = [[np.allclose(psf, kernel, atol=1e-6) for kernel in expected] for psf in drawn.numpy()]
    assert all(sum(row) == 1 for row in matches)
    assert 5 < sum(row[0] for row in matches) < 25  # both are drawn
    stage = Blur(choices=(row,), radius_px=4)
    possible = torch.stack([blur(sharp, torch.from_numpy(k).float().expand(8, 9, 9)) for k in expected])
    distance = (stage.apply(sharp, seeded()) - possible).abs().amax(dim=(2, 3, 4)).amin(dim=0)
    assert distance.max() < 1e-5


# --- settings ---------------------------------------------------------------------------------------------


def test_measured_files_that_hold_no_kernels_are_refused(tmp_path):
    missing = Measured(file=tmp_path / "none.npz")
    with pytest.raises(ConfigError, match="cannot be read"):
        missing.draw(1, 4, seeded())
    (tmp_path / "text.npz").write_text("no kernels here")
    with pytest.raises(ConfigError, match="cannot be read"):
        Measured(file=tmp_path / "text.npz").draw(1, 4, seeded())
    np.savez(tmp_path / "cut.npz", kernel=np.ones((31, 31)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-90])
    np.save(tmp_path / "alone.npy", np.ones((3, 3)))
    for name in ("cut.npz", "alone.npy"):
        with pytest.raises(ConfigError, match="cannot be read"):
            Measured(file=tmp_path / name).draw(1, 4, seeded())
    np.savez(tmp_path / "other.npz", empty=np.ones((0, 3)), text=np.array([["a"]]))
    with pytest.raises(ConfigError, match="holds no 2-D kernel"):
        Measured(file=tmp_path / "other.npz").draw(1, 4, seeded())
    np.savez(tmp_path / "large.npz", kernel=np.ones((31, 31)))
    with pytest.raises(ConfigError, match="at most 9 px; raise radius_px"):
        Measured(file=tmp_path / "large.npz").draw(1, 4, seeded())
    for name, kernel in (("zero", np.zeros((3, 3))), ("nan", np.full((3, 3), np.nan)), ("negative", -np.ones((3, 3)))):
        np.savez(tmp_path / f"{name}.npz", kernel=kernel)
        with pytest.raises(ConfigError, match="not negative"):
            Measured(file=tmp_path / f"{name}.npz").draw(1, 4, seeded())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(sigma_px=(0.0, 1.0)), r"gaussian\.sigma_px"),
        (lambda: Gaussian(anisotropy=0.5), r"gaussian\.anisotropy = 0\.5"),
        (lambda: Defocus(disk_radius_px=(3.0, 1.0)), r"defocus\.disk_radius_px"),
        (lambda: Shake(length_px=(-1.0, 1.0)), r"shake\.length_px"),
        (lambda: Shake(inertia=1.0), r"shake\.inertia = 1\.0"),
        (lambda: Blur(choices=()), r"blur\.choices"),
        (lambda: Blur(choices=(Gaussian(weight=0.0),)), r"blur\.choices"),
        (lambda: Blur(choices=(Gaussian(weight=2.0), Defocus(weight=-1.0))), r"weight"),
        (lambda: Blur(choices=(GAUSSIAN,), radius_px=0), r"blur\.radius_px = 0"),
        (lambda: Blur(choices=(GAUSSIAN,), radius_px=5), r"cuts off gaussian kernels, which reach 6 px"),
        (lambda: Blur(choices=(Defocus(),), radius_px=3), r"cuts off defocus kernels"),
        (lambda: Blur(choices=(Shake(),), radius_px=8), r"cuts off shake kernels, which reach 8\.5 px"),
        (lambda: Blur(choices=(Shake(length_px=(3.0, 31.0)),)), r"cuts off shake kernels, which reach 16\.5 px"),
        (lambda: Blur(choices=(GAUSSIAN,), probability=1.5), r"blur\.probability = 1\.5"),
        (lambda: Rescale(factor=(0.5, 2.0)), r"rescale\.factor"),
        (lambda: Rescale(probability=-0.1), r"rescale\.probability = -0\.1"),
        (lambda: Noise(noise_sigma=(0.0, 2.0)), r"noise\.noise_sigma"),
        (lambda: Noise(signal_gain=(-1.0, 0.0)), r"noise\.signal_gain"),
        (lambda: Noise(probability=2.0), r"noise\.probability = 2\.0"),
        (lambda: Jpeg(quality=(0.0, 50.0)), r"jpeg\.quality"),
        (lambda: Jpeg(subsampled=7.0), r"jpeg\.subsampled = 7\.0"),
        (lambda: Jpeg(probability=math.nan), r"jpeg\.probability = nan"),
        (lambda: DegradationConfig(stages=(), untouched=1.1), r"degradation\.untouched = 1\.1"),
        (
            lambda: DegradationConfig(stages=(Reduce(), Blur(choices=(GAUSSIAN,)))),
            r"stages: reduce must come once, and a",
        ),
        (lambda: DegradationConfig(stages=(Reduce(), Noise(), Reduce())), r"stages: reduce must come once, and after"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_how_strong_the_noise_is_comes_with_the_pairs():
    flat = torch.full((64, 3, 40, 40), 0.5)
    noisy = DegradationConfig(
        stages=(Blur(choices=(GAUSSIAN,), radius_px=8), Noise(probability=1.0, noise_sigma=(0.02, 0.02))), untouched=0.3
    )
    made = degrade(noisy, flat, seeded())
    is_touched = (made.degraded != made.reference).flatten(1).any(dim=1)
    assert 0 < int(is_touched.sum()) < 64
    assert float((made.noise[is_touched] - 0.02).abs().max()) < 0.002
    assert float(made.noise[~is_touched].abs().max()) == 0.0


def test_blur_and_rescaling_are_no_noise(sharp):
    config = DegradationConfig(stages=(Blur(choices=(GAUSSIAN,), radius_px=8), Rescale(probability=1.0)))
    assert float(degrade(config, sharp, seeded()).noise.max()) == 0.0
