from __future__ import annotations

import numpy as np
import pytest

from acutance.errors import OutputError
from acutance.media import FORMATS, Metadata, Photo, encode_photo, format_of, lost_in, read_photo, write_photo


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif", "a.jp2", "a.bmp", "a.gif", "a.ppm"])
def test_a_written_file_is_what_is_encoded(tmp_path, photo, name):
    path = tmp_path / "new" / "folder" / name
    write_photo(photo, path)
    assert path.read_bytes() == encode_photo(photo, format=format_of(path))


def test_a_file_is_replaced_only_when_allowed(tmp_path, photo):
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        write_photo(photo, path)
    assert path.read_bytes() == b"precious"
    write_photo(photo, path, overwrite=True)
    np.testing.assert_array_equal(read_photo(path).pixels, photo.pixels)


def test_a_photo_can_replace_its_own_file(tmp_path, photo):
    path = tmp_path / "a.png"
    write_photo(photo, path)
    own = read_photo(path)
    write_photo(own.with_pixels(255 - own.pixels), path, overwrite=True)
    np.testing.assert_array_equal(read_photo(path).pixels, 255 - photo.pixels)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_name_without_a_format_is_refused_before_any_work(tmp_path, photo):
    with pytest.raises(OutputError, match="must end in one of"):
        write_photo(photo, tmp_path / "a.pbm")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("format_", "side"), [("WEBP", 16_384), ("JPEG", 65_501), ("AVIF", 32_769), ("GIF", 65_536)])
def test_sides_that_a_format_cannot_hold_are_refused(format_, side):
    photo = Photo(pixels=np.zeros((1, side, 1), np.uint8))
    with pytest.raises(OutputError, match=f"{format_} holds {side - 1} px"):
        encode_photo(photo, format=format_)
    assert read_photo(encode_photo(photo, format="PNG")).size == (1, side)


def test_a_view_of_another_array_is_written(pixels, alpha):
    wide = np.repeat(pixels, 2, axis=1)
    photo = Photo(pixels=wide[:, ::2], alpha=alpha[::-1])
    again = read_photo(encode_photo(photo, format="PNG"))
    np.testing.assert_array_equal(again.pixels, pixels)
    np.testing.assert_array_equal(again.alpha, alpha[::-1])


def test_opaque_alpha_is_no_loss(pixels):
    photo = Photo(pixels=pixels, alpha=np.full((20, 31), 255, np.uint8))
    assert lost_in(photo, "JPEG") == ()
    plain = encode_photo(Photo(pixels=pixels), format="JPEG")
    assert encode_photo(photo, format="JPEG") == plain


def test_metadata_that_do_not_fit_their_place_are_refused(pixels):
    metadata = Metadata(jpeg_segments=((0xE7, bytes(70_000)),))
    with pytest.raises(OutputError, match="cannot be coded as JPEG"):
        encode_photo(Photo(pixels=pixels, metadata=metadata), format="JPEG")


def test_a_long_comment_is_split(pixels):
    photo = Photo(pixels=pixels, metadata=Metadata(comments=(b"c" * 100_000,)))
    assert b"".join(read_photo(encode_photo(photo, format="JPEG")).metadata.comments) == b"c" * 100_000


def test_writing_leaves_the_photo_alone(pixels, alpha, make_exif):
    photo = Photo(pixels=pixels, alpha=alpha, metadata=Metadata(exif=make_exif(orientation=6)))
    before = pixels.copy(), alpha.copy(), photo.metadata
    for format_ in FORMATS:
        encode_photo(photo, format=format_)
    np.testing.assert_array_equal(photo.pixels, before[0])
    np.testing.assert_array_equal(photo.alpha, before[1])
    assert photo.metadata is before[2]
