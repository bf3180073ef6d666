from __future__ import annotations

import pytest
from PIL import Image

from acutance.media import kind_of
from acutance.media.video_formats import VIDEO_SUFFIXES, sniff_video, video_suffix_for

HEADS = {
    "MP4": b"\0\0\0\x20ftypisom\0\0\2\0isom",
    "QuickTime": b"\0\0\0\x14ftypqt  \0\0\2\0qt  ",
    "Matroska": b"\x1a\x45\xdf\xa3\x01",
    "AVI": b"RIFF\0\0\0\0AVI LIST",
    "MPEG-TS": (b"G" + bytes(187)) * 3,
    "MPEG-PS": b"\0\0\x01\xba\x44",
    "Y4M": b"YUV4MPEG2 W64 H48",
    "Ogg": b"OggS\0\x02",
    "elementary stream": b"\0\0\0\x01\x67\x42",
}


@pytest.mark.parametrize("name", HEADS)
def test_kinds_are_known_by_their_beginning(name):
    assert sniff_video(HEADS[name]) == name


def test_camcorders_put_a_time_before_every_packet():
    assert sniff_video((bytes(4) + b"G" + bytes(187)) * 3) == "MPEG-TS"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GIF89a" + bytes(400),
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x1cftypavis\0\0\0\0avifavis",
        b"text" * 200,
        bytes(500),
    ],
)
def test_pictures_texts_and_zeros_are_no_videos(head):
    assert sniff_video(head) is None


def test_the_content_says_more_than_the_name(tmp_path):
    film = tmp_path / "a.jpg"
    film.write_bytes(HEADS["MP4"])
    photo = tmp_path / "a.mp4"
    Image.new("L", (4, 4)).save(photo, "PNG")
    damaged = tmp_path / "b.mov"
    damaged.write_bytes(bytes(999))
    assert [kind_of(path) for path in (film, photo, damaged)] == ["video", "photo", "video"]
    assert kind_of(tmp_path / "none.mp4") == "video"
    assert kind_of(tmp_path) == "photo"


@pytest.mark.parametrize(
    ("kind", "name", "suffix"),
    [
        ("MP4", "a.MP4", ".MP4"),
        ("MP4", "a.mkv", ".mp4"),
        ("QuickTime", "a.jpg", ".mov"),
        ("Matroska", "a.webm", ".webm"),
        ("MPEG-PS", "a.vob", ".mkv"),
        ("Ogg", "a.ogv", ".mkv"),
    ],
)
def test_a_result_keeps_an_ending_that_is_true(tmp_path, kind, name, suffix):
    (tmp_path / name).write_bytes(HEADS[kind])
    assert video_suffix_for(tmp_path / name) == suffix


def test_source_code_is_not_taken_for_a_video_by_its_name():
    assert not VIDEO_SUFFIXES & {".ts", ".mts"}
