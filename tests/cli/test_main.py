"""The program as a person meets it: whole processes, words, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from acutance import __version__
from acutance.cli.main import app

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()"]


def run(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, check=False)


def words(process: subprocess.CompletedProcess[bytes]) -> str:
    return process.stderr.decode()


def save(path: Path, *, size: tuple[int, int] = (40, 50), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['acutance', '--help']\n"
        "from acutance.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'torch', 'onnxruntime', 'PIL') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert shown.rstrip().endswith("[]")
    for verb in ("sharpen", "compare", "serve", "evaluate", "train", "export", "models", "doctor"):
        assert verb in shown


def test_version() -> None:
    assert run("--version").stdout.decode().strip() == f"acutance {__version__}"


@pytest.mark.parametrize("verb", ["sharpen", "compare", "serve", "evaluate", "train", "export", "models", "doctor"])
def test_every_verb_has_help(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_a_photo_is_sharpened_beside_itself(tmp_path: Path) -> None:
    photo = save(tmp_path / "cat.png")
    done = run("sharpen", photo)
    assert done.returncode == 0, words(done)
    with Image.open(tmp_path / "cat.sharp.png") as result:
        assert result.size == (50, 40)
    again = run("sharpen", photo)
    assert again.returncode == 1
    assert "exists already" in words(again)


def test_strength_zero_keeps_every_pixel(tmp_path: Path) -> None:
    photo = save(tmp_path / "cat.png")
    assert run("sharpen", photo, "-s", "0", "-o", tmp_path / "same.png").returncode == 0
    np.testing.assert_array_equal(np.asarray(Image.open(photo)), np.asarray(Image.open(tmp_path / "same.png")))


def test_folders_keep_their_structure_and_one_bad_file_stops_nothing(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "below" / "b.jpg", seed=1)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no photo")
    (tmp_path / "in" / "empty.png").write_bytes(b"")
    done = run("sharpen", tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert done.returncode == 1
    rows = {Path(row["source"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.png": "done",
        "b.jpg": "done",
        "broken.jpg": "failed",
        "empty.png": "failed",
    }
    assert rows["broken.jpg"]["error"]
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("[!.]*.*"))
    assert written == ["a.png", "below/b.jpg"]


def test_pipes(tmp_path: Path) -> None:
    photo = save(tmp_path / "cat.png")
    done = run("sharpen", "-", "-o", "-", stdin=photo.read_bytes())
    assert done.returncode == 0, words(done)
    (tmp_path / "piped.png").write_bytes(done.stdout)
    run("sharpen", photo, "-o", tmp_path / "filed.png")
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "piped.png")), np.asarray(Image.open(tmp_path / "filed.png"))
    )
    assert run("sharpen", photo, "-o", "-").stdout == done.stdout
    missing = run("sharpen", tmp_path / "nothing.png", "-o", "-")
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert "cannot be read" in words(missing)


def bomb(path: Path) -> Path:
    """A PNG of a few bytes that claims 40 000 × 40 000 pixels."""
    Image.new("RGB", (4, 4)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (40_000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("case", "code", "said"),
    [
        ("missing", 1, "does not exist"),
        ("no photos", 1, "no photos"),
        ("corrupt", 1, "bad.jpg"),
        ("truncated", 1, "cut.png"),
        ("empty", 1, "empty.png"),
        ("bomb", 1, "bomb.png"),
        ("unknown model", 2, "unknown"),
        ("damaged model", 2, "bad.onnx: not a network"),
        ("unwritable", 1, "cannot be written"),
        ("unknown format", 1, ".xyz"),
        ("bad strength", 2, "strength"),
        ("bad engine", 2, "engine"),
        ("no such option", 2, "--bogus"),
        ("pipe to file", 2, "stdin"),
    ],
)
def test_trouble_is_one_sentence_and_an_exit_code(tmp_path: Path, case: str, code: int, said: str) -> None:
    photo = save(tmp_path / "cat.png")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"rubbish" * 40)
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:-400])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "bad.onnx").write_text("no network")
    arguments: dict[str, list[str | Path]] = {
        "missing": [tmp_path / "none.jpg"],
        "no photos": [tmp_path / "nothing"],
        "corrupt": [tmp_path / "bad.jpg"],
        "truncated": [tmp_path / "cut.png"],
        "empty": [tmp_path / "empty.png"],
        "bomb": [bomb(tmp_path / "bomb.png")],
        "unknown model": [photo, "--model", "nonesuch"],
        "damaged model": [photo, "--model", tmp_path / "bad.onnx"],
        "unwritable": [photo, "-o", tmp_path / "file" / "x.png"],
        "unknown format": [photo, "-o", tmp_path / "x.xyz"],
        "bad strength": [photo, "--strength", "3"],
        "bad engine": [photo, "--engine", "cuda"],
        "no such option": [photo, "--bogus"],
        "pipe to file": ["-", "-o", tmp_path / "x.png"],
    }
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = run("sharpen", *arguments[case])
    assert done.returncode == code, words(done)
    assert said in words(done)
    assert "Traceback" not in words(done)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before, "a failure must leave nothing behind"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
def test_disk_full(tmp_path: Path) -> None:
    """A process whose files may not grow stands in for a full disk: the write fails midway."""
    photo = save(tmp_path / "cat.png", size=(300, 400))
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from acutance.cli.main import run; run()"
    )
    arguments = [sys.executable, "-c", limited, "sharpen", str(photo), "-o", str(tmp_path / "out.png")]
    done = subprocess.run(arguments, capture_output=True, check=False)
    assert done.returncode == 1
    assert "cannot be written" in words(done)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.png"]


def test_compare(tmp_path: Path) -> None:
    before, after = save(tmp_path / "a.png"), save(tmp_path / "b.png", seed=2)
    assert run("compare", before, after, "-o", tmp_path / "sheet.png").returncode == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 400
    small = save(tmp_path / "c.png", size=(10, 10))
    refused = run("compare", before, small, "-o", tmp_path / "no.png")
    assert refused.returncode == 1
    assert "one size" in words(refused)


def test_models_and_doctor() -> None:
    listed = json.loads(run("models", "--json").stdout)
    assert listed[0]["name"] == "fast"
    assert listed[0]["spec"]["halo_px"] == 46
    found = json.loads(run("doctor", "--json").stdout)
    assert "fast ok" in found["models"]
    assert "megapixels/s" in found["speed of the default"][0]
    assert found["speed of the default"][-1].startswith("--engine auto takes ")
    assert "fast" in CliRunner().invoke(app, ["models"]).output
    assert "onnxruntime" in CliRunner().invoke(app, ["doctor"]).output


def test_an_unforeseen_error_is_called_a_bug_without_a_traceback(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['acutance', 'models']\n"
        "import acutance.zoo.catalogue as catalogue\n"
        "def broken(): raise KeyError('oops')\n"
        "catalogue.list_models = broken\n"
        "from acutance.cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 3
    assert "This is a bug" in words(done)
    assert "Traceback" not in words(done)
