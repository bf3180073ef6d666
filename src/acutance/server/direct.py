"""Work that somebody waits for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from acutance.inference.inspection import Inspection
from acutance.server.admission import Admission
from acutance.server.files import Files
from acutance.server.metrics import Metrics
from acutance.server.options import Options
from acutance.server.stopping import StopSignal
from acutance.server.tasks import InspectTask, PictureTask
from acutance.server.uploads import Upload
from acutance.server.waiting import Waiting
from acutance.server.work import Sharpened
from acutance.server.workers import Workers, twice


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedResult:
    """A result on its way to whom it was made for."""

    path: Path
    """Of its file, which is removed when it was sent."""
    bytes: int
    """Of the file."""
    sharpened: Sharpened
    """Facts about it."""


class DirectWork:
    """Does what somebody waits for.

    Args:
        waiting: Runs it.
        workers: Decode, sharpen and encode.
        files: Where a result lies until it is sent.
        admission: Learns how long pictures take.
        metrics: Counts them.
        max_pixels: Of a picture.
    """

    def __init__(
        self,
        waiting: Waiting,
        *,
        workers: Workers,
        files: Files,
        admission: Admission,
        metrics: Metrics,
        max_pixels: int,
    ) -> None:
        self._waiting = waiting
        self._workers = workers
        self._files = files
        self._admission = admission
        self._metrics = metrics
        self._max_pixels = max_pixels

    async def sharpen(self, upload: Upload, options: Options, client: str, gone: asyncio.Event) -> FinishedResult:
        """Sharpen a picture for somebody who waits.

        Args:
            upload: The picture; its file is removed.
            options: What is asked for, the format of the result included.
            client: Who waits.
            gone: Set when nobody waits any more: the work is given up.

        Raises:
            AcutanceError: When it is not to be had.
        """
        path = self._files.new_passing()
        task = PictureTask(upload=upload.path, target=path, options=options, max_pixels=self._max_pixels)
        result = await self._waiting.result_of(
            lambda stop: self._sharpen_to(task, stop),
            client=client,
            gone=gone,
            undo=lambda: self._files.remove(upload.path, path),
            runs=options.model.ensemble,
        )
        self._files.remove(upload.path)
        return result

    async def inspect(self, upload: Upload, client: str, gone: asyncio.Event) -> Inspection:
        """Look at a picture for somebody who waits.

        Args:
            upload: The picture; its file is removed.
            client: Who waits.
            gone: Set when nobody waits any more: the work is given up.

        Raises:
            AcutanceError: When it cannot be read.
        """
        task = InspectTask(upload=upload.path, max_pixels=self._max_pixels)
        found = await self._waiting.result_of(
            lambda stop: twice(lambda: self._workers.run(task, stop, lambda _: None)),
            client=client,
            gone=gone,
            undo=lambda: self._files.remove(upload.path),
        )
        self._files.remove(upload.path)
        return found

    def _sharpen_to(self, task: PictureTask, stop: StopSignal) -> FinishedResult:
        """Sharpen a picture into a file: what waits for a slow client must not lie in memory."""
        sharpened = twice(lambda: self._workers.run(task, stop, lambda _: None))
        self._admission.took(sharpened.seconds, runs=task.options.model.ensemble)
        self._metrics.done(sharpened.megapixels, sharpened.seconds, "direct")
        return FinishedResult(path=task.target, bytes=task.target.stat().st_size, sharpened=sharpened)
