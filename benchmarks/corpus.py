"""Small files of every format, depth and kind of pixels that acutance reads, and broken versions of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.media import Metadata, Photo, encode_photo
from acutance.media.photo import TiffCoding

SIZE = (40, 56)
"""Height and width in px."""

_HEAD_BYTES = 200
"""Headers are hit as often as pixels."""
_LONGEST_RUN_BYTES = 64


def good_files() -> dict[str, bytes]:
    """Make the files, by name; the same ones every time."""
    rgb, alpha, deep = _pixels()
    files = {}
    for suffix, format_ in (("png", "PNG"), ("tif", "TIFF")):
        for name, values in (("grey", rgb[..., :1]), ("rgb", rgb), ("grey16", deep[..., :1]), ("rgb16", deep)):
            for end, opacity in (("", None), ("-alpha", alpha.astype(values.dtype) * (values.dtype.itemsize * 2 - 1))):
                photo = Photo(pixels=np.ascontiguousarray(values), alpha=opacity)
                files[f"{name}{end}.{suffix}"] = encode_photo(photo, format=format_)
    image, grey = Image.fromarray(rgb), Image.fromarray(rgb[..., 0])
    rgba = Image.fromarray(np.dstack([rgb, alpha]))
    several = {"save_all": True, "append_images": [image.rotate(180)]}
    for name, picture, format_, options in (
        ("rgb.jpg", image, "JPEG", {}),
        ("grey.jpg", grey, "JPEG", {}),
        ("progressive.jpg", image, "JPEG", {"progressive": True}),
        ("palette.png", image.quantize(16), "PNG", {}),
        ("bits.png", image.convert("1"), "PNG", {}),
        ("palette.tif", image.quantize(16), "TIFF", {}),
        ("bits.tif", image.convert("1"), "TIFF", {}),
        ("raw.tif", image, "TIFF", {}),
        ("lossy.webp", image, "WEBP", {}),
        ("lossless.webp", rgba, "WEBP", {"lossless": True, "exact": True}),
        ("rgb.avif", image, "AVIF", {}),
        ("alpha.avif", rgba, "AVIF", {}),
        ("rgb.jp2", image, "JPEG2000", {}),
        ("grey.jp2", grey, "JPEG2000", {}),
        ("few.gif", image.quantize(64), "GIF", {}),
        ("rgb.ppm", image, "PPM", {}),
        ("animated.gif", image.quantize(64), "GIF", several),
        ("animated.webp", image, "WEBP", {**several, "lossless": True}),
        ("animated.png", image, "PNG", several),
        ("pages.tif", image, "TIFF", several),
    ):
        buffer = io.BytesIO()
        picture.save(buffer, format_, **options)
        files[name] = buffer.getvalue()
    lzw = Metadata(coding=TiffCoding(compression="tiff_lzw", has_predictor=True))
    files["lzw.tif"] = encode_photo(Photo(pixels=rgb, metadata=lzw), format="TIFF")
    files["lzw16.tif"] = encode_photo(Photo(pixels=deep, metadata=lzw), format="TIFF")
    return files


def further_files() -> dict[str, bytes]:
    """Make files of kinds that exiftool does not write, and HEIC where the extra is installed."""
    rgb, alpha, deep = _pixels()
    heic = {"rgb.heic": encode_photo(Photo(pixels=rgb), format="HEIF")} if find_spec("pillow_heif") else {}
    return {
        **heic,
        "rgb.bmp": encode_photo(Photo(pixels=rgb), format="BMP"),
        "alpha.bmp": encode_photo(Photo(pixels=rgb, alpha=alpha), format="BMP"),
        "deep.ppm": encode_photo(Photo(pixels=deep), format="PPM"),
    }


def broken_versions(data: bytes, count: int, *, seed: int) -> Iterator[bytes]:
    """Yield broken versions of a file: cut, with bits flipped, with bytes zeroed, in turn.

    Args:
        data: A good file.
        count: How many to make.
        seed: Of the places.
    """
    random = np.random.default_rng(seed)
    for number in range(count):
        way = number % 4
        broken = bytearray(data)
        at = int(random.integers(1, len(data) if number % 8 < 4 else min(_HEAD_BYTES, len(data))))
        if way == 0:
            yield data[:at]
        elif way == 1:
            broken[at] ^= 1 << int(random.integers(8))
            yield bytes(broken)
        elif way == 2:
            run = broken[at : at + int(random.integers(1, _LONGEST_RUN_BYTES))]
            broken[at : at + len(run)] = bytes(len(run))
            yield bytes(broken)
        else:  # several bits at once
            for place in random.integers(0, len(data), 8):
                broken[int(place)] ^= 1 << int(random.integers(8))
            yield bytes(broken)


def _pixels() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint16]]:
    """Make RGB of 8 bits, transparency, and RGB of 16 bits."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    rgb = np.clip(np.stack([128 + 90 * np.sin(y / 7 + x / 9), 40 + 3 * x, 230 - 5 * y], -1), 0, 255).astype(np.uint8)
    alpha = np.linspace(0, 255, rgb[..., 0].size).reshape(SIZE).astype(np.uint8)
    deep = rgb * np.uint16(257) + np.random.default_rng(0).integers(0, 257, rgb.shape, np.uint16)
    return rgb, alpha, deep
