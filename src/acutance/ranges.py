"""Numbers that a caller sets: taken as they are meant, or refused in one sentence.

Python's own complaint about a number that is none (`'<=' not supported between …`) names neither the setting nor what
it may be; that is what this is for. What NumPy and others have for numbers counts as one, text does not.
"""

from __future__ import annotations

import math
import operator
from typing import SupportsFloat, SupportsIndex

from acutance.errors import ConfigError


def number_within(name: str, value: object, low: float, high: float, *, unit: str = "") -> float:
    """Return a setting as a float.

    Args:
        name: Of the setting, for the message.
        value: What was given.
        low: The least that is allowed.
        high: The most; may be infinite.
        unit: Behind the value in the message, such as `" px"`.

    Raises:
        ConfigError: When it is no number, NaN, or lies outside.
    """
    number = as_number(value)
    if math.isnan(number) and not isinstance(value, SupportsFloat):
        raise ConfigError(f"{name} = {value!r}: must be a number within {low:g} … {high:g}.")
    if not low <= number <= high:
        raise ConfigError(f"{name} = {value}{unit}: must lie within {low:g} … {high:g}.")
    return number


def whole_number(name: str, value: object, *, low: int, unit: str = "", remedy: str = "") -> int:
    """Return a setting as an integer.

    Args:
        name: Of the setting, for the message.
        value: What was given.
        low: The least that is allowed.
        unit: Behind the value in the message, such as `" px"`.
        remedy: The end of the message: what else can be done.

    Raises:
        ConfigError: When it is no whole number, or less.
    """
    try:
        number = operator.index(value) if isinstance(value, SupportsIndex) else None
    except TypeError:  # an array of several, or of floats
        number = None
    if number is None:
        raise ConfigError(f"{name} = {value!r}: must be a whole number of at least {low}{remedy}.")
    if number < low:
        raise ConfigError(f"{name} = {value}{unit}: must be at least {low}{remedy}.")
    return number


def as_number(value: object) -> float:
    """Return a number as a float; NaN, which no range holds, for whatever is none."""
    if isinstance(value, str | bytes) or not isinstance(value, SupportsFloat | SupportsIndex):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # an array of several; an integer of hundreds of digits
        return math.nan
