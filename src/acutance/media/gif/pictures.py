"""GIF files, of one picture or several. Each holds 256 colours, one of which may be transparent.

Pillow decodes and packs the pixels. The blocks around them are read and written here: Pillow knows no colour profiles
in them and joins pictures of an animation that look alike.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from acutance.geometry import Box
from acutance.media.animation import Animation, Canvas, Disposal, bounding_box, cropped, differing
from acutance.media.container import CREDENTIALS_LOST, Container, Decoded, damaged, shape_notes
from acutance.media.gif.blocks import (
    TRAILER,
    GifFile,
    alone,
    control_of,
    descriptions,
    first_image,
    head_of,
    image_of,
    read_gif,
)
from acutance.media.gif.blocks import Image as Block
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import decoded, decoding, open_plugin

COLOURS = 256
"""What a palette holds."""
OPAQUE_FROM = 128
"""Alpha from which a pixel counts as opaque: a GIF knows nothing between."""
_DISPOSALS = {2: Disposal.CLEAR, 3: Disposal.RESTORE, 4: Disposal.RESTORE}
"""By the numbers of the format; some programs took the third bit for the third number."""
_GREYS = bytes(level for level in range(COLOURS) for _ in range(3))
"""What a file without any palette is shown in."""
_MAX_CUT_OFF, _MAX_SMALL_PX = 4, 2**20
"""How much larger than the screen a picture may be that is cut off at its edge."""


def inspect_gif(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a GIF file, and when its pictures are shown."""
    found = _blocks(file, name)
    left_out = shape_notes(found.pixel_ratio)
    if not found.is_whole:
        left_out += (f"what followed picture {len(found.images)} (the file is cut off or damaged behind it)",)
    if found.has_credentials:
        left_out += (CREDENTIALS_LOST,)
    metadata = Metadata(
        source_format="GIF",
        comments=tuple(found.comments),
        icc_profile=found.icc,
        xmp=found.xmp,
        left_out=left_out,
    )
    return Container(found.size, metadata, animation=found.animation, needs_own_decoder=not found.is_covered)


def _blocks(file: BinaryIO, name: str) -> GifFile:
    try:
        found = read_gif(file)
    except (EOFError, struct.error) as error:
        raise damaged(name, str(error)) from error
    if not found.images:
        raise damaged(name, "it has no picture")
    return found


def decode_gif_frames(file: BinaryIO, container: Container, name: str) -> Iterator[Photo]:
    """Decode the pictures of an animation, each as it is seen: whole, with what stays of those before it."""
    found = _blocks(file, name)
    canvas = Canvas(found.size, shows_below=not found.is_opaque)
    for control, image in found.images:
        box = Box(
            min(image.top, found.size.height),
            min(image.left, found.size.width),
            min(image.top + image.size.height, found.size.height),
            min(image.left + image.size.width, found.size.width),
        )
        if image.size.pixels > _MAX_CUT_OFF * found.size.pixels + _MAX_SMALL_PX:
            raise damaged(name, "a picture of the animation reaches far beyond it")
        levels = _indices(found, image, name)[: box.size.height, : box.size.width]
        colours = np.zeros((COLOURS, 3), np.uint8)
        palette = np.frombuffer(image.palette or found.palette or _GREYS, np.uint8).reshape(-1, 3)
        colours[: len(palette)] = palette
        alpha = None
        if control.transparent is not None:
            alpha = np.where(levels == control.transparent, np.uint8(0), np.uint8(255))
        disposal = _DISPOSALS.get(control.disposal, Disposal.NONE)
        yield canvas.shown(colours[levels], alpha, box, disposal, is_blended=True)


def decode_gif(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode the first picture, as it is seen; see `decode_gif_frames`."""
    if not container.needs_own_decoder:
        return decoded(open_plugin(file, GifImageFile), container, name)
    photo = next(decode_gif_frames(file, container, name))
    return photo.pixels, photo.alpha


def _indices(found: GifFile, image: Block, name: str) -> npt.NDArray[np.uint8]:
    """Return the numbers of a picture's colours, `h w`."""
    if not image.size.pixels:
        return np.zeros(image.size, np.uint8)
    with decoding(name):
        return np.asarray(open_plugin(io.BytesIO(alone(found, image)), GifImageFile))


def encode_gif(photo: Photo) -> tuple[bytes, ...]:
    """Encode a photo: exactly, where it has few enough colours, otherwise with the best 256, dithered."""
    hidden = None if photo.alpha is None else photo.alpha < OPAQUE_FROM
    if photo.pixels.shape[2] == 1:
        indexed, transparent = _grey(photo.pixels[:, :, 0], hidden)
    else:
        indexed, transparent = _coloured(photo.pixels, hidden)
    buffer = io.BytesIO()
    options = {} if transparent is None else {"transparency": transparent}
    indexed.save(buffer, "GIF", optimize=False, **options)
    control, picture = first_image(buffer.getvalue())
    return (
        head_of(picture.size, None),
        descriptions(photo.metadata),
        control_of(control) if control.transparent is not None else b"",
        image_of(picture),
        bytes((TRAILER,)),
    )


def encode_gif_frames(photos: Iterable[Photo], animation: Animation) -> Iterator[bytes]:
    """Encode an animation; of each picture only what has changed.

    Args:
        photos: Whole pictures of one size and 8 bits; see `encode_gif` for their colours.
        animation: When they are shown; GIF counts hundredths of a second.
    """
    delays = [round(duration * 100) for duration in animation.durations_s]
    shown: Photo | None = None  # what is on the screen before the picture that is waiting; None: nothing
    waiting: Photo | None = None
    for number, photo in enumerate(photos):
        if waiting is None:
            yield head_of(photo.size, animation)
            yield descriptions(photo.metadata)
        else:
            # What is seen can be covered, but not be made transparent again: then all is cleared before.
            is_cleared = bool((_visible(waiting) & ~_visible(photo)).any())
            yield _frame(waiting, shown, delays[number - 1], clears=is_cleared)
            shown = None if is_cleared else waiting
        waiting = photo
    if waiting is not None:
        yield _frame(waiting, shown, delays[-1], clears=False)
    yield bytes((TRAILER,))


def _visible(photo: Photo) -> npt.NDArray[np.bool_]:
    return np.ones(photo.size, bool) if photo.alpha is None else photo.alpha >= OPAQUE_FROM


def _frame(photo: Photo, shown: Photo | None, delay: int, *, clears: bool) -> bytes:
    """Return a picture's blocks: what of it must be drawn over what is shown."""
    visible = _visible(photo)
    drawn = visible if shown is None else visible & (differing(shown, photo) | ~_visible(shown))
    box = Box(0, 0, *photo.size) if clears or shown is None else bounding_box(drawn)
    part, visible, drawn = cropped(photo, box), visible[box.slices], drawn[box.slices]
    # What has not changed is drawn too, for a better compression, unless its colours are one too many.
    if len(_distinct(part.pixels[visible])[0]) <= COLOURS - (not visible.all()):
        drawn = visible
    alpha = None if drawn.all() else np.where(drawn, np.uint8(255), np.uint8(0))
    encoded = b"".join(encode_gif(replace(part, alpha=alpha, metadata=Metadata())))
    control, image = first_image(encoded)
    control = control._replace(delay=delay, disposal=2 if clears else 1)
    return control_of(control) + image_of(image._replace(left=box.left, top=box.top))


def lost_in_gif(photo: Photo) -> Iterator[str]:
    """Yield what of a photo's colours and transparency is lost, in words."""
    eight = photo.in_8_bits()
    if eight.alpha is not None and not np.isin(eight.alpha, (0, 255)).all():
        yield "half transparency (all or nothing is written)"
    visible = _visible(eight)
    if len(_distinct(eight.pixels[visible])[0]) > COLOURS - (not visible.all()):
        yield f"colours beyond {COLOURS}"


def _grey(levels: npt.NDArray[np.uint8], hidden: npt.NDArray[np.bool_] | None) -> tuple[Image.Image, int | None]:
    """Return a grey picture with all its levels, and the one that stands for transparency."""
    if hidden is None or not hidden.any():
        return Image.fromarray(levels), None
    used = np.bincount(levels[~hidden], minlength=256)
    # Where the hidden level is visible nowhere, as in a picture that was a GIF, it stays what it was.
    candidates = [int(levels[hidden][0]), *np.flatnonzero(used == 0).tolist(), int(np.argmin(used))]
    transparent = next(level for level in candidates if not used[level] or level == candidates[-1])
    # If all levels are used, the rarest one makes way for its neighbour.
    neighbour = transparent - 1 if transparent else 1
    kept = np.where(levels == transparent, np.uint8(neighbour), levels)
    return Image.fromarray(np.where(hidden, np.uint8(transparent), kept)), transparent


def _coloured(colours: npt.NDArray[np.uint8], hidden: npt.NDArray[np.bool_] | None) -> tuple[Image.Image, int | None]:
    """Return a picture with a palette, and the index that stands for transparency."""
    is_hidden = np.zeros(colours.shape[:2], bool) if hidden is None else hidden
    visible = ~is_hidden
    room = COLOURS - bool(is_hidden.any())
    palette, numbers = _distinct(colours[visible])
    indices = np.zeros(colours.shape[:2], np.uint8)
    if len(palette) <= room:
        indices[visible] = numbers
    elif len(palette) > room:
        # Hidden colours would take a share of the palette.
        source = Image.fromarray(np.where(visible[:, :, np.newaxis], colours, colours[visible][0]))
        best = source.quantize(room)
        indexed = source.quantize(palette=best, dither=Image.Dither.FLOYDSTEINBERG)
        palette = np.reshape(best.getpalette("RGB") or [], (-1, 3))[:room].astype(np.uint8)
        indices[visible] = np.asarray(indexed)[visible]
    transparent = None
    if is_hidden.any():
        transparent = len(palette)
        palette = np.concatenate([palette, colours[is_hidden][:1]])
        indices[is_hidden] = transparent
    image = Image.fromarray(indices).convert("P")
    image.putpalette(palette.tobytes())
    return image, transparent


def _distinct(colours: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp]]:
    """Return the distinct colours, uint8 `n 3`, of an array `… c`, and which of them each pixel has."""
    flat = colours.reshape(-1, colours.shape[-1]).astype(np.uint32)
    weights = np.array([2**16, 2**8, 1] if flat.shape[1] == 3 else [0x010101], np.uint32)
    numbers, places = np.unique(flat @ weights, return_inverse=True)
    palette = np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=1)
    return palette.astype(np.uint8), places.reshape(-1)
