"""What is seen in a picture, and what is advised."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import acutance
from acutance.errors import InputError
from acutance.estimation.spectrum import LEAST_SIDE_PX
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, line_psf
from acutance.inference.choosing import TOO_NOISY_LEVELS, advice_on
from acutance.inference.edges import has_no_edges
from acutance.inference.inspected_files import inspect_files
from acutance.inference.inspecting import look_at
from acutance.inference.look import Noise
from acutance.inference.unblurring import blur_in
from acutance.media import read_photo
from acutance.trust.conditions import CONDITIONS, conditions_of

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))[60:360, 80:420]


def blurred(sharp: np.ndarray, psf: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(convolve_mirror(sharp.astype(np.float64), psf)), 0, 255).astype(np.uint8)


def test_a_sharp_photo_is_left(sharp: np.ndarray) -> None:
    seen = acutance.inspect(sharp)
    assert (seen.kind, seen.worth, seen.model, seen.strength, seen.gain_db) == ("sharp", "none", None, 0.0, 0.0)
    assert seen.words == "sharp already: leave it as it is"
    assert seen.kind_confidence is not None
    assert seen.kind_confidence > 0.5
    assert (seen.width, seen.height) == (340, 300)


def test_even_softness_is_sharpened(sharp: np.ndarray) -> None:
    seen = acutance.inspect(blurred(sharp, gaussian_psf(1.8)))
    assert (seen.kind, seen.model, seen.strength) == ("gaussian", "fast", 1.0)
    assert seen.strength_px == pytest.approx(1.8, rel=0.15)
    assert seen.softness_px == seen.strength_px
    assert seen.gain_db is not None
    assert 3 < seen.gain_db < 6


def test_straight_motion_goes_to_its_model(sharp: np.ndarray) -> None:
    seen = acutance.inspect(blurred(sharp, line_psf(11.0, 0.5)))
    assert (seen.kind, seen.model) == ("line", "motion")
    assert seen.strength_px == pytest.approx(11, rel=0.2)
    assert seen.angle_degrees == pytest.approx(np.degrees(0.5), abs=8)


@pytest.mark.parametrize(("psf", "kind"), [(gaussian_psf(2.5), "gaussian"), (line_psf(8.0, 0.5), "line")])
def test_a_large_jpeg_tells_as_much_as_a_small_one(psf: np.ndarray, kind: str) -> None:
    photo = np.asarray(Image.open(PHOTO).convert("RGB"), np.float64)
    four = np.concatenate([np.concatenate([photo, photo[:, ::-1]], 1), np.concatenate([photo[::-1], photo], 1)])
    blurred = np.uint8(np.clip(np.rint(convolve_mirror(four[:900, :1000], psf)), 0, 255))
    stored = io.BytesIO()
    Image.fromarray(blurred).save(stored, "JPEG", quality=50)
    seen = np.asarray(Image.open(stored))
    softness = look_at(seen, threads=1).softness
    assert softness is not None
    assert softness.kind == kind
    assert softness.confidence > 0.9
    line = conditions_of(seen, threads=1)[CONDITIONS.index("line")].mean()
    assert line > 0.7 if kind == "line" else line < 0.05


def test_noise_goes_to_its_model_and_much_of_it_leaves_little_to_gain(sharp: np.ndarray) -> None:
    soft = blurred(sharp, gaussian_psf(1.6)).astype(np.float64)
    noise = np.random.default_rng(0).normal(size=sharp.shape)
    some, much = (np.clip(np.rint(soft + levels * noise), 0, 255).astype(np.uint8) for levels in (5, 14))
    seen = acutance.inspect(some)
    assert seen.model == "motion"
    assert acutance.inspect(np.uint8(some * 0.35)).model == "night"
    assert seen.noise_levels == pytest.approx(5, rel=0.2)
    assert seen.noise_is_correlated is False
    seen = acutance.inspect(much)
    assert seen.worth == "little"
    assert seen.noise_levels == pytest.approx(14, rel=0.25)
    assert seen.words.startswith("noise of 1")
    assert seen.words.endswith("levels: too noisy to become much sharper; it can be made less noisy")


SMALL = np.random.default_rng(0).integers(0, 256, (LEAST_SIDE_PX - 1, 300, 3), np.uint8)


@pytest.mark.parametrize("pixels", [np.full((200, 200, 3), 90, np.uint8), SMALL, SMALL[:, :52].repeat(2, axis=0)])
def test_where_nothing_tells_nothing_is_claimed(pixels: np.ndarray) -> None:
    seen = acutance.inspect(pixels)
    assert (seen.kind, seen.kind_confidence, seen.softness_px, seen.noise_levels) == (None,) * 4
    assert (seen.worth, seen.model, seen.worst) == ("unknown", None, None)


@pytest.mark.parametrize("height", [LEAST_SIDE_PX, 40, 63])
def test_a_line_of_lettering_or_a_plate_tells_enough(sharp: np.ndarray, height: int) -> None:
    strip = sharp[120 : 120 + height, 60:220]
    assert acutance.inspect(strip).kind == "sharp"
    soft = acutance.inspect(blurred(sharp, gaussian_psf(2.0))[120 : 120 + height, 60:220])
    assert soft.kind not in (None, "sharp")
    assert soft.model is not None


def edge_of(width_px: float, degrees: float, profile: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Draw an edge of 200 levels in 240×320 px, in 8 bits."""
    y, x = np.mgrid[:240, :320]
    across = (x - 160) * np.cos(np.radians(degrees)) + (y - 120) * np.sin(np.radians(degrees))
    grey = 28 + 200 * profile(across / width_px)
    return np.repeat(np.rint(grey)[..., None], 3, 2).astype(np.uint8)


@pytest.mark.parametrize("degrees", [0, 30, 90])
@pytest.mark.parametrize("width_px", [40, 64])
def test_a_steep_ramp_is_no_motion(width_px: int, degrees: int) -> None:
    ramp = edge_of(width_px, degrees, lambda across: np.clip(across + 0.5, 0, 1))
    assert acutance.inspect(ramp).kind is None
    assert blur_in(ramp, progress=lambda *_: None)[0] is None


@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_edges_that_may_be_blurred_tell_of_it(degrees: int) -> None:
    motion = edge_of(16, degrees, lambda across: np.clip(across + 0.5, 0, 1))
    soft = edge_of(5, degrees, lambda across: 1 / (1 + np.exp(-1.7 * across)))
    assert acutance.inspect(motion).kind is not None
    assert acutance.inspect(soft).kind is not None


def test_a_pattern_that_repeats_itself_is_no_ramp() -> None:
    for period in (2, 11, 13, 26):
        waves = 128 + 60 * np.sin(1 + 2 * np.pi * np.arange(300) / period)
        grey = np.broadcast_to(np.float32(waves / 255), (200, 300))
        assert not has_no_edges([grey], is_fine=False), period


def test_a_ramp_in_8_bits_is_not_taken_for_blur_and_little_light_in_16_bits_is_seen(sharp: np.ndarray) -> None:
    ramp = np.broadcast_to(np.linspace(20, 220, 300)[None, :, None], (200, 300, 3)).astype(np.uint8)
    assert acutance.inspect(ramp).kind is None
    dark = (blurred(sharp, gaussian_psf(1.6)).astype(np.uint16) * 257) // 16
    seen = acutance.inspect(dark)
    assert (seen.kind, seen.model) == ("gaussian", "fast")
    assert seen.brightness < 0.1


def test_grey_float_alpha_pil_bytes_and_paths(sharp: np.ndarray, tmp_path: Path) -> None:
    assert acutance.inspect(sharp[..., 1]).kind == "sharp"
    assert acutance.inspect(sharp.astype(np.float64) / 255).kind == "sharp"
    assert acutance.inspect(np.dstack([sharp, np.full(sharp.shape[:2], 255, np.uint8)])).kind == "sharp"
    picture = Image.fromarray(sharp)
    assert acutance.inspect(picture).kind == "sharp"
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=83)
    seen = acutance.inspect(stream.getvalue())
    assert (seen.jpeg_quality, seen.jpeg_is_doubled) == (83, False)
    path = tmp_path / "a.png"
    picture.save(path)
    assert acutance.inspect(path).jpeg_quality is None
    assert acutance.inspect(str(path)).kind == "sharp"


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        acutance.inspect(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="must be h w"):
        acutance.inspect(np.zeros((4, 4, 7), np.uint8))


def test_clipped_pixels_are_counted() -> None:
    pixels = np.zeros((160, 160, 3), np.uint8)
    pixels[:40] = 255
    look = look_at(pixels)
    assert (look.clipped_white, look.clipped_black) == (0.25, 0.75)


def test_a_picture_that_is_soft_in_one_half_is_called_mixed(sharp: np.ndarray) -> None:
    wide = np.tile(sharp, (1, 2, 1))
    wide[:, 340:] = blurred(sharp, gaussian_psf(3.5))
    look = look_at(wide)
    assert 0 < look.agreement < 1
    worst = look.worst
    assert worst is not None
    assert worst.box.left >= 300


def test_the_noise_decides_from_a_limit_on(sharp: np.ndarray) -> None:
    look = look_at(blurred(sharp, gaussian_psf(1.6)))
    advised = [
        advice_on(replace(look, noise=Noise(levels=levels, correlation_chance=chance)))
        for levels, chance in ((1.0, None), (2.5, 0.1), (2.5, 0.9), (5.0, 0.1), (TOO_NOISY_LEVELS, 0.1))
    ]
    assert [advice.purpose for advice in advised] == ["soft", "noisy", "noisy", "moved", "moved"]
    assert advised[-1].worth == "little"
    assert advised[-1].words == "noise of 10 levels: made less noisy, hardly sharper"


def test_motion_that_is_too_uncertain_is_left_and_what_is_done_instead_is_said(sharp: np.ndarray) -> None:
    look = look_at(blurred(sharp, gaussian_psf(1.6)))
    assert look.softness is not None
    unsure = replace(look, softness=replace(look.softness, kind="path", confidence=0.5))
    quiet, noisy = (
        advice_on(replace(unsure, noise=Noise(levels=levels, correlation_chance=0.1))) for levels in (0.5, 5.0)
    )
    assert quiet.words.endswith(": too uncertain to undo, sharpened only")
    assert noisy.words.endswith(": too uncertain to undo, sharpened without its noise")
    assert noisy.counsel == "too uncertain to undo; little to gain but less noise"


def test_places_of_a_picture_cut_out_of_a_jpeg_lie_where_they_are(sharp: np.ndarray) -> None:
    """They begin with the first whole block, and were told from the corner on."""
    file = io.BytesIO()
    Image.fromarray(blurred(sharp, gaussian_psf(1.6))).save(file, "JPEG", quality=70, subsampling=0)
    look = look_at(np.asarray(Image.open(file))[3:, 5:])
    assert min(place.box.top for place in look.places) == 5
    assert min(place.box.left for place in look.places) == 3
    assert (max(place.box.bottom for place in look.places), max(place.box.right for place in look.places)) == (297, 335)


def test_where_no_gain_is_expected_it_is_called_little(sharp: np.ndarray) -> None:
    look = look_at(blurred(sharp, gaussian_psf(1.6)))
    assert look.softness is not None
    seen = replace(look.softness, kind="path", confidence=0.99)
    path = replace(look, softness=seen, places=tuple(replace(place, seen=seen) for place in look.places))
    quiet, noisy = (
        advice_on(replace(path, noise=Noise(levels=levels, correlation_chance=0.1))) for levels in (0.5, 7.0)
    )
    assert (quiet.purpose, noisy.purpose) == ("moved", "moved")
    assert quiet.worth != "little"
    assert (noisy.gain_db, noisy.worth) == (0.0, "little")


def test_a_bad_file_does_not_stop_the_rest_and_thumbnails_are_written(sharp: np.ndarray, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(sharp).save(good)
    bad.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    first, second = inspect_files([bad, good], thumbnails=tmp_path / "worst")
    assert first.inspection is None
    assert "bad.png" in first.error
    assert second.inspection is not None
    assert second.inspection.worst is not None
    top, left, bottom, right = second.inspection.worst
    assert second.thumbnail == tmp_path / "worst" / "00002-good.png"
    with Image.open(second.thumbnail) as written:
        assert written.size == (right - left, bottom - top)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_told_of_a_turned_photo_holds_as_it_is_looked_at(sharp, tmp_path, orientation):
    """A phone held upright turns its photos by a tag: people, and `--motion`, mean the turned one."""
    seen = blurred(sharp, line_psf(11.0, np.radians(30)))
    seen[:, 170:] = blurred(sharp, line_psf(16.0, np.radians(30)))[:, 170:]
    how = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90"}
    how |= {7: "TRANSVERSE", 8: "ROTATE_270"}
    image = Image.fromarray(seen)
    image = image.transpose(Image.Transpose[how[orientation]]) if orientation > 1 else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.jpg", exif=exif, quality=97)
    (told,) = inspect_files([tmp_path / "a.jpg"], thumbnails=tmp_path / "worst")
    found = told.inspection
    assert found is not None
    assert (found.width, found.height) == (340, 300)
    assert found.angle_degrees == pytest.approx(30, abs=4)
    assert found.worst is not None
    top, left, bottom, right = found.worst
    assert left + right > 340
    with Image.open(tmp_path / "worst" / "00001-a.png") as written:
        worst = np.asarray(written.convert("RGB")).astype(int)
    assert np.abs(worst - seen[top:bottom, left:right]).mean() < 4


@pytest.mark.parametrize("model", ["auto", "motion"])
def test_the_words_on_a_turned_photo_hold_as_it_is_looked_at(sharp, tmp_path, model):
    seen = Image.fromarray(blurred(sharp, line_psf(11.0, np.radians(30))))
    exif = Image.Exif()
    exif[0x0112] = 6
    seen.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.jpg", exif=exif, quality=97)
    said: list[str] = []
    with acutance.Sharpener(model, threads=1) as sharpener:
        sharpener.sharpen_photo(read_photo(tmp_path / "a.jpg"), found=said.append)
    (words,) = said
    assert "straight motion" in words
    degrees = int(words.partition("along ")[2].partition("°")[0])
    assert degrees == pytest.approx(30, abs=4)


@pytest.mark.parametrize("shape", [(1, 700, 3), (700, 1, 3), (4, 600), (513, 3, 3)])
def test_thin_pictures_tell_nothing_and_raise_nothing(shape):
    """Of so few rows, every fourth of which is looked at, none has a neighbour."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert acutance.inspect(pixels, threads=1).kind is None


@pytest.mark.parametrize("hidden", [0, 255, "noise"])
@pytest.mark.parametrize("side", [320, 640])
def test_what_is_fully_transparent_tells_nothing(sharp, hidden, side):
    """A soft photo whose background was erased is soft, whatever colour is left there."""
    soft = blurred(np.tile(sharp, (3, 2, 1))[:side, :side], gaussian_psf(1.8))
    y, x = np.mgrid[:side, :side] - side / 2
    is_shown = y**2 + x**2 < (side / 3) ** 2
    left = np.random.default_rng(0).integers(0, 256, soft.shape) if hidden == "noise" else hidden
    cut_out = np.dstack([np.where(is_shown[..., None], soft, left), 255 * is_shown]).astype(np.uint8)
    told = acutance.inspect(cut_out, threads=1)
    assert (told.kind, told.model) == ("gaussian", "fast")
    assert told.strength_px == pytest.approx(1.8, abs=0.3)
    assert told.noise_levels is not None
    assert told.noise_levels < 1
    assert told.clipped_black < 0.2
    assert told.clipped_white < 0.2


def test_the_noise_of_what_is_shown_is_told(sharp):
    noise = np.random.default_rng(0).normal(0, 6, sharp[:300, :300].shape)
    noisy = np.clip(np.rint(blurred(sharp[:300, :300], gaussian_psf(1.8)) + noise), 0, 255)
    is_shown = np.arange(300) < 200
    cut_out = np.dstack([np.where(is_shown[:, None], noisy, 0), np.broadcast_to(255 * is_shown, (300, 300))])
    assert acutance.inspect(cut_out.astype(np.uint8), threads=1).noise_levels == pytest.approx(6, abs=1.5)


def test_of_a_picture_that_is_hidden_all_over_the_colours_are_looked_at(sharp):
    nothing = np.dstack([sharp[:200, :200], np.zeros((200, 200), np.uint8)])
    assert acutance.inspect(nothing, threads=1).kind == acutance.inspect(sharp[:200, :200], threads=1).kind
