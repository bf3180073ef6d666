"""Devices: what is asked for, or a sentence."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import EngineUnavailable
from acutance.training.device import open_fabric


def test_cpu_is_always_there():
    assert open_fabric("cpu").device == torch.device("cpu")


def test_auto_is_cuda_where_there_is_one():
    assert open_fabric("auto").device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
def test_cuda_that_is_not_there_is_refused():
    with pytest.raises(EngineUnavailable, match="use the device cpu"):
        open_fabric("cuda")
