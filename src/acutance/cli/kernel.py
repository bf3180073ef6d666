"""`acutance kernel`: what blurred a photo, or a part of it, as a kernel to look at and to tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.console import say
from acutance.cli.options import Json, MaxPixels, Overwrite, Threads, given_path
from acutance.cli.told_options import RegionLookedAt
from acutance.errors import ConfigError, InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SHADES = " ·░▒▓█"
WIDEST_DRAWING_PX = 61


def kernel(
    photo: Annotated[Path, typer.Argument(parser=given_path, metavar="PHOTO", help="The blurred photo.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=given_path,
            metavar="FILE",
            help="Write the kernel: .npz exactly, .png as a picture; acutance sharpen --kernel reads both.",
        ),
    ] = None,
    region: RegionLookedAt = None,
    max_pixels: MaxPixels = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Find what blurred a photo, or a region of it, and show it.

    Where it can be sure of nothing, it says so and ends with exit code 1.
    """
    from acutance.cli.told_options import region_of
    from acutance.data.kernel_file import save_kernel
    from acutance.deconvolution.psfs import at_origin
    from acutance.imaging.picture import Picture
    from acutance.inference.found_blur import FoundBlur
    from acutance.inference.framed import photo_and_region
    from acutance.inference.unblurring import blur_in
    from acutance.media import DEFAULT_MAX_PIXELS, check_target, read_photo

    place = region_of(region)
    if output is not None:
        check_target(output, overwrite=overwrite, beside=[photo])
    seen = read_photo(photo, max_pixels=max_pixels or DEFAULT_MAX_PIXELS, max_bits=16).upright()
    within, place = photo_and_region(Picture(seen.pixels, seen.alpha), place)
    box = None if place is None else place.box_in(within.size)
    found, words = blur_in(seen.pixels[within.slices], box, threads=threads, progress=lambda share, phase: None)
    if found is None:
        raise InputError(f"{photo}: {words.removesuffix(': left as it is')}; no kernel to be sure of.")
    if not isinstance(found, FoundBlur):
        raise ConfigError(f"{photo}: {words.removesuffix(': taken out')}, so there is no one kernel; give a --region.")
    words = words.removesuffix(": taken out")
    psf = at_origin(found.kernel.psf, found.kernel.origin)
    if output is not None:
        save_kernel(psf, output, overwrite=overwrite)
    if as_json:
        facts = {"source": str(photo), "found": words, "size_px": len(psf), "target": output and str(output)}
        typer.echo(json.dumps(facts))
        return
    typer.echo(_drawing(psf))
    say(f"{photo}: {words}" + (f"; wrote {output}" if output is not None else ""))


def _drawing(psf: npt.NDArray[np.float64]) -> str:
    """Draw a kernel in characters, two for a pixel; of a large one, the middle."""
    import numpy as np

    cut = max(len(psf) - WIDEST_DRAWING_PX, 0) // 2
    middle = psf[cut : len(psf) - cut, cut : len(psf) - cut]
    levels = np.ceil(np.sqrt(middle / psf.max()) * (len(SHADES) - 1) - 0.25).clip(0).astype(int)
    return "\n".join("".join(2 * SHADES[level] for level in row).rstrip() for row in levels)
