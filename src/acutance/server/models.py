"""The models that the server offers, opened when they are asked for and kept while they are in use."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, get_args

from acutance.engines.engine import ChosenPrecision, Engine, EngineName, Ensemble
from acutance.engines.ensemble import SelfEnsemble, check_ensemble
from acutance.engines.model_file import read_spec
from acutance.engines.opening import check_runnable, offered_precisions, read_model
from acutance.errors import ConfigError, EngineError, UnknownModel
from acutance.inference.sharpener import Sharpener
from acutance.server.options import ModelChoice
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import AUTO, DEFAULT_MODEL, find_model, list_models
from acutance.zoo.own_models import list_own_models

_LOG = logging.getLogger("acutance.server")

AUTO_SUMMARY = "looks at each picture, and takes the model that suits it, or leaves it as it is"
KEPT_OPEN = 3
"""Networks that stay open: a model at one fidelity, precision and ensemble each."""


WHOLE_MB = 1400
"""About what a picture may take that is worked on as a whole; larger ones are worked on in strips, or refused. Models
that must see the whole have all that a worker may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """All that it takes to open the models once more, in another process."""

    names: tuple[str, ...] = ()
    """Of models, or paths of ONNX files, which are offered by their stems; the first is the default. Empty: all that
    are shipped, and those that the user has added."""
    engine: EngineName = "auto"
    """What runs them."""
    threads: int | None = None
    """For one run; None is one per physical core."""
    max_pixels: int
    """Larger pictures are refused."""
    max_memory_mb: int | None = None
    """About what the process may take; None does not look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedModel:
    """A model that clients may ask for."""

    name: str
    summary: str
    spec: ModelSpec
    has_fidelity: bool
    """Whether it has perceptual weights to blend with."""
    precisions: tuple[ChosenPrecision, ...]
    """What it can compute in here."""
    psnr_db: Mapping[str, float]
    """As in the zoo's manifest; empty for models that are not shipped."""


class Models(Protocol):
    """Where sharpeners come from. For any threads."""

    @property
    def offered(self) -> Sequence[OfferedModel]:
        """What clients may ask for; the first is the default."""

    def borrow(self, choice: ModelChoice) -> AbstractContextManager[Sharpener]:
        """Give a sharpener for the time of a block.

        Raises:
            ModelError: When the model's file is damaged.
            EngineError: When it cannot be run here.
        """

    @property
    def settings(self) -> ModelSettings | None:
        """How another process opens the same models; None where only this one has them."""

    def close(self) -> None:
        """Free everything."""


def ensembles_of(spec: ModelSpec, most: int) -> tuple[Ensemble, ...]:
    """Return of how many orientations a model's mean can be had, where no more than `most` are allowed."""
    counts: tuple[Ensemble, ...] = get_args(Ensemble)
    return tuple(count for count in counts if count <= most and _can_turn(spec, count))


def _can_turn(spec: ModelSpec, count: Ensemble) -> bool:
    try:
        check_ensemble(spec, count)
    except ConfigError:
        return False
    return True


def check_choice(offered: Sequence[OfferedModel], choice: ModelChoice, *, max_ensemble: int = 8) -> OfferedModel:
    """Return the model that is chosen; refuse at once what no run could give.

    Args:
        offered: What clients may ask for.
        choice: What one asks for.
        max_ensemble: Orientations that the server allows.

    Raises:
        ConfigError: When there is no such model, it has not what is asked for, or that is not allowed.
    """
    model = next((model for model in offered if model.name == choice.name), None)
    if model is None:
        names = ", ".join(model.name for model in offered)
        raise ConfigError(f"model: there is no model of that name; there are {names}.")
    if choice.fidelity != 1 and not model.has_fidelity:
        raise ConfigError(f"fidelity: {model.name} has no perceptual weights to blend with; leave it at 1.")
    if choice.precision not in ("auto", *model.precisions):
        offered_here = ", ".join(model.precisions)
        raise ConfigError(f"precision: {model.name} is run here in {offered_here}; take one, or leave it at auto.")
    if choice.ensemble > max_ensemble:
        allowed = f"at most {max_ensemble}" if max_ensemble > 1 else "1 alone"
        raise ConfigError(f"ensemble = {choice.ensemble}: this server allows {allowed}; take less, or leave it out.")
    check_ensemble(model.spec, choice.ensemble)
    return model


@dataclass(slots=True)
class _Open:
    sharpener: Sharpener
    users: int = 0


class OpenedModels:
    """Shipped models and ONNX files, opened in an engine."""

    def __init__(self, settings: ModelSettings, *, kept_open: int = KEPT_OPEN) -> None:
        """Look the models up.

        Args:
            settings: Which, and how they are opened. Of those that the user has added all are offered that something
                installed here runs; the log says of the others why not.
            kept_open: How many networks stay open when nobody uses them.

        Raises:
            ModelError: When there is no such model, or it is damaged.
            EngineError: When nothing that is installed here runs one that is named.
            ConfigError: When two would have one name.
        """
        shipped = sorted((row.name for row in list_models()), key=lambda name: name != DEFAULT_MODEL)
        given = settings.names or (AUTO, *shipped, *_own_names(settings.engine))
        self._given = {Path(model).stem: model for model in given}
        if len(self._given) < len(given):
            raise ConfigError(f"models {', '.join(given)}: two would be offered by one name; rename a file.")
        self._offered = tuple(_offered(name, model, settings.engine) for name, model in self._given.items())
        self._settings = replace(settings, names=given)
        self._kept_open = kept_open
        self._open: OrderedDict[ModelChoice, _Open] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def offered(self) -> Sequence[OfferedModel]:
        """What clients may ask for; the first is the default."""
        return self._offered

    @property
    def settings(self) -> ModelSettings:
        """How another process opens the same models."""
        return self._settings

    @contextmanager
    def borrow(self, choice: ModelChoice) -> Iterator[Sharpener]:
        """Give a sharpener for the time of a block; see `Models.borrow`."""
        opened = self._taken(choice)
        try:
            yield opened.sharpener
        finally:
            with self._lock:
                opened.users -= 1
                self._close_some(self._kept_open)

    def close(self) -> None:
        """Free the networks that nobody uses."""
        with self._lock:
            self._close_some(0)

    def _taken(self, choice: ModelChoice) -> _Open:
        # Opening, a part of a second, is done under the lock: two pictures must not open one network twice.
        with self._lock:
            opened = self._open.pop(choice, None) or _Open(self._opened(choice))
            self._open[choice] = opened
            opened.users += 1
            return opened

    def _opened(self, choice: ModelChoice) -> Sharpener:
        if choice.name not in self._given:
            raise UnknownModel(f"model {choice.name!r}: is not offered.")
        return Sharpener(
            self._given[choice.name],  # never what a client sent: that may be the path of any file
            fidelity=choice.fidelity,
            precision=choice.precision,
            ensemble=choice.ensemble,
            engine=self._settings.engine,
            threads=self._settings.threads,
            max_pixels=self._settings.max_pixels,
            max_memory_mb=self._memory_for(choice.name),
        )

    def _memory_for(self, name: str) -> int | None:
        allowed = self._settings.max_memory_mb
        if allowed is None:
            return None
        needs_whole = any(model.spec.needs_whole for model in self._offered if model.name == name)
        return allowed if needs_whole else min(WHOLE_MB, allowed)

    def _close_some(self, kept: int) -> None:
        """Close the networks that nobody uses, longest unused first, until so many are left."""
        for choice, opened in list(self._open.items()):
            if len(self._open) > kept and opened.users == 0:
                del self._open[choice]
                opened.sharpener.close()


def _own_names(engine: EngineName) -> Iterator[str]:
    """Yield the models that the user has added and that can be run here; what is wrong with the others is logged."""
    for own in list_own_models():
        try:
            check_runnable(read_spec(read_model(own.path), name=own.name), engine)
        except (EngineError, ConfigError) as error:
            _LOG.warning("not offered: %s", error)
        else:
            yield own.name


def _offered(name: str, model: str, engine: EngineName) -> OfferedModel:
    if model == AUTO:
        soft = _offered(DEFAULT_MODEL, DEFAULT_MODEL, engine)
        return replace(soft, name=AUTO, summary=AUTO_SUMMARY, psnr_db={}, spec=replace(soft.spec, name=AUTO))
    paths = find_model(model)
    row = next((row for row in list_models() if row.name == model), None)
    own = next((own for own in list_own_models() if own.name == model), None)
    spec = read_spec(read_model(paths.fidelity), name=model)
    check_runnable(spec, engine)
    return OfferedModel(
        name=name,
        summary=row.summary if row else own.summary if own else "a model of this server's own",
        spec=spec,
        has_fidelity=paths.perceptual is not None,
        precisions=offered_precisions(engine, spec),
        psnr_db=dict(row.psnr_db) if row else {},
    )


class OneEngine:
    """One opened engine as the only model: for tests, and for engines that are not files."""

    def __init__(self, engine: Engine, *, max_pixels: int) -> None:
        self._engine = engine
        self._max_pixels = max_pixels
        self._sharpener = Sharpener(engine=engine, max_pixels=max_pixels)

    @property
    def offered(self) -> Sequence[OfferedModel]:
        """The one model, by the name in its spec."""
        spec = self._sharpener.spec
        return (
            OfferedModel(
                name=spec.name, summary="one engine", spec=spec, has_fidelity=False, precisions=("float32",), psnr_db={}
            ),
        )

    @property
    def settings(self) -> None:
        """None: an engine that is open cannot be handed to another process."""
        return None

    @contextmanager
    def borrow(self, choice: ModelChoice) -> Iterator[Sharpener]:
        """Give the sharpener; of what is chosen, only the ensemble makes a difference."""
        if choice.ensemble == 1:
            yield self._sharpener
        else:  # it is not closed: the engine stays open
            yield Sharpener(engine=SelfEnsemble(self._engine, choice.ensemble), max_pixels=self._max_pixels)

    def close(self) -> None:
        """Free the engine."""
        self._sharpener.close()
