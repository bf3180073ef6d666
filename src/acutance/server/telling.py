"""What clients know of a picture: what blurred it, and which part of it they want, as it is written in a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from acutance.errors import ConfigError
from acutance.inference.picture_settings import PictureSettings
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import TOLD_MODEL, ToldBlur
from acutance.server.models import OfferedModel
from acutance.server.options import Options
from acutance.zoo.catalogue import AUTO

_NUMBER: Final = r"[0-9]{1,6}(\.[0-9]{0,6})?"
WORDS_OF_MOTION: Final[Mapping[str, Any]] = {"pattern": rf"^{_NUMBER}(px)?@-?{_NUMBER}(deg|°)?$"}
"""For OpenAPI alone, as those that follow: what is written otherwise is refused by the library, in its own sentence."""
WORDS_OF_LENGTH: Final[Mapping[str, Any]] = {"pattern": rf"^{_NUMBER}(px)?$"}
WORDS_OF_REGION: Final[Mapping[str, Any]] = {"pattern": "^[0-9]{1,9},[0-9]{1,9},[0-9]{1,9},[0-9]{1,9}$"}


def told_by(*, motion: str | None, defocus: str | None, gaussian: str | None) -> ToldBlur | None:
    """Return what was told, if anything.

    Raises:
        ConfigError: When it is not understood, or two things are told.
    """
    given = {"motion": motion, "defocus": defocus, "gaussian": gaussian}
    said = [(name, text) for name, text in given.items() if text is not None]
    if len(said) > 1:
        names = " and ".join(name for name, _ in said)
        raise ConfigError(f"{names}: one kernel is undone at a time; give the one that blurred the picture most.")
    return ToldBlur.of_text(*said[0]) if said else None


def model_name(told: ToldBlur | None, offered: Sequence[OfferedModel]) -> str:
    """Return the model that is taken where none is named: the default, or where a blur is told one that can be told."""
    if told is not None and any(model.name == TOLD_MODEL for model in offered):
        return TOLD_MODEL
    return offered[0].name


def check_known(options: Options, offered: Sequence[OfferedModel]) -> None:
    """Refuse at once what the model that is asked for cannot be told, or cannot do in a region.

    Args:
        options: Whose model is offered.
        offered: What clients may ask for.

    Raises:
        ConfigError: When it cannot.
    """
    spec = next(model.spec for model in offered if model.name == options.model.name)
    # `auto` takes the model that can be told.
    PictureSettings(told=None if spec.name == AUTO else options.told, region=options.region).check(spec)


def sharpener_for(options: Options, sharpener: Sharpener) -> Sharpener:
    """Return the sharpener for what is known of a picture, from one of the model; it must not be closed.

    Raises:
        ConfigError: See `Sharpener`.
    """
    if options.told is None and options.region is None:
        return sharpener
    return sharpener.told(options.told, region=options.region)
