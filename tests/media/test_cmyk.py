from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from acutance.errors import UnsupportedImage
from acutance.media import encode_photo, lost_in, open_pictures, read_photo
from acutance.media.cmyk import NOTE, srgb_profile

_FROM_LINEAR = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
_D50 = np.array([0.9642, 1.0, 0.8249])


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """L*a*b* (D50) of sRGB values, … 3 in [0, 1]."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _FROM_LINEAR.T / _D50
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def printed(inks: np.ndarray) -> np.ndarray:
    """What these inks (… 4 in [0, 1]) look like on a made-up press, as sRGB in [0, 1]: light that each leaves."""
    c, m, y, k = np.moveaxis(inks, -1, 0)
    return np.stack([(1 - 0.9 * c) * (1 - k), (1 - 0.8 * m) * (1 - k), (1 - 0.7 * y) * (1 - k)], axis=-1)


def press_profile(steps: int = 9) -> bytes:
    """A profile of that press: a table of 8 bits from CMYK to L*a*b*."""
    levels = np.linspace(0, 1, steps)
    grid = np.stack(np.meshgrid(levels, levels, levels, levels, indexing="ij"), axis=-1)
    lab = lab_of(printed(grid)).reshape(-1, 3)
    table = np.clip(np.rint(lab * [2.55, 1, 1] + [0, 128, 128]), 0, 255).astype(np.uint8)
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (row == column) for row in range(3) for column in range(3)))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, steps, 0)) + identity + ramp * 4 + table.tobytes() + ramp * 3
    desc = b"desc\0\0\0\0" + struct.pack(">I", 6) + b"press\0" + bytes(78)
    text = b"text\0\0\0\0nobody\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in _D50))
    tags, body, place = [], b"", 128 + 4 + 12 * 4
    for name, data in ((b"desc", desc), (b"cprt", text), (b"wtpt", white), (b"A2B0", lut)):
        tags.append(struct.pack(">4sII", name, place + len(body), len(data)))
        body += data + bytes(-len(data) % 4)
    kinds = (b"prtr", b"CMYK", b"Lab ", bytes(12), b"acsp")
    head = struct.pack(">I4sI4s4s4s12s4s", place + len(body), bytes(4), 0x02400000, *kinds)
    illuminant = struct.pack(">3i", *(round(value * 65536) for value in _D50))
    head += bytes(28) + illuminant + bytes(128 - len(head) - 28 - 12)
    return head + struct.pack(">I", 4) + b"".join(tags) + body


PROFILE = press_profile()


@pytest.fixture
def inks() -> np.ndarray:
    """Smooth CMYK, 20 × 31 px, uint8."""
    y, x = np.mgrid[:20, :31]
    return np.stack([8 * x, 12 * y, 240 - 8 * x, 5 * y], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("format_", ["JPEG", "TIFF", "LZW"])
def test_inks_become_what_they_look_like(save, inks, format_):
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "LZW": {"compression": "tiff_lzw"}}.get(format_, {})
    kind = "TIFF" if format_ == "LZW" else format_
    data = save(Image.fromarray(inks, "CMYK"), kind, icc_profile=PROFILE, **options)

    photo = read_photo(data)

    wanted = printed(inks / 255) * 255
    assert np.abs(photo.pixels - wanted).mean() < 4
    assert np.abs(photo.pixels - wanted).max() < 16
    assert photo.metadata.icc_profile == srgb_profile()
    assert NOTE in lost_in(photo, kind)
    again = read_photo(encode_photo(photo, format=kind))
    assert again.pixels.shape == photo.pixels.shape
    assert lost_in(again, kind) == ()


def test_white_paper_and_black_ink_are_the_ends(save):
    inks = np.zeros((8, 16, 4), np.uint8)
    inks[:, 8:, 3] = 255
    photo = read_photo(save(Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=PROFILE))
    assert photo.pixels[:, :8].min() >= 253
    assert photo.pixels[:, 8:].max() <= 3


def test_pages_of_inks_are_read(save, inks):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for _ in range(2):
            writer.write(inks, photometric="separated", iccprofile=PROFILE)
    with open_pictures(buffer.getvalue()) as pictures:
        for photo in pictures.photos():
            assert np.abs(photo.pixels - printed(inks / 255) * 255).mean() < 4


@pytest.mark.parametrize("profile", [PROFILE[:300], b"\0" * 16 + b"CMYK" + bytes(200)])
def test_a_damaged_profile_is_said(save, inks, profile):
    data = save(Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=profile)
    with pytest.raises(UnsupportedImage, match="colour profile is damaged"):
        read_photo(data)


def test_a_profile_for_something_else_says_nothing_of_inks(save, inks, icc_profile):
    data = save(Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=icc_profile)
    with pytest.raises(UnsupportedImage, match="without a colour profile that says what its inks look like"):
        read_photo(data)


def test_the_profile_of_results_is_always_the_same():
    assert srgb_profile()[24:36] == bytes.fromhex("07d000010001000000000000")
    assert srgb_profile()[16:20] == b"RGB "
