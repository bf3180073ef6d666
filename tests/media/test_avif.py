from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest
from PIL import AvifImagePlugin, Image

from acutance.errors import OutputError, UnsupportedImage
from acutance.media import Metadata, Photo, encode_photo, encode_pictures, lost_in, open_pictures, read_photo
from acutance.media.animation import Animation
from acutance.media.photo import AvifCoding

pytestmark = pytest.mark.skipif(not AvifImagePlugin.SUPPORTED, reason="this Pillow was built without AVIF")


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_chroma_subsampling_is_kept_and_pixels_near(save, pixels, subsampling):
    photo = read_photo(save(pixels, "AVIF", subsampling=subsampling, quality=90))
    assert photo.metadata.coding == AvifCoding(subsampling=subsampling)
    again = read_photo(encode_photo(photo, format="AVIF"))
    assert again.metadata.coding == photo.metadata.coding
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 3


def test_other_photos_keep_all_chroma(pixels):
    again = read_photo(encode_photo(Photo(pixels=pixels), format="AVIF"))
    assert again.metadata.coding == AvifCoding(subsampling="4:4:4")
    assert np.abs(again.pixels.astype(int) - pixels).mean() < 2


def test_transparency_and_grey(pixels, alpha):
    again = read_photo(encode_photo(Photo(pixels=pixels, alpha=alpha), format="AVIF"))
    assert again.metadata.coding == AvifCoding(subsampling="4:4:4")  # not that of the alpha plane
    assert np.abs(again.alpha.astype(int) - alpha).max() <= 4
    grey = encode_photo(Photo(pixels=pixels[:, :, :1].copy()), format="AVIF")
    wanted = len(Image.open(io.BytesIO(grey)).getbands())  # 1; 3 in Pillow 12
    assert read_photo(grey).pixels.shape == (20, 31, wanted)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_binding_orientation_is_read_and_the_result_upright(save, pixels, make_exif, orientation):
    exif = make_exif(orientation=orientation)
    photo = read_photo(save(pixels, "AVIF", exif=exif, quality=95, subsampling="4:4:4"))  # Pillow writes irot and imir
    assert photo.metadata.orientation == orientation

    result = encode_photo(photo, format="AVIF")

    again = read_photo(result)
    assert again.metadata.orientation == 1
    assert b"irot" not in result
    assert np.abs(again.pixels.astype(int) - photo.upright().pixels).mean() < 3


def test_the_exif_block_is_written_byte_for_byte(pixels, make_exif):
    exif = make_exif()
    result = encode_photo(Photo(pixels=pixels, metadata=Metadata(exif=exif)), format="AVIF")
    assert exif in result
    assert Image.open(io.BytesIO(result)).getexif()[271] == "Maker of cameras"


@pytest.mark.parametrize(("flag", "bits"), [(0x40, 10), (0x60, 12)])
def test_more_than_8_bits_are_refused(save, pixels, flag, bits):
    avif = bytearray(save(pixels, "AVIF"))
    avif[avif.index(b"av1C") + 6] |= flag
    for max_bits in (8, 16):
        with pytest.raises(UnsupportedImage, match=f"{bits} bits per channel"):
            read_photo(bytes(avif), max_bits=max_bits)


def test_animations_are_refused(save, pixels):
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    with pytest.raises(UnsupportedImage, match="animation"):
        read_photo(save(frames[0], "AVIF", save_all=True, append_images=frames[1:]))


def test_a_grey_profile_stays_with_grey_only(pixels, alpha):
    metadata = Metadata(icc_profile=b"\0" * 16 + b"GRAY" + bytes(200))
    grey = Photo(pixels=pixels[:, :, :1].copy(), metadata=metadata)
    avif = encode_photo(grey, format="AVIF")
    kept = metadata.icc_profile if Image.open(io.BytesIO(avif)).mode == "L" else None  # Pillow 12 gives RGB
    assert read_photo(avif).metadata.icc_profile == kept
    assert lost_in(grey, "AVIF") == ()
    both = Photo(pixels=grey.pixels, alpha=alpha, metadata=metadata)
    assert read_photo(encode_photo(both, format="AVIF")).metadata.icc_profile is None
    assert lost_in(both, "AVIF") == ("the colour profile (it is for grey pictures)",)


def test_a_pillow_without_avif_is_said(monkeypatch, save, pixels):
    avif = save(pixels, "AVIF")
    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    with pytest.raises(UnsupportedImage, match="built without it"):
        read_photo(avif)
    with pytest.raises(OutputError, match="built without it"):
        encode_photo(Photo(pixels=pixels), format="AVIF")


def with_colours(avif: bytes, primaries: int, transfer: int) -> bytes:
    """Say other colours in the description of a file of Pillow's; nothing else."""
    return avif.replace(b"colrnclx\0\x01\0\x0d", b"colrnclx" + bytes((0, primaries, 0, transfer)))


@pytest.mark.parametrize("numbers", [(9, 8), (12, 13), (9, 16), (2, 2), (1, 13)])
@pytest.mark.parametrize("kind", ["grey", "colour", "transparent"])
def test_colour_numbers_are_kept(save, pixels, alpha, numbers, kind):
    """Wide colours that were written as sRGB's would be other ones."""
    source = {"grey": pixels[:, :, 0], "colour": pixels, "transparent": np.dstack([pixels, alpha])}[kind]
    photo = read_photo(with_colours(save(source, "AVIF", subsampling="4:4:4", quality=95), *numbers))
    result = encode_photo(photo, format="AVIF")
    assert b"colrnclx" + bytes((0, numbers[0], 0, numbers[1])) in result
    again = read_photo(result)
    assert again.metadata.coding == photo.metadata.coding
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 3
    assert lost_in(photo, "AVIF") == ()
    is_like_srgb = numbers in ((1, 13), (2, 2))
    assert any("H.273" in words for words in lost_in(photo, "WEBP")) != is_like_srgb
    assert (bytes((*numbers, 0, 1)) in encode_photo(photo, format="PNG").partition(b"cICP")[2][:8]) != is_like_srgb


def test_the_stream_says_the_same_colours(save, pixels):
    """Some programs believe it more than the description."""
    av = pytest.importorskip("av", reason="another decoder is the judge")
    photo = read_photo(with_colours(save(pixels, "AVIF", quality=95), 12, 16))
    with av.open(io.BytesIO(encode_photo(photo, format="AVIF"))) as file:
        frame = next(file.decode(video=0))
    assert (int(frame.color_primaries), int(frame.color_trc)) == (12, 16)


def test_a_profile_is_believed_more_than_numbers(save, pixels):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read_photo(save(pixels, "AVIF", icc_profile=profile))
    assert photo.metadata.icc_profile == profile
    assert read_photo(encode_photo(photo, format="AVIF")).metadata.icc_profile == profile
    assert not any("H.273" in words for words in lost_in(photo, "PNG"))


def grown(avif: bytes, place: int, added: bytes, *outer: bytes) -> bytes:
    """Put something into the description of a file of Pillow's: its boxes and the place of the pixels follow."""
    pixels = avif.index(b"mdat") + 4
    data = bytearray(avif)
    for kind in outer:
        at = data.index(kind) - 4
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + len(added)).to_bytes(4, "big")
    at = data.index(pixels.to_bytes(4, "big"), data.index(b"iloc"))
    data[at : at + 4] = (pixels + len(added)).to_bytes(4, "big")
    return bytes(data[:place] + added + data[place:])


def a_box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


@pytest.mark.parametrize(
    ("added", "lost"),
    [
        (a_box(b"auxC", bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth\0"), "the depth map"),
        (a_box(b"infe", b"\2\0\0\1\0\x07\0\0tmap\0"), "the gain map (HDR)"),
        (a_box(b"infe", b"\3\0\0\1\0\0\0\x07\0\0tmap\0"), "the gain map (HDR)"),
        (a_box(b"iref", bytes(4) + a_box(b"thmb", b"\0\2\0\1\0\1")), "the smaller previews in the file"),
    ],
)
def test_what_a_file_holds_besides_its_picture_is_said(save, pixels, added, lost):
    avif = save(pixels, "AVIF")
    place = avif.index(b"mdat") - 4  # the end of the description
    photo = read_photo(grown(avif, place, a_box(b"free", added), b"meta"))
    assert lost_in(photo, "AVIF") == (lost,)
    assert lost_in(read_photo(encode_photo(photo, format="AVIF")), "AVIF") == ()


@pytest.mark.parametrize(
    ("kind", "numbers", "wanted"),
    [
        (b"clap", (20, 1, 10, 1, 0, 1, 0, 1), ("the crop that is to be shown (all of the picture is written)",)),
        (b"pasp", (3, 2), ("the shape of the pixels (1.5 times as wide as high)",)),
        (b"pasp", (7, 7), ()),
        (b"pasp", (7, 0), ()),
    ],
)
def test_how_it_is_to_be_shown_is_said_where_it_is_lost(save, pixels, kind, numbers, wanted):
    avif = save(pixels, "AVIF")
    property_ = a_box(kind, b"".join(number.to_bytes(4, "big") for number in numbers))
    start = avif.index(b"ipco")
    end = start - 4 + int.from_bytes(avif[start - 4 : start], "big")
    number, at = 1, start + 4
    while at < end:
        at, number = at + int.from_bytes(avif[at : at + 4], "big"), number + 1
    avif = grown(avif, end, property_, b"meta", b"iprp", b"ipco")
    count = avif.index(b"ipma") + 4 + 4 + 4 + 2
    avif = avif[:count] + bytes((avif[count] + 1,)) + avif[count + 1 :]
    avif = grown(avif, count + 1 + avif[count] - 1, bytes((0x80 | number,)), b"meta", b"iprp", b"ipma")
    photo = read_photo(avif)
    assert photo.size == (20, 31)
    assert lost_in(photo, "AVIF") == wanted


def test_the_sound_of_an_animation_is_said():
    track = a_box(b"trak", a_box(b"mdia", a_box(b"hdlr", bytes(8) + b"soun" + bytes(13))))
    data = moving()
    at = data.index(b"moov") - 4
    length = int.from_bytes(data[at : at + 4], "big")
    assert at + length < data.index(b"mdat")  # so that the file can be grown behind it
    data = grown(data, at + length, a_box(b"free", track), b"moov")
    with open_pictures(data) as pictures:
        assert "the sound" in pictures.metadata.left_out


MOVING = [np.full((24, 32, 3), (level, 255 - level, 90), np.uint8) for level in (10, 120, 240)]


def moving(**options):
    images = [Image.fromarray(one) for one in MOVING]
    buffer = io.BytesIO()
    images[0].save(buffer, "AVIF", save_all=True, append_images=images[1:], duration=[40, 250, 100], **options)
    return buffer.getvalue()


def test_an_animation_is_read_picture_by_picture():
    with open_pictures(moving()) as pictures:
        assert pictures.count == 3
        assert pictures.animation.durations_s == (Fraction(40, 1000), Fraction(250, 1000), Fraction(100, 1000))
        for photo, wanted in zip(pictures.photos(), MOVING, strict=True):
            assert np.abs(photo.pixels.astype(int) - wanted).max() <= 6


def test_an_animation_is_written_with_its_times_and_metadata(make_exif):
    durations = (Fraction(40, 1000), Fraction(1, 4), Fraction(1, 10))
    metadata = Metadata(exif=make_exif(), xmp=b"<x:xmpmeta/>")
    photos = (Photo(pixels=one, metadata=metadata) for one in MOVING)
    animation = Animation(durations_s=durations, plays=0)

    data = b"".join(encode_pictures(photos, "AVIF", count=3, animation=animation))

    with open_pictures(data) as pictures:
        assert pictures.animation == animation
        assert pictures.metadata.xmp == metadata.xmp
        assert pictures.metadata.exif is not None
        again = list(pictures.photos())
    assert all(np.abs(photo.pixels.astype(int) - one).max() <= 6 for photo, one in zip(again, MOVING, strict=True))


def test_an_animation_without_its_times_is_damaged_in_a_sentence():
    data = moving().replace(b"stts", b"sttx")
    with pytest.raises(UnsupportedImage, match=r"^the image is cut off or damaged .*\.$"), open_pictures(data):
        pass
