"""Kinds of files that are known and not read: each is called by its name, and none of them damaged."""

from __future__ import annotations

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    *(
        (4, b"ftyp" + brand, "a HEIF picture of a rare coding")
        for brand in (b"mif1", b"msf1", b"avci", b"jpeg", b"miaf")
    ),
    (4, b"ftyp", "a video or a picture of a rare kind"),
    (0, b"II\xbc", "a JPEG XR picture"),
    (0, b"BPG\xfb", "a BPG picture"),
    (0, b"FLIF", "a FLIF picture"),
    (0, b"qoif", "a QOI picture"),
    (0, b"farbfeld", "a farbfeld picture"),
    (0, b"P7", "a PAM picture"),
    (0, b"PF", "a picture of floating-point numbers"),
    (0, b"Pf", "a picture of floating-point numbers"),
    (0, b"#?RADIANCE", "a Radiance picture (HDR)"),
    (0, b"#?RGBE", "a Radiance picture (HDR)"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (0, b"SIMPLE  =", "a FITS picture"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"\xabKTX", "a KTX texture"),
    (0, b"\0\0\1\0", "an icon (ICO)"),
    *((0, b"\0\0" + kind + bytes(5), "a Targa picture (TGA)") for kind in (b"\2", b"\3", b"\x0a", b"\x0b")),
    (0, b"\0\0\2\0", "a cursor (CUR)"),
    (0, b"icns", "an icon (ICNS)"),
    (0, b"\x01\xda\x00", "an SGI picture"),
    (0, b"\x01\xda\x01", "an SGI picture"),
    (0, b"\x59\xa6\x6a\x95", "a Sun raster picture"),
    (0, b"\x0a\x05\x01", "a PCX picture"),
    (0, b"#define ", "an XBM or XPM picture, or a program's source"),
    (0, b"/* XPM */", "an XPM picture"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"gimp xcf", "a GIMP document"),
    (128, b"DICM", "a DICOM picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (40, b" EMF", "a Windows metafile"),
    (0, b"AT&TFORM", "a DjVu document"),
    (0, b"PK\3\4", "a zip archive or an office document"),
    (0, b"\x1f\x8b", "a packed file (gzip)"),
    (0, b"7z\xbc\xaf", "a packed file (7z)"),
    (0, b"Rar!", "a packed file (rar)"),
    (0, b"ID3", "a sound"),
    (0, b"fLaC", "a sound"),
)
"""Offset, bytes there, and what such a file is. The more general ones of one offset stand last."""


def describe_unread(head: bytes) -> str:
    """Return what a file is that is of none of our formats, from its beginning, for use in a sentence.

    Returns:
        Such as `a Photoshop document, a kind of file that acutance does not read`; `not an image` of what is not known.
    """
    known = next((name for offset, sign, name in _SIGNATURES if head[offset:].startswith(sign)), None) or _text_of(head)
    return "not an image" if known is None else f"{known}, a kind of file that acutance does not read"


def _text_of(head: bytes) -> str | None:
    """Return what a text is by how it begins."""
    words = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if words.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if words.startswith(b"<?xml") or words.startswith(b"<svg"):
        return "an SVG drawing" if b"<svg" in words else "an XML document"
    return None
