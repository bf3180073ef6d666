"""What is no Python file travels in the package, too."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA = ("estimation/estimator.onnx", "zoo/manifest.toml", "config/presets/fast.toml", "config/presets/motion.toml")


@pytest.mark.parametrize("name", [*DATA, "py.typed"])
def test_it_lies_in_the_package(name: str) -> None:
    assert files("acutance").joinpath(name).is_file()


def test_the_wheel_takes_all_that_git_does_not_ignore() -> None:
    """The builder takes the folder as it is, but for what `.gitignore` names."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert wheel == {"packages": ["src/acutance"]}
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines() if line]
    for name in DATA:
        parts = Path("src/acutance", name).parts
        assert not [pattern for pattern in ignored for part in parts if fnmatch(part, pattern)]
