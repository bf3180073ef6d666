"""L1 against a naive loop in float64, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.losses.content import l1


def pair(*shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=generator).to(dtype), torch.rand(*shape, generator=generator).to(dtype)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 4, 5), (3, 1, 7, 2)])
def test_l1_is_the_mean_over_all_values(shape):
    restored, reference = pair(*shape)
    total = 0.0
    for first, second in zip(restored.double().flatten(), reference.double().flatten(), strict=True):
        total += abs(float(first) - float(second))
    assert float(l1(restored, reference)) == pytest.approx(total / np.prod(shape), rel=1e-6)


def test_l1_of_equal_images_is_zero():
    image, _ = pair(2, 3, 4, 4)
    assert float(l1(image, image)) == 0


def test_gradient_is_the_sign_over_the_number_of_values():
    restored, reference = pair(2, 3, 4, 4)
    restored.requires_grad_()
    l1(restored, reference).backward()
    torch.testing.assert_close(restored.grad, (restored.detach() - reference).sign() / restored.numel())


def test_l1_is_computed_in_float32_whatever_the_network_gives():
    """In bfloat16 the mean of many small differences would stop growing."""
    restored = torch.full((1, 3, 100, 100), 0.501, dtype=torch.bfloat16)
    reference = torch.full((1, 3, 100, 100), 0.5, dtype=torch.bfloat16)
    loss = l1(restored, reference)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(restored[0, 0, 0, 0]) - 0.5, rel=1e-5)


def test_images_of_different_sizes_are_not_broadcast():
    with pytest.raises(TypeError):
        l1(torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4))
