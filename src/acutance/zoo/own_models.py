"""Models that a user has added: kept in the user's folder, each a file with a card beside it.

A model lies there as a model file of acutance (its spec inside), so nothing has to be found out again when it is used:
ONNX, or weights alone where ONNX cannot hold it. A card without its file, or a file without its card, is no model.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from acutance.errors import ConfigError, CorruptWeights, OutputError, UnknownModel, first_line
from acutance.folders import user_folder

FOLDER_VARIABLE = "ACUTANCE_MODELS"
"""Environment variable that names another folder."""

WEIGHT_ENDINGS = (".pth", ".pt", ".ckpt", ".safetensors")
"""Of files of weights alone, which are converted when they are added."""

Form = Literal["onnx", "safetensors"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """The card of a model that a user has added."""

    name: str
    """What `--model` takes."""
    summary: str
    """What it is for, in one line."""
    source: str
    """The file or the address that it came from."""
    source_sha256: str
    """Of what came from there."""
    sha256: str
    """Of the file that is kept."""
    bytes: int
    """Of the file that is kept."""
    facts: Sequence[Mapping[str, str]]
    """What the network takes and gives: `what`, `value`, and the `source` that this is known from."""
    form: Form = "onnx"
    """What the file that is kept is, and its ending; the second holds weights that torch runs."""

    @property
    def path(self) -> Path:
        """Where its file lies."""
        return models_folder() / f"{self.name}.{self.form}"


def models_folder() -> Path:
    """Return the user's folder of models; it need not exist.

    Raises:
        ConfigError: When this user has no home folder.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    return user_folder("data", what="models", remedy=f"set {FOLDER_VARIABLE}") / "models"


def list_own_models() -> tuple[OwnModel, ...]:
    """Return the cards in the user's folder, by name; none where there is no folder.

    Raises:
        CorruptWeights: When a card cannot be read.
    """
    cards = (_read(path) for path in sorted(models_folder().glob("*.json")))
    return tuple(card for card in cards if card.path.is_file())


def keep_model(file: bytes, card: OwnModel) -> Path:
    """Write a model and its card into the user's folder; return where the model lies.

    Args:
        file: A model file of acutance.
        card: Its card; a model of the same name must not be there.

    Raises:
        ConfigError: When the name cannot be one, or is taken.
        OutputError: When it cannot be written.
    """
    if not NAME.fullmatch(card.name):
        raise ConfigError(
            f"name {card.name!r}: must be 1 to 64 letters of a … z, digits, dots, dashes and underscores, beginning "
            "with a letter or a digit; give another (--name)."
        )
    if any(own.name == card.name for own in list_own_models()):
        raise ConfigError(f"model {card.name}: is there already; remove it first, or give another name (--name).")
    try:
        card.path.parent.mkdir(parents=True, exist_ok=True)
        # The card comes last: as long as it is not there, neither is the model.
        for path, content in ((card.path, file), (_card_path(card.name), _written(card))):
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(content)
            part.replace(path)
    except OSError as error:
        raise OutputError(f"{card.path}: cannot be written ({error.strerror}).") from error
    return card.path


def remove_model(name: str) -> OwnModel:
    """Remove a model and its card from the user's folder; return what the card said.

    Raises:
        UnknownModel: When there is none of that name.
        OutputError: When it cannot be removed.
    """
    found = next((own for own in list_own_models() if own.name == name), None)
    if found is None:
        names = ", ".join(own.name for own in list_own_models()) or "none"
        raise UnknownModel(f"model {name!r}: was not added by you; there are: {names}.")
    try:
        _card_path(name).unlink()
        found.path.unlink()
    except OSError as error:
        raise OutputError(f"{found.path}: cannot be removed ({error.strerror}).") from error
    return found


def check_own_model(own: OwnModel) -> None:
    """Compare a model's file with its card.

    Raises:
        CorruptWeights: When it is not the file that was added.
    """
    try:
        content = own.path.read_bytes()
    except OSError as error:
        raise CorruptWeights(f"model {own.name}: {own.path} cannot be read ({error.strerror}).") from error
    if hashlib.sha256(content).hexdigest() != own.sha256:
        raise CorruptWeights(
            f"model {own.name}: {own.path} is not the file that was added; remove it (acutance models remove "
            f"{own.name}) and add it again."
        )


def _card_path(name: str) -> Path:
    return models_folder() / f"{name}.json"


def _written(card: OwnModel) -> bytes:
    return (json.dumps(asdict(card), ensure_ascii=False, indent=2) + "\n").encode()


def _read(path: Path) -> OwnModel:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name: field.default is MISSING for field in fields(OwnModel)}
        is_card = values.keys() <= known.keys() and {name for name, needed in known.items() if needed} <= values.keys()
        if not is_card or values["name"] != path.stem or values.get("form", "onnx") not in get_args(Form):
            raise ValueError("its entries are not those of a card")
        return OwnModel(**{**values, "facts": tuple(values["facts"])})
    except (OSError, ValueError, TypeError) as error:
        raise CorruptWeights(f"{path}: is no card of a model ({first_line(error)}); remove it.") from error
