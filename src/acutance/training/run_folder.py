"""The folder of a run: whether one can begin or go on there, and with which settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from acutance.config.settings import Toml, differences, from_values, overridden, read_toml, to_toml
from acutance.downloads.disk import replace_text
from acutance.errors import ConfigError
from acutance.training.config import TrainConfig
from acutance.training.optimizers import OptimizerConfig

CONFIG_FILE = "config.toml"

_LENGTH: Final = {"schedule.iterations": "--iterations", "schedule.minutes": "--minutes"}
"""The settings that have options of their own: whoever gives one of these says how long the run is."""


def check_folder(
    run: Path, config: TrainConfig, *, resume: bool, data: Path | None = None, at_its_rates: bool = False
) -> None:
    """Check that a run can begin, or go on, in a folder; nothing is written.

    Args:
        run: The folder.
        config: What is asked for.
        resume: Whether it is to go on.
        data: Folder of the photos.
        at_its_rates: Whether it may go on at its learning rates only.

    Raises:
        ConfigError: When the folder holds a run and `resume` was not asked for, or the other way round; when the
            settings of the run differ in more than `_may_change` allows; or when it lies inside the folder of photos,
            where its samples would become training data.
    """
    path = run / CONFIG_FILE
    if data is not None and run.resolve().is_relative_to(data.resolve()):
        raise ConfigError(f"{run}: lies inside {data}, so pictures of the run would be trained on; choose another.")
    if not resume:
        if path.exists():
            raise ConfigError(f"{run}: holds a run already; give --resume to go on with it, or another folder.")
        return
    if not path.exists():
        raise ConfigError(f"{run}: holds no run to resume; leave --resume out to start one.")
    begun = from_values(TrainConfig, read_toml(path), source=str(path))
    allowed = _may_change(begun, config, rates=not at_its_rates)
    if allowed != config:
        raise ConfigError(
            f"{run}: its {CONFIG_FILE} has other settings than asked for ({told_differences(allowed, config)}); use "
            "the same, or another folder."
        )


def told_differences(there: object, asked_for: object, place: str = "") -> str:
    """Name the settings in which what is there differs from what is asked for, with both values."""
    return ", ".join(
        f"{place}{name} is {_shown(has)} there, {_shown(asked)} asked for"
        for name, (has, asked) in differences(there, asked_for).items()
    )


def _may_change(begun: TrainConfig, config: TrainConfig, *, rates: bool) -> TrainConfig:
    """Return the settings of a run with what others may change of them: length, parts, what is watched, the rates."""

    def changed(before: OptimizerConfig, now: OptimizerConfig) -> OptimizerConfig:
        names = ("learning_rate", "muon_learning_rate", "clip_norm") if rates else ()
        return replace(before, **{name: getattr(now, name) for name in names})

    return replace(
        begun,
        schedule=config.schedule,
        watch=config.watch,
        gradient_accumulation=config.gradient_accumulation,
        optimizer=changed(begun.optimizer, config.optimizer),
        adversary=replace(begun.adversary, optimizer=changed(begun.adversary.optimizer, config.adversary.optimizer)),
    )


def check_said(run: Path, config: TrainConfig, overrides: Sequence[str]) -> None:
    """Check that a run which goes on otherwise than it began was asked to do so.

    Length and learning rates may change. Where the command says nothing of them they would silently become the
    preset's: a run of 90 minutes, say, one of all its steps.

    Args:
        run: The folder; `check_folder` has passed it.
        config: What the run would go on with.
        overrides: What the command changes of the preset: `key=value`.

    Raises:
        ConfigError: Naming the first setting that would change without having been named, and how to give it.
    """
    begun = from_values(TrainConfig, read_toml(run / CONFIG_FILE), source=str(run / CONFIG_FILE))
    said = [override.partition("=")[0].strip() for override in overrides]
    if set(_LENGTH) & set(said):
        said += _LENGTH
    alike = replace(begun, watch=config.watch, gradient_accumulation=config.gradient_accumulation)
    for name, (has, asked) in differences(alike, config).items():
        if any(overridden(name, key) for key in said):
            continue
        option = f"{_LENGTH[name]} " if name in _LENGTH else f"--set {name}="
        meant = f"{option}{_shown(asked if has is None else has)}"
        raise ConfigError(
            f"{run}: began with {name} = {_shown(has)} and would go on with {_shown(asked)}, which this command does "
            f"not say; give {meant}, or another value."
        )


def _shown(value: Toml | None) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def prepare_folder(run: Path, config: TrainConfig, *, resume: bool) -> None:
    """Make the run's folder, or check that it is this run's, and write the settings; see `check_folder`."""
    check_folder(run, config, resume=resume)
    run.mkdir(parents=True, exist_ok=True)
    replace_text(run / CONFIG_FILE, to_toml(config))  # in one step: a run that is killed here can be resumed
