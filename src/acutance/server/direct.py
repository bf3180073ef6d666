"""Work that somebody waits for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from acutance.inference.inspection import Inspection
from acutance.server.options import Options
from acutance.server.stopping import StopSignal
from acutance.server.tasks import InspectTask, PictureTask
from acutance.server.uploads import Upload
from acutance.server.work import Sharpened
from acutance.server.workers import twice

if TYPE_CHECKING:
    from acutance.server.service import Service


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
    """Does what somebody waits for."""

    def __init__(self, service: Service) -> None:
        self._service = service

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
        stop = StopSignal(self._service.limits.run_s)
        path = self._service.files.new_passing()
        task = PictureTask(upload=upload.path, target=path, options=options, max_pixels=self._service.limits.max_pixels)
        future = self._service.pool.submit(client, partial(self._sharpen_to, task, stop), is_job=False)
        try:
            return await self._service.awaited(future, stop, gone)
        except BaseException:
            future.add_done_callback(lambda _: self._service.files.remove(path))
            raise
        finally:
            future.add_done_callback(lambda _: self._service.files.remove(upload.path))

    async def inspect(self, upload: Upload, client: str, gone: asyncio.Event) -> Inspection:
        """Look at a picture for somebody who waits.

        Args:
            upload: The picture; its file is removed.
            client: Who waits.
            gone: Set when nobody waits any more: the work is given up.

        Raises:
            AcutanceError: When it cannot be read.
        """
        stop = StopSignal(self._service.limits.run_s)
        task = InspectTask(upload=upload.path, max_pixels=self._service.limits.max_pixels)
        future = self._service.pool.submit(client, partial(self._inspected, task, stop), is_job=False)
        try:
            return await self._service.awaited(future, stop, gone)
        finally:
            future.add_done_callback(lambda _: self._service.files.remove(upload.path))

    def _sharpen_to(self, task: PictureTask, stop: StopSignal) -> FinishedResult:
        """Sharpen a picture into a file: what waits for a slow client must not lie in memory."""
        stop.check()
        sharpened = twice(lambda: self._service.picture_workers.run(task, stop, lambda _: None))
        self._service.admission.took(sharpened.seconds)
        self._service.metrics.done(sharpened.megapixels, sharpened.seconds, "direct")
        return FinishedResult(path=task.target, bytes=task.target.stat().st_size, sharpened=sharpened)

    def _inspected(self, task: InspectTask, stop: StopSignal) -> Inspection:
        stop.check()
        return twice(lambda: self._service.picture_workers.run(task, stop, lambda _: None))
