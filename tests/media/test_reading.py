from __future__ import annotations

import os
import struct
import threading
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from acutance.errors import AcutanceError, ImageTooLarge, InputError, UnsupportedImage
from acutance.media import Metadata, Photo, encode_photo, plan_outputs, read_photo
from acutance.media.formats import FORMATS as TABLE
from acutance.media.photo import TiffCoding

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "JPEG2000")


@pytest.fixture(
    params=[
        *("JPEG", "progressive", "PNG", "palette", "WEBP", "lossless", "TIFF", "LZW", "BMP", "GIF", "PPM"),
        *("PNG 16", "TIFF 16", "LZW 16", "AVIF", "JPEG2000", "codestream", "PPM 16"),
    ]
)
def sound(request, save, photo, pixels, values16) -> bytes:
    """A sound file of each kind, with metadata where there is room for some."""
    kind = request.param
    image = Image.fromarray(pixels)
    if kind.endswith("16"):
        coding = TiffCoding(compression="tiff_lzw", has_predictor=True) if kind == "LZW 16" else None
        metadata = replace(photo.metadata, coding=coding)
        deep = Photo(pixels=values16[:, :, :3].copy(), alpha=values16[:, :, 3].copy(), metadata=metadata)
        return encode_photo(deep, format={"PNG 16": "PNG", "PPM 16": "PPM"}.get(kind, "TIFF"))
    if kind in FORMATS:
        return encode_photo(photo, format=kind)
    if kind == "palette":
        return save(image.quantize(7), "PNG", transparency=2)
    if kind == "codestream":
        return save(image, "JPEG2000", no_jp2=True)
    if kind == "GIF":
        return save(image.quantize(), "GIF")
    options = {"progressive": {"progressive": True}, "lossless": {"lossless": True}, "LZW": {"compression": "tiff_lzw"}}
    return save(
        image, {"progressive": "JPEG", "lossless": "WEBP", "LZW": "TIFF"}.get(kind, kind), **options.get(kind, {})
    )


def test_a_file_and_its_content_give_the_same(tmp_path, sound):
    path = tmp_path / "it"
    path.write_bytes(sound)
    from_file, from_bytes = read_photo(path, max_bits=16), read_photo(sound, max_bits=16)
    np.testing.assert_array_equal(from_file.pixels, from_bytes.pixels)
    assert from_file.metadata == from_bytes.metadata


def test_a_cut_file_is_never_half_decoded(sound):
    whole = read_photo(sound, max_bits=16).pixels
    for length in sorted({*range(1, 60), *np.linspace(60, len(sound) - 1, 60).astype(int)}):
        try:
            cut = read_photo(sound[:length], max_bits=16)
        except InputError:
            continue
        # Only padding, or the end mark of a GIF or a PNG, is missing.
        np.testing.assert_array_equal(cut.pixels, whole)
        assert len(sound) - length <= 12


def test_damage_gives_an_error_of_ours_or_a_picture(sound, capfd):
    rng = np.random.default_rng(len(sound))
    for attempt in range(150):
        damaged = bytearray(sound)
        # Headers are hit as often as pixels.
        start = int(rng.integers(len(damaged) if attempt % 2 else min(200, len(damaged))))
        if attempt % 3:
            damaged[start] ^= 1 << int(rng.integers(8))
        else:
            damaged[start : start + 12] = bytes(len(damaged[start : start + 12]))
        try:
            photo = read_photo(bytes(damaged), max_pixels=10**6, max_bits=16)
        except AcutanceError:
            continue
        assert photo.size.pixels <= 10**6
    assert capfd.readouterr().out == ""  # libtiff itself writes to stderr


@pytest.mark.parametrize("format_", FORMATS)
def test_truncation_is_found_whatever_the_process_has_set(photo, format_):
    data = encode_photo(photo, format=format_)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with pytest.raises(UnsupportedImage, match="cut off or damaged"):
            read_photo(data[: len(data) * 3 // 4])
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def test_damaged_exif_of_a_sound_picture_is_carried_silently(pixels, make_exif):
    exif = make_exif()[:-40]
    for format_ in ("JPEG", "PNG", "WEBP", "JPEG2000"):
        data = encode_photo(Photo(pixels=pixels, metadata=Metadata(exif=exif)), format=format_)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_photo(data).metadata.exif == exif


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello", "not an image"),
        (bytes(1000), "not an image"),
        (b"P7\nWIDTH 1", "a PAM picture"),
        (b"PF\n1 1\n-1\n", "floating-point"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"%PDF-1.7", "a PDF document"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"RIFF\0\0\0\0WAVEfmt ", "not an image"),
    ],
)
def test_other_content_is_named(tmp_path, content, words):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UnsupportedImage, match=words) as error:
        read_photo(path)
    assert str(error.value).startswith(str(path))
    assert str(error.value).count(".") - str(path).count(".") == 1  # one sentence


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_photo(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="is a folder"):
        read_photo(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_photo(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="not the name of a file"):
        read_photo(Path("a\0b"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a file"):
        read_photo(tmp_path / "pipe")


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large, with hardly any content."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    with pytest.raises(ImageTooLarge, match=r"100000×100000 px = 10000 megapixels, the limit is 250 megapixels;"):
        read_photo(bomb(100_000, 100_000))


def test_the_limit_is_the_callers(pixels):
    for format_ in (name for name in TABLE if name != "HEIF"):
        data = encode_photo(Photo(pixels=pixels), format=format_)
        assert read_photo(data, max_pixels=20 * 31, max_bits=16).size == (20, 31)
        with pytest.raises(ImageTooLarge, match="31×20"):
            read_photo(data, max_pixels=20 * 31 - 1)


def test_pillows_own_limit_is_neither_asked_nor_changed(save):
    before = Image.MAX_IMAGE_PIXELS
    data = {format_: save(np.zeros((1100, 1200, 3), np.uint8), format_) for format_ in FORMATS}
    try:
        Image.MAX_IMAGE_PIXELS = 1_000_000  # Pillow would warn
        for content in data.values():
            assert read_photo(content).size == (1100, 1200)
        Image.MAX_IMAGE_PIXELS = 600_000  # Pillow would refuse
        for format_ in ("JPEG", "PNG"):
            assert read_photo(data[format_]).size == (1100, 1200)
        with pytest.raises(ImageTooLarge, match="MAX_IMAGE_PIXELS"):
            read_photo(data["TIFF"])  # its plugin asks by itself
        assert Image.MAX_IMAGE_PIXELS == 600_000
    finally:
        Image.MAX_IMAGE_PIXELS = before


def test_an_empty_size_is_damage():
    with pytest.raises(UnsupportedImage, match="0×5"):
        read_photo(bomb(0, 5))


def test_threads_reading_at_once_leave_the_warning_filters_as_they_were(photo, make_exif):
    exif = make_exif()
    broken = exif[: exif.index(b"Maker of cameras") + 3]  # Pillow warns of this one
    jpeg = encode_photo(Photo(pixels=photo.pixels, metadata=Metadata(exif=broken)), format="JPEG")
    before = list(warnings.filters)
    failures: list[Exception] = []

    def read_many() -> None:
        try:
            for _ in range(30):
                read_photo(jpeg)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=read_many) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert warnings.filters == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x76\x2f\x31\x01" + bytes(40), "an OpenEXR picture"),
        (b"#?RADIANCE\n", "a Radiance picture"),
        (b"gimp xcf v011\0", "a GIMP document"),
        (b"\0\0\1\0\1\0\x10\x10", "an icon"),
        (b"\0\0\2\0\0\0\0\0\0\0\0\0", "a Targa picture"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\0\0\0\x18ftypmif1", "a HEIF picture of a rare coding"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x10\0\x10\1\1\x11\0", "a JPEG-LS picture"),
        (b"\xff\xd8\xff\xc3\0\x0b\x08\0\x10\0\x10\1\1\x11\0", "a lossless JPEG picture"),
    ],
)
def test_a_file_of_a_kind_that_is_not_read_is_named_and_never_called_damaged(content, words):
    with pytest.raises(UnsupportedImage, match=words) as error:
        read_photo(content)
    assert "damaged" not in str(error.value)
    assert "not read" in str(error.value)


def test_pictures_of_other_suffixes_in_a_folder_are_photos(tmp_path, save, pixels):
    for name, format_ in (("a.apng", "PNG"), ("b.mpo", "JPEG")):
        (tmp_path / name).write_bytes(save(pixels, format_))
    assert [file.target.name for file in plan_outputs([tmp_path])] == ["a.sharp.apng", "b.sharp.jpg"]
