"""What blurred the files, and where they are to be sharpened, as it is told on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.options import given_path
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.inference.told import Region, ToldBlur

PANEL = "What is known"

Motion = Annotated[
    str | None,
    typer.Option(
        metavar="LENGTH@ANGLE",
        help="Undo straight motion that you know: 12px@30deg; 0 is to the right, 90 down.",
        rich_help_panel=PANEL,
    ),
]
Defocus = Annotated[
    str | None,
    typer.Option(metavar="RADIUS", help="Undo a lens out of focus: a disk of 3px.", rich_help_panel=PANEL),
]
Gaussian = Annotated[
    str | None,
    typer.Option(metavar="SIGMA", help="Undo a Gaussian of a standard deviation of 2px.", rich_help_panel=PANEL),
]
Kernel = Annotated[
    Path | None,
    typer.Option(
        parser=given_path,
        metavar="FILE",
        help="Undo a measured kernel: an .npz file of one array, or a picture of it on black (see: acutance kernel).",
        rich_help_panel=PANEL,
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="X,Y,W,H",
        help="Sharpen this rectangle alone, in px of the picture as it is looked at; it fades into the rest.",
        rich_help_panel=PANEL,
    ),
]
RegionLookedAt = Annotated[
    str | None,
    typer.Option("--region", metavar="X,Y,W,H", help="Look at this rectangle alone, in px of the upright picture."),
]
RegionOfClip = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="X,Y,W,H",
        help="The part to follow and to write, in px of the upright frame. Default: the whole frame.",
    ),
]


def told_by(*, motion: str | None, defocus: str | None, gaussian: str | None, kernel: Path | None) -> ToldBlur | None:
    """Return what was told, if anything.

    Raises:
        ConfigError: When it is not understood, or two things are told.
        InputError: When the kernel cannot be read.
    """
    given = {"motion": motion, "defocus": defocus, "gaussian": gaussian, "kernel": kernel}
    said = [(name, value) for name, value in given.items() if value is not None]
    if not said:
        return None
    from acutance.inference.told import ToldBlur

    if len(said) > 1:
        names = " and ".join(f"--{name}" for name, _ in said)
        raise ConfigError(f"{names}: one kernel is undone at a time; give the one that blurred the picture most.")
    ((name, value),) = said
    if isinstance(value, Path):
        from acutance.data.kernel_file import load_kernel

        return ToldBlur.measured(load_kernel(value))
    return ToldBlur.of_text(name, value)


def region_of(text: str | None) -> Region | None:
    """Return the region that was asked for, if any.

    Raises:
        ConfigError: When it is not understood.
    """
    if text is None:
        return None
    from acutance.inference.told import Region

    return Region.of_text(text)
