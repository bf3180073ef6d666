"""Training on from what ships: weights read from exported files, number by number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.data.patches import PatchSampler
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.errors import ConfigError, InputError
from acutance.exporting.onnx_graph import build_onnx
from acutance.networks.checkpoint_file import describe
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig
from acutance.training.config import load_config
from acutance.training.players import new_generator
from acutance.training.shipped_start import read_exported
from acutance.zoo.catalogue import find_model

CPU = torch.device("cpu")
NESTED = (CoarserScale(width=6, num_blocks=2),)
CONFIGS = {
    "paper": GeneratorConfig(width=4, num_blocks=2, head_kernel=9, global_residual=False),
    "fast": GeneratorConfig(width=4, num_blocks=2, unshuffle=2, coarser=NESTED, biases=False),
    "leaky": GeneratorConfig(width=4, num_blocks=1, unshuffle=4, activation="leaky-relu", block="stacked"),
    "x2": GeneratorConfig(width=4, num_blocks=1, unshuffle=2, scale=2),
}


def exported(config, path, *, half=False):
    """Write a random network, with slopes that training has moved, as ONNX."""
    torch.manual_seed(5)
    generator = Generator(config).eval()
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if "activation" in name:
                parameter.uniform_(0.1, 0.4)
    spec = describe(generator, name="x", training_data="none", licence="Apache-2.0")
    path.write_bytes(build_onnx(generator, spec, half=half).SerializeToString())
    return generator


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_weight_comes_back(tmp_path, name, half):
    config = CONFIGS[name]
    written = exported(config, tmp_path / "x.onnx", half=half)
    read = read_exported(tmp_path / "x.onnx", config)
    assert read.config == config
    for key, tensor in written.state_dict().items():
        is_rounded = half and key.endswith(".weight") and tensor.ndim == 4
        torch.testing.assert_close(read.state_dict()[key], tensor.half().float() if is_rounded else tensor)


def test_what_is_to_enlarge_may_begin_with_what_does_not(tmp_path):
    plain = GeneratorConfig(width=4, num_blocks=1, unshuffle=2)
    exported(plain, tmp_path / "x.onnx")
    assert read_exported(tmp_path / "x.onnx", CONFIGS["x2"]).config == plain


def test_what_has_no_biases_may_begin_with_what_has_some(tmp_path):
    exported(replace(CONFIGS["fast"], biases=True), tmp_path / "x.onnx")
    assert read_exported(tmp_path / "x.onnx", CONFIGS["fast"]).config.biases


@pytest.mark.parametrize("name", CONFIGS)
def test_the_settings_of_another_network_are_told_by_its_weights(tmp_path, name):
    config = CONFIGS[name]
    exported(config, tmp_path / "x.onnx")
    wanted = replace(  # what numbers do not tell is as in the file: skips, and that PReLU learned a slope
        GeneratorConfig(width=8, num_blocks=9, head_kernel=5),
        activation=config.activation,
        global_residual=config.global_residual,
    )
    assert read_exported(tmp_path / "x.onnx", wanted).config == config


def test_another_network_is_refused_by_the_settings_in_which_it_differs(store):
    config = load_config("fast", ["start_from=fast", "generator.width=32", "patch_px=16", "reduced_share=0.0"])
    sampler = PatchSampler(store, side_px=config.source_px, device=CPU)
    expected = r"start_from = fast: is another network .*: generator\.width is 48 there, 32 asked for\.$"
    with pytest.raises(ConfigError, match=expected):
        new_generator(config, sampler, CPU)


@pytest.mark.parametrize(("activation", "other"), [("prelu", "relu"), ("prelu", "leaky-relu"), ("leaky-relu", "relu")])
def test_slopes_are_not_lost(tmp_path, activation, other):
    config = replace(CONFIGS["paper"], activation=activation)
    exported(config, tmp_path / "x.onnx")
    found = read_exported(tmp_path / "x.onnx", replace(config, activation=other)).config
    assert found.activation == activation


def test_weights_of_no_network_of_ours_are_refused(tmp_path):
    exported(CONFIGS["paper"], tmp_path / "x.onnx")
    path = tmp_path / "y.onnx"
    path.write_bytes((tmp_path / "x.onnx").read_bytes().replace(b"body_conv", b"body_kept"))
    with pytest.raises(ConfigError, match=r"y\.onnx: its weights are of none of this project's networks; give the"):
        read_exported(path, CONFIGS["paper"])


def test_the_shipped_fast_is_where_training_begins(store):
    """By its name alone: the network in training gives what the installed model gives."""
    config = load_config("fast", ["start_from=fast", "generator.biases=true", "patch_px=16", "reduced_share=0.0"])
    sampler = PatchSampler(store, side_px=config.source_px, device=CPU)
    generator = new_generator(config, sampler, CPU).eval()
    picture = np.random.default_rng(0).random((1, 3, 32, 48), dtype=np.float32)
    engine = OnnxRuntimeEngine.from_bytes(find_model("fast").fidelity.read_bytes())
    with torch.no_grad():
        restored = generator(torch.from_numpy(picture)).numpy()
    np.testing.assert_allclose(restored, engine.run(picture), atol=2e-5)
    engine.close()


def test_a_name_that_is_neither_is_said(store):
    config = load_config("fast", ["start_from=fats"])
    with pytest.raises(
        InputError, match="start_from = fats: no such checkpoint, nor a model that ships; there are fast"
    ):
        new_generator(config, PatchSampler(store, side_px=32, device=CPU), CPU)
