"""Pictures larger than memory: in strips, the result is that of the whole picture, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import ndimage
from tests.conftest import make_photo

from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import ConfigError, ImageTooLarge
from acutance.geometry import Size, ceil_to_multiple
from acutance.imaging.pad import MARGIN_PX
from acutance.inference.files import sharpen_files
from acutance.inference.sharpener import Sharpener
from acutance.inference.streaming import memory_of_whole, restored_strips, tile_within
from acutance.inference.tiling import restore_tiled
from acutance.media import Photo, PlannedFile, Strip, StripSource, encode_photo, read_photo


def near(batch: np.ndarray) -> np.ndarray:
    """A network that sees 3 px in each direction: what it gives depends on where the picture's border is."""
    return np.stack([[ndimage.uniform_filter(plane, 7, mode="constant") for plane in image] for image in batch])


def doubling(batch: np.ndarray) -> np.ndarray:
    return near(batch).repeat(2, axis=2).repeat(2, axis=3)


ENGINES = {
    1: FakeEngine(near, replace(FAKE_SPEC, halo_px=4, receptive_radius_px=3, size_multiple=4)),
    2: FakeEngine(doubling, replace(FAKE_SPEC, scale=2, halo_px=4, receptive_radius_px=3, size_multiple=4)),
}


def source_of(photo: Photo, rows: int = 17) -> StripSource:
    def read() -> Iterator[Strip]:
        for top in range(0, photo.size.height, rows):
            alpha = None if photo.alpha is None else photo.alpha[top : top + rows]
            yield Strip(photo.pixels[top : top + rows], alpha)

    return StripSource(
        size=photo.size,
        bits=photo.bits,
        colours=photo.pixels.shape[2],
        has_alpha=photo.alpha is not None,
        read=read,
    )


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("height", [30, 63, 129, 201])
@pytest.mark.parametrize("kind", [(3, False, False), (1, True, False), (3, False, True)])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_strips_give_the_pixels_of_the_whole(scale, height, kind, strength):
    colours, deep, transparent = kind
    pixels = make_photo(height, 90)[..., :colours].copy()
    pixels = pixels * np.uint16(257) if deep else pixels
    alpha = None
    if transparent:  # half, nowhere wholly
        alpha = np.clip(make_photo(height, 90, seed=1)[..., 0], 1, 255)
    photo = Photo(pixels=pixels, alpha=alpha)
    sharpener = Sharpener(engine=ENGINES[scale], tile_px=40)

    whole = sharpener.sharpen_photo(photo, strength=strength)
    shares: list[float] = []
    streamed = sharpener.sharpen_strips(source_of(photo), strength=strength, progress=shares.append)
    strips = list(streamed.read())

    assert streamed.size == whole.size
    np.testing.assert_array_equal(np.concatenate([strip.pixels for strip in strips]), whole.pixels)
    if transparent:
        np.testing.assert_array_equal(np.concatenate([strip.alpha for strip in strips]), whole.alpha)
    padded = ceil_to_multiple(height, 4) + 2 * MARGIN_PX
    assert len(strips) == len(shares) == -(-(padded - 8) // 40)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("tile_px", [4, 8, 17, 32, 57, 400])
@pytest.mark.parametrize("height", [1, 2, 3, 31, 33, 34, 65, 66, 97, 150])
@pytest.mark.parametrize("multiple", [1, 8])
def test_any_tile_gives_the_pixels_of_the_whole(height, tile_px, multiple):
    """Rows of tiles that are margin alone; mirror images that reach above what the rows of tiles before looked at."""
    engine = FakeEngine(near, replace(FAKE_SPEC, halo_px=4, receptive_radius_px=3, size_multiple=multiple))
    photo = Photo(pixels=make_photo(height, 21))
    shares: list[float] = []
    source = source_of(photo, rows=5)
    streamed = restored_strips(engine, source, strength=1.0, tile_px=tile_px, progress=shares.append)
    strips = [strip.pixels for strip in streamed.read()]
    np.testing.assert_array_equal(np.concatenate(strips), restore_tiled(engine, photo.pixels, tile_px=4096))
    assert all(len(strip) for strip in strips)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_opaque_transparency_stays_opaque():
    photo = Photo(pixels=make_photo(100, 60), alpha=np.full((100, 60), 255, np.uint8))
    strips = Sharpener(engine=ENGINES[1], tile_px=40).sharpen_strips(source_of(photo)).read()
    assert all((strip.alpha == 255).all() for strip in strips)


def test_strength_0_passes_rows_through():
    source = source_of(Photo(pixels=make_photo(100, 60)))
    assert Sharpener(engine=ENGINES[1]).sharpen_strips(source, strength=0) is source


needs_vips = pytest.mark.skipif(find_spec("pyvips") is None, reason="needs the extra 'large'")
SUFFIXES = {"PNG": "png", "TIFF": "tif", "PPM": "ppm", "JPEG": "jpg"}


@pytest.mark.parametrize("source", ["PNG", "TIFF", "PPM", pytest.param("JPEG", marks=needs_vips)])
@pytest.mark.parametrize("target", ["PNG", "TIFF", "PPM", "JPEG"])
def test_files_are_worked_on_in_strips_when_they_would_need_too_much(tmp_path, source, target):
    path = tmp_path / f"in.{SUFFIXES[source]}"
    whole, streamed = (tmp_path / f"{name}.{SUFFIXES[target]}" for name in ("whole", "streamed"))
    path.write_bytes(encode_photo(Photo(pixels=make_photo(300, 200)), format=source))
    usual = Sharpener(engine=ENGINES[1], tile_px=40)
    frugal = Sharpener(engine=ENGINES[1], tile_px=40, max_memory_mb=182)  # the process itself is taken to need 180

    results = [
        *sharpen_files(usual, [PlannedFile(path, whole)]),
        *sharpen_files(frugal, [PlannedFile(path, streamed)]),
    ]

    assert [(result.status, result.error) for result in results] == [("done", "")] * 2
    assert results[0].megapixels == results[1].megapixels
    np.testing.assert_array_equal(read_photo(streamed).pixels, read_photo(whole).pixels)


def test_pictures_that_need_too_much_and_cannot_be_streamed_are_refused(tmp_path):
    path = tmp_path / "in.webp"
    path.write_bytes(encode_photo(Photo(pixels=make_photo(900, 900)), format="WEBP"))
    (result,) = sharpen_files(
        Sharpener(engine=ENGINES[1], tile_px=40, max_memory_mb=185), [PlannedFile(path, tmp_path / "out.webp")]
    )
    assert "cannot be worked on in strips as WEBP to WEBP; raise --max-memory" in result.error
    assert not (tmp_path / "out.webp").exists()


def test_the_limit_of_pixels_does_not_hold_for_strips_unless_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr("acutance.inference.photo_sharpener.DEFAULT_MAX_PIXELS", 1000)
    path, target = tmp_path / "in.png", tmp_path / "out.png"
    path.write_bytes(encode_photo(Photo(pixels=make_photo(100, 60)), format="PNG"))
    sharpener = Sharpener(engine=ENGINES[1], tile_px=40)
    sharpener(path, output=target)
    np.testing.assert_array_equal(read_photo(target).pixels, sharpener.sharpen_photo(read_photo(path)).pixels)
    with pytest.raises(ImageTooLarge, match="60×100"):
        Sharpener(engine=ENGINES[1], max_pixels=1000)(path, output=tmp_path / "second.png")
    webp = encode_photo(Photo(pixels=make_photo(100, 60)), format="WEBP")
    with pytest.raises(ImageTooLarge, match="60×100"):
        sharpener(webp)


def test_tiles_become_smaller_until_the_rows_fit():
    spec = ENGINES[1].spec
    wide = replace(source_of(Photo(pixels=np.zeros((1, 1, 3), np.uint8))), size=Size(40_000, 40_000))
    sides = [tile_within(wide, spec, tile_px=1344, memory_bytes=mb * 1e6) for mb in (2000, 1000, 500, 400)]
    assert sides[0] == 1344
    assert sides == sorted(sides, reverse=True)
    assert sides[-1] < 500
    with pytest.raises(ConfigError, match="memory of 180 MB: rows of 40000 px need at least"):
        tile_within(wide, spec, tile_px=1344, memory_bytes=180e6)


def test_what_a_picture_that_is_not_cut_needs_counts_its_margin():
    cut, uncut = (
        memory_of_whole(Size(side, side), row_bytes=3 * side, spec=FAKE_SPEC, tile_px=500) for side in (501, 500)
    )
    pixels = 10 * (501**2 - 500**2)  # of the picture, its result, and what Pillow holds
    assert uncut - cut == 340 * (564**2 - 500**2) - pixels


def test_a_whole_picture_needs_more_the_larger_it_is():
    needs = [
        memory_of_whole(Size(side, side), row_bytes=3 * side, spec=FAKE_SPEC, tile_px=64) for side in (100, 10_000)
    ]
    assert needs[1] - needs[0] == pytest.approx(10 * 1e8, rel=0.01)
