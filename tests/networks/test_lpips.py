"""LPIPS against a plain float64 loop on a narrow network, and what passes for its weights."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import save_file

from acutance.errors import CorruptWeights, InputError
from acutance.networks.lpips import Lpips
from acutance.networks.lpips_weights import VGG16, lpips_layers, read_lpips
from acutance.networks.vgg_weights import METADATA_KEY, TORCHVISION, VGG_GROUP, VggLayout

NARROW = VggLayout(name="VGG-16", stages=((2, 4), (2, 5), (3, 6), (3, 7), (3, 7)), ways="give a file")
"""VGG-16 with few channels."""


def numbered(state, layout=NARROW):
    """Name a state's tensors as torchvision does."""
    return {f"features.{layout.layers.index(name[:7])}{name[7:]}": tensor for name, tensor in state.items()}


def random_linear(layout=NARROW):
    random = torch.Generator().manual_seed(5)
    return {
        f"lin{number}.model.1.weight": torch.rand(1, channels, 1, 1, generator=random)
        for number, (_, channels) in enumerate(layout.stages)
    }


@pytest.fixture
def state(vgg_state):
    return vgg_state("conv5_3", layout=NARROW)


@pytest.fixture
def files(tmp_path, state):
    """Both files, as users have them."""
    torch.save(numbered(state) | {"classifier.0.weight": torch.zeros(3, 3)}, tmp_path / "vgg16.pth")
    torch.save(random_linear(), tmp_path / "linear.pth")
    return tmp_path / "vgg16.pth", tmp_path / "linear.pth"


@pytest.fixture
def lpips(files):
    return Lpips(read_lpips(*files, layout=NARROW))


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def naive_lpips(naive_vgg, state, restored, reference):
    """The published procedure, number by number: [−1, 1], its scaling layer, its sum."""
    layers = lpips_layers(NARROW)
    both = []
    for pictures in (restored, reference):
        signed = 2 * pictures.double().numpy() - 1
        shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
        prepared = (signed - shift[:, None, None]) / scale[:, None, None]
        both.append(naive_vgg(NARROW.layers, state, prepared, rounds_up=False))
    results = []
    for item in range(len(restored)):
        total = 0.0
        for number, layer in enumerate(layers):
            x, y = (features[layer][item] for features in both)
            weights = random_linear()[f"lin{number}.model.1.weight"].double().numpy().ravel()
            _, height, width = x.shape
            for row in range(height):
                for column in range(width):
                    a, b = x[:, row, column], y[:, row, column]
                    a, b = a / (np.sqrt((a**2).sum()) + 1e-10), b / (np.sqrt((b**2).sum()) + 1e-10)
                    total += (weights * (a - b) ** 2).sum() / (height * width)
        results.append(total)
    return results


# --- the figure -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (33, 47), (50, 18)])
def test_it_is_the_published_formula(lpips, state, naive_vgg, size):
    restored, reference = images(2, 3, *size), images(2, 3, *size, seed=1)
    expected = naive_lpips(naive_vgg, state, restored, reference)
    exact = lpips.double()(restored.double(), reference.double())
    np.testing.assert_allclose(exact.numpy(), expected, rtol=2e-6)  # the input's preparation is stored as float32
    np.testing.assert_allclose(lpips.float()(restored, reference).numpy(), expected, rtol=1e-4)
    assert min(expected) > 0.01


def test_the_layers_and_the_backbone_are_those_of_vgg_16():
    assert lpips_layers(VGG16) == ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
    positions = [VGG16.layers.index(name) for name in VGG16.convolutions]  # torchvision's, as in its source
    assert positions == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]


def test_the_published_preparation_is_torchvisions():
    """LPIPS takes [−1, 1], torchvision [0, 1]: the same map, worked out by hand."""
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    np.testing.assert_allclose(TORCHVISION.scale, 2 / scale, rtol=1e-12)
    np.testing.assert_allclose(TORCHVISION.shift, (-1 - shift) / scale, rtol=1e-12)


def test_equal_photos_are_at_0_and_both_directions_are_alike(lpips):
    one, other = images(2, 3, 20, 24), images(2, 3, 20, 24, seed=1)
    assert lpips(one, one).tolist() == [0.0, 0.0]
    assert torch.equal(lpips(one, other), lpips(other, one))
    black = torch.zeros(1, 3, 16, 16)
    assert lpips(black, black).tolist() == [0.0]


def test_a_batch_is_measured_one_by_one(lpips):
    one, other = images(3, 3, 20, 24), images(3, 3, 20, 24, seed=1)
    singly = torch.cat([lpips(one[i : i + 1], other[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(lpips(one, other), singly, rtol=1e-5, atol=0)


def test_photos_are_measured_as_rgb_in_0_to_1(lpips, photo):
    reference, restored = photo(40, 36, seed=1), photo(40, 36, seed=2)
    measured = lpips.against(reference)
    batches = [torch.from_numpy(one.transpose(2, 0, 1)[None] / np.float32(255)) for one in (restored, reference)]
    assert measured(restored) == pytest.approx(lpips(*batches).item(), rel=1e-6)
    assert measured(reference) == 0.0
    assert measured(restored) == measured(restored)


def test_more_damage_is_further_away(lpips, photo):
    reference = photo(48, 48)
    noise = np.random.default_rng(0).normal(0, 1, reference.shape)
    noisy = [np.clip(reference + strength * noise, 0, 255).astype(np.uint8) for strength in (4, 12, 36)]
    distances = [lpips.against(reference)(one) for one in noisy]
    assert distances == sorted(distances)


def test_small_photos_have_no_figure(lpips, photo):
    assert lpips.against(photo(15, 40))(photo(15, 40)) is None
    assert lpips.against(photo(16, 16))(photo(16, 16, seed=1)) > 0
    with pytest.raises(InputError, match=r"40×15 px: LPIPS needs at least 16 px"):
        lpips(images(1, 3, 15, 40), images(1, 3, 15, 40))


def test_nothing_is_trained_and_gradients_are_finite_where_features_die(lpips):
    assert not any(parameter.requires_grad for parameter in lpips.parameters())
    restored = torch.zeros(1, 3, 16, 16, requires_grad=True)
    with torch.no_grad():
        for parameter in lpips.features.parameters():
            parameter.clamp_(max=0)  # every activation is 0 throughout
    lpips(restored, images(1, 3, 16, 16)).backward()
    assert restored.grad.isfinite().all()


# --- the files --------------------------------------------------------------------------------------------


def test_safetensors_will_do(tmp_path, files, state):
    save_file(numbered(state), tmp_path / "w.safetensors")
    save_file(state, tmp_path / "named.safetensors", {METADATA_KEY: TORCHVISION.statement})
    save_file(random_linear(), tmp_path / "linear.safetensors")
    expected = read_lpips(*files, layout=NARROW)
    for name in ("w.safetensors", "named.safetensors"):
        weights = read_lpips(tmp_path / name, tmp_path / "linear.safetensors", layout=NARROW)
        for layer in NARROW.convolutions:
            assert torch.equal(weights.backbone.convolutions[layer].weight, state[f"{layer}.weight"])
        for layer, row in expected.linear.items():
            assert torch.equal(weights.linear[layer], row)


def test_missing_files_say_how_to_get_them(tmp_path, files):
    with pytest.raises(InputError, match=r"none\.pth: no such file, so there are no VGG-16 weights; give a file"):
        read_lpips(tmp_path / "none.pth", files[1], layout=NARROW)
    with pytest.raises(InputError, match=r"none\.pth: no such file.*linear weights of LPIPS; give lpips/weights/v0\.1"):
        read_lpips(files[0], tmp_path / "none.pth", layout=NARROW)


def changed(state, **changes):
    return {name: tensor for name, tensor in (state | changes).items() if tensor is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv5_3.weight": None, "conv5_3.bias": None}, r"lacks conv5_3, and LPIPS and DISTS need all 13 convolutions"),
        ({"conv2_1.bias": None}, r"not VGG-16's weights: conv2_1\.bias is missing"),
        (
            {"conv1_1.weight": torch.zeros(9, 3, 3, 3)},
            r"not VGG-16's weights: conv1_1\.weight is .* not numbers of \(4",
        ),
        ({"conv3_4.weight": torch.zeros(6, 6, 3, 3)}, r"not VGG-16's weights: conv3_4\.weight would be conv3_4, which"),
    ],
    ids=["cut", "gap", "shape", "VGG-19"],
)
def test_other_backbones_are_refused(tmp_path, files, state, changes, message):
    path = tmp_path / "w.safetensors"
    save_file(changed(state, **changes), path, {METADATA_KEY: TORCHVISION.statement})
    with pytest.raises(CorruptWeights, match=message):
        read_lpips(path, files[1], layout=NARROW)


def test_a_backbone_trained_on_other_input_is_refused(tmp_path, files, state):
    save_file(state, tmp_path / "w.safetensors", {METADATA_KEY: VGG_GROUP.statement})
    with pytest.raises(CorruptWeights, match=r"trained on BGR, 0\.\.255, .* LPIPS and DISTS go with torchvision's; give torch"):
        read_lpips(tmp_path / "w.safetensors", files[1], layout=NARROW)


def test_torchvisions_vgg_19_is_no_vgg_16(tmp_path, files, vgg_state):
    layout = VggLayout(name="VGG-19", stages=((2, 4), (2, 5), (4, 6), (4, 7), (4, 7)), ways="give a file")
    torch.save(numbered(vgg_state("conv5_4", layout=layout), layout), tmp_path / "vgg19.pth")
    with pytest.raises(CorruptWeights, match=r"not VGG-16's weights: features\.16\.weight would be pool3"):
        read_lpips(tmp_path / "vgg19.pth", files[1], layout=NARROW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lin3.model.1.weight": None}, r"lin3\.model\.1\.weight is missing"),
        (
            {"lin0.model.1.weight": torch.ones(1, 9, 1, 1)},
            r"lin0\.model\.1\.weight is .* not numbers of \(1, 4, 1, 1\)",
        ),
        ({"lin4.model.1.weight": torch.full((1, 7, 1, 1), -0.5)}, r"lin4\.model\.1\.weight holds negative weights"),
        (
            {"lin1.model.1.weight": torch.full((1, 5, 1, 1), float("nan"))},
            r"lin1\.model\.1\.weight holds NaN or infinity",
        ),
    ],
    ids=["missing", "another backbone", "negative", "NaN"],
)
def test_other_linear_weights_are_refused(tmp_path, files, changes, message):
    torch.save(changed(random_linear(), **changes), tmp_path / "other.pth")
    with pytest.raises(CorruptWeights, match=f"these are not LPIPS' linear weights for VGG-16: {message}; give lpips/"):
        read_lpips(files[0], tmp_path / "other.pth", layout=NARROW)


def test_the_two_files_mixed_up_are_refused(files):
    with pytest.raises(CorruptWeights, match=r"these are not VGG-16's weights: there is no conv1_1"):
        read_lpips(*files[::-1], layout=NARROW)


def test_objects_are_not_unpickled(tmp_path, files):
    torch.save({"lin0.model.1.weight": VggLayout}, tmp_path / "w.pth")
    with pytest.raises(CorruptWeights, match="not a file of weights that can be read"):
        read_lpips(files[0], tmp_path / "w.pth", layout=NARROW)
