"""`acutance inspect`: sentences for one photo, a table for several, JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from acutance.cli.main import app
from acutance.imaging.kernels import convolve_mirror, gaussian_psf

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    sharp = np.asarray(Image.open(PHOTO).convert("RGB"))[60:300, 80:340]
    soft = np.clip(np.rint(convolve_mirror(sharp.astype(float), gaussian_psf(2.5))), 0, 255).astype(np.uint8)
    Image.fromarray(sharp).save(folder / "a-sharp.png")
    Image.fromarray(soft).save(folder / "b-soft.jpg", quality=90)
    (folder / "c-bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)], env={"COLUMNS": "200", "TERM": "dumb"})


def test_one_photo_gets_sentences(folder: Path) -> None:
    result = run(folder / "b-soft.jpg")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "b-soft.jpg: soft by about σ = 2." in lines[0]
    assert "sharpen it (model fast, about +" in lines[0]
    assert lines[1].startswith("  softness: gaussian, ")
    assert any(line.startswith("  JPEG: quality 90, not saved before") for line in lines)


def test_a_folder_gets_a_table_the_softest_first_and_bad_files_are_told(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 1
    assert result.stdout.index("b-soft.jpg") < result.stdout.index("a-sharp.png")
    assert "c-bad.png" in result.stderr
    assert "Traceback" not in result.output


def test_the_table_fits_into_80_columns(folder: Path) -> None:
    done = CliRunner().invoke(app, ["inspect", str(folder)], env={"COLUMNS": "80", "TERM": "dumb"})
    rows = done.stdout.splitlines()
    assert max(map(len, rows)) <= 80
    figures = [row for row in rows if " px " in row[:9]]
    assert len(figures) == 2
    assert all(row.split()[3] == "%" and "sharpen it" not in row for row in figures)
    below = rows[rows.index(figures[0]) + 1 : rows.index(figures[1])]
    words = " ".join(row.strip() for row in below)
    assert "soft by about" in words
    assert "sharpen it (model fast, about +" in words


def test_json_has_a_line_for_each(folder: Path) -> None:
    rows = [json.loads(line) for line in run(folder, "--json").stdout.splitlines()]
    assert [Path(row["source"]).name for row in rows] == ["a-sharp.png", "b-soft.jpg", "c-bad.png"]
    assert [row.get("kind") for row in rows] == ["sharp", "gaussian", None]
    assert rows[1]["model"] == "fast"
    assert rows[2]["error"]


def test_csv_and_thumbnails(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "all.csv"
    assert run(folder, "--csv", table, "--thumbnails", tmp_path / "worst", "--exclude", "c-*").exit_code == 0
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["source"]).name for row in rows] == ["b-soft.jpg", "a-sharp.png"]
    assert float(rows[0]["softness_px"]) > 2
    assert sorted(path.name for path in (tmp_path / "worst").iterdir()) == ["00001-a-sharp.png", "00002-b-soft.png"]
    again = run(folder, "--csv", table, "--exclude", "c-*")
    assert again.exit_code != 0
    assert "exists already" in str(again.exception)


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    assert "does not exist" in str(run(tmp_path / "none.jpg").exception)
    assert "there are no photos" in str(run(tmp_path).exception)


def test_the_table_never_takes_the_place_of_a_photo(folder: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes((folder / "a-sharp.png").read_bytes())
    (tmp_path / "link.png").symlink_to(photo)
    for name in ("a.png", "link.png"):
        failed = run(photo, "--csv", tmp_path / name, "--overwrite")
        assert "is itself one of the files" in str(failed.exception)
    assert photo.read_bytes() == (folder / "a-sharp.png").read_bytes()


def test_of_no_photo_that_can_be_read_there_is_no_table(folder: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes((folder / "c-bad.png").read_bytes())
    failed = run(tmp_path)
    assert (failed.exit_code, failed.stdout) == (1, "")


def test_the_table_goes_to_stdout(folder: Path) -> None:
    done = run(folder / "a-sharp.png", "--csv", "-")
    assert done.exit_code == 0, done.output
    (row,) = csv.DictReader(done.stdout.splitlines())
    assert row["kind"] == "sharp"
    assert not Path("-").exists()
    assert "both want stdout" in str(run(folder / "a-sharp.png", "--csv", "-", "--json").exception)
