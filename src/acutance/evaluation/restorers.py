"""What can be measured: the `Restorer` port, and models behind it.

A restorer is given a degraded photo together with the truth about its blur. A blind one, which every model
is, does not look at that; the baselines that are "told the kernel" do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast, get_args

from acutance.data.blurs import Psf
from acutance.data.protocol import Degraded, Row, brightened
from acutance.errors import ConfigError
from acutance.imaging.resize import enlarge_bicubic

if TYPE_CHECKING:
    from acutance.engines.engine import EngineName, EngineSettings, Ensemble, Precision
    from acutance.inference.photo_sharpener import PhotoSharpener


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

    def restore(self, degraded: Degraded, trial: Trial) -> Degraded | None:
        """Restore one photo.

        Args:
            degraded: `h w 3` RGB, uint8, or uint16 of a row of less light; not to be changed.
            trial: The truth about its blur.

        Returns:
            `h w 3` RGB of the same type, `trial.row.reduction` times as large; None where this restorer has nothing to
            say, e.g. an inverse filter about a photo that was not blurred.
        """


@dataclass(frozen=True, slots=True)
class BlindRestorer:
    """A function of the photo alone."""

    name: str
    """Its column in the tables."""
    function: Callable[[Degraded], Degraded]
    """From `h w 3` RGB, uint8 or uint16, to the same."""

    def restore(self, degraded: Degraded, trial: Trial) -> Degraded:
        """Restore one photo; the trial is not looked at."""
        del trial
        return self.function(degraded)


@dataclass(frozen=True, slots=True)
class ModelRestorer:
    """A model at full strength.

    Where the photo was made smaller, a model that enlarges does so; for one that does not, the photo is enlarged
    bicubically first. About photos of full size, a model that enlarges has nothing to say.
    """

    name: str
    """Its column in the tables."""
    sharpener: PhotoSharpener
    """The opened model."""

    def restore(self, degraded: Degraded, trial: Trial) -> Degraded | None:
        """Restore one photo; of the trial, only the reduction is looked at."""
        if self.sharpener.spec.scale == trial.row.reduction:
            return self.sharpener.sharpen_pixels(degraded)
        if self.sharpener.spec.scale == 1:
            return self.sharpener.sharpen_pixels(enlarge_bicubic(brightened(degraded, trial.row), trial.row.reduction))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A model and how it is to be run, as the command line says it: `fast@fidelity=0@precision=auto@ensemble=8`."""

    model: str
    """Name of a shipped model or path of an ONNX file."""
    engine: EngineSettings
    """Figures are float32's where nothing else is said, whatever the processor."""
    back_projection: bool | None = None
    """Whether what the network gives is corrected by what was seen; None: of acutance's own models."""

    @classmethod
    def parse(cls, text: str) -> ModelChoice:
        """Read a choice: a model and, behind an @ each, its settings. An ONNX file's path may hold an @ of its own.

        Raises:
            ConfigError: When no model is named, or a setting is unknown, has no such value or is given twice.
        """
        from acutance.engines.engine import EngineSettings, Ensemble, Precision

        choice, given = cls(model=text, engine=EngineSettings(precision="float32")), set[str]()
        while "@" in choice.model and not choice.model.endswith(".onnx"):
            model, _, setting = choice.model.rpartition("@")
            key, _, value = setting.partition("=")
            if key == "fidelity" and key not in given and _is_share(value):
                choice = replace(choice, model=model, engine=replace(choice.engine, fidelity=float(value)))
            elif key == "precision" and key not in given and value in get_args(Precision):
                engine = replace(choice.engine, precision=cast("Precision", value))
                choice = replace(choice, model=model, engine=engine)
            elif key == "ensemble" and key not in given and value in map(str, get_args(Ensemble)):
                engine = replace(choice.engine, ensemble=cast("Ensemble", int(value)))
                choice = replace(choice, model=model, engine=engine)
            elif key == "back_projection" and key not in given and value in {"on", "off"}:
                choice = replace(choice, model=model, back_projection=value == "on")
            else:
                precisions, ensembles = ("|".join(map(str, get_args(kind))) for kind in (Precision, Ensemble))
                allowed = (
                    f"fidelity=0 … 1, precision={precisions}, ensemble={ensembles} or back_projection=on|off, each once"
                )
                raise ConfigError(f"model {text!r}: {setting!r} behind the @ must be {allowed}.")
            given.add(key)
        if not choice.model:
            raise ConfigError(f"model {text!r}: names no model; give one, as in fast@fidelity=0@precision=auto.")
        return choice


def _is_share(text: str) -> bool:
    try:
        return 0.0 <= float(text) <= 1.0
    except ValueError:
        return False


@contextmanager
def open_models(
    models: Sequence[str], *, engine: EngineName = "auto", threads: int | None = None
) -> Iterator[tuple[ModelRestorer, ...]]:
    """Open models for measuring, at full strength; they are closed at the end of the `with` block.

    Args:
        models: Choices as `ModelChoice.parse` reads them; as given, they head the columns.
        engine: What runs them.
        threads: Threads for one run; None leaves it to the engine.

    Raises:
        UnknownModel: When there is no such model.
        ConfigError: When a setting is out of range.
    """
    if not models:  # baselines alone: no engine is loaded
        yield ()
        return
    from acutance.inference.photo_sharpener import PhotoSharpener
    from acutance.inference.picture_settings import PictureSettings

    choices = [(text, ModelChoice.parse(text)) for text in models]
    with ExitStack() as stack:
        restorers = []
        for text, choice in choices:
            how = replace(choice.engine, engine=engine, threads=threads)
            pictures = PictureSettings(back_projection=choice.back_projection, threads=threads)
            sharpener = PhotoSharpener(choice.model, how, pictures)
            restorers.append(ModelRestorer(text, stack.enter_context(sharpener)))
        yield tuple(restorers)
