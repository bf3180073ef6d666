"""TIFF files around their pixels: tags are read from the directory, and metadata become tags.

They are carried by `ifd`, so that nothing of what a scanner, a geographer or a camera wrote is lost or reinterpreted.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import BinaryIO

from acutance.errors import UnsupportedImage
from acutance.geometry import Size
from acutance.media.cmyk import converted, srgb_profile
from acutance.media.container import (
    CREDENTIALS_LOST,
    PREVIEWS_LOST,
    Container,
    OtherFormat,
    damaged,
    depth_notes,
    rare_or_damaged,
    refused,
)
from acutance.media.exif import NOTES_LOST, ORIENTATION, X_RESOLUTION, first_directory, notes_lead_out
from acutance.media.ifd import (
    ByteOrder,
    DirectoryError,
    Entry,
    Header,
    Tree,
    block_without,
    first_tree,
    read_directory,
    read_header,
    read_tree,
)
from acutance.media.photo import Metadata
from acutance.media.tiff.layout import LAB, Layout, check_can_be_unpacked, coding_of, layout_of
from acutance.media.xmp import upright_packet

_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION = 254, 256, 257, 258, 259
_STRIP_OFFSETS, _STRIP_BYTES, _Y_RESOLUTION, _RESOLUTION_UNIT, _PREDICTOR = 273, 279, 283, 296, 317
_SUB_IFDS, _SAMPLE_FORMAT, _XMP, _PHOTOSHOP, _ICC, _LAYERS, _DNG = 330, 339, 700, 34377, 34675, 37724, 50706
CREDENTIALS = 52545
"""Tag of content credentials (C2PA)."""
_PHOTOMETRIC, _PALETTE, _CMYK = 262, 3, 5
_RATIONAL, _UNDEFINED, _BYTE, _SHORT = 5, 7, 1, 3

# fmt: off
PIXEL_TAGS = frozenset((
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289,
    290, 291, 292, 293, 317, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 338, 339, 340, 341,
    342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532,
))
# fmt: on
"""Tags that describe how the pixels are stored; they are written anew."""
_APART = frozenset((ORIENTATION, _XMP, _PHOTOSHOP, _ICC, _LAYERS, CREDENTIALS))
"""Tags that are not part of the EXIF block. The orientation is one: Pillow turns the pixels of a TIFF."""
_LOST_TAGS = {_SUB_IFDS: PREVIEWS_LOST, _LAYERS: "Photoshop's layers", CREDENTIALS: CREDENTIALS_LOST}
"""What is said of tags that are left out."""
UNWANTED_VALUES = frozenset((_STRIP_OFFSETS, _STRIP_BYTES, 324, 325, _LAYERS, CREDENTIALS))
"""Tags whose values are long, and not carried."""

_MAX_PAGES = 10_000
_MOST_BITS = 128
"""Of a number: a complex one of two that have 64."""
_REGISTERED_NUMBERS = (1, 2, 3, 4, 5, 6)
"""Kinds of number: whole, signed, floating-point, not told, complex ones of whole and of floating-point parts."""
_MAX_SUB_IFDS = 16
_MAX_NAMED_TAGS = 5
_FLOAT = 3
_RAW_DATA = (32803, 34892)
"""Photometric interpretations of raw files: values behind a filter of colours, and linear ones."""


def inspect_tiff(file: BinaryIO, name: str) -> Container:
    """Read size and metadata of a TIFF file: those of its first page, and where the pages are.

    Raises:
        UnsupportedImage: When it is damaged, or of more than 16 bits.
        OtherFormat: When it is a camera's raw file.
    """
    file.seek(8)
    if file.read(2) == b"CR":  # Canon's signature behind the header
        raise OtherFormat("RAW")
    try:
        header = read_header(file)
        pages, has_previews = _pages(file, header)
    except (DirectoryError, struct.error) as error:
        raise damaged(name, str(error)) from error
    if header.is_big and header.order == ">":  # Pillow takes its directory for a small one
        raise refused(name, "a BigTIFF in Motorola byte order", "save it as an ordinary TIFF first")
    first = inspect_page(file, header.first_offset, name)
    if has_previews:
        note = PREVIEWS_LOST
        left_out = tuple(dict.fromkeys((*first.metadata.left_out, note)))
        first = first._replace(metadata=replace(first.metadata, left_out=left_out))
    return first._replace(pages=pages)


def inspect_pages(file: BinaryIO, container: Container, name: str) -> Iterator[Container]:
    """Yield what is known of each page of a file that has passed `inspect_tiff`."""
    yield container._replace(pages=container.pages[:1])
    for offset in container.pages[1:]:
        try:
            yield inspect_page(file, offset, name)
        except OtherFormat:
            remedy = "save the pages that are pictures as files of their own"
            raise refused(name, "a TIFF with a camera's raw data on one of its pages", remedy) from None


def inspect_page(file: BinaryIO, offset: int, name: str) -> Container:
    """Read size and metadata of the page whose directory stands at an offset.

    Raises:
        UnsupportedImage: When it is damaged, or of more than 16 bits.
        OtherFormat: When it is a camera's raw file.
    """
    try:
        header = read_header(file)
        directory = read_directory(file, offset, header, without=UNWANTED_VALUES)
        tree = read_tree(file, offset, header, without=UNWANTED_VALUES)
    except (DirectoryError, struct.error) as error:
        raise damaged(name, str(error)) from error
    # What is larger than the whole file was not cut off from it: without such a tag, the rest may be sound.
    length = file.seek(0, io.SEEK_END)
    broken = next((tag for tag, _, size in directory.outside if tag in PIXEL_TAGS or size <= length), None)
    if broken is not None:
        raise damaged(name, f"tag {broken} lies outside of it")
    if directory.integer(_SUBFILE_TYPE, 0) & 1 or directory.find(_DNG) or _has_raw_data(file, directory, header):
        raise OtherFormat("RAW")  # whose first picture is only a thumbnail
    compression = directory.integer(_COMPRESSION, 1)
    check_can_be_unpacked(compression, name)
    photometric = directory.integer(_PHOTOMETRIC, 1)
    is_cmyk = photometric == _CMYK
    bits = _bits(directory, name)
    if is_cmyk and bits > 8:
        raise refused(name, "a CMYK picture of 16 bits", "convert it to RGB of 16 bits, with its colour profile, first")
    layout = _layout(directory, name, bits=bits)
    left_out = [*_depth_notes(directory), *_outside_notes(tree)]
    if notes_lead_out(tree, range(length)):
        left_out.append(NOTES_LOST)
    if photometric in LAB:
        left_out.append("Lab (converted to sRGB)")
    if layout is not None and layout.unused > 0:
        left_out.append("channels that are neither colour nor transparency")
    left_out += [words for tag, words in _LOST_TAGS.items() if directory.find(tag)]
    xmp = directory.data(_XMP)
    metadata = Metadata(
        source_format="TIFF",
        exif=block_without(tree, PIXEL_TAGS | _APART),
        icc_profile=srgb_profile() if photometric in LAB else directory.data(_ICC),
        xmp=None if xmp is None else upright_packet(xmp),
        photoshop=directory.data(_PHOTOSHOP),
        dpi=_dpi(directory),
        coding=coding_of(compression, has_predictor=directory.integer(_PREDICTOR, 1) == 2),
        left_out=tuple(left_out),
    )
    size = Size(directory.integer(_HEIGHT, 0), directory.integer(_WIDTH, 0))
    is_inverted = photometric == 0 and len(directory.integers(_BITS)) > 1
    is_odd = layout is not None and (_confuses_pillow(layout) or bool(tree.outside))
    needs_own = bits > 8 or is_inverted or photometric in LAB or is_odd
    container = Container(size, metadata, bits=bits, needs_own_decoder=needs_own, pages=(offset,))
    return converted(container, name) if is_cmyk else container


def block_at_start(metadata: Metadata) -> tuple[bytes, ByteOrder, dict[int, Entry]]:
    """Return what a file begins with, its byte order, and the tags that its first directory takes over."""
    main = None if metadata.exif is None else first_directory(metadata.exif)
    if main is None or metadata.exif is None:
        return b"II*\0\0\0\0\0", "<", {}
    order: ByteOrder = "<" if metadata.exif[:2] == b"II" else ">"
    entries = {entry.tag: entry for entry in main.entries if entry.tag not in PIXEL_TAGS}
    return metadata.exif + b"\0" * (len(metadata.exif) % 2), order, entries


def tags_of(metadata: Metadata, order: ByteOrder) -> Iterator[Entry]:
    """Yield the tags that hold what is carried beside the EXIF block."""
    for tag, type_, data in (
        (_ICC, _UNDEFINED, metadata.icc_profile),
        (_XMP, _BYTE, metadata.xmp),
        (_PHOTOSHOP, _UNDEFINED, metadata.photoshop),
    ):
        if data is not None:
            yield Entry(tag, type_, len(data), data)
    if metadata.dpi is not None:
        for tag, value in zip((X_RESOLUTION, _Y_RESOLUTION), metadata.dpi, strict=True):
            fraction = Fraction(min(value, 4e5)).limit_denominator(10_000)
            numbers = (fraction.numerator, fraction.denominator)
            yield Entry(tag, _RATIONAL, 1, struct.pack(order + "II", *numbers))
        yield Entry(_RESOLUTION_UNIT, _SHORT, 1, struct.pack(order + "H", 2))


def _has_raw_data(file: BinaryIO, directory: Tree, header: Header) -> bool:
    """Say whether a directory, or one that it points to as a version of it, holds what a camera's sensor saw."""
    found = [directory]
    for offset in directory.integers(_SUB_IFDS)[:_MAX_SUB_IFDS]:
        with contextlib.suppress(DirectoryError, struct.error):
            found.append(read_directory(file, offset, header, without=UNWANTED_VALUES))
    return any(one.integer(_PHOTOMETRIC, 1) in _RAW_DATA for one in found)


def _bits(directory: Tree, name: str) -> int:
    """Return how many bits per channel are decoded, 8 or 16."""
    bits = max(directory.integers(_BITS), default=1)
    if not 1 <= bits <= _MOST_BITS:
        raise damaged(name, f"it says that its pixels have {bits} bits")
    kind = directory.integer(_SAMPLE_FORMAT, 1)
    if kind not in (1, _FLOAT, 4):
        is_sound = kind in _REGISTERED_NUMBERS
        what, remedy = "a picture of signed or complex numbers", "convert it to 8 or 16 bits first"
        raise (refused if is_sound else rare_or_damaged)(name, what, remedy)
    return 8 if bits <= 8 and kind != _FLOAT else 16


def _depth_notes(directory: Tree) -> Iterator[str]:
    """Yield what is said of numbers that come back as others."""
    bits = max(directory.integers(_BITS), default=1)
    yield from depth_notes(bits, has_palette=directory.integer(_PHOTOMETRIC, 1) == _PALETTE)
    if directory.integer(_SAMPLE_FORMAT, 1) == _FLOAT:
        yield f"floating-point numbers of {bits} bits (written as whole ones of 16)"
    elif bits > 16:
        yield f"the depth of {bits} bits (written as 16)"


def _outside_notes(tree: Tree) -> Iterator[str]:
    """Yield what is said of tags without values."""
    tags = sorted({tag for tag, _, _ in tree.outside})
    if tags:
        named = ", ".join(map(str, tags[:_MAX_NAMED_TAGS])) + (", …" if len(tags) > _MAX_NAMED_TAGS else "")
        yield f"the tag{'s' if tags[1:] else ''} {named} (outside of the file)"


def _layout(directory: Tree, name: str, *, bits: int) -> Layout | None:
    """Return how the pixels of a page are laid out; None where only Pillow can read them.

    Raises:
        UnsupportedImage: When the page has more than 8 bits and is not read.
    """
    try:
        return layout_of(directory, name)
    except UnsupportedImage:
        if bits > 8:
            raise
        return None


def _confuses_pillow(layout: Layout) -> bool:
    """Say whether Pillow does not find the channels beside the colours, be they transparency or not.

    Those of a file in planes it loses or gives as 0; of several it knows one order.
    """
    extra = layout.samples - layout.colours
    return extra > 1 or (extra > 0 and layout.is_planar)


def _pages(file: BinaryIO, header: Header) -> tuple[tuple[int, ...], bool]:
    """Return where the directories of the pages are, and whether there are smaller versions of them in between."""
    pages, offset, has_previews = [header.first_offset], header.first_offset, False
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MAX_PAGES:
        page = read_directory(file, offset, header, without=UNWANTED_VALUES)
        if seen and page.integer(_SUBFILE_TYPE, 0) & 1:
            has_previews = True
        elif seen:
            pages.append(offset)
        seen.add(offset)
        offset = page.next_offset
    return tuple(pages), has_previews


def _dpi(directory: Tree) -> tuple[float, float] | None:
    per_inch = {2: 1.0, 3: 2.54}.get(directory.integer(_RESOLUTION_UNIT, 2))
    values: list[float] = []
    for tag in (X_RESOLUTION, _Y_RESOLUTION):
        entry = directory.find(tag)
        if per_inch is None or entry is None or entry.type != _RATIONAL or len(entry.data) < 8:
            return None
        numerator, denominator = struct.unpack_from(directory.order + "II", entry.data)
        if not numerator or not denominator:
            return None
        values.append(numerator / denominator * per_inch)
    return values[0], values[1]


def described_by(metadata: Metadata, order: ByteOrder) -> Tree:
    """Return what a directory takes over from an EXIF block that is written anew, in the byte order of the file."""
    tree = None if metadata.exif is None else first_tree(io.BytesIO(metadata.exif))
    if tree is None:
        return Tree(())
    tree = _reordered(tree, order)
    return tree._replace(entries=tuple(entry for entry in tree.entries if entry.tag not in PIXEL_TAGS))


def _reordered(tree: Tree, wanted: ByteOrder) -> Tree:
    entries = tuple(entry.reordered(tree.order, wanted) for entry in tree.entries)
    return tree._replace(entries=entries, children={tag: _reordered(one, wanted) for tag, one in tree.children.items()})
