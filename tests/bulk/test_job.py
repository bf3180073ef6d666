"""A whole run: on Ray, with the shipped model, as the command line starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("ray", reason="needs the extra bulk")

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()", "bulk"]


def bulk(*arguments: object) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=kept)


@pytest.mark.slow
def test_a_run_makes_all_says_what_it_did_and_goes_on(photo, tmp_path):
    from acutance import sharpen

    source, target, report = tmp_path / "from", tmp_path / "to", tmp_path / "report.json"
    for number in range(20):
        photo(source / f"{number % 3}" / f"{number}.png", number)
    (source / "bad.jpg").write_bytes(b"nothing")
    first = bulk(source, target, "--workers", 1, "--report", report)
    assert first.returncode == 1, first.stderr
    assert "20 done, 1 refused" in first.stderr
    assert "bad.jpg is not an image" in first.stderr
    values = json.loads(report.read_text())
    assert values["counts"] == {"done": 20, "refused": 1}
    assert [entry["key"] for entry in values["not_made"]] == ["bad.jpg"]
    expected = sharpen(source / "0" / "0.png", output=tmp_path / "0.png")
    assert (target / "0" / "0.png").read_bytes() == expected.read_bytes()
    again = bulk(source, target)
    assert (again.returncode, "--resume" in again.stderr) == (2, True)
    rest = bulk(source, target, "--resume")
    assert rest.returncode == 0
    assert "nothing to do" in rest.stderr


def test_a_plan_makes_nothing_and_tells_the_cost(photo, tmp_path):
    for number in range(3):
        photo(tmp_path / "from" / f"{number}.png", number)
    told = bulk(tmp_path / "from", tmp_path / "to", "--plan")
    assert told.returncode == 0, told.stderr
    assert "3 inputs, 3 to do" in told.stderr
    assert "CPU hours" in told.stderr
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("source", "words"), [("missing", "nothing of that name"), ("nonsense://x", "no kind of address")]
)
def test_a_source_that_is_none_is_a_sentence(tmp_path, source, words):
    told = bulk(source if ":" in source else tmp_path / source, tmp_path / "to", "--plan")
    assert told.returncode == 1
    assert words in told.stderr
    assert "Traceback" not in told.stderr
