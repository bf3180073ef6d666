"""A result, its record, and what is found when something was changed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

import acutance
from acutance.cli.main import app
from acutance.engines.opening import offered_precisions
from acutance.errors import ConfigError, InputError
from acutance.media import Photo, read_photo, write_photo
from acutance.trust.facts import file_facts
from acutance.trust.record import read_record
from acutance.trust.verification import verify
from acutance.zoo.catalogue import find_model

RUNNER = CliRunner()


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def states(verification) -> dict[str, str]:
    return {check.what: check.state for check in verification.checks}


@pytest.fixture(scope="module")
def made(tmp_path_factory, photo) -> Path:
    """Give a folder with a photo, its result, the record beside it, a page and a map."""
    folder = tmp_path_factory.mktemp("made")
    Image.fromarray(photo(60, 80)).save(folder / "a.png")
    options = ["--engine", "onnxruntime", "--map", str(folder / "map.png"), "--report", f"{folder}/"]
    first = RUNNER.invoke(app, ["sharpen", str(folder / "a.png"), "--model", "fast", *options])
    assert first.exit_code == 0, first.output
    page = ["-o", str(folder / "b.png"), "--engine", "onnxruntime", "--report", str(folder / "page.html")]
    second = RUNNER.invoke(app, ["sharpen", str(folder / "a.png"), "--model", "fast", *page])
    assert second.exit_code == 0, second.output
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """Give a copy that may be changed."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_everything_is_written(made):
    assert sorted(path.name for path in made.iterdir()) == [
        "a.png", "a.sharp.png", "a.sharp.png.json", "b.png", "map.png", "page.html",
    ]  # fmt: skip
    assert read_photo(made / "map.png").pixels.shape == (60, 80, 3)
    record = read_record(made / "a.sharp.png.json")
    assert (record.source.name, record.result.name) == ("a.png", "a.sharp.png")
    assert (record.width, record.height) == (80, 60)
    assert (record.settings.engine, record.settings.precision) == ("onnxruntime", "float32")
    assert record.guesses.is_calibrated
    assert 0 <= record.consistency.uncarried <= 1
    assert record.seconds.keys() == {"sharpening", "map of guesses", "consistency"}


@pytest.mark.parametrize("name", ["a.sharp.png", "b.png"])
def test_the_same_engine_gives_the_same_file(made, name):
    found = acutance.verify(made / name)
    assert found.is_true, str(found)
    assert found.is_complete
    assert "bit for bit" in found.checks[-1].words
    assert str(found).endswith("\nverified")


@pytest.mark.skipif(find_spec("openvino") is None, reason="needs the extra openvino")
def test_another_engine_stays_within_the_bound(made, tmp_path):
    assert verify(made / "a.sharp.png", engine="openvino").is_complete
    precision = offered_precisions("openvino")[-1]  # bfloat16 where the processor has it
    given = ["--engine", "openvino", "--precision", precision, "--report", str(tmp_path / "r.json")]
    done = RUNNER.invoke(
        app, ["sharpen", str(made / "a.png"), "-o", str(tmp_path / "r.png"), "--model", "fast", *given]
    )
    assert done.exit_code == 0, done.output
    found = verify(tmp_path / "r.png", source=made / "a.png", engine="onnxruntime")
    assert found.is_complete, str(found)
    # In float32 it may come to the same file.
    words = found.checks[-1].words
    if not words.endswith("by onnxruntime: the same file, bit for bit"):
        assert f"by onnxruntime, recorded was openvino in {precision}" in words
        assert "levels off in the mean" in words


def test_a_flipped_bit_in_the_result_is_found(folder):
    flip(folder / "a.sharp.png", 700)
    found = verify(folder / "a.sharp.png")
    assert states(found) == {
        "record": "true", "result": "false", "input": "true", "model": "true", "made again": "unknown",
    }  # fmt: skip
    assert "NOT VERIFIED" in str(found)


def test_a_flipped_bit_in_the_input_is_found(folder):
    flip(folder / "a.png", 700)
    assert states(verify(folder / "a.sharp.png"))["input"] == "false"


def test_a_flipped_bit_in_the_record_is_found(folder):
    for name, result in (("a.sharp.png.json", "a.sharp.png"), ("page.html", "b.png")):
        flip(folder / name, (folder / name).read_bytes().index(b'"sha256": "') + 20)
        found = verify(folder / result, folder / name)
        assert states(found) == {"record": "false"}
    with pytest.raises(InputError, match=r"no record .*changed .*: a\.sharp\.png\.json, page\.html\)"):
        verify(folder / "b.png")


def test_a_flipped_bit_in_the_model_is_found(folder, photo):
    model = folder / "own.onnx"
    shutil.copy(find_model("fast").fidelity, model)
    options = ["-m", str(model), "-o", str(folder / "c.png"), "--report", str(folder / "c.json"), "--threads", "1"]
    assert RUNNER.invoke(app, ["sharpen", str(folder / "a.png"), *options]).exit_code == 0
    assert verify(folder / "c.png").is_complete
    flip(model, model.stat().st_size // 2)
    found = verify(folder / "c.png", makes_again=False)
    assert states(found)["model"] == "false"
    assert not found.is_true


@pytest.mark.parametrize("levels", [1, 200])
def test_a_result_that_does_not_come_out_again_is_found(folder, levels):
    """A record of its own hashes, all right, but of a picture that this model does not make."""
    record = folder / "a.sharp.png.json"
    told = read_record(record)
    forged = read_photo(folder / "a.sharp.png").pixels.copy()
    forged[5, 5] ^= np.uint8(levels)
    Image.fromarray(forged).save(folder / "a.sharp.png")
    record.write_text(replace(told, result=file_facts(folder / "a.sharp.png")).to_json())
    found = verify(folder / "a.sharp.png")
    assert states(found)["made again"] == "false"


def test_without_its_input_a_result_is_verified_as_far_as_it_goes(folder):
    (folder / "a.png").rename(folder / "elsewhere.png")
    found = verify(folder / "a.sharp.png")
    assert found.is_true
    assert not found.is_complete
    assert "--input" in str(found)
    assert "made again: not checked: not tried without its input" in str(found)
    assert verify(folder / "a.sharp.png", source=folder / "elsewhere.png").is_complete


def test_the_verb_ends_with_1_when_something_is_wrong(folder):
    result = str(folder / "a.sharp.png")
    good = RUNNER.invoke(app, ["verify", result, "--json"])
    assert good.exit_code == 0
    assert json.loads(good.stdout)["is_complete"] is True
    flip(folder / "a.sharp.png", 700)
    bad = RUNNER.invoke(app, ["verify", result, "--hashes-only"])
    assert bad.exit_code == 1
    assert "result: WRONG" in bad.stdout


def test_a_file_without_a_record_is_refused_in_a_sentence(folder):
    with pytest.raises(InputError, match=r"no record of it lies beside it; name it with --record\.$"):
        verify(folder / "map.png")
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        verify(folder / "a.sharp.png", folder / "none.json")
    with pytest.raises(InputError, match=r"none\.png does not exist"):
        verify(folder / "none.png", folder / "a.sharp.png.json")
    with pytest.raises(InputError, match=r"none\.png does not exist"):
        verify(folder / "none.png")
    with pytest.raises(InputError, match="is a folder"):
        verify(folder)


def test_other_kinds_of_pictures_are_recorded(tmp_path, photo):
    """Grey, transparent, 16 bits, enlarged, several pages, half strength."""
    pixels = photo(40, 48)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([pixels, pixels[..., 0] // 200 * 255])).save(tmp_path / "clear.webp", lossless=True)
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    Image.fromarray(pixels).save(tmp_path / "pages.tif", save_all=True, append_images=[Image.fromarray(pixels[::-1])])
    cases = [("grey.png", []), ("clear.webp", []), ("deep.png", []), ("photo.jpg", ["-s", "0.5"])]
    for name, options in [*cases, ("photo.jpg", ["-m", "fast-x2", "--overwrite"]), ("pages.tif", [])]:
        report = tmp_path / f"{name}.html"
        done = RUNNER.invoke(
            app, ["sharpen", str(tmp_path / name), "--report", str(report), "--engine", "onnxruntime", *options]
        )
        assert done.exit_code == 0, done.output
        found = verify(tmp_path / f"{Path(name).stem}.sharp{Path(name).suffix}", report)
        assert found.is_complete, str(found)
    assert read_record(tmp_path / "pages.tif.html").guesses is None
    assert not read_record(tmp_path / "photo.jpg.html").guesses.is_calibrated


def test_wishes_that_cannot_be_kept_are_refused_before_any_work(tmp_path, photo):
    for name in ("a.png", "b.png"):
        Image.fromarray(photo(24, 24)).save(tmp_path / name)
    one, both = [str(tmp_path / "a.png")], [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    out = ["-o", str(tmp_path / "out")]
    cases = [
        ([*both, *out, "--report", str(tmp_path / "r.json")], "name a folder for all"),
        ([*both, *out, "--map", str(tmp_path / "m.png")], "name a folder for all"),
        ([*one, "--report", str(tmp_path / "r.txt")], "ends in .json"),
        ([*one, "--map", str(tmp_path / "m.xyz")], "m.xyz"),
        ([*one, "--map", one[0]], "is the name of a photo or a result"),
        ([*one, "--map", str(tmp_path / "m.png"), "-s", "0"], "nothing to map"),
        ([*one, "-o", "-", "--map", str(tmp_path / "m.png")], "a pipe leaves no files"),
        ([*one, "--report", str(tmp_path / "b.png")], "ends in .json"),
    ]
    for arguments, reason in cases:
        done = RUNNER.invoke(app, ["sharpen", *arguments, "--model", "fast"])
        assert reason in str(done.exception), arguments
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_folder_gets_a_folder_of_records(tmp_path, photo):
    for place in ("in/a.png", "in/below/a.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Image.fromarray(photo(24, 24)).save(tmp_path / place)
    places = ["--map", f"{tmp_path}/maps/", "--report", f"{tmp_path}/records/"]
    options = ["--model", "fast", *places, "--json"]
    done = RUNNER.invoke(app, ["sharpen", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *options])
    assert done.exit_code == 0, done.output
    for below in ("", "below/"):
        assert (tmp_path / f"maps/{below}a.png.map.png").is_file()
        assert verify(
            tmp_path / f"out/{below}a.png",
            tmp_path / f"records/{below}a.png.json",
            source=tmp_path / f"in/{below}a.png",
        ).is_complete
    (row, _) = [json.loads(line) for line in done.stdout.splitlines()]
    assert "of the pixels are guesses" in row["trust"][0]


def test_a_picture_that_was_left_has_no_map_and_that_is_said(tmp_path):
    Image.new("RGB", (40, 30), (90, 120, 60)).save(tmp_path / "flat.png")
    places = ["--map", f"{tmp_path}/map.png", "--report", f"{tmp_path}/record.json"]
    done = RUNNER.invoke(app, ["sharpen", str(tmp_path / "flat.png"), "-o", str(tmp_path / "o.png"), *places, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["trust"] == ["nothing was changed, so nothing in it is a guess: there is no map"]
    assert not (tmp_path / "map.png").exists()
    assert verify(tmp_path / "o.png", tmp_path / "record.json").is_complete


@pytest.mark.parametrize("kind", ["grain", "dark"])
def test_what_auto_does_beside_the_network_is_done_again(tmp_path, kind):
    """Grain that is calmed, and little light that is made more."""
    with Image.open(Path(__file__).parents[2] / "examples" / "astronaut.png") as opened:
        sharp = np.asarray(opened.convert("RGB"))[:150, :200].astype(np.float64)
    soft = ndimage.gaussian_filter(sharp, (1.6, 1.6, 0))
    drawn = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(soft.shape[:2]), 0.7)
    if kind == "grain":
        pixels = np.clip(np.rint(soft + 12 / drawn.std() * drawn[..., np.newaxis]), 0, 255).astype(np.uint8)
    else:
        pixels = np.rint(soft * 257 / 16).astype(np.uint16)
    write_photo(Photo(pixels=pixels), tmp_path / "a.png")
    options = ["-o", str(tmp_path / "o.png"), "--report", str(tmp_path / "o.json"), "--engine", "onnxruntime"]
    done = RUNNER.invoke(app, ["sharpen", str(tmp_path / "a.png"), *options])
    assert done.exit_code == 0, done.output
    found = verify(tmp_path / "o.png", tmp_path / "o.json")
    assert found.is_complete, str(found)
    named = replace(read_record(tmp_path / "o.json").settings, by_look=False)
    assert read_record(tmp_path / "o.json").settings != named


def test_an_engine_that_there_is_not_is_refused(folder):
    with pytest.raises(ConfigError, match="engine 'onnx': unknown; there are"):
        verify(folder / "photo.sharp.png", engine="onnx")
