"""The table of shipped models, and how a name or a path becomes files.

`manifest.toml` beside this file holds a row per model; adding a model is adding a row and its files. What a model *is*
(scale, halo, cost) is not in the row: the file says it itself.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from acutance.errors import CorruptWeights, UnknownModel
from acutance.spec import CHECKPOINT_HEAD_BYTES, is_checkpoint
from acutance.zoo.own_models import WEIGHT_ENDINGS, list_own_models

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "manifest.toml"
DEFAULT_MODEL = "fast"
"""The model that takes any picture without looking at it."""
AUTO = "auto"
"""Stands for the model that a look at the picture chooses, or for none: the default where pictures are sharpened."""
MODEL_FOR: Mapping[str, str] = {"soft": DEFAULT_MODEL, "noisy": "night", "moved": "motion"}
"""Which model takes what, by the purposes of `acutance.inference.choosing`."""
FORMER_NAMES = {"shake": "motion"}
"""Models that are no more, and which one does their work now."""

Role = Literal["fidelity", "perceptual"]
"""What a model's files are for: the network trained for truth, and the one trained for perception, of the same
architecture, to be blended with the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a model."""

    file: str
    """Path below the zoo's folder."""
    sha256: str
    """Of the file."""
    bytes: int
    """Of the file."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        return FOLDER / self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One shipped model."""

    name: str
    """What `--model` takes."""
    summary: str
    """What it is for, in one line."""
    files: Mapping[Role, ModelFile]
    """By role; `fidelity` is always there."""
    psnr_db: Mapping[str, float]
    """PSNR on bsd100 by row of the protocol; `docs/models.md` has the command."""

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(file.bytes for file in self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPaths:
    """Where a model's files lie."""

    fidelity: Path
    """File of the network itself: ONNX, or weights that torch runs."""
    perceptual: Path | None = None
    """ONNX file of the same architecture, trained with perceptual, texture and adversarial terms as well."""


@cache
def list_models() -> tuple[ModelRow, ...]:
    """Return the rows of the manifest, in its order."""
    with open(MANIFEST, "rb") as file:
        rows = tomllib.load(file)["model"]
    return tuple(_row(row) for row in rows)


def _row(values: dict[str, Any]) -> ModelRow:
    files = {role: ModelFile(**file) for role, file in values.pop("files").items()}
    return ModelRow(**values, files=files)


def find_model(name: str | Path) -> ModelPaths:
    """Return the files of a model given by its name (shipped, or added by the user), or by the path of an ONNX file.

    Raises:
        UnknownModel: When there is neither; names the nearest, or the one that took its place.
    """
    if not isinstance(name, str | Path):
        raise UnknownModel(f"model {name!r}: must be the name of a model, or the path of an .onnx file.")
    rows = {row.name: row for row in list_models()}
    if str(name) in rows:
        return ModelPaths(**{role: file.path for role, file in rows[str(name)].files.items()})
    own = {model.name: model.path for model in list_own_models()}
    if str(name) in own:
        return ModelPaths(fidelity=own[str(name)])
    if str(name) == AUTO:
        raise UnknownModel(f"model {AUTO!r}: is chosen for each picture; name one model here: {', '.join(rows)}.")
    path = Path(name)
    is_file = os.path.isfile(path)  # unlike the path's own, also of a name that no system takes
    if is_file and path.suffix.lower() in (".onnx", ".safetensors") and _is_checkpoint(path):
        raise UnknownModel(
            f"model {name}: is a checkpoint of acutance, and a model is an ONNX file; run: "
            f"acutance export {shlex.quote(str(name))} -o mine.onnx"
        )
    if path.suffix.lower() == ".onnx" and is_file:
        return ModelPaths(fidelity=path)
    if path.suffix.lower() == ".onnx":
        raise UnknownModel(f"model {name}: no such file, or none that may be looked at.")
    if path.suffix.lower() in WEIGHT_ENDINGS and is_file:
        command = f"acutance models add {shlex.quote(str(name))}"
        raise UnknownModel(f"model {name}: is a file of weights, which is converted once; run: {command}")
    if str(name) in FORMER_NAMES:
        raise UnknownModel(f"model {str(name)!r}: is no more; {FORMER_NAMES[str(name)]!r} does this now, take that.")
    names = (AUTO, *rows, *own)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
    raise UnknownModel(f"model {str(name)!r}: unknown; {hint} (or give the path of an .onnx file)")


def _is_checkpoint(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return is_checkpoint(file.read(CHECKPOINT_HEAD_BYTES))
    except OSError:  # whoever opens the model says so
        return False


def check_files(row: ModelRow) -> None:
    """Compare a model's files with its row.

    Raises:
        CorruptWeights: When one is missing or not the file of the row.
    """
    for file in row.files.values():
        try:
            content = file.path.read_bytes()
        except OSError as error:
            raise CorruptWeights(f"model {row.name}: {file.path} cannot be read; install acutance again.") from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise CorruptWeights(
                f"model {row.name}: {file.path} is not the file that was shipped; install acutance again."
            )
