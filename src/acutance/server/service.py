"""The service itself, without HTTP: what it is made of, how it starts, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from acutance.geometry import Box
from acutance.inference.picture_settings import PictureSettings
from acutance.server.admission import Admission
from acutance.server.direct import DirectWork
from acutance.server.files import Files
from acutance.server.job_runner import JobRunner
from acutance.server.job_store import JobStore
from acutance.server.jobs import UNFINISHED, Job, NewJob, new_job_id
from acutance.server.limits import Limits
from acutance.server.live import LiveJobs
from acutance.server.metrics import Metrics
from acutance.server.models import Models, check_choice
from acutance.server.options import Options, fingerprint_of, photo_name, result_stem
from acutance.server.pool import Pool
from acutance.server.refusals import Refused
from acutance.server.tiles import look, remove_tiles
from acutance.server.trust_files import TrustFiles
from acutance.server.uploads import Upload
from acutance.server.webhook_delivery import WebhookDelivery
from acutance.server.webhooks import WebhookPolicy
from acutance.server.workers import workers_for
from acutance.zoo.catalogue import AUTO

_LOG = logging.getLogger("acutance.server")

SWEEP_S = 60.0
"""Between two looks for what has expired."""

LAST_TILE_S = 20.0
"""How long the tile that is being worked on may take when the server stops."""


class Service:
    """Sharpens pictures for clients, at once or as jobs."""

    def __init__(
        self,
        models: Models,
        *,
        store: JobStore,
        files: Files,
        limits: Limits,
        webhooks: WebhookPolicy | None = None,
    ) -> None:
        self.models = models
        self.store = store
        self.files = files
        self.limits = limits
        self.metrics = Metrics()
        self.pool = Pool(limits.runs)
        self.videos = Pool(1)
        self.picture_workers, self.video_workers = workers_for(models, limits, files.of_workers)
        self.live = LiveJobs(limits.max_watchers, limits.max_watchers_per_client)
        self.admission = Admission(limits, free_bytes=lambda: files.free_bytes, stored_bytes=lambda: store.stored_bytes)
        self.jobs = JobRunner(
            store=store,
            files=files,
            picture_workers=self.picture_workers,
            video_workers=self.video_workers,
            pool=self.pool,
            videos=self.videos,
            admission=self.admission,
            live=self.live,
            metrics=self.metrics,
            limits=limits,
        )
        self.webhooks = webhooks or WebhookPolicy()
        self.delivery = WebhookDelivery(self.webhooks, store, self.metrics)
        self._stopping_since: float | None = None
        self.direct = DirectWork(
            pool=self.pool,
            workers=self.picture_workers,
            files=files,
            admission=self.admission,
            metrics=self.metrics,
            limits=limits,
        )
        self.trust = TrustFiles(direct=self.direct, files=files, store=store)

    @property
    def is_stopping(self) -> bool:
        """Whether the server was asked to stop."""
        return self._stopping_since is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is worked on, and nobody waits for it."""
        return not (self.pool.busy or self.pool.waiting or self.videos.busy or self.admission.uploads)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work for the time of a block; at its end, jobs that are worked on have `drain_s` to come to their end."""
        loop = asyncio.get_running_loop()
        self.live.bind(loop)
        sweeper = None
        try:
            await asyncio.to_thread(self.picture_workers.start)
            await asyncio.to_thread(self.jobs.recover, loop)
            self.pool.start()
            self.videos.start()
            self.delivery.start()
            sweeper = asyncio.create_task(self._sweep())
            yield
        finally:
            if sweeper is not None:
                sweeper.cancel()
            self.stop()
            await asyncio.to_thread(self._close)

    def stop(self) -> None:
        """Begin to stop: let nobody in, begin no more jobs, end the event streams. From any thread; does not block."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            ending = threading.Timer(self.limits.drain_s, self.direct.end)
            ending.daemon = True
            ending.start()
        self.admission.close()
        self.delivery.close()
        self.jobs.stop_taking()
        self.live.wake_all()

    async def submit(
        self,
        upload: Upload,
        options: Options,
        *,
        client: str,
        owner: str,
        key: str | None,
        webhook: str | None = None,
    ) -> tuple[Job, bool]:
        """Take a picture in as a job; it takes a place in the queue.

        Args:
            upload: The picture.
            options: What is asked for.
            client: Whose it is, for fairness.
            owner: Whose it is, for keys and lists.
            key: What its owner calls it.
            webhook: Whom to tell in the end; the policy allows it.

        Returns:
            The job, and whether it is new: else its owner has posted it before, by the same key.

        Raises:
            Refused: When there is no place, when it cannot be stored, or when the key is that of another picture or of
                other options.
        """
        fingerprint = fingerprint_of(options, upload.digest, webhook=webhook)
        known = None if key is None else await asyncio.to_thread(self.store.by_key, owner, key)
        if known is not None:
            return _same(known, fingerprint), False
        job = NewJob(
            id=new_job_id(),
            client=client,
            owner=owner,
            key=key,
            fingerprint=fingerprint,
            stem=result_stem(upload.filename),
            name=photo_name(upload.filename),
            options=options,
            upload_bytes=upload.bytes,
            webhook=webhook,
        )

        def keep() -> Job:
            try:
                self.files.keep(upload.path, self.files.upload(job.id))
                return self.jobs.accept(job)
            except BaseException:
                self.files.remove(self.files.upload(job.id))
                raise

        async def take() -> Job:
            self.admission.enter(client, runs=options.model.ensemble)
            try:
                added = await asyncio.to_thread(keep)
            except BaseException:
                self.admission.leave(client, runs=options.model.ensemble)
                raise
            if added.id != job.id:  # a twin of the same key was quicker
                self.files.remove(self.files.upload(job.id))
                self.admission.leave(client, runs=options.model.ensemble)
            return added

        # Shielded: who goes away now must not leave half a job behind.
        added = await asyncio.shield(asyncio.create_task(take()))
        return _same(added, fingerprint), added.id == job.id

    def check(self, options: Options) -> None:
        """Refuse at once what no run could give.

        Raises:
            ConfigError: See `check_choice`; and when the model cannot be told what is told, or cannot do a region.
        """
        spec = check_choice(self.models.offered, options.model, max_ensemble=self.limits.max_ensemble).spec
        # `auto` takes the model that can be told.
        told = None if spec.name == AUTO else options.told
        PictureSettings(told=told, region=options.region).check(spec)

    async def job(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            Refused: When there is none of that name.
        """
        job = await asyncio.to_thread(self.store.get, job_id)
        if job is None:
            raise Refused(404, "not_found", "there is no job of that name; it may have been forgotten long ago.")
        return job

    async def look(self, job_id: str, view: Box | None) -> Job:
        """Have the tiles of a job's picture written as they are finished, those in view first, until it is over.

        Args:
            job_id: Which.
            view: The part that is seen, in px of the picture as it is looked at; None is all of it.

        Raises:
            Refused: When there is no such job, or the disk does not take it.
        """
        job = await self.job(job_id)
        if job.state not in UNFINISHED:
            return job
        folder = self.files.tiles(job_id)
        await asyncio.to_thread(look, folder, view)
        job = await self.job(job_id)
        if job.state not in UNFINISHED:  # it ended meanwhile, and nobody else removes the folder
            await asyncio.to_thread(remove_tiles, folder)
        return job

    async def _sweep(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.jobs.sweep)
            except Exception:  # noqa: BLE001 - an edge: it is logged, and the server goes on
                _LOG.exception("looking for expired jobs")
            await asyncio.sleep(SWEEP_S)

    def _close(self) -> None:
        since = self._stopping_since or time.monotonic()
        self.jobs.finish_running(max(0.0, since + self.limits.drain_s - time.monotonic()))
        is_over = self.pool.close(LAST_TILE_S)
        if not self.videos.close(LAST_TILE_S) or not is_over:
            _LOG.warning("a run did not end in time; its job is done anew by the next server")
        self.picture_workers.close()
        self.video_workers.close()
        with contextlib.suppress(Exception):
            self.store.close()
        self.models.close()


def _same(known: Job, fingerprint: str) -> Job:
    """Return a job that was posted before by the same key, if it was the same post.

    Raises:
        Refused: When it was another.
    """
    if known.fingerprint not in (None, fingerprint):
        raise Refused(
            422,
            "key_reused",
            "Idempotency-Key: was used for another picture or other options; take a new key for a new post.",
        )
    return known
