"""`acutance compare`: before and after in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.options import Overwrite, given_path


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
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=given_path,
            metavar="PATH",
            help="The picture to write; its ending says the format. PNG keeps every pixel.",
        ),
    ],
    reference: Annotated[
        Path | None,
        typer.Option(parser=given_path, metavar="PATH", help="The true picture, shown as a third column."),
    ] = None,
    details: Annotated[int, typer.Option(min=0, max=8, help="How many magnified details.")] = 3,
    overwrite: Overwrite = False,
) -> None:
    """Draw two pictures side by side, with the places magnified in which they differ most.

    Of two sizes, the smaller picture is enlarged by repeating its pixels, where a whole number of times fits.
    """
    import numpy as np

    from acutance.cli.console import say
    from acutance.evaluation.comparison import SheetLayout, comparison_sheet, in_one_size
    from acutance.media.atomic import check_target
    from acutance.media.photo import Photo
    from acutance.media.reading import read_photo
    from acutance.media.writing import write_photo

    paths = [path for path in (before, after, reference) if path is not None]
    check_target(output, overwrite=overwrite, beside=paths)
    pictures = []
    for label, path in zip(("before", "after", "reference"), paths, strict=False):
        pixels = read_photo(path, max_bits=16).in_8_bits().upright().pixels
        pictures.append((f"{label}: {path.name}", np.broadcast_to(pixels, (*pixels.shape[:2], 3))))
    sheet = comparison_sheet(in_one_size(pictures), layout=SheetLayout(num_details=details))
    write_photo(Photo(pixels=sheet), output, overwrite=overwrite)
    say(f"wrote {output}")
