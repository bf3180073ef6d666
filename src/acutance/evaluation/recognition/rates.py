"""Rates and how sure they are: Wilson's interval of a share, and the share of wrong characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from acutance.evaluation.bootstrap import Interval, paired_interval

Z: Final = 1.959964
"""Quantile of the normal distribution that leaves 2.5 % above it."""


def wilson(hits: int, count: int) -> Interval:
    """Return a share and Wilson's 95 % interval for it, which holds at 0 and 1, too.

    Args:
        hits: 0 … count.
        count: At least 1.

    Example:
        >>> found = wilson(8, 10)
        >>> f"{found.mean:.2f} {found.low:.2f} {found.high:.2f}"
        '0.80 0.49 0.94'
    """
    share, square = hits / count, Z * Z
    middle = (hits + square / 2) / (count + square)
    off = Z * math.sqrt(hits * (count - hits) / count + square / 4) / (count + square)
    return Interval(share, max(middle - off, 0.0), min(middle + off, 1.0))


def edit_distance(read: str, truth: str) -> int:
    """Return how many letters must be put in, taken out or replaced to make one text of the other (Levenshtein)."""
    row = list(range(len(truth) + 1))
    for number, letter in enumerate(read, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(truth, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != other))
    return row[-1]


def wrong_share(read: str, truth: str) -> float:
    """Return the share of wrong characters, 0 … 1: the edit distance over the truth's length, at most 1.

    Whoever reads more than there is would have a rate above 1, and one such item would outweigh several others.
    """
    return min(edit_distance(read, truth) / max(len(truth), 1), 1.0)


def mean_share(shares: Sequence[float]) -> Interval:
    """Return the mean of items' shares, and its 95 % interval by the bootstrap over the items."""
    return paired_interval([list(shares)])


def percent(interval: Interval, digits: int = 0) -> str:
    """Write `92 % (88 … 95)`."""
    mean, low, high = (f"{100 * value:.{digits}f}" for value in (interval.mean, interval.low, interval.high))
    return f"{mean} % ({low} … {high})"
