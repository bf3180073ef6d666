"""GIF files of one picture. They hold 256 colours, one of which may be transparent."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.geometry import Size
from acutance.media.container import Container, animated
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import decoding, open_plugin

COLOURS = 256
"""What a palette holds."""
OPAQUE_FROM = 128
"""Alpha from which a pixel counts as opaque: a GIF knows nothing between."""

_XMP_BLOCK = b"!\xff\x0bXMP DataXMP"
_XMP_TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"
"""Makes a reader that takes the packet for blocks of a given length find the end, wherever it stands."""


def inspect_gif(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a GIF file.

    Raises:
        UnsupportedImage: When it is damaged or animated.
    """
    with decoding(name):
        image = open_plugin(file, "GIF")
        is_animated = getattr(image, "is_animated", False)
    if is_animated:
        raise animated(name)
    comment = image.info.get("comment")
    metadata = Metadata(
        source_format="GIF",
        comments=(comment,) if isinstance(comment, bytes) else (),
        xmp=_packet(file),
    )
    return Container(Size(image.height, image.width), metadata)


def _packet(file: BinaryIO) -> bytes | None:
    """Return the XMP packet, which Pillow passes over."""
    file.seek(0)
    _, found, rest = file.read().partition(_XMP_BLOCK)
    packet, end, _ = rest.partition(_XMP_TRAILER)
    return packet if found and end else None


def encode_gif(image: Image.Image, metadata: Metadata) -> tuple[bytes, ...]:
    """Encode a picture: exactly, where it has few enough colours, otherwise with the best 256, dithered.

    Args:
        image: Mode L, LA, RGB or RGBA.
        metadata: Of the photo; what a GIF can hold is written.

    Returns:
        The file in parts.
    """
    values = np.asarray(image)
    hidden = values[:, :, -1] < OPAQUE_FROM if image.mode in ("LA", "RGBA") else None
    if image.mode in ("L", "LA"):
        indexed, transparent = _grey(values.reshape(*values.shape[:2], -1)[:, :, 0], hidden)
    else:
        indexed, transparent = _coloured(values[:, :, :3], hidden)
    buffer = io.BytesIO()
    options = {} if transparent is None else {"transparency": transparent}
    comment = b"\n".join(metadata.comments)
    indexed.save(buffer, "GIF", optimize=False, **options, **({"comment": comment} if comment else {}))
    encoded = buffer.getvalue()
    if metadata.xmp is None:
        return (encoded,)
    return encoded[:-1], _XMP_BLOCK, metadata.xmp, _XMP_TRAILER, encoded[-1:]


def has_too_many_colours(photo: Photo) -> bool:
    """Say whether a photo of 8 bits has more colours than a GIF holds."""
    colours = photo.pixels
    if photo.alpha is None:
        return len(_distinct(colours)[0]) > COLOURS
    hidden = photo.alpha < OPAQUE_FROM
    return len(_distinct(colours[~hidden])[0]) > COLOURS - bool(hidden.any())


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
