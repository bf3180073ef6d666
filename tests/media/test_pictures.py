"""Animations and pages: pixels, durations, loops and disposal come back; ffmpeg and tifffile are the judges."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from acutance.errors import InputError, OutputError, UnsupportedImage
from acutance.media import Metadata, Photo, check_holds, encode_photo, encode_pictures, lost_in_timing, open_pictures
from acutance.media.animation import Animation

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffmpeg as the judge")

SIZE = (40, 56)
DURATIONS_S = tuple(Fraction(hundredths, 100) for hundredths in (7, 8, 19, 3, 100))


def moving(*, transparent: bool, deep: bool = False) -> list[Photo]:
    """Make pictures of a square that moves, stands still once, and uncovers what was below."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    ground = np.stack([y * 4, x * 3, 200 - y], axis=-1).astype(np.uint8) // 32 * 32
    photos = []
    for left in (3, 9, 9, 30, 40):
        pixels, alpha = ground.copy(), np.full(SIZE, 255, np.uint8)
        pixels[10:22, left : left + 11] = [250, 10, left]
        if transparent:
            alpha[:] = 0
            alpha[8:30, left - 2 : left + 13] = 255
            pixels[alpha == 0] = 0
        if deep:
            pixels, alpha = pixels * np.uint16(257) + np.uint16(left), alpha * np.uint16(257)
        photos.append(Photo(pixels=pixels, alpha=alpha if transparent else None))
    return photos


def written(photos: list[Photo], format_: str, animation: Animation | None) -> bytes:
    return b"".join(encode_pictures(iter(photos), format_, count=len(photos), animation=animation))


def opened(data: bytes) -> tuple[list[Photo], Animation | None]:
    with open_pictures(data, max_bits=16) as pictures:
        photos = list(pictures.photos())
        assert len(photos) == pictures.count
        return photos, pictures.animation


def seen(photo: Photo) -> np.ndarray:
    """RGBA, black where nothing is seen: a GIF has no colours there."""
    white = 2**photo.bits - 1
    alpha = np.full(photo.size, white) if photo.alpha is None else photo.alpha
    return np.dstack([np.where(alpha[..., None] > 0, photo.pixels, 0), alpha])


@pytest.mark.parametrize("plays", [0, 1, 5])
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(("format_", "deep"), [("GIF", False), ("WEBP", False), ("PNG", False), ("PNG", True)])
def test_an_animation_comes_back_picture_by_picture(format_, deep, transparent, plays):
    photos = [
        photo if format_ != "WEBP" else Photo(pixels=photo.pixels, alpha=photo.alpha, metadata=lossless())
        for photo in moving(transparent=transparent, deep=deep)
    ]
    animation = Animation(durations_s=DURATIONS_S, plays=plays)

    again, timing = opened(written(photos, format_, animation))

    assert timing == animation
    for before, after in zip(photos, again, strict=True):
        np.testing.assert_array_equal(seen(after), seen(before))


def lossless() -> Metadata:
    (photo,), _ = opened(webp_of_one())
    return photo.metadata


def webp_of_one() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


@needs_ffmpeg
@pytest.mark.parametrize("format_", ["GIF", "PNG"])
@pytest.mark.parametrize("transparent", [False, True])
def test_another_program_sees_the_same_pictures_at_the_same_times(tmp_path, format_, transparent):
    photos = moving(transparent=transparent)
    path = tmp_path / f"it.{'gif' if format_ == 'GIF' else 'apng'}"
    path.write_bytes(written(photos, format_, Animation(durations_s=DURATIONS_S, plays=0)))

    times = json.loads(run("ffprobe", "-v", "error", "-show_entries", "frame=pts_time", "-of", "json", path))["frames"]
    starts = [float(sum(DURATIONS_S[:number])) for number in range(5)]
    assert [float(frame["pts_time"]) for frame in times] == pytest.approx(starts, abs=0.011)
    for before, after in zip(photos, shown_by_ffmpeg(path), strict=True):
        np.testing.assert_array_equal(after, seen(before))


def shown_by_ffmpeg(path: Path) -> np.ndarray:
    """RGBA, black where nothing is seen."""
    raw = run("ffmpeg", "-v", "error", "-i", path, "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgba", "-")
    values = np.frombuffer(raw, np.uint8).reshape(-1, *SIZE, 4).astype(int)
    return np.where(values[..., 3:] > 0, values, 0)


def run(*words: object) -> bytes:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True).stdout


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_gifs_of_every_disposal_are_seen_as_pillow_shows_them(disposal):
    images = [Image.fromarray(seen(photo).astype(np.uint8)) for photo in moving(transparent=True)]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=[70, 80, 90, 100, 110],
        disposal=disposal,
        loop=2,
    )
    shown = Image.open(buffer)
    wanted = []
    for number in range(shown.n_frames):
        shown.seek(number)
        wanted.append(np.asarray(shown.convert("RGBA")))

    first, timing = opened(buffer.getvalue())
    second, again = opened(written(first, "GIF", timing))

    assert again == timing
    assert timing.plays == 3  # GIF counts how often more
    for one, two, three in zip(wanted, first, second, strict=True):
        np.testing.assert_array_equal(np.where(one[..., 3:] > 0, one, 0), seen(two))
        np.testing.assert_array_equal(seen(two), seen(three))


COLOURS = bytes(number % 256 for number in range(3 * 128))
"""A palette of 128 colours: number n is (3n, 3n + 1, 3n + 2), modulo 256."""


def gif_by_hand(screen: tuple[int, int], *frames: tuple[np.ndarray, int, int, int, int | None]) -> bytes:
    """Make a GIF of indices, left, top, disposal and transparent colour; its background colour is number 5."""
    parts = [b"GIF89a", struct.pack("<HHBBB", screen[1], screen[0], 0xF6, 5, 0), COLOURS]
    for indices, left, top, disposal, transparent in frames:
        flags = disposal << 2 | (transparent is not None)
        parts.append(b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 10, transparent or 0, 0))
        parts.append(b"\x2c" + struct.pack("<HHHHB", left, top, indices.shape[1], indices.shape[0], 0))
        # Codes of 8 bits, one per pixel, cleared before they grow longer.
        flat = indices.astype(np.uint8).tobytes()
        codes = b"".join(b"\x80" + flat[start : start + 100] for start in range(0, len(flat), 100)) + b"\x81"
        blocks = [codes[start : start + 255] for start in range(0, len(codes), 255)]
        parts.append(b"\x07" + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0")
    return b"".join(parts) + b";"


def of_colours(indices: np.ndarray) -> np.ndarray:
    """RGBA of colour numbers; nothing where the number is negative."""
    colours = np.frombuffer(COLOURS, np.uint8).reshape(-1, 3)[np.maximum(indices, 0)]
    return np.where(indices[..., None] < 0, 0, np.dstack([colours, np.full(indices.shape, 255)]))


def full(height: int, width: int, number: int) -> np.ndarray:
    return np.full((height, width), number)


def test_gifs_are_put_together_as_browsers_do():
    """The background colour is never seen: what is cleared is transparent. Nothing reaches beyond the screen."""
    hole = full(6, 6, 9)
    hole[2:4, 2:4] = 0
    screen = full(20, 30, 1)
    first = screen.copy()
    second = first.copy()
    second[4:10, 2:8] = np.where(hole == 0, 1, 9)
    third = first.copy()
    third[4:10, 2:8] = -1
    fourth = third.copy()
    fourth[15:, 25:] = 33
    fifth = third.copy()
    fifth[0:3, 0:3] = 44
    frames = (
        (screen, 0, 0, 1, None),
        (hole, 2, 4, 2, 0),
        (full(1, 1, 1), 29, 19, 1, None),
        (full(50, 50, 33), 25, 15, 4, None),
        (full(3, 3, 44), 0, 0, 0, None),
    )
    photos, _ = opened(gif_by_hand((20, 30), *frames))
    for photo, wanted in zip(photos, (first, second, third, fourth, fifth), strict=True):
        np.testing.assert_array_equal(seen(photo), of_colours(wanted))
    again, _ = opened(written(photos, "GIF", Animation(durations_s=DURATIONS_S, plays=1)))
    for photo, wanted in zip(again, photos, strict=True):
        np.testing.assert_array_equal(seen(photo), seen(wanted))


@pytest.mark.parametrize("count", [1, 2])
def test_the_first_picture_of_a_gif_may_be_larger_or_smaller_than_the_screen(count):
    for left, top, height, width in ((0, 0, 9, 9), (3, 2, 12, 12), (1, 1, 2, 2), (9, 9, 4, 4)):
        frames = [(full(height, width, 20 + number), left, top, 1, None) for number in range(count)]
        photos, _ = opened(gif_by_hand((8, 10), *frames))
        for number, photo in enumerate(photos):
            wanted = full(max(8, top + height), max(10, left + width), -1)
            wanted[top : top + height, left : left + width] = 20 + number
            np.testing.assert_array_equal(seen(photo), of_colours(wanted))


def test_a_gif_with_a_picture_far_larger_than_its_screen_is_refused():
    """It would be decoded for nothing."""
    with pytest.raises(UnsupportedImage, match="far beyond"):
        opened(gif_by_hand((8, 8), (full(8, 8, 1), 0, 0, 1, None), (full(1100, 1000, 2), 0, 0, 1, None)))


def test_an_apng_whose_first_picture_leaves_a_margin_is_transparent_there():
    def chunk(kind, data):
        return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))

    def control(number, size, left):
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *size, left, 0, 1, 10, 0, 0))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 2, 8, 0, 0, 0, 0)) + chunk(b"acTL", struct.pack(">II", 2, 0))
    still = chunk(b"IDAT", zlib.compress(b"\0abcd\0efgh"))
    pictures = [
        control(2 * number, (2, 2), number) + chunk(b"fdAT", struct.pack(">I", 2 * number + 1) + zlib.compress(rows))
        for number, rows in enumerate((b"\0PQ\0RS", b"\0TU\0VW"))
    ]
    png = b"\x89PNG\r\n\x1a\n" + head + still + b"".join(pictures) + chunk(b"IEND", b"")
    photos, _ = opened(png)
    assert [photo.alpha[0].tolist() for photo in photos] == [[255] * 4, [255, 255, 0, 0], [255, 255, 255, 0]]
    assert [bytes(photo.pixels[0, :, 0]) for photo in photos] == [b"abcd", b"PQ\0\0", b"PTU\0"]


@needs_ffmpeg
@pytest.mark.parametrize("disposal", [0, 1, 2])
@pytest.mark.parametrize("blend", [0, 1])
def test_apngs_of_every_disposal_are_seen_as_another_program_shows_them(tmp_path, disposal, blend):
    # Pillow is no judge: it shows other pictures where they are blended and what was before is brought back.
    images = [Image.fromarray(seen(photo).astype(np.uint8)) for photo in moving(transparent=True)]
    images[1].putalpha(images[1].getchannel("A").point(lambda alpha: alpha // 2))
    path = tmp_path / "it.apng"
    images[0].save(path, "PNG", save_all=True, append_images=images[1:], duration=70, disposal=disposal, blend=blend)

    photos, _ = opened(path.read_bytes())

    for photo, wanted in zip(photos, shown_by_ffmpeg(path), strict=True):
        assert np.abs(seen(photo).astype(int) - wanted).max() <= 1  # of blending, rounded


def test_a_still_picture_before_the_animation_stays_apart():
    still = Photo(pixels=np.full((*SIZE, 3), 77, np.uint8))
    photos = [still, *moving(transparent=False)]
    animation = Animation(durations_s=DURATIONS_S, plays=2, has_still=True)
    data = written(photos, "PNG", animation)
    again, timing = opened(data)
    assert timing == animation
    for before, after in zip(photos, again, strict=True):
        np.testing.assert_array_equal(after.pixels, before.pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), still.pixels)

    assert "still picture" in lost_in_timing(animation, "GIF")[0]
    in_gif, timing = opened(written(photos, "GIF", animation))
    assert (len(in_gif), timing.has_still) == (5, False)


def test_metadata_of_an_animation_are_carried(photo, pixels):
    for format_ in ("PNG", "WEBP"):
        photos = [photo.with_pixels(value) for value in (pixels, 255 - pixels)]
        again, _ = opened(written(photos, format_, Animation(durations_s=DURATIONS_S[:2], plays=0)))
        for kind in ("exif", "icc_profile", "xmp"):
            assert getattr(again[0].metadata, kind) == getattr(photo.metadata, kind)


def test_times_that_a_format_cannot_hold_are_said():
    animation = Animation(durations_s=(Fraction(1, 30), Fraction(1, 25)), plays=0)
    assert lost_in_timing(animation, "PNG") == ()
    assert lost_in_timing(animation, "WEBP") == ("durations finer than 1/1000 s",)
    assert lost_in_timing(animation, "GIF") == ("durations finer than 1/100 s",)
    photos = moving(transparent=False)[:2]
    assert opened(written(photos, "PNG", animation))[1] == animation


def test_pages_come_back_each_with_its_own(photo, values16, make_exif):
    deep = Photo(pixels=values16[:, :, :3].copy(), metadata=Metadata(exif=make_exif(order="<"), dpi=(72.0, 72.0)))
    grey = Photo(pixels=np.ascontiguousarray(photo.pixels[:7, :9, :1]), metadata=Metadata(xmp=b"<x/>"))
    data = written([photo, deep, grey], "TIFF", None)

    again, timing = opened(data)

    assert timing is None
    pages = tifffile.TiffFile(io.BytesIO(data)).pages
    for before, after, page in zip((photo, deep, grey), again, pages, strict=True):
        np.testing.assert_array_equal(after.pixels, before.pixels)
        np.testing.assert_array_equal(page.asarray().reshape(before.pixels.shape), before.pixels)
        assert after.metadata.xmp == before.metadata.xmp
        assert after.metadata.icc_profile == before.metadata.icc_profile
        assert after.metadata.dpi == before.metadata.dpi
    for page in again[:2]:
        exif = Image.Exif()
        exif.load(page.metadata.exif)
        assert exif[271] == "Maker of cameras"
        assert exif.get_ifd(34853) == {1: "N", 2: (48.0, 8.0, 15.0)}
    # And once more: what was read is written again.
    assert [page.metadata for page in opened(written(again, "TIFF", None))[0]] == [page.metadata for page in again]


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_pages_of_other_programs_are_read(bigtiff, compression):
    buffer = io.BytesIO()
    pictures = [np.full((30, 40, 3), 60 * number, np.uint8) for number in range(4)]
    with tifffile.TiffWriter(buffer, bigtiff=bigtiff) as writer:
        for picture in pictures:
            writer.write(picture, compression=None if compression == "lzw" else compression, photometric="rgb")
            writer.write(picture[::2, ::2], subfiletype=1, photometric="rgb")
    again, _ = opened(buffer.getvalue())
    for before, after in zip(pictures, again, strict=True):
        np.testing.assert_array_equal(after.pixels, before)
    assert "the smaller previews in the file" in again[0].metadata.left_out


def test_formats_that_hold_one_picture_are_refused():
    animation = Animation(durations_s=DURATIONS_S, plays=0)
    gif = written(moving(transparent=False), "GIF", animation)
    with open_pictures(gif) as pictures, pytest.raises(OutputError, match="5 pictures, and JPEG holds one; choose GIF"):
        check_holds(pictures, "JPEG")
    tiff = written(moving(transparent=False), "TIFF", None)
    with open_pictures(tiff) as pictures, pytest.raises(OutputError, match="5 pages, and GIF holds one; choose TIFF"):
        check_holds(pictures, "GIF")


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_a_cut_file_gives_no_pictures_too_few(format_):
    animation = None if format_ == "TIFF" else Animation(durations_s=DURATIONS_S, plays=0)
    data = written(moving(transparent=False), format_, animation)
    for length in np.linspace(30, len(data) - 2, 40).astype(int):
        try:
            photos, _ = opened(data[:length])
        except InputError:
            continue
        assert len(photos) == 5


def test_a_photo_is_a_file_of_one_picture(photo):
    with open_pictures(encode_photo(photo, format="PNG")) as pictures:
        assert (pictures.count, pictures.animation, pictures.size) == (1, None, photo.size)
        (only,) = pictures.photos()
    np.testing.assert_array_equal(only.pixels, photo.pixels)


def test_pages_of_too_many_bits_are_refused():
    deep = Photo(pixels=np.zeros((4, 4, 3), np.uint16))
    tiff = written([deep, deep], "TIFF", None)
    with open_pictures(tiff, max_bits=8) as pictures, pytest.raises(UnsupportedImage, match="16 bits"):
        next(pictures.photos())
