"""One picture sharpened: the piece of work that the pool does, for direct requests and jobs alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acutance.media import ImageFormat, encode_photo, lost_in, own_format, read_photo
from acutance.server.models import Models
from acutance.server.options import Options
from acutance.server.stopping import StopSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpened:
    """Facts about a picture that came out."""

    format: ImageFormat
    seconds: float
    """From decoding to coding."""
    megapixels: float
    """Of the result."""
    lost: tuple[str, ...]
    """What the format could not hold, in words."""


def sharpen_upload(
    path: Path,
    options: Options,
    *,
    models: Models,
    max_pixels: int,
    stop: StopSignal,
    progress: Callable[[float], None] | None = None,
) -> tuple[bytes, Sharpened]:
    """Sharpen a picture.

    Args:
        path: Of the file.
        options: What is asked for.
        models: Where the sharpener comes from.
        max_pixels: Larger pictures are refused before they are decoded.
        stop: Looked at before each step and after each tile.
        progress: Called with the share of tiles done.

    Returns:
        The content of the result's file, and facts about it.

    Raises:
        InputError: When the file cannot be read.
        OutputError: When the format cannot hold the picture.
        Stopped: When it was asked for.
    """
    start = time.perf_counter()
    stop.start()

    def tell(share: float) -> None:
        stop.check()
        if progress is not None:
            progress(share)

    stop.check()
    # By its bytes: the sentences of errors would name the path.
    photo = read_photo(path.read_bytes(), max_pixels=max_pixels, max_bits=16)
    format_ = options.format or own_format(photo)
    stop.check()
    with models.borrow(options.model) as sharpener:
        photo = sharpener.sharpen_photo(photo, strength=options.strength, progress=tell)
    stop.check()
    return encode_photo(photo, format=format_), Sharpened(
        lost=lost_in(photo, format_),
        format=format_,
        seconds=time.perf_counter() - start,
        megapixels=photo.size.pixels / 1e6,
    )
