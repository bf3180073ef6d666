"""Many files as a person meets them: in few words, told before, and with a next step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.cli.file_report import ALIKE, FileReport
from acutance.cli.options import model_names
from acutance.inference.picture_files import FileResult

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, check=False, text=True)


def save(path: Path, *, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 30, 3), dtype=np.uint8)).save(path)
    return path


def failed(number: int, why: str = "exists already; choose another name.") -> FileResult:
    target = Path(f"out/{number}.png")
    return FileResult(source=Path(f"in/{number}.png"), target=target, status="failed", error=f"{target} {why}")


def test_ten_thousand_sentences_are_one_with_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    report = FileReport(10_001, as_json=False, can_resume=True)
    for number in range(10_000):
        report.tell(failed(number))
    report.tell(failed(10_000, "is a folder; name a file."))
    report.conclude()
    told = capsys.readouterr().err.splitlines()
    assert told[ALIKE] == "acutance: out/10000.png is a folder; name a file."
    assert told[ALIKE + 1] == f"acutance: and {10_000 - ALIKE} more: … exists already; choose another name."
    assert told[ALIKE + 2 :] == ["0 of 10001 photos sharpened, 10001 failed"]


def test_what_is_finished_is_not_listed_without_end(capsys: pytest.CaptureFixture[str]) -> None:
    report = FileReport(500, as_json=False, can_resume=True)
    for number in range(500):
        report.tell(FileResult(source=Path(f"{number}"), target=Path(f"{number}.png"), status="skipped"))
    report.conclude()
    told = capsys.readouterr().err.splitlines()
    assert len(told) == ALIKE + 1
    assert told[-1] == "0 of 500 photos sharpened, 500 finished earlier"


def test_a_program_is_told_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    report = FileReport(50, as_json=True, can_resume=True)
    for number in range(50):
        report.tell(failed(number))
    assert len(capsys.readouterr().out.splitlines()) == 50


def test_quiet_says_what_failed_and_nothing_else(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    done = run("sharpen", tmp_path / "in", "-o", tmp_path / "out", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    again = run("sharpen", tmp_path / "in", "-o", tmp_path / "out", "-q")
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert "exists already" in again.stderr


def test_a_dry_run_puts_no_full_stop_into_brackets(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    told = run("sharpen", tmp_path / "a.png", "-o", tmp_path / "b.png", "--dry-run").stdout
    assert "(would fail: " in told
    assert not told.strip().endswith(".)")


def test_a_dry_run_tells_and_writes_nothing(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in ("a", "b"):
        save(folder / f"{name}.png")
    first = run("sharpen", folder, "-o", out, "--dry-run")
    assert first.returncode == 0, first.stderr
    assert f"{folder / 'a.png'} -> {out / 'a.png'}  (would be made)" in first.stdout
    assert not out.exists()

    assert run("sharpen", folder, "-o", out, "-q").returncode == 0
    save(folder / "c.png")
    before = sorted((path, path.stat().st_mtime_ns) for path in out.iterdir())
    blunt = run("sharpen", folder, "-o", out, "--dry-run", "--json")
    assert blunt.returncode == 1
    status = {Path(row["source"]).name: row["status"] for row in map(json.loads, blunt.stdout.splitlines())}
    assert status == {"a.png": "would fail", "b.png": "would fail", "c.png": "would be made"}
    resumed = run("sharpen", folder, "-o", out, "--dry-run", "--resume")
    assert resumed.stderr.splitlines() == ["2 finished earlier, 1 would be made; nothing was written (--dry-run)"]
    weaker = run("sharpen", folder, "-o", out, "--dry-run", "--resume", "--strength", "0.5")
    assert weaker.stderr.splitlines() == ["3 would be made; nothing was written (--dry-run)"]
    assert sorted((path, path.stat().st_mtime_ns) for path in out.iterdir()) == before


def test_a_dry_run_of_a_pipe_is_refused(tmp_path: Path) -> None:
    refused = run("sharpen", save(tmp_path / "a.png"), "-o", "-", "--dry-run")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "--dry-run" in refused.stderr


def test_a_file_in_the_place_of_a_verb(tmp_path: Path) -> None:
    for arguments in (["my photo.jpg", "-o", "x.jpg"], [save(tmp_path / "a.png")], [tmp_path]):
        done = run(*arguments)
        assert done.returncode == 2
        assert "to sharpen it: acutance sharpen" in done.stderr
    assert "acutance sharpen 'my photo.jpg' -o x.jpg\n" in run("my photo.jpg", "-o", "x.jpg").stderr
    assert "No such command" in run("sharpn").stderr


def test_completion_offers_models() -> None:
    assert model_names("fast") == ["fast", "fast-x2"]
    assert "motion" in model_names("")


def test_compare_says_how_far_two_pictures_are_apart(tmp_path: Path) -> None:
    photo = save(tmp_path / "a.png")
    pixels = np.asarray(Image.open(photo)).astype(np.int16)
    near, far = pixels.copy(), pixels.copy()
    near[3, 7, 1] += 4 if near[3, 7, 1] < 128 else -4
    far[5, 2, 0] += 90 if far[5, 2, 0] < 128 else -90
    for name, changed in (("near", near), ("far", far)):
        Image.fromarray(changed.astype(np.uint8)).save(tmp_path / f"{name}.png")
    same = run("compare", photo, photo)
    assert (same.returncode, same.stdout) == (0, "identical (in 8 bits)\n")
    assert "-o sheet.png" in same.stderr
    close = run("compare", photo, tmp_path / "near.png").stdout
    assert close == "PSNR 69.42 dB, largest difference 4 levels of 255 at 7,3: practically identical\n".replace(
        "69.42", f"{10 * np.log10(255**2 * pixels.size / 16):.2f}"
    )
    apart = run("compare", photo, tmp_path / "far.png", "--reference", photo, "--json")
    facts = json.loads(apart.stdout)
    assert facts["largest_difference"] == 90
    assert not facts["practically_identical"]
    assert [one["identical"] for one in facts["to_reference"]] == [True, False]


@pytest.mark.parametrize(
    ("environment", "begins"),
    [
        ({"TERM": "xterm-kitty"}, b"\x1b_Ga=T,f=100"),
        ({"TERM_PROGRAM": "iTerm.app"}, b"\x1b]1337;File=inline=1"),
        ({"TERM": "xterm"}, b"PSNR"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, b"PSNR"),
    ],
)
def test_compare_draws_in_terminals_that_show_pictures(
    tmp_path: Path, environment: dict[str, str], begins: bytes
) -> None:
    pty = pytest.importorskip("pty", reason="terminals of POSIX")
    photos = [save(tmp_path / f"{seed}.png", seed=seed) for seed in (1, 2)]
    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TERM", "TMUX", "KITTY"))}
    process = subprocess.Popen(
        [*PROGRAM, "compare", *map(str, photos)], stdout=theirs, stderr=subprocess.DEVNULL, env=inherited | environment
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 1 << 16):
            written += chunk
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    assert written.startswith(begins)
    assert b"PSNR" in written
