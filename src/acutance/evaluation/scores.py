"""The figures of one restored photo, and their means over several.

LPIPS is a network, and this room does without torch: whoever wants it measured hands it in as a function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np

from acutance.data.protocol import Pixels, Row
from acutance.metrics.gmsd import gmsd
from acutance.metrics.grain import grain_in_flat_places
from acutance.metrics.pair import PerceptualMeasure, ToReference
from acutance.metrics.psnr import psnr
from acutance.metrics.sharpness import gradient_energy_ratio
from acutance.metrics.shifted import psnr_at_best_shift
from acutance.metrics.ssim import MS_SSIM_MIN_SIDE_PX, ms_ssim, ssim


@dataclass(frozen=True, slots=True, kw_only=True)
class Perception:
    """Measures that need the weights of a network; None leaves one out."""

    lpips: PerceptualMeasure | None = None
    """See `networks/lpips.py`."""
    dists: PerceptualMeasure | None = None
    """See `networks/dists.py`."""
    vgg: PerceptualMeasure | None = None
    """See `networks/vgg_distance.py`."""

    def to_reference(self, reference: Pixels) -> dict[str, ToReference]:
        """Let those that are there learn of a reference; by the names that `Scores` has for them."""
        measures = {"lpips": self.lpips, "dists": self.dists, "vgg": self.vgg}
        return {name: measure(reference) for name, measure in measures.items() if measure is not None}


NOTHING = Perception()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How near a restored photo, or the mean of several, comes to the reference."""

    psnr_db: float
    """Infinite for equal photos."""
    ssim: float
    """−1 … 1, higher is better."""
    ms_ssim: float | None
    """0 … 1, higher is better; None for photos with a side below 176 px."""
    gmsd: float
    """0 for equal photos, lower is better."""
    gradient_energy: float
    """Restored over reference; 1 is as sharp as the truth."""
    lpips: float | None = None
    """LPIPS v0.1 with a VGG-16 backbone: 0 for equal photos, lower is better; None where it was not measured."""
    dists: float | None = None
    """DISTS: 0 for equal photos, lower is better; None where it was not measured."""
    vgg: float | None = None
    """Relative squared distance of VGG-19 features (eq. (4)): 0 for equal photos; None where it was not measured."""
    psnr_shifted_db: float | None = None
    """PSNR at the best shift within ± 5 px; only where a right result may lie aside."""
    largest_change: float | None = None
    """In levels, over all RGB values; only where the input should be kept. Of several photos, the largest of all."""
    grain_before: float | None = None
    """Standard deviation of the input's grain in flat places, in levels; only where grain should be kept."""
    grain_after: float | None = None
    """The same of the result."""


def score(
    restored: Pixels, reference: Pixels, *, perception: Mapping[str, ToReference] = MappingProxyType({})
) -> Scores:
    """Measure one restored photo by what every row is measured by.

    Args:
        restored: `h w 3` uint8 RGB, at least 11 px on each side.
        reference: The same size.
        perception: `lpips`, `dists` and `vgg` against that reference, as far as they are to be measured.

    Raises:
        InputError: When the two cannot be compared or are too small.
    """
    is_large = min(reference.shape[:2]) >= MS_SSIM_MIN_SIDE_PX
    return Scores(
        psnr_db=psnr(restored, reference),
        ssim=ssim(restored, reference),
        ms_ssim=ms_ssim(restored, reference) if is_large else None,
        gmsd=gmsd(restored, reference),
        gradient_energy=gradient_energy_ratio(restored, reference),
        **{name: measure(restored) for name, measure in perception.items()},
    )


def own_measures(row: Row, result: Pixels, reference: Pixels, sharp: Pixels) -> dict[str, float]:
    """Measure what only some rows are measured by; by the names that `Scores` has for them."""
    own: dict[str, float] = {}
    if row.may_shift:
        own["psnr_shifted_db"] = psnr_at_best_shift(result, reference).psnr_db
    if row.is_kept:
        own["largest_change"] = float(np.abs(np.subtract(result, reference, dtype=np.int16)).max())
        if row.grain_sigma > 0:
            own["grain_before"] = grain_in_flat_places(reference, sharp)
            own["grain_after"] = grain_in_flat_places(result, sharp)
    return own


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the means of several photos' figures, at least one; of the largest change the largest."""

    def of_all(name: str) -> float | None:
        values = [getattr(one, name) for one in scores]
        if None in values:
            return None
        of_values: float = max(values) if name == "largest_change" else sum(values) / len(values)
        return of_values

    return Scores(**{field.name: of_all(field.name) for field in fields(Scores)})  # type: ignore[arg-type]
