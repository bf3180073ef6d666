from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import Metadata, Photo, encode_photo, lost_in, read_photo
from acutance.media.photo import TiffCoding

LOSSLESS = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate")


def written(array: np.ndarray, **options: object) -> bytes:
    """A TIFF file made by tifffile, which shares no code with Pillow."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, metadata=None, **options)
    return buffer.getvalue()


def page_of(tiff: bytes) -> tifffile.TiffPage:
    return tifffile.TiffFile(io.BytesIO(tiff)).pages[0]


def with_tag(tiff: bytes, tag: int, value: int) -> bytes:
    """Change a 16-bit value that stands in the first directory of a little-endian file."""
    changed = bytearray(tiff)
    (offset,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, offset)
    for record in range(offset + 2, offset + 2 + 12 * count, 12):
        if struct.unpack_from("<H", tiff, record) == (tag,):
            struct.pack_into("<I", changed, record + 8, value)
            return bytes(changed)
    raise KeyError(tag)


@pytest.mark.parametrize("compression", LOSSLESS)
@pytest.mark.parametrize("has_predictor", [False, True])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_compression_is_kept_and_pixels_exact(pixels, alpha, compression, has_predictor, mode):
    coding = TiffCoding(compression=compression, has_predictor=has_predictor)
    photo = Photo(
        pixels=np.ascontiguousarray(pixels[:, :, : len(mode.removesuffix("A"))]),
        alpha=alpha if mode.endswith("A") else None,
        metadata=Metadata(coding=coding),
    )

    again = read_photo(encode_photo(photo, format="TIFF"))

    np.testing.assert_array_equal(again.pixels, photo.pixels)
    np.testing.assert_array_equal(again.alpha, photo.alpha)
    is_predicted = has_predictor and compression in ("tiff_lzw", "tiff_adobe_deflate")
    assert again.metadata.coding == TiffCoding(compression=compression, has_predictor=is_predicted)


@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("order", ["<", ">", None])
def test_another_library_reads_the_result(photo, make_exif, compression, order):
    metadata = Metadata(
        exif=None if order is None else make_exif(order=order),
        coding=TiffCoding(compression=compression, has_predictor=True),
        dpi=(300.0, 240.5),
        xmp=photo.metadata.xmp,
        icc_profile=photo.metadata.icc_profile,
        photoshop=b"8BIM\x04\x04\0\0\0\0\0\0",
    )
    tiff = encode_photo(Photo(pixels=photo.pixels, metadata=metadata), format="TIFF")

    file = tifffile.TiffFile(io.BytesIO(tiff))

    assert len(file.pages) == 1
    assert file.byteorder == (order or "<")
    tags = file.pages[0].tags
    np.testing.assert_array_equal(file.pages[0].asarray(), photo.pixels)
    assert tags["XResolution"].value == (300, 1)
    assert tags["YResolution"].value == (481, 2)
    assert tags["XMP"].value == metadata.xmp
    assert tags["InterColorProfile"].value == metadata.icc_profile
    assert tags["ImageResources"].value is not None
    if order is not None:
        assert tags["Make"].value == "Maker of cameras"
        assert tags["ExifTag"].value["ExposureTime"] == pytest.approx(1 / 125)
        assert tags["GPSTag"].value["GPSLatitude"] == (48, 1, 8, 1, 15, 1)


def test_an_exif_block_stands_where_its_offsets_stay_true(pixels, make_exif, maker_note):
    exif = make_exif()
    tiff = encode_photo(Photo(pixels=pixels, metadata=Metadata(exif=exif)), format="TIFF")
    assert tiff[8 : len(exif)] == exif[8:]
    assert tiff.index(maker_note) == exif.index(maker_note)


@pytest.mark.parametrize(("byteorder", "is_big"), [("<", False), (">", False), ("<", True)])
def test_tags_of_scanners_and_geographers_are_carried(pixels, byteorder, is_big):
    source = written(
        pixels,
        byteorder=byteorder,
        bigtiff=is_big,
        description="a map",
        software="scanner 1",
        resolution=(118.0, 118.0),
        resolutionunit="CENTIMETER",
        extratags=[(33550, "d", 3, (0.5, 0.5, 0.0), True), (42113, "s", 0, "-9999", True), (315, "s", 0, "me", True)],
    )
    photo = read_photo(source)

    tags = page_of(encode_photo(photo, format="TIFF")).tags

    assert photo.metadata.dpi == pytest.approx((299.72, 299.72))
    assert lost_in(photo, "TIFF") == ()
    assert (tags[270].value, tags[305].value, tags[315].value) == ("a map", "scanner 1", "me")
    assert tags[33550].value == (0.5, 0.5, 0.0)
    assert tags[42113].value == "-9999"
    assert tags[282].value[0] / tags[282].value[1] == pytest.approx(299.72)


def test_exif_of_a_tiff_goes_into_a_jpeg(photo, maker_note):
    tiff = encode_photo(photo, format="TIFF")
    jpeg = encode_photo(read_photo(tiff), format="JPEG")
    exif = Image.open(io.BytesIO(jpeg)).getexif()
    assert exif[271] == "Maker of cameras"
    assert exif.get_ifd(34665)[37500] == maker_note
    assert exif.get_ifd(34853)[2] == (48.0, 8.0, 15.0)
    assert 273 not in exif  # where the pixels stood


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_oriented_tiff_is_read_upright(pixels, make_exif, orientation):
    photo = Photo(pixels=pixels, metadata=Metadata(exif=make_exif(orientation=orientation)))
    again = read_photo(encode_photo(photo, format="TIFF"))
    assert again.metadata.orientation == 1
    np.testing.assert_array_equal(again.pixels, photo.upright().pixels)


def test_damaged_exif_is_left_out_said_and_its_orientation_applied(pixels, make_exif):
    exif = make_exif(orientation=6)
    photo = Photo(pixels=pixels, metadata=Metadata(exif=exif[: exif.index(b"Maker of cameras")]))
    again = read_photo(encode_photo(photo, format="TIFF"))
    assert lost_in(photo, "TIFF") == ("EXIF (it is damaged)",)
    assert lost_in(photo, "JPEG") == ()
    np.testing.assert_array_equal(again.pixels, np.rot90(pixels, -1))


def test_jpeg_in_tiff_stays_jpeg(save, pixels):
    photo = read_photo(save(pixels, "TIFF", compression="jpeg", quality=90))
    tiff = encode_photo(photo, format="TIFF")
    assert page_of(tiff).compression == 7
    assert np.abs(read_photo(tiff).pixels.astype(int) - photo.pixels).mean() < 2


@pytest.mark.parametrize(("compression", "mode"), [("group4", "1"), ("group3", "1"), ("zstd", "RGB"), ("lzma", "L")])
def test_other_compressions_become_deflate(save, pixels, compression, mode):
    image = Image.fromarray(pixels).convert(mode)
    photo = read_photo(save(image, "TIFF", compression=compression))
    np.testing.assert_array_equal(photo.pixels.squeeze(), np.asarray(image.convert("L" if mode == "1" else mode)))
    assert page_of(encode_photo(photo, format="TIFF")).compression == 8


def test_separate_planes_tiles_and_inverted_grey_are_read(pixels):
    planar = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    for source in (
        written(planar, photometric="rgb", planarconfig="separate"),
        written(pixels, photometric="rgb", tile=(16, 16)),
        written(pixels, photometric="rgb", rowsperstrip=3),
    ):
        np.testing.assert_array_equal(read_photo(source).pixels, pixels)
    grey = pixels[:, :, 0]
    np.testing.assert_array_equal(read_photo(written(255 - grey, photometric="miniswhite")).pixels[:, :, 0], grey)


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 3)])
def test_sixteen_bits_are_refused(shape):
    with pytest.raises(UnsupportedImage, match="16 bits per channel"):
        read_photo(written(np.zeros(shape, np.uint16), photometric="rgb" if len(shape) == 3 else "minisblack"))


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_other_numbers_are_refused(dtype):
    with pytest.raises(UnsupportedImage, match=r"16 bits per channel|signed"):
        read_photo(written(np.zeros((9, 8), dtype)))


def test_bigtiff_in_motorola_order_is_refused(pixels):
    with pytest.raises(UnsupportedImage, match="Motorola"):
        read_photo(written(pixels, byteorder=">", bigtiff=True, photometric="rgb"))


def test_cmyk_without_a_profile_is_refused(save):
    with pytest.raises(UnsupportedImage, match=r"CMYK picture without a colour profile.*; assign"):
        read_photo(save(Image.new("CMYK", (9, 9)), "TIFF"))


def test_several_pages_are_refused_but_not_previews(pixels):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(pixels, photometric="rgb")
        writer.write(pixels[::2, ::2], photometric="rgb", subfiletype=1)
    photo = read_photo(buffer.getvalue())
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert lost_in(photo, "TIFF") == ("the smaller previews in the file",)
    with pytest.raises(UnsupportedImage, match="2 pages"):
        read_photo(written(np.stack([pixels, pixels]), photometric="rgb"))


@pytest.mark.parametrize(
    "raw",
    [
        lambda tiff: with_tag(tiff, 254, 1),  # the first picture is a preview
        lambda tiff: tiff.replace(struct.pack("<HHI", 50000, 1, 4), struct.pack("<HHI", 50706, 1, 4)),  # DNG
        lambda tiff: tiff[:8] + b"CR\2\0" + tiff[12:],  # Canon
    ],
)
def test_raw_files_of_cameras_are_refused(pixels, raw):
    tiff = written(pixels, photometric="rgb", subfiletype=0, extratags=[(50000, "B", 4, b"\1\4\0\0", True)])
    read_photo(tiff)
    with pytest.raises(UnsupportedImage, match="raw file"):
        read_photo(raw(tiff))


def test_layers_of_photoshop_are_left_out_and_said(pixels):
    photo = read_photo(written(pixels, photometric="rgb", extratags=[(37724, "B", 4, b"8BIM", True)]))
    assert lost_in(photo, "TIFF") == ("Photoshop's layers",)
    assert 37724 not in page_of(encode_photo(photo, format="TIFF")).tags


def test_a_palette_and_one_bit_become_more_and_that_is_said(save, pixels):
    image = Image.fromarray(pixels).quantize(9)
    photo = read_photo(save(image, "TIFF"))
    np.testing.assert_array_equal(photo.pixels, np.asarray(image.convert("RGB")))
    assert lost_in(photo, "TIFF") == ("the palette (colours are written in full)",)
    dots = Image.fromarray(pixels[:, :, 0] > 99)
    photo = read_photo(save(dots, "TIFF"))
    np.testing.assert_array_equal(photo.pixels[:, :, 0], np.asarray(dots.convert("L")))
    assert lost_in(photo, "TIFF") == ("the depth of 1 bit (written as 8)",)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize(("photometric", "extra"), [("minisblack", 2), ("rgb", 2), ("rgb", 1)])
def test_transparency_in_a_plane_of_its_own_is_kept(pixels, photometric, extra, tile, compression):
    alpha = (np.arange(pixels[:, :, 0].size) % 256).astype(np.uint8).reshape(pixels.shape[:2])
    colours = pixels.transpose(2, 0, 1) if photometric == "rgb" else pixels[np.newaxis, :, :, 0]
    stored = np.minimum(colours, alpha) if extra == 1 else colours
    how = {"photometric": photometric, "planarconfig": "separate", "tile": tile, "compression": compression}
    photo = read_photo(written(np.concatenate([stored, alpha[np.newaxis]]), extrasamples=[extra], **how))
    np.testing.assert_array_equal(photo.alpha, alpha)
    if extra == 2:
        np.testing.assert_array_equal(photo.pixels, colours.transpose(1, 2, 0))


@pytest.mark.parametrize("extra", [(0, 2), (2, 0), (0, 0)])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_channels_of_no_meaning_do_not_hide_the_transparency(pixels, extra, planes):
    """In any order; and such a file is no damaged one."""
    alpha, spot = 255 - pixels[:, :, 0], pixels[:, :, 1]
    more = [alpha if meaning == 2 else spot for meaning in extra]
    stacked = np.concatenate([pixels, np.stack(more, axis=2)], axis=2)
    stored = np.ascontiguousarray(stacked.transpose(2, 0, 1)) if planes == "separate" else stacked
    photo = read_photo(written(stored, photometric="rgb", planarconfig=planes, extrasamples=extra))
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert (photo.alpha is None) == (2 not in extra)
    assert photo.alpha is None or (photo.alpha == alpha).all()
    assert lost_in(photo, "TIFF") == ("channels that are neither colour nor transparency",)


def test_a_sound_file_of_a_kind_that_is_not_read_is_called_that(pixels):
    """Not damaged: a compression that the library has not, or colours that Pillow does not know."""
    packed = bytearray(written(pixels, photometric="rgb", compression="deflate"))
    place = packed.index(struct.pack("<HHI", 259, 3, 1)) + 8
    for number, words in ((50001, "packed with WebP"), (34887, "packed with LERC"), (60_000, "number 60000")):
        struct.pack_into("<H", packed, place, number)
        with pytest.raises(UnsupportedImage, match=f"{words}.* not read here"):
            read_photo(bytes(packed))
    with pytest.raises(UnsupportedImage, match="rare kind or order, which is not read here"):
        read_photo(written(pixels, photometric="itulab"))


def grey_tiff(*entries: tuple[int, int, int, int], tail: bytes = b"") -> bytes:
    """A TIFF of one grey pixel: further entries are tag, type, count and the number in the field; `tail` is at 300."""
    described = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 1)]
    by_tag = {entry[0]: entry for entry in (*described, *entries)}
    records = b"".join(struct.pack("<HHII", *by_tag[tag]) for tag in sorted(by_tag))
    head = b"II*\0\x0a\0\0\0" + b"\x7f\0" + struct.pack("<H", len(records) // 12) + records + bytes(4)
    return head.ljust(300, b"\0") + tail


def test_tags_larger_than_the_file_are_left_out_and_said():
    photo = read_photo(grey_tiff((270, 2, 9000, 5000), (305, 2, 2**31, 8), (271, 2, 4, 0x434241)))
    assert photo.pixels.ravel().tolist() == [127]
    assert lost_in(photo, "TIFF") == ("the tags 270, 305 (outside of the file)",)
    assert lost_in(read_photo(encode_photo(photo, format="TIFF")), "TIFF") == ()
    for cut in ((277, 3, 2**20, 8), (270, 2, 90, 5000)):
        with pytest.raises(UnsupportedImage, match=f"tag {cut[0]} lies outside of it"):
            read_photo(grey_tiff(cut))


def test_no_bits_are_damage():
    with pytest.raises(UnsupportedImage, match="0 bits"):
        read_photo(grey_tiff((258, 3, 1, 0)))


def nikon(place: int) -> bytes:
    """Notes with a TIFF header of their own; eight bytes of theirs are where `place` says, counted from it."""
    directory = struct.pack("<HHHII", 1, 0x0E22, 3, 4, place) + bytes(4) + b"in\0there"
    return b"Nikon\0\2\0\0\0II*\0\x08\0\0\0" + directory


def canon(place: int) -> bytes:
    """Notes whose offsets count from the beginning of the file."""
    return struct.pack("<HHHII", 1, 0x0E22, 3, 4, place) + bytes(4)


@pytest.mark.parametrize(
    ("notes", "is_lost"),
    [
        (nikon(26), False),
        (nikon(200), True),
        (canon(350), True),
        (canon(9_000_000), False),  # where there was nothing before
        (canon(18) + b"in there", False),
        (b"no directory", False),
    ],
)
def test_what_notes_point_to_outside_of_themselves_is_said(notes, is_lost):
    exif = struct.pack("<HHHII", 1, 37500, 7, len(notes), 318) + bytes(4)
    for entry in ((34665, 4, 1, 300), (37500, 7, len(notes), 318)):  # as they should be, and as they are seen, too
        photo = read_photo(grey_tiff(entry, tail=exif + notes + bytes(300)))
        assert notes in encode_photo(photo, format="TIFF")
        said = ("what the camera's notes point to elsewhere in the file",)
        assert lost_in(photo, "TIFF") == (said if is_lost else ())
