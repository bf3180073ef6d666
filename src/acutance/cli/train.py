"""`acutance train`: train a network on a folder of photos."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from acutance.cli.console import needs_extra, progress_bar, say, stop_request
from acutance.cli.perception import DistsWeights, LpipsBackbone, LpipsLinear, open_perception
from acutance.cli.photo_folders import PhotoFolders, trained_on, validated_on

if TYPE_CHECKING:
    from acutance.evaluation.scores import Perception
    from acutance.metrics.pair import PerceptualMeasure
    from acutance.training.config import TrainConfig
    from acutance.training.loop import Tick
    from acutance.training.validation import Perceptual
    from acutance.training.watching import Measure


def train(
    preset: Annotated[str, typer.Argument(help="A preset's name (e.g. fast) or a TOML file of your own.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder of the run: made new, or resumed.")],
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Folder of sharp photos, blurred while training; several are mixed."),
    ] = None,
    paired: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="BLURRED SHARP",
            help="Instead: folders of photos taken blurred and sharp (GoPro's or RealBlur's layout: twice the same).",
        ),
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Folder of sharp photos to validate on; default: some of DATA, held out.")
    ] = None,
    validation_paired: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="BLURRED SHARP", help="Instead: folders of photos taken blurred and sharp."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting: key=value, e.g. optimizer.learning_rate=4e-4."),
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps in the whole run.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Time for the whole run; the rate decays along it.")] = None,
    store: Annotated[Path | None, typer.Option(help="Where decoded photos are kept; default OUT/store.")] = None,
    vgg19: Annotated[Path | None, typer.Option(help="Weights of VGG-19, for presets that use its features.")] = None,
    download_vgg19: Annotated[
        bool, typer.Option("--download-vgg19", help="Download torchvision's weights of VGG-19 (548 MB), once.")
    ] = False,
    lpips_backbone: LpipsBackbone = None,
    lpips_linear: LpipsLinear = None,
    dists: DistsWeights = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto: cuda where there is one.")] = "auto",
    devices: Annotated[
        int | None, typer.Option(help="GPUs, or processes on a CPU, that share each batch; under torchrun all of its.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT.")] = False,
) -> None:
    """Train a network on your own photos; needs the extra train, and acutance doctor says how to get it.

    Where stderr is a file or a pipe, a line a minute says step, loss, steps a second and the time left.
    """
    with needs_extra("train", "training"):
        from acutance.networks.own import OwnNetworkConfig
        from acutance.networks.vgg19_weights import find_vgg19
        from acutance.training.checkpoint import GENERATOR_FILE
        from acutance.training.device import open_fabric
        from acutance.training.loop import train as run_training
        from acutance.training.processes import check_processes, in_turn, leave_together

    training = trained_on("train", data, paired)
    held = validated_on(validation, validation_paired, training)
    changes = training.changes + said_changes(settings, iterations, minutes)
    config = _checked(preset, changes, out, training, resume=resume)
    check_processes(config, devices or 1)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would announce every process
    fabric = open_fabric(device, precision=config.precision, devices=devices)
    speaks = fabric.is_global_zero  # of several processes one talks to the person
    if config.objective.feature_layers:
        with progress_bar("VGG-19") as bar:
            vgg19 = in_turn(fabric, lambda: find_vgg19(vgg19, download=download_vgg19, progress=bar))
    networks = open_perception(lpips_backbone, lpips_linear, dists, device=str(fabric.device))
    perceptual = _perceptual(config, networks)
    with progress_bar("decoding photos") as bar:
        photos = in_turn(fabric, lambda: training.open(store or out / "store", progress=bar))
        others = None
        if held is not None:
            others = in_turn(fabric, lambda: held.open(out / "validation-store", progress=bar))
    for skip in photos.skipped if speaks else ():
        say(f"skipped {skip.name}: {skip.reason}")
    with progress_bar(f"training {config.name}") as bar, stop_request() as is_asked:
        progress = run_training(
            config,
            photos,
            out,
            fabric=fabric,
            vgg19=vgg19,
            validation=others,
            perceptual=perceptual,
            resume=resume,
            on_tick=_teller(bar) if speaks else None,
            should_stop=is_asked,
        )
    if speaks:
        if config.schedule.progress(progress.iteration, progress.elapsed_s) < 1.0:
            say(f"stopped and saved at step {progress.iteration}; go on with the same command and --resume.")
        own = (
            f" --network {shlex.quote(config.generator.part)}" if isinstance(config.generator, OwnNetworkConfig) else ""
        )
        weights = out / GENERATOR_FILE
        say(f"averaged weights: {weights}; next: acutance export {shlex.quote(str(weights))}{own} -o mine.onnx")
    leave_together(fabric)


def _teller(bar: Callable[[float], None]) -> Callable[[Tick], None]:
    """Return what tells a person of each step."""
    from acutance.cli.training_lines import TrainingLines

    lines = TrainingLines()

    def tell(tick: Tick) -> None:
        bar(tick.share)
        lines(tick)
        for complaint in tick.complaints:
            say(f"step {tick.progress.iteration}  {complaint}")
        if tick.psnr_db is not None:
            scores = "  ".join(f"{row} {value:.2f}" for row, value in tick.psnr_db.items())
            say(f"step {tick.progress.iteration}  PSNR (dB) {scores}")

    return tell


def _perceptual(config: TrainConfig, networks: Perception) -> Perceptual:
    """Return what validation measures by networks, and check, before anything is decoded, that none is missing."""
    from acutance.training.validation import check_measures

    given: dict[Measure, PerceptualMeasure | None] = {"lpips": networks.lpips, "dists": networks.dists}
    perceptual = {name: measure for name, measure in given.items() if measure is not None}
    if config.watch.held_out:
        check_measures([], config.watch.all_measures, perceptual)
    return perceptual


def _checked(
    preset: str, changes: Sequence[tuple[str, str]], out: Path, training: PhotoFolders, *, resume: bool
) -> TrainConfig:
    """Read the settings, and check that a run with them can begin or go on in OUT, before minutes go into decoding."""
    from acutance.training.config import load_config
    from acutance.training.run_folder import check_folder, check_said

    overrides = [override for override, _ in changes]
    config = load_config(preset, overrides, typed=dict(changes))
    for folder in training.folders:
        check_folder(out, config, resume=resume, data=folder)
    if resume:
        check_said(out, config, overrides)
    return config


def said_changes(settings: list[str] | None, iterations: int | None, minutes: float | None) -> list[tuple[str, str]]:
    """Return what `--set`, `--iterations` and `--minutes` change, as `key=value`, each with how it was typed."""
    changes = [(setting, f"--set {setting}") for setting in settings or ()]
    if iterations is not None:
        changes.append((f"schedule.iterations={iterations}", f"--iterations {iterations}"))
    if minutes is not None:
        changes.append((f"schedule.minutes={minutes}", f"--minutes {minutes:g}"))
    return changes
