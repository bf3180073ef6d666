"""How `acutance ablate` trains: one run after the other, or several side by side in processes of their own."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from acutance.errors import AcutanceError, CorruptWeights, JobError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, SpawnContext
    from multiprocessing.synchronize import Event

    from acutance.cli.photo_folders import PhotoFolders
    from acutance.data.photo_store import PhotoStore
    from acutance.evaluation.ablation import Entry, Outcome, Trainer
    from acutance.spec import ModelSpec
    from acutance.training.loop import Tick

Device = Literal["auto", "cpu", "cuda"]
"""What can be asked for."""

ONNX_FILE = "generator.onnx"
TRAINED_ON_FILE = "trained-on.txt"
"""Device of a finished run: `run.json` says where it was opened last."""

ASKED_EVERY_S = 0.2
"""So often is it looked whether a process has something to say, or is to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all runs of an ablation are trained by."""

    overrides: tuple[str, ...]
    """Settings changed for all, as `key=value`."""
    training: PhotoFolders
    store: Path
    vgg19: Path | None
    device: Device


@dataclass(slots=True)
class Watched:
    """What is shown of the runs while they train."""

    show: Callable[[float], None]
    """Called with the share of all runs done, 0 … 1."""
    say: Callable[[str], None]
    num_runs: int
    _shares: dict[str, float] = field(default_factory=dict)

    def tick(self, run_name: str, share: float) -> None:
        """Take note of how far a run is."""
        self._shares[run_name] = share
        self.show(sum(self._shares.values()) / self.num_runs)


def trainer_here(task: Task, photos: PhotoStore, watched: Watched, should_stop: Callable[[], bool]) -> Trainer:
    """Put the training loop and the export behind the port, in this process."""

    def train_entry(entry: Entry, run: Path) -> Outcome | None:
        if should_stop():
            return None

        def show(tick: Tick) -> None:
            watched.tick(entry.run_name, tick.share)
            for complaint in tick.complaints:
                watched.say(f"{entry.run_name}, step {tick.progress.iteration}: {complaint}")

        return trained(task, photos, entry, run, on_tick=show, say=watched.say, should_stop=should_stop)

    return train_entry


def trainer_beside(task: Task, watched: Watched, should_stop: Callable[[], bool]) -> Trainer:
    """Put a process of its own for each run behind the port; it may be called from several threads."""
    context = _context()

    def train_entry(entry: Entry, run: Path) -> Outcome | None:
        if should_stop():
            return None
        receiver, sender = context.Pipe(duplex=False)
        stops = context.Event()
        process = context.Process(target=_run_alone, args=(task, entry, run, sender, stops), name=entry.run_name)
        process.start()
        sender.close()
        try:
            return _outcome(receiver, entry, watched, should_stop, stops)
        finally:
            stops.set()
            process.join()

    return train_entry


def _context() -> ForkServerContext | SpawnContext:
    """Return what starts processes: where it can, one that has imported torch and has begun nothing with it is forked.

    A fork of this process itself could not use CUDA, nor torch's threads.
    """
    import multiprocessing  # every verb's start would pay for it

    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["acutance.training.loop", "acutance.exporting.export"])
    return context


def _outcome(
    receiver: Connection, entry: Entry, watched: Watched, should_stop: Callable[[], bool], stops: Event
) -> Outcome | None:
    """Listen to a process until it is done.

    Raises:
        AcutanceError: What it raised, or a `JobError` when it was lost.
    """
    while True:
        if should_stop():
            stops.set()
        if not receiver.poll(ASKED_EVERY_S):
            continue
        try:
            kind, value = receiver.recv()
        except EOFError as error:
            raise JobError(
                f"{entry.run_name}: its process ended without a word (killed, or out of memory?); give the same "
                "command again, with fewer --jobs."
            ) from error
        if kind == "share":
            watched.tick(entry.run_name, value)
        elif kind == "words":
            watched.say(value)
        elif kind == "error":
            raise value
        else:
            outcome: Outcome | None = value
            return outcome


def _run_alone(task: Task, entry: Entry, run: Path, sender: Connection, stops: Event) -> None:
    """Train one entry in this process, which was started for it, and send what happens."""
    from multiprocessing import parent_process

    from acutance.training.device import leave_other_cores

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one says what is done
    first = parent_process()
    shown = 0.0

    def show(tick: Tick) -> None:
        nonlocal shown
        if tick.share >= min(shown + 0.001, 1.0):
            shown = tick.share
            sender.send(("share", tick.share))
        for complaint in tick.complaints:
            sender.send(("words", f"{entry.run_name}, step {tick.progress.iteration}: {complaint}"))

    def should_stop() -> bool:
        return stops.is_set() or (first is not None and not first.is_alive())  # it was killed

    try:
        leave_other_cores(task.device)
        outcome = trained(
            task,
            task.training.open(task.store),
            entry,
            run,
            on_tick=show,
            say=lambda words: sender.send(("words", words)),
            should_stop=should_stop,
        )
        sender.send(("done", outcome))
    except AcutanceError as error:
        sender.send(("error", error))


def trained(
    task: Task,
    photos: PhotoStore,
    entry: Entry,
    run: Path,
    *,
    on_tick: Callable[[Tick], None],
    say: Callable[[str], None],
    should_stop: Callable[[], bool],
) -> Outcome | None:
    """Train an entry in a folder, or go on with what is there, and export it; None when stopped before the end."""
    from acutance.evaluation.ablation import Outcome
    from acutance.exporting.export import export_onnx
    from acutance.networks.own import OwnNetworkConfig
    from acutance.training.checkpoint import GENERATOR_FILE
    from acutance.training.config import load_config
    from acutance.training.device import open_fabric
    from acutance.training.loop import train
    from acutance.training.run_folder import CONFIG_FILE

    config = load_config(entry.preset, [*task.overrides, *entry.settings])
    is_new = not (run / TRAINED_ON_FILE).exists()
    # A finished run takes no step here, and its settings are checked like those of any other.
    progress = train(
        config,
        photos,
        run,
        fabric=open_fabric(task.device, precision=config.precision),
        vgg19=task.vgg19,
        resume=(run / CONFIG_FILE).exists(),
        on_tick=on_tick,
        should_stop=should_stop,
    )
    if config.schedule.progress(progress.iteration, progress.elapsed_s) < 1.0:
        return None
    if is_new:
        _note_device(run)
    say(f"{entry.run_name}: {progress.iteration} steps in {progress.elapsed_s:.0f} s{'' if is_new else ', kept'}")
    network = config.generator.part if isinstance(config.generator, OwnNetworkConfig) else None
    spec = _spec_exported(run / ONNX_FILE, run / GENERATOR_FILE)
    if spec is None:
        spec = export_onnx(run / GENERATOR_FILE, run / ONNX_FILE, network=network, overwrite=True).spec
    return Outcome(
        entry=entry,
        weights=run / ONNX_FILE,
        spec=spec,
        iterations=progress.iteration,
        seconds=progress.elapsed_s,
        device=(run / TRAINED_ON_FILE).read_text(encoding="utf-8"),
    )


def _spec_exported(model: Path, weights: Path) -> ModelSpec | None:
    """Return the spec of a model that an earlier call exported of these weights; None where there is none."""
    from acutance.engines.model_file import read_spec

    try:
        spec, trained = (read_spec(file.read_bytes(), name=str(file)) for file in (model, weights))
    except (OSError, CorruptWeights):
        return None  # exporting says what is wrong with the weights, if anything is
    return spec if spec.weights_sha256 == trained.weights_sha256 else None


def _note_device(run: Path) -> None:
    """Write down what a run was trained on, once, since its `run.json` is renewed whenever it is opened."""
    from acutance.media.atomic import write_atomically

    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    words = f"{facts['device']} ({facts['threads']} CPU thread{'s' if facts['threads'] > 1 else ''})"
    write_atomically(run / TRAINED_ON_FILE, [words.encode()], overwrite=True)
