"""VGG-19's weights: every form in which they go round is read right, and nothing else passes for them."""

from __future__ import annotations

import hashlib
import os
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import save_file

from acutance.downloads.fake import FakeServer
from acutance.errors import ConfigError, CorruptWeights, DownloadError, InputError
from acutance.folders import cache_folder
from acutance.networks.vgg19_weights import VGG19, VGG19_URL, find_vgg19, read_vgg19
from acutance.networks.vgg_weights import METADATA_KEY, TORCHVISION, VGG_GROUP, InputConvention

LAYERS, CONVOLUTIONS = VGG19.layers, VGG19.convolutions
NUMBERED = {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10}
"""Where torchvision has them."""


@pytest.fixture(scope="module")
def state(vgg_state):
    return vgg_state("conv2_1")


def as_torchvision(state, prefix="features."):
    return {f"{prefix}{NUMBERED[name.split('.')[0]]}.{name.split('.')[1]}": state[name] for name in state}


def write(path, state, statement=VGG_GROUP.statement):
    save_file(state, path, None if statement is None else {METADATA_KEY: statement})
    return path


def test_layers_are_those_of_the_literature():
    assert LAYERS[:7] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1", "conv2_1", "relu2_1")
    assert LAYERS[-3:] == ("conv5_4", "relu5_4", "pool5")
    assert (len(LAYERS), len(CONVOLUTIONS)) == (37, 16)
    positions = [LAYERS.index(name) for name in CONVOLUTIONS]  # torchvision's, as in its source
    assert positions == [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]


# --- what they were trained on ----------------------------------------------------------------------------


@pytest.mark.parametrize("convention", [VGG_GROUP, TORCHVISION], ids=["vgg", "torchvision"])
def test_conventions_are_the_known_ones(convention):
    """Worked out by hand for one colour: R 0.2, G 0.5, B 0.9."""
    red, green, blue = (
        factor * value + shift
        for factor, value, shift in zip(convention.scale, (0.2, 0.5, 0.9), convention.shift, strict=True)
    )
    if convention.is_bgr:
        expected = (51.0 - 123.68, 127.5 - 116.779, 229.5 - 103.939)
    else:
        expected = ((0.2 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.9 - 0.406) / 0.225)
    assert (red, green, blue) == pytest.approx(expected)


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "RGB",
        "GBR, 0..255, minus (1, 2, 3)",
        "RGB, 0..1, minus (1, 2)",
        "RGB, 0..1, minus (1, 2, 3), over (1, 1, 0)",
        "RGB, 0..1, minus (1.2.3, 2, 3)",
        "RGB, -1..1, minus (0, 0, 0)",
    ],
)
def test_other_statements_are_refused(statement):
    with pytest.raises(CorruptWeights, match="cannot be understood"):
        InputConvention.parse(statement)


# --- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "legacy", "features alone", "safetensors", "named"])
def test_every_form_gives_the_same_weights(tmp_path, state, kind):
    numbered = as_torchvision(state) | {"classifier.0.weight": torch.zeros(3, 3)}
    path = tmp_path / "weights"
    if kind == "safetensors":
        write(path, numbered, None)
    elif kind == "named":
        write(path, state, TORCHVISION.statement)
    elif kind == "features alone":
        torch.save(as_torchvision(state, prefix=""), path)
    else:
        torch.save(numbered, path, _use_new_zipfile_serialization=kind == "zip")
    weights = read_vgg19(path)
    assert weights.convention == TORCHVISION
    assert list(weights.convolutions) == ["conv1_1", "conv1_2", "conv2_1"]
    assert weights.layers == LAYERS[:7]
    for name, (weight, bias) in weights.convolutions.items():
        assert torch.equal(weight, state[f"{name}.weight"])
        assert torch.equal(bias, state[f"{name}.bias"])


def test_a_statement_in_the_file_counts(tmp_path, state):
    assert read_vgg19(write(tmp_path / "w.safetensors", state)).convention == VGG_GROUP
    assert read_vgg19(write(tmp_path / "n.safetensors", as_torchvision(state))).convention == VGG_GROUP


def test_the_callers_word_counts_most(tmp_path, state):
    """The VGG group's weights go round under torchvision's names too."""
    torch.save(as_torchvision(state), tmp_path / "w.pth")
    assert read_vgg19(tmp_path / "w.pth", convention=VGG_GROUP).convention == VGG_GROUP
    unstated = write(tmp_path / "w.safetensors", state, None)
    assert read_vgg19(unstated, convention=TORCHVISION).convention == TORCHVISION


def test_half_precision_is_widened(tmp_path, state):
    halved = {name: tensor.half() for name, tensor in state.items()}
    weights = read_vgg19(write(tmp_path / "w.safetensors", halved))
    assert all(tensor.dtype == torch.float32 for pair in weights.convolutions.values() for tensor in pair)


def test_the_file_may_go_after_reading(tmp_path, state):
    torch.save(as_torchvision(state), tmp_path / "w.pth")
    weights = read_vgg19(tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(bytes((tmp_path / "w.pth").stat().st_size))
    assert torch.equal(weights.convolutions["conv1_2"].weight, state["conv1_2.weight"])


def test_unstated_input_is_not_guessed(tmp_path, state):
    with pytest.raises(CorruptWeights, match=r"does not say what its weights were trained on; .*'BGR, 0\.\.255, minus"):
        read_vgg19(write(tmp_path / "w.safetensors", state, None))


def changed(state, **changes):
    return {name: tensor for name, tensor in (state | changes).items() if tensor is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv1_2.bias": None}, r"conv1_2\.bias is missing"),
        ({"conv1_2.bias": None, "conv1_2.weight": None}, r"conv1_2\.weight is missing"),
        ({"conv1_1.bias": torch.zeros(63)}, r"conv1_1\.bias is torch.float32 of \(63,\), not numbers of \(64,\)"),
        ({"conv1_1.weight": torch.zeros(64, 1, 3, 3)}, r"conv1_1\.weight is .* not numbers of \(64, 3, 3, 3\)"),
        ({"conv1_1.bias": torch.zeros(64, dtype=torch.int64)}, r"conv1_1\.bias is torch.int64"),
        ({"conv1_1.bias": torch.full((64,), float("nan"))}, r"conv1_1\.bias holds NaN"),
        ({"conv1_5.weight": torch.zeros(1)}, r"conv1_5\.weight would be conv1_5, which has no weights"),
        ({"features.99.weight": torch.zeros(1)}, r"features\.99\.weight would be no layer"),
        # Batch-normalised VGG and VGG-16 have weights where VGG-19 has none.
        ({"features.1.weight": torch.zeros(64)}, r"features\.1\.weight would be relu1_1"),
    ],
    ids=str,
)
def test_other_networks_are_refused(tmp_path, state, changes, message):
    path = write(tmp_path / "w.safetensors", changed(state, **changes))
    with pytest.raises(CorruptWeights, match=f"not VGG-19's weights: {message}"):
        read_vgg19(path)


def test_files_without_convolutions_are_refused(tmp_path):
    with pytest.raises(CorruptWeights, match="there is no conv1_1"):
        read_vgg19(write(tmp_path / "w.safetensors", {"a": torch.zeros(1)}))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CorruptWeights, match="holds a list, not a state dict"):
        read_vgg19(tmp_path / "list.pth")


class Foreign:
    """An object that a file of weights has no business to hold."""


def test_objects_are_not_unpickled(tmp_path, state):
    torch.save(as_torchvision(state) | {"extra": Foreign()}, tmp_path / "w.pth")
    with pytest.raises(CorruptWeights, match="not a file of weights that can be read"):
        read_vgg19(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04", b"\x80\x02", b"\xff" * 8 + b"{", b"\n" * 600])
def test_junk_is_refused(tmp_path, content):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(CorruptWeights, match="not a file of weights that can be read"):
        read_vgg19(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_an_error_in_words_or_does_not_matter(tmp_path_factory, vgg_state, kind, data):
    state, path = vgg_state("conv1_1"), tmp_path_factory.mktemp("damaged") / "w"
    if kind == "safetensors":
        write(path, state)
    else:
        torch.save(as_torchvision(state), path, _use_new_zipfile_serialization=kind == "zip")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        position = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 600) | st.integers(-600, -1))
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    try:
        weights = read_vgg19(path)
    except CorruptWeights:
        return
    assert weights.convolutions["conv1_1"].weight.shape == (64, 3, 3, 3)


# --- finding ----------------------------------------------------------------------------------------------


def test_a_given_file_is_taken(tmp_path):
    path = tmp_path / "mine.pth"
    path.touch()
    assert find_vgg19(path, download=False) == path


def test_a_missing_file_says_how_to_get_one(tmp_path):
    for call in (lambda path: find_vgg19(path, download=True), read_vgg19):
        with pytest.raises(InputError, match=r"none\.pth: no such file.*--vgg19 FILE.*download of https.*\(575 MB\)"):
            call(tmp_path / "none.pth")


def test_nothing_given_says_what_to_give(tmp_path):
    with pytest.raises(ConfigError, match=r"needs its trained weights, and none are given; .*--vgg19 FILE"):
        find_vgg19(None, download=False, folder=tmp_path)


def test_it_is_downloaded_once_and_checked_afterwards(tmp_path, state):
    torch.save(as_torchvision(state), tmp_path / "source.pth")
    content = (tmp_path / "source.pth").read_bytes()
    name = f"vgg19-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    shares = []
    with FakeServer({name: content}) as server:
        url = f"{server.address}/{name}"
        found = find_vgg19(None, download=True, folder=tmp_path / "cache", url=url, progress=shares.append)
        assert found == tmp_path / "cache" / name
        assert read_vgg19(found).layers == LAYERS[:7]
        again = find_vgg19(None, download=False, folder=tmp_path / "cache", url=url)
        assert again == found
        assert len(server.requests) == 1
    assert shares[-1] == 1.0
    found.write_bytes(content[:-1])
    with pytest.raises(DownloadError, match="was not the right file"):
        find_vgg19(None, download=False, folder=tmp_path / "cache", url=url)


def test_the_digits_in_the_name_are_checked(tmp_path):
    with FakeServer({"vgg19-01234567.pth": b"something else"}) as server:
        url = f"{server.address}/vgg19-01234567.pth"
        with pytest.raises(DownloadError, match="does not begin with 01234567"):
            find_vgg19(None, download=True, folder=tmp_path, url=url)
    assert not (tmp_path / "vgg19-01234567.pth").exists()
    assert VGG19_URL.endswith("/vgg19-dcbb9e9d.pth")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="other systems have other folders")
def test_downloads_lie_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "acutance"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", os.fspath(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "acutance"
