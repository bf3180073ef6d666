"""PNG, animated ones too: Pillow undoes filters and packs rows of 8 bits; chunks, 16 bits and animations are ours."""

from __future__ import annotations

from acutance.media.format import Format, Frames, Strips, begins
from acutance.media.png.animation import decode_apng, encode_apng
from acutance.media.png.chunks import SIGNATURE
from acutance.media.png.pixels import decode_png, encode_png, encode_png_strips, open_png_strips
from acutance.media.png.reading import inspect_png

PNG = Format(
    name="PNG",
    label="PNG",
    query="png",
    media_type="image/png",
    suffixes=(".png", ".apng"),
    sniff=begins(SIGNATURE),
    inspect=inspect_png,
    decode=decode_png,
    encode=encode_png,
    strips=Strips(open=open_png_strips, encode=encode_png_strips),
    frames=Frames(decode=decode_apng, encode=encode_apng, holds_still=True),
    max_bits=16,
    holds=frozenset(("exif", "xmp", "icc", "dpi", "chunks", "colours")),
    orientation="passed over",
    pixels="8 or 16 bit grey, RGB, with transparency",
    coding="lossless",
)
