from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pillow_heif = pytest.importorskip("pillow_heif")

from acutance.engines.fake import FakeEngine  # noqa: E402
from acutance.errors import InputError, OutputError, UnsupportedImage  # noqa: E402
from acutance.inference.picture_files import sharpen_file  # noqa: E402
from acutance.inference.sharpener import Sharpener  # noqa: E402
from acutance.media import (  # noqa: E402
    Metadata,
    Photo,
    encode_photo,
    encoder_threads,
    heif,
    lost_in,
    open_pictures,
    read_photo,
    write_photo,
)
from acutance.media.photo import HeifCoding  # noqa: E402


def heic(values: np.ndarray, mode: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.encode(mode, values.shape[1::-1], np.ascontiguousarray(values).tobytes(), buffer, **options)
    return buffer.getvalue()


def test_the_shape_of_the_pixels_is_said(pixels):
    data = heic(pixels, "RGB")
    at = data.index(b"pixi")  # as long as the property that takes its place
    data = data[:at] + b"pasp" + struct.pack(">II", 3, 2) + data[at + 12 :]
    assert lost_in(read_photo(data), "HEIF") == ("the shape of the pixels (1.5 times as wide as high)",)


def test_eight_bits_come_back_with_all_that_they_carry(photo, maker_note):
    data = encode_photo(photo, format="HEIF")
    again = read_photo(data)
    assert data[4:8] == b"ftyp"
    assert again.metadata.source_format == "HEIF"
    assert again.bits == 8
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 3
    for kind in ("exif", "xmp", "icc_profile"):
        assert getattr(again.metadata, kind) == getattr(photo.metadata, kind)
    assert maker_note in again.metadata.exif
    assert lost_in(photo, "HEIF") == ()


@pytest.mark.parametrize("bits", [10, 12])
def test_ten_and_twelve_bits_stay(values16, bits):
    coding = HeifCoding(bits=bits, subsampling="4:4:4")
    photo = Photo(pixels=values16[:, :, :3].copy(), metadata=Metadata(coding=coding))
    again = read_photo(encode_photo(photo, format="HEIF"), max_bits=16)
    assert (again.bits, again.metadata.coding.bits) == (16, bits)
    assert np.abs(again.pixels[2:-2, 2:-2].astype(int) - photo.pixels[2:-2, 2:-2]).mean() < 600
    with pytest.raises(UnsupportedImage, match="16 bits"):
        read_photo(encode_photo(photo, format="HEIF"))


def test_levels_are_spread_from_black_to_white():
    values = np.zeros((16, 16, 3), np.uint16)
    values[:, 8:] = 1023 << 6
    photo = read_photo(heic(values, "RGB;16", quality=-1, chroma=444), max_bits=16)
    assert photo.pixels[:, :4].max() < 300
    assert photo.pixels[:, 12:].min() > 65200


@pytest.mark.parametrize("chroma", [420, 422, 444])
def test_chroma_samples_stay_as_many(pixels, chroma):
    photo = read_photo(heic(np.pad(pixels, ((0, 0), (0, 1), (0, 0))), "RGB", chroma=chroma))
    again = read_photo(encode_photo(photo, format="HEIF"))
    assert again.metadata.coding.subsampling == photo.metadata.coding.subsampling == ":".join(str(chroma))


def test_numbers_of_colours_stay(pixels):
    source = heic(pixels, "RGB", color_primaries=12, transfer_characteristics=13, matrix_coefficients=6)
    photo = read_photo(source)
    assert photo.metadata.coding.colours[:2] == (12, 13)
    assert read_photo(encode_photo(photo, format="HEIF")).metadata.coding == photo.metadata.coding


def test_transparency_stays(pixels, alpha):
    again = read_photo(encode_photo(Photo(pixels=pixels, alpha=alpha), format="HEIF"))
    assert np.abs(again.alpha.astype(int) - alpha).mean() < 4


def test_a_turned_picture_is_upright_and_says_so(pixels, make_exif):
    source = heic(pixels, "RGB", exif=make_exif(orientation=6))
    photo = read_photo(source)
    assert photo.metadata.orientation == 1
    assert photo.metadata.exif == make_exif(orientation=1)
    stored = Photo(pixels=pixels, metadata=Metadata(exif=make_exif(orientation=6)))
    again = read_photo(encode_photo(stored, format="HEIF"))
    assert again.size == stored.upright().size
    assert again.metadata.orientation == 1


def test_grey_is_written_as_colour_without_its_profile(photo):
    grey = Photo(pixels=photo.pixels[:, :, :1].copy(), metadata=Metadata(icc_profile=bytes(16) + b"GRAY" + bytes(99)))
    assert lost_in(grey, "HEIF") == ("the colour profile (it is for grey pictures)",)
    again = read_photo(encode_photo(grey, format="HEIF"))
    assert np.abs(again.pixels.astype(int) - grey.pixels).mean() < 4


def test_further_pictures_are_left_out_and_said(pixels):
    file = pillow_heif.HeifFile()
    for values in (pixels, 255 - pixels):
        file.add_frombytes("RGB", (31, 20), values.tobytes())
    buffer = io.BytesIO()
    file.save(buffer)
    photo = read_photo(buffer.getvalue())
    assert "the further pictures in the file" in photo.metadata.left_out
    assert np.abs(photo.pixels.astype(int) - pixels).mean() < 6


def test_damaged_files_end_in_a_sentence(photo):
    data = encode_photo(photo, format="HEIF")
    for length in np.linspace(20, len(data) - 1, 40).astype(int):
        with pytest.raises(InputError):
            read_photo(data[:length])


def test_without_the_extra_the_way_to_it_is_said(tmp_path, photo, monkeypatch):
    path = tmp_path / "it.heic"
    path.write_bytes(encode_photo(photo, format="HEIF"))
    png = encode_photo(photo, format="PNG")
    monkeypatch.setattr(heif, "is_installed", lambda: False)
    with pytest.raises(UnsupportedImage, match=r"it.heic is a HEIC picture.*pip install 'pillow-heif>="):
        read_photo(path)
    from acutance.media import check_holds

    with open_pictures(png) as pictures, pytest.raises(OutputError, match="pip install 'pillow-heif>="):
        check_holds(pictures, "HEIF")


def test_metadata_that_it_cannot_hold_are_said(photo):
    more = replace(photo.metadata, photoshop=b"8BIM", comments=(b"said",))
    assert lost_in(replace(photo, metadata=more), "HEIF") == (
        "Photoshop's resources (captions and keywords in IPTC form)",
        "comments",
    )


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool (libimage-exiftool-perl)")
def test_exiftool_finds_all_that_it_wrote(tmp_path, pixels):
    source, target = tmp_path / "in.heic", tmp_path / "out.heic"
    source.write_bytes(heic(pixels, "RGB"))
    written = ("-EXIF:Artist=Ähm", "-EXIF:ISO=400", "-GPS:GPSLatitude=48.5", "-XMP-dc:Title=Dämmerung")
    words = ["exiftool", "-overwrite_original", "-q", "-charset", "utf8"]
    subprocess.run([*words, *written, source], check=True)
    write_photo(read_photo(source), target)
    said = subprocess.run(
        ["exiftool", "-json", "-G1", "-EXIF:all", "-GPS:all", "-XMP:all", source, target],
        capture_output=True,
        check=True,
    ).stdout
    before, after = json.loads(said)
    assert before["IFD0:Artist"] == "Ähm"
    assert before["XMP-dc:Title"] == "Dämmerung"
    for row in (before, after):
        row.pop("SourceFile")
    assert after == before


def test_the_encoder_does_not_spend_time_on_what_is_not_seen(monkeypatch, pixels):
    asked = {}
    encode = pillow_heif.encode
    monkeypatch.setattr(
        pillow_heif, "encode", lambda *args, **options: asked.update(options) or encode(*args, **options)
    )

    photo = read_photo(encode_photo(Photo(pixels=pixels), format="HEIF"))

    assert asked["enc_params"]["preset"] == "fast"
    assert np.abs(photo.pixels.astype(int) - pixels).mean() < 2


def most_threads(work: Callable[[], object]) -> int:
    """How many threads more than before there are at most while something is done."""
    tasks, is_over = Path("/proc/self/task"), threading.Event()
    counts: list[int] = []

    def watch() -> None:
        while not is_over.wait(0.001):
            counts.append(sum(1 for _ in tasks.iterdir()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = sum(1 for _ in tasks.iterdir())
    work()
    is_over.set()
    watcher.join()
    return max(counts) - before


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted as Linux tells them")
@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_encoders_take_no_more_threads_than_were_told(tmp_path, suffix):
    noise = np.random.default_rng(5).integers(0, 256, (512, 640, 3), np.uint8)
    png = encode_photo(Photo(pixels=noise), format="PNG")

    def with_threads(threads: int) -> int:
        sharpener = Sharpener(engine=FakeEngine(), threads=threads)
        target = tmp_path / f"{threads}.{suffix}"
        return most_threads(lambda: sharpen_file(sharpener, png, target, strength=0))

    one, seven = with_threads(1), with_threads(7)
    assert one <= 2  # a tile, and what hands out the work
    assert seven >= one + 4  # AVIF divides a picture of that size among five


@pytest.mark.parametrize("format_", ["HEIF", "AVIF"])
def test_the_picture_is_the_same_with_any_number_of_threads(photo, format_):
    decoded = []
    for threads in (None, 1, 3):
        with encoder_threads(threads):
            decoded.append(read_photo(encode_photo(photo, format=format_)).pixels.astype(int))
    assert max(np.abs(one - decoded[0]).mean() for one in decoded) < 1
