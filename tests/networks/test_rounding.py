"""The generator that rounds in training, against the graph of integers it prepares for."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig
from acutance.networks.rounding import round_like_bytes, round_values, round_weights

NESTED = GeneratorConfig(width=8, num_blocks=2, unshuffle=2, coarser=(CoarserScale(width=8, num_blocks=1),))


def build(config=NESTED):
    torch.manual_seed(0)
    return Generator(config)


def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def test_the_parameters_stay_the_same_objects_under_the_same_names():
    generator = build()
    before = dict(generator.named_parameters())
    round_like_bytes(generator)
    after = dict(generator.named_parameters())
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)
    Generator(NESTED).load_state_dict(generator.state_dict())


def test_it_rounds_a_little():
    generator, degraded = build(), images(2, 3, 32, 32)
    exact = generator(degraded)
    round_like_bytes(generator)
    difference = (generator(degraded) - exact).abs()
    assert 0 < difference.mean() < 0.02 * (exact - degraded).std()
    assert torch.equal(copy.deepcopy(generator)(degraded), generator(degraded))


def test_gradients_pass_as_if_nothing_was_rounded():
    generator, degraded = build(), images(2, 3, 32, 32)
    plain = copy.deepcopy(generator)
    round_like_bytes(generator)
    for network in (generator, plain):
        (network(degraded) - images(2, 3, 32, 32)).square().mean().backward()
    for (name, parameter), exact in zip(generator.named_parameters(), plain.parameters(), strict=True):
        assert parameter.grad is not None, name
        cosine = torch.cosine_similarity(parameter.grad.flatten(), exact.grad.flatten(), dim=0)
        assert cosine > 0.98, name


def test_values_become_256_steps_that_hold_zero():
    values = 3 * images(1, 4, 32, 32) - 1
    values[0, 0, 0, 0] = 0.0
    rounded = round_values(values)
    step = float(values.max() - values.min()) / 255
    assert (rounded - values).abs().max() <= 0.51 * step
    assert rounded[0, 0, 0, 0] == 0
    assert len(torch.unique(rounded)) <= 256
    assert torch.equal(round_values(torch.zeros(1, 1, 2, 2)), torch.zeros(1, 1, 2, 2))
    assert round_values(values.bfloat16()).dtype == torch.bfloat16


def test_weights_have_a_step_for_each_output():
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    weight *= torch.tensor([1.0, 10.0, 0.1, 0.0]).view(4, 1, 1, 1)
    rounded = round_weights(weight)
    for row, kept in zip(weight, rounded, strict=True):
        step = float(row.abs().max()) / 127
        assert (row - kept).abs().max() <= 0.51 * step + 1e-9
    assert len(np.unique(rounded[0].numpy())) > 20


def test_it_is_what_the_graph_of_integers_computes():
    """Rounded in training, and as bytes in ONNX Runtime: nearer to each other than either to the exact network."""
    pytest.importorskip("onnx")
    from acutance.exporting.int8 import calibrate, quantise
    from acutance.exporting.onnx_graph import build_onnx
    from acutance.inference.onnx_engine import OnnxRuntimeEngine
    from acutance.networks.checkpoint_file import describe

    generator = build(GeneratorConfig(width=16, num_blocks=2, unshuffle=2)).eval()
    for parameter in generator.parameters():
        parameter.data.mul_(1.5)
    # Whole bytes in, with both ends of the range, so that nothing but the network rounds.
    degraded = torch.round(images(1, 3, 64, 64) * 255) / 255
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    model = build_onnx(generator, spec)
    with torch.no_grad():
        exact = generator(degraded).numpy()
        round_like_bytes(generator)
        trained = generator(degraded).numpy()
    integers = quantise([model], calibrate([model], [degraded.numpy()]))
    shipped = OnnxRuntimeEngine.from_bytes(integers.SerializeToString()).run(degraded.numpy())
    assert np.abs(trained - shipped).mean() < 1.5 * np.abs(trained - exact).mean()
    assert np.abs(shipped - exact).mean() < 2.5 * np.abs(trained - exact).mean()
