"""Small files that unpack to very much are refused before they are unpacked, in one sentence."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
from PIL import Image

from acutance.engines.fake import FakeEngine
from acutance.errors import ImageTooLarge
from acutance.server import bounds
from acutance.server.models import OneEngine
from acutance.server.options import ModelChoice, Options
from acutance.server.stopping import StopSignal
from acutance.server.work import PictureTask

NEVER = OneEngine(FakeEngine(lambda batch: batch), max_pixels=100_000_000)


def run(content: bytes, folder) -> None:
    path = folder / "upload"
    path.write_bytes(content)
    options = Options(model=ModelChoice(name="fake"))
    task = PictureTask(upload=path, target=folder / "made", options=options, max_pixels=100_000_000)
    task.run(NEVER, StopSignal(60), lambda _: None)


def progressive(scans: int, *, thumbnail: bytes = b"") -> bytes:
    """Return a progressive JPEG whose last scan is repeated until it has so many."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    starts = [match.start() for match in re.finditer(rb"\xff\xda", content)]
    last = content[starts[-1] : -2]
    segment = b"\xff\xe4" + struct.pack(">H", len(thumbnail) + 2) + thumbnail if thumbnail else b""
    return content[:2] + segment + content[2:-2] + last * (scans - len(starts)) + b"\xff\xd9"


def gif(frames: int, side: int) -> bytes:
    """Return a GIF of small pictures on a large screen."""
    buffer = io.BytesIO()
    Image.new("P", (1, 1)).save(buffer, "GIF")
    one = buffer.getvalue()
    start = one.index(b"\x2c", 13 + 3 * 2 ** ((one[10] & 7) + 1))
    return one[:6] + struct.pack("<HH", side, side) + one[10:start] + one[start:-1] * frames + b"\x3b"


def tiff(pages: int, side: int) -> bytes:
    """Return pages of which each is said to be large."""
    content = b"II*\0" + struct.pack("<I", 8)
    for number in range(pages):
        entries = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1), (278, 4, side)]
        entries += [(273, 4, 0), (279, 4, 8)]
        content += struct.pack("<H", len(entries))
        for tag, kind, value in sorted(entries):
            content += struct.pack("<HHII", tag, kind, 1, value)
        content += struct.pack("<I", len(content) + 4 if number < pages - 1 else 0)
    return content


def test_scans_have_a_limit(tmp_path) -> None:
    run(progressive(bounds.MAX_SCANS), tmp_path)
    with pytest.raises(ImageTooLarge, match="JPEG of 101 scans, the limit is 100"):
        run(progressive(bounds.MAX_SCANS + 1), tmp_path)


def test_what_looks_like_a_scan_in_a_segment_or_behind_the_end_does_not_count() -> None:
    bounds.check_scans(progressive(20, thumbnail=b"\xff\xda" * 500) + b"\xff\xda\0\2" * 500)


def test_frames_have_a_limit_each_and_in_all(tmp_path) -> None:
    with pytest.raises(ImageTooLarge, match=r"frames of an animation have 9000×9000 px = 81.0 MP, the limit is 16.8"):
        run(gif(3, 9000), tmp_path)
    with pytest.raises(ImageTooLarge, match="300 pictures of 2000×2000 px = 1200 MP in all, the limit is 1000 MP"):
        run(gif(300, 2000), tmp_path)


def test_pages_have_a_limit_in_all(tmp_path) -> None:
    with pytest.raises(ImageTooLarge, match="in all, the limit is 1000 MP"):
        run(tiff(20, 9000), tmp_path)
