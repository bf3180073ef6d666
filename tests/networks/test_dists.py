"""DISTS against its published formula in float64 loops on a narrow network, and what passes for its weights."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from scipy import ndimage

from acutance.errors import CorruptWeights, InputError
from acutance.networks.dists import Dists, RootMeanSquarePooling, read_dists
from acutance.networks.vgg_weights import VggLayout

NARROW = VggLayout(name="VGG-16", stages=((2, 4), (2, 5), (3, 6), (3, 7), (3, 7)), ways="give a file")
"""VGG-16 with few channels."""

CHANNELS = (3, 4, 5, 6, 7, 7)


@pytest.fixture
def state(vgg_state):
    return vgg_state("conv5_3", layout=NARROW)


def random_weights():
    random = torch.Generator().manual_seed(6)
    return {name: torch.rand(1, sum(CHANNELS), 1, 1, generator=random) for name in ("alpha", "beta")}


@pytest.fixture
def files(tmp_path, state):
    """Both files, as users have them."""
    named = {f"features.{NARROW.layers.index(name[:7])}{name[7:]}": tensor for name, tensor in state.items()}
    torch.save(named, tmp_path / "vgg16.pth")
    torch.save(random_weights(), tmp_path / "weights.pt")
    return tmp_path / "vgg16.pth", tmp_path / "weights.pt"


@pytest.fixture
def dists(files):
    return Dists(read_dists(*files, layout=NARROW))


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def naive_stages(state, picture):
    """The picture and its features, `c h w` float64, by SciPy."""
    mean, scale = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    values = (picture - mean[:, None, None]) / scale[:, None, None]
    stages, window = [picture], np.outer([1, 2, 1], [1, 2, 1]) / 16
    for layer in NARROW.layers:
        if layer.startswith("conv"):
            weight, bias = (state[f"{layer}.{part}"].double().numpy() for part in ("weight", "bias"))
            padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
            values = np.einsum("ihwkl,oikl->ohw", windows, weight) + bias[:, None, None]
        elif layer.startswith("relu"):
            values = np.maximum(values, 0)
            if layer in ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"):
                stages.append(values)
        else:
            means = np.stack([ndimage.correlate(plane**2, window, mode="constant") for plane in values])
            values = np.sqrt(means[:, ::2, ::2] + 1e-12)
    return stages


def naive_dists(state, one, other):
    weights = {name: values.double().numpy().ravel() for name, values in random_weights().items()}
    total, place = 0.0, 0
    for x_stage, y_stage in zip(naive_stages(state, one), naive_stages(state, other), strict=True):
        for x, y in zip(x_stage, y_stage, strict=True):
            texture = (2 * x.mean() * y.mean() + 1e-6) / (x.mean() ** 2 + y.mean() ** 2 + 1e-6)
            covariance = (x * y).mean() - x.mean() * y.mean()
            structure = (2 * covariance + 1e-6) / (x.var() + y.var() + 1e-6)
            total += weights["alpha"][place] * texture + weights["beta"][place] * structure
            place += 1
    return 1 - total / sum(values.sum() for values in weights.values())


@pytest.mark.parametrize("size", [(32, 48), (33, 17)])
def test_it_is_the_published_formula(dists, state, size):
    one, other = images(2, 3, *size), images(2, 3, *size, seed=1)
    found = dists(one, other)
    right = [naive_dists(state, *(pair.double().numpy() for pair in both)) for both in zip(one, other, strict=True)]
    np.testing.assert_allclose(found.numpy(), right, atol=2e-5)


def test_equal_photos_have_none_and_the_order_does_not_matter(dists):
    one, other = images(1, 3, 24, 24), images(1, 3, 24, 24, seed=1)
    assert abs(float(dists(one, one))) < 1e-6
    assert float(dists(one, other)) == pytest.approx(float(dists(other, one)), abs=1e-6)


def test_photos_are_measured_against_a_reference_that_is_learnt_once(dists):
    random = np.random.default_rng(0)
    reference, restored = (random.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(2))
    measure = dists.against(reference)
    pair = [torch.from_numpy(photo).permute(2, 0, 1)[None] / 255 for photo in (restored, reference)]
    assert measure(restored) == pytest.approx(float(dists(*pair)), abs=1e-6)
    assert measure(reference) == pytest.approx(0, abs=1e-6)


def test_a_pooling_keeps_a_level_and_rounds_up():
    pooled = RootMeanSquarePooling()(torch.full((1, 2, 9, 8), 0.5))
    assert pooled.shape == (1, 2, 5, 4)
    np.testing.assert_allclose(pooled[0, :, 1:-1, 1:], 0.5, atol=1e-6)


def test_weights_of_something_else_are_refused(files):
    backbone, weights = files
    with pytest.raises(CorruptWeights, match=r"not DISTS' α and β for VGG-16: .*alpha"):
        read_dists(backbone, backbone, layout=NARROW)
    negative = random_weights()
    negative["beta"][0, 3] = -0.1
    torch.save(negative, weights)
    with pytest.raises(CorruptWeights, match="beta holds negative weights"):
        read_dists(backbone, weights, layout=NARROW)
    with pytest.raises(InputError, match=r"no such file.*weights\.pt of"):
        read_dists(backbone, weights.with_name("none.pt"), layout=NARROW)
