"""ResultKey a result's map and record, and writing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from acutance.errors import UnsupportedImage
from acutance.media import Photo, open_pictures, write_atomically, write_photo
from acutance.spec import ModelSpec
from acutance.trust.consistency import Consistency
from acutance.trust.facts import file_facts, model_files, this_machine
from acutance.trust.guesses import GUESS_LEVELS, INTERVAL, GuessMap
from acutance.trust.page import record_page
from acutance.trust.questioning import Answers, questioned, read_pair
from acutance.trust.record import ConsistencyFacts, GuessFacts, ModelFacts, Record, Settings

PAGE_SUFFIXES = (".html", ".htm")
"""A record of such a name is written as a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How results were made."""

    model: str
    """As it was asked for."""
    spec: ModelSpec
    settings: Settings
    max_pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written of one result."""

    answers: Answers | None
    """None where the file holds several pictures, which are not questioned."""
    record: Record | None
    was_left: bool = False
    """Whether the picture was left as it was: nothing is a guess, and there is no map."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person should know of it."""
        if self.was_left:
            return ("nothing was changed, so nothing in it is a guess: there is no map",)
        if self.answers is None:
            return ("holds several pictures: recorded, but neither mapped nor blurred again",)
        told = (self.answers.guesses, self.answers.consistency)
        return tuple(str(one) for one in told if one is not None)


def write_trust(
    source: Path,
    result: Path,
    run: Run,
    *,
    map_to: Path | None = None,
    record_to: Path | None = None,
    found: Sequence[str] = (),
    lost: Sequence[str] = (),
    seconds: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> Written:
    """Question a result and write its map and its record, or one of them.

    Args:
        source: The picture.
        result: What was made of it.
        run: How.
        map_to: Where the map goes, any format that photos are written in; None for none.
        record_to: Where the record goes: a page, if the name ends in .html, else JSON; None for none.
        found: What was found in the picture.
        lost: What the result's format could not hold.
        seconds: How long what took.
        overwrite: Replace files that exist.

    Raises:
        InputError: When a file cannot be read; of a map, too, when it holds several pictures.
        OutputError: When one cannot be written.
    """
    settings = run.settings
    pair, answers = None, None
    try:
        pair = read_pair(source, result, max_pixels=run.max_pixels)
    except UnsupportedImage:
        if map_to is not None:
            raise
    else:
        answers = questioned(
            pair,
            run.spec,
            strength=settings.strength,
            fidelity=settings.fidelity,
            wants_map=True,
            wants_consistency=record_to is not None,
            threads=settings.threads,
        )
    if map_to is not None and answers is not None and answers.guesses is not None:
        write_photo(Photo(pixels=answers.guesses.picture), map_to, overwrite=overwrite)
    record = None
    if record_to is not None:
        record = _record(source, result, run, answers, found=found, lost=lost, seconds=seconds or {})
        text = record.to_json()
        if record_to.suffix.lower() in PAGE_SUFFIXES:
            told = (answers.guesses, answers.consistency) if answers else (None, None)
            text = record_page(record, pair, guesses=told[0], consistency=told[1])
        write_atomically(record_to, [text.encode()], overwrite=overwrite)
    return Written(answers=answers, record=record, was_left=settings.strength == 0)


def _record(
    source: Path,
    result: Path,
    run: Run,
    answers: Answers | None,
    *,
    found: Sequence[str],
    lost: Sequence[str],
    seconds: Mapping[str, float],
) -> Record:
    spec, settings = run.spec, run.settings
    with open_pictures(result, max_bits=16, max_pixels=run.max_pixels) as pictures:
        size = pictures.size
    return Record(
        width=size.width,
        height=size.height,
        source=file_facts(source),
        result=file_facts(result),
        model=ModelFacts(
            name=run.model,
            task=spec.task,
            scale=spec.scale,
            weights_sha256=spec.weights_sha256,
            files=model_files(run.model, fidelity=settings.fidelity),
        ),
        settings=settings,
        machine=this_machine(),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        found=tuple(found),
        lost=tuple(lost),
        blur=answers.blur if answers else "",
        noise_levels=round(answers.noise_levels, 3) if answers else None,
        consistency=_consistency_facts(answers.consistency) if answers and answers.consistency else None,
        guesses=_guess_facts(answers.guesses) if answers and answers.guesses else None,
        seconds={name: round(value, 3) for name, value in seconds.items()} | (answers.seconds if answers else {}),
    )


def _consistency_facts(told: Consistency) -> ConsistencyFacts:
    return ConsistencyFacts(
        is_exact=told.is_exact,
        contradicted=round(told.contradicted, 4),
        unsupported=round(told.unsupported, 4),
        uncarried=round(told.uncarried, 4),
        misfit_levels=round(told.misfit_levels, 3),
        noise_levels=round(told.noise_levels, 3),
        kernel=tuple(tuple(round(float(value), 6) for value in row) for row in told.kernel),
    )


def _guess_facts(told: GuessMap) -> GuessFacts:
    return GuessFacts(
        interval=INTERVAL,
        is_calibrated=told.is_calibrated,
        median_levels=round(float(np.median(told.distance)), 2),
        worst_tenth_levels=round(float(np.quantile(told.distance, 0.9)), 2),
        share=round(told.share, 4),
        limit_levels=GUESS_LEVELS,
    )
