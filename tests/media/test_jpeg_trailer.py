"""What follows the picture in a JPEG file: kept where it stays true, else said, and not announced any more."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, MpoImagePlugin

from acutance.errors import UnsupportedImage
from acutance.geometry import Size
from acutance.media import Photo, encode_photo, encode_strips, lost_in, open_pictures, read_photo
from acutance.media.atomic import Patch
from acutance.media.strips import Strip, StripSource

XMP = b"http://ns.adobe.com/xap/1.0/\0"
VIDEO = struct.pack(">I8s", 16, b"ftypisom") + b"0000" + bytes(range(1, 200))
MOVING = "the video of the moving photo"


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def packet(attributes: str, *items: tuple[str, int]) -> bytes:
    listed = "".join(
        f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="x/y" Item:Semantic="{meaning}" '
        f'Item:Length="{length}"/></rdf:li>'
        for meaning, length in items
    )
    directory = f"<Container:Directory><rdf:Seq>{listed}</rdf:Seq></Container:Directory>" if items else ""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Camera="http://ns.google.com/photos/1.0/camera/" '
        'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
        'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'dc:source="mine" {attributes}>{directory}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


@pytest.fixture
def jpeg(save, pixels):
    """Give the maker of a JPEG with segments behind its first one."""

    def make(*segments: bytes, **how: object) -> bytes:
        plain = save(pixels, "JPEG", quality=95, **how)
        end = 4 + int.from_bytes(plain[4:6], "big")
        return plain[:end] + b"".join(segments) + plain[end:]

    return make


def moving(jpeg) -> bytes:
    said = f'Camera:MicroVideo="1" Camera:MicroVideoOffset="{len(VIDEO)}" Camera:MotionPhoto="1"'
    items = (("Primary", 0), ("MotionPhoto", len(VIDEO)))
    return jpeg(segment(0xE1, XMP + packet(said, *items))) + VIDEO


def small_picture(*segments: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 99).save(buffer, "JPEG")
    return b"\xff\xd8" + b"".join(segments) + buffer.getvalue()[2:]


GAIN_MAP = small_picture(segment(0xE1, XMP + packet('hdrgm:Version="1.0" hdrgm:GainMapMax="3"')))
PREVIEW = small_picture()


def with_list(jpeg, *pictures: tuple[int, bytes], more: bytes = b"", xmp: bytes | None = None) -> bytes:
    """Make a JPEG that lists pictures of these kinds by the Multi-Picture Format, big-endian, as cameras do."""
    others = () if xmp is None else (segment(0xE1, XMP + xmp),)
    count = len(pictures) + 1
    for end in (0, len(jpeg(*others, segment(0xE2, bytes(4 + 8 + 42 + 16 * count))))):
        place = jpeg(*others, segment(0xE2, b"MPF\0mark")).index(b"MPF\0mark") + 4
        rows, at = [struct.pack(">IIIHH", 0x20030000, end, 0, 0, 0)], end
        for kind, content in pictures:
            rows.append(struct.pack(">IIIHH", kind, len(content), max(at - place, 0), 0, 0))
            at += len(content)
        fields = struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, count)
        fields += struct.pack(">HHII", 0xB002, 7, 16 * count, 50)
        block = b"MM\0*" + struct.pack(">IH", 8, 3) + fields + bytes(4) + b"".join(rows)
        whole = jpeg(*others, segment(0xE2, b"MPF\0" + block))
    return whole + b"".join(content for _, content in pictures) + more


def listed(whole: bytes) -> list[tuple[int, bytes]]:
    """Places and contents of the listed pictures as Pillow, which knows the format, finds them; the first one, too."""
    with MpoImagePlugin.MpoImageFile(io.BytesIO(whole)) as image:
        found = []
        for number, row in enumerate(image.mpinfo[0xB002]):
            image.seek(number)
            image.load()
            found.append((image.offset, whole[image.offset : image.offset + row["Size"]]))
        return found


def test_a_video_behind_the_picture_is_kept_with_what_announces_it(jpeg):
    photo = read_photo(moving(jpeg))
    result = encode_photo(photo, format="JPEG")
    assert result.endswith(b"\xff\xd9" + VIDEO)
    assert read_photo(result).metadata.xmp == photo.metadata.xmp
    assert lost_in(photo, "JPEG") == ()


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF"])
def test_in_another_format_the_video_is_gone_and_that_is_said(jpeg, format_):
    photo = read_photo(moving(jpeg))
    result = encode_photo(photo, format=format_)
    assert MOVING in lost_in(photo, format_)
    assert VIDEO not in result
    xmp = read_photo(result).metadata.xmp
    assert b'dc:source="mine"' in xmp
    assert not any(word in xmp for word in (b"MotionPhoto", b"MicroVideo", b":Directory", b":Item "))
    np.testing.assert_array_equal(read_photo(result).pixels, photo.pixels) if format_ != "WEBP" else None


@pytest.mark.parametrize(
    "element", ["<Camera:MotionPhoto>1</Camera:MotionPhoto>", "<Camera:MicroVideo>1</Camera:MicroVideo>"]
)
def test_a_video_that_others_have_cut_off_is_not_announced_again(jpeg, element):
    xmp = packet("").replace(b"></rdf:Description>", b">" + element.encode() + b"</rdf:Description>")
    photo = read_photo(jpeg(segment(0xE1, XMP + xmp)))
    assert lost_in(photo, "JPEG") == (f"{MOVING} (XMP announced it, the file has none)",)
    assert photo.metadata.xmp == packet("")


def test_a_gain_map_is_kept_and_listed_at_its_new_place(jpeg):
    xmp = packet('hdrgm:Version="1.0"', ("Primary", 0), ("GainMap", len(GAIN_MAP)))
    source = with_list(jpeg, (0, GAIN_MAP), more=VIDEO, xmp=xmp)
    assert [content for _, content in listed(source)][1:] == [GAIN_MAP]
    photo = read_photo(source)
    result = encode_photo(photo, format="JPEG")
    (_, first), (start, second) = listed(result)
    assert (first, second) == (result[: len(first)], GAIN_MAP)
    assert first.endswith(b"\xff\xd9")
    assert result[len(first) :] == GAIN_MAP + VIDEO
    assert start == len(first)
    assert lost_in(photo, "JPEG") == ()
    assert read_photo(result).metadata.xmp == xmp
    assert "the gain map (HDR)" in lost_in(photo, "PNG")
    assert b"hdrgm:Version" not in read_photo(encode_photo(photo, format="PNG")).metadata.xmp


def test_previews_are_left_out_and_said_and_the_rest_is_kept(jpeg):
    """They show the picture as it was."""
    photo = read_photo(with_list(jpeg, (0x10001, PREVIEW), (0, GAIN_MAP), more=VIDEO))
    result = encode_photo(photo, format="JPEG")
    (_, first), (_, second) = listed(result)
    assert second == GAIN_MAP
    assert result[len(first) :] == GAIN_MAP + VIDEO
    assert lost_in(photo, "JPEG") == ("the further pictures in the file (previews or other views)",)
    alone = read_photo(with_list(jpeg, (0x10001, PREVIEW)))
    assert alone.metadata.jpeg_trailer is None
    assert b"MPF\0" not in encode_photo(alone, format="JPEG")
    unlisted = read_photo(jpeg() + PREVIEW + bytes(99))
    assert unlisted.metadata.jpeg_trailer is None
    assert lost_in(unlisted, "JPEG") == ("the further pictures in the file (previews or other views)",)


def test_unknown_data_are_carried_and_zeros_are_not(jpeg):
    caption = b"\0\0AXS!caption of some program\0\0AXS*"
    photo = read_photo(jpeg() + caption)
    assert encode_photo(photo, format="JPEG").endswith(b"\xff\xd9" + caption)
    assert lost_in(photo, "PNG") == ("what lies behind the picture in the JPEG file",)
    padded = read_photo(jpeg() + bytes(4096))
    assert padded.metadata.jpeg_trailer is None
    assert lost_in(padded, "PNG") == ()


def test_a_picture_written_in_strips_keeps_them_as_well(jpeg, pixels):
    metadata = read_photo(with_list(jpeg, (0, GAIN_MAP), more=VIDEO)).metadata
    strips = StripSource(
        size=Size(*pixels.shape[:2]), bits=8, colours=3, has_alpha=False, read=lambda: iter([Strip(pixels, None)])
    )
    result = bytearray()
    for part in encode_strips(strips, metadata, "JPEG"):
        if isinstance(part, Patch):
            result[part.start : part.start + len(part.content)] = part.content
        else:
            result += part
    (_, first), (_, second) = listed(bytes(result))
    assert second == GAIN_MAP
    assert bytes(result[len(first) :]) == GAIN_MAP + VIDEO
    reread = read_photo(bytes(result))
    assert isinstance(reread, Photo)


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"subsampling": 2}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_file_without_its_end_marker_is_opened_and_that_is_said(jpeg, how, missing):
    whole = jpeg(**how)
    photo = read_photo(whole[:-missing] if missing == 2 else whole[:-1])
    np.testing.assert_array_equal(photo.pixels, read_photo(whole).pixels)
    assert "its end marker was missing" in lost_in(photo, "JPEG")[0]
    np.testing.assert_array_equal(read_photo(whole[:-2] + bytes(3000)).pixels, photo.pixels)
    with open_pictures(whole[:-2]) as pictures:
        assert pictures.strips() is None


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_file_that_ends_within_its_pixels_is_refused_as_before(jpeg, how):
    whole = jpeg(**how)
    begin = whole.index(b"\xff\xda")
    for end in range(begin + 20, len(whole) - 4, 7):
        for padding in (b"", bytes(500)):
            with pytest.raises(UnsupportedImage, match="cut off or damaged"):
                read_photo(whole[:end] + padding)


@pytest.mark.parametrize(("far", "is_lost"), [(0, True), (10**6, False), (-200, False)])
def test_notes_that_point_behind_the_picture_are_told(save, pixels, far, is_lost):
    def block(place: int) -> bytes:
        notes = struct.pack("<HHHII", 1, 0x81, 7, 9, place) + bytes(4)
        exif = struct.pack("<HHHII", 1, 37500, 7, len(notes), 44) + bytes(4)
        return b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 34665, 4, 1, 26) + bytes(4) + exif + notes + bytes(99)

    def jpeg(place: int) -> bytes:
        payload = b"Exif\0\0" + block(place)
        plain = save(pixels, "JPEG")
        return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + plain[2:]

    photo = read_photo(jpeg(len(jpeg(0)) - 12 + far) + b"a preview")
    assert encode_photo(photo, format="JPEG").endswith(b"a preview")
    assert lost_in(photo, "JPEG") == (("what the camera's notes point to elsewhere in the file",) if is_lost else ())
