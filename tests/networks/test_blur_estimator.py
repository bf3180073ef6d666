"""The estimator's network: the same answer whatever the exposure, and for each window whatever lies beside it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.networks.estimator import STRIDE_PX, WINDOW_PX, BlurEstimator


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return BlurEstimator(classes=7, kernel_px=5).eval()


@pytest.fixture(scope="module")
def grey():
    return torch.rand(
        1, 1, WINDOW_PX + 2 * STRIDE_PX + 5, WINDOW_PX + STRIDE_PX + 31, generator=torch.Generator().manual_seed(1)
    )


@torch.no_grad()
def test_a_window_has_one_answer_of_each_kind(network, grey):
    answers = network(grey[..., :WINDOW_PX, :WINDOW_PX])
    assert [tuple(answer.shape) for answer in answers] == [(1, 7, 1, 1), (1, 25, 1, 1), (1, 1, 1, 1)]


@torch.no_grad()
def test_exposure_and_contrast_do_not_matter(network, grey):
    answers = network(grey)
    for factor, shift in ((0.25, 0.0), (0.1, 0.0), (0.5, 0.4)):
        for seen, other in zip(answers, network(factor * grey + shift), strict=True):
            torch.testing.assert_close(other, seen, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_each_window_of_a_large_picture_has_the_answer_of_the_window_alone(network, grey):
    answers = network(grey)
    assert answers.classes.shape == (1, 7, 3, 2)
    for row in range(3):
        for column in range(2):
            top, left = row * STRIDE_PX, column * STRIDE_PX
            alone = network(grey[..., top : top + WINDOW_PX, left : left + WINDOW_PX])
            for dense, single in zip(answers, alone, strict=True):
                torch.testing.assert_close(dense[..., row, column], single[..., 0, 0], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_window_without_any_detail_has_a_finite_answer(network):
    answers = network(torch.full((1, 1, WINDOW_PX, WINDOW_PX), 0.5))
    assert all(bool(torch.isfinite(answer).all()) for answer in answers)


def test_every_weight_counts(network, grey):
    network.zero_grad()
    sum(answer.square().sum() for answer in network(grey)).backward()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in network.parameters())
    network.zero_grad()
