"""Content credentials (C2PA) of a photo hold for its pixels alone: results never carry them on, and say so."""

from __future__ import annotations

import struct

import pytest
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from acutance.media import Metadata, Photo, encode_photo, lost_in, read_photo
from acutance.media.boxes import box_of
from acutance.media.xmp import leads_to_credentials, without_credentials

SIGNED = b"a signed manifest"
UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
SAID = "content credentials (C2PA), which hold for the unchanged picture only"
PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'xmlns:t="http://purl.org/dc/terms/"%s dc:format="image/jpeg">%s</rdf:Description></rdf:RDF></x:xmpmeta>'
)


def with_chunk(webp: bytes) -> bytes:
    body = webp[12:] + struct.pack("<4sI", b"C2PA", len(SIGNED)) + SIGNED + b"\0" * (len(SIGNED) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def with_box(file: bytes) -> bytes:
    return file + box_of(b"uuid", UUID + bytes(4) + b"manifest\0" + bytes(8) + SIGNED)


def with_block(gif: bytes) -> bytes:
    name = b"C2PA_GIF\1\0\0"
    return gif[:-1] + b"\x21\xff" + bytes((len(name),)) + name + bytes((len(SIGNED),)) + SIGNED + b"\0" + gif[-1:]


def as_tiff(save, pixels) -> bytes:
    directory = ImageFileDirectory_v2()
    directory.tagtype[52545] = 7
    directory[52545] = SIGNED
    return save(pixels, "TIFF", tiffinfo=directory)


@pytest.mark.parametrize("format_", ["WEBP", "GIF", "TIFF", "AVIF", "HEIF"])
def test_credentials_are_left_out_and_said(save, pixels, format_):
    if format_ == "HEIF":
        pytest.importorskip("pillow_heif", reason="needs the extra `heif`")
    plain = encode_photo(Photo(pixels=pixels), format=format_)
    adding = {"WEBP": with_chunk, "GIF": with_block, "AVIF": with_box, "HEIF": with_box}
    signed = as_tiff(save, pixels) if format_ == "TIFF" else adding[format_](plain)
    assert SIGNED in signed
    photo = read_photo(signed)
    assert lost_in(photo, format_).count(SAID) == 1
    assert SAID not in lost_in(read_photo(plain), format_)
    assert SIGNED not in encode_photo(photo, format=format_)


@pytest.mark.parametrize(
    "packet",
    [
        PACKET % (b' t:provenance="https://manifests.example.org/1.c2pa"', b""),
        PACKET % (b"", b"<t:provenance>https://manifests.example.org/1.c2pa</t:provenance>"),
    ],
)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF"])
def test_a_link_to_credentials_elsewhere_is_left_out_and_said(pixels, packet, format_):
    photo = Photo(pixels=pixels, metadata=Metadata(xmp=packet))
    assert lost_in(photo, format_) == (SAID,)
    kept = read_photo(encode_photo(photo, format=format_)).metadata.xmp
    assert kept is not None
    assert b"provenance" not in kept
    assert b'dc:format="image/jpeg"' in kept


def test_other_terms_stay():
    packet = PACKET % (b' t:provenance="self#jumbf=c2pa/1" t:created="2026"', b"")
    assert leads_to_credentials(packet)
    assert without_credentials(packet) == PACKET % (b' t:created="2026"', b"")
    assert not leads_to_credentials(PACKET % (b' t:created="2026"', b""))
