"""The query that comes with a picture, as OpenAPI describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from acutance.engines.engine import Ensemble, Precision
from acutance.errors import ConfigError
from acutance.inference.photo_sharpener import STRENGTHS
from acutance.inference.told import LARGEST_PX, SMALLEST_REGION_PX, TOLD_MODEL, Region, ToldBlur
from acutance.server.models import OfferedModel
from acutance.server.options import FORMATS, FormatName, ModelChoice, Options
from acutance.server.webhooks import LONGEST_URL

_NUMBER: Final = r"[0-9]{1,6}(\.[0-9]{0,6})?"
WORDS_OF_MOTION: Final[dict[str, Any]] = {"pattern": rf"^{_NUMBER}(px)?@-?{_NUMBER}(deg|°)?$"}
"""For OpenAPI alone, as those that follow: what is written otherwise is refused by the library, in its own sentence."""
WORDS_OF_LENGTH: Final[dict[str, Any]] = {"pattern": rf"^{_NUMBER}(px)?$"}
WORDS_OF_REGION: Final[dict[str, Any]] = {"pattern": "^[0-9]{1,9},[0-9]{1,9},[0-9]{1,9},[0-9]{1,9}$"}


def _number(text: object) -> object:
    """Return what a query has as text as the number that it is; anything else as it is, which is no choice then."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else text


class SharpenQuery(BaseModel):
    """What can be asked for with a picture."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[
        str | None, Field(max_length=100, description="A model's name, see /v1/models; left out: the default.")
    ] = None
    strength: Annotated[
        float,
        Field(
            ge=STRENGTHS[0], le=STRENGTHS[1], description="0 changes nothing, 1 is the network's answer, 2 exaggerates."
        ),
    ] = 1.0
    fidelity: Annotated[
        float,
        Field(ge=0, le=1, description="1 adds no texture of its own, 0 is the crispest; only for models that have it."),
    ] = 1.0
    precision: Annotated[
        Precision, Field(description="Arithmetic; auto: the fastest that the processor is made for.")
    ] = "auto"
    ensemble: Annotated[
        Ensemble,
        BeforeValidator(_number),
        Field(
            description="Orientations, mirrored and turned, of which the mean is taken: nearer to the truth (0.1 to "
            "0.4 dB at 8), in as many times the time. `ensembles` of /v1/models says what a model can be given here."
        ),
    ] = 1
    format: Annotated[
        FormatName | None, Field(description="Of the result; left out: by Accept, else that of the picture.")
    ] = None
    motion: Annotated[
        str | None,
        Field(
            max_length=40,
            description="Straight motion that blurred the picture and is undone: its length, up to "
            f"{LARGEST_PX['motion']:g} px, and its direction; 0 is to the right, 90 down.",
            examples=["12px@30deg"],
            json_schema_extra=WORDS_OF_MOTION,
        ),
    ] = None
    defocus: Annotated[
        str | None,
        Field(
            max_length=40,
            description="A lens out of focus, which is undone: the radius of the disk, up to "
            f"{LARGEST_PX['defocus']:g} px.",
            examples=["3px"],
            json_schema_extra=WORDS_OF_LENGTH,
        ),
    ] = None
    gaussian: Annotated[
        str | None,
        Field(
            max_length=40,
            description="A Gaussian that blurred the picture and is undone: its standard deviation, up to "
            f"{LARGEST_PX['gaussian']:g} px. One of motion, defocus and gaussian can be told.",
            examples=["2px"],
            json_schema_extra=WORDS_OF_LENGTH,
        ),
    ] = None
    region: Annotated[
        str | None,
        Field(
            max_length=60,
            description="Sharpen this rectangle alone: x,y,width,height in px of the picture as it is looked at, "
            f"{SMALLEST_REGION_PX} px wide and high at least. It fades into the rest. Not of videos.",
            examples=["40,30,300,150"],
            json_schema_extra=WORDS_OF_REGION,
        ),
    ] = None

    def options(self, offered: Sequence[OfferedModel]) -> Options:
        """Return what is asked for as the library takes it.

        Args:
            offered: What clients may ask for; the first is the default, unless a blur is told that it cannot be told.

        Raises:
            ConfigError: When what is told of the picture is not understood or out of range, or is two things.
        """
        kinds = ("motion", "defocus", "gaussian")
        said = [(kind, text) for kind in kinds if (text := getattr(self, kind)) is not None]
        if len(said) > 1:
            names = " and ".join(kind for kind, _ in said)
            raise ConfigError(f"{names}: one kernel is undone at a time; give the one that blurred the picture most.")
        told = ToldBlur.of_text(*said[0]) if said else None
        can_be_told = any(model.name == TOLD_MODEL for model in offered)
        name = self.model or (TOLD_MODEL if told and can_be_told else offered[0].name)
        return Options(
            model=ModelChoice(name=name, fidelity=self.fidelity, precision=self.precision, ensemble=self.ensemble),
            strength=self.strength,
            format=None if self.format is None else FORMATS[self.format],
            told=told,
            region=None if self.region is None else Region.of_text(self.region),
        )


class JobQuery(SharpenQuery):
    """What can be asked for with a picture that is left as a job."""

    webhook: Annotated[
        str | None,
        Field(
            max_length=LONGEST_URL,
            description="An address, https, that is told by a signed POST when the job is over (Standard Webhooks). "
            "Its host must be one that the server's operator has allowed.",
            examples=["https://hooks.example.org/acutance"],
        ),
    ] = None

    report: Annotated[
        bool,
        Field(
            description="Keep the picture with its result, so that the result can be questioned: /v1/jobs/{job_id}/map "
            "and /v1/jobs/{job_id}/report. Not of videos, parts, or told blurs."
        ),
    ] = False

    def options(self, offered: Sequence[OfferedModel]) -> Options:
        """Return what is asked for as the library takes it; see `SharpenQuery.options`.

        Raises:
            ConfigError: See there; and when a report is asked for of what no record can tell.
        """
        options = super().options(offered)
        if self.report and (options.told is not None or options.region is not None):
            raise ConfigError("report: none is made of a part or of a told blur; leave it out, or leave those.")
        return replace(options, is_questioned=self.report)
