"""docs/how-to/formats.md, done as it stands there: one new file and one row, and the house knows the format."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import acutance
from acutance.media import FORMATS

PACKAGE = Path(acutance.__file__).parent
DOCS = PACKAGE.parents[1] / "docs" / "how-to"
RECIPES = dict(re.findall(r"```python (still|animated)\n(.*?)```", (DOCS / "formats.md").read_text("utf-8"), re.S))

EVERYWHERE = """
import numpy as np
from pathlib import Path
import acutance
from acutance.errors import UnsupportedImage
from acutance.media import Metadata, Photo, lost_in, plan_outputs, read_photo, write_photo
from acutance.media.formats import READ_FORMATS, format_of

folder = Path("in")
pixels = np.random.default_rng(5).integers(0, 256, (24, 32, 3), np.uint8)
write_photo(Photo(pixels=pixels), folder / "a.toy")
assert (read_photo(folder / "a.toy").pixels == pixels).all()
assert [file.target.name for file in plan_outputs([folder])] == ["a.sharp.toy"]
acutance.sharpen(folder / "a.toy", output=Path("out.png"))
acutance.sharpen(Path("out.png"), output=Path("again.toy"))
assert read_photo(Path("again.toy")).metadata.source_format == "TOY"
assert ", TOY" in READ_FORMATS or READ_FORMATS.endswith("and TOY")
glass = Photo(pixels=pixels, alpha=pixels[:, :, 0], metadata=Metadata(comments=(b"hello",)))
assert lost_in(glass, "TOY") == ("transparency (laid on white)", "comments")
(folder / "cut.toy").write_bytes((folder / "a.toy").read_bytes()[:7])
try:
    read_photo(folder / "cut.toy")
    raise AssertionError
except UnsupportedImage as error:
    assert "cut off or damaged" in str(error)
try:
    from acutance.server.options import FORMATS, negotiate
    from acutance.server.page_routes import parts
    from acutance.server.schemas import FormatName
except ImportError:
    pass
else:
    assert FORMATS["toy"] == "TOY" and negotiate("image/x-toy", "PNG") == "TOY" and "toy" in FormatName.__args__
    assert b",.toy" in parts()["index.html"].content
"""

MOVES = """
from fractions import Fraction
import numpy as np
from acutance.media import Photo, encode_pictures, open_pictures
from acutance.media.animation import Animation

colours = np.full((6, 4, 4, 3), [0, 60, 255], np.uint8) // np.arange(1, 7, dtype=np.uint8)[:, None, None, None]
durations = tuple(Fraction(number, 10) for number in range(1, 7))
animation = Animation(durations_s=durations, plays=0)
toy = b"".join(encode_pictures((Photo(pixels=one) for one in colours), "TOY", count=6, animation=animation))
with open_pictures(toy) as pictures:
    gif = b"".join(encode_pictures(pictures.photos(), "GIF", count=6, animation=pictures.animation))
with open_pictures(gif) as pictures:
    assert pictures.animation.durations_s == durations
    assert all((photo.pixels == one).all() for photo, one in zip(pictures.photos(), colours, strict=True))
"""


def house_with(folder: Path, module: str) -> Path:
    """Make a copy of the package, of links, but for the new file and the table with one row more."""
    package = folder / "house" / "acutance"
    (package / "media").mkdir(parents=True)
    for entry in PACKAGE.iterdir():
        if entry.name not in ("media", "__pycache__"):
            (package / entry.name).symlink_to(entry)
    for entry in (PACKAGE / "media").iterdir():
        if entry.name not in ("formats.py", "__pycache__"):
            (package / "media" / entry.name).symlink_to(entry)
    table = (PACKAGE / "media" / "formats.py").read_text("utf-8")
    table = re.sub(r"(_TABLE = \((?:\n    \w+,)+)", r"\1\n    TOY,", table, count=1)  # behind the last row
    table = table.replace("from acutance.media.webp", "from acutance.media.toy import TOY\nfrom acutance.media.webp")
    (package / "media" / "formats.py").write_text(table, "utf-8")
    (package / "media" / "toy.py").write_text(module, "utf-8")
    return package.parent


@pytest.mark.parametrize("recipe", ["still", "animated"])
def test_a_format_is_one_file_and_one_row(tmp_path, recipe):
    house = house_with(tmp_path, RECIPES[recipe])
    (tmp_path / "in").mkdir()
    script = EVERYWHERE + (MOVES if recipe == "animated" else "")

    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(house)!r})\n{script}"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr


HOW = " (`pip install '.[{}]'`)"
KEPT = {
    "exif": "EXIF",
    "xmp": "XMP",
    "photoshop": "IPTC",
    "boxes": "places on earth",
    "icc": "colour profile",
    "dpi": "resolution",
    "comments": "comments",
    "chunks": "texts",
}


def test_the_table_in_the_docs_is_the_table():
    rows = [
        f"| {format_.label}{HOW.format(format_.extra) if format_.extra else ''} | {format_.pixels} | "
        f"{format_.coding} | {', '.join(words for kind, words in KEPT.items() if kind in format_.holds)} |"
        for format_ in FORMATS.values()
    ]
    missing = [row for row in rows if row not in (DOCS / "sharpen.md").read_text("utf-8").splitlines()]
    assert not missing, "put these into docs/how-to/sharpen.md:\n" + "\n".join(missing)
