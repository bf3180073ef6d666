"""The training loop: prepare, resume, and then step after step, with a look around once in a while.

A run lives in one folder:

    config.toml       the resolved settings, which reload equal
    run.json          versions, device, number of photos
    checkpoint.safetensors   to resume from
    generator.safetensors    the averaged weights, self-describing: what `acutance export` takes
    best.safetensors         the same, as they were when `watch.best_by` was best
    snapshots/               the same, numbered, where `watch.snapshots` says how many
    stats.jsonl, tensorboard/, samples/
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric

import acutance
from acutance.data.patches import PatchSampler
from acutance.data.photo_store import PhotoStore
from acutance.errors import ConfigError, JobError
from acutance.media.atomic import write_atomically
from acutance.networks.any_generator import AnyGenerator
from acutance.networks.checkpoint_file import describe, generator_bytes
from acutance.training.batches import PairSource, own_part
from acutance.training.checkpoint import GENERATOR_FILE, Progress, load_checkpoint, save_checkpoint
from acutance.training.config import TrainConfig
from acutance.training.health import HealthSummary, complaints, health_summary
from acutance.training.players import Players, assemble
from acutance.training.processes import check_processes, in_turn, on_first, reporting_lost_process, sync_stop
from acutance.training.run_folder import prepare_folder
from acutance.training.run_log import RunLog, SilentLog
from acutance.training.step_record import StepRecord
from acutance.training.stepper import Stepper
from acutance.training.validation import (
    NO_NETWORKS,
    HeldOut,
    Perceptual,
    all_held_out,
    check_measures,
    split_store,
    validate,
)
from acutance.training.watching import WatchConfig, forget_snapshots, goodness, snapshot_path

CHECKPOINT_FILE = "checkpoint.safetensors"
BEST_FILE = "best.safetensors"

SKIPPED_LIMIT = 20
"""After so many steps in a row without a finite gradient the run goes back to its last checkpoint."""

ROLLBACK_LIMIT = 3
"""So many times a run goes back to its last good checkpoint before it gives up."""


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
    complaints: tuple[str, ...] = ()
    """What goes badly, in plain words."""


def check_photos(config: TrainConfig, store: PhotoStore, validation: PhotoStore | None = None) -> None:
    """Check that photos are pairs where the settings say so, and only there, and from as many folders as are weighed.

    What is validated on may be pairs in any case, but for a network that enlarges.

    Raises:
        ConfigError: When they are not.
    """
    if config.paired != store.is_paired:
        what = "pairs" if store.is_paired else "no pairs"
        raise ConfigError(
            f"paired = {str(config.paired).lower()}: the photos given are {what}; set it to what they are."
        )
    if validation is not None and validation.is_paired and config.generator.scale != 1:
        raise ConfigError(
            f"generator.scale = {config.generator.scale}: enlarges, but the two photos of a pair are of one size; "
            "validate on sharp photos."
        )
    folders = 1 + max(photo.folder for photo in store.photos)
    if config.data_weights and len(config.data_weights) != folders:
        raise ConfigError(
            f"data_weights = {list(config.data_weights)}: the photos come from {folders} "
            f"folder{'s' if folders > 1 else ''}; give as many numbers."
        )


def train(  # noqa: C901, PLR0915 - the one loop of the house, in sections
    config: TrainConfig,
    store: PhotoStore,
    run: Path,
    *,
    fabric: Fabric,
    vgg19: Path | None = None,
    validation: PhotoStore | None = None,
    perceptual: Perceptual = NO_NETWORKS,
    resume: bool = False,
    on_tick: Callable[[Tick], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Train a generator on a store of photos.

    The same config, store, device and number of threads give the same weights, bit for bit on a CPU, whether
    the run is interrupted and resumed or not (unless its length is given in minutes). Several processes share each
    batch and give, up to rounding, the weights that one would give; the first of them alone writes and validates.

    Args:
        config: All settings.
        store: Sharp photos.
        run: Folder of the run.
        fabric: Where and in what precision it runs; launched.
        vgg19: Weights of VGG-19, for an objective that looks at features.
        validation: Photos to validate on; None holds some of the others out.
        perceptual: Measures by networks; those given are taken at every validation.
        resume: Go on from the folder's checkpoint.
        on_tick: Called after every step, in every process.
        should_stop: Asked after every step; when true in any process, the state is saved and the function returns
            early.

    Raises:
        ConfigError: When the folder does not fit, or the settings do not fit several processes.
        CorruptWeights: When the checkpoint to resume from is damaged.
        InputError: When no photo is large enough.
        JobError: When the gradient stays NaN or infinite, or another process of the run is lost.
    """
    # --- prepare ------------------------------------------------------------------------------------------
    check_processes(config, fabric.world_size)
    check_photos(config, store, validation)
    watch = config.watch
    training_photos, held_out = _split(store, validation, watch, perceptual)
    sampler = PatchSampler(
        training_photos,
        side_px=config.source_px,
        device=fabric.device,
        reduced_share=config.reduced_share,
        ramp_share=config.ramp_share,
        candidates=config.crop_candidates,
        quarter_turns=config.quarter_turns,
        weights=config.data_weights,
    )
    source = PairSource(config, sampler)
    # In turn: while the first still writes its last one, the others would see none, and begin anew by themselves.
    has_checkpoint = resume and in_turn(fabric, (run / CHECKPOINT_FILE).exists)
    players = assemble(config, sampler, fabric=fabric, vgg19=vgg19, is_resumed=has_checkpoint)
    # Last of what may refuse: nothing is begun that cannot go on.
    on_first(fabric, lambda: prepare_folder(run, config, resume=resume))
    progress = Progress()
    if has_checkpoint:
        progress = _comparable(load_checkpoint(run / CHECKPOINT_FILE, players.trained), watch)
    schedule = config.schedule
    is_first = fabric.is_global_zero
    if is_first and schedule.progress(progress.iteration, progress.elapsed_s) < 1.0:
        _write_facts(run, store, fabric)

    # --- steps --------------------------------------------------------------------------------------------
    records: list[StepRecord] = []
    loss_before: float | None = None
    rollbacks = 0
    before_s, clock = progress.elapsed_s, time.perf_counter()
    with reporting_lost_process(fabric), RunLog(run, progress.iteration) if is_first else SilentLog() as log:
        stepper = Stepper(
            config,
            players,
            fabric=fabric,
            example=source.batch(progress.iteration),
            say=lambda words: log.say(progress.iteration, words),
        )
        while schedule.progress(progress.iteration, progress.elapsed_s) < 1.0:
            rate_share = progress.rate_factor * schedule.rate_share(progress.iteration, progress.elapsed_s)
            batch = own_part(fabric, source.batch(progress.iteration))
            record = stepper.take(batch, progress, rate_share=rate_share)
            elapsed_s, is_stopped = sync_stop(fabric, before_s + time.perf_counter() - clock, is_stopped=should_stop())
            progress = replace(
                progress,
                iteration=progress.iteration + 1,
                elapsed_s=elapsed_s,
                images_seen=progress.images_seen + config.batch,
            )
            records.append(record)
            if stepper.skipped_in_a_row >= SKIPPED_LIMIT:
                rollbacks += 1
                progress = roll_back(run, players, progress, is_last_chance=rollbacks > ROLLBACK_LIMIT)
                log.say(progress.iteration, f"no finite gradient: back to step {progress.iteration}, at half the rates")
                records = []
                stepper.start_again()
                continue

            # --- once in a while --------------------------------------------------------------------------
            if record.pulls:
                log.write("pull", progress.iteration, dict(record.pulls))
            share = schedule.progress(progress.iteration, progress.elapsed_s)
            is_last = share >= 1.0
            loss, scores = None, None
            new_words: tuple[str, ...] = ()
            if is_last or progress.iteration % watch.log_every == 0:
                records = [
                    record for record in records if record.was_applied
                ]  # asked here alone: the device is waited for
            if records and (is_last or progress.iteration % watch.log_every == 0):
                signs = health_summary(records)
                loss = sum(config.objective.weights[name] * value for name, value in signs.terms.items())
                log.write("train", progress.iteration, _figures(signs, loss, rate_share, progress))
                found = complaints(signs, loss=loss, loss_before=loss_before)
                # Each is said once.
                new_words = tuple(words for name, words in found.items() if name not in progress.ailing)
                for words in new_words:
                    log.say(progress.iteration, words)
                records, loss_before, progress = [], loss, replace(progress, ailing=tuple(found))
            if is_first and (is_last or progress.iteration % watch.validate_every == 0):
                scores, progress = _look(run, config, players, held_out, progress, perceptual=perceptual, log=log)
            if is_first and (is_last or is_stopped or progress.iteration % watch.save_every == 0):
                # In this order: whoever finds a checkpoint that says "finished" finds the finished weights beside it.
                save_generator(run / GENERATOR_FILE, players.average.model, config)
                save_checkpoint(run / CHECKPOINT_FILE, players.trained, progress)
            if on_tick is not None:
                on_tick(Tick(progress, share, loss, scores, new_words))
            if is_stopped:
                break
    return progress


def _split(
    store: PhotoStore, validation: PhotoStore | None, watch: WatchConfig, perceptual: Perceptual
) -> tuple[PhotoStore, list[HeldOut]]:
    """Return what is trained on and what is validated on, and check that all measures can be taken of that."""
    trained_on, held_out = split_store(store, watch) if validation is None else (store, all_held_out(validation, watch))
    if held_out:
        check_measures(held_out, (*watch.all_measures, *perceptual), perceptual)
    return trained_on, held_out


def _comparable(progress: Progress, watch: WatchConfig) -> Progress:
    """Forget how good the best weights were where that was told by another measure, or over other rows."""
    return progress if progress.best_by in ("", watch.judged_by) else replace(progress, best=None)


def _look(
    run: Path,
    config: TrainConfig,
    players: Players,
    held_out: list[HeldOut],
    progress: Progress,
    *,
    perceptual: Perceptual,
    log: RunLog,
) -> tuple[dict[str, float] | None, Progress]:
    """Validate, where photos are held out, and keep the weights that are to be kept; return PSNR by row."""
    watch, model, scores = config.watch, players.average.model, None
    if held_out:
        device = next(model.parameters()).device
        measures = tuple(dict.fromkeys((*watch.all_measures, *perceptual)))
        checked = validate(model, held_out, watch.rows, device=device, measures=measures, perceptual=perceptual)
        scores = checked.psnr_db
        log.write("validation", progress.iteration, checked.figures())
        log.write_sample(progress.iteration, checked.sheet)
        good = goodness(watch.best_by, checked.by_measure[watch.best_by])
        if progress.best is None or good > progress.best:
            progress = replace(progress, best=good, best_by=watch.judged_by)
            save_generator(run / BEST_FILE, model, config)
    if watch.snapshots:
        save_generator(snapshot_path(run, progress.iteration), model, config)
        forget_snapshots(run, keep=watch.snapshots)
    return scores, progress


def roll_back(run: Path, players: Players, progress: Progress, *, is_last_chance: bool) -> Progress:
    """Go back to the last good checkpoint, with half the learning rates.

    Raises:
        JobError: When there is no checkpoint, or it was tried often enough.
    """
    path = run / CHECKPOINT_FILE
    if is_last_chance or not path.exists():
        raise JobError(
            f"{run}: {SKIPPED_LIMIT} steps in a row had no finite gradient, up to step {progress.iteration}; "
            "start again with a lower optimizer.learning_rate."
        )
    good = load_checkpoint(path, players.trained)
    return replace(good, elapsed_s=progress.elapsed_s, rate_factor=0.5 * min(good.rate_factor, progress.rate_factor))


def save_generator(path: Path, generator: AnyGenerator, config: TrainConfig) -> None:
    """Write the self-describing weights of a run: in one step, and on the disk before they have their name."""
    spec = describe(generator, name=config.name, training_data=config.training_data, licence=config.licence)
    write_atomically(path, [generator_bytes(generator, spec)], overwrite=True)


def _figures(signs: HealthSummary, loss: float, rate_share: float, progress: Progress) -> dict[str, float]:
    return {
        "loss": loss,
        **signs.figures(),
        "rate_share": rate_share,
        "kimg": progress.images_seen / 1_000.0,
        "elapsed_s": progress.elapsed_s,
        "iterations_per_s": progress.iteration / max(progress.elapsed_s, 1e-9),
    }


def _write_facts(run: Path, store: PhotoStore, fabric: Fabric) -> None:
    """Record what the figures of this run depend on besides its settings."""
    device = fabric.device
    is_gpu = device.type == "cuda"
    facts = {
        "acutance": acutance.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if is_gpu else (platform.processor() or platform.machine()),
        "processes": fabric.world_size,
        "threads": torch.get_num_threads(),
        "photos": len(store.photos),
        "skipped": [f"{skip.name}: {skip.reason}" for skip in store.skipped],
    }
    (run / "run.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
