"""The contract of everything that takes a picture or a number, over the kinds of both.

What is taken gives a finite answer, the same each time and from any order in memory, and stays as it was. All else is
refused by one sentence of `AcutanceError`. NumPy does not warn: warnings are errors in these tests.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

import acutance
from acutance.client import Client
from acutance.data.protocol import ROWS, degrade
from acutance.engines.fake import FakeEngine
from acutance.errors import AcutanceError
from acutance.geometry import Size
from acutance.imaging import kernels
from acutance.imaging.merging import merged
from acutance.media import Strip, StripSource
from acutance.metrics import difference, gmsd, grain, psnr, sharpness, shifted, ssim

NAN, INF = math.nan, math.inf


def made(shape: tuple[int, ...], kind: Any = np.uint8, seed: int = 0, level: float | None = None) -> np.ndarray:
    values = np.random.default_rng(seed).random(shape) if level is None else np.full(shape, level)
    return (values * {"uint8": 255, "uint16": 65535}.get(np.dtype(kind).name, 1)).astype(kind)


def hurt(picture: np.ndarray, *changes: tuple[Any, float]) -> np.ndarray:
    """Return a picture with values (of 0 … 1) put at some places."""
    with np.errstate(over="ignore"):
        for place, value in changes:
            picture[place] = value if picture.dtype.kind == "f" else 255 * value
    return picture


SHAPES = [(1, 1), (1, 7, 1), (7, 1, 3), (1, 1, 4), (3, 5), (37, 53, 3)]
GOOD: dict[str, np.ndarray] = {
    **{f"{kind} {shape}": made(shape, kind) for kind in ("u1", "u2", "f4") for shape in SHAPES},
    **{f"{kind} (3, 5, 3)": made((3, 5, 3), kind) for kind in ("f2", "f8", ">u2", ">f4")},
    **{f"all {level} {kind}": made((9, 60, 3), kind, level=level) for level in (0, 0.4, 1) for kind in ("u1", "f4")},
    **{f"alpha {share}, opaque {side} {kind}": hurt(made((13, 11, 4), kind), ((..., 3), share), (np.s_[:, :side, 3], 1))
       for share in (0, 0.5, 1) for side in (0, 4) for kind in ("u1", "f4")},
    "a little beyond": np.linspace(-5e-4, 1 + 5e-4, 99, dtype=np.float32).reshape(3, 11, 3),
    "worth a look": np.repeat(np.repeat(made((16, 18, 3), seed=3), 5, axis=0), 5, axis=1),
}  # fmt: skip
BAD: dict[str, Any] = {
    **{f"{value} {kind} {channels}": hurt(made((9, 11, channels), kind), ((2, 3, -1), value))
       for value in (NAN, INF, -INF, 2.0, -1.0, 1e39) for kind in ("f2", "f4", "f8") for channels in (3, 4)},
    **{f"type {kind}": np.zeros((9, 9, 3), kind)
       for kind in ("i8", "i1", "u4", "c8", "O", "?", "S3", "U3", "M8[s]", "V4")},
    **{f"shape {shape}": np.zeros(shape, "u1")
       for shape in ((), (9,), (0, 0), (0, 5, 3), (5, 5, 0), (5, 5, 2), (5, 5, 5), (3, 9, 9), (1, 1, 5, 5, 3))},
    "masked": np.ma.masked_all((9, 9, 3), "u1"),
    **{f"a {type(thing).__name__}": thing for thing in (None, 1, 1.5, True, [[1, 2], [3, 4]], (), {}, object())},
}  # fmt: skip


def layouts_of(picture: np.ndarray) -> list[np.ndarray]:
    """Return the same picture in other orders in memory; the last one cannot be written."""
    apart = np.zeros([2 * side for side in picture.shape], picture.dtype)[(slice(None, None, 2),) * picture.ndim]
    unaligned = np.ndarray(picture.shape, picture.dtype, buffer=bytearray(picture.nbytes + 1), offset=1)
    apart[...] = unaligned[...] = picture
    frozen = picture.copy()
    frozen.flags.writeable = False
    return [np.asfortranarray(picture), picture[::-1, ::-1].copy()[::-1, ::-1], apart, unaligned, frozen]


def flipped(picture: Any) -> Any:
    return picture[::-1] if isinstance(picture, np.ndarray) and picture.ndim else picture


LINE = kernels.line_psf(5, 0.3)
opened = cache(partial(acutance.Sharpener, threads=1))
FAKE = acutance.Sharpener(engine=FakeEngine(lambda batch: 1.0 - batch), threads=1)
SHARPEN: dict[str, Callable[[Any], Any]] = {
    "fake": FAKE, "strength 0": lambda picture: FAKE(picture, strength=0),
    **{model: lambda picture, model=model: opened(model)(picture) for model in ("fast", "auto")},
}  # fmt: skip
TAKERS: dict[str, Callable[[Any], Any]] = SHARPEN | {
    "inspect": lambda picture: acutance.inspect(picture, threads=1),
    "consistency": lambda picture: acutance.consistency(picture, flipped(picture), threads=1),
    "unchanged": lambda picture: acutance.consistency(picture, picture, threads=1),
    "known psf": lambda picture: acutance.consistency(picture, flipped(picture), psf=LINE, threads=1),
    "guesses": lambda picture: acutance.map_of_guesses(picture, flipped(picture), threads=1),
}
METRICS = {  # and the shortest side that each can measure
    psnr.psnr: 1, ssim.ssim: 11, ssim.ms_ssim: 176, gmsd.gmsd: 3, grain.grain_in_flat_places: 1,
    sharpness.gradient_energy_ratio: 1, shifted.psnr_at_best_shift: 1, difference.difference: 1,
}  # fmt: skip


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.isfinite(one).all() and np.array_equal(one, other)
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one))
    return bool(one == other)  # which NaN is not


def refused(call: Callable[[], Any]) -> str:
    """Return the one sentence by which something is refused."""
    with pytest.raises(AcutanceError, match=r"^.+\Z") as error:  # no dot is the end of a line
        call()
    return str(error.value)


@pytest.mark.parametrize("taker", TAKERS)
def test_pictures_that_are_taken(taker):
    for name, picture in GOOD.items():
        if taker == "fast" and "f4" in name:
            continue  # the network is slow, and floats reach it as all do
        before = picture.copy()
        answer = TAKERS[taker](picture)
        assert np.array_equal(picture, before), name
        assert same(answer, TAKERS[taker](before)), name
        if taker in SHARPEN:
            assert (type(answer), answer.shape, answer.dtype) == (np.ndarray, picture.shape, picture.dtype), name
            assert not np.shares_memory(answer, picture), name
            assert answer.dtype.kind == "u" or 0 <= answer.min() <= answer.max() <= 1, name


@pytest.mark.parametrize("taker", TAKERS)
def test_the_order_in_memory_does_not_matter(taker):
    for name in ("u2 (3, 5)", "alpha 0, opaque 4 f4", "worth a look"):
        answer = TAKERS[taker](GOOD[name])
        assert all(same(answer, TAKERS[taker](other)) for other in layouts_of(GOOD[name])), name


@pytest.mark.parametrize("taker", ["fake", "auto", "inspect", "consistency", "guesses"])
def test_pictures_that_are_refused(taker):
    for picture in BAD.values():
        refused(lambda picture=picture: TAKERS[taker](picture))
        refused(lambda picture=picture: FAKE.sharpen_pixels(picture))


@pytest.mark.parametrize("mode", sorted({*Image.MODES, "I;16B", "La", "PA", "RGBa", "RGBX"}))
def test_images_of_pillow(mode):
    for size in ((0, 0), (3, 0), (1, 1), (7, 5)):
        image = Image.new(mode, size)
        image.info |= {"dpi": "none", "exif": 5, "icc_profile": "text", "xmp": 7}  # a program may put anything there
        if 0 in size:
            assert "px: holds no pixels" in refused(lambda image=image: FAKE(image))
        elif mode in ("CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16N"):
            assert "convert it first" in refused(lambda image=image: FAKE(image))
        else:
            before = image.tobytes()
            assert FAKE(image).size == size
            assert image.tobytes() == before


def test_strips_and_stacks():
    for picture in (GOOD["u1 (37, 53, 3)"], GOOD["u2 (37, 53, 3)"]):
        for order in (picture, *layouts_of(picture)):
            parts, bits = [Strip(order[:5], None), Strip(order[5:], None)], 8 * picture.itemsize
            source = StripSource(size=Size(37, 53), bits=bits, colours=3, has_alpha=False, read=partial(iter, parts))
            strips = FAKE.sharpen_strips(source).read()
            assert same(np.concatenate([strip.pixels for strip in strips]), FAKE(picture))
    for shape in ((1, 1, 3), (5, 3, 1)):
        stack, holds = [made(shape, "f4", seed) for seed in range(3)], [np.ones(shape[:2], bool)] * 3
        for weights in (np.ones(3), np.array([0.0, 1.0, 0.0]), np.zeros(3)):
            assert all(np.isfinite(found).all() for found in merged(stack, holds, weights))


@pytest.mark.parametrize("metric", METRICS)
def test_metrics(metric):
    for shape in ((1, 1, 3), (1, 7, 3), (3, 5, 3), (37, 53, 3), *([(177, 179, 3)] if metric == ssim.ms_ssim else [])):
        one, other = made(shape), made(shape, seed=1)
        if min(shape[:2]) < METRICS[metric]:
            assert "px on each side" in refused(lambda one=one, other=other: metric(one, other))
            continue
        assert same(metric(one, one), metric(one, one.copy()))
        assert all(same(metric(one, other), metric(order, other)) for order in layouts_of(one))
    for bad in BAD.values():
        refused(lambda bad=bad: metric(bad, bad))
        refused(lambda bad=bad: sharpness.gradient_energy(bad))


def test_rows_of_the_protocol():
    for row in ROWS:
        for picture in (made((2, 2, 3)), made((6, 4, 3)), made((6, 4, 3), level=0)):
            orders = (picture, *layouts_of(picture)[::4])
            answers = [degrade(one, row, index=3, psfs=[LINE]) for one in orders]
            assert all(same(answers[0], answer) for answer in answers), row.name


NONE = [NAN, -INF, -1, "", "x", "1", 1j, [1], np.array([1.0, 2.0])]
ODD = [*NONE, INF, 10**30, 10**400, 1e300, None]
PATHS = ["", "a\0b", "x" * 999, "none.png", "/dev/null"]
TELL, K, S = acutance.ToldBlur, np.full((3, 3), 1 / 9), GOOD["u1 (37, 53, 3)"]
SETTINGS: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "strength": (lambda v: FAKE(S, strength=v), ODD),
    "fidelity": (lambda v: acutance.Sharpener("fast", fidelity=v), ODD),
    "threads": (lambda v: acutance.Sharpener(threads=v), [*NONE, 0, 1.5, INF]),
    "tile_px": (lambda v: acutance.Sharpener(tile_px=v), [*NONE, 31, 64.0, 1e300]),
    "max_pixels": (lambda v: acutance.Sharpener(max_pixels=v), [*NONE, 0]),
    "max_memory_mb": (lambda v: acutance.Sharpener(max_memory_mb=v), [*NONE, 0]),
    "engine": (lambda v: acutance.Sharpener("fast", engine=v), ["", "x", None, 5]),
    "model": (acutance.Sharpener, ["", "x", None, 5, b"fast", "a\0b", "x" * 999 + ".onnx"]),
    "told": (lambda v: acutance.Sharpener("motion", told=v), [1, "12px@30deg"]),
    "region": (lambda v: acutance.sharpen(S, region=v), ["0,0,9,9", (0, 0, 9, 9)]),
    "inspect threads": (lambda v: acutance.inspect(S, threads=v), [*NONE, 0, 1.5, INF]),
    "inspect max_pixels": (lambda v: acutance.inspect(S, max_pixels=v), [*NONE, None, 0]),
    "length": (lambda v: TELL.motion(v, degrees=3), [*ODD, 0]),
    **{tell.__name__: (tell, [*ODD, 0]) for tell in (TELL.defocus, TELL.gaussian)},
    "degrees": (lambda v: TELL.motion(5, degrees=v), [NAN, INF, None, "", "x", 1j, [1], 10**400]),
    "text": (lambda v: TELL.of_text("motion", v), ["", None, 5, b"5@3", "nan@3", "5@nan", "1e3@4", "５@3", "5"]),
    "weights": (lambda v: TELL(kind="kernel", weights=v), [(), None, 5, "x", (("a",),), ((NAN,),), ((2.0,),)]),
    "kernel": (TELL.measured, [None, 5, "", [], [[]], [[0]], [[NAN]], [[-1]], [[1, 2], [3]], K > 0, K * 1j,
               9 * K * 1e308, np.ma.masked_all((3, 3)), np.full((3, 3), np.finfo(np.longdouble).max)]),
    "place": (lambda v: acutance.Region(x=v, y=0, width=9, height=9), [*NONE, INF, 1e300, None, 1.0]),
    "place text": (acutance.Region.of_text, ["", None, 5, "1,2,3", "nan,0,9,9", "-1,0,9,9", "1e3,0,9,9"]),
    "psf": (lambda v: acutance.consistency(S, S, psf=v), [1, "x", {}, [], 2 * K, -K, K[:2, :2], K * NAN, K * 1j,
            K.astype(str), [[1, 2], [3]], np.array([[1e300, -1e300, 0], [0, 1, 0], [0, 0, 0]])]),
    "origin": (lambda v: acutance.consistency(S, S, psf=K, origin=v), [(NAN, 0), (0, NAN), (1e9, 0), (), "ab", None]),
    "guesses strength": (lambda v: acutance.map_of_guesses(S, S, strength=v), [*ODD, 0]),
    "guesses fidelity": (lambda v: acutance.map_of_guesses(S, S, fidelity=v), ODD),
    "guesses model": (lambda v: acutance.map_of_guesses(S, S, model=v), ["", "x", 5, b"fast", "a\0b"]),
    "url": (Client, ["", "x", "http://", "http://a:b", "http://a:99999", "http://[", "http://a b", "ftp://a", None, 5]),
    "token": (lambda v: Client("http://a", token=v), ["line\n", "two words", "é", 5]),
    **{f"path to {take.__name__}": (take, PATHS) for take in (acutance.sharpen, acutance.inspect, acutance.verify)},
    "output": (lambda v: acutance.sharpen("photo.png", output=v), ["a\0b.png", "x" * 999 + ".png"]),
}  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_that_are_refused(setting, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(S).save("photo.png")
    call, values = SETTINGS[setting]
    for value in values:
        refused(lambda value=value: call(value))


def test_next_to_nothing_is_a_number():
    for tiny in (5e-324, 1e-300, 1e-160, 1e-9):
        wide = kernels.anisotropic_gaussian_psf(tiny, tiny, 0.5)
        for psf in (wide, kernels.gaussian_psf(tiny), kernels.disk_psf(tiny), kernels.line_psf(tiny, 0.5)):
            assert psf.max() == pytest.approx(1, abs=1e-3)
        assert np.isfinite(acutance.map_of_guesses(S, flipped(S), strength=tiny).distance).all()
