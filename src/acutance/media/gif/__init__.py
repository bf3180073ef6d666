"""GIF, animated ones too: Pillow packs and unpacks the pixels; the blocks around them, and composing, are ours."""

from __future__ import annotations

from acutance.media.format import Format, Frames, begins
from acutance.media.gif.pictures import (
    decode_gif,
    decode_gif_frames,
    encode_gif,
    encode_gif_frames,
    inspect_gif,
    lost_in_gif,
)

GIF = Format(
    name="GIF",
    label="GIF",
    query="gif",
    media_type="image/gif",
    suffixes=(".gif",),
    sniff=begins(b"GIF87a", b"GIF89a"),
    inspect=inspect_gif,
    decode=decode_gif,
    encode=encode_gif,
    frames=Frames(decode=decode_gif_frames, encode=encode_gif_frames, per_second=100),
    holds=frozenset(("xmp", "icc", "comments")),
    grey_profiles="not held",
    orientation="not held",
    also_lost=lost_in_gif,
    max_side_px=65_535,
    pixels="8 bit, up to 256 colours, transparent or not",
    coding="exact up to 256 colours, else the best 256, dithered",
)
