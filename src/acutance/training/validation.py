"""Validation while training: held-out photos under rows of the protocol, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from acutance.data.photo_store import PhotoStore
from acutance.data.protocol import PAIRED_ROW, degrade, find_row, whole_cells
from acutance.errors import ConfigError
from acutance.imaging.convert import to_batch, write_planes
from acutance.metrics.gmsd import MIN_SIDE_PX as GMSD_MIN_SIDE_PX
from acutance.metrics.gmsd import gmsd
from acutance.metrics.pair import PerceptualMeasure
from acutance.metrics.psnr import psnr
from acutance.metrics.sharpness import gradient_energy_ratio
from acutance.metrics.ssim import MS_SSIM_MIN_SIDE_PX, WINDOW_PX, ms_ssim, ssim
from acutance.networks.generators import Restoring, restore
from acutance.training.watching import Measure, WatchConfig

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Validation:
    """Figures by measure and row, means over the crops, and a sheet of pictures: input, output, truth side by side.

    An input that was made smaller is shown enlarged, by repeating pixels.
    """

    by_measure: dict[Measure, dict[str, float]]
    sheet: Pixels

    @property
    def psnr_db(self) -> dict[str, float]:
        """Mean PSNR in dB, by row."""
        return self.by_measure["psnr_db"]

    def figures(self) -> dict[str, float]:
        """Return all figures for the record: PSNR under the row's name, the others under the row's and their own."""
        others = {
            f"{row} {measure}": value
            for measure, rows in self.by_measure.items()
            if measure != "psnr_db"
            for row, value in rows.items()
        }
        return {**self.psnr_db, **others}


MEASURES: Mapping[Measure, Callable[[Pixels, Pixels], float]] = MappingProxyType(
    {"psnr_db": psnr, "ssim": ssim, "ms_ssim": ms_ssim, "gmsd": gmsd, "gradient_energy": gradient_energy_ratio}
)
"""Of a restored crop and the truth; those that need no network."""

Perceptual = Mapping[Measure, PerceptualMeasure]
"""Measures by networks, as far as their weights are there."""

NO_NETWORKS: Final[Perceptual] = MappingProxyType({})

LEAST_PX: Final[Mapping[Measure, int]] = MappingProxyType(
    {"ssim": WINDOW_PX, "ms_ssim": MS_SSIM_MIN_SIDE_PX, "gmsd": GMSD_MIN_SIDE_PX, "lpips": 16}
)
"""Shortest side of a photo that a measure can be taken of; others have none."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A crop that is not trained on."""

    sharp: Pixels
    blurred: Pixels | None = None
    """As it was taken; None where it is to be degraded."""


def split_store(store: PhotoStore, watch: WatchConfig) -> tuple[PhotoStore, list[HeldOut]]:
    """Take `held_out` photos, spread evenly, out of the store; return the rest and their centre crops."""
    count = min(watch.held_out, len(store.photos) - 1)
    chosen = (
        {round((i + 0.5) * len(store.photos) / count) % len(store.photos) for i in range(count)} if count else set()
    )
    rest = tuple(photo for index, photo in enumerate(store.photos) if index not in chosen)
    return replace(store, photos=rest), _crops(store, chosen, watch)


def all_held_out(store: PhotoStore, watch: WatchConfig) -> list[HeldOut]:
    """Return centre crops of `held_out` photos of a store that is not trained on at all, spread evenly over it."""
    count = min(watch.held_out, len(store.photos))
    return _crops(store, {round((i + 0.5) * len(store.photos) / count - 0.5) for i in range(count)}, watch)


def _crops(store: PhotoStore, chosen: set[int], watch: WatchConfig) -> list[HeldOut]:
    return [
        HeldOut(
            _centre(store.photo(index), watch.crop_px),
            _centre(store.blurred(index), watch.crop_px) if store.is_paired else None,
        )
        for index in sorted(chosen)
    ]


def _centre(picture: Pixels, side_px: int) -> Pixels:
    height, width = picture.shape[:2]
    top, left = max(height - side_px, 0) // 2, max(width - side_px, 0) // 2
    return picture[top : top + side_px, left : left + side_px].copy()


def check_measures(crops: list[HeldOut], measures: tuple[Measure, ...], perceptual: Perceptual) -> None:
    """Check that all that is to be measured can be.

    Raises:
        ConfigError: When a network's weights are missing, or a photo is too small.
    """
    for measure in measures:
        if measure not in MEASURES and measure not in perceptual:
            options = "--lpips-linear" if measure == "lpips" else "--dists"
            raise ConfigError(
                f"watch.measures, watch.best_by: {measure} needs the weights of a network; give --lpips-backbone FILE "
                f"{options} FILE."
            )
    least_px = max((LEAST_PX.get(measure, 0) for measure in measures), default=0)
    small = [crop.sharp.shape for crop in crops if min(crop.sharp.shape[:2]) < least_px]
    if small:
        height, width = small[0][:2]
        raise ConfigError(
            f"watch.measures, watch.best_by: a photo that is validated on has {width}×{height} px, and one of these "
            f"measures needs {least_px}; leave it out, or validate on larger photos."
        )


def _measured(measure: Measure, restored: Pixels, reference: Pixels, perceptual: Perceptual) -> float:
    if measure in MEASURES:
        return MEASURES[measure](restored, reference)
    value = perceptual[measure](reference)(restored)
    assert value is not None  # `check_measures` has looked at the size
    return value


@torch.no_grad()
def validate(
    generator: Restoring,
    crops: list[HeldOut],
    rows: tuple[str, ...],
    *,
    device: torch.device,
    measures: tuple[Measure, ...] = ("psnr_db",),
    perceptual: Perceptual = NO_NETWORKS,
) -> Validation:
    """Restore every crop, or whole cells of it, under every row; the rows reduce by the generator's scale.

    Crops that were taken blurred are restored as they are, under the one row `paired`. Measures that `check_measures`
    has passed, of which those by networks are in `perceptual`.
    """
    by_measure: dict[Measure, dict[str, float]] = {measure: {} for measure in measures}
    strips: list[Pixels] = []
    is_paired = crops[0].blurred is not None
    for number, row in enumerate([PAIRED_ROW] if is_paired else map(find_row, rows)):
        values: dict[Measure, list[float]] = {measure: [] for measure in measures}
        for index, crop in enumerate(crops):
            reference = whole_cells(crop.sharp, row)
            degraded = degrade(reference, row, index=index) if crop.blurred is None else crop.blurred
            batch = torch.from_numpy(to_batch(degraded)).to(device)
            restored = np.empty_like(reference)
            write_planes(restore(generator, batch)[0].float().cpu().numpy(), restored)
            for measure in measures:
                values[measure].append(_measured(measure, restored, reference, perceptual))
            if index == number % len(crops):  # another picture for every row
                shown = degraded.repeat(row.reduction, axis=0).repeat(row.reduction, axis=1)
                strips.append(np.hstack([shown, restored, reference]))
        for measure in measures:
            by_measure[measure][row.name] = float(np.mean(values[measure]))
    width = min(strip.shape[1] for strip in strips)
    return Validation(by_measure, np.vstack([strip[:, :width] for strip in strips]))
