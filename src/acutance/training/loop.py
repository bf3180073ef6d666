"""The training loop: prepare, resume, and then step after step, with a look around once in a while.

A run lives in one folder:

    config.toml       the resolved settings, which reload equal
    run.json          versions, device, number of photos
    checkpoint.safetensors   to resume from
    generator.safetensors    the averaged weights, self-describing: what `acutance export` takes
    stats.jsonl, tensorboard/, samples/
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric

import acutance
from acutance.config.settings import from_values, read_toml, to_toml
from acutance.data.patches import PatchSampler
from acutance.data.photo_store import PhotoStore
from acutance.degradations.pipeline import degrade
from acutance.errors import ConfigError, JobError
from acutance.networks.checkpoint_file import describe, generator_bytes
from acutance.networks.generators import NonBNResG
from acutance.networks.whitening import whiten_head
from acutance.training.checkpoint import Progress, Trained, load_checkpoint, save_checkpoint
from acutance.training.config import TrainConfig
from acutance.training.ema import WeightAverage
from acutance.training.optimizers import build_optimizers, set_share
from acutance.training.run_log import RunLog
from acutance.training.step import StepRecord, content_step
from acutance.training.validation import split_store, validate

CONFIG_FILE = "config.toml"
CHECKPOINT_FILE = "checkpoint.safetensors"
GENERATOR_FILE = "generator.safetensors"

SKIPPED_LIMIT = 50
"""So many steps in a row without a finite gradient end the run."""

WHITENING_PATCHES = 256
"""Training patches from which the whitening of the head is computed."""

SEED_STRIDE = 1_000_003
"""Prime that keeps the batches of different seeds apart."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What the caller is told after every step, for a progress bar."""

    progress: Progress
    share: float
    """Of the run, 0 … 1."""
    loss: float | None
    """Mean of the last logged steps; None between two logs."""
    psnr_db: dict[str, float] | None
    """The latest validation; None between two."""


def batch_generator(config: TrainConfig, iteration: int, device: torch.device) -> torch.Generator:
    """Return the randomness of one step: a function of seed and step number, so nothing needs saving."""
    return torch.Generator(device=device).manual_seed(config.seed * SEED_STRIDE + iteration)


def new_generator(config: TrainConfig, sampler: PatchSampler, device: torch.device) -> NonBNResG:
    """Build the generator as it is before the first step: a function of the settings and the photos."""
    torch.manual_seed(config.seed)
    model = NonBNResG(config.generator)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.head_start == "whitening":
        source = batch_generator(config, -1, device)
        sample, _ = degrade(config.degradation, sampler.draw(WHITENING_PATCHES, source), source)
        whiten_head(model, sample)
    return model


def prepare_folder(run: Path, config: TrainConfig, *, resume: bool) -> None:
    """Make the run's folder, or check that it is this run's.

    Raises:
        ConfigError: When the folder holds a run and `resume` was not asked for, or the other way round, or
            the settings of the run differ in more than their schedule and what is watched.
    """
    path = run / CONFIG_FILE
    if not resume:
        if path.exists():
            raise ConfigError(f"{run}: holds a run already; give --resume to go on with it, or another folder.")
        run.mkdir(parents=True, exist_ok=True)
        path.write_text(to_toml(config), encoding="utf-8")
        return
    if not path.exists():
        raise ConfigError(f"{run}: holds no run to resume; leave --resume out to start one.")
    begun = from_values(TrainConfig, read_toml(path), source=str(path))
    if replace(begun, schedule=config.schedule, watch=config.watch) != config:
        raise ConfigError(
            f"{run}: its {CONFIG_FILE} has other settings than asked for; use the same, or another folder."
        )
    path.write_text(to_toml(config), encoding="utf-8")


def train(  # noqa: PLR0915 - the one loop of the house, in sections
    config: TrainConfig,
    store: PhotoStore,
    run: Path,
    *,
    fabric: Fabric,
    resume: bool = False,
    on_tick: Callable[[Tick], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Train a generator on a store of photos.

    The same config, store, device and number of threads give the same weights, bit for bit on a CPU, whether
    the run is interrupted and resumed or not (unless its length is given in minutes).

    Args:
        config: All settings.
        store: Sharp photos.
        run: Folder of the run.
        fabric: Where and in what precision it runs; launched.
        resume: Go on from the folder's checkpoint.
        on_tick: Called after every step.
        should_stop: Asked after every step; when true, the state is saved and the function returns early.

    Raises:
        ConfigError: When the folder does not fit.
        CorruptWeights: When the checkpoint to resume from is damaged.
        InputError: When no photo is large enough.
        JobError: When the gradient stays NaN or infinite.
    """
    # --- prepare ------------------------------------------------------------------------------------------
    device = fabric.device
    training_photos, held_out = split_store(store, config.watch)
    sampler = PatchSampler(training_photos, side_px=config.source_px, device=device)
    prepare_folder(run, config, resume=resume)  # last of what may refuse: nothing is begun that cannot go on
    model = new_generator(config, sampler, device)
    average = WeightAverage(model, config.ema_half_life_kimg)
    optimizers = build_optimizers(config.optimizer, model)
    generator, *placed = fabric.setup(model, *optimizers)
    trained = Trained(model, average.model, optimizers)
    progress = Progress()
    if resume and (run / CHECKPOINT_FILE).exists():
        progress = load_checkpoint(run / CHECKPOINT_FILE, trained)
    _write_facts(run, store, device)

    # --- steps --------------------------------------------------------------------------------------------
    losses: list[torch.Tensor] = []
    skipped_in_a_row = 0
    before_s, clock = progress.elapsed_s, time.perf_counter()
    schedule, watch = config.schedule, config.watch
    with RunLog(run) as log:
        while schedule.progress(progress.iteration, progress.elapsed_s) < 1.0:
            rate_share = schedule.rate_share(progress.iteration, progress.elapsed_s)
            set_share(optimizers, rate_share)
            source = batch_generator(config, progress.iteration, device)
            pair = degrade(config.degradation, sampler.draw(config.batch, source), source)
            record = content_step(
                fabric, generator, placed, pair, objective=config.objective, clip_norm=config.optimizer.clip_norm
            )
            progress = Progress(
                iteration=progress.iteration + 1,
                elapsed_s=before_s + time.perf_counter() - clock,
                images_seen=progress.images_seen + config.batch,
            )
            if record.was_applied:
                average.update(model, batch=config.batch, images_seen=progress.images_seen)
                losses.append(record.terms["content"])
            skipped_in_a_row = 0 if record.was_applied else skipped_in_a_row + 1
            if skipped_in_a_row >= SKIPPED_LIMIT:
                raise JobError(
                    f"{run}: {SKIPPED_LIMIT} steps in a row had no finite gradient, up to step "
                    f"{progress.iteration}; start again with a lower optimizer.learning_rate."
                )

            # --- once in a while --------------------------------------------------------------------------
            share = schedule.progress(progress.iteration, progress.elapsed_s)
            is_last = share >= 1.0
            loss, scores = None, None
            if losses and (is_last or progress.iteration % watch.log_every == 0):
                loss = float(torch.stack(losses).mean())
                log.write("train", progress.iteration, _figures(record, loss, rate_share, progress))
                losses = []
            if held_out and (is_last or progress.iteration % watch.validate_every == 0):
                checked = validate(average.model, held_out, watch.rows, device=device)
                scores = checked.psnr_db
                log.write("validation", progress.iteration, scores)
                log.write_sample(progress.iteration, checked.sheet)
            is_stopped = should_stop()
            if is_last or is_stopped or progress.iteration % watch.save_every == 0:
                save_checkpoint(run / CHECKPOINT_FILE, trained, progress)
                save_generator(run / GENERATOR_FILE, average.model, config)
            if on_tick is not None:
                on_tick(Tick(progress, share, loss, scores))
            if is_stopped:
                break
    return progress


def save_generator(path: Path, generator: NonBNResG, config: TrainConfig) -> None:
    """Write the self-describing weights of a run, in one step."""
    spec = describe(generator, name=config.name, training_data=config.training_data, licence=config.licence)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(generator_bytes(generator, spec))
    os.replace(temporary, path)


def _figures(record: StepRecord, loss: float, rate_share: float, progress: Progress) -> dict[str, float]:
    return {
        "loss": loss,
        "gradient_norm": float(record.gradient_norm),
        "rate_share": rate_share,
        "kimg": progress.images_seen / 1_000.0,
        "elapsed_s": progress.elapsed_s,
        "iterations_per_s": progress.iteration / max(progress.elapsed_s, 1e-9),
    }


def _write_facts(run: Path, store: PhotoStore, device: torch.device) -> None:
    """Record what the figures of this run depend on besides its settings."""
    is_gpu = device.type == "cuda"
    facts = {
        "acutance": acutance.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if is_gpu else (platform.processor() or platform.machine()),
        "threads": torch.get_num_threads(),
        "photos": len(store.photos),
        "skipped": [f"{skip.name}: {skip.reason}" for skip in store.skipped],
    }
    (run / "run.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
