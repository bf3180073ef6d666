"""JPEG XL: read by an extra, in all its bits, and written as PNG."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import jxl, lost_in, open_pictures, plan_outputs, read_photo

needs_plugin = pytest.mark.skipif(not jxl.is_installed(), reason="needs the extra 'jxl'")


def written(image: Image.Image, **options: object) -> bytes:
    pytest.importorskip("pillow_jxl")
    buffer = io.BytesIO()
    image.save(buffer, "JXL", lossless=True, effort=1, num_threads=1, **options)
    return buffer.getvalue()


@needs_plugin
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("boxed", [False, True])
def test_pixels_come_exactly(pixels, mode, boxed):
    image = Image.fromarray(pixels).convert(mode)
    data = written(image, use_container=boxed)

    photo = read_photo(data)

    values = np.asarray(image).reshape(*pixels.shape[:2], -1)
    colours = 3 if mode.startswith("RGB") else 1
    np.testing.assert_array_equal(photo.pixels, values[..., :colours])
    assert (photo.alpha is None) == (not mode.endswith("A"))
    assert jxl.NOTE in lost_in(photo, "PNG")
    assert photo.metadata.icc_profile is not None
    with open_pictures(data) as pictures:
        assert (pictures.format, pictures.size) == ("PNG", pixels.shape[:2])


@needs_plugin
def test_16_bits_stay(pixels):
    levels = pixels[..., 0].astype(np.uint16) * 200 + 7
    data = written(Image.fromarray(levels))
    np.testing.assert_array_equal(read_photo(data, max_bits=16).pixels[..., 0], levels)
    with pytest.raises(UnsupportedImage, match="16 bits per channel"):
        read_photo(data)


@needs_plugin
def test_metadata_are_kept_and_the_picture_is_upright(pixels, make_exif):
    exif = make_exif(orientation=1)
    photo = read_photo(written(Image.fromarray(pixels), exif=exif, xmp=b"<x:xmpmeta/>", use_container=True))
    assert photo.metadata.exif == exif
    assert photo.metadata.xmp == b"<x:xmpmeta/>"


@needs_plugin
@pytest.mark.parametrize("shape", [(8, 8), (256, 256), (9, 700), (100, 120), (90, 120), (90, 160), (300, 1)])
def test_the_size_is_known_before_decoding(shape, monkeypatch):
    data = written(Image.fromarray(np.zeros(shape, np.uint8)))
    monkeypatch.setattr(jxl, "MAX_PIXELS", shape[0] * shape[1] - 1)
    monkeypatch.setattr(jxl, "_decoded", None)  # nothing may be decoded
    with pytest.raises(UnsupportedImage, match="more than 0 megapixels"):
        read_photo(data)
    assert jxl._header(jxl._Bits(data[2:]))[0] == shape


@needs_plugin
def test_cut_and_spoilt_files_are_damaged_in_a_sentence(pixels):
    data = written(Image.fromarray(pixels))
    for spoilt in (data[: len(data) // 2], data[:3], data[:40] + bytes(40) + data[80:]):
        with pytest.raises(UnsupportedImage, match=r"^the image is .*\.$") as error:
            read_photo(spoilt)
        assert "libjxl" not in str(error.value)


@needs_plugin
def test_its_result_is_named_png(tmp_path, pixels):
    (tmp_path / "a.jxl").write_bytes(written(Image.fromarray(pixels)))
    assert [file.target.name for file in plan_outputs([tmp_path])] == ["a.sharp.png"]


def test_without_the_extra_it_is_said_what_reads_it(monkeypatch):
    monkeypatch.setattr(jxl, "is_installed", lambda: False)
    with pytest.raises(UnsupportedImage, match=r"JPEG XL picture.*pip install 'pillow-jxl-plugin"):
        read_photo(b"\xff\x0a" + bytes(60))


@needs_plugin
@pytest.mark.filterwarnings("ignore:Using JPEG reconstruction")
def test_a_jpeg_that_was_packed_without_loss_is_read_as_that(tmp_path, pixels):
    pytest.importorskip("pillow_jxl")
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=90, comment=b"at dawn")
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(tmp_path / "a.jxl", lossless_jpeg=True)

    photo = read_photo(tmp_path / "a.jxl")

    np.testing.assert_array_equal(photo.pixels, read_photo(tmp_path / "a.jpg").pixels)
    assert photo.metadata.comments == (b"at dawn",)
