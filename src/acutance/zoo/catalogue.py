"""The table of shipped models, and how a name or a path becomes a file.

`manifest.toml` beside this file holds a row per model; adding a model is adding a row and a file. What a model *is*
(scale, halo, cost) is not in the row: the file says it itself.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from acutance.errors import CorruptWeights, UnknownModel

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "manifest.toml"
DEFAULT_MODEL = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One shipped model."""

    name: str
    """What `--model` takes."""
    summary: str
    """What it is for, in one line."""
    file: str
    """Path below the zoo's folder."""
    sha256: str
    """Of the file."""
    bytes: int
    """Of the file."""
    psnr_db: dict[str, float]
    """PSNR on bsd100 by row of the protocol; `docs/models.md` has the command."""

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return FOLDER / self.file


@cache
def list_models() -> tuple[ModelRow, ...]:
    """Return the rows of the manifest, in its order."""
    with open(MANIFEST, "rb") as file:
        rows = tomllib.load(file)["model"]
    return tuple(ModelRow(**row) for row in rows)


def find_model(name: str | Path) -> Path:
    """Return the file of a model given by its name, or by the path of an ONNX file.

    Raises:
        UnknownModel: When there is neither; names the nearest.
    """
    rows = {row.name: row for row in list_models()}
    if str(name) in rows:
        return rows[str(name)].path
    path = Path(name)
    if path.suffix == ".onnx" and path.is_file():
        return path
    if path.suffix == ".onnx":
        raise UnknownModel(f"model {name}: no such file.")
    near = difflib.get_close_matches(str(name), rows, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(rows)}"
    raise UnknownModel(f"model {str(name)!r}: unknown; {hint} (or give the path of an .onnx file)")


def check_file(row: ModelRow) -> None:
    """Compare a shipped file with its row.

    Raises:
        CorruptWeights: When it is missing or not the file of the row.
    """
    try:
        content = row.path.read_bytes()
    except OSError as error:
        raise CorruptWeights(f"model {row.name}: {row.path} cannot be read; install acutance again.") from error
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise CorruptWeights(f"model {row.name}: {row.path} is not the file that was shipped; install acutance again.")
