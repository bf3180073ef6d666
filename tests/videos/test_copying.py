"""What is not sharpened goes over as it is: packets, chapters, attachments, covers, metadata."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from acutance.errors import OutputError
from acutance.videos import VideoSettings, sharpen_video

TEXTS = ((100, 150, b"Hello"), (300, 90, "Grüße 視".encode()))
CHAPTERS = ((0, 200, "one"), (200, 440, "two"))
TIMES = (0, 33, 67, 100, 200, 233, 300, 310, 400)


def described(path: Path) -> list[tuple]:
    with av.open(str(path)) as container:
        return [
            (
                stream.type,
                {key: value for key, value in stream.metadata.items() if key not in ("DURATION", "encoder", "ENCODER")},
                stream.disposition,
                getattr(stream, "data", b""),
            )
            for stream in container.streams
        ]


def chapters(path: Path) -> list[tuple[Fraction, Fraction, str]]:
    with av.open(str(path)) as container:
        return [
            (
                chapter["start"] * chapter["time_base"],
                chapter["end"] * chapter["time_base"],
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]


def packets(path: Path, index: int) -> Iterator[av.Packet]:
    with av.open(str(path)) as container:
        yield from container.demux(container.streams[index])


@pytest.fixture
def rich(make) -> Path:
    """Two sounds, subtitles, a font and chapters around a video of variable frame rate."""
    return make(
        "a.mkv",
        codec="libx264",
        times=TIMES,
        audio=("aac", "flac"),
        subtitles=TEXTS,
        attachment=bytes(range(256)) * 9,
        chapters=CHAPTERS,
        metadata={"title": "Ä clip", "ARTIST": "somebody"},
    )


def test_everything_of_a_matroska_file_stays(rich, keeper, packets_of, times_of):
    target = rich.with_name("b.mkv")
    result = sharpen_video(keeper, rich, target)
    assert (result.copied_streams, result.warnings) == (4, ())
    one, other = packets_of(rich), packets_of(target)
    assert one.keys() == other.keys() == {0, 1, 2, 3}
    for index in (1, 2, 3):
        assert one[index] == other[index]
    assert described(rich) == described(target)
    assert (
        chapters(rich)
        == chapters(target)
        == [(Fraction(start, 1000), Fraction(end, 1000), title) for start, end, title in CHAPTERS]
    )
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "Ä clip"
        assert container.metadata["ARTIST"] == "somebody"
    assert times_of(rich) == times_of(target)


def test_ffprobe_finds_the_same_packets(rich, keeper, ffprobe):
    target = rich.with_name("b.mkv")
    sharpen_video(keeper, rich, target)
    for kind in ("a:0", "a:1", "s"):
        arguments = ("-select_streams", kind, "-show_data_hash", "sha256", "-show_entries", "packet=pts,data_hash")
        one, other = (ffprobe(path, *arguments)["packets"] for path in (rich, target))
        assert one == other
        assert one
    one, other = (ffprobe(path, "-show_chapters")["chapters"] for path in (rich, target))
    assert [(c["start_time"], c["end_time"], c["tags"]) for c in one] == [
        (c["start_time"], c["end_time"], c["tags"]) for c in other
    ]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_sounds_and_chapters_of_mp4_stay(make, keeper, packets_of, times_of, name):
    audio = ("aac", "pcm_s16le") if name.endswith("mov") else ("aac", "aac")
    source = make(name, codec="libx264", times=TIMES, audio=audio, chapters=CHAPTERS, metadata={"title": "film"})
    target = source.with_name("b" + source.suffix)
    result = sharpen_video(keeper, source, target)
    assert (result.copied_streams, result.warnings) == (2, ())
    one, other = packets_of(source), packets_of(target)
    assert one[1] == other[1]
    if name.endswith("mov"):  # a reader cuts PCM into packets by where it lies in the file
        samples = [b"".join(bytes(packet) for packet in packets(path, 2)) for path in (source, target)]
        assert samples[0] == samples[1]
    else:
        assert one[2] == other[2]
    assert [kind for kind, *_ in described(source)] == [kind for kind, *_ in described(target)]
    assert [metadata.get("language") for _, metadata, *_ in described(source)] == [
        metadata.get("language") for _, metadata, *_ in described(target)
    ]
    assert chapters(source) == chapters(target)
    assert times_of(source) == times_of(target)


def test_sounds_of_a_transport_stream_stay(make, keeper, packets_of):
    source = make("a.ts", codec="libx264", times=TIMES, audio=("aac", "mp2"))
    target = source.with_name("b.ts")
    sharpen_video(keeper, source, target)
    one, other = packets_of(source), packets_of(target)
    assert one[1] == other[1]
    assert one[2] == other[2]
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert [stream.id for stream in before.streams] == [stream.id for stream in after.streams]


def test_names_of_a_makers_own_stay_in_mp4(make, keeper):
    metadata = {"com.maker.model": "Camera 3", "title": "film"}
    with av.open(str(make("plain.mp4", codec="libx264"))) as plain:
        path = Path(plain.name).with_name("a.mp4")
        with av.open(str(path), "w", container_options={"movflags": "use_metadata_tags"}) as out:
            stream = out.add_stream_from_template(plain.streams.video[0], opaque=True)
            out.metadata.update(metadata)
            for packet in plain.demux(plain.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    sharpen_video(keeper, path, path.with_name("b.mp4"))
    with av.open(str(path.with_name("b.mp4"))) as container:
        assert metadata.items() <= container.metadata.items()


def with_cover(make, name: str) -> tuple[Path, bytes]:
    """Return a video with a cover picture, and the picture."""
    with (
        av.open(str(make("cover.mkv", codec="mjpeg", pixel_format="yuvj420p", times=(0,)))) as cover,
        av.open(str(make("plain.mkv", codec="libx264"))) as plain,
    ):
        (picture,) = [packet for packet in cover.demux(cover.streams.video[0]) if packet.size]
        path = Path(plain.name).with_name(name)
        with av.open(str(path), "w") as out:
            video = out.add_stream_from_template(plain.streams.video[0], opaque=True)
            if path.suffix == ".mkv":
                out.add_attachment("front.jpg", "image/jpeg", bytes(picture))
            else:
                still = out.add_stream_from_template(cover.streams.video[0], opaque=True)
                still.disposition = Disposition.attached_pic
                picture.stream = still
                out.mux(picture)
            for packet in plain.demux(plain.streams.video[0]):
                if packet.size:
                    packet.stream = video
                    packet.dts = packet.pts if packet.dts is None else packet.dts
                    out.mux(packet)
        return path, bytes(picture)


@pytest.mark.parametrize("settings", [VideoSettings(), VideoSettings(from_s=0.05)], ids=["whole", "preview"])
@pytest.mark.parametrize(
    ("made", "written"), [("a.mkv", "b.mkv"), ("a.mp4", "b.mp4"), ("a.mp4", "b.mkv"), ("a.mkv", "b.mp4")]
)
def test_a_cover_picture_stays_one(make, keeper, made, written, settings):
    source, picture = with_cover(make, made)
    target = source.with_name(written)
    result = sharpen_video(keeper, source, target, settings=settings)
    assert result.warnings == ()
    with av.open(str(target)) as container:
        (cover,) = [stream for stream in container.streams.video if stream.disposition & Disposition.attached_pic]
        (found,) = [packet for packet in container.demux(cover) if packet.size]
        assert bytes(found) == picture


def test_a_second_video_is_copied_and_that_is_said(make, keeper, packets_of):
    with av.open(str(make("plain.mkv", codec="libx264", times=TIMES, options={"bf": "3"}))) as plain:
        path = Path(plain.name).with_name("a.mkv")
        with av.open(str(path), "w") as out:
            streams = [out.add_stream_from_template(plain.streams.video[0], opaque=True) for _ in range(2)]
            last = -10
            for packet in plain.demux(plain.streams.video[0]):
                if packet.size:
                    last = packet.dts = last + 1 if packet.dts is None else packet.dts
                    for stream in streams:
                        packet.stream = stream
                        out.mux(packet)
    target = path.with_name("b.mkv")
    result = sharpen_video(keeper, path, target)
    assert result.warnings == ("the file holds 2 videos: one was sharpened, the other copied.",)
    assert packets_of(path)[1] == packets_of(target)[1]


def test_a_stream_that_the_container_cannot_hold_is_an_error_with_the_way_out(rich, keeper):
    with pytest.raises(
        OutputError, match=r"MP4 cannot hold stream 2 \(audio, flac\)|MP4 cannot hold stream 3 \(subtitle"
    ):
        sharpen_video(keeper, rich, rich.with_name("b.mp4"))
    assert not rich.with_name("b.mp4").exists()


def test_a_font_that_the_container_cannot_hold_is_left_out_and_that_is_said(make, keeper):
    source = make("a.mkv", codec="libx264", attachment=b"font" * 20)
    result = sharpen_video(keeper, source, source.with_name("b.mp4"))
    assert result.warnings == (
        "left out, because the container cannot hold them: stream 1 (attachment, unknown codec).",
    )


def test_metadata_that_are_no_utf8_stay(make, keeper):
    source = make("a.mkv", codec="libx264", metadata={"title": "XXXX"})
    source.write_bytes(source.read_bytes().replace(b"XXXX", b"\xe4\xf6\xfc\xff"))
    sharpen_video(keeper, source, source.with_name("b.mkv"))
    assert b"\xe4\xf6\xfc\xff" in source.with_name("b.mkv").read_bytes()
