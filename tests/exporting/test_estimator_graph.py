"""The estimator as a graph gives what torch gives, and the file that is shipped is such a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="exporting needs the extra 'train'")

import onnx
import onnxruntime
import torch

import acutance.estimation
from acutance.errors import OutputError
from acutance.estimation.classes import CLASSES
from acutance.exporting.estimator_graph import build_estimator, export_estimator
from acutance.networks.estimator import STRIDE_PX, WINDOW_PX, BlurEstimator


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = BlurEstimator(classes=CLASSES, kernel_px=5).eval()
    for parameter in network.parameters():  # the graph keeps 16 bits
        parameter.data = (parameter.data + 0.01 * torch.randn_like(parameter)).half().float()
    return network


def run(model, grey):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"grey": grey})


@pytest.mark.parametrize("size", [(WINDOW_PX, WINDOW_PX), (WINDOW_PX + 40, WINDOW_PX + 2 * STRIDE_PX)])
def test_the_graph_gives_what_torch_gives(network, size):
    grey = np.random.default_rng(0).random((2, 1, *size), np.float32)
    classes, noise = run(build_estimator(network).SerializeToString(), grey)
    with torch.no_grad():
        answers = network(torch.from_numpy(grey))
    np.testing.assert_allclose(classes, answers.classes.numpy(), atol=2e-4, rtol=1e-3)
    np.testing.assert_allclose(noise, answers.noise.numpy(), atol=2e-4, rtol=1e-3)


def test_an_existing_file_is_not_replaced_unasked(network, tmp_path):
    path = tmp_path / "estimator.onnx"
    export_estimator(network, path)
    with pytest.raises(OutputError):
        export_estimator(network, path)
    export_estimator(network, path, overwrite=True)
    onnx.checker.check_model(onnx.load(path), full_check=True)


def test_the_shipped_file_is_such_a_graph(network):
    shipped = onnx.load(Path(acutance.estimation.__file__).parent / "estimator.onnx")
    built = build_estimator(network)
    assert [node.op_type for node in shipped.graph.node] == [node.op_type for node in built.graph.node]
    sizes = [{tensor.name: list(tensor.dims) for tensor in model.graph.initializer} for model in (shipped, built)]
    assert sizes[0] == sizes[1]
