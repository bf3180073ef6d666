"""`acutance ablate`: the paper's four models, trained and measured alike, beside its Table 1."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.ablate_jobs import Device
from acutance.cli.command_line import command_line
from acutance.cli.console import needs_extra, progress_bar, say, stop_request
from acutance.cli.perception import DistsWeights, LpipsBackbone, LpipsLinear, open_perception
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.cli.photo_folders import PhotoFolders
    from acutance.data.protocol import Pixels
    from acutance.evaluation.ablation import Ablation, Entry
    from acutance.evaluation.evaluate import TestSet
    from acutance.evaluation.pairs import PairSet

ALIKE = (
    "schedule",
    "batch",
    "patch_px",
    "crop_candidates",
    "quarter_turns",
    "degradation",
    "precision",
    "ema_half_life_kimg",
)
"""Settings that all models of an ablation share: the same budget, patches and blur."""


def ablate(
    *,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of sharp photos to train on.")] = None,
    test: Annotated[Path | None, typer.Option("--test", help="Folder of sharp photos to measure on.")] = None,
    paired: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="BLURRED SHARP", help="Instead of --data: folders of photos taken blurred and sharp."),
    ] = None,
    test_paired: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="BLURRED SHARP", help="Instead of --test: folders of photos taken blurred and sharp."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the ablation: made new, or gone on with.")],
    models: Annotated[
        str | None,
        typer.Option(
            help="Presets or TOML files, separated by commas; default the paper's four, where VGG-19's weights end "
            "before pool5 with the stand-in nonbn-res-g-l-pool2-pool3. Settings of one are changed after @: "
            "nonbn-res-g@generator.activation=relu."
        ),
    ] = None,
    extra: Annotated[
        str | None,
        typer.Option(
            help="More rows, separated by commas: activation (others than PReLU), content (L1), terms (each left out), "
            "skips (other readings of StackedG), start (He's), depth (16 blocks), ours (U-Net discriminator, focal "
            "frequency)."
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas: a run of each model for each.")] = "0",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting of all models: key=value, e.g. batch=8.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps of each run.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Time for each run; the learning rate falls along it.")] = None,
    store: Annotated[Path | None, typer.Option(help="Where decoded photos are kept; default OUT/store.")] = None,
    vgg19: Annotated[Path | None, typer.Option(help="Weights of VGG-19, for models that use its features.")] = None,
    lpips_backbone: LpipsBackbone = None,
    lpips_linear: LpipsLinear = None,
    dists: DistsWeights = None,
    device: Annotated[Device, typer.Option(help="auto: cuda where there is one.")] = "auto",
    jobs: Annotated[
        int, typer.Option(min=1, help="Runs side by side, each a process of its own; on a CPU with one thread each.")
    ] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Measure on at most so many photos.")] = None,
    photo: Annotated[int, typer.Option(min=0, help="Number of the test photo in the figure, from 0.")] = 0,
) -> None:
    """Train the paper's models alike, and measure them beside its Table 1.

    Needs the extra train; acutance doctor says how to get it. Say the same again to go on with an interrupted
    ablation; finished runs are kept.
    """
    from acutance.cli.ablate_jobs import Task, Watched, trainer_beside, trainer_here
    from acutance.cli.photo_folders import trained_on
    from acutance.cli.train import said_changes
    from acutance.evaluation.ablation import (
        Terms,
        draw_figure,
        hold_terms,
        list_entries,
        measure,
        photos_digest,
        train_entries,
    )

    training = trained_on("ablate", [data] if data else None, paired)
    test_set = _open_test_set(test, test_paired, training, out=out, limit=limit, photo=photo)
    vgg19, layers = _find_vgg19(vgg19)
    chosen = _chosen_models(models, layers)
    chosen += _extra_rows(extra, chosen)
    entries, changes = list_entries(chosen, _seed_numbers(seeds)), training.changes
    changes += said_changes(settings, iterations, minutes)
    perception = open_perception(lpips_backbone, lpips_linear, dists)
    budget = _check(entries, changes, training=training, out=out, vgg19=vgg19, device=device)
    task = Task(
        overrides=tuple(override for override, _ in changes),
        training=training,
        store=store or out / "store",
        vgg19=vgg19,
        device=device,
    )
    with progress_bar("decoding photos") as bar:
        photos = training.open(task.store, progress=bar)
    for skip in photos.skipped:
        say(f"skipped {skip.name}: {skip.reason}")
    hold_terms(out, Terms(budget=budget, photos_sha256=photos_digest(photos)))
    with stop_request() as is_asked, progress_bar(f"training {len(entries)} runs") as bar:
        watched = Watched(bar, say, len(entries))
        if jobs == 1:
            trainer = trainer_here(task, photos, watched, is_asked)
        else:
            trainer = trainer_beside(task, watched, is_asked)
        outcomes = train_entries(entries, trainer, out, jobs=jobs)
    if outcomes is None:
        say("stopped and saved; the same command goes on.")
        return
    with progress_bar("measuring") as bar:
        ablation = measure(outcomes, test_set, perception=perception, progress=bar)
    command = command_line("ablate", {
        "--data": [data], "--test": [test], "--paired": [paired], "--test-paired": [test_paired], "--out": [out],
        "--models": [",".join(chosen)], "--seeds": [seeds], "--iterations": [iterations], "--minutes": [minutes],
        "--vgg19": [vgg19], "--lpips-backbone": [lpips_backbone], "--lpips-linear": [lpips_linear], "--dists": [dists],
        "--limit": [limit], "--set": settings or (),
    })  # fmt: skip
    _write(out, ablation, draw=lambda: draw_figure(outcomes, test_set, number=photo), command=command)


def _open_test_set(
    test: Path | None,
    paired: tuple[Path, Path] | None,
    training: PhotoFolders,
    *,
    out: Path,
    limit: int | None,
    photo: int,
) -> TestSet | PairSet:
    """List the photos, or the pairs, to measure on: none that are trained on, nor pictures of the ablation."""
    from acutance.cli.photo_folders import PhotoFolders
    from acutance.evaluation.evaluate import open_test_set
    from acutance.evaluation.pairs import open_pairs

    if bool(test) == bool(paired):
        given = "both are given" if test else "neither is given"
        raise ConfigError(f"ablate measures on --test FOLDER or on --test-paired BLURRED SHARP; {given}.")
    measured_on = PhotoFolders(paired or ((test,) if test else ()))
    measured_on.require_outside(training, "trained on")
    PhotoFolders((out,)).require_outside(measured_on, "measured on")
    test_set = open_pairs(*paired, limit=limit) if paired else open_test_set(measured_on.folders[0], limit=limit)
    if photo >= len(test_set):
        raise ConfigError(f"--photo {photo}: there are {len(test_set)} test photos, numbered from 0.")
    return test_set


def _find_vgg19(path: Path | None) -> tuple[Path | None, tuple[str, ...]]:
    """Return the weights of VGG-19 at hand, given or downloaded earlier, and the layers that they reach."""
    with needs_extra("train", "training"):
        from acutance.networks.vgg19_weights import find_vgg19, read_vgg19

    try:
        found = find_vgg19(path, download=False)
    except ConfigError:  # none are at hand: an error only if a model asks for them, and then said by `_check`
        return None, ()
    return found, read_vgg19(found).layers


def _chosen_models(names: str | None, layers: Sequence[str]) -> tuple[str, ...]:
    """Return the models asked for, or the paper's four, and say so where one of them is a stand-in."""
    from acutance.evaluation.table1 import STAND_IN, STAND_IN_LABEL, default_models

    if names is not None:
        return tuple(name.strip() for name in names.split(",") if name.strip())
    models = default_models(layers)
    if STAND_IN in models:
        say(f"no weights of VGG-19 up to pool5 are at hand: the fourth model is {STAND_IN_LABEL}")
    return models


def _extra_rows(kinds: str | None, models: Sequence[str]) -> tuple[str, ...]:
    """Read `activation,terms` and return the models of those rows."""
    from acutance.evaluation.table1 import EXTRA_ROWS, extra_models

    names = list(dict.fromkeys(name.strip() for name in kinds.split(","))) if kinds is not None else []
    for name in names:
        if name not in EXTRA_ROWS:
            raise ConfigError(f"--extra {name}: must be one of {', '.join(EXTRA_ROWS)}.")
    return tuple(model for kind in EXTRA_ROWS if kind in names for model in extra_models(kind, models))


def _seed_numbers(text: str) -> tuple[int, ...]:
    """Read `0,1,2`."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--seeds {text}: must be whole numbers separated by commas, e.g. 0,1,2.") from error


def _check(
    entries: Sequence[Entry],
    changes: Sequence[tuple[str, str]],
    *,
    training: PhotoFolders,
    out: Path,
    vgg19: Path | None,
    device: Device,
) -> str:
    """Refuse what cannot end well before anything is decoded or trained; return the budget of each run, as JSON."""
    from acutance.evaluation.table1 import BRANCH_GAIN
    from acutance.networks.vgg import check_layers
    from acutance.networks.vgg19_weights import find_vgg19, read_vgg19
    from acutance.training.config import load_config
    from acutance.training.device import open_fabric
    from acutance.training.run_folder import CONFIG_FILE, check_folder

    configs = {}
    for entry in entries:
        said = {setting: f"--models {entry.model}" for setting in entry.settings[:-1]}
        said[entry.settings[-1]] = f"--seeds {entry.seed}"
        overrides = [override for override, _ in changes]
        configs[entry] = load_config(entry.preset, [*overrides, *entry.settings], typed={**dict(changes), **said})
    for name in ALIKE:
        _require_alike(name, {entry.model: getattr(config, name) for entry, config in configs.items()})
    # The start, too, but for the rows that are there to show another.
    unchanged = {entry: config for entry, config in configs.items() if f"{BRANCH_GAIN}=" not in entry.model}
    _require_alike(BRANCH_GAIN, {entry.model: config.branch_gain for entry, config in unchanged.items()})
    for entry, config in configs.items():
        if config.generator.scale != 1:
            raise ConfigError(f"{entry.model}: enlarges by {config.generator.scale}; an ablation needs one size.")
        run = out / "runs" / entry.run_name
        for folder in training.folders:
            check_folder(run, config, resume=(run / CONFIG_FILE).exists(), data=folder, at_its_rates=True)
    wanted = dict.fromkeys(layer for config in configs.values() for layer in config.objective.feature_layers)
    if wanted:
        check_layers(read_vgg19(find_vgg19(vgg19, download=False)), tuple(wanted))
    first = configs[entries[0]]
    if open_fabric(device, precision=first.precision).world_size > 1:
        raise ConfigError("an ablation trains in one process; start it without torchrun.")
    return json.dumps(asdict(first.schedule))


def _require_alike(name: str, values: Mapping[str, object]) -> None:
    """Refuse models that would not be trained alike."""
    (first, expected), *others = values.items() or [("", None)]
    for model, value in others:
        if value != expected:
            raise ConfigError(
                f"{model}: has another {name} than {first}, so the two could not be compared; set it with --set."
            )


def _write(out: Path, ablation: Ablation, *, draw: Callable[[], Pixels], command: str) -> None:
    """Write tables, measurements and figure, and print the tables."""
    from acutance.evaluation.ablation_report import to_csv, to_latex, to_markdown
    from acutance.evaluation.report import to_csv as measurements_csv
    from acutance.media.atomic import write_atomically
    from acutance.media.photo import Photo
    from acutance.media.writing import write_photo

    markdown = to_markdown(ablation, command=command)
    files = {
        "table.md": markdown,
        "table.csv": to_csv(ablation),
        "table.tex": to_latex(ablation),
        "measurements.csv": measurements_csv(ablation.evaluation),
    }
    for name, text in files.items():
        write_atomically(out / name, [text.encode()], overwrite=True)
    write_photo(Photo(pixels=draw()), out / "figure.png", overwrite=True)
    typer.echo(markdown, nl=False)
    say(f"wrote {', '.join(files)} and figure.png in {out}")
