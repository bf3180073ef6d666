"""CONTRIBUTING.md, followed as a newcomer would: the recipes in a copy of the repository, their commands run.

All recipes are made in one copy, and their tests run in one go: torch is imported once. That each recipe can be made
without the others is checked, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def _document():
    spec = spec_from_file_location("recipe_document", HERE / "document.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


DOCUMENT = _document()
RECIPES = DOCUMENT.recipes_of((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
THINGS = ("loss", "block", "network", "degradation", "engine", "row of the protocol", "verb", "model")
COPIED = (
    *("src", "pyproject.toml", "README.md", "docs/models.md", "docs/how-to/evaluate.md", "scripts/ship_model.py"),
    *("tests/conftest.py", "tests/test_architecture.py", "tests/test_docs.py", "tests/data/test_protocol.py"),
)
CHANGED = sorted({block.path for blocks in RECIPES.values() for block in blocks if block.language == "diff"})
NEEDS_NO_EXTRA = ("Add a row of the protocol", "Add a verb")
has_extra = bool(find_spec("torch") and find_spec("onnx"))


def copy(names, folder: Path) -> None:
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("*.pyc.*"))  # half written
        else:
            shutil.copy2(ROOT / name, target)


def run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, f"{command[2:]}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A copy of the repository in which all recipes have been made, and two photos. What was run in it is kept."""
    folder = tmp_path_factory.mktemp("house")
    copy(COPIED, folder)
    for name in ("benchmarks", "photos"):
        (folder / name).mkdir()
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(random.integers(0, 256, (96, 96, 3), np.uint8)).save(folder / "photos" / f"{name}.png")
    for blocks in RECIPES.values():
        DOCUMENT.make_edits(blocks, folder)
    return folder


@pytest.fixture(scope="module")
def has_run() -> set[str]:
    """Commands that were run: a recipe may begin with one of another."""
    return set()


def test_there_is_a_recipe_for_each() -> None:
    assert [title.removeprefix("Add a ").removeprefix("Add an ") for title in RECIPES] == list(THINGS)
    assert all(DOCUMENT.commands_of(blocks) for blocks in RECIPES.values())


@pytest.mark.parametrize("content", ["b\n", "a\na\n", "xa\n"])
def test_a_place_that_moved_is_named(content: str) -> None:
    assert DOCUMENT.changed("a\nb\n", " a\n+c\n@@\n-b\n+d\n") == "a\nc\nd\n"
    with pytest.raises(ValueError, match="must be there once:\na"):
        DOCUMENT.changed(content, " a\n+c\n")


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_needs_no_other(title: str, tmp_path: Path) -> None:
    copy(CHANGED, tmp_path)
    DOCUMENT.make_edits(RECIPES[title], tmp_path)


def test_the_tests_of_the_recipes_pass(house: Path) -> None:
    titles = [title for title in RECIPES if has_extra or title in NEEDS_NO_EXTRA]
    tests = [
        argument
        for title in titles
        for command in DOCUMENT.commands_of(RECIPES[title])
        for argument in (command[4:] if command[1:3] == ["-m", "pytest"] else [])
    ]
    assert len(tests) >= len(titles) // 2
    run([sys.executable, "-m", "pytest", "-q", "-n", "0", *tests], house)  # one process: torch is imported once


@pytest.mark.parametrize("title", RECIPES)
def test_the_commands_of_a_recipe_run(title: str, house: Path, has_run: set[str]) -> None:
    if title not in NEEDS_NO_EXTRA and not has_extra:
        pytest.skip("needs the extra `train`")
    for command in DOCUMENT.commands_of(RECIPES[title]):
        if command[1:3] != ["-m", "pytest"] and str(command) not in has_run:
            run(command, house)
            has_run.add(str(command))
