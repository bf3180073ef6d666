"""Networks that ONNX cannot hold: kept as weights, run by torch, tiled exactly where they look only so far."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="running weights of others needs the extra 'foreign'")
from importlib.util import find_spec  # noqa: E402

if find_spec("spandrel") is None or find_spec("onnx") is None:
    pytest.skip("running weights of others needs the extra 'foreign'", allow_module_level=True)

from acutance.cli import diagnosis  # noqa: E402
from acutance.cli.main import app  # noqa: E402
from acutance.engines import opening  # noqa: E402
from acutance.engines.engine import EngineSettings  # noqa: E402
from acutance.engines.foreign_told import Told  # noqa: E402
from acutance.engines.forked import ForkedEngine  # noqa: E402
from acutance.engines.model_file import read_spec  # noqa: E402
from acutance.engines.opening import offered_precisions, open_engine, resolved  # noqa: E402
from acutance.engines.silent_spandrel import architectures  # noqa: E402
from acutance.engines.torch_weights import adopt_weights, read_weights, weights_file  # noqa: E402
from acutance.errors import ConfigError, CorruptWeights, EngineUnavailable  # noqa: E402
from acutance.inference.sharpener import Sharpener  # noqa: E402
from acutance.packaging.programs import export_for  # noqa: E402
from acutance.zoo.catalogue import find_model  # noqa: E402
from acutance.zoo.own_models import list_own_models  # noqa: E402

architectures()
from spandrel.architectures.ATD import ATD  # noqa: E402
from spandrel.architectures.Swin2SR import Swin2SR  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid")  # of code of others, as these tests build it


def of_categories() -> torch.nn.Module:
    """A network that sorts all places of its picture by what they show, which ONNX cannot hold."""
    torch.manual_seed(0)
    size = {"embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8, "category_size": 256}
    settings = {"num_tokens": 8, "reducted_dim": 4, "convffn_kernel_size": 5, "mlp_ratio": 2, "upscale": 1}
    return ATD(img_size=32, upsampler="", **size, **settings).eval()


def of_windows() -> torch.nn.Module:
    """A network that attends within shifted windows of 8 px, so looks only so far."""
    torch.manual_seed(0)
    settings = {"mlp_ratio": 2, "upscale": 1, "upsampler": "", "resi_connection": "1conv"}
    return Swin2SR(img_size=16, embed_dim=12, depths=[2], num_heads=[2], window_size=8, **settings).eval()


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with one such model, `atd`, added from a file of weights."""
    folder = tmp_path_factory.mktemp("models")
    path = folder.parent / "atd.pth"
    torch.save({"params": of_categories().state_dict()}, path)
    path.with_suffix(".toml").write_text('licence = "MIT"\n', encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACUTANCE_MODELS", str(folder))
        done = CliRunner().invoke(app, ["models", "add", str(path), "--json"])
    assert done.exit_code == 0, done.output
    facts = {fact["what"]: fact["value"] for fact in json.loads(done.stdout)["facts"]}
    assert facts["architecture"].startswith("ATD")
    assert facts["run by"].startswith("torch, as ONNX cannot hold it: ")
    assert facts["tiles"].startswith("overlapping by 64 px")
    return folder


@pytest.fixture(autouse=True)
def _own_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACUTANCE_MODELS", str(folder))


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).random((64, 96, 3), np.float32)


def whole(network: torch.nn.Module, picture: np.ndarray) -> np.ndarray:
    """What the network gives for the picture as a whole."""
    with torch.no_grad():
        restored = network(torch.from_numpy(picture.transpose(2, 0, 1)[np.newaxis].copy()))
    return restored[0].numpy().transpose(1, 2, 0).clip(0, 1)


def test_it_is_kept_as_weights_and_run_by_torch(folder: Path) -> None:
    (card,) = list_own_models()
    assert (card.name, card.form, card.path) == ("atd", "safetensors", folder / "atd.safetensors")
    assert find_model("atd").fidelity == card.path
    with Sharpener("atd", threads=1) as sharpener:
        assert (sharpener.spec.needs_torch, sharpener.spec.licence, sharpener.spec.takes_strips) == (True, "MIT", False)


def test_tiles_are_blended_where_it_looks_at_everything() -> None:
    picture = np.random.default_rng(1).random((136, 200, 3), np.float32)
    with Sharpener("atd", threads=1, tile_px=128) as sharpener:
        tiled = sharpener(picture)
    expected = whole(of_categories(), picture)
    # Of another part of a picture such a network makes other categories: no tiles can be exact.
    assert 0 < rms(tiled - expected) < 0.2 * rms(expected - picture)


def test_the_command_sharpens_with_it_records_how_and_verifies(tmp_path: Path, photo) -> None:
    from PIL import Image

    source, target, record = (tmp_path / name for name in ("a.png", "b.png", "b.json"))
    Image.fromarray(photo(40, 56)).save(source)
    run = CliRunner()
    options = ["-o", str(target), "--model", "atd", "--threads", "1", "--report", str(record)]
    done = run.invoke(app, ["sharpen", str(source), *options])
    assert done.exit_code == 0, done.output
    assert "overlapping by 64 px" in done.output
    settings = json.loads(record.read_text(encoding="utf-8"))["settings"]
    assert (settings["engine"], settings["precision"]) == ("torch", "float32")
    checked = run.invoke(app, ["verify", str(target)])
    assert (checked.exit_code, "made again: ok: by torch" in checked.output) == (0, True), checked.output


@pytest.mark.parametrize("engine", ["auto", "cpu", "torch"])
def test_every_engine_that_may_mean_torch_runs_it(engine, picture: np.ndarray) -> None:
    opened = open_engine(find_model("atd"), EngineSettings(engine=engine, threads=1))
    assert resolved(engine, "auto", opened.spec) == ("torch", "float32")
    assert offered_precisions(engine, opened.spec) == ("float32",)
    batch = picture.transpose(2, 0, 1)[np.newaxis]
    np.testing.assert_allclose(
        opened.run(batch)[0].transpose(1, 2, 0).clip(0, 1), whole(of_categories(), picture), atol=1e-5
    )
    opened.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"engine": "onnxruntime"}, "ONNX cannot hold the model atd, only torch runs it; leave the engine at auto"),
        ({"precision": "bfloat16"}, "the model atd is run in float32 alone"),
        ({"fidelity": 0.5}, "has no perceptual weights"),
    ],
)
def test_what_torch_cannot_do_is_refused(settings, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_engine(find_model("atd"), EngineSettings(**settings))


def test_without_torch_the_command_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match=r"model atd: torch runs it, which is not installed; run: .*spandrel"):
        open_engine(find_model("atd"))


def test_it_is_listed() -> None:
    listed = CliRunner().invoke(app, ["models"], env={"COLUMNS": "300"})
    assert "its tiles are overlapping by 64 px, and blended there; torch runs it" in listed.stdout


def test_doctor_says_what_it_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert diagnosis.model_states()[-1] == "atd ok"
    monkeypatch.setattr(diagnosis, "find_spec", lambda name: None)
    assert diagnosis.model_states()[-1].startswith("atd needs torch and spandrel (pip install")
    (folder / "other.json").write_text("{}", encoding="utf-8")
    assert diagnosis.model_states()[-1].startswith("your own DAMAGED: ")
    (folder / "other.json").unlink()


def test_a_forked_process_refuses_it() -> None:
    engine = ForkedEngine(lambda: open_engine(find_model("atd"), EngineSettings(threads=1)), reopens=True)
    assert not engine._reopens
    engine.close()


def test_other_programs_are_not_given_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ONNX cannot hold it, and chainner runs no other"):
        export_for("chainner", "atd", tmp_path / "net.onnx")


def test_the_server_offers_and_runs_it(picture: np.ndarray) -> None:
    pytest.importorskip("fastapi")
    from acutance.server.models import ModelSettings, OpenedModels
    from acutance.server.options import ModelChoice

    models = OpenedModels(ModelSettings(names=("atd",), threads=1, max_pixels=10**6))
    (offered,) = models.offered
    assert (offered.spec.needs_torch, offered.precisions) == (True, ("float32",))
    with models.borrow(ModelChoice(name="atd")) as sharpener:
        assert sharpener(picture).shape == picture.shape
    models.close()


def test_the_server_offers_nothing_that_cannot_be_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("fastapi")
    from acutance.server.models import ModelSettings, OpenedModels

    def offered(**settings: object) -> list[str]:
        return [model.name for model in OpenedModels(ModelSettings(threads=1, max_pixels=10**6, **settings)).offered]

    assert "atd" in offered()
    assert "atd" not in offered(engine="onnxruntime")
    assert "not offered: engine onnxruntime: ONNX cannot hold the model atd" in caplog.text
    monkeypatch.setattr(opening, "find_spec", lambda name: None if name == "spandrel" else find_spec(name))
    assert "atd" not in offered()
    assert "not offered: model atd: spandrel runs it, which is not installed; run: pip install" in caplog.text
    with pytest.raises(EngineUnavailable, match="model atd: spandrel runs it"):
        offered(names=["atd"])


@pytest.fixture(scope="module")
def windows() -> bytes:
    """A network that looks only so far, as a model file that torch runs."""
    return adopt_weights(weights_file(of_windows().state_dict()), name="windows").file


def test_tiles_are_exact_where_it_looks_only_so_far(windows: bytes, tmp_path: Path) -> None:
    path = tmp_path / "windows.onnx"  # the file says itself what it is
    path.write_bytes(windows)
    spec = read_spec(windows)
    assert (spec.needs_torch, spec.feather_px, spec.size_multiple) == (True, 0, 16)
    assert 8 <= spec.halo_px <= 32
    picture = np.random.default_rng(1).random((160, 208, 3), np.float32)
    with Sharpener(engine=open_engine(path, EngineSettings(threads=1)), tile_px=64) as sharpener:
        tiled = sharpener(picture)
    inner = slice(spec.halo_px, -spec.halo_px)  # beyond it, the picture's mirror image is seen
    expected = whole(of_windows(), picture)
    np.testing.assert_allclose(tiled[inner, inner], expected[inner, inner], atol=2e-6)


def test_a_model_file_can_be_added_again(windows: bytes) -> None:
    weights = read_weights(windows, "windows.safetensors")
    assert weights.keys() == of_windows().state_dict().keys()


@pytest.mark.parametrize("told", [Told(range="0..255"), Told(colours="bgr"), Told(output="y")])
def test_what_is_for_onnx_alone_is_refused(told: Told) -> None:
    weights = weights_file(of_windows().state_dict())
    with pytest.raises(ConfigError, match=r"net\.toml: \w+ = .* is for networks in ONNX"):
        adopt_weights(weights, name="net", told=told, told_in="net.toml")


def test_weights_that_are_changed_are_refused(folder: Path) -> None:
    file = find_model("atd").fidelity.read_bytes()
    with pytest.raises(CorruptWeights, match="no file of weights"):
        read_weights(file[:-9], "atd.safetensors")
