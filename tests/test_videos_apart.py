"""Runs the tests of videos in a process of their own, and tells what became of each file of them.

In the process of the whole suite, beside torch and OpenVINO, they ended once in a segmentation fault inside a native
library. Neither many runs beside both, nor runs whose freed memory was overwritten at once (`MALLOC_PERTURB_`), brought
it again, so its cause is not known; each of these libraries brings threads and memory of its own. Here none of them
can end the suite, and should it come again, the traceback of all threads is shown.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.skipif(find_spec("av") is None, reason="needs the extra video")

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "tests" / "videos").glob("test_*.py"))
LONGEST_S = 540


@dataclass(frozen=True)
class Outcome:
    """What the other process told."""

    text: str
    code: int
    cases: dict[str, list[bool]]
    """Whether each test passed or was skipped, by the file's name."""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> Outcome:
    report = tmp_path_factory.mktemp("videos") / "report.xml"
    command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/videos"]
    done = subprocess.run(
        [*command, f"--junitxml={report}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    cases: dict[str, list[bool]] = {}
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        name = case.get("classname", "").split(".")[-1]
        cases.setdefault(name, []).append(not {"failure", "error"} & {child.tag for child in case})
    return Outcome(done.stdout, done.returncode, cases)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_tests_of_a_file_pass(outcome: Outcome, path: Path) -> None:
    passed = outcome.cases.get(path.stem, [])
    assert passed, outcome.text
    assert all(passed), outcome.text


def test_the_process_ends_well(outcome: Outcome) -> None:
    assert outcome.code == 0, outcome.text
