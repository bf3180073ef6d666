"""The activation that trains fast on a CPU: PReLU's values and gradients, but for a sampled one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from acutance.networks.blocks import SAMPLED_FROM, SharedPReLU


def gradients(activation: nn.PReLU, values: torch.Tensor, pull: torch.Tensor) -> tuple[torch.Tensor, ...]:
    values = values.clone().requires_grad_()
    activated = activation.train()(values)
    return (activated.detach(), *torch.autograd.grad(activated, (values, activation.weight), pull))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_their_gradient_are_prelus(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 48, 40, 40).to(memory_format=layout)
    assert values.numel() >= SAMPLED_FROM
    pull = torch.randn_like(values)
    for ours, theirs in zip(
        gradients(SharedPReLU(1, 0.3), values, pull)[:2], gradients(nn.PReLU(1, 0.3), values, pull)[:2], strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_the_slopes_gradient_is_near_prelus_in_all_channels() -> None:
    torch.manual_seed(0)
    values = torch.randn(4, 48, 48, 48).to(memory_format=torch.channels_last)
    pull = 1.0 + torch.arange(48).view(1, 48, 1, 1) * torch.ones_like(values)  # another in each channel
    *_, ours = gradients(SharedPReLU(1, 0.3), values, pull)
    *_, theirs = gradients(nn.PReLU(1, 0.3), values, pull)
    assert float(ours / theirs) == pytest.approx(1.0, abs=0.03)


def test_few_values_are_all_asked() -> None:
    torch.manual_seed(0)
    values, pull = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    *_, ours = gradients(SharedPReLU(1, 0.3), values, pull)
    *_, theirs = gradients(nn.PReLU(1, 0.3), values, pull)
    torch.testing.assert_close(ours, theirs)


def test_nothing_is_sampled_where_nothing_trains() -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 48, 40, 40)
    torch.testing.assert_close(SharedPReLU(1, 0.3).eval()(values), nn.PReLU(1, 0.3)(values))
