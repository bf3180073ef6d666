"""Planes to RGB and back, against the standard's formulas written out."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.codec.codec import Codec

from acutance.errors import InputError
from acutance.videos.colour import (
    Colour,
    Converter,
    Tags,
    add_residual,
    alpha_of,
    colour_of,
    residual_of,
    tags_of,
)
from acutance.videos.planes import Layout, planar_name, planes_of

MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
NOTHING = Tags(2, 2, 2, 0)
FORMATS = sorted(
    {
        pixel_format.name
        for codec in ("ffv1", "libx264", "libx265")
        for pixel_format in Codec(codec, "w").video_formats
        if not any(part in pixel_format.name for part in ("f16", "f32", "ya"))
    }
    | {"p010le", "yuyv422", "uyvy422", "nv24", "rgb24", "rgba", "0rgb", "yuv420p10be", "rgb48be", "monob", "pal8"}
)


def rgb_by_the_standard(levels: tuple[int, int, int], bits: int, matrix: int, is_full: bool) -> np.ndarray:
    """ITU-T H.273, written out: the RGB in [0, 1] of one colour."""
    step, top = 1 << (bits - 8), (1 << bits) - 1
    y = levels[0] / top if is_full else (levels[0] - 16 * step) / (219 * step)
    cb, cr = ((chroma - 128 * step) / (top if is_full else 224 * step) for chroma in levels[1:])
    kr, kb = MATRICES[matrix]
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return np.array([r, (y - kr * r - kb * b) / (1 - kr - kb), b])


def yuv_by_the_standard(rgb: np.ndarray, bits: int, matrix: int, is_full: bool) -> np.ndarray:
    step, top = 1 << (bits - 8), (1 << bits) - 1
    kr, kb = MATRICES[matrix]
    y = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    cb, cr = (rgb[2] - y) / (2 * (1 - kb)), (rgb[0] - y) / (2 * (1 - kr))
    if is_full:
        return np.array([y * top, cb * top + 128 * step, cr * top + 128 * step])
    return np.array([16 * step + 219 * step * y, 128 * step + 224 * step * cb, 128 * step + 224 * step * cr])


def plain(name: str, levels: tuple[int, ...], width: int = 16, height: int = 12) -> av.VideoFrame:
    """Return a frame of one colour."""
    frame = av.VideoFrame(width, height, name)
    for plane, level in zip(planes_of(frame, Layout(name).dtype), levels, strict=True):
        plane[...] = level
    return frame


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p12le"])
def test_rgb_is_that_of_the_standard(name, matrix, is_full):
    layout = Layout(name)
    step = 1 << (layout.bits - 8)
    for levels in ((120 * step, 100 * step, 150 * step), (60 * step, 140 * step, 120 * step)):
        pixels = Converter().to_rgb(plain(name, levels), layout, Colour(matrix, is_full))
        expected = rgb_by_the_standard(levels, layout.bits, matrix, is_full)
        white = 255 if layout.bits == 8 else 65535
        assert np.abs(pixels[6, 8] / white - expected).max() < 0.8 / 255  # the scaler computes with 14 bits


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", ["yuv420p", "yuv411p", "yuv444p", "yuv422p10le", "yuv420p16le"])
def test_a_change_of_rgb_is_that_of_the_standard_in_the_planes(name, matrix, is_full):
    layout, colour = Layout(name), Colour(matrix, is_full)
    white = 255 if layout.bits == 8 else 65535
    before, after = np.array([100, 120, 90]) / 255, np.array([130, 110, 140]) / 255
    start = np.rint(yuv_by_the_standard(before, layout.bits, matrix, is_full))
    frame = plain(name, tuple(int(level) for level in start))
    change = [np.full((12, 16), (new - old) * white, np.float32) for old, new in zip(before, after, strict=True)]
    add_residual(planes_of(frame, layout.dtype), change, layout, colour)
    expected = yuv_by_the_standard(after, layout.bits, matrix, is_full)
    for plane, level in zip(planes_of(frame, layout.dtype), expected, strict=True):
        assert (plane == plane[0, 0]).all()
        assert abs(float(plane[0, 0]) - level) <= 1.0


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_becomes_a_planar_one_with_the_same_picture(name, fill):
    frame = av.VideoFrame(16, 12, name)
    if name == "pal8":
        np.frombuffer(frame.planes[0], np.uint8)[:] = 7
        np.frombuffer(frame.planes[1], np.uint32)[:] = 0xFF204060
    else:
        fill(frame, 0)
    planar = planar_name(name)
    layout, colour = Layout(planar), Colour(1, name.startswith("yuvj"))
    converted = Converter().to_format(frame, planar, colour)
    assert converted.format.name == planar
    assert planes_of(converted, layout.dtype)[0].shape == (12, 16)
    # There and back gives the same bytes, wherever there is a way back.
    if name not in ("monob", "pal8", "0rgb", "bgr0"):
        back = Converter().to_format(converted, name, colour)
        for one, other in zip(frame.planes, back.planes, strict=True):
            used = one.width * (len(bytes(one)) // one.height // one.line_size)
            rows = [np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, :used] for plane in (one, other)]
            np.testing.assert_array_equal(*rows)


@pytest.mark.parametrize("name", ["gbrpf32le", "bayer_rggb8", "xyz12le", "ya8", "grayf32le"])
def test_formats_that_are_not_worked_on_are_named(name):
    with pytest.raises(InputError, match=f"pixel format {name}: is not supported"):
        planar_name(name)


def test_what_did_not_change_adds_nothing():
    pixels = np.full((4, 4, 3), 9, np.uint8)
    assert residual_of(pixels, pixels.copy()) == []


def test_a_change_stays_within_the_levels_and_off_the_transparency():
    layout = Layout("gbrap")
    frame = plain("gbrap", (250, 5, 100, 77))
    add_residual(planes_of(frame, layout.dtype), [np.full((12, 16), 90, np.float32)] * 3, layout, Colour(1, True))
    assert [int(plane[0, 0]) for plane in planes_of(frame, layout.dtype)] == [255, 95, 190, 77]


def test_grey_of_any_depth_is_stretched_to_white():
    for name, level in (("gray", 255), ("gray10le", 1023), ("gray12le", 4095), ("gray16le", 65535)):
        pixels = Converter().to_rgb(plain(name, (level,)), Layout(name), Colour(1, True))
        assert pixels.shape == (12, 16, 1)
        assert pixels.max() == (255 if name == "gray" else 65535)


def test_transparency_has_the_range_of_its_colours():
    alpha = alpha_of(plain("yuva420p10le", (0, 0, 0, 1023)), Layout("yuva420p10le"))
    assert alpha.dtype == np.uint16
    assert alpha.max() == 65535
    assert alpha_of(plain("yuv420p", (0, 0, 0)), Layout("yuv420p")) is None


@pytest.mark.parametrize("width", [15, 16, 17])
def test_chroma_of_odd_sizes_is_changed_to_its_last_sample(width):
    layout = Layout("yuv420p")
    frame = plain("yuv420p", (100, 128, 128), width=width, height=11)
    residual = [np.full((11, width), 30, np.float32), *[np.zeros((11, width), np.float32)] * 2]
    add_residual(planes_of(frame, layout.dtype), residual, layout, Colour(1, False))
    for plane in planes_of(frame, layout.dtype):
        assert (plane == plane[0, 0]).all()


@pytest.mark.parametrize(
    ("tags", "height", "matrix", "is_full"),
    [
        (NOTHING, 480, 6, False),
        (NOTHING, 1080, 1, False),
        (Tags(9, 16, 2, 1), 1080, 9, False),
        (Tags(1, 1, 5, 2), 1080, 5, True),
        (Tags(1, 1, 0, 0), 480, 6, False),
    ],
)
def test_what_is_not_said_of_colours_is_what_players_assume(tags, height, matrix, is_full):
    assert colour_of(av.VideoFrame(16, height, "yuv420p"), tags) == Colour(matrix, is_full)


@pytest.mark.parametrize("matrix", [8, 10, 14])
def test_matrices_that_are_no_weights_are_refused_for_yuv_only(matrix):
    tags = Tags(2, 2, matrix, 0)
    with pytest.raises(InputError, match=f"colour matrix {matrix}"):
        colour_of(av.VideoFrame(16, 12, "yuv420p"), tags)
    assert colour_of(av.VideoFrame(16, 12, "gray"), tags)
    assert colour_of(av.VideoFrame(16, 12, "gbrp"), tags)


def test_tags_are_completed_by_others_and_compared_where_they_say_something():
    assert Tags(9, 2, 2, 0).completed(Tags(1, 16, 1, 2)) == Tags(9, 16, 1, 2)
    assert Tags(2, 2, 2, 0).are_kept_in(Tags(1, 1, 1, 1))
    assert not Tags(1, 2, 2, 0).are_kept_in(Tags(2, 1, 1, 1))
    assert not Tags(1, 1, 1, 2).are_kept_in(Tags(1, 1, 1, 1))
    assert tags_of(av.VideoFrame(16, 12, "yuvj420p")).range == 2
