"""The presets that ship: TOML files beside this one, each holding only what differs from the defaults."""

from __future__ import annotations

import difflib
from pathlib import Path

from acutance.errors import ConfigError

FOLDER = Path(__file__).parent

RENAMED = {"paper": "nonbn-res-g-l"}
"""Names that presets had: `paper` is now the name of a model alone, which other presets train."""


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def preset_path(name: str) -> Path:
    """Return the file of a preset; a path to a TOML file of one's own is returned as it is.

    Raises:
        ConfigError: When there is no such preset or file.
    """
    if name.endswith(".toml"):
        return Path(name)
    if name in preset_names():
        return FOLDER / f"{name}.toml"
    if name in RENAMED:
        raise ConfigError(
            f"preset {name!r}: is called {RENAMED[name]} now; the model of that name is trained by paper-blind and "
            "paper-perceptual."
        )
    near = difflib.get_close_matches(name, preset_names(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(preset_names())}"
    raise ConfigError(f"preset {name!r}: unknown; {hint} (or give the path of a .toml file)")
