"""`acutance sharpen` told what blurred a photo, and `acutance kernel`, which finds it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from acutance.cli.main import app
from acutance.data.kernel_file import load_kernel, save_kernel
from acutance.deconvolution.psfs import similarity
from acutance.errors import AcutanceError
from acutance.imaging.kernels import convolve_mirror, line_psf
from acutance.metrics.psnr import psnr

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


def sharp() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))[100:320, 100:360]


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("told") / "moved.png"
    blurred = convolve_mirror(sharp().astype(np.float64), line_psf(10.0, 0.5))
    Image.fromarray(np.clip(np.rint(blurred), 0, 255).astype(np.uint8)).save(path)
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def gain(before: Path, after: Path) -> float:
    seen, result = (np.asarray(Image.open(path).convert("RGB")) for path in (before, after))
    return psnr(result, sharp()) - psnr(seen, sharp())


def test_motion_that_is_told_is_undone_and_said(moved: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    done = run("sharpen", moved, "-o", target, "--motion", "10px@28.6deg", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["found"] == ["straight motion of 10 px along 28.6°, as told: taken out"]
    assert gain(moved, target) > 4


def test_a_region_alone_is_changed(moved: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    assert run("sharpen", moved, "-o", target, "--motion", "10@28.6", "--region", "60,50,80,64").exit_code == 0
    before, after = (np.asarray(Image.open(path)).astype(int) for path in (moved, target))
    changed = np.nonzero((before != after).any(axis=2))
    assert (changed[0].min() >= 40, changed[0].max() < 124) == (True, True)
    assert (changed[1].min() >= 50, changed[1].max() < 150) == (True, True)


@pytest.mark.parametrize("name", ["k.npz", "k.png"])
def test_a_kernel_is_found_shown_and_told(moved: Path, tmp_path: Path, name: str) -> None:
    kernel, target = tmp_path / name, tmp_path / "out.png"
    found = run("kernel", moved, "-o", kernel)
    assert found.exit_code == 0, found.output
    assert "straight motion of about 10 px" in found.output
    assert "█" in found.output
    assert similarity(load_kernel(kernel), line_psf(10.0, 0.5)) > 0.97
    assert run("sharpen", moved, "-o", target, "--kernel", kernel).exit_code == 0
    assert gain(moved, target) > 3


def test_a_kernel_in_json(moved: Path) -> None:
    facts = json.loads(run("kernel", moved, "--json", "--region", "20,20,220,190").stdout)
    assert facts["found"].startswith("straight motion of about")
    assert facts["size_px"] % 2 == 1
    assert facts["target"] is None


def test_a_sharp_photo_has_no_kernel(tmp_path: Path) -> None:
    Image.fromarray(sharp()).save(tmp_path / "sharp.png")
    found = run("kernel", tmp_path / "sharp.png", "-o", tmp_path / "k.npz")
    assert isinstance(found.exception, AcutanceError)
    assert "no kernel to be sure of" in str(found.exception)
    assert not (tmp_path / "k.npz").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--motion", "12"], "length and direction"),
        (["--motion", "12@0", "--defocus", "2"], "--motion and --defocus"),
        (["--defocus", "99"], "at most 30"),
        (["--gaussian", "soft"], "number of px"),
        (["--kernel", "missing.npz"], "does not exist"),
        (["--region", "1,2,3"], "x,y,width,height"),
        (["--motion", "12@0", "--model", "fast"], "take the model motion"),
        (["--region", "0,0,50,50", "--model", "fast-x2"], "enlarges"),
    ],
)
def test_what_is_told_wrongly_is_one_sentence(moved: Path, tmp_path: Path, options: list[str], said: str) -> None:
    failed = run("sharpen", moved, "-o", tmp_path / "out.png", *options)
    assert isinstance(failed.exception, AcutanceError)
    assert said in str(failed.exception)
    assert not (tmp_path / "out.png").exists()


def test_a_region_outside_of_a_photo_fails_that_photo(moved: Path, tmp_path: Path) -> None:
    failed = run("sharpen", moved, "-o", tmp_path / "out.png", "--motion", "9@0", "--region", "900,0,50,50")
    assert failed.exit_code == 1
    assert "260×220 px" in failed.output


def test_a_result_that_was_told_otherwise_is_made_again(moved: Path, tmp_path: Path) -> None:
    """What is told is part of the record that --resume goes by."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.open(moved).crop((0, 0, 80, 70)).save(folder / "a.png")
    words = ("sharpen", folder, "-o", tmp_path / "out", "--resume", "--json")
    status = [
        json.loads(run(*words, "--motion", motion).stdout)["status"] for motion in ("10@28", "10px@28deg", "12@28")
    ]
    assert status == ["done", "skipped", "done"]


def test_a_picture_of_a_kernel_may_be_drawn_by_hand(moved: Path, tmp_path: Path) -> None:
    save_kernel(line_psf(10.0, 0.5), tmp_path / "k.png")
    drawn = Image.new("L", (40, 40))
    drawn.paste(Image.open(tmp_path / "k.png").convert("L").point(lambda value: value), (15, 15))
    drawn.save(tmp_path / "drawn.png")
    assert run("sharpen", moved, "-o", tmp_path / "out.png", "--kernel", tmp_path / "drawn.png").exit_code == 0


def test_a_photo_is_no_kernel(moved: Path, tmp_path: Path) -> None:
    failed = run("sharpen", moved, "-o", tmp_path / "out.png", "--kernel", PHOTO)
    assert "bright up to its rim, as a photo is" in str(failed.exception)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("size", [(8, 8), (40, 1), (9, 3)])
def test_a_small_kernel_may_reach_its_rim(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size, 255).save(tmp_path / "box.png")
    assert load_kernel(tmp_path / "box.png").sum() == pytest.approx(1)


def test_a_disk_that_is_cut_out_tightly_is_a_kernel(tmp_path: Path) -> None:
    down, across = np.mgrid[-20:21, -20:21]
    Image.fromarray(((down**2 + across**2 <= 420) * 255).astype(np.uint8)).save(tmp_path / "disk.png")
    assert load_kernel(tmp_path / "disk.png").shape == (41, 41)


def test_a_kernel_never_takes_the_place_of_its_photo(moved: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(moved.read_bytes())
    for words in (("kernel", photo), ("compare", photo, moved), ("compare", moved, photo)):
        failed = run(*words, "-o", photo, "--overwrite")
        assert "is itself one of the files" in str(failed.exception), words
    assert photo.read_bytes() == moved.read_bytes()
