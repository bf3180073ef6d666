"""Opening a network on the device that suits it best, or saying that the CPU does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from acutance.engines.device_check import ALLOWED_DIFFERENCE, complaint, picture_of_noise, worst_difference
from acutance.engines.devices import Device
from acutance.engines.float16_graph import in_float16
from acutance.engines.guarded_engine import LOG, GuardedEngine
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.engines.processor import describe_machine
from acutance.engines.trial import Candidate, Trials
from acutance.engines.trial_memory import Measured, TrialMemory
from acutance.errors import EngineError

if TYPE_CHECKING:
    from acutance.engines.engine import Engine, Precision


def open_on_device(
    model: bytes,
    devices: Iterable[Device],
    *,
    name: str,
    precision: Precision,
    threads: int | None,
    cpu: tuple[str, Callable[[], Engine]] | None,
    memory: TrialMemory | None = None,
) -> Engine | None:
    """Open a model on the fastest of some devices.

    Args:
        model: ONNX file.
        devices: To choose from.
        name: What errors call the model.
        precision: `float32`, `float16`, or `auto`: whichever is faster.
        threads: For the CPU's part.
        cpu: What the devices have to be faster than: in words that tell it from others, and how it is opened. None:
            the CPU is no choice.
        memory: Of what was measured earlier; None is the user's.

    Returns:
        The engine, guarded by the CPU; None where the CPU is to be taken, because it is as fast or no device can be
        used. The latter is told in the log, for `auto` only once.

    Raises:
        CorruptWeights: When the model is damaged or has no spec.
    """
    trials = _trials(model, name=name, threads=threads, cpu=cpu, memory=memory)
    rounded = None if precision == "float32" else in_float16(model)
    candidates = candidates_of(devices, precision, has_float16=rounded is not None)
    if not _can_be_checked(trials.reference):
        candidates = []
    chosen: Candidate | None = candidates[0] if candidates else None
    if cpu is not None or len(candidates) > 1:
        chosen = trials.fastest(candidates)
    if chosen is not None:
        return _guarded(chosen, trials)
    if cpu is None:
        LOG.warning("no device can run this network as the CPU does (acutance doctor tells more); the CPU does it.")
    return None


def measure_anew(
    model: bytes, devices: Iterable[Device], *, name: str, memory: TrialMemory | None = None
) -> list[tuple[Candidate, Measured]]:
    """Try devices, whatever was measured earlier, and remember what comes of it.

    Args:
        model: ONNX file.
        devices: To try, in every precision that they and the model have.
        name: What errors call the model.
        memory: Where it is remembered; None is the user's.
    """
    trials = _trials(model, name=name, threads=None, cpu=None, memory=memory)
    candidates = candidates_of(devices, "auto", has_float16=in_float16(model) is not None)
    trials.forget(candidates)
    return [(candidate, trials.of(candidate)) for candidate in candidates]


def _trials(
    model: bytes,
    *,
    name: str,
    threads: int | None,
    cpu: tuple[str, Callable[[], Engine]] | None,
    memory: TrialMemory | None,
) -> Trials:
    reference = OnnxRuntimeEngine.from_bytes(model, threads, name=name)

    def opened(candidate: Candidate) -> Engine:
        rounded = in_float16(model) if candidate.precision == "float16" else None
        return OnnxRuntimeEngine.from_bytes(rounded or model, threads, name=name, device=candidate.device)

    return Trials(
        spec=reference.spec,
        machine=describe_machine(),
        opened=opened,
        reference=reference,
        cpu=cpu,
        memory=memory or TrialMemory(),
    )


def candidates_of(devices: Iterable[Device], precision: Precision, *, has_float16: bool) -> list[Candidate]:
    """Return what is to be compared: the devices in float32 and, where they and the network have it, in float16."""
    found = []
    for device in devices:
        is_rounded = has_float16 and device.provider.takes_float16
        if precision != "float16":
            found.append(Candidate(device, "float32"))
        if is_rounded and precision != "float32":
            found.append(Candidate(device, "float16"))
    return found


def _can_be_checked(reference: Engine) -> bool:
    """Say whether the CPU runs the picture that devices are checked with; one of a size that it hides refuses it."""
    try:
        reference.run(picture_of_noise(reference.spec))
    except EngineError:
        return False
    return True


def _guarded(candidate: Candidate, trials: Trials) -> Engine | None:
    """Open a device and check it against the CPU; None, with a word, where it is not to be trusted."""
    reference = trials.reference
    try:
        engine = trials.opened(candidate)
        worst = worst_difference(engine, reference, picture_of_noise(reference.spec))
        fault = "" if worst <= ALLOWED_DIFFERENCE else complaint(worst)
    except EngineError as error:
        fault = str(error).rstrip(".")
    if fault:
        LOG.warning("%s: %s; the CPU does it.", candidate.title, fault)
        return None
    return GuardedEngine(
        engine,
        reference,
        title=candidate.title,
        memory_bytes=candidate.device.memory_bytes,
        is_rounded=candidate.precision == "float16",
    )
