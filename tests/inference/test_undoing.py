"""A model that removes motion, around a network that gives the middle guide back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution.planes import sparseness
from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import NonFiniteOutput
from acutance.geometry import Size, plan_tiles
from acutance.imaging.convert import to_float
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf
from acutance.imaging.response import Response
from acutance.inference import solving, unblurring, undoing
from acutance.inference.found_blur import FoundBlur
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import ToldBlur
from acutance.inference.unblurring import LOOKING, blur_in
from acutance.inference.undoing import KERNEL_REACH_PX, UNDOING, without_blur
from acutance.metrics.psnr import psnr

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
SPEC = replace(FAKE_SPEC, name="motion", task="remove-motion", guides=3, size_multiple=4, halo_px=8)
CUT = 24


def quiet(share: float, phase: str) -> None:
    """Tell nobody."""


def middle_guide(batch: np.ndarray) -> np.ndarray:
    assert batch.shape[1] == 12
    return batch[:, 6:9]


def photo(*, size: tuple[int, int] = (248, 264)) -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))[40 : 40 + size[0], 60 : 60 + size[1]]


def seen_through(psf: np.ndarray) -> np.ndarray:
    blurred = convolve_mirror(photo().astype(np.float64), psf)[CUT:-CUT, CUT:-CUT]
    return np.clip(np.rint(blurred), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def moved() -> np.ndarray:
    return seen_through(line_psf(10.0, 0.5))


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return photo()[CUT:-CUT, CUT:-CUT]


@pytest.fixture(scope="module")
def blur(moved) -> FoundBlur:
    found, words = blur_in(moved, threads=2, progress=quiet)
    assert found is not None, words
    return found


@pytest.fixture
def remover() -> Sharpener:
    return Sharpener(engine=FakeEngine(middle_guide, SPEC))


@pytest.fixture
def found(monkeypatch, blur) -> None:
    """Take the blur that was found once: looking for it takes a second."""
    monkeypatch.setattr(unblurring, "blur_in", lambda *_, **__: (blur, blur.words))


# --- what is found ----------------------------------------------------------------------------------------


def test_straight_motion_is_found_and_said(moved, blur):
    told = []
    again, words = blur_in(moved, threads=1, progress=lambda share, phase: told.append((share, phase)))
    assert words == f"{again.words}: taken out" == f"{blur.words}: taken out"
    assert words.startswith("straight motion of about 10 px along 2")
    assert words.endswith("°: taken out")
    assert not again.is_path
    assert told[0] == (0.0, LOOKING)
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    exact = np.pad(line_psf(10.0, 0.5), 10)
    psf = np.pad(again.kernel.psf, 10)
    cut = (exact.shape[0] - psf.shape[0]) // 2
    if cut:
        exact, psf = (np.pad(one, max(-sign * cut, 0)) for one, sign in ((exact, 1), (psf, -1)))
    near = float((exact * psf).sum() / np.sqrt((exact**2).sum() * (psf**2).sum()))
    assert near > 0.9


def test_a_lens_out_of_focus_is_found():
    found, words = blur_in(seen_through(disk_psf(3.0)), threads=2, progress=quiet)
    assert words == "out of focus by about 3.0 px: taken out"
    assert found is not None
    assert not found.is_path


def whole_photo() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def blurred_in(response: Response, psf: np.ndarray) -> np.ndarray:
    values = response.values(convolve_mirror(response.light(whole_photo() / 255), psf))
    return np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("response", Response)
@pytest.mark.parametrize(
    ("psf", "words"),
    [
        (line_psf(8.0, 1.2), "straight motion of about 8 px along 69°: taken out"),
        (disk_psf(4.0), "out of focus by about 4.0 px: taken out"),
    ],
)
def test_what_blurred_light_is_found_and_undone_in_light(response, psf, words):
    """Undone in the file's values, most of these did not explain the photo, and it was left as it was."""
    seen = blurred_in(response, psf)
    found, said = blur_in(seen, threads=2, progress=quiet)
    assert said == words
    assert isinstance(found, FoundBlur)
    assert found.response is response
    inner, truth = np.s_[24:-24, 24:-24], whole_photo()
    engine = FakeEngine(middle_guide, SPEC)
    by = {light: without_blur(seen, replace(found, response=light), engine, progress=quiet) for light in Response}
    off = {light: float(np.abs(255 * one - truth)[inner].mean()) for light, one in by.items()}
    assert min(off, key=lambda light: off[light]) is response
    assert off[response] < 0.7 * float(np.abs(seen.astype(float) - truth)[inner].mean())


@pytest.mark.parametrize("response", Response)
def test_what_somebody_told_is_undone_in_the_light_that_the_photo_tells(response):
    told, engine = ToldBlur.motion(8.0, degrees=70), FakeEngine(middle_guide, SPEC)
    seen = blurred_in(response, told.psf)
    result = without_blur(seen, told, engine, progress=quiet)
    assert np.array_equal(result, without_blur(seen, told, engine, response=response, progress=quiet))
    softened = ToldBlur.gaussian(1.6)  # has no bands that could tell
    seen = blurred_in(response, gaussian_psf(1.6))
    result = without_blur(seen, softened, engine, progress=quiet)
    assert np.array_equal(result, without_blur(seen, softened, engine, response=Response.NONE, progress=quiet))


def test_a_plane_without_gradients_is_as_dense_as_any():
    assert sparseness(np.full((9, 9), 0.5, np.float32)) == 1.0
    step = np.zeros((10, 10), np.float32)
    step[:, 5:] = 1.0
    assert sparseness(step) == pytest.approx(np.sqrt(180 / 10))  # of 180 differences 10 are not 0


# --- what is done about it --------------------------------------------------------------------------------


def test_a_moved_photo_becomes_sharp(remover, moved, truth):
    told: list[float] = []
    result = remover.sharpen_pixels(moved, progress=told.append)
    inner = np.s_[20:-20, 20:-20]
    assert psnr(result[inner], truth[inner]) > psnr(moved[inner], truth[inner]) + 4
    assert told == sorted(told)
    assert told[-1] == 1


def test_the_network_is_given_the_picture_and_three_guides(moved, blur):
    batches = []

    def network(batch: np.ndarray) -> np.ndarray:
        batches.append(batch)
        return middle_guide(batch)

    phases = []
    result = without_blur(
        moved, blur, FakeEngine(network, SPEC), threads=1, progress=lambda share, phase: phases.append(phase)
    )
    (batch,) = batches
    assert batch.shape[2] % 4 == batch.shape[3] % 4 == 0
    height, width = moved.shape[:2]
    np.testing.assert_allclose(batch[0, :3, 32 : 32 + height, 32 : 32 + width], to_float(moved).transpose(2, 0, 1))
    roughness = [float((np.diff(batch[0, first : first + 3]) ** 2).mean()) for first in (3, 6, 9)]
    assert roughness[0] > roughness[1] > roughness[2]
    assert set(phases) == {UNDOING}
    assert (result.dtype, result.shape) == (np.float32, moved.shape)
    assert 0 <= result.min() <= result.max() <= 1


@pytest.mark.usefixtures("found")
def test_sixteen_bits_and_floats_come_back_as_they_went(remover, moved):
    eight = remover.sharpen_pixels(moved)
    sixteen = remover.sharpen_pixels(moved.astype(np.uint16) * 257)
    floats = remover.sharpen_pixels((moved / 255).astype(np.float32))
    assert (sixteen.dtype, floats.dtype) == (np.uint16, np.float32)
    np.testing.assert_allclose(sixteen / 257, eight, atol=0.6)
    np.testing.assert_allclose(floats * 255, eight, atol=0.6)


@pytest.mark.usefixtures("found")
def test_grey_pictures_come_back_grey(remover, moved, truth):
    grey = remover(moved[..., 1])
    assert grey.shape == moved.shape[:2]
    inner = np.s_[20:-20, 20:-20]
    error = [((one.astype(float) - truth[..., 1])[inner] ** 2).mean() for one in (grey, moved[..., 1])]
    assert error[0] < 0.4 * error[1]  # 4 dB


@pytest.mark.usefixtures("found")
def test_what_was_cut_out_later_keeps_its_edge(remover, moved):
    """Its edge, undone, rang: a third of a circle's opacity was changed, by up to all of it."""
    y, x = np.mgrid[: moved.shape[0], : moved.shape[1]]
    alpha = np.where(np.hypot(y - 100, x - 100) < 80, 255, 0).astype(np.uint8)
    result = remover(np.dstack([moved, alpha]))
    assert np.array_equal(result[..., 3], alpha)
    assert not np.array_equal(result[..., :3], moved)


@pytest.mark.usefixtures("found")
def test_transparency_is_undone_with_the_picture(remover, moved):
    sharp_alpha = np.full(photo().shape[:2], 255.0)
    sharp_alpha[:, :120] = 0
    alpha = convolve_mirror(sharp_alpha[..., None], line_psf(10.0, 0.5))[CUT:-CUT, CUT:-CUT, 0]
    alpha = np.clip(np.rint(alpha), 0, 255).astype(np.uint8)
    result = remover(np.dstack([moved, alpha]))
    assert result.shape == (*moved.shape[:2], 4)
    expected = sharp_alpha[CUT:-CUT, CUT:-CUT]
    inner = np.s_[20:-20, 20:-20]
    off = [np.abs(one.astype(float) - expected)[inner].mean() for one in (result[..., 3], alpha)]
    assert off[0] < off[1]  # by little: beside the step the guide rings, and is not believed
    opaque = remover(moved)
    far = np.abs(result[40:-40, 170:-20, :3].astype(float) - opaque[40:-40, 170:-20])  # from what is transparent
    assert far.mean() < 2


def test_opacity_has_no_curve(remover, moved, blur, monkeypatch):
    toned = replace(blur, response=Response.TONED)
    monkeypatch.setattr(unblurring, "blur_in", lambda *_, **__: (toned, toned.words))
    lights = []
    told = solving.wiener_guides
    monkeypatch.setattr(
        solving, "wiener_guides", lambda *_, **how: (lights.append(how["response"]), told(*_, **how))[1]
    )
    sharp_alpha = np.full(photo().shape[:2], 255.0)
    sharp_alpha[:, :120] = 0
    alpha = convolve_mirror(sharp_alpha[..., None], line_psf(10.0, 0.5))[CUT:-CUT, CUT:-CUT, 0]
    remover(np.dstack([moved, np.clip(np.rint(alpha), 0, 255).astype(np.uint8)]))
    assert lights == [Response.TONED] * 3 + [Response.NONE]


@pytest.mark.parametrize("tile_px", [16, 40])
def test_tiles_join_without_seams(moved, blur, monkeypatch, tile_px):
    engine = FakeEngine(middle_guide, SPEC)
    whole = without_blur(moved, blur, engine, threads=2, progress=quiet)
    monkeypatch.setattr(undoing, "TILE_PX", tile_px)
    shares: list[float] = []
    tiled = without_blur(moved, blur, engine, threads=2, progress=lambda share, phase: shares.append(share))
    tiles = list(plan_tiles(Size(*moved.shape[:2]), tile_px=tile_px, halo_px=8 + KERNEL_REACH_PX, multiple=4))
    assert len(shares) == len(tiles) + 1
    assert len(tiles) > 3
    off = 255 * (tiled - whole)
    assert np.abs(off).mean() < 3  # without its far surroundings a guide rings otherwise
    lefts, tops = ({getattr(tile.target, side) for tile in tiles} - {0} for side in ("left", "top"))
    assert max(np.abs(off[:, left] - off[:, left - 1]).mean() for left in lefts) < 2
    assert max(np.abs(off[top] - off[top - 1]).mean() for top in tops) < 2


def test_what_is_believed_is_told_with_what_lies_around_a_tile(moved, blur, monkeypatch):
    """A network that rings in half of the picture: how far it is believed must not hang on where tiles meet."""
    monkeypatch.setattr(type(blur.kernel), "trust", lambda self, grey: np.ones(grey.shape, np.float32))
    monkeypatch.setattr(solving, "consistent", lambda restored, *_, **__: restored)  # it would take ringing back

    def ringing(batch: np.ndarray) -> np.ndarray:
        y, x = np.mgrid[0 : batch.shape[2], 0 : batch.shape[3]]
        return batch[:, :3] + (np.float32(0.3) * batch[:, :1] * ((x + y) % 2)).astype(np.float32)

    engine = FakeEngine(ringing, SPEC)
    whole = without_blur(moved, blur, engine, threads=1, progress=quiet)
    share = np.abs(whole - to_float(moved)).max(axis=2)
    assert share.max() > 0.1  # here it is believed,
    assert np.median(share[:40]) < 0.01  # there it is not
    monkeypatch.setattr(undoing, "TILE_PX", 16)
    tiled = without_blur(moved, blur, engine, threads=1, progress=quiet)
    assert len(engine.sizes) > 4
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_what_is_not_finite_is_refused(moved, blur):
    engine = FakeEngine(lambda batch: middle_guide(batch) * np.float32("nan"), SPEC)
    with pytest.raises(NonFiniteOutput):
        without_blur(moved, blur, engine, threads=1, progress=quiet)


def test_tiles_of_long_motion_fade_into_each_other(monkeypatch):
    """What is made of frequencies that are all but gone differs from tile to tile: it was a step where two met."""
    monkeypatch.setattr(undoing, "TILE_PX", 128)
    told = ToldBlur.motion(40, degrees=0)
    truth = np.kron(np.random.default_rng(0).random((16, 112)), np.ones((6, 6))) * 200 + 20
    seen = np.clip(np.rint(convolve_mirror(np.repeat(truth[..., None], 3, axis=2), told.psf)), 0, 255).astype(np.uint8)
    spec = replace(FAKE_SPEC, task="remove-motion", guides=3, size_multiple=4, halo_px=8)
    engine = FakeEngine(lambda batch: batch[:, 3:6], spec)
    result = without_blur(seen, told, engine, progress=quiet)
    cuts = sorted({tile.target.left for tile in plan_tiles(Size(96, 672), tile_px=128, halo_px=72, multiple=4)} - {0})
    assert len(cuts) > 2
    steps = np.abs(np.diff(result, axis=1)).mean(axis=(0, 2))
    for cut in cuts:
        around = np.delete(steps[cut - 12 : cut + 10], 11)
        assert steps[cut - 1] < 1.5 * around.max()
