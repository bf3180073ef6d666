"""Where a run computes: a Lightning Fabric on the device that was asked for, in one process or several."""

from __future__ import annotations

import os
from datetime import timedelta
from inspect import signature
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import Precision as FabricPrecision
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from acutance.errors import ConfigError, EngineUnavailable

Device = Literal["auto", "cpu", "cuda"]
"""What can be asked for; `auto` is CUDA where there is one."""

Precision = Literal["32-true", "bf16-mixed"]
"""Arithmetic of the networks."""


class Bfloat16(FabricPrecision):
    """Networks in bfloat16 where torch's autocast says so; everything that goes in and comes out is float32.

    Lightning's own rounds what goes in as well, the picture that a residual is added to included; and it forbids
    gradients that are not of the loss, which R1 and the weighing of terms need.
    """

    precision = "bf16-mixed"

    def __init__(self, device: str) -> None:
        self._device = device

    def forward_context(self) -> torch.autocast:
        """Return the context that networks are run in."""
        return torch.autocast(self._device, dtype=torch.bfloat16)

    def convert_output(self, data: Tensor) -> Tensor:
        """Return a network's output in float32."""
        return data.float()


PATIENCE = timedelta(hours=2)
"""So long the processes wait for the first one, which decodes photos and validates alone."""


def open_fabric(device: Device = "auto", *, precision: Precision = "32-true", devices: int | None = None) -> Fabric:
    """Return a launched Fabric for one device, or for several with a process each.

    With several devices, this starts the program again for every further one, with the same arguments, unless
    `torchrun` has done so; each of the processes returns from here. One that dies takes the others with it.

    Lightning's own "auto" is not used: it would choose a Mac's GPU, which has no float64, with which patches
    are drawn.

    Args:
        device: What to compute on.
        precision: Arithmetic of the networks.
        devices: GPUs, or processes on a CPU; None is as many as torchrun has started, or one.

    Raises:
        ConfigError: When `devices` is not a number of devices, or another than torchrun's.
        EngineUnavailable: When there are not so many CUDA devices.
    """
    count, nodes = _count(devices)
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cuda" and not available:
        raise EngineUnavailable(
            "device cuda: there is none, or the torch installed was built without it; use the device cpu."
        )
    accelerator = "cuda" if available and device != "cpu" else "cpu"
    if accelerator == "cuda" and count > available:
        raise EngineUnavailable(f"devices = {count}: this machine has {available} for CUDA; ask for fewer.")
    plugin = Bfloat16(accelerator) if precision == "bf16-mixed" else FabricPrecision()
    if count * nodes == 1:
        return Fabric(accelerator=accelerator, devices=1, plugins=plugin)
    fabric = Fabric(accelerator=accelerator, devices=count, num_nodes=nodes, plugins=plugin, strategy=_strategy())
    fabric.launch()
    return fabric


def leave_other_cores(device: Device) -> None:
    """Compute with one thread in this process, where cores are what is computed on: the others are other runs'."""
    if device == "cpu" or not torch.cuda.is_available():
        torch.set_num_threads(1)


def _strategy() -> DDPStrategy:
    # Buffers are batch normalisation's statistics: synchronised, they are the same everywhere without being sent.
    if "forward_sync_buffers" in signature(DistributedDataParallel).parameters:
        return DDPStrategy(timeout=PATIENCE, forward_sync_buffers=False)
    return DDPStrategy(timeout=PATIENCE, broadcast_buffers=False)  # its older name, deprecated since torch 2.13


def _count(devices: int | None) -> tuple[int, int]:
    """Return the processes per machine, and the machines."""
    if devices is not None and devices < 1:
        raise ConfigError(f"devices = {devices}: must be at least 1.")
    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        return devices or 1, 1
    here, everywhere = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"])), int(os.environ["WORLD_SIZE"])
    if devices not in (None, here):
        raise ConfigError(f"devices = {devices}: torchrun has started {here}; leave devices out, or start as many.")
    return here, everywhere // here
