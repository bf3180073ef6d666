"""What can be measured: the `Restorer` port, and models behind it.

A restorer is given a degraded photo together with the truth about its blur. A blind one, which every model
is, does not look at that; the baselines that are "told the kernel" do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from acutance.data.protocol import Pixels, Psf, Row

if TYPE_CHECKING:
    from acutance.inference.engine import EngineName


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One degraded photo's history: what a blind restorer has to find out."""

    row: Row
    """How it was degraded: of a mixture, this photo's own draw."""
    index: int
    """Its index in its test set."""
    psf: Psf | None
    """The kernel that it was blurred with; None where it was not."""


class Restorer(Protocol):
    """Anything that makes a photo sharper."""

    @property
    def name(self) -> str:
        """Its column in the tables."""

    def restore(self, degraded: Pixels, trial: Trial) -> Pixels | None:
        """Restore one photo.

        Args:
            degraded: `h w 3` uint8 RGB; not to be changed.
            trial: The truth about its blur.

        Returns:
            `h w 3` uint8 RGB of the same size; None where this restorer has nothing to say, e.g. an inverse
            filter about a photo that was not blurred.
        """


@dataclass(frozen=True, slots=True)
class BlindRestorer:
    """A function of the photo alone."""

    name: str
    """Its column in the tables."""
    function: Callable[[Pixels], Pixels]
    """From `h w 3` uint8 RGB to the same."""

    def restore(self, degraded: Pixels, trial: Trial) -> Pixels:
        """Restore one photo; the trial is not looked at."""
        del trial
        return self.function(degraded)


@contextmanager
def open_models(
    models: Sequence[str], *, engine: EngineName = "auto", threads: int | None = None
) -> Iterator[tuple[BlindRestorer, ...]]:
    """Open models for measuring, at full strength; they are closed at the end of the `with` block.

    Args:
        models: Names of shipped models or paths of ONNX files; as given, they head the columns.
        engine: What runs them.
        threads: Threads for one run; None leaves it to the engine.

    Raises:
        UnknownModel: When there is no such model.
        ConfigError: When a setting is out of range.
    """
    if not models:  # baselines alone: no engine is loaded
        yield ()
        return
    from acutance.inference.sharpener import Sharpener

    with ExitStack() as stack:
        opened = [(model, stack.enter_context(Sharpener(model, engine=engine, threads=threads))) for model in models]
        yield tuple(BlindRestorer(model, sharpener.sharpen_pixels) for model, sharpener in opened)
