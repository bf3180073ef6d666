"""The objective: terms unweighted, total weighted."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.losses.content import l1
from acutance.losses.objective import ObjectiveConfig, generator_loss


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_total_is_the_weighted_sum_of_the_terms(weight):
    restored = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    reference = restored.flip(3)
    loss = generator_loss(ObjectiveConfig(content=weight), restored, reference)
    assert list(loss.terms) == ["content"]
    assert torch.equal(loss.terms["content"], l1(restored, reference))
    torch.testing.assert_close(loss.total, weight * l1(restored, reference))


def test_the_total_carries_the_gradient():
    restored = torch.zeros(1, 3, 2, 2, requires_grad=True)
    generator_loss(ObjectiveConfig(content=3.0), restored, torch.ones(1, 3, 2, 2)).total.backward()
    torch.testing.assert_close(restored.grad, torch.full((1, 3, 2, 2), -3.0 / 12))


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_impossible_weights_are_refused_by_name(weight):
    with pytest.raises(ConfigError, match=r"objective\.content"):
        ObjectiveConfig(content=weight)
