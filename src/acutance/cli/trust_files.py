"""What `acutance sharpen --map --report` does after each photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from acutance.engines.model_file import read_spec
from acutance.engines.opening import resolved
from acutance.errors import AcutanceError
from acutance.trust.record import Settings
from acutance.trust.recording import Run, write_trust
from acutance.zoo.catalogue import AUTO, DEFAULT_MODEL, find_model

if TYPE_CHECKING:
    from acutance.cli.trust_options import TrustOptions
    from acutance.inference.picture_files import FileResult
    from acutance.inference.sharpener import Sharpener
    from acutance.media import PlannedFile


class TrustWriter:
    """Writes what is to be written about each result: its map and its record."""

    def __init__(self, sharpener: Sharpener, options: TrustOptions, plan: Sequence[PlannedFile]) -> None:
        """Gather what all records say.

        Args:
            sharpener: The opened model.
            options: What is to be written.
            plan: All photos.
        """
        asked = sharpener.engine_settings
        engine, precision = resolved(asked.engine, asked.precision, sharpener.spec)
        self._options = options
        self._targets = [file.target for file in plan]
        self._run = Run(
            model=options.model,
            spec=sharpener.spec,
            settings=Settings(
                strength=options.strength,
                fidelity=asked.fidelity,
                engine=engine,
                precision=precision,
                ensemble=asked.ensemble,
                back_projection=sharpener.is_corrected,
                tile_px=sharpener.settings.tile_px,
                threads=asked.threads,
                signed_by="" if (signer := sharpener.settings.signed_by) is None else signer.fingerprint,
            ),
            max_pixels=sharpener.max_pixels,
        )

    def __call__(self, result: FileResult) -> FileResult:
        """Return what happened to a file, with what can be trusted of it; an error in that is told as the file's."""
        if result.status != "done":
            return result
        try:
            written = write_trust(
                result.source,
                result.target,
                self._run_of(result),
                map_to=self._options.map_of(result.target, self._targets),
                record_to=self._options.report_of(result.target, self._targets),
                found=result.found,
                lost=result.lost,
                seconds={"sharpening": result.seconds},
                overwrite=self._options.overwrite,
            )
        except AcutanceError as error:
            words = f"{result.target} is written, but not its map or record: {error}"
            return replace(result, status="failed", error=words)
        return replace(result, trust=written.sentences)

    def _run_of(self, result: FileResult) -> Run:
        """Return what the record says of the model: of `auto` the one that was chosen.

        Where a picture was left as it is, no model ran: that is what the usual one gives at strength 0.
        """
        if self._options.model != AUTO:
            return self._run
        name = result.models[0] if result.models else DEFAULT_MODEL
        run = replace(self._run, model=name, spec=read_spec(find_model(name).fidelity.read_bytes(), name=name))
        if result.models:
            return replace(run, settings=replace(run.settings, by_look=True))
        return replace(run, settings=replace(run.settings, strength=0.0))
