"""The round trip judged by another program: exiftool writes every kind of metadata into every kind of file, and reads
the results. Nothing may be missing and nothing altered, but what describes how the pixels are stored, and what is said.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from corpus import good_files
from PIL import Image, ImageCms

from acutance.engines.fake import FakeEngine
from acutance.inference.files import sharpen_files
from acutance.inference.picture_files import FileResult
from acutance.inference.sharpener import Sharpener
from acutance.media import Photo, PlannedFile, open_pictures

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool (libimage-exiftool-perl)")

KINDS = {
    "exif": (
        *("-EXIF:Make=Maker", "-EXIF:Model=M 1", "-EXIF:ExposureTime=1/125", "-EXIF:ISO=400", "-EXIF:Artist=Ähm"),
        *("-EXIF:DateTimeOriginal=2024:05:06 07:08:09", "-EXIF:UserComment=näh", "-EXIF:LensModel=50 mm"),
        *("-EXIF:Orientation#=6", "-EXIF:OffsetTimeOriginal=+02:00"),
    ),
    "gps": (
        *("-GPS:GPSLatitude=48.5", "-GPS:GPSLatitudeRef=N", "-GPS:GPSLongitude=9.2", "-GPS:GPSLongitudeRef=E"),
        *("-GPS:GPSAltitude=312", "-GPS:GPSAltitudeRef#=0", "-GPS:GPSMapDatum=WGS-84"),
    ),
    "xmp": (
        *("-XMP-dc:Title=Dämmerung", "-XMP-dc:Subject=one", "-XMP-dc:Subject=two", "-XMP-xmp:Rating=4"),
        *("-XMP-dc:Rights=mine", "-XMP-crs:Exposure2012=+0.5"),
    ),
    "iptc": ("-IPTC:Keywords=one", "-IPTC:Keywords=two", "-IPTC:Caption-Abstract=A caption", "-IPTC:City=Ulm"),
    "icc": ("-ICC_Profile<={icc}",),
    "dpi": ("-XResolution=240", "-YResolution=200", "-ResolutionUnit=inches"),
    "comment": ("-Comment=said",),
    "thumbnail": ("-EXIF:Make=Maker", "-ThumbnailImage<={thumbnail}"),
    "texts": ("-PNG:Title=Title", "-PNG:Copyright=©", "-PNG:Author=me"),
}
SOURCES = good_files()
CELLS = [(name, kind) for name in SOURCES for kind in KINDS]
LOSSLESS = [name for name in SOURCES if not name.endswith((".jpg", ".avif", "lossy.webp"))]


class Matrix:
    """All cells: the files as exiftool made them, their results, and what it says of both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "in").mkdir()
        icc, thumbnail = folder / "it.icc", folder / "thumbnail.jpg"
        icc.write_bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
        Image.new("RGB", (32, 24), "red").save(thumbnail)
        words = []
        for name, kind in CELLS:
            path = self.source(name, kind)
            path.write_bytes(SOURCES[name])
            options = [option.format(icc=icc, thumbnail=thumbnail) for option in KINDS[kind]]
            words += ["-overwrite_original", "-q", "-q", "-m", "-charset", "utf8", *options, str(path), "-execute"]
        (folder / "words").write_text("\n".join(words), encoding="utf-8")
        subprocess.run(["exiftool", "-@", folder / "words"], capture_output=True, check=False)
        plan = [PlannedFile(self.source(*cell), folder / "out" / self.source(*cell).name) for cell in CELLS]
        sharpener = Sharpener(engine=FakeEngine())
        self.results = {result.source.name: result for result in sharpen_files(sharpener, plan, strength=0)}
        self.before, self.after = self._judged("in"), self._judged("out")

    def source(self, name: str, kind: str) -> Path:
        stem, suffix = name.split(".")
        return self.folder / "in" / f"{stem}_{kind}.{suffix}"

    def result(self, name: str, kind: str) -> FileResult:
        return self.results[self.source(name, kind).name]

    def _judged(self, folder: str) -> dict[str, dict[str, object]]:
        words = ["exiftool", "-json", "-G1", "-a", "-u", "-U", "-struct", "-b", "-charset", "utf8"]
        said = subprocess.run([*words, self.folder / folder], capture_output=True, check=True).stdout
        return {Path(row["SourceFile"]).name: row for row in json.loads(said)}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory) -> Matrix:
    return Matrix(tmp_path_factory.mktemp("matrix"))


PLACES = (
    # Where things are in the file, and what the file itself is.
    *("SourceFile", "System:", "ExifTool:", "File:FileSize", "QuickTime:MediaData", "IFD0:StripOffsets"),
    *("IFD1:StripOffsets", "IFD0:StripByteCounts", "IFD1:StripByteCounts", "IFD1:ThumbnailOffset"),
    "PNG:ProfileName",  # exiftool's own name for a profile it writes
    "GIF:GIFVersion",
    "RIFF:WebP_Flags",  # says whether there is transparency; exiftool forgets that
    *("RIFF:Duration", "PNG:AnimationFrames"),
)
PIXEL_STORAGE = {
    "palette.png": ("PNG:BitDepth", "PNG:ColorType", "PNG:Palette"),
    "bits.png": ("PNG:BitDepth",),
    "palette.tif": ("BitsPerSample", "ColorMap", "PhotometricInterpretation", "SamplesPerPixel"),
    "bits.tif": ("BitsPerSample",),
    "few.gif": ("GIF:HasColorMap", "GIF:ColorResolutionDepth", "GIF:BitsPerPixel", "GIF:BackgroundColor"),
    "animated.gif": (
        "GIF:HasColorMap",
        "GIF:ColorResolutionDepth",
        "GIF:BitsPerPixel",
        "GIF:BackgroundColor",
        "GIF:TransparentColor",
    ),
    "animated.webp": ("RIFF:BackgroundColor", "RIFF:AlphaPreprocessing", "RIFF:AlphaFilter"),
}
TURNED = ("ImageWidth", "ImageHeight", "ImageSize", "RowsPerStrip", "Orientation")
"""What a format that is written upright changes for a photo that lies on its side."""


def is_explained(tag: str, name: str, kind: str) -> bool:
    if tag.startswith(PLACES) or any(tag.endswith(word) for word in PIXEL_STORAGE.get(name, ())):
        return True
    # TIFF and AVIF are written upright: the pixels are turned, and the tag says so.
    return kind == "exif" and name.endswith((".tif", ".avif")) and tag.endswith(TURNED)


@pytest.mark.parametrize(("name", "kind"), CELLS, ids=[f"{name}-{kind}" for name, kind in CELLS])
def test_nothing_is_missing_and_nothing_altered(matrix, name, kind):
    result = matrix.result(name, kind)
    assert (result.status, result.error) == ("done", "")
    said = {word for word in result.lost if not word.startswith(("the palette", "the depth of 1 bit"))}
    key = result.source.name
    before, after = matrix.before[key], matrix.after[key]
    altered = {
        tag: (before.get(tag), after.get(tag))
        for tag in sorted({*before, *after})
        if before.get(tag) != after.get(tag) and not is_explained(tag, name, kind)
    }
    assert altered == {}
    assert said == set()


@pytest.mark.parametrize("name", LOSSLESS)
def test_strength_0_keeps_every_pixel(matrix, name):
    result = matrix.result(name, "dpi")
    with open_pictures(result.source, max_bits=16) as before, open_pictures(result.target, max_bits=16) as after:
        assert before.count == after.count
        assert before.animation == after.animation
        for old, new in zip(before.photos(), after.photos(), strict=True):
            np.testing.assert_array_equal(seen(new), seen(old))
            assert new.bits == old.bits


def seen(photo: Photo) -> np.ndarray:
    """RGBA; what cannot be seen in a GIF is black."""
    pixels = np.broadcast_to(photo.pixels, (*photo.size, 3))
    white = np.full(photo.size, 2**photo.bits - 1, photo.pixels.dtype)
    return np.dstack([pixels, white if photo.alpha is None else photo.alpha])


def test_the_thumbnail_is_renewed_and_all_else_of_exif_kept(matrix, tmp_path):
    source = matrix.result("rgb.jpg", "thumbnail").source
    target = tmp_path / "it.jpg"
    engine = FakeEngine()
    (result,) = sharpen_files(Sharpener(engine=engine), [PlannedFile(source, target)], strength=1)
    assert result.status == "done"
    words = ["exiftool", "-b", "-ThumbnailImage"]
    old, new = (subprocess.run([*words, path], capture_output=True, check=True).stdout for path in (source, target))
    assert np.asarray(Image.open(io.BytesIO(old)))[..., 1].max() == 0  # it was red
    assert np.asarray(Image.open(io.BytesIO(new)))[..., 1].mean() > 50
    subprocess.run(["exiftool", "-validate", "-warning", "-error", target], check=True, capture_output=True)


def test_every_cell_holds_something(matrix):
    """Or the comparison would say nothing: each kind arrived in the formats that exiftool writes it to."""
    tags = {
        "exif": "IFD0:Make",
        "gps": "GPS:GPSLatitude",
        "xmp": "XMP-dc:Title",
        "iptc": "IPTC:City",
        "icc": "ICC_Profile:ProfileDescription",
        "thumbnail": "IFD1:ThumbnailImage",
    }
    held = {
        kind: {name for name in SOURCES if tag in matrix.before[matrix.source(name, kind).name]}
        for kind, tag in tags.items()
    }
    for name in ("rgb.jpg", "rgb16.png", "rgb16.tif", "lossy.webp", "rgb.avif", "rgb.jp2", "pages.tif"):
        assert name in held["exif"]
        assert name in held["gps"]
        assert name in held["xmp"]
    assert {"rgb.jpg", "rgb16.tif", "rgb.jp2"} <= held["iptc"]
    assert {"rgb.jpg", "rgb16.png", "rgb16.tif", "lossy.webp", "few.gif"} <= held["icc"]
    assert "rgb.jpg" in held["thumbnail"]
