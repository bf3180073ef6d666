"""Where a run computes: a Lightning Fabric on the device that was asked for."""

from __future__ import annotations

from typing import Literal

import torch
from lightning_fabric import Fabric

from acutance.errors import EngineUnavailable

Device = Literal["auto", "cpu", "cuda"]
"""What can be asked for; `auto` is CUDA where there is one."""

Precision = Literal["32-true", "bf16-mixed"]
"""Arithmetic of the networks."""


def open_fabric(device: Device = "auto", *, precision: Precision = "32-true") -> Fabric:
    """Return a Fabric for one device.

    Lightning's own "auto" is not used: it would choose a Mac's GPU, which has no float64, with which patches
    are drawn.

    Raises:
        EngineUnavailable: When CUDA is asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise EngineUnavailable(
            "device cuda: there is none, or the torch installed was built without it; use the device cpu."
        )
    accelerator = "cuda" if has_cuda and device != "cpu" else "cpu"
    return Fabric(accelerator=accelerator, devices=1, precision=precision)
