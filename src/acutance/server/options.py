"""What can be asked for with a picture, and the formats an answer can have."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from acutance.engines.engine import Ensemble, Precision
from acutance.inference.told import Region, ToldBlur
from acutance.media import FORMATS as TABLE
from acutance.media import ImageFormat, heif, raw
from acutance.media.formats import READABLE
from acutance.server.refusals import Refused

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(format_.query for format_ in TABLE.values())]
"""What `format` takes in a query."""

FORMATS: Mapping[FormatName, ImageFormat] = {format_.query: name for name, format_ in TABLE.items()}
MEDIA_TYPES: Mapping[ImageFormat, str] = {name: format_.media_type for name, format_ in TABLE.items()}
SUFFIXES: Mapping[ImageFormat, str] = {name: format_.suffixes[0] for name, format_ in TABLE.items()}


def written() -> Mapping[FormatName, ImageFormat]:
    """Return the formats that results can have here: HEIC needs an extra."""
    return {name: format_ for name, format_ in FORMATS.items() if format_ != "HEIF" or heif.is_installed()}


def read_here() -> list[str]:
    """Return the formats of pictures that are read here, in words."""
    has = {"HEIF": heif.is_installed(), "RAW": raw.is_installed()}
    return [format_.label for name, format_ in READABLE.items() if has.get(name, True)]


NAME_CHARACTERS = 100
"""Longest stem of a result's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which network runs, and how."""

    name: str
    """Of a model that the server offers."""
    fidelity: float = 1.0
    """1 is true, 0 crisp."""
    precision: Precision = "auto"
    """Of the arithmetic."""
    ensemble: Ensemble = 1
    """Orientations of which the mean is taken: so many runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked for with a picture."""

    model: ModelChoice
    strength: float = 1.0
    """0 changes nothing, up to 2."""
    format: ImageFormat | None = None
    """Of the result; None is that of the picture."""
    told: ToldBlur | None = None
    """What blurred the picture, where somebody knows."""
    region: Region | None = None
    """The part of the picture that is sharpened; None is the whole."""
    is_questioned: bool = False
    """Whether the picture is kept with its result, so that a map of guesses and a report can be made of them."""


def fingerprint_of(options: Options, digest: str, *, webhook: str | None = None) -> str:
    """Return what a post is recognised by that is repeated.

    Args:
        options: What is asked for.
        digest: SHA-256 of the picture, in hexadecimal digits.
        webhook: Whom the server tells in the end.
    """
    model = options.model
    asked: tuple[object, ...] = (
        *(model.name, model.fidelity, model.precision, options.strength, options.format, digest),
        # None: as before there were any.
        *(part for part in (options.told, options.region, webhook) if part is not None),
        *(("questioned",) if options.is_questioned else ()),
        *((f"ensemble {model.ensemble}",) if model.ensemble != 1 else ()),
    )
    return hashlib.sha256(repr(asked).encode()).hexdigest()


def negotiate(accept: str, own: ImageFormat) -> ImageFormat:
    """Choose the format of the answer by the request's Accept header (RFC 9110, 12.5.1).

    Args:
        accept: The header; empty is `*/*`.
        own: The picture's own format, which is preferred among those that are equally welcome.

    Raises:
        Refused: When no format that can be written is acceptable.
    """
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    formats = sorted(MEDIA_TYPES, key=lambda format_: format_ != own)
    best = max(formats, key=lambda format_: _quality(MEDIA_TYPES[format_], ranges))
    if _quality(MEDIA_TYPES[best], ranges) <= 0:
        written = ", ".join(MEDIA_TYPES.values())
        raise Refused(406, "not_acceptable", f"Accept: names no format that is written; there are {written}.")
    return best


def _media_range(text: str) -> tuple[str, float]:
    """Return a media range and its quality; a quality that cannot be read is 0."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = min(1.0, max(0.0, float(value)))
            except ValueError:
                quality = 0.0
    return name, quality if quality == quality else 0.0  # noqa: PLR0124 - not a number is no quality


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Return how welcome a type is: what the most specific range that covers it says."""
    family = media_type.partition("/")[0] + "/*"
    for wanted in (media_type, family, "*/*"):
        found = [quality for name, quality in ranges if name == wanted]
        if found:
            return max(found)
    return 0.0


def photo_name(uploaded: str) -> str:
    """Return what a photo is called, its suffix included, after the name that it was uploaded under.

    Never a path and never more than a name: what is before the last slash or backslash, control characters, quotes and
    dots at the ends are left out. Nothing where nothing is left.
    """
    stem, dot, suffix = uploaded.replace("\\", "/").rpartition("/")[2].rpartition(".")
    if not stem:
        return _clean(suffix)
    return f"{_clean(stem) or 'photo'}{dot}{_clean(suffix)}".strip(" .")


def result_stem(uploaded: str) -> str:
    """Return what a result is called, without its suffix, after the name that its picture was uploaded under."""
    before, _, last = uploaded.replace("\\", "/").rpartition("/")[2].rpartition(".")
    return f"{_clean(before or last) or 'photo'}.sharp"


def _clean(part: str) -> str:
    kept = "".join(letter for letter in part if letter.isprintable() and letter not in '"<>:|?*%;')
    return kept.strip(" .")[:NAME_CHARACTERS].strip(" .")
