"""Eq. (5) against naive loops in float64, and what a texture loss must not see."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.losses.features import Layer
from acutance.losses.texture import (
    TextureConfig,
    cut_patches,
    mean_square,
    mean_squared_difference,
    texture,
)

ONE = (Layer(name="pool2"),)


def one(restored, reference, **how):
    return texture({"pool2": restored}, {"pool2": reference}, layers=ONE, **how)


def starts(extent, patch, stride):
    """Where patches begin along one side: even steps, and one more that ends at the border."""
    patch = min(patch, extent)
    positions = list(range(0, extent - patch + 1, stride))
    if positions[-1] + patch < extent:
        positions.append(extent - patch)
    return positions, patch


def naive_gram(features, top, left, height, width):
    """Return `F·Fᵀ / positions` of one patch, c × c, product by product."""
    channels = features.shape[0]
    gram = [[0.0] * channels for _ in range(channels)]
    for first in range(channels):
        for second in range(channels):
            for y in range(top, top + height):
                for x in range(left, left + width):
                    gram[first][second] += float(features[first, y, x]) * float(features[second, y, x])
            gram[first][second] /= height * width
    return gram


def naive(restored, reference, *, patch, stride, normalisation="mean"):
    """Compare Gram matrices patch by patch and element by element."""
    rows, height = starts(restored.shape[2], patch, stride)
    columns, width = starts(restored.shape[3], patch, stride)
    error = energy = 0.0
    count = 0
    for made, truth in zip(restored.double(), reference.double(), strict=True):
        for top in rows:
            for left in columns:
                place = (top, left, height, width)
                for ours, theirs in zip(naive_gram(made, *place), naive_gram(truth, *place), strict=True):
                    for value, wanted in zip(ours, theirs, strict=True):
                        error += (value - wanted) ** 2
                        energy += wanted**2
                        count += 1
    return error / energy if normalisation == "relative" else error / count


GRID = [
    # shape, patch, stride
    ((1, 2, 1, 1), 4, 4),  # one position
    ((2, 5, 1, 1), 4, 4),  # one position, many channels: the dual form
    ((1, 3, 4, 4), 2, 2),
    ((2, 3, 4, 6), 2, 1),  # overlapping
    ((1, 3, 5, 7), 2, 2),  # does not come out even
    ((1, 3, 5, 4), 4, 3),
    ((1, 2, 3, 2), 8, 8),  # smaller than a patch
    ((1, 2, 2, 5), 3, 2),  # smaller along one side only
    ((1, 9, 3, 3), 2, 2),  # dual, uneven
    ((2, 4, 3, 3), 1, 1),
]


@pytest.mark.parametrize(("shape", "patch", "stride"), GRID)
@pytest.mark.parametrize("normalisation", ["mean", "relative"])
def test_texture_is_the_squared_distance_of_gram_matrices(draw, shape, patch, stride, normalisation):
    restored, reference = draw(*shape, seed=1), draw(*shape, seed=2)
    loss = one(restored, reference, patch=patch, stride=stride, normalisation=normalisation)
    assert loss.shape == ()
    expected = naive(restored, reference, patch=patch, stride=stride, normalisation=normalisation)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_layers_are_added_by_weight(draw):
    restored = {"pool2": draw(2, 3, 6, 6, seed=1), "pool5": draw(2, 5, 1, 1, seed=2)}
    reference = {"pool2": draw(2, 3, 6, 6, seed=3), "pool5": draw(2, 5, 1, 1, seed=4)}
    layers = (Layer(name="pool2", weight=0.25), Layer(name="pool5", weight=2.0))
    expected = 0.25 * naive(restored["pool2"], reference["pool2"], patch=4, stride=4)
    expected += 2.0 * naive(restored["pool5"], reference["pool5"], patch=4, stride=4)
    assert float(texture(restored, reference, layers=layers)) == pytest.approx(expected, rel=1e-4)


def test_patches_lie_side_by_side_by_default(draw):
    restored, reference = draw(1, 3, 6, 6, seed=1), draw(1, 3, 6, 6, seed=2)
    assert torch.equal(one(restored, reference, patch=3), one(restored, reference, patch=3, stride=3))


def test_equal_features_have_no_loss(draw):
    for channels in (2, 64):  # both forms
        features = draw(2, channels, 4, 4)
        assert float(one(features, features, patch=2)) == 0


# --- what it must not see ---------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [2, 40])
def test_the_same_texture_gives_the_same_loss_whatever_the_patch_size(draw, channels):
    """Maps of period 2: every patch of even size has the same Gram matrix."""
    restored = draw(1, channels, 2, 2, seed=1).tile(1, 1, 6, 6)
    reference = draw(1, channels, 2, 2, seed=2).tile(1, 1, 6, 6)
    losses = [one(restored, reference, patch=patch) for patch in (2, 4, 6, 12, 100)]
    for loss in losses[1:]:
        torch.testing.assert_close(loss, losses[0], rtol=1e-5, atol=0)


def test_the_loss_depends_on_neither_batch_nor_map_size(draw):
    restored, reference = draw(1, 3, 4, 4, seed=1), draw(1, 3, 4, 4, seed=2)
    single = one(restored, reference, patch=4)
    torch.testing.assert_close(one(restored.tile(3, 1, 2, 2), reference.tile(3, 1, 2, 2), patch=4), single)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), channels=st.sampled_from([2, 12]))
def test_where_in_its_patch_something_is_does_not_matter(seed, channels):
    generator = torch.Generator().manual_seed(seed)
    restored = torch.randn(1, channels, 2, 2, generator=generator, dtype=torch.float64)
    reference = torch.randn(1, channels, 2, 2, generator=generator, dtype=torch.float64)
    order = torch.randperm(4, generator=generator)
    moved = restored.flatten(2)[..., order].view_as(restored)
    torch.testing.assert_close(one(moved, reference, patch=2), one(restored, reference, patch=2))
    assert float(one(moved, restored, patch=2)) == pytest.approx(0, abs=1e-12)


def test_in_which_patch_something_is_does_matter(draw):
    features = draw(1, 3, 4, 4)
    swapped = torch.cat([features[..., 2:, :], features[..., :2, :]], dim=2)
    assert float(one(swapped, features, patch=4)) == pytest.approx(0, abs=1e-10)
    assert float(one(swapped, features, patch=2)) > 0.01


def test_relative_does_not_depend_on_the_size_of_features(draw):
    restored, reference = draw(1, 3, 4, 4, seed=1), draw(1, 3, 4, 4, seed=2)
    losses = [one(k * restored, k * reference, patch=2, normalisation="relative") for k in (1.0, 50.0)]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=0)


# --- patches ----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    patch=st.integers(1, 10),
    data=st.data(),
)
def test_patches_are_those_of_the_plan_and_cover_the_map(height, width, patch, data):
    stride = data.draw(st.integers(1, patch))
    features = torch.arange(float(height * width)).view(1, 1, height, width)
    patches = cut_patches(features, patch, stride)
    rows, tall = starts(height, patch, stride)
    columns, wide = starts(width, patch, stride)
    expected = [features[0, 0, y : y + tall, x : x + wide].flatten() for y in rows for x in columns]
    assert torch.equal(patches[:, 0], torch.stack(expected))
    assert set(patches.flatten().tolist()) == set(features.flatten().tolist())


def test_patches_keep_images_and_channels_apart():
    features = torch.arange(2.0 * 3).view(2, 3, 1, 1).expand(2, 3, 2, 2)
    patches = cut_patches(features, 2, 2)
    assert patches.shape == (2, 3, 4)
    assert torch.equal(patches[..., 0], torch.arange(6.0).view(2, 3))


# --- the two forms of the distance ------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "positions"), [(4, 1), (9, 4), (9, 5), (3, 16), (64, 1)])
def test_both_forms_give_the_distance_of_gram_matrices(draw, channels, positions):
    restored = draw(3, channels, positions, seed=1, dtype=torch.float64)
    reference = draw(3, channels, positions, seed=2, dtype=torch.float64)
    gram = torch.einsum("kcp,kdp->kcd", restored, restored) / positions
    wanted = torch.einsum("kcp,kdp->kcd", reference, reference) / positions
    torch.testing.assert_close(mean_squared_difference(restored, reference), (gram - wanted).square().mean())
    torch.testing.assert_close(mean_square(reference), wanted.square().mean())


def test_the_dual_form_keeps_its_digits_where_features_nearly_agree(draw):
    """Written as ‖F·Fᵀ‖² − 2‖Fᵀ·R‖² + ‖R·Rᵀ‖² it would lose them all."""
    reference = draw(8, 64, 4)
    restored = reference + 1e-4 * draw(8, 64, 4, seed=1)
    exact = mean_squared_difference(restored.double(), reference.double())
    assert float(mean_squared_difference(restored, reference)) == pytest.approx(float(exact), rel=1e-4)


# --- gradients, precision, settings -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "patch", "stride"),
    [((1, 2, 1, 1), 4, 4), ((1, 2, 3, 3), 2, 2), ((2, 2, 3, 4), 2, 1), ((1, 6, 2, 1), 2, 2), ((1, 6, 3, 1), 2, 1)],
)
@pytest.mark.parametrize("normalisation", ["mean", "relative"])
def test_gradients_are_those_of_finite_differences(draw, shape, patch, stride, normalisation):
    restored = draw(*shape, seed=1, dtype=torch.float64).requires_grad_()
    reference = draw(*shape, seed=2, dtype=torch.float64)

    def loss(features):
        return one(features, reference, patch=patch, stride=stride, normalisation=normalisation)

    assert torch.autograd.gradcheck(loss, (restored,))


@pytest.mark.parametrize("channels", [4, 48])
@pytest.mark.parametrize("normalisation", ["mean", "relative"])
def test_autocast_changes_nothing(draw, channels, normalisation):
    restored, reference = draw(2, channels, 6, 6, seed=1), draw(2, channels, 6, 6, seed=2)
    plain = one(restored, reference, normalisation=normalisation)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = one(restored, reference, normalisation=normalisation)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, plain)


@pytest.mark.parametrize("channels", [4, 48])
def test_half_precision_features_are_multiplied_in_float32(draw, channels):
    restored, reference = (draw(2, channels, 4, 4, seed=seed).bfloat16() for seed in (1, 2))
    loss = one(restored, reference)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(one(restored.double(), reference.double())), rel=1e-5)


def test_a_missing_layer_is_refused_by_name(draw):
    features = {"pool2": draw(1, 2, 3, 3)}
    with pytest.raises(ConfigError, match="'pool5'"):
        texture(features, features)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"layers": ()}, r"texture_loss\.layers = \[\]"),
        ({"patch": 0}, r"texture_loss\.patch = 0: must be at least 1"),
        ({"stride": 0}, r"texture_loss\.stride = 0: must lie within 1 … 4"),
        ({"patch": 2, "stride": 3}, r"texture_loss\.stride = 3: must lie within 1 … 2"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(how, message):
    with pytest.raises(ConfigError, match=message):
        TextureConfig(**how)
