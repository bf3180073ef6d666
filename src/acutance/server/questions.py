"""A finished job's result questioned: its map of guesses and its record, by what the command line uses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from acutance.engines.model_file import read_spec
from acutance.engines.opening import read_model, resolved
from acutance.errors import AcutanceError
from acutance.inference.back_projecting import is_corrected
from acutance.media import Photo, encode_photo
from acutance.server.jobs import JobResult
from acutance.server.models import Models, ModelSettings
from acutance.server.options import Options
from acutance.server.refusals import storage_refusal, without_paths
from acutance.server.stopping import StopSignal
from acutance.spec import ModelSpec
from acutance.trust.facts import model_files
from acutance.trust.record import FileFacts, Settings
from acutance.trust.recording import Run, Trust, trust_in
from acutance.zoo.catalogue import AUTO, DEFAULT_MODEL, find_model

OWN_ENGINE = "an engine of the server's own"
"""What a record names where models are no files, and no other process can open them."""

NOTHING_CHANGED = "nothing was changed, so nothing in it is a guess: there is no map."
SEVERAL = "the file holds several pictures, of which there is no map; its report says how they were made."


@dataclass(frozen=True, slots=True, kw_only=True)
class Questioned:
    """What came of it."""

    seconds: float
    why_not: str
    """Why there is no map, in a sentence; empty where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionTask:
    """Question a finished job's result; whoever asks makes the names of what is written last, or removes it."""

    upload: Path
    result: Path
    options: Options
    made: JobResult
    """How it was made; how long that took is known."""
    names: tuple[str, str]
    """Of the picture and the result, as people know them."""
    map: Path
    """A PNG; not written where nothing was changed, or the file holds several pictures."""
    record: Path | None
    """JSON; None where only the map is wanted."""
    page: Path | None
    """The record as a page; None as above."""
    max_pixels: int
    """Larger pictures are refused before they are decoded."""

    def run(self, models: Models, stop: StopSignal, progress: Callable[[float], None]) -> Questioned:
        """Do it; see `Task.run`. No sentence names a path."""
        del progress
        start = time.perf_counter()
        stop.start()
        stop.check()
        try:
            trust = trust_in(
                self.upload,
                self.result,
                self._made_by(models),
                wants_map=False,  # several pictures have none, which is no fault
                wants_record=self.record is not None,
                found=self.made.found,
                lost=self.made.lost,
                seconds={"sharpening": self.made.seconds or 0.0},
                names=self.names,
            )
        except AcutanceError as error:
            raise without_paths(error, {self.upload: "the picture", self.result: "the result"}) from error
        stop.check()
        try:
            self._write(trust)
        except OSError as error:
            raise storage_refusal(error) from error
        why_not = "" if trust.guesses is not None else NOTHING_CHANGED
        return Questioned(seconds=time.perf_counter() - start, why_not=why_not if trust.pair is not None else SEVERAL)

    def _write(self, trust: Trust) -> None:
        if trust.guesses is not None:
            self.map.write_bytes(encode_photo(Photo(pixels=trust.guesses.picture), format="PNG"))
        if trust.record is not None and self.record is not None and self.page is not None:
            self.record.write_text(trust.record.to_json(), encoding="utf-8", newline="")
            self.page.write_text(trust.page, encoding="utf-8", newline="")

    def _made_by(self, models: Models) -> Run:
        """Return how the result was made: of `auto` by the model that it chose.

        Where a picture was left as it is, no model ran: that is what the usual one gives at strength 0.
        """
        options, opened, ran = self.options, models.settings, self.made.model
        is_auto = options.model.name == AUTO
        name = (ran or DEFAULT_MODEL) if is_auto else options.model.name
        was_left = is_auto and ran is None
        spec, files = _model(name, options.model.fidelity, models, opened)
        asked = options.model.precision
        engine, precision = (OWN_ENGINE, "float32") if opened is None else resolved(opened.engine, asked, spec)
        settings = Settings(
            strength=0.0 if was_left else options.strength,
            fidelity=options.model.fidelity,
            engine=engine,
            precision=precision,
            tile_px=None,
            ensemble=options.model.ensemble,
            by_look=is_auto and not was_left,
            back_projection=options.region is None and is_corrected(spec, wanted=None),
            threads=None if opened is None else opened.threads,
        )
        return Run(model=name, spec=spec, settings=settings, max_pixels=self.max_pixels, files=files)


def _model(
    name: str, fidelity: float, models: Models, opened: ModelSettings | None
) -> tuple[ModelSpec, tuple[FileFacts, ...]]:
    if opened is None:
        return next(replace(model.spec, name=name) for model in models.offered if model.name == name), ()
    # Offered by its stem: the path of a model of the server's own is not told.
    given = next((model for model in opened.names if Path(model).stem == name), name)
    return read_spec(read_model(find_model(given).fidelity), name=name), model_files(given, fidelity=fidelity)
