"""One file of pictures sharpened: the piece of work that the pool does, for direct requests and jobs alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acutance.inference.inspecting import look_at
from acutance.inference.inspection import Inspection, first_photo, inspection_of
from acutance.inference.listening import Listener
from acutance.inference.picture_files import sharpened_content
from acutance.media import ImageFormat, open_pictures
from acutance.server.bounds import check_bounds
from acutance.server.models import Models
from acutance.server.options import Options
from acutance.server.stopping import StopSignal
from acutance.server.telling import sharpener_for
from acutance.server.tiles import TileWriter


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
    found: tuple[str, ...] = ()
    """What was seen in the picture, what was done, and what that changed, in words."""
    model: str | None = None
    """The model that ran; None where the picture was left as it is."""


def inspect_upload(path: Path, *, max_pixels: int, stop: StopSignal) -> Inspection:
    """Look at a picture; of an animation or of pages at the first.

    Args:
        path: Of the file.
        max_pixels: Larger pictures are refused before they are decoded.
        stop: Looked at before each step.

    Raises:
        InputError: When the file cannot be read.
        Stopped: When it was asked for.
    """
    stop.start()
    stop.check()
    # By its bytes: the sentences of errors would name the path.
    content = path.read_bytes()
    with open_pictures(content, max_pixels=max_pixels, max_bits=16) as pictures:
        check_bounds(pictures, content)
    photo = first_photo(content, max_pixels=max_pixels)
    stop.check()
    return inspection_of(look_at(photo.pixels, photo.metadata))


def sharpen_upload(
    path: Path,
    options: Options,
    *,
    models: Models,
    max_pixels: int,
    stop: StopSignal,
    progress: Callable[[float], None] | None = None,
    tiles: Path | None = None,
) -> tuple[bytes, Sharpened]:
    """Sharpen a picture; of an animation or of pages, each.

    Args:
        path: Of the file.
        options: What is asked for.
        models: Where the sharpener comes from.
        max_pixels: Larger pictures are refused before they are decoded.
        stop: Looked at before each step and after each tile.
        progress: Called with the share of tiles done.
        tiles: A folder that finished tiles of a single picture are written into while it is there.

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
    content = path.read_bytes()
    with open_pictures(content, max_pixels=max_pixels, max_bits=16) as pictures:
        check_bounds(pictures, content, ensemble=options.model.ensemble)
        format_ = options.format or pictures.format
        with models.borrow(options.model) as sharpener:
            wanted, listener = sharpener_for(options, sharpener), Listener(progress=tell)
            if tiles is not None and pictures.count == 1:
                metadata = pictures.metadata
                wanted = wanted.watched(
                    TileWriter(tiles, pictures.size, orientation=metadata.orientation, icc_profile=metadata.icc_profile)
                )
            content, made = sharpened_content(wanted, pictures, format_, strength=options.strength, listener=listener)
    stop.check()
    return content, Sharpened(
        lost=made.lost,
        found=made.words,
        model=next(iter(made.models), None),
        format=format_,
        seconds=time.perf_counter() - start,
        megapixels=made.megapixels,
    )
