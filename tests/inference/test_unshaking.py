"""A model that removes shake, around a network that does nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.deconvolution.shake import Shake
from acutance.errors import ConfigError, ImageTooLarge
from acutance.imaging.kernels import convolve_mirror, trajectory_psf
from acutance.inference import restoring, unshaking
from acutance.inference.fake import FAKE_SPEC, FakeEngine
from acutance.inference.files import sharpen_files
from acutance.inference.restoring import NO_SHAKE
from acutance.inference.sharpener import Sharpener
from acutance.inference.unshaking import shake_in, without_shake
from acutance.media import plan_outputs

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
PATH = trajectory_psf([(0.0, 0.0), (4.0, 5.0), (1.0, 10.0), (3.0, 14.0)])
SPEC = replace(FAKE_SPEC, name="shake", task="remove-shake")


@pytest.fixture(scope="module")
def shaken() -> np.ndarray:
    sharp = np.asarray(Image.open(PHOTO).convert("RGB"), np.float64)[100:340, 100:380]
    blurred = convolve_mirror(sharp, PATH)[24:-24, 24:-24]
    return np.clip(np.rint(blurred), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def shake(shaken) -> Shake:
    found = shake_in(shaken, progress=lambda share, doing: None)
    assert found is not None
    return found


@pytest.fixture
def remover() -> Sharpener:
    return Sharpener(engine=FakeEngine(spec=SPEC))


@pytest.fixture
def found(monkeypatch, shake) -> None:
    """Take the shake that was found once: looking for it takes seconds."""
    monkeypatch.setattr(restoring, "shake_in", lambda pixels, *, threads, progress: shake)


def energy(pixels: np.ndarray) -> float:
    return float((np.diff(pixels.astype(np.float64), axis=1) ** 2).mean())


def test_a_shaken_photo_becomes_sharp(remover, shaken, shake, tmp_path):
    source = tmp_path / "photo.png"
    Image.fromarray(shaken).save(source)
    shares = []
    (result,) = sharpen_files(remover, plan_outputs([source], None, overwrite=False), progress=shares.append)
    assert (result.status, result.error) == ("done", "")
    (sentence,) = result.found
    assert sentence == f"camera shake of about {shake.length_px:.0f} px taken out"
    assert result.notes == result.found
    assert energy(np.asarray(Image.open(result.target))) > 1.5 * energy(shaken)
    assert shares == sorted(shares)
    assert len(shares) > 5


def test_a_sharp_photo_is_left_and_that_is_said(remover, shaken, tmp_path):
    source = tmp_path / "photo.png"
    sharp = Image.open(PHOTO).convert("RGB").crop((100, 100, 260, 240))
    sharp.save(source)
    (result,) = sharpen_files(remover, plan_outputs([source], None, overwrite=False))
    assert result.found == (NO_SHAKE,)
    np.testing.assert_array_equal(np.asarray(Image.open(result.target)), np.asarray(sharp))


@pytest.mark.usefixtures("found")
def test_strength_blends_with_the_photo(remover, shaken):
    half, full = (remover.sharpen_pixels(shaken, strength=strength).astype(int) for strength in (0.5, 1.0))
    np.testing.assert_array_equal(remover.sharpen_pixels(shaken, strength=0.0), shaken)
    inside = (full > 0) & (full < 255)
    assert np.abs(half - (shaken + full) / 2)[inside].max() <= 1


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.usefixtures("found")
def test_other_types_come_back_as_they_went(remover, shaken, dtype):
    white = 1 if dtype is np.float32 else 257
    pixels = (shaken.astype(dtype) * dtype(257) if white == 257 else (shaken / 255).astype(dtype))[:100, :100]
    result = remover(pixels)
    assert (result.shape, result.dtype) == (pixels.shape, pixels.dtype)


@pytest.mark.usefixtures("found")
def test_grey_and_transparent_pictures(remover, shaken):
    grey = remover(shaken[..., 1])
    assert grey.shape == shaken.shape[:2]
    assert energy(grey) > 1.5 * energy(shaken[..., 1])
    alpha = np.full((*shaken.shape[:2], 1), 255, np.uint8)
    alpha[:40] = 0
    result = remover(np.dstack([shaken, alpha]))
    assert result.shape == (*shaken.shape[:2], 4)
    assert (result[60:, :, 3] > 250).all()


def test_tiles_join_without_seams(shaken, shake, monkeypatch):
    whole = without_shake(shaken, shake, progress=lambda share, doing: None)
    monkeypatch.setattr(unshaking, "TILE_PX", 32)
    told = []
    tiled = without_shake(shaken, shake, threads=3, progress=lambda share, doing: told.append(share))
    assert told[-1] == 1
    assert len(told) > 1
    assert np.abs(tiled - whole).mean() < 0.5 / 255
    assert np.abs(tiled - whole).max() < 8 / 255


@pytest.mark.usefixtures("found")
def test_results_do_not_depend_on_threads_or_tiles(shaken, shake):
    engine = FakeEngine(spec=SPEC)
    one = Sharpener(engine=engine, threads=1, tile_px=64)(shaken)
    two = Sharpener(engine=engine, threads=2)(shaken)
    np.testing.assert_array_equal(one, two)


def test_pictures_that_must_go_in_strips_are_refused(shaken, tmp_path):
    source = tmp_path / "photo.png"
    Image.fromarray(shaken).save(source)
    small = Sharpener(engine=FakeEngine(spec=SPEC), max_memory_mb=300)
    (result,) = sharpen_files(small, plan_outputs([source], None, overwrite=False))
    assert result.status == "failed"
    assert "by model shake, which looks at the whole" in result.error
    with pytest.raises(ImageTooLarge), small.opened(source) as pictures:
        small._sharpen_bytes(source.read_bytes(), strength=1.0)
    with pytest.raises(ConfigError, match="looks at a picture as a whole"), small.opened(source) as pictures:
        small.sharpen_strips(pictures.strips())
