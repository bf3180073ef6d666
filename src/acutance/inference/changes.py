"""What became of a picture: how much of it changed, where, and whether that was worth it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.imaging.convert import PixelType, to_float
from acutance.inference.belief import grey_of
from acutance.zoo.catalogue import MODEL_FOR

UNCHANGED_LEVELS: Final = 0.5
"""Root mean square below which a picture is practically unchanged: what rounding does is 0.3."""
CHANGED_LEVELS: Final = 2.0
"""A pixel that changed by more has changed visibly."""
_GRID: Final = 3
_ROWS: Final = 256
"""Worked on at once."""
_MOSTLY: Final = 0.75
"""Parts that hold this much of the change are named, where they are few."""
_FEW: Final = 3
_NAMES: Final = (
    ("in the upper left", "at the top", "in the upper right"),
    ("on the left", "in the middle", "on the right"),
    ("in the lower left", "at the bottom", "in the lower right"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed between a picture and its result."""

    rms_levels: float
    """Root mean square of the change of brightness, in levels of 255."""
    share: float
    """Of the pixels whose brightness changed by more than 2 levels, 0 … 1."""
    where: str
    """`all over`, or the parts that hold three quarters of the change."""
    steps: float
    """Mean step between neighbours, after over before: above 1 is crisper or, where there was noise, below 1 is
    smoother."""

    @property
    def is_practically_none(self) -> bool:
        """Whether nobody would see a difference."""
        return self.rms_levels < UNCHANGED_LEVELS

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.rms_levels == 0:
            return "unchanged"
        if self.is_practically_none:
            return "practically unchanged"
        share = f"{100 * self.share:.0f} %" if self.share >= 0.01 else "less than 1 %"
        kind = (
            f"edges {self.steps:.1f} times as steep" if self.steps >= 1.05 else "smoother" if self.steps < 0.95 else ""
        )
        return f"{share} of it changed, {self.where}" + (f"; {kind}" if kind else "")


def changes_between(before: npt.NDArray[PixelType], after: npt.NDArray[PixelType]) -> Changes | None:
    """Measure what changed.

    Args:
        before: `h w c`, c = 1 or 3; uint8, uint16, or float32 in [0, 1].
        after: The same shape and type; of another size there is nothing to compare.

    Returns:
        None for pictures of different sizes.
    """
    if before.shape != after.shape:
        return None
    height, width = before.shape[:2]
    energy = np.zeros((_GRID, _GRID))
    changed, steps = 0, np.zeros(2)
    columns = [width * number // _GRID for number in range(_GRID + 1)]
    bands = sorted({*(height * number // _GRID for number in range(_GRID + 1)), *range(0, height, _ROWS)})
    for top, bottom in pairwise(bands):
        one, other = (255 * grey_of(to_float(picture[top:bottom])) for picture in (before, after))
        change = np.abs(other - one)
        changed += int((change > CHANGED_LEVELS).sum())
        row = next(number for number in reversed(range(_GRID)) if height * number // _GRID <= top)
        energy[row] += [
            float((change[:, left:right].astype(np.float64) ** 2).sum()) for left, right in pairwise(columns)
        ]
        steps += [float(np.abs(np.diff(grey, axis=1)).sum(dtype=np.float64)) for grey in (one, other)]
    total = float(energy.sum())
    return Changes(
        rms_levels=math.sqrt(total / (height * width)),
        share=changed / (height * width),
        where=_where(energy),
        steps=float(steps[1] / steps[0]) if steps[0] > 0 else 1.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a picture, for people and programs."""

    changed_levels: float
    """Root mean square of the change, in levels of 255."""
    changed_share: float
    """Of the pixels that changed by more than 2 levels, 0 … 1."""
    where: str
    """`all over`, `nowhere`, or the parts that hold most of the change."""
    steps: float
    """Mean step between neighbours, after over before."""
    is_worth_it: bool
    """Whether there is a difference to be seen."""
    words: str
    """All that in one clause, with the reason where nothing changed."""


def verdict_on(
    before: npt.NDArray[PixelType], after: npt.NDArray[PixelType], *, found: tuple[str, ...] = ()
) -> Verdict | None:
    """Say what became of a picture, honestly.

    Args:
        before: `h w c`, c = 1 or 3; uint8, uint16, or float32 in [0, 1].
        after: The result.
        found: What a model has said of it already; where it has said nothing, and next to nothing changed, the picture
            is looked at for a reason.

    Returns:
        None for a result of another size.
    """
    changes = changes_between(before, after)
    if changes is None:
        return None
    words = str(changes)
    if changes.is_practically_none and not found:
        words = f"{words}: {_reason(before)}"
    return Verdict(
        changed_levels=round(changes.rms_levels, 2),
        changed_share=round(changes.share, 4),
        where=changes.where,
        steps=round(changes.steps, 3),
        is_worth_it=not changes.is_practically_none,
        words=words,
    )


def _reason(before: npt.NDArray[PixelType]) -> str:
    """Say why a model that was asked for did nothing; only then is what looks at pictures loaded."""
    from acutance.inference.choosing import advice_on
    from acutance.inference.inspecting import look_at

    advice = advice_on(look_at(before))
    if advice.worth == "little":
        return f"too noisy ({advice.seen})"
    if advice.purpose is None:
        return advice.seen
    return f"{advice.seen}, which takes model {MODEL_FOR[advice.purpose]}"


def _where(energy: npt.NDArray[np.float64]) -> str:
    """Name the few parts that hold most of the change."""
    total = float(energy.sum())
    if total == 0:
        return "nowhere"
    order = np.argsort(energy, axis=None)[::-1]
    held = 0.0
    for count, place in enumerate(order[:_FEW], start=1):
        held += float(energy.flat[place])
        if held >= _MOSTLY * total:
            # In reading order, whichever holds the most.
            *others, last = (_NAMES[at // _GRID][at % _GRID] for at in sorted(order[:count]))
            return f"mostly {', '.join(others)} and {last}" if others else f"mostly {last}"
    return "all over"
