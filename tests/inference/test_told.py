"""A blur that is told, and a region: values, words, and what becomes of a picture."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import acutance
from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import ConfigError
from acutance.geometry import Box, Size
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import FEATHER_PX, LARGEST_KERNEL_PX, Region, ToldBlur, feathered
from acutance.metrics.psnr import psnr

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
SPEC = replace(FAKE_SPEC, name="motion", task="remove-motion", guides=3, size_multiple=4, halo_px=8)
REGION = Region(x=60, y=40, width=70, height=50)


def middle_guide(batch: np.ndarray) -> np.ndarray:
    return batch[:, 6:9]


def sharpener(**told: object) -> Sharpener:
    return Sharpener(engine=FakeEngine(middle_guide, SPEC), **told)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))[40:200, 60:260]


def blurred(truth: np.ndarray, psf: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(convolve_mirror(truth.astype(np.float64), psf)), 0, 255).astype(np.uint8)


# --- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("motion", "12px@30deg", ToldBlur.motion(12, degrees=30)),
        ("motion", " 12.5 @ 30° ", ToldBlur.motion(12.5, degrees=30)),
        ("motion", "12@-30", ToldBlur.motion(12, degrees=150)),
        ("motion", "12px@210", ToldBlur.motion(12, degrees=30)),
        ("defocus", "3px", ToldBlur.defocus(3)),
        ("gaussian", "2.5", ToldBlur.gaussian(2.5)),
    ],
)
def test_a_blur_is_read_as_people_write_it(kind, text, expected):
    assert ToldBlur.of_text(kind, text) == expected
    assert ToldBlur.of_text(*str(expected).split()) == expected


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("motion", "12", "12px@30deg"),
        ("motion", "far@0", "length and direction"),
        ("motion", "0@0", "at most 100"),
        ("motion", "101px@0deg", "at most 100"),
        ("defocus", "31", "at most 30"),
        ("gaussian", "-1", "at most 15"),
        ("gaussian", "wide", "number of px"),
        ("gaussian", "١٢", "number of px"),
        ("kernel", "3", "number of px"),
    ],
)
def test_what_is_no_blur_is_one_sentence(kind, text, said):
    with pytest.raises(ConfigError, match=said):
        ToldBlur.of_text(kind, text)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_from_python_are_checked_too(number):
    for make in (ToldBlur.defocus, ToldBlur.gaussian, lambda value: ToldBlur.motion(value, degrees=0)):
        with pytest.raises(ConfigError):
            make(number)
    with pytest.raises(ConfigError, match="degrees"):
        ToldBlur.motion(3, degrees=number)


def test_a_direction_is_one_within_half_a_turn():
    assert ToldBlur(kind="motion", strength_px=3, degrees=210) == ToldBlur.motion(3, degrees=-150)
    assert ToldBlur(kind="motion", strength_px=np.float32(3), degrees=np.int64(210)).degrees == 30.0


def test_kernels_are_those_of_the_house():
    np.testing.assert_array_equal(ToldBlur.motion(9, degrees=30).psf, line_psf(9.0, math.radians(30)))
    np.testing.assert_array_equal(ToldBlur.defocus(3).psf, disk_psf(3.0))
    np.testing.assert_array_equal(ToldBlur.gaussian(2).psf, gaussian_psf(2.0))


def test_a_measured_kernel_keeps_its_origin_and_loses_its_frame():
    kernel = np.zeros((40, 31))
    kernel[20, 15:18] = 2.0  # begins at the origin, goes to the right
    psf = ToldBlur.measured(kernel).psf
    assert psf.shape == (5, 5)
    np.testing.assert_allclose(psf[2], [0, 0, 1 / 3, 1 / 3, 1 / 3])
    assert str(ToldBlur.measured(kernel)) != str(ToldBlur.measured(kernel.T))


@pytest.mark.parametrize(
    "kernel",
    [
        np.zeros((3, 3)),
        np.array([[1.0, -1.0]]),
        np.full((2, 2), np.nan),
        np.ones(3),
        np.ones((1, 200)),
        np.array([["a"]]),
        [[1.0, 2.0], [3.0]],
        np.full((3, 3), 1e308),
    ],
)
def test_what_is_no_kernel_is_refused(kernel):
    with pytest.raises(ConfigError, match="a kernel"):
        ToldBlur.measured(kernel)
    assert LARGEST_KERNEL_PX % 2


@pytest.mark.parametrize(
    "weights",
    [(), ((0.5, 0.5), (0.0, 0.0)), ((0.0, 1.0),), ((3.0,),), ((0, -1, 0), (0, 2, 0), (0, 0, 0))],
)
def test_weights_that_are_no_kernel_are_refused(weights):
    with pytest.raises(ConfigError, match="a measured kernel must have"):
        ToldBlur(kind="kernel", weights=weights)


def test_kinds_that_there_are_not():
    with pytest.raises(ConfigError, match="'zoom': unknown; there are motion, defocus, gaussian, kernel"):
        ToldBlur(kind="zoom", strength_px=3)


def test_a_region_is_whole_pixels():
    with pytest.raises(ConfigError, match=r"region 1.5,2,20,20: must be whole numbers"):
        Region(x=1.5, y=2, width=20, height=20)
    numbers = Region(x=np.int64(1), y=np.uint8(250), width=20, height=20)
    assert numbers.box_in(Size(300, 50)) == Box(250, 1, 270, 21)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "-1,0,20,20", "0,0,7,20", "0,0,20,0", "1.5,0,20,20", ""])
def test_what_is_no_region_is_one_sentence(text):
    with pytest.raises(ConfigError, match="region"):
        Region.of_text(text)


def test_a_region_is_cut_at_the_border():
    region = Region.of_text(" 60, 40,70,50")
    assert region == REGION
    assert Region.of_text(str(region)) == region
    assert region.box_in(Size(80, 100)) == Box(40, 60, 80, 100)
    with pytest.raises(ConfigError, match="100×45 px"):
        region.box_in(Size(45, 100))


def test_the_default_model_gives_way_to_the_one_that_can_be_told():
    blur = ToldBlur.defocus(2)
    for model, told, expected in (("auto", blur, "motion"), (Path("auto"), blur, "motion"), ("auto", None, "auto")):
        with Sharpener(model, told=told) as sharpener:
            assert sharpener.spec.name == expected
    with pytest.raises(ConfigError, match="model fast: cannot be told"):
        Sharpener("fast", told=blur)


# --- pictures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told", [ToldBlur.motion(9, degrees=120), ToldBlur.defocus(3), ToldBlur.gaussian(1.6), ToldBlur.measured(np.eye(7))]
)
def test_what_is_told_is_undone(truth, told):
    seen = blurred(truth, told.psf)
    assert psnr(sharpener(told=told)(seen), truth) > psnr(seen, truth) + 3


def test_what_is_told_is_undone_where_nothing_could_be_found(truth):
    """A picture of 40 px tells too little by itself."""
    told = ToldBlur.motion(6, degrees=0)
    cut = np.s_[20:60, 30:70]
    seen, sharp = blurred(truth, told.psf)[cut], truth[cut]
    assert np.array_equal(sharpener()(seen), seen)
    assert psnr(sharpener(told=told)(seen), sharp) > psnr(seen, sharp) + 1


def test_a_region_is_the_result_of_the_whole_and_the_rest_stays_bit_for_bit(truth):
    told = ToldBlur.motion(9, degrees=30)
    seen = blurred(truth, told.psf)
    whole, part = sharpener(told=told)(seen), sharpener(told=told, region=REGION)(seen)
    box = REGION.box_in(Size(*seen.shape[:2]))
    assert np.abs(whole.astype(int) - part)[box.slices].max() <= 8
    assert not np.array_equal(part[box.slices], seen[box.slices])
    beyond = np.ones(seen.shape[:2], bool)
    beyond[box.top - FEATHER_PX : box.bottom + FEATHER_PX, box.left - FEATHER_PX : box.right + FEATHER_PX] = False
    np.testing.assert_array_equal(part[beyond], seen[beyond])


def test_a_region_of_a_jpeg_is_the_result_of_the_whole_wherever_it_begins():
    """To the pixel: it is cut out from the beginning of one of JPEG's blocks on, by whose place networks know them."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 210, 3), dtype=np.uint8))
    stored = io.BytesIO()
    noise.filter(ImageFilter.GaussianBlur(2)).save(stored, "JPEG", quality=80)
    seen = np.asarray(Image.open(stored))
    region = Region(x=147, y=133, width=40, height=50)
    inside = region.box_in(Size(*seen.shape[:2])).slices
    whole, part = (Sharpener("fast", threads=1, region=where, back_projection=False)(seen) for where in (None, region))
    np.testing.assert_array_equal(part[inside], whole[inside])


def test_what_was_cut_out_of_a_jpeg_is_sharpened_as_the_whole_is():
    """To the pixel: networks know JPEG's blocks by their place, which the picture itself tells."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (240, 250, 3), dtype=np.uint8))
    stored = io.BytesIO()
    noise.filter(ImageFilter.GaussianBlur(2)).save(stored, "JPEG", quality=80)
    seen = np.asarray(Image.open(stored))
    with Sharpener("fast", threads=1, back_projection=False) as fast:
        whole, cut = fast(seen)[3:, 5:], fast(np.ascontiguousarray(seen[3:, 5:]))
    inner = np.s_[95:-70, 95:-70]  # beyond the reach of the border, and of the margin around it
    np.testing.assert_array_equal(cut[inner], whole[inner])


def test_the_first_frame_tells_for_all_where_blocks_begin():
    """From frame to frame they would flicker, where one shows its blocks and the next does not."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8))
    stored = io.BytesIO()
    soft = noise.filter(ImageFilter.GaussianBlur(2))
    soft.save(stored, "JPEG", quality=80)
    blocks, none = np.asarray(Image.open(stored))[3:, 5:], np.asarray(soft)[3:, 5:]
    with Sharpener("fast", threads=1, back_projection=False) as fast:
        frames = fast.for_frames(none)[0]
        assert not np.array_equal(frames.sharpen_pixels(blocks), fast.sharpen_pixels(blocks))
        np.testing.assert_array_equal(frames.sharpen_pixels(none), fast.sharpen_pixels(none))
        frames = fast.for_frames(blocks)[0]
        np.testing.assert_array_equal(frames.sharpen_pixels(blocks), fast.sharpen_pixels(blocks))


def test_a_region_of_an_animation_holds_where_the_model_is_chosen(truth):
    region = Region(x=0, y=0, width=64, height=64)
    soft = Image.fromarray(blurred(truth, gaussian_psf(1.6)))
    file = io.BytesIO()
    soft.save(file, "PNG", save_all=True, append_images=[soft.rotate(2)], duration=50)
    with Sharpener("auto", threads=1, region=region) as auto:
        result = Image.open(io.BytesIO(auto(file.getvalue())))
    for number, before in enumerate((soft, soft.rotate(2))):
        result.seek(number)
        after = np.asarray(result.convert("RGB"))
        np.testing.assert_array_equal(after[80:, 80:], np.asarray(before)[80:, 80:])
        assert not np.array_equal(after[:64, :64], np.asarray(before)[:64, :64])


def test_the_edge_of_a_region_is_feathered():
    share = feathered(Box(20, 20, 40, 50), Box(0, 0, 60, 70))
    assert share[20:40, 20:50].min() == 1.0
    edge = share[30, 50 - 1 : 50 + FEATHER_PX + 1]
    assert np.all(np.diff(edge) < 0)
    assert edge[-1] == 0.0


def test_a_region_works_with_networks_that_are_told_nothing(truth):
    darker = Sharpener(engine=FakeEngine(lambda batch: batch * 0.5), region=REGION)
    result = darker(truth)
    np.testing.assert_array_equal(result[:20], truth[:20])
    assert result[60, 90].astype(int) == pytest.approx(truth[60, 90] / 2, abs=1)


def test_transparency_is_undone_with_the_colours(truth):
    told = ToldBlur.motion(9, degrees=0)
    alpha = np.zeros(truth.shape[:2], np.uint8)
    alpha[30:130, 50:150] = 255
    seen = blurred(np.dstack([truth, alpha]), told.psf)
    region = Region(x=30, y=20, width=100, height=100)
    result, box = sharpener(told=told, region=region)(seen), np.s_[20:120, 30:130]
    before, after = (np.abs(one[..., 3][box].astype(float) - alpha[box]).mean() for one in (seen, result))
    assert after < 0.6 * before
    np.testing.assert_array_equal(result[:, 145:], seen[:, 145:])


@pytest.mark.parametrize("orientation", [3, 5, 6, 7, 8])
def test_what_is_told_holds_for_the_photo_as_it_is_looked_at(truth, tmp_path, orientation):
    told, region = ToldBlur.motion(9, degrees=20), Region(x=40, y=30, width=60, height=40)
    seen = blurred(truth, told.psf)
    upright = sharpener(told=told, region=region)(seen)
    stored = {3: 180, 6: 90, 8: 270}
    image = Image.fromarray(seen)
    if orientation in stored:
        image = image.rotate(stored[orientation], expand=True)
    else:
        image = image.transpose(Image.Transpose.TRANSPOSE if orientation == 5 else Image.Transpose.TRANSVERSE)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.tif", exif=exif)
    result = sharpener(told=told, region=region)(tmp_path / "turned.tif")
    pixels = acutance.inference.photo_sharpener.open_pictures  # the reader of the house turns as viewers do
    with pixels(result, max_pixels=10**6, max_bits=16) as pictures:
        (photo,) = pictures.photos()
    np.testing.assert_array_equal(photo.upright().pixels, upright)


def test_a_picture_that_a_region_lies_outside_of_is_refused(truth):
    with pytest.raises(ConfigError, match="200×160 px"):
        sharpener(told=ToldBlur.defocus(2), region=Region(x=500, y=0, width=20, height=20))(truth)


def test_models_that_cannot_be_told_are_refused():
    with pytest.raises(ConfigError, match="take the model motion"):
        Sharpener(engine=FakeEngine(), told=ToldBlur.defocus(2))
    with pytest.raises(ConfigError, match="enlarges"):
        Sharpener(engine=FakeEngine(spec=replace(FAKE_SPEC, scale=2)), region=REGION)


def test_one_opened_model_is_told_of_many_pictures(truth):
    plain = sharpener()
    for told in (ToldBlur.motion(9, degrees=0), ToldBlur.defocus(3)):
        seen = blurred(truth, told.psf)
        np.testing.assert_array_equal(plain.told(told, region=REGION)(seen), sharpener(told=told, region=REGION)(seen))


def test_the_public_verb_is_told_too(truth):
    told = ToldBlur.motion(8, degrees=0)
    seen = blurred(truth, told.psf)[:96, :112]
    assert psnr(acutance.sharpen(seen, told=told), truth[:96, :112]) > psnr(seen, truth[:96, :112]) + 3
