"""Adding a model of others to the user's own, from a file or from the web."""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from acutance.downloads import checked_sha256, fetch
from acutance.engines.external_weights import with_external_weights
from acutance.engines.foreign import Adopted, Fact, adopt
from acutance.engines.foreign_graph import with_spec
from acutance.engines.foreign_told import Told, read_told
from acutance.engines.model_file import has_spec, read_spec, told_path
from acutance.errors import ConfigError, CorruptWeights, UnknownModel
from acutance.spec import CHECKPOINT_HEAD_BYTES, is_checkpoint
from acutance.zoo.catalogue import AUTO, FORMER_NAMES, list_models
from acutance.zoo.own_models import WEIGHT_ENDINGS, OwnModel, keep_model

ENDING = ".onnx"


@dataclass(frozen=True, slots=True)
class Converted:
    """Weights as a network that can be adopted."""

    file: bytes
    """ONNX, without a spec; or what else `adopt` takes."""
    told: Told
    """What the architecture says about it."""
    facts: tuple[Fact, ...]
    """What else is known, for the card."""
    adopt: Callable[..., Adopted] = adopt
    """Makes a model file of ours of it, as `acutance.engines.foreign.adopt` does."""


Converter = Callable[[bytes, str], Converted]
"""Takes a file of weights and its name; `acutance.exporting.foreign_weights.convert_weights` is one."""


def add_model(
    source: str,
    *,
    sha256: str | None = None,
    name: str | None = None,
    summary: str | None = None,
    settings: Path | None = None,
    convert: Converter | None = None,
    progress: Callable[[float], None] | None = None,
) -> OwnModel:
    """Keep a network in the user's folder, as a model that every verb has by name.

    Args:
        source: Path of an ONNX file, or its address (http or https); with `convert`, also of a file of weights.
        sha256: What the file's hash has to be, in hex.
        name: What the model is to be called; default the file's stem.
        summary: What it is for, in one line.
        settings: TOML file that tells what cannot be found (`engines.foreign_told.Told`); default the one beside a
            file, of its name.
        convert: What makes a network of weights.
        progress: Called with the share of a download that is done.

    Returns:
        The card that was written.

    Raises:
        ConfigError: When the name is taken or cannot be one, or something about the network has to be told.
        UnknownModel: When there is no such file.
        DownloadError: When it cannot be had from the web.
        CorruptWeights: When it is not the file of the hash, or no network that restores pictures.
        OutputError: When it cannot be written.
    """
    is_address = "://" in source
    file_name = PurePosixPath(unquote(urlsplit(source).path)).name if is_address else Path(source).name
    ending = PurePosixPath(file_name).suffix.lower()
    if ending not in (ENDING, *(WEIGHT_ENDINGS if convert else ())):
        raise ConfigError(f"{source}: is not an .onnx file; convert it to ONNX first.")
    chosen = name or file_name[: -len(ending)]
    if chosen == AUTO:
        raise ConfigError(f"model {AUTO}: is what chooses a model for each photo; give another name (--name).")
    if chosen in {row.name for row in list_models()} | set(FORMER_NAMES):
        raise ConfigError(f"model {chosen}: is the name of a shipped model; give another (--name).")
    if is_address:
        with tempfile.TemporaryDirectory() as folder:
            content = fetch(source, Path(folder) / file_name, sha256=sha256, progress=progress).read_bytes()
    else:
        content = _content(Path(source), sha256)
    if ending == ENDING and is_checkpoint(content[:CHECKPOINT_HEAD_BYTES]):
        command = f"acutance export {shlex.quote(source)} -o {shlex.quote(chosen)}.onnx"
        raise CorruptWeights(f"{source}: is a checkpoint of acutance, whatever it is called; run: {command}")
    told_file = settings or (None if is_address else told_path(Path(source)))
    told = Told() if told_file is None else read_told(told_file, is_needed=settings is not None)
    told_in = told_file.name if told_file else "a TOML file (--settings)"
    if convert and ending != ENDING:
        adopted = _adopted(convert(content, file_name if is_address else source), told, name=chosen, told_in=told_in)
    elif has_spec(content, name=source):
        spec = replace(read_spec(content, name=source), name=chosen)
        adopted = Adopted(with_spec(content, spec), spec, ())
    else:
        whole = content if is_address else with_external_weights(content, Path(source).parent, name=source)
        adopted = adopt(whole, name=chosen, told=told, told_in=told_in)
    card = OwnModel(
        name=chosen,
        summary=summary or "a model of your own",
        source=source if is_address else str(Path(source).absolute()),
        source_sha256=hashlib.sha256(content).hexdigest(),
        sha256=hashlib.sha256(adopted.file).hexdigest(),
        bytes=len(adopted.file),
        facts=tuple(asdict(fact) for fact in adopted.facts),
        form="safetensors" if adopted.spec.needs_torch else "onnx",
    )
    keep_model(adopted.file, card)
    return card


def _adopted(converted: Converted, told: Told, *, name: str, told_in: str) -> Adopted:
    """Adopt a converted network; what the user tells goes before what the architecture says."""
    adopted = converted.adopt(converted.file, name=name, told=told.completed_by(converted.told), told_in=told_in)
    said = {field.name for field in fields(Told) if getattr(told, field.name) is None}
    facts = (
        replace(fact, source="by its architecture") if fact.source == "told" and fact.what in said else fact
        for fact in adopted.facts
    )
    return replace(adopted, facts=(*converted.facts, *facts))


def _content(path: Path, sha256: str | None) -> bytes:
    expected = None if sha256 is None else checked_sha256(sha256)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnknownModel(f"{path}: cannot be read ({error.strerror}).") from error
    found = hashlib.sha256(content).hexdigest()
    if expected not in (None, found):
        raise CorruptWeights(f"{path}: its sha256 is {found}, not {expected}; get the file again.")
    return content
