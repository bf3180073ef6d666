"""Files in strips: the rows read are those of the whole picture, and what is written in strips reads the same."""

from __future__ import annotations

import io
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from acutance.errors import OutputError, UnsupportedImage
from acutance.media import (
    Metadata,
    Photo,
    StripSource,
    can_be_streamed,
    encode_photo,
    encode_strips,
    joined_parts,
    open_pictures,
    pnm,
    read_photo,
)
from acutance.media.jpeg import pixels as jpeg_pixels
from acutance.media.photo import PnmCoding, TiffCoding
from acutance.media.png import pixels as png_pixels
from acutance.media.strips import Strip, joined, regrouped
from acutance.media.tiff import pixels as tiff_pixels
from acutance.media.tiff import writing as tiff_writing

HEIGHT, WIDTH = 230, 61
needs_vips = pytest.mark.skipif(find_spec("pyvips") is None, reason="needs the extra 'large'")


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    """Or all of a small picture would be one strip."""
    for module, name in (
        (png_pixels, "_STRIP_BYTES"),
        (png_pixels, "_BLOCK_BYTES"),
        (pnm, "_STRIP_BYTES"),
        (jpeg_pixels, "_STRIP_BYTES"),
        (tiff_pixels, "_RAW_STRIP_BYTES"),
        (tiff_writing, "_WRITTEN_STRIP_BYTES"),
        (tiff_pixels, "_GROUP_BYTES"),
    ):
        monkeypatch.setattr(module, name, 3000)


def picture(bits: int, colours: int, *, alpha: bool = False) -> Photo:
    random = np.random.default_rng(bits + colours)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [128 + 90 * np.sin(y / 7 + x / 9), 40 + 2 * x, 230 - y / 2, 255 * (x > 20) * (y % 50 > 9)]
    values = np.clip(np.stack(planes, -1) + random.normal(0, 3, (HEIGHT, WIDTH, 4)), 0, 255)
    values = values.astype(np.uint8) if bits == 8 else (values * 257).astype(np.uint16)
    values[..., 3] = np.where(values[..., 3] > values.max() // 2, 2**bits - 1, 0)
    return Photo(pixels=values[..., :colours].copy(), alpha=values[..., 3].copy() if alpha else None)


def in_strips(data: bytes | Path, *, are_several: bool = True) -> tuple[StripSource | None, Photo | None]:
    """What is read in strips, put together; None for what cannot be."""
    with open_pictures(data, max_bits=16) as pictures:
        source = pictures.strips()
        if source is None:
            return None, None
        strips = list(source.read())
        assert len(strips) > 1 or not are_several
        together = joined(strips)
        again = joined(list(source.read()))  # as often as wanted
        np.testing.assert_array_equal(again.pixels, together.pixels)
        assert source.size == together.pixels.shape[:2]
        return source, Photo(pixels=together.pixels, alpha=together.alpha)


def assert_same(one: Photo, other: Photo) -> None:
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert one.pixels.dtype == other.pixels.dtype
    if other.alpha is None:
        assert one.alpha is None
    else:
        np.testing.assert_array_equal(one.alpha, other.alpha)


@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", [(1, False), (3, False), (1, True), (3, True)])
def test_tiff_goes_in_and_out_in_strips(photo, compression, predictor, bits, kind):
    colours, alpha = kind
    coding = TiffCoding(compression=compression, has_predictor=predictor and compression.startswith("tiff"))
    before = replace(picture(bits, colours, alpha=alpha), metadata=replace(photo.metadata, coding=coding))
    data = encode_photo(before, format="TIFF")

    _, read = in_strips(data, are_several=False)  # Pillow makes large ones
    assert_same(read, before)

    with open_pictures(data, max_bits=16) as pictures:
        written = joined_parts(encode_strips(pictures.strips(), pictures.metadata, "TIFF"))
        assert read_photo(written, max_bits=16).metadata == pictures.metadata
    assert_same(read_photo(written, max_bits=16), before)
    assert_same(in_strips(written)[1], before)
    page = tifffile.TiffFile(io.BytesIO(written)).pages[0]
    assert len(page.dataoffsets) > 1
    if compression in ("raw", "tiff_adobe_deflate"):  # for the others, tifffile wants another package
        shown = page.asarray().reshape(HEIGHT, WIDTH, -1)
        np.testing.assert_array_equal(shown[..., :colours], before.pixels)


def test_pictures_beyond_4_gb_become_bigtiffs(photo, monkeypatch, maker_note):
    monkeypatch.setattr(tiff_writing, "_CLASSIC_BYTES", 10_000)
    before = replace(picture(16, 3), metadata=photo.metadata)
    with open_pictures(encode_photo(before, format="TIFF"), max_bits=16) as pictures:
        written = joined_parts(encode_strips(pictures.strips(), pictures.metadata, "TIFF"))
    file = tifffile.TiffFile(io.BytesIO(written))
    assert file.is_bigtiff
    np.testing.assert_array_equal(file.pages[0].asarray(), before.pixels)
    again = read_photo(written, max_bits=16)
    assert_same(again, before)
    for kind in ("icc_profile", "xmp", "dpi"):
        assert getattr(again.metadata, kind) == getattr(photo.metadata, kind)
    exif = Image.Exif()
    exif.load(again.metadata.exif)
    assert exif.get_ifd(34665)[37500] == maker_note
    assert exif.get_ifd(34853) == {1: "N", 2: (48.0, 8.0, 15.0)}


def test_noise_that_lzw_makes_larger_than_4_gb_becomes_a_bigtiff(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    monkeypatch.setattr(tiff_writing, "_CLASSIC_BYTES", int(noise.size * 1.2))
    coding = TiffCoding(compression="tiff_lzw", has_predictor=True)
    with open_pictures(encode_photo(Photo(pixels=noise), format="TIFF")) as pictures:
        written = joined_parts(encode_strips(pictures.strips(), Metadata(coding=coding), "TIFF"))
    assert len(written) > 1.2 * noise.size
    assert tifffile.TiffFile(io.BytesIO(written)).is_bigtiff
    np.testing.assert_array_equal(read_photo(written).pixels, noise)


@pytest.mark.parametrize("options", [{"tile": (32, 48)}, {"tile": (16, 16)}, {"rowsperstrip": 7}, {}])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiffs_of_other_programs_are_read_in_strips(options, compression, byteorder):
    before = picture(16, 3)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, before.pixels, photometric="rgb", compression=compression, byteorder=byteorder, **options)
    if not options and compression:  # one strip, packed as a whole
        with open_pictures(buffer.getvalue(), max_bits=16) as pictures:
            assert_same(Photo(pixels=joined(list(pictures.strips().read())).pixels), before)
        return
    _, read = in_strips(buffer.getvalue())
    assert_same(read, before)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
@pytest.mark.parametrize("extra", [None, "unspecified", "assocalpha", "unassalpha"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_what_is_read_in_strips_is_what_is_read_as_a_whole(tmp_path, bits, photometric, extra, planes):
    colours = 3 if photometric == "rgb" else 1
    photo = picture(bits, colours, alpha=True)
    samples = photo.pixels if extra is None else np.dstack([photo.pixels, photo.alpha])
    path = tmp_path / "it.tif"
    tifffile.imwrite(
        path,
        np.moveaxis(samples, 2, 0) if planes == "separate" and samples.shape[2] > 1 else samples.squeeze(),
        photometric=photometric,
        extrasamples=None if extra is None else [extra],
        planarconfig=planes if samples.shape[2] > 1 else None,
        compression="zlib",
        predictor=bits == 16,
        rowsperstrip=16,
    )
    whole = read_photo(path, max_bits=16)
    visible = photo.pixels if extra != "assocalpha" else photo.pixels[photo.alpha > 0]
    again = whole.pixels if extra != "assocalpha" else whole.pixels[photo.alpha > 0]
    np.testing.assert_array_equal(again, 2**bits - 1 - visible if photometric == "miniswhite" else visible)
    is_said = "channels that are neither colour nor transparency" in whole.metadata.left_out
    assert is_said == (extra == "unspecified")
    source, read = in_strips(path)
    if source is None:
        assert planes == "separate" or extra in ("unspecified", "assocalpha")
    else:
        assert_same(read, whole)


def test_one_packed_strip_that_is_too_large_is_not_read_in_strips(monkeypatch):
    monkeypatch.setattr(tiff_pixels, "MAX_BLOCK_BYTES", 1000)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, picture(8, 3).pixels, photometric="rgb", compression="zlib", rowsperstrip=HEIGHT)
    assert in_strips(buffer.getvalue()) == (None, None)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("colours", "alpha"), [(1, False), (3, False), (1, True), (3, True)])
def test_png_goes_in_and_out_in_strips(photo, bits, colours, alpha):
    before = replace(picture(bits, colours, alpha=alpha), metadata=photo.metadata)
    data = encode_photo(before, format="PNG")
    _, read = in_strips(data)
    assert_same(read, before)
    with open_pictures(data, max_bits=16) as pictures:
        written = joined_parts(encode_strips(pictures.strips(), pictures.metadata, "PNG"))
        assert read_photo(written, max_bits=16).metadata == pictures.metadata
    assert_same(read_photo(written, max_bits=16), before)
    if bits == 8:
        shown = np.asarray(Image.open(io.BytesIO(written))).reshape(HEIGHT, WIDTH, -1)
        np.testing.assert_array_equal(shown[..., :colours], before.pixels)


@needs_vips
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("colours", [1, 3])
def test_jpeg_goes_in_and_out_in_strips(tmp_path, save, photo, subsampling, colours):
    pixels = picture(8, colours).pixels
    image = Image.fromarray(pixels if colours == 3 else pixels[..., 0])
    first = read_photo(save(image, "JPEG", quality=86, subsampling=subsampling))
    before = replace(first, metadata=replace(photo.metadata, coding=first.metadata.coding))
    path = tmp_path / "it.jpg"
    path.write_bytes(encode_photo(before, format="JPEG"))
    whole = read_photo(path)

    for source in (path, path.read_bytes()):
        _, read = in_strips(source)
        assert_same(read, whole)
    with open_pictures(path) as pictures:
        written = joined_parts(encode_strips(pictures.strips(), pictures.metadata, "JPEG"))
    again = read_photo(written)
    assert_same(again, read_photo(encode_photo(whole, format="JPEG")))
    assert again.metadata == whole.metadata


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colours", [1, 3])
def test_ppm_goes_in_and_out_in_strips(bits, colours):
    before = picture(bits, colours)
    data = encode_photo(before, format="PPM")
    _, read = in_strips(data)
    assert_same(read, before)
    with open_pictures(data, max_bits=16) as pictures:
        assert joined_parts(encode_strips(pictures.strips(), pictures.metadata, "PPM")) == data


@pytest.mark.parametrize("format_", ["JPEG", "PPM"])
def test_on_the_way_to_a_poorer_format_strips_become_what_photos_do(format_):
    before = picture(16, 3, alpha=True)
    with open_pictures(encode_photo(before, format="PNG"), max_bits=16) as pictures:
        written = joined_parts(encode_strips(pictures.strips(), Metadata(), format_))
    assert_same(read_photo(written, max_bits=16), read_photo(encode_photo(before, format=format_), max_bits=16))


def test_levels_of_a_pgm_stay_as_many():
    before = replace(picture(16, 1), metadata=Metadata(coding=PnmCoding(white=4095)))
    with open_pictures(encode_photo(before, format="TIFF"), max_bits=16) as pictures:
        written = joined_parts(encode_strips(pictures.strips(), before.metadata, "PPM"))
    assert written == encode_photo(before, format="PPM")


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("WEBP", {}),
        ("BMP", {}),
        ("TIFF", {"compression": "jpeg"}),
    ],
)
def test_what_is_not_made_for_it_is_not_read_in_strips(save, format_, options):
    with open_pictures(save(Image.fromarray(picture(8, 3).pixels), format_, **options)) as pictures:
        assert pictures.strips() is None


def test_palettes_are_not_read_in_strips(save):
    image = Image.fromarray(picture(8, 3).pixels).quantize(16)
    for format_ in ("PNG", "TIFF"):
        with open_pictures(save(image, format_)) as pictures:
            assert pictures.strips() is None


def test_what_must_be_turned_is_not_written_in_strips(make_exif):
    turned = Metadata(source_format="JPEG", exif=make_exif(orientation=6))
    assert can_be_streamed(turned, "JPEG")
    assert not can_be_streamed(turned, "PNG")
    assert not can_be_streamed(Metadata(), "WEBP")


def test_a_side_that_is_too_long_is_refused_before_the_work():
    source = StripSource(
        size=picture(8, 3).size._replace(width=70_000), bits=8, colours=3, has_alpha=False, read=lambda: iter(())
    )
    with pytest.raises(OutputError, match="65500"):
        list(encode_strips(source, Metadata(), "JPEG"))


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "PPM"])
def test_cut_files_never_give_a_whole_picture(format_):
    data = encode_photo(picture(16, 3), format=format_)
    for length in np.linspace(60, len(data) - 20, 30).astype(int):
        try:
            with open_pictures(data[:length], max_bits=16) as pictures:
                source = pictures.strips()
                assert source is not None
                rows = sum(len(strip.pixels) for strip in source.read())
        except UnsupportedImage:
            continue
        pytest.fail(f"{rows} rows of a file that was cut at {length}")


@pytest.mark.parametrize("rows", [1, 7, 100, 1000])
def test_rows_are_grouped_anew(rows):
    photo = picture(8, 3, alpha=True)
    cuts = [0, 1, 2, 50, 51, 200, HEIGHT]
    strips = [Strip(photo.pixels[a:b], photo.alpha[a:b]) for a, b in pairwise(cuts)]
    again = list(regrouped(iter(strips), rows))
    assert {len(strip.pixels) for strip in again[:-1]} <= {rows}
    assert_same(Photo(pixels=joined(again).pixels, alpha=joined(again).alpha), photo)
