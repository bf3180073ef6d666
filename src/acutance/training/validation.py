"""Validation while training: held-out photos under rows of the protocol, and a sheet to look at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from acutance.data.photo_store import PhotoStore
from acutance.data.protocol import PAIRED_ROW, degrade, find_row, whole_cells
from acutance.imaging.convert import to_batch, write_planes
from acutance.metrics.psnr import psnr
from acutance.networks.generators import Generator, restore
from acutance.training.config import WatchConfig

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Validation:
    """Figures by row (mean PSNR in dB) and a sheet of pictures: input, output, truth side by side.

    An input that was made smaller is shown enlarged, by repeating pixels.
    """

    psnr_db: dict[str, float]
    sheet: Pixels


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
    crops = [
        HeldOut(
            _centre(store.photo(index), watch.crop_px),
            _centre(store.blurred(index), watch.crop_px) if store.is_paired else None,
        )
        for index in sorted(chosen)
    ]
    return replace(store, photos=rest), crops


def _centre(picture: Pixels, side_px: int) -> Pixels:
    height, width = picture.shape[:2]
    top, left = max(height - side_px, 0) // 2, max(width - side_px, 0) // 2
    return picture[top : top + side_px, left : left + side_px].copy()


@torch.no_grad()
def validate(generator: Generator, crops: list[HeldOut], rows: tuple[str, ...], *, device: torch.device) -> Validation:
    """Restore every crop, or whole cells of it, under every row; the rows reduce by the generator's scale.

    Crops that were taken blurred are restored as they are, under the one row `paired`.
    """
    scores: dict[str, float] = {}
    strips: list[Pixels] = []
    is_paired = crops[0].blurred is not None
    for row in [PAIRED_ROW] if is_paired else map(find_row, rows):
        values = []
        for index, crop in enumerate(crops):
            reference = whole_cells(crop.sharp, row)
            degraded = degrade(reference, row, index=index) if crop.blurred is None else crop.blurred
            batch = torch.from_numpy(to_batch(degraded)).to(device)
            restored = np.empty_like(reference)
            write_planes(restore(generator, batch)[0].float().cpu().numpy(), restored)
            values.append(psnr(restored, reference))
            if index == len(scores) % len(crops):  # another picture for every row
                shown = degraded.repeat(row.reduction, axis=0).repeat(row.reduction, axis=1)
                strips.append(np.hstack([shown, restored, reference]))
        scores[row.name] = float(np.mean(values))
    width = min(strip.shape[1] for strip in strips)
    return Validation(scores, np.vstack([strip[:, :width] for strip in strips]))
