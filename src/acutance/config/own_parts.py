"""Parts of the user's own: functions in a Python file or an installed package, named in the settings.

`my_parts.py:edges` is the function `edges` in a file (from the folder where the program was started, unless the path is
whole), `my_package.parts:edges` one of an installed package. What a part must be is said where it is used. Naming a
part in the settings runs its file, as importing it would.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

from acutance.errors import AcutanceError, ConfigError, first_line


@cache
def load_part(where: str) -> Callable[..., object]:
    """Return the function that a setting names; its file is run once.

    Args:
        where: `FILE.py:NAME` or `PACKAGE.MODULE:NAME`.

    Raises:
        ConfigError: When there is no such file, package or function, or the file cannot be run.
    """
    module_name, separator, name = where.rpartition(":")
    if not separator or not name.isidentifier():
        raise ConfigError(f"{where!r}: must name a part as FILE.py:NAME or PACKAGE.MODULE:NAME.")
    module = _of_file(Path(module_name)) if module_name.endswith(".py") else _of_package(module_name)
    part = getattr(module, name, None)
    if not callable(part):
        what = "is nothing that can be called" if hasattr(module, name) else "is not there"
        raise ConfigError(f"{where!r}: {name} {what} in {module_name}.")
    function: Callable[..., object] = part
    return function


def name_of_part(where: str) -> str:
    """Return the function's name alone."""
    return where.rpartition(":")[2]


@contextmanager
def running(where: str) -> Iterator[None]:
    """Say in one sentence what a part raised, and in which line; the error itself is its cause.

    Raises:
        ConfigError: In place of whatever the part raised. `MemoryError` and acutance's own errors pass.
    """
    try:
        yield
    except (AcutanceError, MemoryError):
        raise
    except Exception as error:
        words = " ".join(str(error).split()) or "no reason given"
        raise ConfigError(f"{where}: {type(error).__name__}: {words}{_line(where, error)}.") from error


def _line(where: str, error: Exception) -> str:
    """Return the innermost line of the part's own file that an error came through."""
    code = getattr(sys.modules.get(load_part(where).__module__), "__file__", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == code]
    return f" (line {lines[-1]} of {Path(code).name})" if code and lines else ""


def _of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file of parts (looked for from {Path.cwd()}).")
    name = f"acutance_own_{path.stem}_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as an import does: dataclasses look there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"{path}: cannot be run ({type(error).__name__}: {first_line(error)}).") from error
    return module


def _of_package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{name}: cannot be imported ({first_line(error)}).") from error
