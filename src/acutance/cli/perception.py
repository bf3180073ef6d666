"""The options of measures that need the weights of a network, which users give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.console import needs_extra
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.evaluation.scores import Perception
    from acutance.metrics.pair import PerceptualMeasure

LpipsBackbone = Annotated[
    Path | None,
    typer.Option(help="torchvision's weights of VGG-16 (vgg16-397923af.pth), to measure LPIPS or DISTS with."),
]
LpipsLinear = Annotated[Path | None, typer.Option(help="Measure LPIPS, too: its linear weights (v0.1, vgg.pth).")]
DistsWeights = Annotated[Path | None, typer.Option(help="Measure DISTS, too: its α and β (weights.pt).")]


def open_perception(
    lpips_backbone: Path | None,
    lpips_linear: Path | None,
    dists: Path | None,
    *,
    vgg19: Path | None = None,
    device: str = "cpu",
) -> Perception:
    """Read the weights that are given; LPIPS and DISTS are computed on the device.

    Raises:
        ConfigError: When those of a measure are not complete.
    """
    from acutance.evaluation.scores import Perception

    if lpips_backbone is None and (lpips_linear or dists):
        name = "LPIPS" if lpips_linear else "DISTS"
        raise ConfigError(f"{name} needs the weights of its backbone; give --lpips-backbone FILE, too.")
    if lpips_backbone is not None and not (lpips_linear or dists):
        raise ConfigError("--lpips-backbone alone measures nothing; give --lpips-linear FILE or --dists FILE, too.")
    return Perception(
        lpips=_open_lpips(lpips_backbone, lpips_linear, device) if lpips_backbone and lpips_linear else None,
        dists=_open_dists(lpips_backbone, dists, device) if lpips_backbone and dists else None,
        vgg=_open_vgg(vgg19) if vgg19 else None,
    )


def _open_lpips(backbone: Path, linear: Path, device: str) -> PerceptualMeasure:
    with needs_extra("train", "LPIPS"):
        from acutance.networks.lpips import Lpips
        from acutance.networks.lpips_weights import read_lpips

    return Lpips(read_lpips(backbone, linear)).to(device).against


def _open_dists(backbone: Path, weights: Path, device: str) -> PerceptualMeasure:
    with needs_extra("train", "DISTS"):
        from acutance.networks.dists import Dists, read_dists

    return Dists(read_dists(backbone, weights)).to(device).against


def _open_vgg(weights: Path) -> PerceptualMeasure:
    with needs_extra("train", "--vgg19"):
        from acutance.networks.vgg19_weights import read_vgg19
        from acutance.networks.vgg_distance import VggDistance

    return VggDistance(read_vgg19(weights)).against
