"""Small generated photos and metadata. EXIF blocks are made by Pillow, which is not what reads them here."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from acutance.media import Metadata, Photo

MAKER_NOTE = bytes(range(1, 60))


@pytest.fixture
def maker_note() -> bytes:
    return MAKER_NOTE


@pytest.fixture
def make_exif() -> Callable[..., bytes]:
    def make(*, orientation: int | None = 1, order: str = "<") -> bytes:
        exif = Image.Exif()
        exif.endian = order
        exif[271] = "Maker of cameras"
        exif[282], exif[283], exif[296] = 72.0, 72.0, 2
        if orientation is not None:
            exif[274] = orientation
        details = exif.get_ifd(34665)
        details[33434] = 1 / 125
        details[37500] = MAKER_NOTE
        place = exif.get_ifd(34853)
        place[1], place[2] = "N", (48.0, 8.0, 15.0)
        return exif.tobytes().removeprefix(b"Exif\0\0")

    return make


@pytest.fixture
def pixels() -> np.ndarray:
    """Smooth colours, 20 × 31 px, uint8: lossy formats keep them nearly."""
    y, x = np.mgrid[:20, :31]
    planes = [128 + 90 * np.sin(y / 7 + x / 9), 40 + 6 * x, 230 - 9 * y]
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


@pytest.fixture
def alpha() -> np.ndarray:
    return np.linspace(0, 255, 20 * 31).reshape(20, 31).astype(np.uint8)


@pytest.fixture
def values16() -> np.ndarray:
    """Smooth RGBA with noise in the lower bytes, 20 × 31 px, uint16; black, white and near them at the corners."""
    y, x = np.mgrid[:20, :31]
    planes = [32768 + 30000 * np.sin(y / 7 + x / 9), 9000 + 1700 * x, 60000 - 2300 * y, 2000 * x + 37 * y]
    values = np.stack(planes, axis=-1) + np.random.default_rng(7).integers(0, 300, (20, 31, 4))
    values[0, 0], values[0, -1], values[-1, 0], values[-1, -1] = 0, 65535, 255, 65280
    return np.clip(values, 0, 65535).astype(np.uint16)


@pytest.fixture
def icc_profile() -> bytes:
    """A profile for RGB, as far as anybody here looks into it."""
    return b"\0" * 16 + b"RGB " + bytes(range(256)) * 2


@pytest.fixture
def photo(pixels, make_exif, icc_profile) -> Photo:
    metadata = Metadata(
        exif=make_exif(),
        icc_profile=icc_profile,
        xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
        dpi=(300.0, 240.0),
    )
    return Photo(pixels=pixels, metadata=metadata)


@pytest.fixture
def save() -> Callable[..., bytes]:
    """Write a Pillow image to bytes."""

    def to_bytes(image: Image.Image | np.ndarray, format_: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, format_, **options)
        return buffer.getvalue()

    return to_bytes
