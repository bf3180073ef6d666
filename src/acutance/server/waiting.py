"""Clients that wait for their work: it ends when they go away, or when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from acutance.server.pool import Pool
from acutance.server.refusals import Refused
from acutance.server.stopping import StopSignal

T = TypeVar("T")


class Waiting:
    """Runs what a client waits for in the pool.

    Args:
        pool: Whose threads do it.
        run_s: How long one piece of work may take.
    """

    def __init__(self, pool: Pool, run_s: float) -> None:
        self._pool = pool
        self._run_s = run_s
        self._stops: set[StopSignal] = set()

    async def result_of(
        self,
        work: Callable[[StopSignal], T],
        *,
        client: str,
        gone: asyncio.Event,
        undo: Callable[[], None],
        runs: int = 1,
    ) -> T:
        """Return what the work returns, as long as somebody wants it.

        Args:
            work: Runs in a thread of the pool, and stops when its signal is set.
            client: Who waits, for fairness.
            gone: Set when nobody waits any more.
            undo: Removes what the work has left; called when no result is returned, once the work has ended.
            runs: Of the network that it takes.

        Raises:
            Refused: When nobody waits any more; the work is given up then.
        """
        stop = StopSignal(self._run_s)

        def run() -> T:
            stop.check()
            return work(stop)

        future = self._pool.submit(client, run, is_job=False, runs=runs)
        self._stops.add(stop)
        watch = asyncio.create_task(gone.wait())
        result = asyncio.wrap_future(future)
        try:
            await asyncio.wait((result, watch), return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise Refused(400, "cancelled", "the client went away.")
            return result.result()
        except BaseException:
            stop.set("cancelled")
            result.cancel()
            self._pool.withdraw(future)
            future.add_done_callback(lambda _: undo())
            raise
        finally:
            watch.cancel()
            self._stops.discard(stop)

    def end(self) -> None:
        """End all of it; who asks again finds the next server. From any thread."""
        for stop in list(self._stops):
            stop.set("stopping")
