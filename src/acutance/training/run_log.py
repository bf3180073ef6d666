"""The record of a run: `stats.jsonl`, TensorBoard curves, sample pictures, all in the run's folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from acutance.downloads.disk import replace_text


class RunLog:
    """Appends to the record of a run; a context manager.

    A run that was killed has recorded steps after its last checkpoint, which it makes again when it is resumed: what is
    later than where it goes on is taken out of the record first.

    Args:
        folder: Of the run.
        iteration: Steps done when it begins or goes on.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        self._folder = folder
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        stats = folder / "stats.jsonl"
        if stats.exists():
            _forget_later(stats, iteration)
        self._stats = open(stats, "a", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        self._curves = SummaryWriter(str(folder / "tensorboard"), purge_step=iteration + 1)

    def write(self, kind: str, iteration: int, values: dict[str, float]) -> None:
        """Append one line of figures and a point on each of its curves.

        Args:
            kind: What the figures are of: `train`, `validation`, or `pull`, the gradient of each term at G's output.
            iteration: Steps done.
            values: Figures by name; what is not finite becomes null, as JSON has no word for it.
        """
        rounded = {name: float(f"{value:.6g}") if math.isfinite(value) else None for name, value in values.items()}
        self._stats.write(json.dumps({"kind": kind, "iteration": iteration, **rounded}) + "\n")
        self._stats.flush()
        for name, value in values.items():
            self._curves.add_scalar(f"{kind}/{name}", value, iteration)

    def say(self, iteration: int, words: str) -> None:
        """Append a sentence on the health of the run."""
        self._stats.write(json.dumps({"kind": "health", "iteration": iteration, "words": words}) + "\n")
        self._stats.flush()
        self._curves.add_text("health", words, iteration)

    def write_sample(self, iteration: int, sheet: npt.NDArray[np.uint8]) -> None:
        """Save a sheet of sample pictures, `h w 3`, and show it beside the curves."""
        self._curves.add_image("samples", sheet, iteration, dataformats="HWC")
        Image.fromarray(sheet).save(self._folder / "samples" / f"{iteration:07d}.png")

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush and close everything, also when the run fails."""
        self._stats.close()
        self._curves.close()


def _forget_later(stats: Path, iteration: int) -> None:
    """Take out of a record what is later than a step, and a last line that was not finished."""
    kept = []
    for line in stats.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            is_later = json.loads(line)["iteration"] > iteration
        except ValueError:
            continue
        if not is_later:
            kept.append(line)
    replace_text(stats, "".join(kept))


class SilentLog(RunLog):
    """The log of a process that leaves writing to another."""

    def __init__(self) -> None:
        pass

    def write(self, kind: str, iteration: int, values: dict[str, float]) -> None:
        """Write nothing."""

    def say(self, iteration: int, words: str) -> None:
        """Write nothing."""

    def write_sample(self, iteration: int, sheet: npt.NDArray[np.uint8]) -> None:
        """Write nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing."""
