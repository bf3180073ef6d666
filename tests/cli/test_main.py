"""The program as a person meets it: whole processes, words, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from acutance import __version__
from acutance.cli.main import IDLE_THREADS_SLEEP, VERBS, app
from acutance.errors import ConfigError
from acutance.zoo.catalogue import list_models

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()"]


def run(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, check=False)


def words(process: subprocess.CompletedProcess[bytes]) -> str:
    return process.stderr.decode()


def save(path: Path, *, size: tuple[int, int] = (40, 50), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compress_level=0)
    return path


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    code = (
        "import gc, sys; sys.argv = ['acutance', '--help']\n"
        "class Seen:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': print('collecting:', gc.isenabled(), file=sys.stderr)\n"
        "sys.meta_path.insert(0, Seen())\n"
        "from acutance.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "heavy = ('numpy', 'torch', 'onnxruntime', 'PIL', 'rich', 'pydantic', 'acutance.cli.sharpen')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    shown = done.stdout
    assert shown.rstrip().endswith("[]")
    assert done.stderr == "collecting: False\n", "typer is loaded while the collector of garbage looks on"
    for verb, said in VERBS.items():
        assert f"{verb} {said}" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["train", "fast", "--paired", "a", "--out", "x"],
            "--paired takes two values, BLURRED SHARP; only a is given, then comes --out.",
        ),
        (["train", "fast", "--data", "--out", "x"], "--data takes a value; none is given, then comes --out."),
        (["evaluate", "--paired", "a", "-m", "fast"], "BLURRED SHARP; only a is given, then comes -m."),
        (["evaluate", "--paired", "a"], "--paired takes two values, BLURRED SHARP; only a is given."),
        (["models", "add", "x.onnx", "--sha256", "--name", "b"], "--sha256 takes a value, HEX; none is given"),
    ],
)
def test_an_option_without_its_value_is_named(arguments: list[str], expected: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError)
    assert expected in str(result.exception)


def test_an_option_given_as_a_value_is_one_after_an_equals_sign_and_after_two_dashes(tmp_path: Path) -> None:
    photo = save(tmp_path / "a.png")
    assert "-m does not exist" in words(run("sharpen", "--output=--model", photo, "--", "-m"))


def test_what_is_unfinished_is_completed() -> None:
    asked = {
        "_ACUTANCE_COMPLETE": "complete_bash",
        "COMP_WORDS": "acutance train --data --out --ite",
        "COMP_CWORD": "4",
    }
    result = CliRunner().invoke(app, env=asked, prog_name="acutance")
    assert "--iterations" in result.output


def test_the_list_says_of_each_verb_what_its_own_help_says() -> None:
    for verb, said in VERBS.items():
        module = import_module(f"acutance.cli.{verb}")
        text = module.app.info.help if hasattr(module, "app") else getattr(module, verb).__doc__
        assert " ".join(text.split("\n\n")[0].split()) == said


def test_a_slip_of_the_pen_is_answered_with_the_verb() -> None:
    assert "'sharpen'" in CliRunner().invoke(app, ["sharpn"]).output


def test_off_a_terminal_nothing_is_drawn_nor_loaded_for_that(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.argv = ['acutance', 'sharpen', {str(save(tmp_path / 'cat.png'))!r}]\n"
        "from acutance.cli.main import run\n"
        "try: run()\n"
        "finally: print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "False\n"
    assert "cat.sharp.png" in done.stderr


NOT_FOR_A_PHOTO = (
    "pydantic",  # checks numbers and choices that are given
    "numpy.ma",
    "acutance.deconvolution.shake",  # looks for motion
    "acutance.engines.probing",  # networks of others
    "acutance.inference.automatic",  # looks at a picture
    "acutance.videos",
    "openvino",
    "rich",
    "torch",
)


def test_a_photo_by_a_named_model_loads_what_it_needs(tmp_path: Path) -> None:
    """A person waits for every module; their number is held, not their time, which is another on every machine."""
    arguments = ["sharpen", str(save(tmp_path / "cat.png")), "-o", str(tmp_path / "out.jpg"), "--model", "fast"]
    code = (
        f"import sys; sys.argv = ['acutance', *{arguments!r}, '--engine', 'onnxruntime']\n"
        "from acutance.cli.main import run\n"
        "try: run()\n"
        f"finally: print([name for name in {NOT_FOR_A_PHOTO!r} if name in sys.modules], "
        "sum(name.split('.')[0] == 'acutance' for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded, count = done.stdout.rsplit(maxsplit=1)
    assert loaded == "[]"
    assert int(count) <= 140


@pytest.mark.parametrize(("set_to", "seen"), [(None, "4"), ("9", "9")])
def test_idle_threads_sleep_unless_somebody_has_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, set_to: str | None, seen: str
) -> None:
    name = IDLE_THREADS_SLEEP[0]
    monkeypatch.delenv(name, raising=False)
    if set_to is not None:
        monkeypatch.setenv(name, set_to)
    code = "import atexit, os, sys; sys.argv = ['acutance', '--version']\n"
    code += f"atexit.register(lambda: print(os.environ[{name!r}]))\nfrom acutance.cli.main import run; run()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split()[-1] == seen


def test_a_module_is_the_program_too(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "acutance"]
    shown = subprocess.run([*line, "--version"], capture_output=True, check=True, text=True).stdout
    assert shown.strip() == f"acutance {__version__}"
    refused = subprocess.run([*line, "sharpen", tmp_path / "none.png"], capture_output=True, check=False, text=True)
    assert refused.returncode == run("sharpen", tmp_path / "none.png").returncode != 0
    assert refused.stderr.startswith("acutance: ")


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


def test_a_pipe_into_a_file(tmp_path: Path) -> None:
    photo, target = save(tmp_path / "cat.png"), tmp_path / "new" / "piped.png"
    done = run("sharpen", "-", "-o", target, stdin=photo.read_bytes())
    assert done.returncode == 0, words(done)
    assert words(done).startswith(f"{target}  (0.0 megapixels, ")
    assert done.stdout == b""
    run("sharpen", photo, "-o", tmp_path / "filed.png")
    assert target.read_bytes() == (tmp_path / "filed.png").read_bytes()
    again = run("sharpen", "-", "-o", target, stdin=photo.read_bytes())
    assert again.returncode == 1
    assert "exists already" in words(again)
    told = run("sharpen", "-", "-o", target, "--overwrite", "--json", stdin=photo.read_bytes())
    row = json.loads(told.stdout)
    assert (row["source"], row["target"], row["status"]) == ("-", str(target), "done")
    assert [path.name for path in target.parent.iterdir()] == ["piped.png"]


def test_a_slash_says_that_the_output_is_a_folder(tmp_path: Path) -> None:
    photo = save(tmp_path / "cat.png")
    for number, option in enumerate((["-o", "{}/"], ["--output={}/"], ["-o{}/"])):
        folder = tmp_path / f"{number}.d"
        done = run("sharpen", photo, *(word.format(folder) for word in option))
        assert done.returncode == 0, words(done)
        assert (folder / "cat.png").is_file()


def test_more_threads_than_cpus_are_not_taken(tmp_path: Path) -> None:
    photo = save(tmp_path / "cat.png")
    assert run("sharpen", photo, "--threads", "1000").returncode == 0


def test_colours_under_a_name_for_greys(tmp_path: Path) -> None:
    """A file that says .pgm and is a PPM comes back, from a folder, as what it is."""
    photo = save(tmp_path / "in" / "a.ppm")
    photo.rename(photo.with_name("a.pgm"))
    Image.new("L", (30, 20), 99).save(tmp_path / "in" / "b.pgm")
    assert run("sharpen", tmp_path / "in", "-o", tmp_path / "out").returncode == 0
    assert (tmp_path / "out" / "a.ppm").read_bytes()[:2] == b"P6"
    assert (tmp_path / "out" / "b.pgm").read_bytes()[:2] == b"P5"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_photo_that_is_stopped_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    photo = save(tmp_path / "cat.png", size=(2000, 3000))
    command = [*PROGRAM, "sharpen", str(photo)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not list(tmp_path.glob(".*.part")):
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.Signals[name])
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said.decode()
    assert said.decode() == "acutance: interrupted; files that were finished are kept, none is half written.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["cat.png"]


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
        ("damaged model", 2, "bad.onnx: is no ONNX file, or is damaged"),
        ("unwritable", 1, "cannot be written"),
        ("unknown format", 2, ".xyz"),
        ("bad strength", 2, "strength"),
        ("bad engine", 2, "engine"),
        ("no such option", 2, "--bogus"),
        ("pipe to nowhere", 2, "stdin"),
        ("pipe to folder", 2, "name a file in it"),
        ("two pipes", 2, "stdin"),
        ("nothing in the pipe", 1, "empty"),
        ("no name", 2, "the name is empty"),
        ("no output name", 2, "the name is empty"),
        ("device", 2, "no file that could be replaced"),
        ("colours in a pgm", 1, "a .pgm holds greys"),
        ("one option of videos", 2, "--codec: for videos, and there is none among the files; leave it out"),
        ("options of videos", 2, "--quality, --from: for videos, and there is none among the files; leave them out"),
        ("container", 2, "--container: is for stdout"),
        ("segment", 2, "--segment: is for a camera"),
        ("little memory", 2, "--max-memory"),
        ("few pixels", 1, "40 px = 2000 px, the limit is 1 px; raise the limit of pixels (--max-pixels, max_pixels)"),
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
        "bad engine": [photo, "--engine", "quantum"],
        "no such option": [photo, "--bogus"],
        "pipe to nowhere": ["-"],
        "pipe to folder": ["-", "-o", f"{tmp_path / 'new.d'}/"],
        "two pipes": ["-", photo, "-o", tmp_path / "x.png"],
        "nothing in the pipe": ["-", "-o", tmp_path / "x.png"],
        "no name": [""],
        "no output name": [photo, "-o", ""],
        "device": [photo, "-o", "/dev/null"],
        "colours in a pgm": [photo, "-o", tmp_path / "x.pgm"],
        "one option of videos": [photo, "--codec", "nonsense"],
        "options of videos": [photo, "--from", "5", "--quality", "potato"],
        "container": [photo, "--container", "zip"],
        "segment": [photo, "--segment", "3"],
        "little memory": [photo, "--max-memory", "1"],
        "few pixels": [photo, "--max-pixels", "1"],
    }
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = run("sharpen", *arguments[case], stdin=b"")
    assert done.returncode == code, words(done)
    assert said in " ".join(words(done).replace("│", " ").split())
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
    double = save(tmp_path / "double.png", size=(80, 100))
    assert run("compare", before, double, "-o", tmp_path / "sheet.jpg").returncode == 0
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"
    assert run("compare", "", double, "-o", tmp_path / "no.png").returncode == 2
    small = save(tmp_path / "c.png", size=(10, 10))
    refused = run("compare", before, small, "-o", tmp_path / "no.png")
    assert refused.returncode == 1
    assert "one size" in words(refused)


def test_models_and_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor as a process of its own: `test_nothing_leaves.py`."""
    monkeypatch.setattr("acutance.cli.diagnosis.SPEED_SIDE_PX", 64)
    listed = json.loads(run("models", "--json").stdout)
    assert listed[0]["name"] == "fast"
    assert listed[0]["spec"]["halo_px"] == 54
    found = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert "fast ok" in found["models"]
    assert "megapixels/s" in found["speed of the default"][0]
    assert found["speed of the default"][-1].startswith("--engine auto takes ")
    table = CliRunner().invoke(app, ["models"], env={"COLUMNS": "300"}).output.splitlines()
    column = table[0].index("fidelity")
    shown = {line.split()[0]: line[column : column + 8].strip() for line in table[1:]}
    assert (shown["fast"], shown["motion"]) == ("0 … 1", "1")
    assert "onnxruntime" in CliRunner().invoke(app, ["doctor"]).output


def test_a_model_without_figures_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(replace(row, psnr_db={}) for row in list_models())
    monkeypatch.setattr("acutance.zoo.catalogue.list_models", lambda: rows)
    listed = CliRunner().invoke(app, ["models"], env={"COLUMNS": "300"})
    assert listed.exit_code == 0
    assert listed.output.count(" – ") == len(rows)


def test_a_former_model_is_told_in_one_sentence(tmp_path: Path) -> None:
    refused = run("sharpen", save(tmp_path / "a.png"), "--model", "shake")
    assert refused.returncode == 2
    assert words(refused).strip() == "acutance: model 'shake': is no more; 'motion' does this now, take that."


@pytest.mark.parametrize(
    "arguments",
    [
        ["sharpen", "{long}.png"],
        ["sharpen", "{photo}", "{long}.png"],
        ["sharpen", "{photo}", "-o", "{long}.png"],
        ["sharpen", "{photo}", "-o", "{long}"],
        ["sharpen", "{photo}", "--map", "{long}.png"],
        ["sharpen", "{photo}", "--model", "{long}.onnx"],
        ["verify", "{long}.png"],
        ["evaluate", "--test", "{long}", "--model", "fast"],
    ],
    ids=" ".join,
)
def test_a_name_that_is_too_long_is_no_bug(tmp_path: Path, arguments: list[str]) -> None:
    photo, long = save(tmp_path / "a.png"), tmp_path / ("a" * 300)
    refused = run(*(argument.format(photo=photo, long=long) for argument in arguments))
    assert refused.returncode != 0
    assert words(refused).count("\n") == 1
    assert "too long" in words(refused) or "no such file" in words(refused)
    assert "bug" not in words(refused)


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
