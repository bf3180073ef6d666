"""TIFF files written: strips of pixels as they come, and behind them the directory that describes them.

A picture in memory, one that is larger, and the pages of a file are written by the same few lines. When a photo with an
EXIF block becomes a TIFF file, the block stands at the beginning of the file: offsets within it, those of a camera's
notes too, stay true.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from acutance.media.atomic import Patch
from acutance.media.ifd import (
    ByteOrder,
    Entry,
    Tree,
    integer_entry,
    read_directory,
    read_header,
    serialise,
)
from acutance.media.photo import Metadata, Photo, TiffCoding
from acutance.media.pil import picture_of
from acutance.media.strips import Strip, StripSource, regrouped, strips_of_photo
from acutance.media.tiff.layout import DEFAULT_CODING, PREDICTED, STRAIGHT
from acutance.media.tiff.tags import block_at_start, described_by, tags_of

JPEG_QUALITY = 95
"""Quality of a TIFF whose strips are JPEG; with full chroma resolution."""
_JPEG_ROWS = 16
"""Of blocks, a multiple of which every strip but the last must have."""
_WRITTEN_STRIP_BYTES = 2**17
_CLASSIC_BYTES = 2**32 - 2**26
_GROWTH = {"tiff_lzw": 1.6}
"""How much larger than its pixels a file may become: LZW makes noise larger, by half at most."""
_COMPRESSIONS = {"raw": 1, "tiff_lzw": 5, "jpeg": 7, "tiff_adobe_deflate": 8, "packbits": 32773}
_GREY, _RGB, _YCBCR = 1, 2, 6


def encode_tiff(photo: Photo) -> Iterator[bytes]:
    """Encode a photo, compressed as the TIFF that it was read from; deflate when it comes from elsewhere.

    Args:
        photo: Of 8 or 16 bits; what a TIFF can hold of its metadata is written. A damaged EXIF block is left out.
    """
    return _corrected(encode_tiff_strips(strips_of_photo(photo), photo.metadata))


def encode_tiff_pages(photos: Iterable[Photo]) -> Iterator[bytes]:
    """Encode several pages, each like `encode_tiff`.

    The EXIF block of the first stands at the beginning of the file, so that offsets within it stay true; those of the
    others are written anew.

    Yields:
        The file in parts, as the pages come; the encoded pixels of one are held.

    Raises:
        ValueError: When it grows beyond 4 GB.
    """
    return _corrected(_written(((strips_of_photo(photo), photo.metadata) for photo in photos), is_big=False))


def encode_tiff_strips(source: StripSource, metadata: Metadata) -> Iterator[bytes | Patch]:
    """Encode a picture whose rows come in strips, as `encode_tiff` would; beyond 4 GB as a BigTIFF.

    Args:
        source: The picture.
        metadata: Of the photo. In a BigTIFF the EXIF block is written anew, so a camera's notes move.

    Yields:
        The file in parts, and at last where its beginning must be corrected.
    """
    growth = _GROWTH.get(_coding_of(source, metadata).compression, 1.02)
    is_big = source.row_bytes * source.size.height * growth > _CLASSIC_BYTES
    return _written(((source, metadata),), is_big=is_big)


def _corrected(parts: Iterable[bytes | Patch]) -> Iterator[bytes]:
    """Put corrections where they belong: each is for the first part of those that came since the one before it."""
    held: list[bytes] = []
    place = 0
    for part in parts:
        if not isinstance(part, Patch):
            held.append(part)
            continue
        start = part.start - place
        held[0] = held[0][:start] + part.content + held[0][start + len(part.content) :]
        yield from held[:-1]
        place += sum(map(len, held[:-1]))
        held = held[-1:]
    yield from held


def _written(pages: Iterable[tuple[StripSource, Metadata]], *, is_big: bool) -> Iterator[bytes | Patch]:
    """Yield a file: a head, and of each page its strips, its directory, and the correction that leads to that."""
    order: ByteOrder = "<"
    place = link = 0
    for source, metadata in pages:
        if not place:
            block, order, main = block_at_start(metadata)
            tree = Tree(tuple(main.values()))
            if is_big:  # in the byte order that every program reads
                block, order = b"II+\0\x08\0\0\0" + bytes(8), "<"
                tree = described_by(metadata, order)
            yield block
            place, link = len(block), 8 if is_big else 4
        else:
            tree = described_by(metadata, order)
        coding = _coding_of(source, metadata)
        rows = _rows_of(source, coding)
        starts, lengths = yield from _strips(regrouped(source.read(), rows), coding, order, place)
        end = place + sum(lengths)
        place = end + end % 2
        entries = {entry.tag: entry for entry in tree.entries}
        entries.update((entry.tag, entry) for entry in _layout_entries(source, coding, rows, order))
        entries.update((entry.tag, entry) for entry in tags_of(metadata, order))
        for tag, numbers in ((273, starts), (279, lengths)):
            entries[tag] = integer_entry(tag, numbers, order, bits=64 if is_big else 32)
        directory = serialise(Tree(tuple(entries.values()), tree.children), order, place, is_big=is_big)
        if place + len(directory) > _CLASSIC_BYTES and not is_big:
            raise ValueError("it grows beyond 4 GB, though its pixels do not")
        if end < place:
            yield bytes(place - end)
        yield directory + bytes(len(directory) % 2)
        yield Patch(link, struct.pack(order + ("Q" if is_big else "I"), place))
        count = len(entries) + len(tree.children)
        link = place + (8 + 20 * count if is_big else 2 + 12 * count)
        place += len(directory) + len(directory) % 2


def _strips(
    strips: Iterator[Strip], coding: TiffCoding, order: ByteOrder, place: int
) -> Generator[bytes, None, tuple[list[int], list[int]]]:
    """Yield strips, compressed; returns where each begins, and its length."""
    starts, lengths = [], []
    for strip in strips:
        packed = _packed(strip, coding, order)
        starts.append(place)
        lengths.append(len(packed))
        place += len(packed)
        yield packed
    return starts, lengths


def _coding_of(source: StripSource, metadata: Metadata) -> TiffCoding:
    coding = metadata.coding if isinstance(metadata.coding, TiffCoding) else DEFAULT_CODING
    if coding.compression == "jpeg" and (source.bits > 8 or source.has_alpha):
        return DEFAULT_CODING
    return coding if coding.compression in PREDICTED else replace(coding, has_predictor=False)


def _rows_of(source: StripSource, coding: TiffCoding) -> int:
    rows = max(_WRITTEN_STRIP_BYTES // source.row_bytes, 1)
    return -(-rows // _JPEG_ROWS) * _JPEG_ROWS if coding.compression == "jpeg" else rows


def _layout_entries(source: StripSource, coding: TiffCoding, rows: int, order: ByteOrder) -> Iterator[Entry]:
    """Yield the tags that say how the pixels are stored."""
    samples = source.colours + source.has_alpha
    colours = _GREY if source.colours == 1 else _YCBCR if coding.compression == "jpeg" else _RGB
    yield integer_entry(256, (source.size.width,), order)
    yield integer_entry(257, (source.size.height,), order)
    yield integer_entry(278, (min(rows, source.size.height),), order)
    shorts = {
        258: (source.bits,) * samples,
        259: (_COMPRESSIONS[coding.compression],),
        262: (colours,),
        **({277: (samples,)} if samples > 1 or source.bits > 8 else {}),  # one is what is meant without it
        284: (1,),
        **({317: (2,)} if coding.has_predictor else {}),
        **({338: (STRAIGHT,)} if source.has_alpha else {}),
        **({530: (1, 1)} if colours == _YCBCR else {}),
    }
    for tag, numbers in shorts.items():
        yield integer_entry(tag, numbers, order, bits=16)


def _packed(strip: Strip, coding: TiffCoding, order: ByteOrder) -> bytes:
    """Return the rows of a strip, compressed: by Pillow's libtiff, as if they were grey of 8 bits."""
    buffer = io.BytesIO()
    if coding.compression == "jpeg":  # each strip is a whole JPEG picture, with its tables
        picture_of(Photo(pixels=strip.pixels)).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        return buffer.getvalue()
    values = strip.pixels if strip.alpha is None else np.dstack([strip.pixels, strip.alpha])
    if coding.has_predictor:
        differences = values.copy()
        differences[:, 1:] -= values[:, :-1]  # modulo 2^bits, as the format wants it
        values = differences
    values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(order), copy=False))
    if coding.compression == "raw":
        return values.tobytes()
    grey = Image.fromarray(values.view(np.uint8).reshape(len(values), -1))
    grey.save(buffer, "TIFF", compression=coding.compression, strip_size=2**31 - 1)
    directory = read_directory(buffer, read_header(buffer).first_offset, read_header(buffer))
    (start,), (length,) = directory.integers(273), directory.integers(279)
    return buffer.getvalue()[start : start + length]
