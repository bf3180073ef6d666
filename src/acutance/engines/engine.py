"""The port to the engines: what an engine is, what engines are called, and what one is told when it is opened."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from acutance.engines.processor import within_cpus
from acutance.errors import ConfigError, NonFiniteOutput, OutOfMemory
from acutance.geometry import Box
from acutance.ranges import number_within
from acutance.spec import ModelSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CpuEngine = Literal["onnxruntime", "openvino", "torch"]
"""The engines that are libraries: on the CPU, but for torch, which takes a CUDA device where there is one."""
DeviceEngine = Literal["webgpu", "cuda", "tensorrt", "directml", "coreml", "openvino-ep"]
"""The engines that are providers of ONNX Runtime's: see `devices.PROVIDERS`."""
EngineName = Literal["auto", "cpu", "gpu", CpuEngine, DeviceEngine]
"""`auto` is the fastest that was measured here, `cpu` the fastest on the CPU, `gpu` the fastest that is not."""
ChosenPrecision = Literal["float32", "bfloat16", "float16"]
"""What a network can be computed in."""
Precision = Literal["auto", ChosenPrecision]
Ensemble = Literal[1, 2, 4, 8]
"""How many orientations are averaged: the picture alone; and turned by 180°; and mirrored; and all that on its side."""


class Engine(Protocol):
    """Runs one model. Safe to call from several threads at once."""

    @property
    def spec(self) -> ModelSpec:
        """What the model is, takes and gives."""

    @property
    def is_offloaded(self) -> bool:
        """Whether it computes elsewhere than on the processor's cores, which are free for other work meanwhile."""

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a batch.

        Args:
            batch: float32 RGB `n 3 h w` in [0, 1]; h and w multiples of `spec.size_multiple`.

        Returns:
            float32 RGB `n 3 h·scale w·scale`, about [0, 1], not clipped; see `check_finite`.

        Raises:
            OutOfMemory: When the batch is too large for the memory there is; a smaller one may fit.
            EngineError: When the engine fails otherwise.
        """

    def close(self) -> None:
        """Free what the engine holds; it cannot be used afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What `open_engine` is told. Travels as it is from whoever asks for it, also into other processes."""

    fidelity: float = 1.0
    """1 is the network trained for truth, 0 the one trained for perception; between them their weights are blended: one
    network runs."""
    engine: EngineName = "auto"
    """`auto` takes the fastest: of the devices that are found and the CPU (`fastest_engine`), by a trial of half a
    second each that is remembered for this machine, its drivers and the network. Where no device is found, nothing is
    tried. A device is guarded by the CPU, which takes over with a word in the log (`acutance.inference`) when the
    device fails or gives other pixels."""
    precision: Precision = "auto"
    """`bfloat16` computes in floats of 16 bits in OpenVINO, `float16` on devices that have them; `auto` does so where
    it is faster: by the processor's instructions, or by the trial."""
    threads: int | None = None
    """For one run, of which no more are taken than there are CPUs for this process: a thousand on two would hinder each
    other for ever. None leaves it to the engine (one per physical core)."""
    ensemble: Ensemble = 1
    """Orientations of which the mean is taken, 1, 2, 4 or 8; see `engines.ensemble`."""

    def __post_init__(self) -> None:
        """Check each for itself; what a model has not is found when it is opened.

        Raises:
            ConfigError: When one is out of range, or unknown.
        """
        object.__setattr__(self, "fidelity", number_within("fidelity", self.fidelity, 0, 1))
        if self.engine not in get_args(EngineName):
            raise ConfigError(f"engine {self.engine!r}: unknown; there are {', '.join(get_args(EngineName))}.")
        if self.precision not in get_args(Precision):
            raise ConfigError(f"precision {self.precision!r}: unknown; there are {', '.join(get_args(Precision))}.")
        if self.ensemble not in get_args(Ensemble):
            raise ConfigError(f"ensemble = {self.ensemble}: must be one of {', '.join(map(str, get_args(Ensemble)))}.")
        within_cpus(self.threads)


USUAL: Final = EngineSettings()
"""Where nothing is said."""


def not_enough_memory(batch: npt.NDArray[np.float32], *, on: str = "") -> OutOfMemory:
    """Return the error of a batch that is too large, on a device that has memory of its own."""
    size = "×".join(str(side) for side in batch.shape)
    place = f" on {on}" if on else ""
    return OutOfMemory(f"not enough memory{place} for a batch of {size}; use smaller tiles (--tile, tile_px).")


def check_finite(restored: npt.NDArray[np.float32], spec: ModelSpec, place: Box) -> None:
    """Refuse what a network gave for a tile when not all of it is a number.

    Raises:
        NonFiniteOutput: Naming the model and the place.
    """
    # One NaN or infinity makes the sum so, too; a finite sum in float32 cannot overflow for values near [0, 1].
    if not math.isfinite(float(restored.sum())):
        raise NonFiniteOutput(
            f"model {spec.name}: gave NaN or infinity at rows {place.top}–{place.bottom}, columns "
            f"{place.left}–{place.right}; nothing was written. Try another engine and report it."
        )
