"""PBM, PGM and PPM files: a few numbers in plain text, and the pixels behind them.

Pillow reads those of up to 256 levels; of more it would quietly make 256 in colour. Comments are all the metadata that
they hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
from PIL.PpmImagePlugin import PpmImageFile

from acutance.errors import WrongName
from acutance.geometry import Size
from acutance.media.atomic import Patch
from acutance.media.container import Container, Decoded, damaged, depth_notes, rescaled
from acutance.media.format import Format, Strips, begins
from acutance.media.photo import Metadata, Photo, PnmCoding
from acutance.media.pil import decoded, open_plugin
from acutance.media.strips import Strip, StripSource, strips_of_photo

Part = TypeVar("Part", bound=bytes | memoryview | Patch)

_HEAD_BYTES = 2**16
"""Longest header, comments included, that is looked at."""
_STRIP_BYTES = 2**23
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_BITMAP = re.compile(rb"P[14]" + _SPACE + rb"(\d+)" + _SPACE + rb"(\d+)()\s")
_MAP = re.compile(rb"P[2356]" + _SPACE + rb"(\d+)" + _SPACE + rb"(\d+)" + _SPACE + rb"(\d+)\s")


class _Header(NamedTuple):
    kind: int
    size: Size
    white: int
    """The value of white; 1 in a bitmap."""
    start: int
    """Where the pixels begin."""
    comments: tuple[bytes, ...]

    @property
    def is_text(self) -> bool:
        return self.kind < 4

    @property
    def channels(self) -> int:
        return 3 if self.kind in (3, 6) else 1


def inspect_pnm(file: BinaryIO, name: str) -> Container:
    """Read the size of a PBM, PGM or PPM file."""
    header = _header(file, name)
    is_deep = header.white > 255
    metadata = Metadata(
        source_format="PPM",
        comments=header.comments,
        coding=PnmCoding(white=header.white) if is_deep else None,
        left_out=depth_notes(header.white.bit_length(), has_palette=False),
    )
    return Container(header.size, metadata, bits=16 if is_deep else 8)


def decode_pnm(file: BinaryIO, container: Container, name: str) -> Decoded:
    """Decode a file that has passed `inspect_pnm`; above 256 levels, white becomes 65535, whatever it is there."""
    if container.bits == 8:
        return decoded(open_plugin(file, PpmImageFile), container, name)
    header = _header(file, name)
    shape = (*header.size, header.channels)
    count = header.size.pixels * header.channels
    file.seek(header.start)
    if header.is_text:
        words = re.sub(rb"#[^\r\n]*", b"", file.read()).split()[:count]
        values = np.array(words, np.int64) if len(words) == count else np.empty(0, np.int64)
    else:
        data = file.read(2 * count)
        values = np.frombuffer(data, ">u2", count=len(data) // 2)
    if len(values) < count:
        raise damaged(name, "it ends too early")
    if values.max() > header.white or values.min() < 0:
        raise damaged(name, "a value is brighter than white")
    return rescaled(values, header.white, 65535).reshape(shape), None


def encode_pnm(photo: Photo) -> Iterator[bytes]:
    """Encode a photo without transparency as a binary PGM (grey) or PPM, with as many levels as it came with."""
    return encode_pnm_strips(strips_of_photo(photo), photo.metadata)


def parts_for_name(path: Path, parts: Iterable[Part]) -> Iterator[Part]:
    """Pass on the content of a file; refuse colours under the name .pgm, which promises greys.

    Raises:
        WrongName: When they come.
    """
    for number, part in enumerate(parts):
        if not number and path.suffix.lower() == ".pgm" and not isinstance(part, Patch) and bytes(part[:2]) == b"P6":
            raise WrongName(f"{path}: a .pgm holds greys, and the picture has colours; name it .ppm or .pnm.")
        yield part


def encode_pnm_strips(source: StripSource, metadata: Metadata) -> Iterator[bytes]:
    """Encode a picture without transparency whose rows come in strips; see `encode_pnm`."""
    is_deep = source.bits > 8
    white = metadata.coding.white if is_deep and isinstance(metadata.coding, PnmCoding) else 2**source.bits - 1
    lines = [line.strip() for comment in metadata.comments for line in comment.splitlines()]
    comments = b"".join(b"# " + line + b"\n" for line in lines)
    kind = 5 if source.colours == 1 else 6
    yield b"P%d\n%b%d %d\n%d\n" % (kind, comments, source.size.width, source.size.height, white)
    for strip in source.read():
        yield (rescaled(strip.pixels, 65535, white).astype(">u2") if is_deep else strip.pixels).tobytes()


def open_pnm_strips(file: BinaryIO, container: Container, name: str) -> StripSource | None:
    """Return a file that has passed `inspect_pnm`, to be read in strips; None for bitmaps, text and few levels."""
    header = _header(file, name)
    if header.kind not in (5, 6) or header.white not in (255, 65535):
        return None
    kind = np.dtype(">u2" if header.white > 255 else "u1")
    row_bytes = header.size.width * header.channels * kind.itemsize
    rows = max(_STRIP_BYTES // row_bytes, 1)

    def read() -> Iterator[Strip]:
        for top in range(0, header.size.height, rows):
            height = min(rows, header.size.height - top)
            file.seek(header.start + top * row_bytes)
            data = file.read(height * row_bytes)
            if len(data) < height * row_bytes:
                raise damaged(name, "it ends too early")
            values = np.frombuffer(data, kind).reshape(height, header.size.width, header.channels)
            yield Strip(values.astype(kind.newbyteorder("=")), None)

    bits = 8 * kind.itemsize
    return StripSource(size=header.size, bits=bits, colours=header.channels, has_alpha=False, read=read)


def _header(file: BinaryIO, name: str) -> _Header:
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    found = _BITMAP.match(head) or _MAP.match(head)
    if found is None:
        raise damaged(name, "its header is incomplete")
    width, height, white = (int(number[:12] or b"1") for number in found.groups())
    if not 1 <= white <= 65535:
        raise damaged(name, f"it says that white is {white}")
    comments = tuple(line.strip() for line in re.findall(rb"#([^\r\n]*)[\r\n]", found.group()))
    return _Header(int(head[1:2]), Size(height, width), white, found.end(), comments)


PPM = Format(
    name="PPM",
    label="PBM, PGM, PPM",
    query="ppm",
    media_type="image/x-portable-anymap",
    suffixes=(".ppm", ".pgm", ".pnm"),
    other_suffixes=(".pbm",),
    sniff=begins(*(b"P%d" % kind + space for kind in range(1, 7) for space in (b" ", b"\n", b"\r", b"\t", b"#"))),
    inspect=inspect_pnm,
    decode=decode_pnm,
    encode=encode_pnm,
    strips=Strips(open=open_pnm_strips, encode=encode_pnm_strips),
    max_bits=16,
    holds=frozenset(("comments",)),
    has_alpha=False,
    orientation="not held",
    pixels="8 or 16 bit grey, RGB",
    coding="uncompressed, as many levels as before",
)
