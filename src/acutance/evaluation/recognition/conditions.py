"""The conditions under which things are read, written as `blur-strength-nNOISE-qQUALITY`: `gauss-2.5-n6-q50`.

Each is a row of the protocol's kind, so it degrades by `data.protocol` like any other, and the filters that are told
the blur know it. The protocol's own rows are few and fixed, since photos are compared over years; these are any.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from acutance.data.blurs import Blur, DefocusBlur, GaussianBlur, StraightMotion
from acutance.data.rows import Row
from acutance.errors import ConfigError

DEFAULT_CONDITIONS: Final = (
    "none",
    "gauss-2",
    "gauss-2.5",
    "gauss-3",
    "defocus-4",
    "gauss-2-n6",
    "gauss-2-q50",
    "gauss-2-n6-q50",
    "motion-12-n2-q85",
)
"""Blur of lenses, noise, JPEG and both, and straight motion as cameras have it."""

LARGEST_STRENGTH_PX: Final = 40.0
LARGEST_NOISE: Final = 60.0

_NUMBER: Final = r"\d{1,3}(?:\.\d{1,3})?"
_CONDITION: Final = re.compile(
    rf"(?:none|(gauss|defocus|motion)-({_NUMBER}))(?:-n({_NUMBER}))?(?:-q(\d{{1,3}}))?", re.ASCII
)


def condition(text: str) -> Row:
    """Read a condition.

    Args:
        text: `none` or the blur, one of `gauss` (σ), `defocus` (radius) and `motion` (length, in a direction of each
            item's own), with its strength in px; behind it `-n6` for noise of 6 levels (of 255), `-q50` for a JPEG of
            quality 50.

    Returns:
        A row that `data.protocol.degrade` does.

    Raises:
        ConfigError: When it is none, or a number is out of range.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"row {text!r}: must be none, gauss-3, defocus-4 or motion-12 (px), and behind it -n6 for noise, -q50 for "
            "JPEG, as in gauss-2.5-n6-q50."
        )
    kind, strength, noise, quality = found.groups()
    strength_px, levels = float(strength or 0), float(noise or 0)
    if kind is not None and not 0 < strength_px <= LARGEST_STRENGTH_PX:
        raise ConfigError(f"row {text!r}: the blur must be above 0 and at most {LARGEST_STRENGTH_PX:g} px.")
    if levels > LARGEST_NOISE:
        raise ConfigError(f"row {text!r}: the noise must be at most {LARGEST_NOISE:g} levels.")
    if quality is not None and not 1 <= int(quality) <= 95:
        raise ConfigError(f"row {text!r}: the quality must lie within 1 … 95.")
    return Row(
        name=text,
        description=text,
        blur=_blur(kind, strength_px),
        noise_sigma=levels / 255,
        jpeg_quality=None if quality is None else int(quality),
    )


def _blur(kind: str | None, strength_px: float) -> Blur | None:
    if kind is None:
        return None
    makers: dict[str, Callable[[float], Blur]] = {
        "gauss": GaussianBlur,
        "defocus": DefocusBlur,
        "motion": StraightMotion,
    }
    return makers[kind](strength_px)
