"""XMP packets, carried byte for byte but for the orientation that they repeat."""

from __future__ import annotations

import re

_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>\s*))[2-8](?=\s*["'<])""")


def upright_packet(xmp: bytes) -> bytes:
    """Return a packet that says of the pixels that they need not be turned; of the same length."""
    return _ORIENTATION.sub(rb"\g<1>1", xmp)
