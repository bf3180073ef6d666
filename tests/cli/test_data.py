"""`acutance data`: whole processes against a server on this machine."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile

import pytest
from PIL import Image
from typer.testing import CliRunner

from acutance.cli.main import app
from acutance.downloads.fake import FakeServer, Fault

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()"]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server(photo):
    files = {}
    for folder, numbers in (("DIV2K_train_HR", (1, 2, 3)), ("DIV2K_valid_HR", (801,))):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for number in numbers:
                picture = io.BytesIO()
                Image.fromarray(photo(48, 64, seed=number)).save(picture, format="PNG")
                archive.writestr(f"{folder}/{number:04d}.png", picture.getvalue())
        files[f"{folder}.zip"] = stream.getvalue()
    with FakeServer(files) as running:
        yield running


def run(*arguments):
    done = subprocess.run([*PROGRAM, "data", *map(str, arguments)], capture_output=True, check=False, text=True)
    assert "Traceback" not in done.stderr
    return done


def photos_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_fetch_then_prepare(server, tmp_path):
    out = tmp_path / "div2k"
    done = run("fetch", "div2k", "--out", out, "--base-url", server.address, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["dataset"] == "div2k"
    assert [(part["part"], part["photos"], part["original"]) for part in summary["parts"]] == [
        ("train", 3, False),
        ("valid", 1, False),
    ]
    assert "not the published archive of 800 photos" in done.stderr
    assert photos_in(out) == [
        *(f"DIV2K_train_HR/{number:04d}.png" for number in (1, 2, 3)),
        "DIV2K_valid_HR/0801.png",
    ]

    done = run("prepare", out / "DIV2K_train_HR", "--store", tmp_path / "store", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["photos"], summary["bytes"], summary["skipped"]) == (3, 3 * 48 * 64 * 3, [])
    assert (tmp_path / "store" / "pixels.u8").stat().st_size == summary["bytes"]


def test_one_part_and_words_for_a_person(server, tmp_path):
    done = run("fetch", "div2k", "--out", tmp_path, "--part", "valid", "--base-url", server.address)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "DIV2K_valid_HR: 1 photo" in done.stderr
    assert photos_in(tmp_path) == ["DIV2K_valid_HR/0801.png"]


def test_a_second_fetch_goes_on(server, tmp_path):
    arguments = ("fetch", "div2k", "--out", tmp_path, "--part", "train", "--base-url", server.address)
    server.faults.extend([Fault(drop_at=5000), Fault(status=404)])
    done = run(*arguments)
    assert done.returncode == 3
    assert done.stderr.startswith("acutance: http://127.0.0.1:")
    assert "answered 404" in done.stderr
    server.requests.clear()
    assert run(*arguments).returncode == 0
    assert [request.range for request in server.requests] == ["bytes=5000-"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["fetch", "div2k", "--base-url", "file:///data"], 2, "begins with https://"),
        (["fetch", "div2k", "--base-url", "http://nowhere.invalid"], 3, "cannot be reached"),
        (["fetch", "div2k", "--part", "test"], 2, "--part"),
        (["fetch", "set5"], 2, "set5"),
        (["fetch"], 2, "Missing argument"),
    ],
)
def test_mistakes_are_words_and_exit_codes(tmp_path, arguments, code, words):
    done = run(*arguments, "--out", tmp_path / "out")
    assert done.returncode == code
    assert words in done.stderr


def test_prepare_names_what_it_leaves_out(photo_folder, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("0.png", "1.png"):
        (photos / name).write_bytes((photo_folder / name).read_bytes())
    (photos / "bad.jpg").write_text("no picture")
    done = CliRunner().invoke(app, ["data", "prepare", str(photos), "--store", str(tmp_path / "store"), "--json"])
    assert done.exit_code == 1
    summary = json.loads(done.stdout)
    assert summary["photos"] == 2
    assert [skip["name"] for skip in summary["skipped"]] == ["bad.jpg"]
    assert "skipped bad.jpg: " in done.stderr
    assert "2 photos" in done.stderr
    assert "1 file could not be read" in done.stderr


@pytest.mark.parametrize(
    ("folder", "store", "words"), [("none", "store", "no such folder"), ("photos", "file", "cannot be written")]
)
def test_prepare_says_what_cannot_be(photo_folder, tmp_path, folder, store, words):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "photos").symlink_to(photo_folder)
    done = run("prepare", tmp_path / folder, "--store", tmp_path / store)
    assert done.returncode == 1
    assert words in done.stderr


@pytest.mark.parametrize("arguments", [["data"], ["data", "-h"], ["data", "fetch", "-h"], ["data", "prepare", "-h"]])
def test_every_verb_has_help(arguments):
    assert "Usage" in CliRunner().invoke(app, arguments).output


def test_help_says_what_is_not_public():
    words = " ".join(CliRunner().invoke(app, ["data", "fetch", "--help"]).output.split())
    assert "100 test photos were never made public" in words
    assert "academic research only" in words
