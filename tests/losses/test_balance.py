"""Norms of the terms' gradients at G's output."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch import nn

from acutance.losses.balance import gradient_norms
from acutance.losses.content import l1, l2
from acutance.losses.objective import ObjectiveConfig, generator_loss


def test_l1_pulls_with_the_same_force_at_any_distance(draw):
    restored = draw(2, 3, 4, 4).requires_grad_()
    for distance in (0.01, 1.0):
        norms = gradient_norms({"content": l1(restored, restored.detach() + distance)}, restored)
        assert norms == {"content": pytest.approx(restored.numel() ** -0.5, rel=1e-5)}


def test_norms_are_those_of_the_unweighted_terms(draw):
    restored, reference = draw(2, 3, 4, 4, seed=1).requires_grad_(), draw(2, 3, 4, 4, seed=2)
    loss = generator_loss(ObjectiveConfig(content=100.0), restored, reference)
    norms = gradient_norms(loss.terms, restored)
    assert norms["content"] == pytest.approx(restored.numel() ** -0.5, rel=1e-5)


def test_each_term_has_its_own_norm(draw):
    restored, reference = draw(2, 3, 4, 4, seed=1).requires_grad_(), draw(2, 3, 4, 4, seed=2)
    norms = gradient_norms({"first": l2(restored, reference), "second": 3.0 * restored.sum()}, restored)
    difference = (restored.detach() - reference).double()
    assert norms["first"] == pytest.approx(2 * float(difference.norm()) / restored.numel(), rel=1e-5)
    assert norms["second"] == pytest.approx(3.0 * restored.numel() ** 0.5, rel=1e-5)


def test_terms_that_do_not_depend_on_the_output_have_none(draw):
    restored, other = draw(1, 3, 2, 2).requires_grad_(), draw(1, seed=1).requires_grad_()
    terms = {"constant": torch.tensor(1.0), "other": other.sum(), "restored": restored.sum()}
    norms = gradient_norms(terms, restored)
    assert (norms["constant"], norms["other"]) == (0.0, 0.0)
    assert norms["restored"] == pytest.approx(12**0.5)


def test_the_step_can_go_on_as_if_nothing_had_been_measured(draw):
    grads = []
    for is_measured in (False, True):
        torch.manual_seed(0)
        generator = nn.Conv2d(3, 3, 3, padding=1)
        restored = generator(draw(2, 3, 4, 4))
        terms = {"content": l1(restored, draw(2, 3, 4, 4, seed=1)), "square": l2(restored, draw(2, 3, 4, 4, seed=2))}
        if is_measured:
            assert min(gradient_norms(terms, restored).values()) > 0
            assert generator.weight.grad is None
        (terms["content"] + terms["square"]).backward()
        grads.append(generator.weight.grad)
    assert torch.equal(grads[0], grads[1])


def test_half_precision_output_is_measured_in_float32():
    restored = torch.zeros(1, 3, 64, 64, dtype=torch.bfloat16, requires_grad=True)
    norms = gradient_norms({"sum": restored.sum()}, restored)
    assert norms["sum"] == pytest.approx((3 * 64 * 64) ** 0.5, rel=1e-6)
