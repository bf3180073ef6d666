"""`acutance evaluate`: how well models and classical filters do on sharp photos degraded by the protocol."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.command_line import command_line
from acutance.cli.console import needs_extra, progress_bar, say
from acutance.cli.options import Engine, Json, Overwrite, Threads
from acutance.cli.perception import DistsWeights, LpipsBackbone, LpipsLinear, open_perception
from acutance.cli.recognition_run import RecognitionOptions, run_recognition
from acutance.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from acutance.data.blurs import Psf
    from acutance.data.protocol import Row
    from acutance.evaluation.evaluate import Cases, Evaluation
    from acutance.evaluation.restorers import Restorer


def evaluate(
    *,
    test: Annotated[
        list[Path] | None, typer.Option("--test", help="Folder of sharp photos, to be degraded; may be repeated.")
    ] = None,
    paired: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Folders of photos that are blurred, and of the same ones sharp: pairs have equal names, or differ in "
            "blur and sharp.",
            metavar="BLURRED SHARP",
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(help="Rows of the protocol, e.g. gauss-1.0,defocus-2; default all that can be made."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A model's name or an .onnx file, and how it is run: fast@fidelity=0@ensemble=8; may be repeated.",
        ),
    ] = None,
    kernels: Annotated[
        Path | None, typer.Option(help="Measured kernels for camera-shake: an .npz file of 2-D arrays.")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Measure the classical filters, too.")] = True,
    every: Annotated[int, typer.Option(min=1, help="Take only each n-th photo of a folder.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Take at most so many photos of a folder.")] = None,
    recognise: Annotated[
        str | None,
        typer.Option(
            help="Measure instead what readers read: of qr, serif, sans, chinese, text (these three), plates, or clips "
            "by themselves; with a size in px as in plates@22.",
            metavar="KINDS",
        ),
    ] = None,
    items: Annotated[int, typer.Option(min=1, help="With --recognise: how many of each kind.")] = 200,
    font: Annotated[
        list[str] | None,
        typer.Option(help="With --recognise: a font to draw with, as in chinese=FILE; may be repeated."),
    ] = None,
    lpips_backbone: LpipsBackbone = None,
    lpips_linear: LpipsLinear = None,
    dists: DistsWeights = None,
    vgg19: Annotated[
        Path | None,
        typer.Option(help="Measure the distance of VGG-19 features, too: its weights, three stages at least."),
    ] = None,
    engine: Engine = "auto",
    threads: Threads = None,
    as_json: Json = False,
    csv: Annotated[Path | None, typer.Option(help="Write every measurement to this CSV file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this Markdown file.")] = None,
    plots: Annotated[
        Path | None,
        typer.Option(help="Draw PSNR over the blur, and perception against distortion, into this folder (PNG, SVG)."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure classical filters and models on sharp photos, which it blurs and restores, or on pairs.

    LPIPS and --vgg19 need the extra train, --plots the extra plots, --recognise the extra recognise; acutance doctor
    says how to get them. With --recognise, --rows are blur, noise and JPEG as in gauss-2.5-n6-q50, and plates lie on
    the photos of --test.

    Without --json the tables are printed: drawn on a terminal, as Markdown into a pipe or a file.
    """
    from acutance.data.kernel_file import load_psfs
    from acutance.data.protocol import PAIRED_ROW
    from acutance.evaluation.baselines import BASELINES
    from acutance.evaluation.evaluate import evaluate as measure
    from acutance.evaluation.evaluate import open_test_set
    from acutance.evaluation.pairs import open_pairs
    from acutance.evaluation.report import to_csv, to_markdown
    from acutance.evaluation.restorers import open_models
    from acutance.media.atomic import check_target, write_atomically

    if recognise is not None:
        unused = {"--paired": paired, "--kernels": kernels, "--plots": plots, "--vgg19": vgg19, "--limit": limit}
        run_recognition(
            RecognitionOptions(
                recognise=recognise, rows=rows, models=model or (), has_baselines=baselines, items=items,
                fonts=font or (), backgrounds=test or (), engine=engine, threads=threads, as_json=as_json,
                csv=csv, markdown=markdown, overwrite=overwrite,
            ),
            unused={**unused, "--lpips-backbone": lpips_backbone, "--lpips-linear": lpips_linear, "--dists": dists},
        )  # fmt: skip
        return
    _check_sources(test, paired, is_protocol_asked=rows is not None or kernels is not None)
    test_sets: list[Cases] = [open_test_set(folder, every=every, limit=limit) for folder in test or ()]
    if paired:
        test_sets.append(open_pairs(*paired, every=every, limit=limit))
    for target in (csv, markdown, *_plot_files(plots, [one.name for one in test_sets])):
        if target is not None:
            check_target(target, overwrite=overwrite)
    psfs = () if kernels is None else load_psfs(kernels)
    chosen = _chosen_rows(rows, psfs) if test else ()
    perception = open_perception(lpips_backbone, lpips_linear, dists, vgg19=vgg19)
    with (
        open_models(model or (), engine=engine, threads=threads) as models,
        progress_bar("measuring") as bar,
    ):
        restorers: list[Restorer] = [*(BASELINES if baselines else ()), *models]
        made_by = chosen or (PAIRED_ROW,)
        evaluation = measure(test_sets, made_by, restorers, psfs=psfs, perception=perception, progress=bar)
    command = command_line("evaluate", {
        "--test": test or (),
        "--paired": [paired],
        "--rows": [",".join(row.name for row in chosen) or None],
        "--model": model or (),
        "--kernels": [kernels],
        "--lpips-backbone": [lpips_backbone],
        "--lpips-linear": [lpips_linear],
        "--dists": [dists],
        "--vgg19": [vgg19],
        "--every": [every if every > 1 else None],
        "--limit": [limit],
        "--engine": [engine if model and engine != "auto" else None],
    }, *(() if baselines else ("--no-baselines",)))  # fmt: skip
    if csv is not None:
        write_atomically(csv, [to_csv(evaluation).encode()], overwrite=overwrite)
    if markdown is not None:
        write_atomically(markdown, [to_markdown(evaluation, command=command).encode()], overwrite=overwrite)
    if plots is not None:
        _write_plots(plots, evaluation, overwrite=overwrite)
    _print(evaluation, command, as_json=as_json)


def _print(evaluation: Evaluation, command: str, *, as_json: bool) -> None:
    """Print the tables, drawn or as Markdown, or JSON."""
    from rich.console import Console

    from acutance.evaluation.report import to_json, to_markdown, to_rich

    console = Console()
    if as_json:
        typer.echo(to_json(evaluation, command=command), nl=False)
    elif not console.is_terminal:
        typer.echo(to_markdown(evaluation, command=command), nl=False)
    else:
        for table in to_rich(evaluation):
            console.print(table)


def _check_sources(test: list[Path] | None, paired: tuple[Path, Path] | None, *, is_protocol_asked: bool) -> None:
    """Refuse to measure nothing, or two kinds of things at once."""
    if bool(test) == bool(paired):
        given = "both are given" if test else "neither is given"
        raise ConfigError(f"evaluate measures the photos of --test FOLDER or of --paired BLURRED SHARP; {given}.")
    if paired and is_protocol_asked:
        raise ConfigError("--rows and --kernels say how photos of --test are degraded; leave them out with --paired.")


def _chosen_rows(names: str | None, psfs: Sequence[Psf]) -> tuple[Row, ...]:
    """Return the named rows; without names all that can be made, and say which cannot."""
    from acutance.data.blurs import MeasuredBlur
    from acutance.data.protocol import ROWS, find_row

    if names is not None:
        return tuple(find_row(name.strip()) for name in names.split(","))
    made = tuple(row for row in ROWS if psfs or not isinstance(row.blur, MeasuredBlur))
    for row in ROWS:
        if row not in made:
            say(f"{row.name} is left out: give its measured kernels with --kernels.")
    return made


def _plot_files(folder: Path | None, test_sets: Sequence[str]) -> tuple[Path, ...]:
    """Name the files of the plots, before anything is measured."""
    if folder is None:
        return ()
    with needs_extra("plots", "--plots"):
        from acutance.evaluation.plots import SUFFIXES, plot_names

    if os.path.exists(folder) and not os.path.isdir(folder):
        raise OutputError(f"{folder} is a file; name a folder for the plots.")
    names = [name for test_set in test_sets for name in plot_names(test_set)]
    return tuple(folder / f"{name}.{suffix}" for name in names for suffix in SUFFIXES)


def _write_plots(folder: Path, evaluation: Evaluation, *, overwrite: bool) -> None:
    """Draw the plots and write them; say which could not be drawn, and why."""
    from acutance.evaluation.plots import NEEDS, SUFFIXES, plot_names, plots, render
    from acutance.media.atomic import write_atomically

    made = plots(evaluation)
    for plot in made:
        for suffix in SUFFIXES:
            write_atomically(folder / f"{plot.name}.{suffix}", [render(plot, suffix)], overwrite=overwrite)
    drawn = {plot.name for plot in made}
    for test_set in dict.fromkeys(mean.test_set for mean in evaluation.means):
        for name, need in zip(plot_names(test_set), NEEDS, strict=True):
            if name not in drawn:
                say(f"{name} is not drawn: it needs {need}.")
