"""Weights that others trained in torch: recognised, converted, compared with torch's answer, or refused in a word."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="converting weights needs the extra 'foreign'")
from importlib.util import find_spec  # noqa: E402

if find_spec("spandrel") is None or find_spec("onnx") is None:
    pytest.skip("converting weights needs the extra 'foreign'", allow_module_level=True)

from acutance.cli.main import app  # noqa: E402
from acutance.engines.adding import Converted, add_model  # noqa: E402
from acutance.engines.silent_onnxruntime import onnxruntime  # noqa: E402
from acutance.engines.silent_spandrel import architectures  # noqa: E402
from acutance.engines.torch_weights import described_network  # noqa: E402
from acutance.errors import ConfigError, CorruptWeights, UnknownModel  # noqa: E402
from acutance.exporting.foreign_weights import convert_network, convert_weights  # noqa: E402
from acutance.inference.sharpener import Sharpener  # noqa: E402
from acutance.networks.checkpoint_file import describe, generator_bytes  # noqa: E402
from acutance.networks.generators import Generator, GeneratorConfig  # noqa: E402

architectures()
import spandrel  # noqa: E402
from spandrel.architectures.Compact import Compact  # noqa: E402
from spandrel.architectures.ESRGAN import ESRGAN  # noqa: E402
from spandrel.architectures.FFTformer import FFTformer  # noqa: E402
from spandrel.architectures.NAFNet import NAFNet  # noqa: E402
from spandrel.architectures.SwinIR import SwinIR  # noqa: E402


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("ACUTANCE_MODELS", str(folder))
    return folder


def nafnet() -> torch.nn.Module:
    """A network that looks at all of its picture; its branches begin at nothing, so they are given something."""
    network = NAFNet(width=8, middle_blk_num=1, enc_blk_nums=[1], dec_blk_nums=[1])
    for name, parameter in network.named_parameters():
        if name.endswith(("beta", "gamma")):
            parameter.data.normal_(0, 0.5)
    return network


NETWORKS: dict[str, tuple[Callable[[], torch.nn.Module], int]] = {
    "NAFNet": (nafnet, 1),
    "ESRGAN": (lambda: ESRGAN(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=2), 2),
    "Compact": (lambda: Compact(num_feat=8, num_conv=2, upscale=2), 2),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> tuple[str, torch.nn.Module, int, Converted]:
    """The name of an architecture, a network of it, its scale, and what it was converted to."""
    torch.manual_seed(3)
    make, scale = NETWORKS[request.param]
    module = make().eval()
    return request.param, module, scale, convert_weights(saved({"params": module.state_dict()}), "net.pth")


def saved(content: object) -> bytes:
    target = io.BytesIO()
    torch.save(content, target)
    return target.getvalue()


@torch.no_grad()
@pytest.mark.parametrize("sides", [(64, 64), (40, 152)])
def test_the_graph_gives_what_torch_gives(
    network: tuple[str, torch.nn.Module, int, Converted], sides: tuple[int, int]
) -> None:
    name, module, scale, converted = network
    assert name in converted.facts[0].value
    assert (converted.told.range, converted.told.colours) == ("0..1", "rgb")
    session = onnxruntime.InferenceSession(converted.file, providers=["CPUExecutionProvider"])
    picture = torch.rand(1, 3, *sides)
    (restored,) = session.run(["restored"], {"degraded": picture.numpy()})
    assert restored.shape == (1, 3, sides[0] * scale, sides[1] * scale)
    np.testing.assert_allclose(restored, module(picture).numpy(), atol=1e-5)


def test_safetensors_gives_the_same_network() -> None:
    from safetensors.torch import save

    state = Compact(num_feat=8, num_conv=1, upscale=2).state_dict()
    assert convert_weights(save(state), "net.safetensors").file == convert_weights(saved(state), "net.pth").file


def test_the_verb_adds_it_and_says_how_it_is_known(tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = nafnet()
    path = tmp_path / "naf.pth"
    path.write_bytes(saved(module.state_dict()))
    path.with_suffix(".toml").write_text('licence = "MIT"\n')
    added = CliRunner().invoke(app, ["models", "add", str(path), "--json"])
    assert added.exit_code == 0, added.output
    facts = {fact["what"]: (fact["value"], fact["source"]) for fact in json.loads(added.stdout)["facts"]}
    assert facts["architecture"] == ("NAFNet 8w", "by its weights")
    assert facts["range"] == ("0..1", "by its architecture")
    assert facts["tiles"][0].startswith("overlapping")
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    with Sharpener("naf", engine="onnxruntime", threads=1) as sharpener, torch.no_grad():
        assert sharpener.spec.licence == "MIT"
        assert sharpener(pixels).shape == pixels.shape


def test_what_the_user_tells_goes_before_what_the_architecture_says(tmp_path: Path) -> None:
    path = tmp_path / "compact.pth"
    path.write_bytes(saved(Compact(num_feat=8, num_conv=1, upscale=1).state_dict()))
    path.with_suffix(".toml").write_text('range = "0..255"\n')
    card = add_model(str(path), convert=convert_weights)
    assert {"what": "range", "value": "0..255", "source": "told"} in card.facts


class EveryPixelItsOwn(torch.nn.Module):
    """A network that counts its columns while it is traced: it holds at one size alone."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return picture * self.gain * torch.linspace(0.5, 1, int(picture.shape[3]))


class Unwritable(torch.nn.Module):
    """A network with an operation that ONNX does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return picture * self.gain + 0 * torch.special.bessel_j0(picture)


class WithDropout(torch.nn.Module):
    """A network that leaves values out while it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self.dropout(picture) * self.gain


class WritesIntoItsPicture(torch.nn.Module):
    """A network that leaves its picture other than it was."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        picture *= 0.5
        return picture * self.gain


class WithStrength(torch.nn.Module):
    """A network that takes more than a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, picture: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
        return picture * strength, self.gain


class WithDefault(torch.nn.Module):
    """A network with a setting that has a default."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, picture: torch.Tensor, alpha: float = 0.5) -> torch.Tensor:
        return picture * self.gain * alpha


def loaded(module: torch.nn.Module, **settings: object) -> spandrel.ImageModelDescriptor:
    """What spandrel makes of weights."""
    known = {
        "architecture": NETWORK_OF_THE_TEST,
        "purpose": "Restoration",
        "tags": [],
        "supports_half": False,
        "supports_bfloat16": False,
        "scale": 1,
        "input_channels": 3,
        "output_channels": 3,
    }
    return spandrel.ImageModelDescriptor(module, module.state_dict(), **(known | settings))


def converted_descriptor(found: spandrel.ImageModelDescriptor) -> Converted:
    return convert_network(described_network(found, found.model.state_dict(), "net.pth"))


NETWORK_OF_THE_TEST = next(iter(spandrel.MAIN_REGISTRY)).architecture


@pytest.mark.filterwarnings("ignore")  # of the tracer; `convert_weights` silences it
def test_a_network_that_holds_at_one_size_is_had_for_that() -> None:
    converted = converted_descriptor(loaded(EveryPixelItsOwn()))
    (taken,) = onnxruntime.InferenceSession(converted.file, providers=["CPUExecutionProvider"]).get_inputs()
    assert taken.shape == [1, 3, 256, 256]


@pytest.mark.filterwarnings("ignore")
def test_no_network_is_left_in_the_mode_of_training() -> None:
    network = described_network(loaded(WithDropout()), {}, "net.pth")
    converted = convert_network(network)
    assert len(converted.facts) == 1, "it is held in ONNX"
    assert not any(part.training for part in network.module.modules())


@pytest.mark.filterwarnings("ignore")
def test_what_spandrel_puts_around_a_network_is_converted_with_it() -> None:
    half_of_it(loaded(WithStrength(), call_fn=lambda module, picture: module(picture, 0.5)[0]))


@pytest.mark.filterwarnings("ignore")
def test_what_writes_into_its_picture_is_given_another() -> None:
    found = loaded(WritesIntoItsPicture())
    half_of_it(found)
    picture = torch.full((1, 3, 8, 8), 0.5)
    described_network(found, {}, "net.pth").module(picture)
    assert (picture == 0.5).all()


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_attention_in_windows_is_had_for_any_size() -> None:
    """At the size that it was trained with such a network takes a mask that it has kept; elsewhere it makes one."""
    torch.manual_seed(0)
    settings = {"embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8, "upscale": 1, "upsampler": ""}
    network = SwinIR(img_size=64, **settings).eval()
    converted = convert_weights(saved(network.state_dict()), "net.pth")
    session = onnxruntime.InferenceSession(converted.file, providers=["CPUExecutionProvider"])
    picture = torch.rand((1, 3, 48, 112), generator=torch.Generator().manual_seed(1))
    (restored,) = session.run(None, {"degraded": picture.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(restored, network(picture).numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_settings_of_a_network_stay_as_they_are() -> None:
    half_of_it(loaded(WithDefault()))


def half_of_it(found: spandrel.ImageModelDescriptor) -> None:
    session = onnxruntime.InferenceSession(converted_descriptor(found).file, providers=["CPUExecutionProvider"])
    picture = np.random.default_rng(0).random((1, 3, 40, 60), np.float32)
    np.testing.assert_allclose(session.run(None, {"degraded": picture})[0], picture / 2, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: loaded(WithStrength()), r"cannot be run \(.*strength"),
        (lambda: loaded(EveryPixelItsOwn(), purpose="FaceSR"), "is for FaceSR; only networks that restore photos"),
        (lambda: loaded(EveryPixelItsOwn(), input_channels=1), "takes 1 and gives 3 channels"),
    ],
)
def test_networks_that_cannot_be_run_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(CorruptWeights, match=words):
        converted_descriptor(make())


class PooledToSize(torch.nn.Module):
    """A network whose pooling depends on the size of its picture, which ONNX cannot say: torch prints its graph."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        sides = picture.shape[2:]
        pooled = torch.nn.functional.adaptive_max_pool2d(picture, (sides[0] // 2, sides[1] // 2))
        return self.gain * torch.nn.functional.interpolate(pooled, size=sides)


@pytest.mark.filterwarnings("ignore")
def test_nothing_is_printed_when_torch_fails(capfd: pytest.CaptureFixture[str]) -> None:
    converted_descriptor(loaded(PooledToSize()))
    assert capfd.readouterr() == ("", "")


def checkpoint_of_ours() -> bytes:
    generator = Generator(GeneratorConfig(width=8, num_blocks=0))
    return generator_bytes(generator, describe(generator, name="own", training_data="none", licence="MIT"))


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"hello", "net.pth", "no file of weights that torch can read"),
        (b"", "net.pth", "no file of weights that torch can read"),
        (b"hello, there is no header here", "net.safetensors", "no file of weights that torch can read"),
        (saved({"code": print}), "net.pth", "holds more than weights"),
        (saved([1]), "net.pth", "holds a list, not named weights"),
        (saved({}), "net.pth", "of no architecture that spandrel knows"),
        (saved({"w": torch.zeros(3)}), "net.ckpt", "of no architecture that spandrel knows"),
        (saved({1: 2, "state_dict": {"a": 1}}), "net.pth", "of no architecture that spandrel knows"),
        (checkpoint_of_ours(), "net.safetensors", "is a checkpoint of acutance; run: acutance export"),
    ],
)
def test_files_that_are_no_weights_are_refused(content: bytes, name: str, words: str) -> None:
    with pytest.raises(CorruptWeights, match=words):
        convert_weights(content, name)


@pytest.mark.parametrize("name", ["generator.safetensors", "renamed.onnx"])
@pytest.mark.parametrize("verb", [["models", "add"], ["serve", "-m"]])
def test_a_checkpoint_is_exported_from_where_it_lies(tmp_path: Path, verb: list[str], name: str) -> None:
    path = tmp_path / "my run" / name
    path.parent.mkdir()
    path.write_bytes(checkpoint_of_ours())
    result = CliRunner().invoke(app, [*verb, str(path)])
    assert f"; run: acutance export '{path}' -o " in str(result.exception)


def test_weights_cut_short_are_refused() -> None:
    state = Compact(num_feat=8, num_conv=2, upscale=2).state_dict()
    whole = saved(state)
    with pytest.raises(CorruptWeights, match="no file of weights"):
        convert_weights(whole[: len(whole) // 2], "net.pth")
    state["body.0.weight"] = torch.zeros(5, 3, 3, 3)
    with pytest.raises(CorruptWeights, match=r"fit no network of their architecture.*or export the network to ONNX"):
        convert_weights(saved(state), "net.pth")


@pytest.mark.filterwarnings("ignore")  # such programs are of the past
def test_programs_are_named() -> None:
    target = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Conv2d(3, 3, 3), torch.zeros(1, 3, 8, 8)), target)
    with pytest.raises(CorruptWeights, match="is a TorchScript program"):
        convert_weights(target.getvalue(), "net.pt")


def test_weights_are_named_where_only_onnx_will_do(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(b"")
    with pytest.raises(UnknownModel, match="run: acutance models add"):
        Sharpener(str(path))
    with pytest.raises(ConfigError, match=r"is not an \.onnx file"):
        add_model(str(path))


def test_a_network_of_spectra_is_had_without_complex_numbers() -> None:
    torch.manual_seed(0)
    network = FFTformer(dim=8, num_blocks=[1, 1, 1], num_refinement_blocks=1).eval()
    converted = convert_weights(saved(network.state_dict()), "net.pth")
    assert converted.facts[0].value.startswith("FFTformer")
    picture = torch.rand((1, 3, 64, 96), generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(converted.file, providers=["CPUExecutionProvider"])
    (restored,) = session.run(None, {"degraded": picture.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(restored, network(picture).numpy(), atol=1e-4)
