"""torch on a CUDA device, or on the CPU where there is none (extra `torch`): the engine for people with a GPU.

It opens the very file that the other engines open; `torch_graph.py` makes a torch module of it. What ONNX cannot hold
is weights of a network of others, of which `torch_weights.py` makes the module; that computes in float32 everywhere.

On a GPU the convolutions compute in 16 bits, and where that gives something that is not finite, it is computed again
in float32. The picture itself never passes through 16 bits: what the network adds to it is added in float32. A GPU may
take another algorithm for a tile of another size, so tiles are exact up to rounding there, not bit for bit.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acutance.engines.engine import not_enough_memory
from acutance.engines.model_file import read_spec
from acutance.engines.torch_graph import read_network
from acutance.errors import EngineError, OutOfMemory, first_line
from acutance.spec import ModelSpec

Network = Callable[[Tensor], Tensor]
"""Takes `n 3 h w`, gives `n 3 h·scale w·scale`."""

_OUT_OF_MEMORY_WORDS = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "alloc_failed",
    "could not create a memory",
    "bad_alloc",
)
"""What torch and the libraries under it say; only its own allocator for CUDA has an error type for it."""


class TorchEngine:
    """A model as a torch module; see `acutance.engines.engine.Engine`."""

    def __init__(
        self, network: nn.Module, spec: ModelSpec, *, device: torch.device, number: torch.dtype, compiles: bool
    ) -> None:
        """Take a network in float32; `from_bytes` says what the settings are."""
        # Code of others may look at its values as if they lay row by row.
        is_free = device.type == "cuda" and not spec.needs_torch
        self._layout = torch.channels_last if is_free else torch.contiguous_format
        # It may also keep what it makes of a picture until the next.
        self._turn = threading.Lock() if spec.needs_torch else nullcontext()
        self._device = device
        self.spec = spec
        self.is_offloaded = device.type != "cpu"
        exact = network.to(device).to(memory_format=self._layout)  # type: ignore[call-overload]  # absent in its types
        quick = exact if number == torch.float32 else copy.deepcopy(exact).to(number)
        # The plain method: called as a module, a translated one prints its code to stderr before it raises.
        self._networks: _Networks | None = _Networks(
            quick=_CompiledIfPossible(quick.forward) if compiles else quick.forward,
            exact=None if quick is exact else exact.forward,
        )

    @classmethod
    def from_bytes(
        cls,
        model: bytes,
        threads: int | None = None,
        *,
        name: str = "model",
        device: torch.device | str | None = None,
        number: torch.dtype | None = None,
        compiles: bool | None = None,
    ) -> TorchEngine:
        """Open a serialised model.

        Args:
            model: ONNX file, or weights with a spec.
            threads: Threads on the CPU. torch has one such setting for the whole process: it also holds for whatever
                else runs in torch there. None leaves it alone.
            name: What errors call the model.
            device: Where it runs; None is CUDA's current device where there is one, else the CPU.
            number: What the convolutions compute in; None is bfloat16 on CUDA (float16 where the device lacks it) and
                float32 on the CPU. (On CUDA torch rounds the factors of float32 to TF32, unless told otherwise.)
            compiles: Have torch compile the network, at the first picture, which waits for it; None does so on CUDA
                where Triton is installed. A network that cannot be compiled runs as it is.

        Raises:
            CorruptWeights: When it is damaged or has no spec.
            EngineError: When it has a node that is not known here, or the device cannot be used.
            OutOfMemory: When it does not fit into the device's memory.
        """
        spec = read_spec(model, name=name)
        network = _network_of_others(model, name) if spec.needs_torch else read_network(model, name=name)
        if threads is not None:
            torch.set_num_threads(threads)
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if spec.needs_torch:
            number, compiles = torch.float32, False
        if compiles is None:
            compiles = device.type == "cuda" and find_spec("triton") is not None
        try:
            return cls(network, spec, device=device, number=number or _quick_number(device), compiles=compiles)
        except (AssertionError, RuntimeError) as error:  # the first where torch was built without CUDA
            if _is_out_of_memory(error):
                raise OutOfMemory(f"not enough memory on {device} for {name}; free some, or take the CPU.") from error
            raise EngineError(f"engine torch: {device} cannot be used ({first_line(error)}).") from error

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a batch; see `Engine.run`."""
        networks = self._networks
        if networks is None:
            raise EngineError("the engine is closed; open it again.")
        try:
            return self._restore(batch, networks)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise EngineError(f"torch failed: {first_line(error)}.") from error
        # Not raised while the other error is handled: its traceback keeps every activation alive, and the caller tries
        # a smaller batch while it handles this one.
        raise not_enough_memory(batch, on=str(self._device))

    def close(self) -> None:
        """Free the network, and the memory of the device that torch keeps for later."""
        self._networks = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _restore(self, batch: npt.NDArray[np.float32], networks: _Networks) -> npt.NDArray[np.float32]:
        writable = np.require(batch, np.float32, ["C", "W"])  # of others torch warns: it could write into them
        degraded = torch.from_numpy(writable).to(self._device, memory_format=self._layout)
        with self._turn:
            restored = networks.quick(degraded)
        if networks.exact is not None and not bool(torch.isfinite(restored).all()):
            restored = networks.exact(degraded)
        result: npt.NDArray[np.float32] = restored.float().contiguous().cpu().numpy()
        return result


@dataclass(frozen=True, slots=True)
class _Networks:
    """The network in one or two kinds of number."""

    quick: Network
    exact: Network | None
    """In float32, where `quick` is not."""


class _CompiledIfPossible:
    """Runs a network as torch compiles it, or as it is where that fails: for want of a compiler, say.

    One call at a time: torch's compiler is not made for several threads, and a GPU does one after the other anyway.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        # Dynamic: the tiles at a picture's borders have other sizes, and each would be compiled anew.
        self._compiled: Network | None = torch.compile(network, dynamic=True)
        self._lock = threading.Lock()

    def __call__(self, degraded: Tensor) -> Tensor:
        compiled = self._compiled
        if compiled is not None:
            with self._lock:
                try:
                    return compiled(degraded)
                except torch.OutOfMemoryError:
                    raise
                except RuntimeError:
                    pass  # if the batch was at fault, the network itself says so next
        restored = self._network(degraded)
        self._compiled = None
        return restored


def _network_of_others(model: bytes, name: str) -> nn.Module:
    from acutance.engines.torch_weights import network_of, read_weights  # here: nothing else needs spandrel

    return network_of(read_weights(model, name), name).module


def _quick_number(device: torch.device) -> torch.dtype:
    """Return the kind of number that the device's convolutions are fast in.

    On a photo, the model `fast` is off by at most 1.6 levels of 255 in bfloat16 and 0.3 in float16 (root mean square:
    0.2 and 0.04). What float16's smaller range turns into infinity is computed again in float32.
    """
    return torch.float16 if device.type == "cuda" else torch.float32


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in text for word in _OUT_OF_MEMORY_WORDS)
