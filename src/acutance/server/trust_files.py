"""The map, the record and the page of finished jobs: made in a worker when somebody first asks for one, then kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from weakref import WeakValueDictionary

from acutance.server.admission import Admission
from acutance.server.files import TRUST_FILES, Files, TrustFile
from acutance.server.job_store import JobStore
from acutance.server.jobs import Job, JobResult
from acutance.server.metrics import Metrics
from acutance.server.questions import MadeHow, Questioned, Targets
from acutance.server.refusals import Refused
from acutance.server.stopping import StopSignal
from acutance.server.tasks import QuestionTask
from acutance.server.video_work import suffix_of
from acutance.server.waiting import Waiting
from acutance.server.workers import Workers, twice


class TrustFiles:
    """Makes and keeps what is known of results' trust.

    Args:
        waiting: Runs the work.
        workers: Do it.
        files: Where it is kept.
        store: Learns what is kept.
        admission: Lets a client in.
        metrics: Counts.
        max_pixels: Of a picture.
    """

    def __init__(
        self,
        waiting: Waiting,
        *,
        workers: Workers,
        files: Files,
        store: JobStore,
        admission: Admission,
        metrics: Metrics,
        max_pixels: int,
    ) -> None:
        self._waiting = waiting
        self._workers = workers
        self._files = files
        self._store = store
        self._admission = admission
        self._metrics = metrics
        self._max_pixels = max_pixels
        self._asked: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Of jobs whose results are questioned: two who ask at once get what is made once."""

    async def file(self, job: Job, kind: TrustFile, client: str, gone: asyncio.Event) -> Path:
        """Return the file of a result's map, record or page, made now if nobody has asked before.

        Args:
            job: Whose.
            kind: What is wanted.
            client: Who waits.
            gone: Set when nobody waits any more: the work is given up.

        Raises:
            AcutanceError: When it is not to be had.
        """
        _check_questioned(job)
        path = self._files.trust(job.id, kind)
        lock = self._asked.setdefault(job.id, asyncio.Lock())
        async with lock:
            if not await asyncio.to_thread(path.exists):
                why_not = await self._question(job, wants_record=kind != "maps", client=client, gone=gone)
                if why_not and kind == "maps":
                    raise Refused(409, "no_report", why_not)
        return path

    async def _question(self, job: Job, *, wants_record: bool, client: str, gone: asyncio.Event) -> str:
        """Question a job's result and keep what comes of it; return why there is no map, if there is none."""
        made = {kind: self._files.new_passing() for kind in TRUST_FILES}
        result = job.result
        assert result is not None
        assert result.seconds is not None
        task = QuestionTask(
            upload=self._files.upload(job.id),
            result=self._files.result(job.id),
            how=MadeHow(
                options=job.options,
                ran=result.model,
                names=(job.name or "photo", result_name(job)),
                found=result.found,
                lost=result.lost,
                seconds=result.seconds,
            ),
            targets=Targets(
                map=made["maps"],
                record=made["records"] if wants_record else None,
                page=made["pages"] if wants_record else None,
            ),
            max_pixels=self._max_pixels,
        )
        self._admission.enter(client)
        try:
            questioned = await self._waiting.result_of(
                lambda stop: self._questioned(task, stop),
                client=client,
                gone=gone,
                undo=lambda: self._files.remove(*made.values()),
            )
            try:
                await asyncio.to_thread(self._keep_trust, job.id, made)
            finally:
                self._files.remove(*made.values())
        finally:
            self._admission.leave(client)
        return questioned.why_not

    def _questioned(self, task: QuestionTask, stop: StopSignal) -> Questioned:
        questioned = twice(lambda: self._workers.run(task, stop, lambda _: None))
        self._metrics.questioned(questioned.seconds)
        return questioned

    def _keep_trust(self, job_id: str, made: Mapping[TrustFile, Path]) -> None:
        """Keep what was made of a result's trust as long as the result.

        Raises:
            Refused: When the disk does not take it, or the result is gone.
        """
        for kind, path in made.items():
            if path.exists():
                self._files.keep_trust(path, job_id, kind)
        kept = [path for kind in TRUST_FILES if (path := self._files.trust(job_id, kind)).exists()]
        if not self._store.note_trust(job_id, sum(path.stat().st_size for path in kept)):
            self._files.remove(*kept)  # it was removed meanwhile
            raise Refused(410, "gone", "the result has expired; post the picture again.")


def result_name(job: Job) -> str:
    """Return the name under which a finished job's result is saved."""
    return job.stem + ("" if job.result is None else suffix_of(job.result.media_type))


def _check_questioned(job: Job) -> None:
    """Refuse to question a result that is not there, or whose picture was not kept.

    Raises:
        Refused: When it is so.
    """
    check_done(job)
    if not job.options.is_questioned:
        raise Refused(409, "no_report", "the job was posted without report=true, so its picture is gone; post it anew.")
    if job.result is None or job.result.seconds is None:
        raise Refused(
            409, "no_report", "the server went down as it finished the job, so how is not known; post it anew."
        )


def check_done(job: Job) -> JobResult:
    """Return a job's result.

    Raises:
        Refused: When there is none, or none any more.
    """
    if job.state == "expired":
        raise Refused(410, "gone", "the result has expired; post the picture again.")
    if job.result is None:
        raise Refused(409, "not_done", f"the job is {job.state}: {job.detail or 'come again when it is done.'}")
    return job.result
