"""The record of a result: what it was made of and with what, so that anybody can make it again and compare.

A record is JSON in one fixed spelling, and its last entry is the SHA-256 of all others. So a flipped bit anywhere in it
is found, even in white space. That is a seal against accidents and careless edits, not a signature: who changes a
record on purpose can seal it anew.
"""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from acutance.errors import InputError, first_line
from acutance.media.reading import mode_of

FORMAT: Final = "acutance.record"
VERSION: Final = 1
SEAL: Final = "record_sha256"
PAGE_START: Final = '<script type="application/json" id="acutance-record">'
PAGE_END: Final = "</script>"
"""What stands around a record inside a page."""
LARGEST_BYTES: Final = 64_000_000
"""Larger files are no records; a page with its pictures is much smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file, so that it can be recognised."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A model and its files."""

    name: str
    """As it was asked for: a name of the zoo, or the path of a file."""
    task: str
    scale: int
    weights_sha256: str
    """Of the trained numbers at fidelity 1."""
    files: tuple[FileFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run was told, `auto` resolved."""

    strength: float
    fidelity: float
    engine: str
    precision: str
    tile_px: int | None
    threads: int | None
    ensemble: int = 1
    """Orientations of which the mean was taken."""
    back_projection: bool = False
    """Whether the network's answer was corrected by what was seen; in records of before it never was."""
    by_look: bool = False
    """Whether `auto` looked at the picture and chose the model, which also calms grain and lights up what is dark."""
    signed_by: str = ""
    """SHA-256 of the certificate that signed the result (C2PA); empty: nobody did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the run was computed with."""

    acutance: str
    python: str
    system: str
    processor: str
    packages: dict[str, str]
    """Versions of what the pixels depend on, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyFacts:
    """See `trust.consistency.Consistency`."""

    is_exact: bool
    contradicted: float
    unsupported: float
    uncarried: float
    misfit_levels: float
    noise_levels: float
    kernel: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessFacts:
    """See `trust.guesses.GuessMap`."""

    interval: float
    """Share of pixels whose truth is meant to lie within the stated distance."""
    is_calibrated: bool
    median_levels: float
    """The distance at the median pixel, in levels of 255."""
    worst_tenth_levels: float
    """The distance that a tenth of the pixels exceeds."""
    share: float
    """Share of pixels that are guesses: the distance is `limit_levels` or more."""
    limit_levels: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that is known about how a result came to be."""

    source: FileFacts
    result: FileFacts
    width: int
    height: int
    """Of the result."""
    model: ModelFacts
    settings: Settings
    machine: Machine
    made: str
    """When, ISO 8601, UTC."""
    found: tuple[str, ...]
    """What was found in the picture, in sentences."""
    lost: tuple[str, ...]
    """What the result's format could not hold."""
    blur: str
    """What the estimator of blur takes the picture for; nothing of a file of several pictures."""
    noise_levels: float | None
    """The noise that it tells, in levels of 255."""
    consistency: ConsistencyFacts | None
    guesses: GuessFacts | None
    seconds: dict[str, float]
    """By what they were spent on."""
    page_sha256: str = ""
    """Of the page around the record, its own place left empty; nothing where it is a file of its own."""

    def to_json(self) -> str:
        """Write the record, sealed."""
        values = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return _spelt({**values, SEAL: _seal(values)})


def read_record(path: Path) -> Record:
    """Read a record from its file, or from a page that holds one.

    Raises:
        InputError: When it cannot be read, is none, or was changed after it was written; says which.
    """
    try:
        if not stat.S_ISREG(mode_of(path)):  # a pipe would never end
            raise InputError(f"{path}: is not a file; name the record that --report wrote.")
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{path}: is too large to be a record; name the one that --report wrote.")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text, so no record, or a damaged one.") from error
    return record_of(text, name=str(path))


def record_of(text: str, *, name: str = "record") -> Record:
    """Read a record, or a page that holds one; see `read_record`."""
    around, inner = _taken_out(text)
    try:
        values: dict[str, Any] = json.loads(inner)
        is_record = isinstance(values, dict) and values.get("format") == FORMAT
    except (ValueError, RecursionError):
        is_record = False
    if not is_record:
        raise InputError(f"{name}: is no record of acutance, or a damaged one; name the one that --report wrote.")
    if values.get("version") != VERSION:
        raise InputError(
            f"{name}: is a record of version {values.get('version')!r}, and this acutance reads {VERSION}; "
            "take the acutance that wrote it."
        )
    seal = values.pop(SEAL, None)
    if seal != _seal(values) or _spelt({**values, SEAL: seal}) != inner:
        raise InputError(f"{name}: was changed after it was written; its own hash does not fit.")
    if around and hashlib.sha256(around.encode()).hexdigest() != values.get("page_sha256"):
        raise InputError(f"{name}: the page around the record was changed after it was written.")
    try:
        return _record(values)
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{name}: lacks what a record has ({first_line(error)}).") from error


def page_with(record: Record, page: str) -> str:
    """Put a record into a page.

    Args:
        record: Its `page_sha256` is that of the page: see `page_hash`.
        page: Holds `PAGE_START` and `PAGE_END` with nothing between.
    """
    return page.replace(PAGE_START + PAGE_END, PAGE_START + record.to_json() + PAGE_END, 1)


def page_hash(page: str) -> str:
    """Return the hash of a page whose record is not in it yet."""
    return hashlib.sha256(page.encode()).hexdigest()


def _taken_out(text: str) -> tuple[str, str]:
    """Split a page into what is around its record, and that; of a record alone, nothing is around it."""
    start = text.find(PAGE_START)
    if start < 0:
        return "", text
    start += len(PAGE_START)
    end = text.find(PAGE_END, start)
    return (text[:start] + text[end:], text[start:end]) if end >= 0 else ("", text)


def _spelt(values: dict[str, Any]) -> str:
    """Write JSON in the one spelling; `<` is escaped, so that no name ends a page's script."""
    return json.dumps(values, indent=1, ensure_ascii=True).replace("<", "\\u003c") + "\n"


def _seal(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _record(values: dict[str, Any]) -> Record:
    model = values["model"]
    told = {name: values[name] for name in (field.name for field in fields(Record))}
    consistency, guesses = told["consistency"], told["guesses"]
    return Record(
        **{
            **told,
            "source": FileFacts(**told["source"]),
            "result": FileFacts(**told["result"]),
            "model": ModelFacts(**{**model, "files": tuple(FileFacts(**file) for file in model["files"])}),
            "settings": Settings(**told["settings"]),
            "machine": Machine(**told["machine"]),
            "found": tuple(told["found"]),
            "lost": tuple(told["lost"]),
            "consistency": consistency
            and ConsistencyFacts(**{**consistency, "kernel": tuple(tuple(row) for row in consistency["kernel"])}),
            "guesses": guesses and GuessFacts(**guesses),
        }
    )
