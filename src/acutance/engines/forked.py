"""An engine for several processes: it survives a fork, and can be pickled.

The threads of an engine's library are not forked with the process, and a run that waits for them waits for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import Engine, EngineSettings
from acutance.engines.opening import open_engine
from acutance.errors import EngineError
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import find_model


def open_for_processes(model: str | Path, settings: EngineSettings, *, is_named: bool = True) -> ForkedEngine:
    """Open a model in an engine that survives a fork, and can be pickled; see `open_engine`.

    One that nobody has named (`auto` chose it) and that has no perceptual weights is taken as it is, whatever the
    fidelity.
    """
    paths = find_model(model)
    if not is_named and paths.perceptual is None:
        settings = replace(settings, fidelity=1.0)
    return ForkedEngine(partial(open_engine, paths, settings), reopens=settings.engine != "torch")


class ForkedEngine:
    """An engine of this process; in a process that was forked from it, another one; see `Engine`.

    Args:
        opened: Opens the engine.
        reopens: Whether it can be opened again in a forked process. Otherwise running it there is refused.
    """

    def __init__(self, opened: Callable[[], Engine], *, reopens: bool) -> None:
        self._opened = opened
        self._engine = opened()
        self._reopens = reopens and not self._engine.spec.needs_torch
        self._process = os.getpid()
        self._left: list[Engine] = []
        """Of the process before: to free it here, too, would wait for its threads."""

    @property
    def spec(self) -> ModelSpec:
        """What the model is, takes and gives."""
        return self._engine.spec

    @property
    def is_offloaded(self) -> bool:
        """See `Engine.is_offloaded`."""
        return self._engine.is_offloaded

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a batch; see `Engine.run`.

        Raises:
            EngineError: Also in a forked process, where the engine cannot be opened again.
        """
        if os.getpid() != self._process:
            self._begin_anew()
        return self._engine.run(batch)

    def __reduce__(self) -> tuple[partial[ForkedEngine], tuple[()]]:
        """Pickle how it is opened, not what is open."""
        return partial(ForkedEngine, self._opened, reopens=self._reopens), ()

    def close(self) -> None:
        """Free the engine, in the process that has opened it."""
        if os.getpid() == self._process:
            self._engine.close()

    def _begin_anew(self) -> None:
        if not self._reopens:
            raise EngineError(
                "this process was forked from one that had opened the engine, which does not work in both; open the "
                "Sharpener in the worker, or start workers by multiprocessing.get_context('spawn')."
            )
        self._left.append(self._engine)
        self._engine = self._opened()
        self._process = os.getpid()
