"""Fonts for what is drawn: those at hand of a list, by the file names under which Pillow finds them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, Literal

from PIL import ImageFont

from acutance.errors import ConfigError

Face = Literal["serif", "sans", "chinese", "plate"]

NAMES: Final[dict[Face, tuple[str, ...]]] = {
    "serif": ("DejaVuSerif.ttf", "LiberationSerif-Regular.ttf", "times.ttf", "Georgia.ttf"),
    "sans": ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "arial.ttf"),
    "chinese": (
        "wqy-microhei.ttc",
        "uming.ttc",
        "NotoSansCJK-Regular.ttc",
        "NotoSerifCJK-Regular.ttc",
        "simsun.ttc",
        "msyh.ttc",
        "PingFang.ttc",
    ),
    "plate": ("DejaVuSans-Bold.ttf", "DejaVuSansCondensed-Bold.ttf", "LiberationSans-Bold.ttf", "arialbd.ttf"),
}
"""File names by face; Pillow looks for them in the folders of the system."""


@cache
def fonts_at_hand(face: Face, given: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the fonts of a face that are installed, or those that were given for it.

    Args:
        face: Which.
        given: Paths of fonts to take instead.

    Returns:
        Names for `font`; empty is Pillow's own font.

    Raises:
        ConfigError: When there is none: Pillow's own font is a Latin one, and sans serif.
    """
    names = tuple(name for name in given or NAMES[face] if _opens(name))
    if given and len(names) < len(given):
        unread = ", ".join(name for name in given if name not in names)
        raise ConfigError(f"--font {unread}: no font that can be read; name a .ttf, .otf or .ttc file.")
    if not names and face in ("serif", "chinese"):
        wanted = "Chinese letters" if face == "chinese" else "serifs"
        raise ConfigError(
            f"no font with {wanted} is installed ({', '.join(NAMES[face])}); install one, or name its file: "
            f"--font {face}=FILE."
        )
    return names


def font(names: Sequence[str], number: int, size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of an item: they take turns; Pillow's own where none is named."""
    if not names:
        return ImageFont.load_default(size_px)
    return ImageFont.truetype(names[number % len(names)], size_px)


def _opens(name: str) -> bool:
    try:
        ImageFont.truetype(name, 10)
    except OSError:
        return False
    return True
