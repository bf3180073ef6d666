"""The converters of published networks (`benchmarks/`) compute what the formats say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the converters need the extra 'torch'")
torch = pytest.importorskip("torch", reason="the reference is torch's")

from ncnn_to_onnx import ncnn_to_onnx  # noqa: E402
from tfjs_to_onnx import tfjs_to_onnx  # noqa: E402
from torch.nn import functional  # noqa: E402

from acutance.engines.silent_onnxruntime import onnxruntime  # noqa: E402


def run(file: bytes, picture: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: picture})
    return np.asarray(result)


def test_ncnn_layers(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(12, 3, 3, 3)).astype(np.float16)
    bias, slopes = random.normal(size=12).astype(np.float32), random.random(12).astype(np.float32)
    (tmp_path / "net.param").write_text(
        "7767517\n6 7\n"
        "Input in 0 1 data\n"
        "Split s 1 2 data d0 d1\n"
        "Convolution c 1 1 d0 a 0=12 1=3 4=1 5=1 6=324\n"
        "PReLU p 1 1 a b 0=12\n"
        "PixelShuffle ps 1 1 b c 0=2\n"
        "Interp i 1 1 d1 d 0=1 1=2.0 2=2.0\n"
        "Eltwise e 2 1 c d out 0=1 -23301=2,0.5,1.0\n"
    )
    tag = np.array([0x01306B47], "<u4").tobytes()
    (tmp_path / "net.bin").write_bytes(tag + weight.tobytes() + bias.tobytes() + slopes.tobytes())
    picture = random.random((1, 3, 7, 9), np.float32)
    x = torch.from_numpy(picture)
    deep = functional.conv2d(x, torch.from_numpy(weight.astype(np.float32)), torch.from_numpy(bias), padding=1)
    deep = functional.pixel_shuffle(functional.prelu(deep, torch.from_numpy(slopes)), 2)
    expected = 0.5 * deep + functional.interpolate(x, scale_factor=2, mode="nearest")
    np.testing.assert_allclose(run(ncnn_to_onnx(tmp_path / "net.param"), picture), expected.numpy(), atol=1e-5)


def test_ncnn_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text("7767517\n2 2\nInput in 0 1 data\nSoftmax s 1 1 data out\n")
    (tmp_path / "net.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="s: Softmax is not known here"):
        ncnn_to_onnx(tmp_path / "net.param")


def test_tensorflow_js_graph(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kernel = random.normal(size=(4, 4, 3, 5)).astype(np.float32)  # h w in out
    layer = random.normal(size=(5, 3)).astype(np.float32)
    strides = {"list": {"i": ["1", "2", "2", "1"]}}
    nodes = [
        {"name": "out", "op": "Identity", "input": ["einsum"]},
        {"name": "x", "op": "Placeholder"},
        {"name": "kernel", "op": "Const"},
        {"name": "layer", "op": "Const"},
        {"name": "zero", "op": "Const"},
        {"name": "shape", "op": "Shape", "input": ["x"]},
        {"name": "cast", "op": "Cast", "input": ["shape"], "attr": {"DstT": {"type": "DT_FLOAT"}}},
        {"name": "sum", "op": "Sum", "input": ["cast", "zero"], "attr": {"keep_dims": {"b": False}}},
        {
            "name": "conv",
            "op": "Conv2D",
            "input": ["x", "kernel", "^sum"],
            "attr": {"strides": strides, "padding": {"s": "U0FNRQ=="}},
        },
        {"name": "shifted", "op": "AddV2", "input": ["conv", "sum"]},
        {
            "name": "einsum",
            "op": "Einsum",
            "input": ["shifted", "layer"],
            "attr": {"equation": {"s": "YWJjZyxnZi0+YWJjZg=="}},
        },
    ]
    constants = {"kernel": kernel, "layer": layer, "zero": np.array([0], np.int32)}
    manifest = [{"name": name, "shape": value.shape, "dtype": value.dtype.name} for name, value in constants.items()]
    (tmp_path / "group.bin").write_bytes(b"".join(value.tobytes() for value in constants.values()))
    model = {"modelTopology": {"node": nodes}, "weightsManifest": [{"paths": ["group.bin"], "weights": manifest}]}
    (tmp_path / "model.json").write_text(json.dumps(model))
    picture = random.random((1, 9, 12, 3), np.float32)
    # SAME at stride 2: five rows of nine want 2·4 + 4 − 9 = 3 more, one above and two below; six columns of twelve, 2.
    padded = np.pad(picture, ((0, 0), (1, 2), (1, 1), (0, 0))).transpose(0, 3, 1, 2)
    weight = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
    conv = functional.conv2d(torch.from_numpy(padded), weight, stride=2).numpy().transpose(0, 2, 3, 1)
    expected = (conv + (1 + 9 + 12 + 3)) @ layer
    np.testing.assert_allclose(run(tfjs_to_onnx(tmp_path / "model.json", (9, 12)), picture), expected, rtol=1e-4)
