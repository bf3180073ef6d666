"""XMP packets, carried byte for byte but for the orientation that they repeat and for what they say of other data.

Phones announce in XMP what they append to a JPEG or put beside a HEIC picture: the video of a moving photo, a gain map.
Where that is gone, programs that believe the packet would read something else in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>\s*))[2-8](?=\s*["'<])""")

_CAMERA = b"http://ns.google.com/photos/1.0/camera/"
_CONTAINER = b"http://ns.google.com/photos/1.0/container/"
_ITEM = b"http://ns.google.com/photos/1.0/container/item/"
_GAIN = b"http://ns.adobe.com/hdr-gain-map/1.0/"

_TERMS = b"http://purl.org/dc/terms/"

VIDEO, GAIN_MAP = "the video of the moving photo", "the gain map (HDR)"
_MAX_PREFIXES = 4
_MOVING = rb"(?:MotionPhoto|MicroVideo)"


def upright_packet(xmp: bytes) -> bytes:
    """Return a packet that says of the pixels that they need not be turned; of the same length."""
    return _ORIENTATION.sub(rb"\g<1>1", xmp)


def announced(xmp: bytes) -> tuple[str, ...]:
    """Return what a packet says is there besides the picture, in words."""
    words = [VIDEO for name in _prefixes(xmp, _CAMERA) if _is_set(xmp, name, _MOVING)]
    for semantic, _ in items_of(xmp):
        words.append({"GainMap": GAIN_MAP, "MotionPhoto": VIDEO}.get(semantic, f"the further picture {semantic!r}"))
    return tuple(dict.fromkeys(words))


def items_of(xmp: bytes) -> list[tuple[str, int]]:
    """Return meaning and length in bytes of what a packet lists behind the picture, in its order."""
    items = []
    names = _prefixes(xmp, _ITEM)
    for directory in _directories(xmp):
        for text in re.findall(rb"<[^<>]*>", xmp[directory]):
            for name in names:
                meaning = re.search(re.escape(name) + rb""":Semantic\s*=\s*["']([^"']*)["']""", text)
                length = re.search(re.escape(name) + rb""":Length\s*=\s*["'](\d{1,18})["']""", text)
                if meaning and meaning[1] != b"Primary":
                    items.append((meaning[1].decode("utf-8", "replace"), int(length[1]) if length else 0))
    return items


def without_announcements(xmp: bytes) -> bytes:
    """Return a packet that does not say of anything that it is there besides the picture."""
    has_gain_map = any(semantic == "GainMap" for semantic, _ in items_of(xmp))
    places = sorted((directory.start, directory.stop) for directory in _directories(xmp))
    starts, stops = [start for start, _ in places], [stop for _, stop in places]
    xmp = b"".join(xmp[stop:start] for stop, start in zip([0, *stops], [*starts, len(xmp)], strict=True))
    for namespace, names in ((_CAMERA, _MOVING + rb"\w*"), (_GAIN, rb"\w+")):
        if namespace != _GAIN or has_gain_map:
            for name in _prefixes(xmp, namespace):
                xmp = _without(xmp, re.escape(name) + b":" + names)
    return xmp


def leads_to_credentials(xmp: bytes) -> bool:
    """Say whether a packet names the place of content credentials (C2PA), in the file or on the web."""
    return without_credentials(xmp) != xmp


def without_credentials(xmp: bytes) -> bytes:
    """Return a packet that names no place of content credentials: they are of the picture as it was."""
    for name in _prefixes(xmp, _TERMS):
        xmp = _without(xmp, re.escape(name) + b":provenance")
    return xmp


def _prefixes(xmp: bytes, namespace: bytes) -> list[bytes]:
    """Return how names of a namespace begin in a packet."""
    found = re.findall(rb"""xmlns:([\w.-]{1,99})\s{0,9}=\s{0,9}["']""" + re.escape(namespace) + rb"""["']""", xmp)
    return list(dict.fromkeys(found))[:_MAX_PREFIXES]


def _is_set(xmp: bytes, prefix: bytes, name: bytes) -> bool:
    return (
        re.search(re.escape(prefix) + b":" + name + rb"""(?:\s{0,9}=\s{0,9}["']|>\s{0,9})1\s{0,9}["'<]""", xmp)
        is not None
    )


def _without(xmp: bytes, name: bytes) -> bytes:
    """Return a packet without the simple properties of a name, a pattern: attributes, and elements of text alone."""
    xmp = re.sub(rb"\s" + name + rb"""\s{0,9}=\s{0,9}(?:"[^"<]*"|'[^'<]*')""", b"", xmp)
    return re.sub(rb"<(" + name + rb")(?:/>|>[^<]*</\1>)", b"", xmp)


def _directories(xmp: bytes) -> Iterator[slice]:
    """Yield where the lists of what lies behind the picture stand."""
    for prefix in _prefixes(xmp, _CONTAINER):
        opening, closing = b"<" + prefix + b":Directory", b"</" + prefix + b":Directory>"
        start = xmp.find(opening)
        while start >= 0:
            end = xmp.find(closing, start)
            if end < 0:
                break
            yield slice(start, end + len(closing))
            start = xmp.find(opening, end)
