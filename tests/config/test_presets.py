"""Presets are found by name or by path; a misspelt name is answered with the nearest."""

from __future__ import annotations

from pathlib import Path

import pytest

from acutance.config.presets import preset_names, preset_path
from acutance.errors import ConfigError


def test_every_preset_has_a_file():
    assert {"fast", "smoke"} <= set(preset_names())
    for name in preset_names():
        assert preset_path(name).is_file()


def test_a_path_is_taken_as_it_is():
    assert preset_path("my/own.toml") == Path("my/own.toml")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="preset 'smok': unknown; did you mean 'smoke'"):
        preset_path("smok")
    with pytest.raises(ConfigError, match=r"there are: .*fast, .*smoke"):
        preset_path("zzzzz")
