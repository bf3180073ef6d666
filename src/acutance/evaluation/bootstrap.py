"""How sure a mean difference is: a paired bootstrap over two things that might have been others, seeds and photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
"""Resamples; the ends of a 95 % interval then differ by about 2 % of its width from draw to draw."""

LEVEL = 0.95
"""Share of the resampled means that lie within the interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the interval in which 95 % of its resampled values lie."""

    mean: float
    low: float
    high: float

    def words(self, digits: int) -> str:
        """Write `+0.33 (+0.10 … +0.52)`."""
        return f"{self.mean:+.{digits}f} ({self.low:+.{digits}f} … {self.high:+.{digits}f})"


def paired_interval(differences: Sequence[Sequence[float]], *, seed: int = 0) -> Interval:
    """Return the mean of paired differences and its 95 % interval.

    Both the seeds and the photos are drawn with replacement, independently of each other, and the mean over all pairs
    of a drawn seed and a drawn photo is taken: the interval then holds for other seeds and other photos of the kind.
    Few draws from few seeds spread too little, by √((n − 1)/n): what the seeds differ by is widened by that first. Of a
    single seed nothing is known but its photos.

    Args:
        differences: For each seed those of all photos, finite; at least one of each.
        seed: Of the resampling; the same gives the same interval.
    """
    table = np.asarray(differences, dtype=np.float64)
    num_seeds, num_photos = table.shape
    mean = float(table.mean())
    by_seed = table.mean(axis=1, keepdims=True)
    if num_seeds > 1:
        table = table + (by_seed - mean) * ((num_seeds / (num_seeds - 1)) ** 0.5 - 1.0)
    random = np.random.default_rng(seed)
    seeds = random.multinomial(num_seeds, np.full(num_seeds, 1.0 / num_seeds), size=DRAWS) / num_seeds
    photos = random.multinomial(num_photos, np.full(num_photos, 1.0 / num_photos), size=DRAWS) / num_photos
    means = np.einsum("ds,sp,dp->d", seeds, table, photos, optimize=True)
    low, high = np.quantile(means, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return Interval(mean, float(low), float(high))
