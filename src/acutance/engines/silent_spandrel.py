"""spandrel, which knows the architectures of published restoration networks (extra `foreign`), without torchvision.

spandrel imports three names of torchvision for two of its forty architectures, LaMa and RestoreFormer, and needs them
only to run these; neither is one that is converted here. torchvision is tied to one build of torch: beside another one
(on machines without a GPU, mostly) it is missing or fails on import, and spandrel with it. So where torchvision cannot
be imported, empty modules of its name stand in for it, for as long as spandrel is imported and no longer.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

from acutance.errors import EngineUnavailable
from acutance.extras import how_to_get

EXTRA_ARCHITECTURES = "spandrel_extra_arches"
"""Package of more architectures (Restormer, MPRNet, …), under licences that often forbid commercial use: it is used
where the user has installed it, and no extra here brings it."""

_STOOD_IN = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")


@lru_cache(maxsize=1)
def architectures() -> Any:  # noqa: ANN401  # spandrel has no types
    """Return a `spandrel.ArchRegistry` of all architectures that are installed.

    Raises:
        EngineUnavailable: When spandrel is not installed, or something that it needs.
    """
    with torchvision_or_stand_in(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of its code is older than the torch that runs it
        try:
            spandrel = import_module("spandrel")
        except ModuleNotFoundError as error:
            raise EngineUnavailable(
                f"weights of torch need {error.name}, which is not installed; run: {how_to_get('foreign')}"
            ) from error
        registry = spandrel.ArchRegistry()
        registry.add(*spandrel.MAIN_REGISTRY)
        try:
            registry.add(*import_module(EXTRA_ARCHITECTURES).EXTRA_REGISTRY)
        except ModuleNotFoundError as error:
            if error.name != EXTRA_ARCHITECTURES:
                raise
    return registry


@contextmanager
def torchvision_or_stand_in() -> Iterator[None]:
    """Let the block import torchvision, or what stands in for it where it is missing or fails."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torchvision"}
    try:
        import_module(_STOOD_IN[-1])
    except (ImportError, AttributeError, RuntimeError, OSError):  # a build for another torch raises any of them
        pass
    else:
        yield
        return
    _forget_torchvision()
    modules = [ModuleType(name) for name in _STOOD_IN]
    for module in modules:
        module.__spec__ = ModuleSpec(module.__name__, None)
        sys.modules[module.__name__] = module
    functional = modules[-1]
    vars(functional).update(rotate=_missing, normalize=_missing, InterpolationMode=SimpleNamespace(BILINEAR=None))
    try:
        yield
    finally:
        _forget_torchvision()
        sys.modules.update(before)


def _forget_torchvision() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


def _missing(*_: object, **__: object) -> NoReturn:
    raise EngineUnavailable("this architecture needs torchvision, which cannot be imported here; install it.")
