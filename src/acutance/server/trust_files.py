"""The map, the record and the page of finished jobs: made in a worker when somebody first asks for one, then kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from acutance.server.direct import DirectWork
from acutance.server.files import TRUST_FILES, Files, TrustFile
from acutance.server.job_store import JobStore
from acutance.server.jobs import Job, JobResult
from acutance.server.questions import QuestionTask
from acutance.server.refusals import Refused
from acutance.server.video_work import suffix_of


@dataclass(frozen=True, kw_only=True)
class TrustFiles:
    """Makes and keeps what is known of results' trust."""

    direct: DirectWork
    """Has it made."""
    files: Files
    store: JobStore
    _asked: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary, init=False)
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
        made = _questionable(job)
        path = self.files.trust(job.id, kind)
        lock = self._asked.setdefault(job.id, asyncio.Lock())
        async with lock:
            if not await asyncio.to_thread(path.exists):
                why_not = await self._question(job, made, wants_record=kind != "maps", client=client, gone=gone)
                if why_not and kind == "maps":
                    raise Refused(409, "no_report", why_not)
        return path

    async def _question(
        self, job: Job, made: JobResult, *, wants_record: bool, client: str, gone: asyncio.Event
    ) -> str:
        """Question a job's result and keep what comes of it; return why there is no map, if there is none."""
        paths = {kind: self.files.new_passing() for kind in TRUST_FILES}
        task = QuestionTask(
            upload=self.files.upload(job.id),
            result=self.files.result(job.id),
            options=job.options,
            made=made,
            names=(job.name or "photo", result_name(job)),
            map=paths["maps"],
            record=paths["records"] if wants_record else None,
            page=paths["pages"] if wants_record else None,
            max_pixels=self.direct.limits.max_pixels,
        )
        self.direct.admission.enter(client)
        try:
            questioned = await self.direct.result_of(
                task, client=client, gone=gone, undo=lambda: self.files.remove(*paths.values())
            )
            self.direct.metrics.run_seconds.labels("report").observe(questioned.seconds)
            try:
                await asyncio.to_thread(self._keep, job.id, paths)
            finally:
                self.files.remove(*paths.values())
        finally:
            self.direct.admission.leave(client)
        return questioned.why_not

    def _keep(self, job_id: str, made: Mapping[TrustFile, Path]) -> None:
        """Keep what was made of a result's trust as long as the result.

        Raises:
            Refused: When the disk does not take it, or the result is gone.
        """
        for kind, path in made.items():
            if path.exists():
                self.files.keep(path, self.files.trust(job_id, kind))
        kept = [path for kind in TRUST_FILES if (path := self.files.trust(job_id, kind)).exists()]
        if not self.store.note_trust(job_id, sum(path.stat().st_size for path in kept)):
            self.files.remove(*kept)  # it was removed meanwhile
            raise Refused(410, "gone", "the result has expired; post the picture again.")


def result_name(job: Job) -> str:
    """Return the name under which a finished job's result is saved."""
    return job.stem + ("" if job.result is None else suffix_of(job.result.media_type))


def _questionable(job: Job) -> JobResult:
    """Return the result of a job that can be questioned.

    Raises:
        Refused: When it is not there, its picture was not kept, or it is not known how it was made.
    """
    made = check_done(job)
    if not job.options.is_questioned:
        raise Refused(409, "no_report", "the job was posted without report=true, so its picture is gone; post it anew.")
    if made.seconds is None:
        raise Refused(
            409, "no_report", "the server went down as it finished the job, so how is not known; post it anew."
        )
    return made


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
