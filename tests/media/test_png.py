from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import Photo, encode_photo, lost_in, open_pictures, read_photo
from acutance.media.png.chunks import read_chunks

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]


def by_hand(header: tuple[int, int, int, int], rows: bytes, *chunks: bytes) -> bytes:
    """A PNG of width, height, depth and colour type, with rows that begin with their filter (0)."""
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0))
    return SIGNATURE + ihdr + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


TEXTS = (
    chunk(b"tEXt", b"Title\0caf\xe9"),
    chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"long " * 50)),
    chunk(b"iTXt", b"Author\0\0\0de\0Urheber\0" + "Jürgen".encode()),
)


def test_texts_are_carried_byte_for_byte(save, pixels):
    photo = read_photo(with_chunks(save(pixels, "PNG"), *TEXTS))

    result = encode_photo(photo, format="PNG")

    assert all(text in result for text in TEXTS)
    assert Image.open(io.BytesIO(result)).text == {"Title": "café", "Comment": "long " * 50, "Author": "Jürgen"}
    assert lost_in(photo, "PNG") == ()
    assert lost_in(photo, "JPEG") == ("PNG texts (Title, Comment, Author)",)


def test_gamma_is_carried_and_its_loss_is_said_unless_it_is_that_of_srgb(save, pixels):
    linear, usual = chunk(b"gAMA", struct.pack(">I", 100_000)), chunk(b"gAMA", struct.pack(">I", 45_455))
    srgb = chunk(b"sRGB", b"\0")
    photo = read_photo(with_chunks(save(pixels, "PNG"), linear))
    assert linear in encode_photo(photo, format="PNG")
    assert lost_in(photo, "WEBP") == ("PNG colour chunks (gAMA)",)
    assert lost_in(read_photo(with_chunks(save(pixels, "PNG"), usual, srgb)), "WEBP") == ()


def test_unknown_chunks_are_carried_if_they_are_safe_to_copy(save, pixels):
    safe, unsafe = chunk(b"vpAg", b"12345"), chunk(b"mkBT", b"layers")
    photo = read_photo(with_chunks(save(pixels, "PNG"), safe, unsafe))
    result = encode_photo(photo, format="PNG")
    assert safe in result
    assert unsafe not in result
    lost = "the chunk mkBT (it may not fit a changed picture)"
    assert lost_in(photo, "PNG") == (lost,)
    assert lost_in(photo, "TIFF") == (lost, "PNG chunks (vpAg)")


def test_measures_of_the_subject_are_carried(save, pixels):
    scale, palette = chunk(b"sCAL", b"\x010.5\x000.5"), chunk(b"sPLT", b"name\0\x08")
    photo = read_photo(with_chunks(save(pixels, "PNG"), scale, palette))
    result = encode_photo(photo, format="PNG")
    assert scale in result
    assert palette in result
    assert lost_in(photo, "PNG") == ()


@pytest.mark.parametrize(
    ("header", "rows", "palette", "background", "written"),
    [
        ((2, 1, 8, 0), b"\0\1\2", b"", b"\0\x80", b"\0\x80"),
        ((2, 1, 16, 0), b"\0\1\2\3\4", b"", b"\1\x80", b"\1\x80"),
        ((2, 1, 2, 0), b"\0\x40", b"", b"\0\2", b"\0\xaa"),  # level 2 of 0 … 3
        ((2, 1, 4, 0), b"\0\x4f", b"", b"\xff\xff", b"\0\xff"),
        ((1, 1, 8, 2), b"\0\1\2\3", b"", b"\0\1\0\2\0\xff", b"\0\1\0\2\0\xff"),
        ((1, 1, 8, 6), b"\0\1\2\3\4", b"", b"\0\1\0\2\0\xff", b"\0\1\0\2\0\xff"),
        ((1, 1, 16, 2), b"\0" + bytes(6), b"", b"\0\1\0\2\xff\xff", b"\0\1\0\2\xff\xff"),
        ((2, 1, 8, 3), b"\0\0\1", b"\1\2\3\7\x08\xff", b"\1", b"\0\7\0\x08\0\xff"),
    ],
)
def test_a_background_colour_is_told_in_the_pixels_of_the_result(header, rows, palette, background, written):
    chunks = [chunk(b"PLTE", palette)] if palette else []
    photo = read_photo(by_hand(header, rows, *chunks, chunk(b"bKGD", background)), max_bits=16)
    assert chunk(b"bKGD", written) in encode_photo(photo, format="PNG")
    assert not any("bKGD" in words for words in lost_in(photo, "PNG"))
    assert any("bKGD" in words for words in lost_in(photo, "JPEG"))


def test_a_background_colour_follows_pixels_that_are_rounded():
    photo = read_photo(by_hand((1, 1, 16, 0), bytes(3), chunk(b"bKGD", b"\x80\x80")), max_bits=16)
    assert chunk(b"bKGD", b"\0\x80") in encode_photo(photo.in_8_bits(), format="PNG")


@pytest.mark.parametrize("background", [b"", b"\7"])
def test_a_background_colour_that_is_none_is_left_out_and_said(background):
    png = by_hand((2, 1, 8, 3), b"\0\0\1", chunk(b"PLTE", bytes(6)), chunk(b"bKGD", background))
    assert "a damaged background colour (bKGD)" in lost_in(read_photo(png), "PNG")


def test_what_is_true_of_the_old_pixels_only_is_said(save, pixels):
    finer, all_bits = chunk(b"sBIT", b"\5\x08\5"), chunk(b"sBIT", b"\x08\x08\x08")
    changed, palette = chunk(b"tIME", bytes((7, 232, 1, 1, 0, 0, 0))), chunk(b"PLTE", bytes(6))
    photo = read_photo(with_chunks(save(pixels, "PNG"), finer, palette, changed))
    result = encode_photo(photo, format="PNG")
    assert b"tIME" not in result
    assert b"sBIT" not in result
    assert lost_in(photo, "PNG") == (
        "how many bits of the pixels mean something (sBIT)",
        "the suggested palette (PLTE)",
        "the time of the last change (tIME)",
    )
    assert lost_in(read_photo(with_chunks(save(pixels, "PNG"), all_bits)), "PNG") == ()


@pytest.mark.parametrize("name", [b"sRGB IEC61966-2.1", b"caf\xe9", b""])
def test_a_profile_keeps_its_name(save, pixels, icc_profile, name):
    photo = read_photo(with_chunks(save(pixels, "PNG"), chunk(b"iCCP", name + b"\0\0" + zlib.compress(icc_profile))))
    result = encode_photo(photo, format="PNG")
    assert b"iCCP" + (name or b"ICC Profile") + b"\0\0" in result
    assert read_photo(result).metadata.icc_profile == icc_profile


@pytest.mark.parametrize(("depth", "colour_type"), [(0, 0), (3, 0), (99, 2), (4, 2), (8, 5)])
def test_a_depth_that_there_is_not_is_damage(depth, colour_type):
    with pytest.raises(UnsupportedImage, match="a kind of pixels that there is not"):
        read_photo(by_hand((1, 1, depth, colour_type), bytes(4)), max_bits=16)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_file_without_its_end_is_read_where_all_pixels_are_there(depth):
    rows = bytes(1) + bytes(range(3 * depth // 8))
    whole = by_hand((3, 1, depth, 0), rows)
    photo = read_photo(whole[:-12], max_bits=16)
    np.testing.assert_array_equal(photo.pixels, read_photo(whole, max_bits=16).pixels)
    assert lost_in(photo, "PNG") == ("the damage of the file (its end marker was missing, nothing of the picture)",)
    half = whole[:33] + chunk(b"IDAT", zlib.compress(rows)[:-5])
    for broken in (whole[:-11], whole[:33], whole[:-20], half):
        with pytest.raises(UnsupportedImage, match="damaged"):
            read_photo(broken, max_bits=16)


def test_content_credentials_are_left_out_and_said(save, pixels):
    photo = read_photo(with_chunks(save(pixels, "PNG"), chunk(b"caBX", b"signed")))
    assert "C2PA" in lost_in(photo, "PNG")[0]


def test_compressed_xmp_is_read(save, pixels):
    packed = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x/>"))
    photo = read_photo(with_chunks(save(pixels, "PNG"), packed))
    assert photo.metadata.xmp == b"<x/>"
    assert read_photo(encode_photo(photo, format="PNG")).metadata.xmp == b"<x/>"


def test_a_damaged_profile_is_left_out_and_said(save, pixels):
    photo = read_photo(with_chunks(save(pixels, "PNG"), chunk(b"iCCP", b"name\0\0no zlib data")))
    assert photo.metadata.icc_profile is None
    assert lost_in(photo, "PNG") == ("a damaged colour profile",)


def test_an_aspect_ratio_is_carried_without_being_a_resolution(save, pixels):
    aspect = chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0))
    photo = read_photo(with_chunks(save(pixels, "PNG"), aspect))
    assert photo.metadata.dpi is None
    assert aspect in encode_photo(photo, format="PNG")


def test_the_resolution_comes_back_exactly(save, pixels):
    physical = chunk(b"pHYs", struct.pack(">IIB", 11811, 5906, 1))
    photo = read_photo(with_chunks(save(pixels, "PNG"), physical))
    assert photo.metadata.dpi == pytest.approx((300, 150), abs=0.02)
    assert physical in encode_photo(photo, format="PNG")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_modes_are_kept_and_pixels_exact(save, pixels, alpha, mode):
    image = Image.fromarray(np.dstack([pixels, alpha]), "RGBA").convert(mode)
    photo = read_photo(save(image, "PNG"))

    result = Image.open(io.BytesIO(encode_photo(photo, format="PNG")))

    assert photo.pixels.shape[2] == (1 if "L" in mode else 3)
    assert (photo.alpha is not None) == ("A" in mode)
    assert result.mode == mode
    np.testing.assert_array_equal(np.asarray(result), np.asarray(image))


def test_one_bit_becomes_grey(save):
    dots = np.random.default_rng(2).integers(0, 2, (9, 11)).astype(bool)
    photo = read_photo(save(Image.fromarray(dots), "PNG"))
    np.testing.assert_array_equal(photo.pixels[:, :, 0], dots * np.uint8(255))
    assert lost_in(photo, "PNG") == ("the depth of 1 bit (written as 8)",)


@pytest.mark.parametrize("transparency", [None, 3, bytes([0, 100, 255, 7])])
def test_palettes_become_colours_with_their_transparency(save, pixels, transparency):
    image = Image.fromarray(pixels).quantize(16)
    options = {} if transparency is None else {"transparency": transparency}
    png = save(image, "PNG", **options)
    wanted = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))

    photo = read_photo(png)

    np.testing.assert_array_equal(photo.pixels, wanted[:, :, :3])
    assert lost_in(photo, "PNG") == ("the palette (colours are written in full)",)
    if transparency is None:
        assert photo.alpha is None
    else:
        np.testing.assert_array_equal(photo.alpha, wanted[:, :, 3])


def test_a_transparent_colour_becomes_alpha(save, pixels):
    key = tuple(int(value) for value in pixels[4, 5])
    photo = read_photo(save(pixels, "PNG", transparency=key))
    np.testing.assert_array_equal(photo.alpha == 0, (pixels == key).all(axis=-1))
    np.testing.assert_array_equal(photo.pixels, pixels)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_grey_becomes_alpha_at_any_depth(depth):
    levels = np.arange(8) % 2**depth
    bits = "".join(f"{level:0{depth}b}" for level in levels)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    key = 1
    png = by_hand((8, 1, depth, 0), row, chunk(b"tRNS", struct.pack(">H", key)))

    photo = read_photo(png)

    np.testing.assert_array_equal(photo.pixels[0, :, 0], levels * 255 // (2**depth - 1))
    np.testing.assert_array_equal(photo.alpha[0] == 0, levels == key)


def test_animations_are_refused(save, pixels):
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    with pytest.raises(UnsupportedImage, match="animation"):
        read_photo(save(frames[0], "PNG", save_all=True, append_images=frames[1:]))


def test_a_wrong_checksum_is_found_even_in_the_pixels(save, pixels):
    png = bytearray(save(pixels, "PNG"))
    end = png.index(b"IEND") - 8
    png[end + 1] ^= 1  # the last chunk of pixels ends with its checksum
    with pytest.raises(UnsupportedImage, match="checksum of IDAT"):
        read_photo(bytes(png))


def test_a_damaged_chunk_that_can_be_spared_is_dropped_and_said(save, pixels):
    """Browsers do so; in the pixels and in what makes an animation of them, a wrong checksum is the end."""

    def broken(kind, data):
        png = bytearray(with_chunks(save(pixels, "PNG"), chunk(kind, data)))
        png[png.index(chunk(kind, data)) + 8 + len(data)] ^= 1
        return bytes(png)

    photo = read_photo(broken(b"gAMA", (45455).to_bytes(4, "big")))
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert lost_in(photo, "PNG") == ("the chunk gAMA (the checksum is wrong)",)
    assert photo.metadata.png_chunks == ()
    photo = read_photo(broken(b"tRNS", bytes(6)))
    assert photo.alpha is None
    assert lost_in(photo, "PNG") == ("the transparent colours (the checksum is wrong)",)
    with pytest.raises(UnsupportedImage, match="checksum of acTL"):
        read_photo(broken(b"acTL", bytes(8)))


def test_long_texts_and_profiles_are_carried(save, pixels):
    """Longer than Pillow's own limit of a megabyte; a profile is unpacked within ours."""
    random = np.random.default_rng(0)
    text = b"Comment\0\0" + zlib.compress(b"a text of some length. " * 70_000)
    profile = bytes(40) + random.integers(0, 4, 1_500_000, dtype=np.uint8).tobytes()
    profiled = b"mine\0\0" + zlib.compress(profile)
    photo = read_photo(with_chunks(save(pixels, "PNG"), chunk(b"zTXt", text), chunk(b"iCCP", profiled)))
    assert photo.metadata.png_chunks == ((b"zTXt", text),)
    assert photo.metadata.icc_profile == profile
    assert lost_in(photo, "PNG") == ()
    again = read_photo(encode_photo(photo, format="PNG"))
    assert (again.metadata.icc_profile, again.metadata.png_chunks) == (profile, ((b"zTXt", text),))


def test_the_result_is_a_sound_file(photo, alpha):
    png = encode_photo(Photo(pixels=photo.pixels, alpha=alpha, metadata=photo.metadata), format="PNG")
    Image.open(io.BytesIO(png)).verify()


# --- pixels that come to their end too early ----------------------------------------------------------------


def with_pixels(file: bytes, change) -> bytes:
    """Pack the unpacked pixels of a PNG file anew, after a change; the file is whole but for that."""
    chunks = list(read_chunks(io.BytesIO(file), with_pixels=True))
    packed = zlib.compress(change(zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))))
    first = next(number for number, (kind, _) in enumerate(chunks) if kind == b"IDAT")
    before, behind = chunks[:first], [(kind, data) for kind, data in chunks[first:] if kind != b"IDAT"]
    kept = [chunk(kind, data) for kind, data in [*before, (b"IDAT", packed), *behind, (b"IEND", b"")]]
    return SIGNATURE + b"".join(kept)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def png_of(mode: str) -> bytes:
    """Give a picture of 40 rows as a PNG file; of 16 bits where the mode is 48."""
    pixels = noise()
    if mode == "48":
        return encode_photo(Photo(pixels=pixels.astype(np.uint16) * 257), format="PNG")
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.quantize(16) if mode == "P" else image.convert(mode)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "48"])
def test_pixels_that_end_too_early_are_not_taken_for_black(mode) -> None:
    whole = png_of(mode)
    cut = with_pixels(whole, lambda rows: rows[: len(rows) * 5 // 8])
    with pytest.raises(UnsupportedImage, match=r"cut off or damaged \(its pixels end after row 25 of 40\)"):
        read_photo(cut, max_bits=16)
    spare = with_pixels(whole, lambda rows: rows + b"spare")
    assert np.array_equal(read_photo(spare, max_bits=16).pixels, read_photo(whole, max_bits=16).pixels)


def test_the_last_passes_of_an_interlaced_picture_may_be_missing() -> None:
    sizes = [5 * 7, 5 * 7, 5 * 14, 10 * 14, 10 * 28, 20 * 28, 20 * 56]
    rows_of = [5, 5, 5, 10, 10, 20, 20]
    packed = b"".join(
        b"\0" + bytes(np.arange(size // rows, dtype=np.uint8))
        for size, rows in zip(sizes, rows_of, strict=True)
        for _ in range(rows)
    )
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 56, 40, 8, 0, 0, 0, 1))
    file = SIGNATURE + head + chunk(b"IDAT", zlib.compress(packed)) + chunk(b"IEND", b"")
    assert read_photo(file).pixels.shape == (40, 56, 1)
    with pytest.raises(UnsupportedImage, match=r"its pixels end too early"):
        read_photo(with_pixels(file, lambda rows: rows[:-57]))


def test_a_sound_picture_may_end_in_black() -> None:
    pixels = noise()
    pixels[30:] = 0
    assert np.array_equal(read_photo(encode_photo(Photo(pixels=pixels), format="PNG")).pixels, pixels)


def test_a_picture_of_an_animation_may_be_cut_short() -> None:
    frames = [Image.fromarray(noise(seed)) for seed in (1, 2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=100)
    cut = with_pixels(buffer.getvalue(), lambda rows: rows[: len(rows) // 2])
    with open_pictures(cut) as pictures, pytest.raises(UnsupportedImage, match=r"its pixels end after row 20 of 40"):
        list(pictures.photos())
