"""What a person is told to install is what the extra needs, and never a name that an index may give to others."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import acutance
from acutance import extras
from acutance.extras import how_to_get

SOURCES = Path(acutance.__file__).parent


def installed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Pretend that acutance was installed, with these requirements, and that there is no source tree."""
    monkeypatch.setattr(extras, "_PYPROJECT", Path("/no/such/pyproject.toml"))
    monkeypatch.setattr(metadata, "requires", lambda name: list(lines))


def test_a_source_tree_says_what_its_extras_need() -> None:
    project = tomllib.loads((SOURCES.parents[1] / "pyproject.toml").read_text())["project"]
    for extra in project["optional-dependencies"].keys() - {"dev"}:  # which is for a source tree only
        line = how_to_get(extra)
        assert line.startswith("pip install ")
        assert ";" not in line
        assert "acutance" not in line
    assert re.fullmatch(r"pip install 'av>=[\d.]+'", how_to_get("video"))


def test_an_installed_distribution_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(
        monkeypatch,
        "numpy>=1.26",
        "av>=18.1; extra == 'video'",
        'chip>=0.4; (sys_platform != "darwin" or platform_machine == "arm64") and extra == "gpu"',
        "torch>=2.6; extra == 'dev'",
        "onnx; extra == 'torch'",
        "torch>=2.6; extra == 'torch'",
    )
    assert how_to_get("video") == "pip install 'av>=18.1'"
    assert how_to_get("gpu") == "pip install 'chip>=0.4'"
    assert how_to_get("torch") == "pip install onnx 'torch>=2.6'"


def test_where_nothing_is_known_no_name_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    assert how_to_get("video") == "install acutance again with its extra video, from where you have it"

    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    assert "pip install" not in how_to_get("video")


def test_nobody_is_told_to_install_by_our_name() -> None:
    told = [path for path in SOURCES.rglob("*.py") if re.search(r"pip install [^\n]*acutance", path.read_text())]
    assert told == []
