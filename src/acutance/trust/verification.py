"""Checking a result against its record: is it the one, of that input, by that model, and does it come out again?"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import CpuEngine, EngineName, EngineSettings, Ensemble, Precision
from acutance.engines.opening import resolved
from acutance.errors import AcutanceError, InputError, first_line
from acutance.inference.picture_files import sharpened_content
from acutance.inference.sharpener import Sharpener
from acutance.media import FORMATS, Photo, format_of, open_pictures
from acutance.media.reading import mode_of
from acutance.trust.facts import file_facts, model_files, this_machine
from acutance.trust.record import FileFacts, Record, Settings, read_record
from acutance.zoo.catalogue import AUTO

State = Literal["true", "false", "unknown"]

BOUNDS: Final[dict[str, tuple[float, float]]] = {"float32": (0.25, 8.0), "bfloat16": (0.6, 24.0)}
"""Root mean square and largest difference, in levels of 255, that another engine's result may have from the recorded
one, by the coarser of the two arithmetics. Lossy formats code pixels that differ by a level a little apart."""
_MODULES: Final[dict[str, str]] = {"openvino": "openvino", "torch": "torch"}
"""Of engines that may not be installed, what they need."""
LISTED_RECORDS: Final = 2000
"""So many files beside a result are looked at for its record."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    what: str
    state: State
    words: str
    """What was found, in a sentence."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of it."""

    checks: tuple[Check, ...]

    @property
    def is_true(self) -> bool:
        """Whether nothing was found to be other than recorded."""
        return all(check.state != "false" for check in self.checks)

    @property
    def is_complete(self) -> bool:
        """Whether everything could be looked at."""
        return all(check.state == "true" for check in self.checks)

    def __str__(self) -> str:
        """Return a line per check, and the sum."""
        marks = {"true": "ok", "false": "WRONG", "unknown": "not checked"}
        lines = [f"{check.what}: {marks[check.state]}: {check.words}" for check in self.checks]
        if not self.is_true:
            return "\n".join([*lines, "NOT VERIFIED"])
        return "\n".join([*lines, "verified" if self.is_complete else "verified as far as it could be checked"])


def verify(
    result: str | Path,
    record: str | Path | None = None,
    *,
    source: str | Path | None = None,
    engine: EngineName | None = None,
    makes_again: bool = True,
) -> Verification:
    """Check a result against its record, and make it again.

    Args:
        result: The sharpened picture.
        record: Its record, JSON or a page; None looks for it beside the result.
        source: The picture that it was made of; None looks for the recorded name beside the result and the record.
        engine: What makes it again; None is the recorded engine, if it is installed, else the fastest.
        makes_again: Whether to; otherwise only hashes are compared.

    Returns:
        What was found. The same engine has to give the same bytes, or at least the same pixels; another one pixels
        within `BOUNDS`.

    Raises:
        InputError: When there is no record, or the result cannot be read.
        ConfigError: When there is no such engine.
    """
    EngineSettings(engine=engine or "auto")  # a name that there is not is no fault of the result's
    path = Path(result)
    if not stat.S_ISREG(mode := mode_of(path)):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a file"
        raise InputError(f"{path} is {kind}; name the sharpened photo.")
    place = _record_beside(path) if record is None else Path(record)
    mode_of(place)
    try:
        told = read_record(place)
    except InputError as error:
        return Verification((Check("record", "false", str(error)),))
    checks = [
        Check("record", "true", f"{place.name} is as it was written"),
        _same_file("result", path, told.result),
    ]
    origin = _source_of(told, path, place) if source is None else Path(source)
    if origin is None:
        checks.append(Check("input", "unknown", f"{told.source.name} is not beside it; name it with --input"))
    else:
        checks.append(_same_file("input", origin, told.source))
    checks.append(_same_model(told))
    if makes_again:
        if any(check.state == "false" for check in checks):
            checks.append(Check("made again", "unknown", "not tried, since not all of the above is as recorded"))
        elif origin is None:
            checks.append(Check("made again", "unknown", "not tried without its input"))
        elif any(check.state == "unknown" for check in checks):
            checks.append(Check("made again", "unknown", "not tried without its model"))
        else:
            checks.append(_made_again(told, path, origin, engine))
    if told.settings.signed_by:
        checks.append(_manifest_of(path))
    return Verification(tuple(checks))


def as_rows(verification: Verification) -> dict[str, object]:
    """Return what came of it as JSON wants it."""
    checks = [asdict(check) for check in verification.checks]
    return {"is_true": verification.is_true, "is_complete": verification.is_complete, "checks": checks}


def _record_beside(result: Path) -> Path:
    """Find the record of a result in its folder.

    Raises:
        InputError: When there is none.
    """
    named = [result.with_name(name) for name in (f"{result.name}.json", f"{result.stem}.json", f"{result.name}.html")]
    for place in named:
        if place.is_file() and place != result:
            return place
    damaged: list[str] = []
    for place in _pages_in(result.parent):
        try:
            if read_record(place).result.name == result.name:
                return place
        except InputError as error:
            if "changed after" in str(error):
                damaged.append(place.name)
    hint = f" (changed after they were written: {', '.join(damaged)})" if damaged else ""
    raise InputError(f"{result}: no record of it lies beside it; name it with --record{hint}.")


def _pages_in(folder: Path) -> Iterator[Path]:
    try:
        places = sorted(place for place in folder.iterdir() if place.suffix in (".json", ".html"))
    except OSError:
        return
    yield from places[:LISTED_RECORDS]


def _source_of(record: Record, result: Path, place: Path) -> Path | None:
    for folder in (result.parent, place.parent):
        path = folder / Path(record.source.name).name
        if path.is_file():
            return path
    return None


def _same_file(what: str, path: Path, recorded: FileFacts) -> Check:
    found = file_facts(path)
    if found.sha256 == recorded.sha256:
        return Check(what, "true", f"{path.name} is the recorded file, SHA-256 {found.sha256[:12]}…")
    words = f"{path.name} is not the recorded file: SHA-256 {found.sha256[:12]}…, recorded {recorded.sha256[:12]}…"
    return Check(what, "false", words)


def _same_model(record: Record) -> Check:
    """Compare the files of the model as they are here with those that made the result."""
    try:
        files = model_files(record.model.name, fidelity=record.settings.fidelity)
    except AcutanceError as error:
        return Check("model", "unknown", str(error))
    recorded = {file.name: file.sha256 for file in record.model.files}
    wrong = [file.name for file in files if recorded.get(file.name) != file.sha256]
    if wrong or len(files) != len(recorded):
        return Check("model", "false", f"{', '.join(wrong) or record.model.name} is not the file that made the result")
    return Check("model", "true", f"{record.model.name}: its files are the recorded ones")


def _manifest_of(result: Path) -> Check:
    """Check the manifest of a result that was signed."""
    from acutance.provenance.reading import manifest_in

    try:
        with result.open("rb") as file:
            found = manifest_in(file, FORMATS[format_of(result)].media_type)
    except (AcutanceError, OSError) as error:
        return Check("C2PA manifest", "unknown", first_line(error))
    if found is None:
        return Check("C2PA manifest", "false", "there is none, and the record says that the result is signed")
    if not found.is_valid:
        return Check("C2PA manifest", "false", f"it does not hold for the file ({', '.join(found.problems)})")
    return Check("C2PA manifest", "true", f"signed by {found.holder}; whether to trust that name is yours to say")


def _made_again(record: Record, result: Path, source: Path, engine: EngineName | None) -> Check:
    """Make the result once more and compare."""
    settings = record.settings
    try:
        name, precision = _available(engine, settings)
        content = _content_again(record, result, source, name, precision)
    except AcutanceError as error:
        return Check("made again", "unknown", str(error))
    how = name if precision == "float32" else f"{name} in {precision}"
    is_same = (name, precision) == (settings.engine, settings.precision)
    if content == result.read_bytes():
        return Check("made again", "true", f"by {how}: the same file, bit for bit")
    rms, largest = _distance(content, result)
    if largest == 0:
        why = "the file also holds its manifest" if settings.signed_by else "they are coded otherwise here"
        return Check("made again", "true", f"by {how}: the same pixels, bit for bit; {why}")
    if is_same and name in get_args(CpuEngine) and record.machine == this_machine():
        words = f"by {how}, all versions as recorded, but other pixels: {largest:.0f} levels off at most"
        return Check("made again", "false", words)
    is_exact = precision == settings.precision == "float32"
    bound_rms, bound = BOUNDS["float32" if is_exact else "bfloat16"]
    is_near = rms <= bound_rms and largest <= bound
    off = f"{rms:.3f} levels off in the mean (root mean square; up to {bound_rms:g} is expected), {largest:.0f} at most"
    other = "" if is_same else f", recorded was {settings.engine} in {settings.precision}"
    words = f"by {how}{other}: {off}"
    if is_same and is_near:
        words += "; another version or processor than the recorded one"
    return Check("made again", "true" if is_near else "false", words)


def _available(engine: EngineName | None, settings: Settings) -> tuple[EngineName, Precision]:
    """Return the engine and arithmetic to make a result again with: what is wanted, what is recorded, or what there is.

    Args:
        engine: The one that is wanted; None is the recorded one.
        settings: As recorded.
    """
    recorded = cast("EngineName", settings.engine)
    if engine is None and recorded in _MODULES and find_spec(_MODULES[recorded]) is None:
        return resolved("cpu", "auto")
    if engine in (None, recorded):
        return recorded, cast("Precision", settings.precision)
    return engine, "float32" if engine in get_args(CpuEngine) else "auto"


def _content_again(record: Record, result: Path, source: Path, engine: EngineName, precision: Precision) -> bytes:
    settings = record.settings
    with (
        Sharpener(
            AUTO if settings.by_look else record.model.name,
            fidelity=settings.fidelity,
            engine=engine,
            precision=precision,
            threads=settings.threads,
            tile_px=settings.tile_px,
            ensemble=cast("Ensemble", settings.ensemble),
            back_projection=settings.back_projection,
        ) as sharpener,
        sharpener.opened(source) as pictures,
    ):
        return sharpened_content(sharpener, pictures, format_of(result), strength=settings.strength)[0]


def _distance(content: bytes, result: Path) -> tuple[float, float]:
    """Return how far two pictures lie apart, in levels of 255: root mean square, and at most."""
    total = count = 0.0
    largest = 0.0
    with open_pictures(content, max_bits=16) as made, open_pictures(result, max_bits=16) as recorded:
        if made.count != recorded.count:
            return float("inf"), float("inf")
        for one, other in zip(made.photos(), recorded.photos(), strict=True):
            first, second = _levels(one), _levels(other)
            if first.shape != second.shape:
                return float("inf"), float("inf")
            apart = np.abs(first - second)
            total += float((apart**2).sum(dtype=np.float64))
            count += apart.size
            largest = max(largest, float(apart.max()))
    return float(np.sqrt(total / count)), largest


def _levels(photo: Photo) -> npt.NDArray[np.float32]:
    """Return all channels of a photo in levels of 255."""
    pixels = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    return pixels.astype(np.float32) * np.float32(1 if photo.pixels.dtype == np.uint8 else 1 / 257)
