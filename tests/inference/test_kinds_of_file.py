"""A matrix of files, format × depth × mode: the same kind comes back, with its pixels, its depth and its metadata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acutance.engines.fake import FakeEngine
from acutance.errors import OutputError
from acutance.inference.files import sharpen_files
from acutance.inference.sharpener import Sharpener
from acutance.media import (
    FORMATS,
    Metadata,
    Photo,
    PlannedFile,
    encode_photo,
    format_of,
    lost_in,
    read_photo,
)
from acutance.media.photo import Jpeg2000Coding, PnmCoding, TiffCoding, WebpCoding

LOSSLESS = {
    # name: format, bits, modes, coding
    "png": ("PNG", 8, "L LA RGB RGBA", None),
    "png 16": ("PNG", 16, "L LA RGB RGBA", None),
    "webp": ("WEBP", 8, "RGB RGBA", WebpCoding(is_lossless=True)),
    "tiff raw": ("TIFF", 8, "L LA RGB RGBA", TiffCoding(compression="raw")),
    "tiff raw 16": ("TIFF", 16, "L LA RGB RGBA", TiffCoding(compression="raw")),
    "tiff lzw": ("TIFF", 8, "L LA RGB RGBA", TiffCoding(compression="tiff_lzw", has_predictor=True)),
    "tiff lzw 16": ("TIFF", 16, "L LA RGB RGBA", TiffCoding(compression="tiff_lzw", has_predictor=True)),
    "tiff deflate": ("TIFF", 8, "L LA RGB RGBA", TiffCoding(compression="tiff_adobe_deflate")),
    "tiff deflate 16": ("TIFF", 16, "L LA RGB RGBA", TiffCoding(compression="tiff_adobe_deflate")),
    "jpeg2000": ("JPEG2000", 8, "L LA RGB RGBA", Jpeg2000Coding(is_lossless=True)),
    "bmp": ("BMP", 8, "L RGB RGBA", None),
    "pnm": ("PPM", 8, "L RGB", None),
    "pnm 16": ("PPM", 16, "L RGB", PnmCoding(white=65535)),
    "gif": ("GIF", 8, "L", None),
}
HELD = {
    # what a format holds of what is put into every file here
    "PNG": {"xmp", "icc_profile", "exif", "dpi"},
    "WEBP": {"xmp", "icc_profile", "exif"},
    "TIFF": {"xmp", "icc_profile", "dpi"},  # and EXIF as tags: not the same bytes, see tests/media
    "JPEG2000": {"xmp", "icc_profile", "exif", "dpi"},
    "BMP": {"icc_profile", "dpi"},
    "PPM": set(),
    "GIF": {"xmp"},
}
CASES = [(name, mode) for name, (_, _, modes, _) in LOSSLESS.items() for mode in modes.split()]
SUFFIXES = {
    "PNG": ".png",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "JPEG2000": ".jp2",
    "BMP": ".bmp",
    "PPM": ".pnm",
    "GIF": ".gif",
}

EXIF = b"II*\0\x08\0\0\0\1\0\x0f\x01\x02\0\4\0\0\0Mak\0\0\0\0\0"  # one tag: the maker
METADATA = Metadata(
    exif=EXIF, xmp=b"<x:xmpmeta/>", icc_profile=b"\0" * 16 + b"RGB " + bytes(range(200)), dpi=(300.0, 240.0)
)


def photo_of(name: str, mode: str) -> Photo:
    """A photo of random pixels with all metadata; under full transparency there is colour, too."""
    _, bits, _, coding = LOSSLESS[name]
    rng = np.random.default_rng(len(name) + len(mode))
    values = rng.integers(0, 2**bits, (33, 21, 4), np.uint8 if bits == 8 else np.uint16)
    values[:5, :, 3] = 0
    values[5:9, :, 3] = 2**bits - 1
    colours = 3 if mode.startswith("RGB") else 1
    return Photo(
        pixels=values[:, :, :colours].copy(),
        alpha=values[:, :, 3].copy() if mode.endswith("A") else None,
        metadata=replace(METADATA, coding=coding),
    )


def assert_same(photo: Photo, wanted: Photo) -> None:
    assert photo.pixels.dtype == wanted.pixels.dtype
    np.testing.assert_array_equal(photo.pixels, wanted.pixels)
    assert (photo.alpha is None) == (wanted.alpha is None)
    if wanted.alpha is not None:
        np.testing.assert_array_equal(photo.alpha, wanted.alpha)


@pytest.fixture
def inverter() -> Sharpener:
    return Sharpener(engine=FakeEngine(lambda batch: 1.0 - batch))


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_strength_zero_keeps_every_value_and_all_metadata(inverter, tmp_path, name, mode):
    photo = photo_of(name, mode)
    format_ = LOSSLESS[name][0]
    source = encode_photo(photo, format=format_)
    path = tmp_path / f"a{SUFFIXES[format_]}"
    path.write_bytes(source)

    from_bytes = inverter(source, strength=0.0)
    from_path = inverter(path, strength=0.0)

    assert from_path == tmp_path / f"a.sharp{SUFFIXES[format_]}"
    assert from_path.read_bytes() == from_bytes
    again = read_photo(from_bytes, max_bits=16)
    assert_same(again, photo)
    assert again.metadata.source_format == format_
    assert again.metadata.coding == photo.metadata.coding
    for kind in HELD[format_] - {"dpi"}:
        assert getattr(again.metadata, kind) == getattr(METADATA, kind)
    if "dpi" in HELD[format_]:
        assert again.metadata.dpi == pytest.approx(METADATA.dpi, abs=0.02)


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_sharpening_works_in_the_depth_of_the_file(inverter, name, mode):
    photo = photo_of(name, mode)
    white = 2**photo.bits - 1
    again = read_photo(inverter(encode_photo(photo, format=LOSSLESS[name][0])), max_bits=16)
    assert again.pixels.dtype == photo.pixels.dtype
    is_seen = np.ones(photo.size, bool) if photo.alpha is None else photo.alpha > 0
    np.testing.assert_allclose(again.pixels[is_seen].astype(int), white - photo.pixels[is_seen].astype(int), atol=1)
    if photo.alpha is not None:
        np.testing.assert_allclose(again.alpha.astype(int), white - photo.alpha.astype(int), atol=1)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("suffix", [".png", ".avif", ""])
def test_the_same_kind_comes_back_whatever_the_name_says(inverter, tmp_path, format_, suffix):
    y, x = np.mgrid[:40, :50]
    photo = Photo(pixels=np.stack([5 * x, 6 * y, 100 + x + y], axis=2).astype(np.uint8))
    source = encode_photo(photo, format=format_)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(source)

    result = inverter(path)

    assert format_of(result) == format_
    assert result.read_bytes() == inverter(source)
    again = read_photo(result, max_bits=16).in_8_bits()  # a format may have 16 alone
    assert again.metadata.source_format == format_
    assert np.abs(255 - again.pixels.astype(int) - photo.pixels).mean() < (10 if format_ == "GIF" else 3)
    assert lost_in(photo, format_) == (("colours beyond 256",) if format_ == "GIF" else ())


def test_16_bits_are_finer_than_8():
    """A network that darkens by half a level of 8 bits is not heard of in 8 bits."""
    half_a_level = Sharpener(engine=FakeEngine(lambda batch: batch - np.float32(0.25 / 255)))
    values = np.full((9, 9, 3), 30_000, np.uint16)
    again = read_photo(half_a_level(encode_photo(Photo(pixels=values), format="PNG")), max_bits=16)
    np.testing.assert_array_equal(again.pixels, 30_000 - 64)


def test_hidden_colour_does_not_bleed_in_16_bits():
    def row_mean(batch: np.ndarray) -> np.ndarray:
        return np.broadcast_to(batch.mean(axis=3, keepdims=True), batch.shape).astype(np.float32)

    pixels = np.full((16, 16, 3), 23_130, np.uint16)
    alpha = np.full((16, 16), 65535, np.uint16)
    pixels[:, 8:] = (65535, 0, 65535)
    alpha[:, 8:] = 0
    sharpener = Sharpener(engine=FakeEngine(row_mean))
    again = read_photo(sharpener(encode_photo(Photo(pixels=pixels, alpha=alpha), format="TIFF")), max_bits=16)
    np.testing.assert_allclose(again.pixels[:, :8].astype(int), 23_130, atol=1)


def test_opaque_alpha_of_16_bits_is_kept_without_a_run(inverter):
    photo = Photo(pixels=np.zeros((5, 5, 3), np.uint16), alpha=np.full((5, 5), 65535, np.uint16))
    np.testing.assert_array_equal(inverter.sharpen_photo(photo).alpha, 65535)


def test_what_another_format_does_not_hold_is_said(inverter, tmp_path):
    (tmp_path / "a.png").write_bytes(encode_photo(photo_of("png 16", "RGBA"), format="PNG"))
    plan = [PlannedFile(tmp_path / "a.png", tmp_path / f"b{suffix}") for suffix in (".jpg", ".webp", ".tif")]
    lost = [set(result.lost) for result in sharpen_files(inverter, plan)]
    assert lost[0] == {"transparency (laid on white)", "tones finer than 8 bits per channel"}
    assert lost[1] == {"the resolution (dpi)", "tones finer than 8 bits per channel"}
    assert lost[2] == set()


def test_a_failed_write_leaves_nothing(inverter, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(encode_photo(photo_of("png 16", "RGB"), format="PNG"))
    (tmp_path / "b.png").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists"):
        inverter(tmp_path / "a.png", output=tmp_path / "b.png")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.png", "b.png"]
    assert (tmp_path / "b.png").read_bytes() == b"precious"
