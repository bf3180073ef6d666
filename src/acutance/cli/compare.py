"""`acutance compare`: how far before and after are apart, and both in one picture."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.console import say
from acutance.cli.options import Json, Overwrite, given_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from acutance.metrics.difference import Difference


def compare(
    before: Annotated[Path, typer.Argument(parser=given_path, metavar="BEFORE", help="The picture as it was.")],
    after: Annotated[
        Path,
        typer.Argument(
            parser=given_path,
            metavar="AFTER",
            help="The picture as it is now: as large, or 2, 3 … times as large.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=given_path,
            metavar="PATH",
            help="The picture to write; its ending says the format. PNG keeps every pixel. Without it, a terminal that "
            "shows pictures (kitty, iTerm2, WezTerm, Ghostty) shows it.",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(parser=given_path, metavar="PATH", help="The true picture, shown as a third column."),
    ] = None,
    details: Annotated[int, typer.Option(min=0, max=8, help="How many magnified details.")] = 3,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Say how far two pictures are apart; draw them side by side, and magnify the places that differ most.

    Of two sizes, the smaller picture is enlarged by repeating its pixels, where a whole number of times fits.
    """
    import numpy as np

    from acutance.cli.terminal_pictures import protocol_of, shown_by
    from acutance.evaluation.comparison import SheetLayout, comparison_sheet, in_one_size
    from acutance.media.atomic import check_target
    from acutance.media.photo import Photo
    from acutance.media.reading import read_photo
    from acutance.media.writing import write_photo
    from acutance.metrics.difference import difference

    paths = [path for path in (before, after, reference) if path is not None]
    if output is not None:
        check_target(output, overwrite=overwrite, beside=paths)
    pictures = []
    for label, path in zip(("before", "after", "reference"), paths, strict=False):
        pixels = read_photo(path, max_bits=16).in_8_bits().upright().pixels
        pictures.append((f"{label}: {path.name}", np.broadcast_to(pixels, (*pixels.shape[:2], 3))))
    pictures = in_one_size(pictures)
    protocol = None if as_json else protocol_of(os.environ, is_terminal=sys.stdout is not None and sys.stdout.isatty())
    if output is not None or protocol is not None:
        sheet = comparison_sheet(pictures, layout=SheetLayout(num_details=details))
    found = difference(pictures[0][1], pictures[1][1])
    truths = [difference(pictures[-1][1], pixels) for _, pixels in pictures[:2]] if reference else []
    if output is not None:
        write_photo(Photo(pixels=sheet), output, overwrite=overwrite)
    elif protocol is not None:
        typer.echo(shown_by(protocol, _png(sheet)), nl=False)
    if as_json:
        facts = {**_facts(found), "to_reference": [_facts(one) for one in truths], "sheet": output and str(output)}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(_words(found))
        for name, one in zip(("before", "after"), truths, strict=False):
            typer.echo(f"{name}: {_decibels(one)} to the reference")
    if output is not None:
        say(f"wrote {output}")
    elif protocol is None and not as_json:
        say("-o sheet.png draws both side by side, with the places magnified that differ most")


def _words(found: Difference) -> str:
    if found.is_none:
        return "identical (in 8 bits)"
    words = f"PSNR {_decibels(found)}, largest difference {found.largest} levels of 255 at {found.left},{found.top}"
    return f"{words}: practically identical" if found.is_practically_none else words


def _decibels(found: Difference) -> str:
    return "infinite" if found.is_none else f"{found.psnr_db:.2f} dB"


def _facts(found: Difference) -> dict[str, float | bool | None]:
    """Return a difference as JSON holds it, which has no infinity."""
    return {
        "psnr_db": None if found.is_none else round(found.psnr_db, 3),
        "largest_difference": found.largest,
        "identical": found.is_none,
        "practically_identical": found.is_practically_none,
    }


def _png(sheet: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG")
    return file.getvalue()
