"""Facts for a record: files and their hashes, the machine, the versions of what the pixels depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from acutance import __version__
from acutance.engines.processor import processor_name
from acutance.errors import InputError
from acutance.media import fingerprint_of
from acutance.trust.record import FileFacts, Machine
from acutance.zoo.catalogue import find_model

PACKAGES: Final = ("numpy", "pillow", "onnxruntime", "openvino", "torch", "spandrel")
"""What the pixels of a result depend on, if it is installed."""


def file_facts(path: Path) -> FileFacts:
    """Read a file through.

    Raises:
        InputError: When it cannot be read.
    """
    try:
        found = fingerprint_of(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return FileFacts(name=path.name, bytes=found.size_bytes, sha256=found.sha256)


def model_files(model: str, *, fidelity: float) -> tuple[FileFacts, ...]:
    """Return the files that a model is made of at a fidelity.

    Raises:
        UnknownModel: When there is no such model.
        InputError: When a file cannot be read.
    """
    paths = find_model(model)
    blended = () if fidelity == 1.0 or paths.perceptual is None else (paths.perceptual,)
    return tuple(file_facts(path) for path in (paths.fidelity, *blended))


def this_machine() -> Machine:
    """Say what runs here."""
    return Machine(
        acutance=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        processor=processor_name(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
