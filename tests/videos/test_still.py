"""A still from a clip: many frames of one thing, which may move by itself, made into one picture."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from acutance.cli.main import app
from acutance.errors import AcutanceError, ConfigError, InputError
from acutance.geometry import Box
from acutance.imaging.kernels import convolve_mirror, gaussian_psf
from acutance.imaging.registration import grid_of, sampled, shift_matrix
from acutance.inference.told import Region
from acutance.media import read_photo
from acutance.videos.still import still

SIZE = (72, 96)
COUNT = 9
SIGN = Region(x=28, y=20, width=40, height=28)


def sign() -> np.ndarray:
    """Draw a thing with strokes, soft as a lens makes it."""
    rng = np.random.default_rng(5)
    values = np.full((28, 40, 3), 0.75)
    for left in range(4, 36, 6):
        values[5:23, left : left + 3] = rng.uniform(0.1, 0.3, 3)
    values[12:15, 4:36] = 0.2
    return values


def scene(across: float, down: float) -> np.ndarray:
    """Put it on a still background, moved."""
    rng = np.random.default_rng(6)
    ground = np.kron(rng.uniform(0.3, 0.6, (9, 12, 3)), np.ones((8, 8, 1)))
    canvas = ground.copy()
    canvas[20:48, 28:68] = sign()
    soft = convolve_mirror(canvas, gaussian_psf(0.9)).astype(np.float32)
    x, y, _ = grid_of(Box(0, 0, *SIZE), scale=1)
    moved, _ = sampled(soft, shift_matrix(-across, -down), x, y)
    around = (np.abs(x - 47.5 - across) < 22) & (np.abs(y - 33.5 - down) < 16)
    return np.where(around[..., None], moved, convolve_mirror(ground, gaussian_psf(0.9)))


def shifts() -> np.ndarray:
    walk = np.random.default_rng(7).normal(0, 1.2, (COUNT, 2)).cumsum(axis=0)
    return walk - walk[COUNT // 2]


def frames(noise: float) -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    return [scene(*place) + rng.normal(0, noise, (*SIZE, 3)) for place in shifts()]


def write(path: Path, pictures: list[np.ndarray], *, codec: str = "ffv1", rotation: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv444p"
        if rotation:
            stream.set_display_rotation(rotation)
        for values in pictures:
            pixels = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("still") / "noisy.mkv", frames(0.05))


def off(values: np.ndarray, box: np.ndarray) -> float:
    """Return the root mean square distance from the truth, where the background did not shine in."""
    inside = np.s_[5:-5, 5:-5]
    return float(np.sqrt(np.mean((values[inside] / 65535 - box[inside]) ** 2)))


TRUTH = scene(0, 0)[20:48, 28:68]


def test_the_mean_has_the_noise_of_many_and_the_thing_where_it_was(noisy: Path) -> None:
    found = still(noisy, at_s=0.4, frames=COUNT, region=SIGN)
    assert found.time_s == pytest.approx(0.4)
    assert found.pixels.dtype == np.uint16
    inner = found.pixels[found.inner.slices]
    assert inner.shape == (28, 40, 3)
    assert off(inner, TRUTH) < 0.05 / 3 * 1.4
    alone = still(noisy, at_s=0.4, frames=1, region=SIGN)
    assert off(alone.pixels[alone.inner.slices], TRUTH) > 0.045


def test_the_record_says_where_the_region_was_and_not_its_background(noisy: Path) -> None:
    """The background stands still; what is followed is the sign."""
    found = still(noisy, at_s=0.4, frames=COUNT, region=SIGN)
    assert [frame.used for frame in found.frames] == [True] * COUNT
    assert [frame.time_s for frame in found.frames] == pytest.approx(np.arange(COUNT) / 10)
    measured = np.array([frame.shift_px for frame in found.frames])
    assert np.abs(measured - shifts()).max() < 0.25
    assert max(frame.weight for frame in found.frames) == 1.0
    assert min(frame.weight for frame in found.frames) > 0.5


def test_a_frame_that_shows_something_else_is_left_out(tmp_path: Path) -> None:
    pictures = frames(0.02)
    pictures[2] = np.random.default_rng(1).uniform(0, 1, pictures[2].shape)
    pictures[6][18:50, 26:50] = 0.05  # somebody passes
    found = still(write(tmp_path / "a.mkv", pictures), at_s=0.4, frames=COUNT, region=SIGN)
    assert not found.frames[2].used
    assert found.frames[2].why
    assert not found.frames[6].used or found.frames[6].share < 0.75
    assert off(found.pixels[found.inner.slices], TRUTH) < 0.02


def test_light_that_flickers_is_adapted(tmp_path: Path) -> None:
    pictures = [values * (0.8 if number % 2 else 1.0) for number, values in enumerate(frames(0.02))]
    found = still(write(tmp_path / "a.mkv", pictures), at_s=0.4, frames=COUNT, region=SIGN)
    assert found.used == COUNT
    assert off(found.pixels[found.inner.slices], TRUTH) < 0.02


def test_twice_the_pixels(noisy: Path) -> None:
    found = still(noisy, at_s=0.4, frames=COUNT, region=SIGN, scale=2)
    large = found.pixels[found.inner.slices].astype(float)
    assert large.shape == (56, 80, 3)
    assert off(large.reshape(28, 2, 40, 2, 3).mean(axis=(1, 3)), TRUTH) < 0.03


def test_fields_are_pictures_of_their_own(tmp_path: Path) -> None:
    """Of a thing that moves, the odd rows are from later."""
    places = np.linspace(-4, 4, 2 * COUNT)
    pictures = []
    for number in range(COUNT):
        frame = scene(places[2 * number], 0.0)
        frame[1::2] = scene(places[2 * number + 1], 0.0)[1::2]
        pictures.append(frame)
    path = write(tmp_path / "a.mkv", pictures)
    whole = still(path, at_s=0.4, frames=COUNT, region=SIGN, fields=False)
    by_field = still(path, at_s=0.4, frames=COUNT, region=SIGN, fields=True)
    assert [frame.field for frame in by_field.frames] == [0, 1] * COUNT
    across = np.array([frame.shift_px[0] for frame in by_field.frames])
    np.testing.assert_allclose(np.diff(across), np.diff(places), atol=0.25)
    assert len(whole.frames) == COUNT


def test_the_whole_frame_by_default(noisy: Path) -> None:
    found = still(noisy, at_s=0.4, frames=3)
    assert found.pixels.shape == (*SIZE, 3)
    assert found.inner == Box(0, 0, *SIZE)


def test_the_last_moment_takes_what_is_before(noisy: Path) -> None:
    found = still(noisy, at_s=0.85, frames=4, region=SIGN)
    assert [frame.time_s for frame in found.frames] == pytest.approx([0.5, 0.6, 0.7, 0.8])


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_a_clip_that_is_stored_turned_is_looked_at_upright(tmp_path: Path, degrees: int, turns: int) -> None:
    picture = [scene(0, 0)] * 2
    plain = still(write(tmp_path / "a.mp4", picture, codec="libx264"), at_s=0.0, frames=1)
    turned = still(write(tmp_path / "b.mp4", picture, codec="libx264", rotation=degrees), at_s=0.0, frames=1)
    np.testing.assert_array_equal(turned.pixels, np.rot90(plain.pixels, turns))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"at_s": 7.0}, "the clip has 0.90 s"),
        ({"at_s": -1.0}, "0 or later"),
        ({"at_s": float("nan")}, "0 or later"),
        ({"at_s": 0.4, "frames": 0}, "1 … 250"),
        ({"at_s": 0.4, "frames": 251}, "1 … 250"),
        ({"at_s": 0.4, "scale": 3}, "1 or 2"),
        ({"at_s": 0.4, "region": Region(x=200, y=0, width=20, height=20)}, "96×72 px"),
    ],
)
def test_what_cannot_be_is_one_sentence(noisy: Path, wanted: dict[str, object], said: str) -> None:
    with pytest.raises((ConfigError, InputError), match=said):
        still(noisy, **wanted)  # type: ignore[arg-type]


def test_the_verb_writes_picture_and_record(noisy: Path, tmp_path: Path) -> None:
    target, record = tmp_path / "plate.png", tmp_path / "plate.json"
    words = ["still", noisy, "--at", "0.4s", "--frames", COUNT, "--region", SIGN, "-o", target, "--record", record]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert "9 of 9 frames around 0.40 s merged; 40×28 px" in done.output
    photo = read_photo(target, max_bits=16)
    assert (photo.bits, photo.pixels.shape) == (16, (28, 40, 3))
    facts = json.loads(record.read_text())
    assert len(facts["frames"]) == COUNT
    assert {"time_s", "weight", "shift_px", "matrix", "used", "why"} <= facts["frames"][0].keys()
    again = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(again.exception, AcutanceError)


@pytest.mark.parametrize(("picture", "record"), [("clip", None), ("new.png", "clip"), ("new.png", "new.png")])
def test_the_verb_spares_the_clip_and_keeps_picture_and_record_apart(
    noisy: Path, tmp_path: Path, picture: str, record: str | None
) -> None:
    clip = tmp_path / f"clip{noisy.suffix}"
    clip.write_bytes(noisy.read_bytes())
    places = {"clip": str(clip), "new.png": str(tmp_path / "new.png")}
    words = ["still", str(clip), "--at", "0.4", "-o", places[picture], "--overwrite"]
    failed = CliRunner().invoke(app, [*words, *(["--record", places[record]] if record else [])])
    assert "is itself one of the files" in str(failed.exception)
    assert [path.name for path in tmp_path.iterdir()] == [clip.name]
    assert clip.read_bytes() == noisy.read_bytes()


def test_the_verb_may_be_told(noisy: Path, tmp_path: Path) -> None:
    target = tmp_path / "plate.png"
    words = ["still", noisy, "--at", "0.4", "--frames", "5", "--region", SIGN, "-o", target, "--gaussian", "0.9"]
    done = CliRunner().invoke(app, [*(str(word) for word in words), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["found"] == ["soft by σ = 0.9 px, as told: taken out"]


def test_a_photo_is_no_clip(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    failed = CliRunner().invoke(app, ["still", str(tmp_path / "a.png"), "--at", "0", "-o", str(tmp_path / "b.png")])
    assert isinstance(failed.exception, InputError)
    assert not (tmp_path / "b.png").exists()
