"""Models as restorers: what they are shown under which row, and how the command line names one and its settings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from acutance.data.protocol import degrade, find_row
from acutance.engines.engine import EngineSettings
from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import ConfigError
from acutance.evaluation.evaluate import evaluate, open_test_set
from acutance.evaluation.restorers import ModelChoice, ModelRestorer, Trial, open_models
from acutance.evaluation.scores import score
from acutance.inference.sharpener import Sharpener

BLUR, X2, NONE = (find_row(name) for name in ("gauss-1.0", "x2-gauss-1.0", "none"))


def trial(row):
    return Trial(row=row, index=0, psf=None)


def chosen(model, *, back_projection=None, precision="float32", **values):
    return ModelChoice(
        model=model, engine=EngineSettings(precision=precision, **values), back_projection=back_projection
    )


def inverter():
    """A model that keeps the size."""
    return ModelRestorer("inverter", Sharpener(engine=FakeEngine(lambda batch: 1 - batch)))


def doubler():
    """A model that enlarges, by repeating pixels."""
    engine = FakeEngine(lambda batch: batch.repeat(2, axis=2).repeat(2, axis=3), replace(FAKE_SPEC, scale=2))
    return ModelRestorer("doubler", Sharpener(engine=engine))


# --- what a model is shown --------------------------------------------------------------------------------


def test_a_model_of_scale_1_gets_photos_as_they_are_and_small_ones_enlarged(photo):
    degraded = photo(12, 15)
    np.testing.assert_array_equal(inverter().restore(degraded, trial(BLUR)), 255 - degraded)
    enlarged = np.asarray(Image.fromarray(degraded).resize((30, 24), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(inverter().restore(degraded, trial(X2)), 255 - enlarged)


def test_a_model_of_scale_2_enlarges_small_photos_and_has_nothing_to_say_about_others(photo):
    degraded = photo(12, 15)
    expected = degraded.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(doubler().restore(degraded, trial(X2)), expected)
    assert doubler().restore(degraded, trial(BLUR)) is None
    assert doubler().restore(degraded, trial(NONE)) is None


def test_both_are_measured_side_by_side(tmp_path, photo):
    (tmp_path / "set").mkdir()
    Image.fromarray(photo(24, 26)).save(tmp_path / "set" / "a.png")
    evaluation = evaluate([open_test_set(tmp_path / "set")], [BLUR, X2], [inverter(), doubler()])
    assert [(one.row, one.restorer) for one in evaluation.measurements] == [
        ("gauss-1.0", "inverter"),
        ("x2-gauss-1.0", "inverter"),
        ("x2-gauss-1.0", "doubler"),
    ]
    small = degrade(photo(24, 26), X2, index=0)
    expected = score(small.repeat(2, axis=0).repeat(2, axis=1), photo(24, 26))
    assert evaluation.measurements[2].scores == expected


def test_a_network_that_enlarges_is_measured_as_sharpener_runs_it(tmp_path, photo):
    torch = pytest.importorskip("torch", reason="exporting needs the extra `train`")
    from acutance.exporting.export import export_onnx
    from acutance.networks.checkpoint_file import describe, generator_bytes
    from acutance.networks.generators import Generator, GeneratorConfig

    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=2)).eval()
    spec = describe(generator, name="tiny", training_data="none", licence="CC0-1.0")
    (tmp_path / "tiny.safetensors").write_bytes(generator_bytes(generator, spec))
    path = export_onnx(tmp_path / "tiny.safetensors", tmp_path / "tiny@home.onnx").path
    (tmp_path / "set").mkdir()
    Image.fromarray(photo(25, 30)).save(tmp_path / "set" / "a.png")
    with open_models([str(path)], threads=1) as models:
        (one,) = evaluate([open_test_set(tmp_path / "set")], [BLUR, X2], models).measurements
    assert (one.row, one.restorer) == ("x2-gauss-1.0", str(path))
    with Sharpener(path, precision="float32", threads=1) as sharpener:
        assert sharpener.spec.scale == 2
        restored = sharpener.sharpen_pixels(degrade(photo(25, 30), X2, index=0))
    assert one.scores == score(restored, photo(25, 30)[:24])
    for setting, lacking in (("fidelity=0", "no perceptual weights"), ("precision=bfloat16", "only engine openvino")):
        with pytest.raises(ConfigError, match=lacking), open_models([f"{path}@{setting}"], engine="onnxruntime"):
            pass  # what is asked for does reach the engine


# --- how a model is named ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("fast", chosen("fast")),
        ("fast@fidelity=0.3@precision=bfloat16", chosen("fast", fidelity=0.3, precision="bfloat16")),
        ("fast@precision=auto@fidelity=0", chosen("fast", fidelity=0.0, precision="auto")),
        ("fast@ensemble=8@fidelity=0", chosen("fast", fidelity=0.0, ensemble=8)),
        ("fast@back_projection=off", chosen("fast", back_projection=False)),
        ("fast@fidelity=1", chosen("fast")),
        ("fast@fidelity=5e-1", chosen("fast", fidelity=0.5)),
        ("runs/a/mine.onnx@fidelity=0", chosen("runs/a/mine.onnx", fidelity=0.0)),
        ("me@home/a@b.onnx", chosen("me@home/a@b.onnx")),
        ("me@home/a@b.onnx@precision=float32", chosen("me@home/a@b.onnx")),
        (r"C:\me@home\mine.onnx@fidelity=0.5", chosen(r"C:\me@home\mine.onnx", fidelity=0.5)),
    ],
)
def test_choices_are_read(text, choice):
    assert ModelChoice.parse(text) == choice


def test_figures_are_float32s_and_the_truest_where_nothing_else_is_said():
    choice = ModelChoice.parse("fast")
    assert (choice.engine.fidelity, choice.engine.precision) == (1.0, "float32")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("fast@fidelity=1.1", "'fidelity=1.1'"),
        ("fast@fidelity=-0.1", "'fidelity=-0.1'"),
        ("fast@fidelity=nan", "'fidelity=nan'"),
        ("fast@fidelity=", "'fidelity='"),
        ("fast@fidelity", "'fidelity'"),
        ("fast@fidelity=much@precision=auto", "'fidelity=much'"),
        ("fast@precision=int8", "'precision=int8'"),
        ("fast@precision=", "'precision='"),
        ("fast@Precision=bfloat16", "'Precision=bfloat16'"),
        ("fast@bfloat16", "'bfloat16'"),
        ("fast@strength=1", "'strength=1'"),
        ("fast@", "''"),
        ("fast@@fidelity=0", "''"),
        ("fast@fidelity=0@fidelity=0", "'fidelity=0'"),
        ("fast@precision=bfloat16@fidelity=0@precision=auto", "'precision=bfloat16'"),
        ("mine.onnx@fast", "'fast'"),
    ],
)
def test_wrong_settings_are_one_clear_sentence(text, what):
    allowed = r"fidelity=0 … 1, precision=auto\|float32\|bfloat16\|float16, ensemble=1\|2\|4\|8"
    message = rf"model '{text}': {what} behind the @ must be {allowed} or back_projection=on\|off, each once\.$"
    with pytest.raises(ConfigError, match=message):
        ModelChoice.parse(text)


@pytest.mark.parametrize("text", ["", "@fidelity=0", "@precision=bfloat16@fidelity=0"])
def test_no_model_is_one_clear_sentence(text):
    with pytest.raises(ConfigError, match=rf"model '{text}': names no model; give one, as in fast@fidelity=0"):
        ModelChoice.parse(text)


def test_settings_of_all_are_read_before_any_is_opened():
    with pytest.raises(ConfigError, match="'bfloat16' behind the @"), open_models(["no-such-model", "fast@bfloat16"]):
        pass
