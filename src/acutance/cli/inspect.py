"""`acutance inspect`: what is wrong with photos, and whether sharpening helps. Nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.console import progress_bar, say
from acutance.cli.options import Exclude, Include, Json, MaxPixels, Overwrite, Threads, given_path
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.inference.inspected_files import InspectedFile


def inspect(
    paths: Annotated[
        list[Path],
        typer.Argument(parser=given_path, metavar="PATHS", help="Photos, and folders of them."),
    ],
    as_json: Json = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            parser=given_path,
            metavar="PATH",
            help="Write a table of all figures, a row per photo; - writes it to stdout.",
        ),
    ] = None,
    thumbnails: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="DIR", help="Write the softest place of each photo, as PNG, into this folder."
        ),
    ] = None,
    include: Include = None,
    exclude: Exclude = None,
    threads: Threads = None,
    max_pixels: MaxPixels = None,
    overwrite: Overwrite = False,
) -> None:
    """Tell what blurred photos, how noisy they are, and whether sharpening helps; the softest come first.

    Confidences are probabilities, calibrated on photos that nothing here has learnt from.
    """
    from acutance.cli.inspect_table import csv_of, json_line, shown
    from acutance.inference.inspected_files import inspect_files
    from acutance.media import DEFAULT_MAX_PIXELS, check_target, find_photos, write_atomically

    is_piped = csv is not None and str(csv) == "-"
    if is_piped and as_json:
        raise ConfigError("--json and --csv -: both want stdout; give the table a name.")
    photos = find_photos(paths, include=include or (), exclude=exclude or ())
    if csv is not None and not is_piped:
        check_target(csv, overwrite=overwrite, beside=photos)
    found: list[InspectedFile] = []
    failed = 0
    with progress_bar("looking") as bar:
        results = inspect_files(
            photos,
            max_pixels=DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels,
            threads=threads,
            thumbnails=thumbnails,
            overwrite=overwrite,
        )
        for number, result in enumerate(results, start=1):
            bar(number / len(photos))
            found.append(result)
            if as_json:
                typer.echo(json_line(result))
            if result.inspection is None:
                failed += 1
                say(f"acutance: {result.error}")
    if is_piped:
        typer.echo(csv_of(found), nl=False)
    elif csv is not None:
        write_atomically(csv, [csv_of(found)], overwrite=overwrite)
        say(f"wrote {csv}")
    if not as_json and csv is None:
        shown(found)
    if failed:
        raise typer.Exit(1)
