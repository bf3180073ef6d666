"""The JSON that the server speaks, as OpenAPI describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from acutance.engines.engine import ChosenPrecision, Ensemble, Precision
from acutance.server.bounds import MAX_ALL_PIXELS, MAX_FRAME_PIXELS
from acutance.server.jobs import UNFINISHED, Job, JobState
from acutance.server.limits import Limits
from acutance.server.models import OfferedModel, ensembles_of
from acutance.server.options import FORMATS, MEDIA_TYPES, FormatName, read_here, written
from acutance.server.refusals import ErrorCode, ProblemDetails
from acutance.server.tiles import Tile
from acutance.server.video_work import takes_videos
from acutance.spec import Task

_NAMES = {format_: name for name, format_ in FORMATS.items()}


class Problem(BaseModel):
    """Why something was not done."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/docs#unsupported_image",
                    "title": "The picture cannot be read",
                    "status": 415,
                    "detail": "the image is damaged or cut off; get the file again.",
                    "error": "unsupported_image",
                    "request_id": "8f1c0a3e5b7d9246",
                }
            ]
        }
    )

    type: Annotated[str, Field(description="Where the code is explained, relative to the server.")]
    title: Annotated[str, Field(description="The code in words, always the same.")]
    status: Annotated[int, Field(description="Of HTTP.")]
    detail: Annotated[str, Field(description="For people: one sentence.")]
    error: Annotated[ErrorCode, Field(description="For programs.")]
    request_id: Annotated[str, Field(description="Of the request; it is in the server's log.")]


class OptionsView(BaseModel):
    """What was asked for."""

    model: str
    strength: float
    fidelity: float
    precision: Precision
    ensemble: Annotated[Ensemble, Field(description="Orientations of which the mean is taken.")]
    format: FormatName | None
    told: Annotated[str | None, Field(description="What blurred the picture, where it was told.")]
    region: Annotated[str | None, Field(description="x,y,width,height of the part that is sharpened; null: all of it.")]
    report: Annotated[bool, Field(description="Whether the result can be questioned.")]


class ResultView(BaseModel):
    """A finished job's picture."""

    url: Annotated[str, Field(description="Where it is, relative to the server.")]
    media_type: str
    bytes: int
    seconds: Annotated[float | None, Field(description="What the work took.")]
    megapixels: float | None
    lost: Annotated[list[str], Field(description="What the format could not hold of the picture, in words.")]
    found: Annotated[
        list[str],
        Field(description="What was seen in the picture, what was done about it, and what that changed, in words."),
    ]
    model: Annotated[
        str | None,
        Field(description="The model that ran; null where the picture was left as it is, or it is not known."),
    ]
    map: Annotated[str | None, Field(description="Where the map of guesses is; null without report=true.")]
    report: Annotated[str | None, Field(description="Where the record is; null without report=true.")]


class WebhookView(BaseModel):
    """Who is told when the job is over, and whether it was."""

    url: str
    state: Annotated[
        Literal["waiting", "sent", "gave_up"],
        Field(description="waiting: for the job, or for the next try."),
    ]
    tries: int


class TileView(BaseModel):
    """A finished part of a result, as a JPEG for the eye; it is gone when the job is over."""

    url: Annotated[str, Field(description="Where it is, relative to the server.")]
    x: Annotated[int, Field(description="In px of the result as it is looked at, as all that follow.")]
    y: int
    width: int
    height: int
    result_width: int
    result_height: int

    @classmethod
    def of(cls, job_id: str, tile: Tile) -> TileView:
        """Show a tile."""
        return cls(
            url=f"/v1/jobs/{job_id}/tiles/{tile.name}",
            x=tile.box.left,
            y=tile.box.top,
            width=tile.box.size.width,
            height=tile.box.size.height,
            result_width=tile.size.width,
            result_height=tile.size.height,
        )


class JobView(BaseModel):
    """A job as it stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "3f2a9c0e5d7b4816a2c4e6f8091b3d5f",
                    "state": "running",
                    "progress": 0.25,
                    "attempts": 1,
                    "created_at": "2026-01-31T12:00:00Z",
                    "started_at": "2026-01-31T12:00:01Z",
                    "finished_at": None,
                    "expires_at": None,
                    "options": {
                        "model": "auto",
                        "strength": 1.0,
                        "fidelity": 1.0,
                        "precision": "auto",
                        "ensemble": 1,
                        "format": None,
                        "told": "motion 12px@30deg",
                        "region": None,
                        "report": False,
                    },
                    "result": None,
                    "error": None,
                    "detail": None,
                    "tiles": [],
                    "webhook": None,
                }
            ]
        }
    )

    id: Annotated[str, Field(description="Who knows it may see the job: keep it as you would the picture.")]
    state: JobState
    progress: Annotated[float, Field(ge=0, le=1, description="Share of the work that is done.")]
    attempts: Annotated[int, Field(description="How often it was begun.")]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: Annotated[datetime | None, Field(description="When the result is removed.")]
    options: OptionsView
    result: ResultView | None
    error: Annotated[ErrorCode | None, Field(description="Why it failed, or is tried again.")]
    detail: Annotated[str | None, Field(description="The same in one sentence.")]
    tiles: Annotated[
        list[TileView],
        Field(description="What is finished of a picture that is worked on, where somebody looks (see its `view`)."),
    ]
    webhook: WebhookView | None

    @classmethod
    def of(
        cls, job: Job, *, share: float, trouble: ProblemDetails | None, keep_s: float, tiles: Sequence[Tile] = ()
    ) -> JobView:
        """Show a job.

        Args:
            job: As it stands in the list.
            trouble: Why it does not go on, where that is not in the list.
            share: How far it is, if it is worked on.
            keep_s: How long finished jobs are kept.
            tiles: What is finished of it.
        """
        options, model, result = job.options, job.options.model, job.result
        url = f"/v1/jobs/{job.id}"
        return cls.model_validate(
            {
                **asdict(job),
                "progress": 1.0 if job.state in ("done", "expired") else share if job.state == "running" else 0.0,
                "created_at": _time(job.created_at),
                "started_at": _time(job.started_at),
                "finished_at": _time(job.finished_at),
                "expires_at": _time(None if result is None or not job.finished_at else job.finished_at + keep_s),
                "options": {
                    **asdict(model),
                    "model": model.name,
                    "strength": options.strength,
                    "format": None if options.format is None else _NAMES[options.format],
                    "told": None if options.told is None else str(options.told),
                    "region": None if options.region is None else str(options.region),
                    "report": options.is_questioned,
                },
                "result": None
                if result is None
                else {
                    **asdict(result),
                    "url": f"{url}/result",
                    "map": f"{url}/map" if options.is_questioned else None,
                    "report": f"{url}/report" if options.is_questioned else None,
                },
                "error": job.error if trouble is None else trouble.error,
                "detail": job.detail if trouble is None else trouble.detail,
                "tiles": [TileView.of(job.id, tile) for tile in tiles],
                "webhook": _webhook(job),
            }
        )


class JobsView(BaseModel):
    """Some of a token's jobs, newest first."""

    jobs: list[JobView]
    next: Annotated[str | None, Field(description="Of what follows, as `cursor`; null at the end.")]


class AcceptsView(BaseModel):
    """What can be sent in."""

    pictures: Annotated[list[str], Field(description="Formats of pictures that are read here.")]
    videos: Annotated[bool, Field(description="Whether jobs may be videos.")]


class ModelView(BaseModel):
    """A model that may be asked for."""

    name: str
    summary: str
    task: Task
    scale: Annotated[int, Field(description="Size of the result over that of the picture.")]
    parameters: int
    macs_per_pixel: Annotated[int, Field(description="Multiply-accumulate operations per pixel of the picture.")]
    has_fidelity: Annotated[bool, Field(description="Whether fidelity can be below 1.")]
    precisions: Annotated[list[ChosenPrecision], Field(description="What it can compute in here.")]
    ensembles: Annotated[
        list[Ensemble], Field(description="Of how many orientations the mean can be had here; each is a run.")
    ]
    training_data: str
    licence: str
    psnr_db: Annotated[dict[str, float], Field(description="On bsd100, by row of the protocol.")]

    @classmethod
    def of(cls, model: OfferedModel, *, max_ensemble: int) -> ModelView:
        """Show a model, of a server that allows so many orientations."""
        ensembles = ensembles_of(model.spec, max_ensemble)
        return cls.model_validate({**asdict(model.spec), **asdict(model), "ensembles": ensembles})


class LimitsView(BaseModel):
    """What the server allows."""

    max_body_bytes: int
    max_pixels: int
    max_frame_pixels: Annotated[int, Field(description="Of one frame of an animation or a video.")]
    max_all_pixels: Annotated[
        int, Field(description="Of all frames or pages of a file together, times the ensemble that is asked for.")
    ]
    max_ensemble: Annotated[int, Field(description="Orientations of one picture; 1 where there is no mean of several.")]
    run_s: float
    keep_s: float


class ModelsView(BaseModel):
    """What the server offers."""

    version: Annotated[str, Field(description="Of acutance.")]
    default: Annotated[str, Field(description="The model that is taken when none is named.")]
    models: list[ModelView]
    formats: Annotated[dict[FormatName, str], Field(description="Formats of results, and their media types.")]
    accepts: AcceptsView
    limits: LimitsView

    @classmethod
    def of(cls, version: str, models: list[ModelView], limits: Limits) -> ModelsView:
        """Show what the server offers; the first model is the default."""
        return cls(
            version=version,
            default=models[0].name,
            models=models,
            formats={name: MEDIA_TYPES[format_] for name, format_ in written().items()},
            accepts=AcceptsView(pictures=read_here(), videos=takes_videos()),
            limits=LimitsView.model_validate(
                {**asdict(limits), "max_frame_pixels": MAX_FRAME_PIXELS, "max_all_pixels": MAX_ALL_PIXELS}
            ),
        )


class HealthView(BaseModel):
    """How the server is."""

    status: Literal["ok", "ready"]


def _webhook(job: Job) -> WebhookView | None:
    if job.webhook is None:
        return None
    is_waiting = job.state in UNFINISHED or job.webhook_due is not None
    state: Literal["waiting", "sent", "gave_up"] = "waiting" if is_waiting else "sent"
    if not is_waiting and not job.webhook_is_sent:
        state = "gave_up"
    return WebhookView(url=job.webhook, state=state, tries=job.webhook_tries)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
