"""A result's map and record: made of its files, and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from acutance.errors import UnsupportedImage
from acutance.geometry import Size
from acutance.media import Photo, open_pictures, write_atomically, write_photo
from acutance.spec import ModelSpec
from acutance.trust.consistency import Consistency
from acutance.trust.facts import file_facts, model_files, this_machine
from acutance.trust.guesses import GUESS_LEVELS, INTERVAL, GuessMap
from acutance.trust.page import record_page
from acutance.trust.questioning import Answers, Pair, questioned, read_pair
from acutance.trust.record import ConsistencyFacts, FileFacts, GuessFacts, ModelFacts, Record, Settings

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
    files: tuple[FileFacts, ...] | None = None
    """Of the model; None looks them up by its name."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What can be trusted of a result, as values that are not written yet."""

    pair: Pair | None
    """None where the file holds several pictures, which are not questioned."""
    answers: Answers | None
    record: Record | None
    """None where none was asked for."""

    @property
    def guesses(self) -> GuessMap | None:
        """The map; None where nothing was changed, or the file holds several pictures."""
        return self.answers.guesses if self.answers else None

    @property
    def page(self) -> str:
        """The record as a page, which holds it.

        Raises:
            ValueError: When no record was asked for.
        """
        if self.record is None:
            raise ValueError("no record was asked for")
        consistency = self.answers.consistency if self.answers else None
        return record_page(self.record, self.pair, guesses=self.guesses, consistency=consistency)


def trust_in(
    source: Path,
    result: Path,
    run: Run,
    *,
    wants_map: bool = True,
    wants_record: bool = True,
    found: Sequence[str] = (),
    lost: Sequence[str] = (),
    seconds: Mapping[str, float] | None = None,
    names: tuple[str, str] | None = None,
) -> Trust:
    """Question a result.

    Args:
        source: The picture.
        result: What was made of it.
        run: How.
        wants_map: Whether a map is wanted even without a record: several pictures in one file are refused then.
        wants_record: Whether a record is.
        found: What was found in the picture.
        lost: What the result's format could not hold.
        seconds: How long what took.
        names: What the record calls the picture and the result; None is the names of their files.

    Raises:
        InputError: When a file cannot be read; where a map is wanted, too, when it holds several pictures.
    """
    settings = run.settings
    pair, answers = None, None
    try:
        pair = read_pair(source, result, max_pixels=run.max_pixels)
    except UnsupportedImage:
        if wants_map:
            raise
    else:
        answers = questioned(
            pair,
            run.spec,
            strength=settings.strength,
            fidelity=settings.fidelity,
            wants_map=True,
            wants_consistency=wants_record,
            threads=settings.threads,
        )
    record = None
    if wants_record:
        files = (file_facts(source), file_facts(result))
        if names is not None:
            files = (replace(files[0], name=names[0]), replace(files[1], name=names[1]))
        record = _record(files, _size_of(result, run), run, answers, found=found, lost=lost, seconds=seconds or {})
    return Trust(pair=pair, answers=answers, record=record)


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
    trust = trust_in(
        source,
        result,
        run,
        wants_map=map_to is not None,
        wants_record=record_to is not None,
        found=found,
        lost=lost,
        seconds=seconds,
    )
    if map_to is not None and trust.guesses is not None:
        write_photo(Photo(pixels=trust.guesses.picture), map_to, overwrite=overwrite)
    if record_to is not None and trust.record is not None:
        text = trust.page if record_to.suffix.lower() in PAGE_SUFFIXES else trust.record.to_json()
        write_atomically(record_to, [text.encode()], overwrite=overwrite)
    return Written(answers=trust.answers, record=trust.record, was_left=run.settings.strength == 0)


def _size_of(result: Path, run: Run) -> Size:
    with open_pictures(result, max_bits=16, max_pixels=run.max_pixels) as pictures:
        return pictures.size


def _record(
    files: tuple[FileFacts, FileFacts],
    size: Size,
    run: Run,
    answers: Answers | None,
    *,
    found: Sequence[str],
    lost: Sequence[str],
    seconds: Mapping[str, float],
) -> Record:
    spec, settings = run.spec, run.settings
    return Record(
        width=size.width,
        height=size.height,
        source=files[0],
        result=files[1],
        model=ModelFacts(
            name=run.model,
            task=spec.task,
            scale=spec.scale,
            weights_sha256=spec.weights_sha256,
            files=model_files(run.model, fidelity=settings.fidelity) if run.files is None else run.files,
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
