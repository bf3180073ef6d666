"""What is no Python file travels in the package, too."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path

import pytest

from acutance.zoo.catalogue import FOLDER, list_models

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


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def package(request: pytest.FixtureRequest) -> tuple[str, set[str]]:
    """The paths that a package would hold, listed by its builder without building it."""
    builders = pytest.importorskip("hatchling.plugin.manager", reason="needs hatchling, of the extra `dev`")
    manager = builders.PluginManager()
    builder = manager.builder.get(request.param)(str(ROOT))
    return request.param, {Path(file.distribution_path).as_posix() for file in builder.recurse_included_files()}


def test_a_package_holds_what_is_needed_and_nothing_else(package: tuple[str, set[str]]) -> None:
    kind, paths = package
    below = "" if kind == "wheel" else "src/"
    weights = {f"zoo/{path.relative_to(FOLDER).as_posix()}" for path in FOLDER.glob("weights/*.onnx")}
    page = {"server/page/index.html", "server/page/js/texts.js"}
    needed = {"py.typed", *DATA, *weights, *page}
    assert len(weights) >= len(list_models())
    assert {f"{below}acutance/{name}" for name in needed} <= paths
    assert not [path for path in paths if path.endswith((".pyc", ".safetensors")) or "__pycache__" in path]
    tops = {path.split("/")[0] for path in paths}
    if kind == "wheel":
        assert tops == {"acutance"}
    else:
        assert {"tests", "docs", "scripts", "LICENSE", "README.md", "README.zh.md", "CONTRIBUTING.md"} <= tops
        assert not tops & {"runs", "checkpoints", "dist"}
