"""Opening a model in an engine by its name: on a device where one is found and faster, else on the CPU.

Model files of ours are read as they are; those of others are made ours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from acutance.engines.devices import Device, devices_for, find_devices
from acutance.engines.engine import USUAL, ChosenPrecision, CpuEngine, Engine, EngineName, EngineSettings, Precision
from acutance.engines.ensemble import SelfEnsemble
from acutance.engines.model_file import blend_files, has_spec, read_spec, told_path
from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.engines.processor import is_intel, multiplies_bfloat16, within_cpus
from acutance.errors import ConfigError, EngineUnavailable, UnknownModel
from acutance.extras import how_to_get
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import ModelPaths


def _onnxruntime(model: bytes, threads: int | None, name: str, precision: ChosenPrecision) -> Engine:
    """Open a model in ONNX Runtime."""
    del precision  # float32 is all that it has
    return OnnxRuntimeEngine.from_bytes(model, threads, name=name)


def _openvino(model: bytes, threads: int | None, name: str, precision: ChosenPrecision) -> Engine:
    """Open a model in OpenVINO, which is imported only now."""
    if find_spec("openvino") is None:
        raise EngineUnavailable(f"engine openvino: is not installed; {how_to_get('openvino')}.")
    from acutance.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine.from_bytes(model, threads, name=name, precision=precision)


def _computes_bfloat16() -> bool:
    """Return whether OpenVINO, which is imported only now, is installed and has that arithmetic here."""
    if find_spec("openvino") is None:
        return False
    from acutance.engines.openvino_engine import computes_bfloat16

    return computes_bfloat16()


def _torch(model: bytes, threads: int | None, name: str, precision: ChosenPrecision) -> Engine:
    """Open a model in torch, which is imported only now."""
    del precision  # float32, or what a GPU is made for
    if find_spec("torch") is None or find_spec("onnx") is None:
        raise EngineUnavailable(f"engine torch: needs torch and onnx; {how_to_get('torch')}.")
    from acutance.engines.torch_engine import TorchEngine

    return TorchEngine.from_bytes(model, threads, name=name)


def _of_others(model: bytes, spec: ModelSpec, name: str, engine: EngineName, threads: int | None) -> Engine:
    """Open weights that torch alone runs."""
    from acutance.engines.torch_engine import TorchEngine

    device = {"cpu": "cpu", "gpu": "cuda"}.get(engine)
    return TorchEngine.from_bytes(model, threads, name=name, device=device)


def check_runnable(spec: ModelSpec, engine: EngineName = "auto", precision: Precision = "auto") -> None:
    """Refuse a model that nothing that is installed here runs.

    Args:
        spec: Of the model.
        engine: As `open_engine` takes it.
        precision: As `open_engine` takes it.

    Raises:
        EngineUnavailable: When torch alone runs it, and that or spandrel is not installed.
        ConfigError: When torch alone runs it, and another engine or arithmetic is asked for.
    """
    if not spec.needs_torch:
        return
    _check_torch(spec, engine, precision)
    for package in ("torch", "spandrel"):
        if find_spec(package) is None:
            raise EngineUnavailable(
                f"model {spec.name}: {package} runs it, which is not installed; run: {how_to_get('foreign')}"
            )


def _check_torch(spec: ModelSpec, engine: EngineName, precision: Precision) -> None:
    """Refuse what a model that torch alone runs cannot be run with."""
    if engine not in ("auto", "cpu", "gpu", "torch"):
        raise ConfigError(
            f"engine {engine}: ONNX cannot hold the model {spec.name}, only torch runs it; leave the engine at auto."
        )
    if precision not in ("auto", "float32"):
        raise ConfigError(
            f"precision {precision}: the model {spec.name} is run in float32 alone; leave the precision at auto."
        )


_OPENERS: dict[CpuEngine, Callable[[bytes, int | None, str, ChosenPrecision], Engine]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "torch": _torch,
}


def open_engine(model: ModelPaths | Path, settings: EngineSettings = USUAL) -> Engine:
    """Open a model in an engine.

    Args:
        model: A model's files, or one ONNX file with a spec in its metadata. Weights that ONNX cannot hold are run by
            torch, whatever is `auto` else.
        settings: How it is run.

    Raises:
        ConfigError: When the model or the engine has not what the settings ask for.
        EngineUnavailable: When the engine is not installed.
        EngineError: When the engine cannot run this model.
        CorruptWeights: When a file is damaged or not a model of acutance.
        UnknownModel: When a file is missing.
    """
    opened = _opened(ModelPaths(fidelity=model) if isinstance(model, Path) else model, settings)
    return opened if settings.ensemble == 1 else SelfEnsemble(opened, settings.ensemble)


def _opened(paths: ModelPaths, settings: EngineSettings) -> Engine:
    """Open a model in an engine, for one orientation; see `open_engine`."""
    engine, precision, threads = settings.engine, settings.precision, within_cpus(settings.threads)
    content, name = _with_fidelity(paths, settings.fidelity), str(paths.fidelity)
    spec = read_spec(content, name=name)
    if spec.needs_torch:
        check_runnable(spec, engine, precision)
        return _of_others(content, spec, name, engine, threads)
    devices = _devices(engine, precision)
    chosen = _on_cpu(engine, precision)
    # Of a device that fails, the CPU does the work as it likes.
    computed_in = chosen_precision("auto" if devices and precision == "float16" else precision, chosen)

    def on_cpu() -> Engine:
        return _OPENERS[chosen](content, threads, name, computed_in)

    if devices:
        from acutance.engines.device_choice import open_on_device

        is_open = engine == "auto" and precision != "float16"
        cpu = (f"{chosen} {computed_in}, {threads or 'all'} threads", on_cpu) if is_open else None
        opened = open_on_device(content, devices, name=name, precision=precision, threads=threads, cpu=cpu)
        if opened is not None:
            return opened
    return on_cpu()


def _devices(engine: EngineName, precision: Precision) -> tuple[Device, ...]:
    """Return the devices that may run a model; none where an engine on the CPU is meant.

    Raises:
        EngineUnavailable: When a device is asked for and there is none.
        ConfigError: When the precision is not a device's.
    """
    if engine == "cpu" or engine in _OPENERS or (engine == "auto" and precision == "bfloat16"):
        return ()
    devices = devices_for(engine)
    if precision == "float16":
        devices = tuple(device for device in devices if device.provider.takes_float16)
    if engine != "auto" and (precision == "bfloat16" or not devices):
        raise ConfigError(f"precision {precision}: engine {engine} has it not; leave the precision at auto.")
    return devices


def _on_cpu(engine: EngineName, precision: Precision) -> CpuEngine:
    """Return the engine that a name stands for where no device is used."""
    named: dict[str, CpuEngine] = {name: name for name in _OPENERS}
    return named.get(engine) or ("openvino" if precision == "bfloat16" else fastest_engine())


def resolved(engine: EngineName, precision: Precision, spec: ModelSpec | None = None) -> tuple[EngineName, Precision]:
    """Return the engine on the CPU and the arithmetic that names stand for here; of a device, the names themselves.

    Args:
        engine: As `open_engine` takes it.
        precision: As `open_engine` takes it.
        spec: Of the model that is run; None is any that ships.

    Raises:
        EngineUnavailable: See `open_engine`; ConfigError, too.
    """
    if spec is not None and spec.needs_torch:
        _check_torch(spec, engine, precision)
        return "torch", "float32"
    if _devices(engine, precision):
        return engine, precision
    chosen = _on_cpu(engine, precision)
    return chosen, chosen_precision(precision, chosen)


def fastest_engine() -> CpuEngine:
    """Return the engine that `cpu` stands for: OpenVINO on an Intel processor if it is installed, else ONNX Runtime.

    On an AMD processor ONNX Runtime was the faster (`benchmarks/engines.py`).
    """
    return "openvino" if is_intel() and find_spec("openvino") is not None else "onnxruntime"


def offered_precisions(engine: EngineName = "auto", spec: ModelSpec | None = None) -> tuple[ChosenPrecision, ...]:
    """Return what a model (None: any that ships) can be computed in by an engine as `open_engine` takes it."""
    if spec is not None and spec.needs_torch:
        return ("float32",)
    offered: list[ChosenPrecision] = ["float32"]
    if engine in ("auto", "cpu", "openvino") and _computes_bfloat16():
        offered.append("bfloat16")
    if engine not in ("cpu", *_OPENERS) and any(
        device.provider.takes_float16 and engine in ("auto", "gpu", device.provider.engine)
        for device in find_devices().devices
    ):
        offered.append("float16")
    return tuple(offered)


def chosen_precision(precision: Precision, engine: CpuEngine) -> ChosenPrecision:
    """Return what a model is computed in: what is asked for or, for `auto`, what is fastest on this processor.

    Args:
        precision: As `open_engine` takes it.
        engine: The one that runs it, one of those on the CPU.

    Raises:
        ConfigError: When the engine, or it on this processor, has not what is asked for.
    """
    if precision == "bfloat16" and engine != "openvino":
        raise ConfigError(
            f"precision bfloat16: only engine openvino has it, not {engine}; leave the precision at auto."
        )
    if precision == "bfloat16" and find_spec("openvino") is not None and not _computes_bfloat16():
        raise ConfigError(
            "precision bfloat16: this processor lacks it, and OpenVINO would compute in float32 without a word; leave "
            "the precision at auto."
        )
    if precision == "float16":
        raise ConfigError("precision float16: only devices such as a GPU have it; leave the precision at auto.")
    if precision != "auto":
        return precision
    return "bfloat16" if engine == "openvino" and multiplies_bfloat16() else "float32"


def _with_fidelity(paths: ModelPaths, fidelity: float) -> bytes:
    """Return the model's file with the weights that the fidelity asks for."""
    graph = read_model(paths.fidelity)
    if fidelity == 1.0:
        return graph
    if paths.perceptual is None:
        raise ConfigError(
            f"fidelity = {fidelity:g}: {paths.fidelity.name} has no perceptual weights to blend with; leave it at 1, "
            "or take a model that has (see: acutance models)."
        )
    return blend_files(graph, read_model(paths.perceptual), 1.0 - fidelity)


def read_model(path: Path) -> bytes:
    """Return a model file of ours from a path: the file as it is, or what `foreign.adopt` makes of a network of others.

    Raises:
        UnknownModel: When it cannot be read.
        CorruptWeights, ConfigError: See there.
    """
    try:
        stamp, beside = path.stat(), told_path(path)
        told_stamp = beside.stat().st_mtime_ns if beside.is_file() else 0
        return _read(path, stamp.st_mtime_ns, stamp.st_size, told_stamp)
    except OSError as error:
        raise UnknownModel(f"{path}: cannot be read ({error.strerror}).") from error


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int, told_changed: int) -> bytes:
    """Read a file as it was at a time: probing takes seconds, and the server opens a model several times."""
    del changed, size, told_changed
    file = path.read_bytes()
    if has_spec(file, name=str(path)):
        return file
    from acutance.engines.external_weights import with_external_weights
    from acutance.engines.foreign import adopt  # probing, which models of ours do not need
    from acutance.engines.foreign_told import read_told

    file = with_external_weights(file, path.parent, name=str(path))
    return adopt(file, name=path.stem, told=read_told(told_path(path)), told_in=told_path(path).name).file
