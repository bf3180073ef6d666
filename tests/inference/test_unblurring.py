"""What is found in a photo, and a model that removes motion as a whole; `test_undoing.py` sees what becomes of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from acutance.deconvolution.psfs import similarity
from acutance.deconvolution.texture import SMALLEST_PX
from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.engines.model_file import read_spec
from acutance.errors import ConfigError, ImageTooLarge
from acutance.estimation.verdict import BlurField, BlurVerdict
from acutance.geometry import Size
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, line_psf, trajectory_psf
from acutance.inference import bands, unblurring, undoing
from acutance.inference.files import sharpen_files
from acutance.inference.found_blur import FoundBlur, FoundMotion
from acutance.inference.sharpener import Sharpener
from acutance.inference.streaming import memory_of_whole
from acutance.inference.unblurring import blur_in
from acutance.inference.undoing import without_blur
from acutance.media import plan_outputs
from acutance.zoo.catalogue import find_model

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
LINE = line_psf(10.0, 0.4)
PATH = trajectory_psf([(0.0, 0.0), (4.0, 5.0), (1.0, 10.0), (3.0, 14.0)])
SPEC = replace(FAKE_SPEC, name="motion", task="remove-motion", guides=3)


def blurred_by(psf: np.ndarray) -> np.ndarray:
    sharp = np.asarray(Image.open(PHOTO).convert("RGB"), np.float64)[100:340, 100:380]
    blurred = convolve_mirror(sharp, psf)[24:-24, 24:-24]
    return np.clip(np.rint(blurred), 0, 255).astype(np.uint8)


def field_of(whole: BlurVerdict) -> SimpleNamespace:
    """Stand for what the estimator says: the rules of `banded` are tried, not it."""
    return SimpleNamespace(whole=whole, noise=0.3)


def ignore(share: float, doing: str) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def moved() -> np.ndarray:
    return blurred_by(LINE)


@pytest.fixture(scope="module")
def shaken() -> np.ndarray:
    return blurred_by(PATH)


@pytest.fixture(scope="module")
def line(moved) -> FoundBlur:
    found, _ = blur_in(moved, progress=ignore)
    assert isinstance(found, FoundBlur)
    return found


@pytest.fixture(scope="module")
def path(shaken) -> FoundBlur:
    found, _ = blur_in(shaken, progress=ignore)
    assert isinstance(found, FoundBlur)
    return found


def beside_a_lattice(period: tuple[int, int]) -> np.ndarray:
    """A part of a photo, and beside it windows that repeat exactly, in which most of the texture is."""
    picture = np.asarray(Image.open(PHOTO).convert("RGB"), np.float64).copy()
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    height, width = period
    windows = (rows % height < 0.6 * height) & (columns % width < 0.55 * width)
    picture[:, 160:] = (np.where(windows, 30.0, 190.0) - 25 * (rows % (3 * height) < 3))[:, 160:, None]
    return picture


@pytest.mark.parametrize("period", [(19, 13), (31, 24)])
@pytest.mark.parametrize("angle", [0.08, 1.0])
def test_straight_motion_of_a_facade_is_told_by_all_of_the_picture(period, angle):
    """Its windows have bands of their own, and no other edges: told were 10 px, or another motion in each place."""
    seen = convolve_mirror(beside_a_lattice(period), line_psf(14.0, angle))
    found, _ = blur_in(np.clip(np.rint(seen), 0, 255).astype(np.uint8), threads=1, progress=ignore)
    assert isinstance(found, FoundBlur)
    assert found.seen is not None
    assert found.seen.strength_px == pytest.approx(14.0, abs=0.3)
    assert found.seen.angle == pytest.approx(angle, abs=0.03)


def test_straight_motion_is_doubted_where_the_estimator_sees_a_path(monkeypatch):
    """A path of 9 px was taken for straight motion of 4; nearly straight paths for straight ones, on faint bands."""
    sharp = np.asarray(Image.open(PHOTO).convert("L"), np.float64)[..., None]

    def told(seen: np.ndarray, kind: str) -> FoundBlur | None:
        whole = BlurVerdict(kind=kind, share=0.9, strength_px=12.0, angle=0.0)
        return bands.banded((np.clip(np.rint(seen), 0, 255)[..., 0] / 255).astype(np.float32), field_of(whole))

    short, long = (convolve_mirror(sharp, line_psf(length, 0.5)) for length in (4.0, 12.0))
    assert told(short, "line") is not None
    assert told(short, "path") is None
    assert told(long, "path") is not None
    monkeypatch.setattr(bands, "CLEAR_BEFORE_PATH", 0.95)
    assert told(long, "line") is not None
    assert told(long, "path") is None


def engine() -> FakeEngine:
    """Pass on the middle one of the three deconvolutions."""
    return FakeEngine(lambda batch: batch[:, 6:9], spec=SPEC)


@pytest.fixture
def remover() -> Sharpener:
    return Sharpener(engine=engine())


@pytest.fixture
def found(monkeypatch, line) -> None:
    """Take the motion that was found once: looking for it takes a second."""
    monkeypatch.setattr(unblurring, "blur_in", lambda *_, **__: (line, f"{line.words}: taken out"))


def energy(pixels: np.ndarray) -> float:
    return float((np.diff(pixels.astype(np.float64), axis=1) ** 2).mean())


def test_straight_motion_is_found_and_the_network_is_told(line):
    assert line.words.startswith("straight motion of about 10 px along 2")
    assert line.words.endswith("°")
    assert (line.is_path, line.moved) == (False, False)  # all of it moved alike


def lettering(length_px: float, angle: float) -> np.ndarray:
    """Draw a plate on a textured ground, and move it: the estimator, which learnt from photos, tells that too short."""
    image = Image.new("RGB", (230, 124), (120, 110, 90))
    draw = ImageDraw.Draw(image)
    draw.rectangle((30, 36, 200, 86), fill=(240, 240, 235), outline=(20, 20, 20))
    draw.text((40, 44), "KX52 RTM", font=ImageFont.load_default(30), fill=(25, 25, 30))
    rng = np.random.default_rng(0)
    grain = convolve_mirror(rng.normal(0, 30, (124, 230, 1)), gaussian_psf(1.0))
    blurred = convolve_mirror(np.asarray(image, np.float64) + grain, line_psf(length_px, angle))
    return np.clip(np.rint(blurred + rng.normal(0, 1.5, blurred.shape)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("length_px", "degrees"), [(12.0, 0.0), (10.0, 120.0)])
def test_lettering_that_moved_is_told_by_its_spectrum(length_px, degrees):
    found, words = blur_in(lettering(length_px, math.radians(degrees)), progress=ignore)
    assert isinstance(found, FoundBlur), words
    assert similarity(found.kernel.psf, line_psf(length_px, math.radians(degrees))) > 0.9
    assert (found.is_path, found.moved, found.is_sure) == (False, False, True)


def test_a_strip_of_lettering_is_enough():
    """A plate as a person draws a rectangle around it is hardly 60 px high."""
    found, words = blur_in(lettering(12.0, 0.1)[32:90, 20:210], progress=ignore)
    assert isinstance(found, FoundBlur), words


def test_where_motion_differs_each_place_has_its_own():
    sharp = np.asarray(Image.open(PHOTO).convert("RGB"), np.float64)[20:210, 60:480]
    left, right = (convolve_mirror(sharp, line_psf(*motion)) for motion in ((12.0, 0.0), (9.0, 1.7)))
    seen = np.where(np.arange(420)[None, :, None] < 210, left, right)
    found, words = blur_in(np.rint(seen).clip(0, 255).astype(np.uint8), progress=ignore)
    assert isinstance(found, FoundMotion), words
    assert words.startswith("straight motion that differs over the picture")
    right_of = {True: (12.0, 0.0), False: (9.0, 1.7)}
    clear = [(x < 210, seen.psf) for (_, x), seen in found.banded.items() if abs(x - 210) > 100]
    alike = [similarity(psf, line_psf(*right_of[is_left])) > 0.85 for is_left, psf in clear]
    assert sum(alike) >= 0.8 * len(alike) >= 4
    moved = found.kernel_at(130, 64)
    assert moved is not None
    assert similarity(moved, line_psf(12.0, 0.0)) > 0.9
    shifted = replace(found, top=500, left=700)
    np.testing.assert_array_equal(shifted.kernel_at(630, 764), moved)


def test_a_curved_path_is_told_to_the_network_too(path, shaken):
    assert path.words == f"curved motion of about {path.kernel.length_px:.0f} px"
    assert path.is_path
    told = engine()
    still = without_blur(shaken, path, told, progress=ignore)
    assert told.sizes
    assert energy(255 * still) > 1.5 * energy(shaken)


@pytest.mark.parametrize("photo", ["moved", "shaken"])
def test_a_blurred_photo_becomes_sharp(photo, request, remover, tmp_path):
    pixels = request.getfixturevalue(photo)
    source = tmp_path / "photo.png"
    Image.fromarray(pixels).save(source)
    shares, phases = [], []
    plan = plan_outputs([source], None, overwrite=False)
    (result,) = sharpen_files(remover, plan, progress=shares.append, doing=phases.append)
    assert (result.status, result.error) == ("done", "")
    (sentence,) = result.found
    assert sentence.endswith(" px: taken out" if photo == "shaken" else "°: taken out")
    assert result.verdict is not None
    assert result.notes == (*result.found, result.verdict.words)
    assert energy(np.asarray(Image.open(result.target))) > 1.5 * energy(pixels)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert phases[0] == "looking for what blurred the picture"
    assert phases[-1] == "taking the blur out"


def test_a_sharp_photo_is_left_and_that_is_said(remover, tmp_path):
    source = tmp_path / "photo.png"
    sharp = Image.open(PHOTO).convert("RGB").crop((100, 100, 300, 300))
    sharp.save(source)
    (result,) = sharpen_files(remover, plan_outputs([source], None, overwrite=False))
    assert result.found == ("sharp already: left as it is",)
    np.testing.assert_array_equal(np.asarray(Image.open(result.target)), np.asarray(sharp))


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (23, 300), (SMALLEST_PX - 1, SMALLEST_PX - 1)])
def test_too_small_to_tell(remover, moved, size):
    small = np.tile(moved, (1, 2, 1))[: size[0], : size[1]]
    assert blur_in(small, progress=ignore) == (None, "too small to tell what blurred it: left as it is")
    np.testing.assert_array_equal(remover.sharpen_pixels(small), small)


@pytest.mark.parametrize("size", [(24, 300), (28, 160), (160, 31)])
def test_a_strip_is_looked_at_to_its_end(remover, moved, size):
    strip = np.ascontiguousarray(np.tile(moved, (1, 2, 1))[: size[0], : size[1]])
    assert remover.sharpen_pixels(strip).shape == strip.shape


def test_nothing_in_it():
    grey = np.full((80, 90, 1), 0.5, np.float32)
    assert blur_in(grey, progress=ignore) == (None, "nothing in it shows how blurred it is: left as it is")


def test_a_smooth_ramp_is_left():
    """Rounded to 8 bits it has steps of one level, which look like anything."""
    ramp = np.rint(np.linspace(20, 200, 400))[None, :, None].repeat(300, 0).repeat(3, 2).astype(np.uint8)
    assert blur_in(ramp, progress=ignore)[0] is None


def test_hardly_anything_in_it():
    """The window that is looked at is flat: what is clipped does not count as texture."""
    grey = np.full((700, 900, 1), 0.5, np.float32)
    grey[300:340, 300:340] = 1
    found, words = blur_in(grey, progress=ignore)
    assert words
    assert found is None or np.abs(without_blur(grey, found, engine(), progress=ignore) - grey).max() < 0.01


@pytest.mark.usefixtures("found")
def test_strength_blends_with_the_photo(remover, moved):
    half, full = (remover.sharpen_pixels(moved, strength=strength).astype(int) for strength in (0.5, 1.0))
    np.testing.assert_array_equal(remover.sharpen_pixels(moved, strength=0.0), moved)
    inside = (full > 0) & (full < 255)
    assert np.abs(half - (moved + full) / 2)[inside].max() <= 1


def test_what_is_taken_for_straight_motion_may_be_curved(shaken, path, monkeypatch):
    straight = BlurVerdict(kind="line", share=0.7, strength_px=15.0, angle=0.3)
    monkeypatch.setattr(BlurField, "whole", property(lambda field: straight))
    found, words = blur_in(shaken, progress=ignore)
    assert words == f"{path.words}: taken out"
    assert isinstance(found, FoundBlur)
    np.testing.assert_array_equal(found.kernel.psf, path.kernel.psf)


def test_tiles_of_curved_motion_join_without_seams(shaken, path, monkeypatch):
    whole = without_blur(shaken, path, engine(), progress=ignore)
    monkeypatch.setattr(undoing, "TILE_PX", 32)
    told = []
    tiled = without_blur(shaken, path, engine(), threads=3, progress=lambda share, doing: told.append(share))
    assert told[-1] == 1
    assert len(told) > 2
    assert np.abs(tiled - whole).mean() < 4 / 255  # without its far surroundings a guide rings otherwise
    steps = np.abs(np.diff(tiled - whole, axis=1)).mean(axis=(0, 2))
    assert steps[24:-24].max() < 2.5 * np.median(steps)  # where tiles meet they fade into each other


@pytest.mark.usefixtures("found")
def test_results_do_not_depend_on_threads_or_tiles(moved):
    one = Sharpener(engine=engine(), threads=1, tile_px=64)(moved)
    two = Sharpener(engine=engine(), threads=2)(moved)
    np.testing.assert_array_equal(one, two)


def test_memory_is_that_of_the_tile_which_the_blur_is_undone_in():
    """Measured with the shipped model: 1525 MB for a picture of one such tile, 1522 MB for 6.6 megapixels."""
    spec = read_spec(find_model("motion").fidelity.read_bytes())
    one, many = (
        memory_of_whole(Size(*size), row_bytes=3 * size[1], spec=spec, tile_px=1344)
        for size in ((1264, 1264), (2200, 3000))
    )
    assert 1500e6 < one < 1600e6
    assert one < many < 1900e6


def test_pictures_that_must_go_in_strips_are_refused(tmp_path):
    source = tmp_path / "photo.png"
    Image.fromarray(np.zeros((700, 700, 3), np.uint8)).save(source)
    small = Sharpener(engine=engine(), max_memory_mb=300)
    (result,) = sharpen_files(small, plan_outputs([source], None, overwrite=False))
    assert result.status == "failed"
    assert "by model motion, which looks at the whole" in result.error
    with pytest.raises(ImageTooLarge):
        small(source.read_bytes())
    with pytest.raises(ConfigError, match="looks at a picture as a whole"), small.opened(source) as pictures:
        small.sharpen_strips(pictures.strips())
