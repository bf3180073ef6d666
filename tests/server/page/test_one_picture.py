"""One picture, from the drop to the download."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

GREY = (100, 110, 120)


def photo(color: tuple[int, int, int] = GREY, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG", **options)
    return buffer.getvalue()


def test_upload_result_divider_download(shared, visit) -> None:
    content = photo()
    seen = visit(shared)
    seen.give(("holiday.png", content))
    seen.wait_until_sharp()
    shown = seen.canvas()
    height, width = shown.shape[:2]
    inside = 10
    assert tuple(shown[height // 2, width // 2 - inside]) == GREY
    assert tuple(shown[height // 2, width // 2 + inside]) == tuple(255 - value for value in GREY)
    name, saved = seen.download("#save")
    assert name == "holiday.sharp.png"
    assert saved == shared.form(content, name="holiday.png").body, "the very bytes that the API gives"
    assert np.asarray(Image.open(io.BytesIO(saved))).shape == (48, 64, 3)
    assert seen.complaints == []
    assert seen.foreign == []
