"""Evidence: what of a kernel it looks at, how it falls, and that it scales gradients and nothing else."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.degradations.psf import delta_psf, disk_psf, gaussian_psf, line_psf
from acutance.errors import ConfigError
from acutance.losses.evidence import EvidenceConfig, evidence, pulling, spread

NONE = torch.zeros(1)


def gaussian(along, across, angle=0.3):
    return gaussian_psf(*(torch.tensor([value]) for value in (along, across, angle)), radius_px=16)


def share(kernel, noise=0.0, **settings):
    return float(evidence(EvidenceConfig(counts=True, **settings), kernel, torch.tensor([noise])))


@pytest.mark.parametrize(
    ("kernel", "longer", "elongation"),
    [
        (gaussian(2.0, 2.0), 2.0, 0.0),
        (gaussian(3.0, 1.0), 3.0, math.sqrt(8.0)),
        (disk_psf(torch.tensor([4.0]), radius_px=16), 2.0, 0.0),
        (line_psf(torch.tensor([12.0]), torch.tensor([0.0]), radius_px=16), math.sqrt(12.0), math.sqrt(12.0)),
        (delta_psf(1, radius_px=16, device=torch.device("cpu")), 0.0, 0.0),
    ],
)
def test_the_spread_is_that_of_the_kernel(kernel, longer, elongation):
    found_longer, found_elongation = spread(kernel)
    assert float(found_longer) == pytest.approx(longer, abs=0.15)
    assert float(found_elongation) == pytest.approx(elongation, abs=0.1)


def test_the_spread_does_not_depend_on_where_the_kernel_lies():
    kernel = gaussian(1.5, 1.0)
    for before, after in zip(spread(kernel), spread(kernel.roll((3, -2), (1, 2))), strict=True):
        torch.testing.assert_close(before, after, atol=2e-3, rtol=0)


def test_sharp_and_mildly_blurred_patches_count_in_full():
    assert share(delta_psf(1, radius_px=16, device=torch.device("cpu"))) == 1.0
    assert share(gaussian(2.0, 2.0)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("kernel", "noise"),
    [
        (gaussian(4.0, 4.0), 0.0),
        (line_psf(torch.tensor([10.0]), torch.tensor([0.7]), radius_px=16), 0.0),
        (gaussian(1.6, 1.6), 0.03),
    ],
    ids=["wide", "motion", "noise"],
)
def test_wide_blur_motion_and_noise_leave_no_evidence(kernel, noise):
    assert share(kernel, noise) == 0.0


def test_evidence_falls_evenly_in_between():
    falls = {"blur_px": (1.0, 3.0), "motion_px": (20.0, 30.0)}
    assert share(gaussian(2.5, 2.5), **falls) == pytest.approx(0.25, abs=0.01)
    assert share(gaussian(1.0, 1.0), 0.0085) == pytest.approx(0.75, abs=0.01)


def test_pulling_changes_no_value_and_scales_each_gradient(draw):
    values = draw(3, 2, 4, 4).requires_grad_()
    shares = torch.tensor([1.0, 0.25, 0.0])
    pulled = pulling(values, shares)
    assert torch.equal(pulled, values)
    (3.0 * pulled).sum().backward()
    assert torch.equal(values.grad, (3.0 * shares).view(3, 1, 1, 1).expand_as(values))


@pytest.mark.parametrize("fall", [(2.0, 2.0), (3.0, 2.0), (-1.0, 2.0), (0.0, math.nan)])
@pytest.mark.parametrize("name", ["blur_px", "motion_px", "noise"])
def test_falls_that_do_not_rise_are_refused(name, fall):
    with pytest.raises(ConfigError, match=rf"objective\.evidence\.{name}"):
        EvidenceConfig(**{name: fall})
