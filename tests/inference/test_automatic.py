"""`auto`: each picture goes to the model that suits it, or to none, and what was done is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import EngineError
from acutance.imaging.kernels import convolve_mirror, disk_psf, gaussian_psf, line_psf
from acutance.imaging.picture import Picture
from acutance.inference import automatic
from acutance.inference.automatic import AutomaticRestorer
from acutance.inference.files import sharpen_files
from acutance.inference.listening import Listener
from acutance.inference.picture_settings import WHOLE, PictureSettings
from acutance.inference.sharpener import Sharpener
from acutance.media import Photo, plan_outputs
from acutance.metrics.psnr import psnr
from acutance.zoo.catalogue import AUTO, MODEL_FOR

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))[60:360, 80:420]


@pytest.fixture(scope="module")
def auto() -> Iterator[Sharpener]:
    with Sharpener(threads=1) as sharpener:
        yield sharpener


def blurred(sharp: np.ndarray, psf: np.ndarray, noise: float = 0.0) -> np.ndarray:
    values = convolve_mirror(sharp.astype(np.float64), psf)
    values = values + noise * np.random.default_rng(0).normal(size=values.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def done(auto: Sharpener, pixels: np.ndarray) -> tuple[np.ndarray, list[str], list[str]]:
    found: list[str] = []
    chosen: list[str] = []
    result = auto.sharpen_photo(Photo(pixels=pixels), found=found.append, chosen=chosen.append)
    return result.pixels, found, chosen


def test_it_is_the_default_and_says_so(auto: Sharpener) -> None:
    assert auto.is_automatic
    assert auto.spec.name == AUTO
    with Sharpener("fast", threads=1) as fast:
        assert not fast.is_automatic
        assert auto.spec.weights_sha256 != fast.spec.weights_sha256


def test_a_sharp_photo_stays_bit_for_bit(auto: Sharpener, sharp: np.ndarray) -> None:
    result, found, chosen = done(auto, sharp)
    np.testing.assert_array_equal(result, sharp)
    assert found == ["sharp already: left as it is"]
    assert chosen == []


def test_what_is_chosen_gives_that_models_pixels(auto: Sharpener, sharp: np.ndarray) -> None:
    part = sharp[:220, 40:280]
    soft, noisy = blurred(part, gaussian_psf(1.8)), blurred(part, gaussian_psf(1.8), 6)
    for pixels, model in ((soft, "fast"), (noisy, "motion"), (np.uint8(noisy * 0.35), "night")):
        result, found, chosen = done(auto, pixels)
        assert chosen == [model]
        assert len(found) == 1
        with Sharpener(model, threads=1) as named:
            np.testing.assert_array_equal(result, named.sharpen_pixels(pixels))
        np.testing.assert_array_equal(auto.sharpen_pixels(pixels), result)


def test_straight_motion_is_taken_out(auto: Sharpener, sharp: np.ndarray) -> None:
    result, found, chosen = done(auto, blurred(sharp, line_psf(11.0, 0.5)))
    assert chosen == ["motion"]
    assert found[0].startswith("straight motion of about 11 px along")
    assert found[0].endswith("taken out")
    error = np.abs(result.astype(int) - sharp)[20:-20, 20:-20].mean()
    assert error < 0.6 * np.abs(blurred(sharp, line_psf(11.0, 0.5)).astype(int) - sharp)[20:-20, 20:-20].mean()


@pytest.mark.parametrize("psf", [gaussian_psf(1.8), disk_psf(8.0)], ids=["gaussian", "disk"])
def test_even_softness_under_noise_is_told_to_a_network(auto: Sharpener, sharp: np.ndarray, psf: np.ndarray) -> None:
    """`night`, told nothing, came out 0.5 dB below that, and did nothing for the disk."""
    seen = blurred(sharp, psf, 6)
    result, found, chosen = done(auto, seen)
    assert chosen == ["motion"]
    assert found[0].endswith("taken out")
    with Sharpener("night", threads=1) as night:
        assert psnr(result, sharp) > psnr(night(seen), sharp) + 0.2


def test_under_noise_softness_that_differs_is_not_told(auto: Sharpener, sharp: np.ndarray) -> None:
    seen = blurred(sharp, gaussian_psf(2.5))
    seen[:, :70] = sharp[:, :70]
    result, found, chosen = done(auto, blurred(seen, np.ones((1, 1)), 6))
    assert chosen == ["night"]
    assert found[0].startswith("noise of 6 levels, ")
    assert found[0].endswith(": sharpened without its noise")
    assert psnr(result[:, :60], sharp[:, :60]) > 32


def fakes(opened: list[str], *, max_memory_mb: int | None = None) -> AutomaticRestorer:
    def open_model(name: str) -> FakeEngine:
        opened.append(name)
        task = "remove-motion" if name == MODEL_FOR["moved"] else "sharpen"
        return FakeEngine(spec=replace(FAKE_SPEC, name=name, task=task, guides=3 if task != "sharpen" else 0))

    return AutomaticRestorer(open_model, PictureSettings(tile_px=256, threads=1, max_memory_mb=max_memory_mb))


def test_where_motion_cannot_be_undone_the_picture_is_sharpened_and_that_is_said(
    sharp: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    found: list[str] = []
    chosen: list[str] = []
    moved = blurred(sharp, line_psf(11.0, 0.5))
    monkeypatch.setattr("acutance.inference.unblurring.blur_in", lambda *_, **__: (None, "perhaps"))
    fakes(opened).restore(Picture(moved), strength=1.0, listener=Listener(found=found.append, chosen=chosen.append))
    assert chosen == [MODEL_FOR["soft"]]
    assert found[0].endswith("but not everywhere or not exactly: not taken out, sharpened only")


def test_without_the_memory_for_it_motion_is_not_undone(sharp: np.ndarray) -> None:
    opened: list[str] = []
    found: list[str] = []
    chosen: list[str] = []
    moved = blurred(sharp, line_psf(11.0, 0.5))
    fakes(opened, max_memory_mb=200).restore(
        Picture(moved), strength=1.0, listener=Listener(found=found.append, chosen=chosen.append)
    )
    assert chosen == [MODEL_FOR["soft"]]
    assert "in the memory allowed" in found[0]


def test_models_are_opened_when_they_are_needed(sharp: np.ndarray) -> None:
    opened: list[str] = []
    restorer = fakes(opened)
    assert opened == [MODEL_FOR["soft"]]
    restorer.restore(Picture(np.uint8(blurred(sharp, gaussian_psf(1.8), 6) * 0.35)), strength=1.0)
    restorer.restore(Picture(np.uint8(blurred(sharp, gaussian_psf(1.8), 6) * 0.35)), strength=1.0)
    assert opened == [MODEL_FOR["soft"], MODEL_FOR["moved"], MODEL_FOR["noisy"]]  # "moved": is there room for it?
    restorer.close()


def test_when_it_is_closed_no_further_model_is_opened(sharp: np.ndarray) -> None:
    opened: list[str] = []
    restorer = fakes(opened)
    other = restorer.with_settings(WHOLE)
    restorer.close()
    for one in (restorer, other):
        with pytest.raises(EngineError, match="closed; open it again"):
            one.restore(Picture(blurred(sharp, line_psf(11.0, 0.5))), strength=1.0)
    assert opened == ["fast"]


def test_all_frames_get_one_model_and_motion_is_not_looked_for(auto: Sharpener, sharp: np.ndarray) -> None:
    settled, words = auto.for_frames(blurred(sharp, line_psf(11.0, 0.5)))
    assert settled.spec.name == "fast"
    assert "which is not taken out of moving pictures: all frames by model fast" in words[0]
    settled, words = auto.for_frames(blurred(sharp, gaussian_psf(1.8), 6))
    assert settled.spec.name == "night"
    again, more = settled.for_frames(sharp)
    assert (again.spec, more) == (settled.spec, ())


def test_transparency_strength_and_grey(auto: Sharpener, sharp: np.ndarray) -> None:
    soft = blurred(sharp, gaussian_psf(1.8))
    alpha = np.full(soft.shape[:2], 255, np.uint8)
    alpha[:, :100] = 0
    assert auto(np.dstack([soft, alpha])).shape == (*soft.shape[:2], 4)
    assert auto(soft[..., 1]).shape == soft.shape[:2]
    np.testing.assert_array_equal(auto(soft, strength=0.0), soft)


def test_a_soft_photo_without_its_background_is_sharpened(auto: Sharpener, sharp: np.ndarray) -> None:
    """It was left as it is: the edge to the erased background is sharp."""
    soft = blurred(sharp, gaussian_psf(1.8))
    y, x = (np.arange(side) - side / 2 for side in soft.shape[:2])
    is_shown = np.hypot(y[:, None], x) < 100
    cut_out = np.dstack([np.where(is_shown[..., None], soft, 0), 255 * is_shown]).astype(np.uint8)
    assert np.abs(auto(cut_out).astype(int) - cut_out)[is_shown].mean() > 1


def test_files_carry_model_words_and_verdict(auto: Sharpener, sharp: np.ndarray, tmp_path: Path) -> None:
    for name, pixels in (("sharp", sharp), ("soft", blurred(sharp, gaussian_psf(1.8)))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    plan = plan_outputs([tmp_path / "sharp.png", tmp_path / "soft.png"], tmp_path / "out")
    left, made = sharpen_files(auto, plan)
    assert (left.models, made.models) == ((), ("fast",))
    assert left.verdict is not None
    assert not left.verdict.is_worth_it
    assert left.notes == ("sharp already: left as it is", "unchanged")
    assert made.verdict is not None
    assert made.verdict.is_worth_it
    assert made.verdict.steps > 1.1


def test_only_if_blurred_writes_nothing_for_sharp_photos(auto: Sharpener, sharp: np.ndarray, tmp_path: Path) -> None:
    for name, pixels in (("sharp", sharp), ("soft", blurred(sharp, gaussian_psf(1.8)))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    plan = plan_outputs([tmp_path / "sharp.png", tmp_path / "soft.png"], tmp_path / "out")
    left, made = sharpen_files(auto, plan, only_if_blurred=True)
    assert (left.status, left.found) == ("skipped", ("sharp already: nothing is written",))
    assert not left.target.exists()
    assert made.status == "done"
    assert made.target.exists()


def test_animations_get_one_model(auto: Sharpener, sharp: np.ndarray, tmp_path: Path) -> None:
    soft = Image.fromarray(blurred(sharp, gaussian_psf(1.8))[:150, :150])
    soft.save(tmp_path / "a.webp", save_all=True, append_images=[Image.fromarray(sharp[:150, :150])], lossless=True)
    (made,) = sharpen_files(auto, plan_outputs([tmp_path / "a.webp"], tmp_path / "out"))
    assert made.status == "done", made.error
    assert made.models == ("fast",)
    assert made.found[0].startswith("first frame: soft by about")


def test_the_spec_changes_with_any_of_the_models() -> None:
    assert automatic._spec_of_all(replace(FAKE_SPEC)).name == AUTO


def test_at_any_exposure_16_bits_give_the_result_of_full_light(auto: Sharpener, sharp: np.ndarray) -> None:
    truth = sharp[:160, 70:230] / 255.0
    soft = convolve_mirror(truth, gaussian_psf(1.6))
    half, eighth = (auto(np.rint(65535 * soft / part).astype(np.uint16)) * (part / 65535) for part in (2, 8))

    def error(result: np.ndarray) -> float:
        return float(np.sqrt(np.square(result - truth).mean()))

    assert error(half) == pytest.approx(error(eighth), rel=0.01)
    assert error(half) < 0.7 * error(soft)
    assert np.abs(half - eighth).max() < 0.01


@pytest.mark.parametrize("radius_px", [2.0, 2.3])
def test_a_small_disk_is_undone_as_what_its_spectrum_tells(
    auto: Sharpener, sharp: np.ndarray, radius_px: float
) -> None:
    """It looks like a Gaussian, or a disk of another radius, and was sharpened by `fast` alone."""
    seen = blurred(sharp, disk_psf(radius_px))
    found: list[str] = []
    result = auto.sharpen_photo(Photo(pixels=seen), found=found.append).pixels
    with Sharpener("fast", threads=1) as fast:
        assert psnr(result, sharp) > psnr(fast(seen), sharp) + 0.3
    assert found == [f"out of focus by about {radius_px:.1f} px: taken out"]
