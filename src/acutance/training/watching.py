"""What is looked at while a run goes on, and which of its weights are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final, Literal

from acutance.data.blurs import MeasuredBlur
from acutance.data.protocol import find_row
from acutance.errors import ConfigError
from acutance.metrics.ssim import MS_SSIM_MIN_SIDE_PX

Measure = Literal["psnr_db", "ssim", "ms_ssim", "gmsd", "gradient_energy", "lpips", "dists"]
"""What crops can be validated by; the last two by networks whose weights are given to the run."""

DISTANCES: Final[tuple[Measure, ...]] = ("gmsd", "lpips", "dists")
"""Lower is better."""

SNAPSHOT_FOLDER = "snapshots"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """What is recorded, and how often (in steps)."""

    log_every: int = 100
    """Loss, rate and speed into `stats.jsonl` and TensorBoard."""
    validate_every: int = 2_000
    """PSNR on held-out photos under rows of the protocol, and sample pictures."""
    save_every: int = 1_000
    """Checkpoints to resume from."""
    held_out: int = 8
    """Photos (spread over the store) that are never trained on and serve for validation."""
    rows: tuple[str, ...] = ("gauss-1.0", "gauss-1.6", "gauss-2.0", "gauss-3.0", "gauss-4.0", "none")
    """Rows of the protocol to validate on."""
    crop_px: int = 192
    """Side of the centre crop that is validated on."""
    measures: tuple[Measure, ...] = ()
    """Measured at every validation beside PSNR."""
    best_by: Measure = "psnr_db"
    """What the best weights so far are chosen by, as a mean over the rows."""
    snapshots: int = 0
    """So many numbered copies of the averaged weights are kept, the latest; one is made at every validation."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if min(self.log_every, self.validate_every, self.save_every) < 1:
            raise ConfigError("watch.*_every: must be at least 1.")
        if self.snapshots < 0:
            raise ConfigError(f"watch.snapshots = {self.snapshots}: must be at least 0.")
        if self.held_out < 0 or self.crop_px < 16:
            raise ConfigError(f"watch.held_out = {self.held_out}, crop_px = {self.crop_px}: at least 0 and 16.")
        if "ms_ssim" in self.all_measures and self.crop_px < MS_SSIM_MIN_SIDE_PX:
            raise ConfigError(
                f"watch.crop_px = {self.crop_px}: MS-SSIM needs {MS_SSIM_MIN_SIDE_PX} px; take as much, or leave "
                "ms_ssim out."
            )
        if not self.rows:
            raise ConfigError("watch.rows = []: must name a row; set watch.held_out = 0 to validate on nothing.")
        for name in self.rows:
            row = find_row(name)
            if isinstance(row.blur, MeasuredBlur):
                raise ConfigError(f"watch.rows: {name!r} needs measured kernels, which training does not have.")
            if row.is_measured_specially:
                raise ConfigError(
                    f"watch.rows: {name!r} has a measure of its own, and training knows only the PSNR of 8-bit photos; "
                    "measure it with acutance evaluate."
                )

    @property
    def all_measures(self) -> tuple[Measure, ...]:
        """PSNR, and what is asked for beside it."""
        return tuple(dict.fromkeys(("psnr_db", *self.measures, self.best_by)))

    @property
    def judged_by(self) -> str:
        """What the best weights are chosen by, in words: figures of other measures or rows do not compare."""
        return f"{self.best_by} over {', '.join(self.rows)}"


def goodness(measure: Measure, by_row: Mapping[str, float]) -> float:
    """Return how good weights are by a measure, as a mean over rows: higher is better, whatever the measure.

    Of gradient energy, 1 is as sharp as the truth, and the nearer to it the better.
    """
    mean = fmean(min(value, 1e3) for value in by_row.values())
    if measure in DISTANCES:
        return -mean
    return -abs(math.log(max(mean, 1e-9))) if measure == "gradient_energy" else mean


def forget_snapshots(run: Path, *, keep: int) -> None:
    """Remove all numbered weights of a run but the latest so many."""
    paths = sorted((run / SNAPSHOT_FOLDER).glob("*.safetensors"))
    for path in paths[: max(len(paths) - keep, 0)]:
        path.unlink(missing_ok=True)


def snapshot_path(run: Path, iteration: int) -> Path:
    """Return where the weights after so many steps are kept."""
    return run / SNAPSHOT_FOLDER / f"{iteration:07d}.safetensors"
