"""Self-ensemble: the mean over mirror images and quarter turns of a picture, each restored and turned back.

A network that was trained on patches in all orientations gives each a little differently. What differs is error, and a
mean has less of it. Nothing is trained for it, and tiles stay exact: a halo is the same on all sides.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import Engine, Ensemble
from acutance.errors import ConfigError
from acutance.spec import ModelSpec

_ORIENTATIONS: Final = (
    (False, False, False),
    (False, True, True),
    (False, True, False),
    (False, False, True),
    (True, False, False),
    (True, True, True),
    (True, True, False),
    (True, False, True),
)
"""Whether rows and columns are exchanged, then rows and columns reversed."""


class SelfEnsemble:
    """An engine that gives the mean over orientations; see `Engine`.

    Determinism: orientations are added in one order, so it is as deterministic as the engine.
    """

    def __init__(self, engine: Engine, count: Ensemble) -> None:
        """Average an engine.

        Args:
            engine: Runs each orientation; it is closed with this one.
            count: Of orientations.

        Raises:
            ConfigError: When the network cannot be given so many.
        """
        check_ensemble(engine.spec, count)
        self.spec, self.is_offloaded = engine.spec, engine.is_offloaded
        self._engine = engine
        self._orientations = _ORIENTATIONS[:count]

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Restore a batch in all orientations, one after the other; see `Engine.run`."""
        (_, *others) = self._orientations
        total = self._engine.run(batch).copy()
        for orientation in others:
            total += _back(self._engine.run(_turned(batch, orientation)), orientation)
        total /= len(self._orientations)
        return total

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()


def check_ensemble(spec: ModelSpec, count: Ensemble) -> None:
    """Check that a network can be given so many orientations.

    Raises:
        ConfigError: When it cannot.
    """
    if count == 8 and spec.fixed_height_px != spec.fixed_width_px:
        size = f"{spec.fixed_width_px}×{spec.fixed_height_px} px"
        raise ConfigError(f"ensemble = 8: model {spec.name} takes {size} alone, which cannot be turned; use 4.")


def _turned(batch: npt.NDArray[np.float32], orientation: tuple[bool, bool, bool]) -> npt.NDArray[np.float32]:
    is_on_its_side, *reversed_ = orientation
    turned = batch.swapaxes(2, 3) if is_on_its_side else batch
    return np.ascontiguousarray(_mirrored(turned, reversed_))


def _back(batch: npt.NDArray[np.float32], orientation: tuple[bool, bool, bool]) -> npt.NDArray[np.float32]:
    is_on_its_side, *reversed_ = orientation
    mirrored = _mirrored(batch, reversed_)
    return mirrored.swapaxes(2, 3) if is_on_its_side else mirrored


def _mirrored(batch: npt.NDArray[np.float32], reversed_: list[bool]) -> npt.NDArray[np.float32]:
    axes = tuple(axis for axis, is_reversed in zip((2, 3), reversed_, strict=True) if is_reversed)
    return np.flip(batch, axes) if axes else batch
