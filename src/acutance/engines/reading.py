"""Model files from the disk: ours as they are, those of others made ours."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from acutance.engines.foreign_told import read_told, told_path
from acutance.engines.model_file import has_spec
from acutance.errors import UnknownModel


def read_model(path: Path) -> bytes:
    """Return a model file of ours from a path: the file as it is, or what `foreign.adopt` makes of a network of others.

    Raises:
        UnknownModel: When it cannot be read.
        CorruptWeights, ConfigError: See there.
    """
    try:
        stamp = path.stat()
        beside = told_path(path)
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
    from acutance.engines.foreign import adopt  # probing, which models of ours do not need

    return adopt(file, name=path.stem, told=read_told(told_path(path)), told_in=told_path(path).name).file
