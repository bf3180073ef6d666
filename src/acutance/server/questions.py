"""A finished job's result questioned: its map of guesses and its record, by what the command line uses."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from acutance.engines.model_file import read_spec
from acutance.engines.opening import read_model, resolved
from acutance.errors import AcutanceError
from acutance.inference.back_projecting import is_corrected
from acutance.media import Photo, encode_photo
from acutance.server.models import Models, ModelSettings
from acutance.server.options import Options
from acutance.server.refusals import Refused, answer_to, storage_refusal
from acutance.server.stopping import StopSignal
from acutance.spec import ModelSpec
from acutance.trust.facts import model_files
from acutance.trust.record import FileFacts, Settings
from acutance.trust.recording import Run, Trust, trust_in
from acutance.zoo.catalogue import AUTO, DEFAULT_MODEL, find_model

OWN_ENGINE = "an engine of the server's own"
"""What a record names where models are no files, and no other process can open them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where what is asked for is written; whoever asks makes its names last, or removes it."""

    map: Path
    """A PNG; not written where nothing was changed, or the file holds several pictures."""
    record: Path | None
    """JSON; None where only the map is wanted."""
    page: Path | None
    """The record as a page; None as above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questioned:
    """What came of it."""

    seconds: float
    has_map: bool
    why_not: str
    """Why there is no map, in a sentence; empty where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeHow:
    """How a result was made, as far as the record tells it."""

    options: Options
    ran: str | None
    """The model that ran; None where the picture was left as it is."""
    names: tuple[str, str]
    """Of the picture and the result, as people know them."""
    found: tuple[str, ...]
    lost: tuple[str, ...]
    seconds: float


def question_result(
    upload: Path,
    result: Path,
    how: MadeHow,
    targets: Targets,
    *,
    models: Models,
    max_pixels: int,
    stop: StopSignal,
) -> Questioned:
    """Question a result, and write what is asked for.

    Args:
        upload: The picture.
        result: What was made of it.
        how: How.
        targets: What is written.
        models: What is offered.
        max_pixels: Larger pictures are refused before they are decoded.
        stop: Looked at before each step.

    Raises:
        Refused: When it cannot be done; the sentence names no path.
        Stopped: When it was asked for.
    """
    start = time.perf_counter()
    stop.start()
    stop.check()
    try:
        trust = trust_in(
            upload,
            result,
            _run(how, models, max_pixels),
            wants_map=False,  # several pictures have none, which is no fault
            wants_record=targets.record is not None,
            found=how.found,
            lost=how.lost,
            seconds={"sharpening": how.seconds},
            names=how.names,
        )
    except AcutanceError as error:
        answer = answer_to(error)
        detail = answer.detail.replace(str(upload), "the picture").replace(str(result), "the result")
        raise Refused(answer.status, answer.error, detail, retry_after_s=answer.retry_after_s) from error
    stop.check()
    try:
        _write(trust, targets)
    except OSError as error:
        raise storage_refusal(error) from error
    why_not = "" if trust.guesses is not None else "nothing was changed, so nothing in it is a guess: there is no map."
    if trust.pair is None:
        why_not = "the file holds several pictures, of which there is no map; its report says how they were made."
    return Questioned(seconds=time.perf_counter() - start, has_map=trust.guesses is not None, why_not=why_not)


def _write(trust: Trust, targets: Targets) -> None:
    if trust.guesses is not None:
        targets.map.write_bytes(encode_photo(Photo(pixels=trust.guesses.picture), format="PNG"))
    if trust.record is not None and targets.record is not None and targets.page is not None:
        targets.record.write_text(trust.record.to_json(), encoding="utf-8", newline="")
        targets.page.write_text(trust.page, encoding="utf-8", newline="")


def _run(how: MadeHow, models: Models, max_pixels: int) -> Run:
    """Return how a result was made: of `auto` by the model that it chose.

    Where a picture was left as it is, no model ran: that is what the usual one gives at strength 0.
    """
    options, opened = how.options, models.settings
    name = options.model.name
    if name == AUTO:
        name = how.ran or DEFAULT_MODEL
    spec, files = _model(name, options.model.fidelity, models, opened)
    asked = options.model.precision
    engine, precision = (OWN_ENGINE, "float32") if opened is None else resolved(opened.engine, asked, spec)
    was_left = options.model.name == AUTO and how.ran is None
    settings = Settings(
        strength=0.0 if was_left else options.strength,
        fidelity=options.model.fidelity,
        engine=engine,
        precision=precision,
        tile_px=None,
        ensemble=options.model.ensemble,
        by_look=options.model.name == AUTO and not was_left,
        back_projection=options.region is None and is_corrected(spec, wanted=None),
        threads=None if opened is None else opened.threads,
    )
    return Run(model=name, spec=spec, settings=settings, max_pixels=max_pixels, files=files)


def _model(
    name: str, fidelity: float, models: Models, opened: ModelSettings | None
) -> tuple[ModelSpec, tuple[FileFacts, ...]]:
    if opened is None:
        return next(replace(model.spec, name=name) for model in models.offered if model.name == name), ()
    # Offered by its stem: the path of a model of the server's own is not told.
    given = next((model for model in opened.names if Path(model).stem == name), name)
    return read_spec(read_model(find_model(given).fidelity), name=name), model_files(given, fidelity=fidelity)
