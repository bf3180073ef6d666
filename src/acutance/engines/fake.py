"""An engine for tests: no network, any function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from acutance.errors import EngineError
from acutance.spec import ModelSpec

Batch = npt.NDArray[np.float32]

FAKE_SPEC = ModelSpec(
    name="fake",
    task="sharpen",
    scale=1,
    size_multiple=1,
    receptive_radius_px=0,
    halo_px=0,
    macs_per_pixel=0,
    parameters=0,
    training_data="nothing",
    licence="Apache-2.0",
)
"""The spec of a network that looks at single pixels."""


class FakeEngine:
    """Runs a plain function as if it were a network, and remembers the sizes it was given.

    Examples:
        >>> engine = FakeEngine(lambda batch: 1.0 - batch)
        >>> float(engine.run(np.zeros((1, 3, 2, 2), np.float32)).max())
        1.0
    """

    def __init__(
        self,
        function: Callable[[Batch], Batch] = lambda batch: batch,
        spec: ModelSpec = FAKE_SPEC,
        *,
        is_offloaded: bool = False,
    ) -> None:
        self._function = function
        self.spec = spec
        self.is_offloaded = is_offloaded
        self.sizes: list[tuple[int, int]] = []
        """Height and width of every batch that was run."""
        self.is_closed = False

    def run(self, batch: Batch) -> Batch:
        """Apply the function."""
        if self.is_closed:
            raise EngineError("the engine is closed; open it again.")
        self.sizes.append((batch.shape[2], batch.shape[3]))
        return self._function(batch)

    def close(self) -> None:
        """Refuse further runs."""
        self.is_closed = True
