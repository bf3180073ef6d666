"""`acutance compare`: before and after in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.options import Overwrite


def compare(
    before: Annotated[Path, typer.Argument(help="The picture as it was.")],
    after: Annotated[Path, typer.Argument(help="The picture as it is now, of the same size.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG to write.")],
    reference: Annotated[Path | None, typer.Option(help="The true picture, shown as a third column.")] = None,
    details: Annotated[int, typer.Option(min=0, max=8, help="How many magnified details.")] = 3,
    overwrite: Overwrite = False,
) -> None:
    """Draw two pictures side by side, with the places magnified in which they differ most."""
    import numpy as np

    from acutance.cli.console import say
    from acutance.evaluation.comparison import SheetLayout, comparison_sheet
    from acutance.media.photo import Photo
    from acutance.media.reading import read_photo
    from acutance.media.writing import write_photo

    paths = [path for path in (before, after, reference) if path is not None]
    pictures = []
    for label, path in zip(("before", "after", "reference"), paths, strict=False):
        pixels = read_photo(path, max_bits=16).in_8_bits().upright().pixels
        pictures.append((f"{label}: {path.name}", np.broadcast_to(pixels, (*pixels.shape[:2], 3))))
    sheet = comparison_sheet(pictures, layout=SheetLayout(num_details=details))
    write_photo(Photo(pixels=sheet), output, overwrite=overwrite)
    say(f"wrote {output}")
