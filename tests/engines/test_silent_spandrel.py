"""What stands in for torchvision where it is missing or broken, and goes again."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from acutance.engines.silent_spandrel import torchvision_or_stand_in
from acutance.errors import EngineUnavailable

NAMES = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")


def rotate_of_torchvision() -> object:
    return importlib.import_module(NAMES[-1]).rotate


@pytest.fixture
def torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the name that can be imported and holds nothing yet."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    package = tmp_path / "torchvision"
    (package / "transforms").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "transforms" / "__init__.py").write_text("")
    (package / "transforms" / "functional.py").write_text("rotate = 'the real one'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


def test_a_torchvision_that_works_is_taken(torchvision: Path) -> None:
    with torchvision_or_stand_in():
        assert rotate_of_torchvision() == "the real one"
    assert NAMES[-1] in sys.modules


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("transforms/functional.py", "raise RuntimeError('operator torchvision::nms does not exist')"),
        ("__init__.py", "import a_package_that_is_not_there"),
        ("transforms/__init__.py", "raise AttributeError('no ops')"),
    ],
)
def test_one_that_fails_is_replaced_for_as_long_as_the_block_runs(torchvision: Path, file: str, code: str) -> None:
    (torchvision / file).write_text(code)
    with torchvision_or_stand_in():
        with pytest.raises(EngineUnavailable, match="needs torchvision"):
            rotate_of_torchvision()("picture")
        assert importlib.util.find_spec("torchvision") is not None  # asking for it is no error
    assert [name for name in sys.modules if name.startswith("torchvision")] == []


def test_it_goes_when_the_block_fails(torchvision: Path) -> None:
    (torchvision / "__init__.py").write_text("raise ImportError")
    with pytest.raises(ZeroDivisionError), torchvision_or_stand_in():
        raise ZeroDivisionError
    assert [name for name in sys.modules if name.startswith("torchvision")] == []
