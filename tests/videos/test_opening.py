from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from acutance.errors import InputError
from acutance.videos import is_video
from acutance.videos.opening import open_video, video_streams


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.avi", "a.ts", "a.nut", "a.flv"])
def test_videos_are_known_by_their_content(make, name):
    path = make(name, codec="libx264")
    assert is_video(path)
    assert is_video(path.rename(path.with_name("holiday.jpg")))


def picture(path: Path, **options: object) -> Path:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path, **options)
    return path


def animation(path: Path) -> Path:
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (0, 90, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    return path


def test_pictures_are_none_whatever_their_name(tmp_path):
    for name in ("a.jpg", "a.png", "a.webp", "a.tif", "a.avif", "a.bmp"):
        path = picture(tmp_path / name)
        assert not is_video(path.rename(tmp_path / "film.mp4")), name
    for name in ("a.gif", "b.webp", "c.png"):
        assert not is_video(animation(tmp_path / name))


def test_a_heic_picture_is_none(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert not is_video(path)
    with pytest.raises(InputError, match=r"a\.mp4 is a picture, not a video"), open_video(path):
        pass


@pytest.mark.parametrize("name", ["a.m4a", "a.mka", "a.wav", "a.ogg"])
def test_sounds_are_none(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as out:
        sound = out.add_stream({"wav": "pcm_s16le", "ogg": "libopus"}.get(path.suffix[1:], "aac"), rate=48000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), format="s16", layout="stereo")
        samples.sample_rate = 48000
        out.mux(sound.encode(samples))
        out.mux(sound.encode(None))
    assert not is_video(path)


def test_a_sound_with_a_cover_is_none(make, tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(make("cover.mkv", codec="mjpeg", pixel_format="yuvj420p", times=(0,)))) as cover:
        stream = cover.streams.video[0]
        with av.open(str(path), "w") as out:
            sound = out.add_stream("aac", rate=48000)
            added = out.add_stream_from_template(stream, opaque=True)
            added.disposition = av.stream.Disposition.attached_pic
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), format="s16", layout="stereo")
            samples.sample_rate = 48000
            for packet in cover.demux(stream):
                if packet.size:
                    packet.stream = added
                    out.mux(packet)
            out.mux(sound.encode(samples))
            out.mux(sound.encode(None))
    with open_video(path) as container:
        assert len(container.streams.video) == 1
        assert video_streams(container) == []
    assert not is_video(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n" * 50,
        b"ffconcat version 1.0\nfile a.mkv\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\na.ts\n",
        bytes(9000),
    ],
)
def test_texts_lists_of_files_and_noise_are_none(make, tmp_path, content):
    make("a.mkv")
    path = tmp_path / "b.mp4"
    path.write_bytes(content)
    assert not is_video(path)
    with pytest.raises(InputError, match="it is not a video, or its beginning or index is damaged"), open_video(path):
        pass


def test_what_is_not_there_or_no_file_is_said(tmp_path):
    for path, words in ((tmp_path / "none.mp4", "there is no such file"), (tmp_path, "it is a folder")):
        assert not is_video(path)
        with pytest.raises(InputError, match=words), open_video(path):
            pass


@pytest.mark.parametrize("name", ["a:b.mkv", "http:x.mkv", "100%d.mkv", "Ünï 視.mkv", "-a.mkv"])
def test_a_name_is_never_taken_for_an_address_or_a_pattern(make, name):
    assert is_video(make("plain.mkv").rename(make("plain.mkv").with_name(name)))
