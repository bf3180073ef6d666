"""Where a user's files lie that acutance keeps for itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from acutance.errors import ConfigError

Purpose = Literal["cache", "data", "state"]
"""Of what can be made or downloaded again, of what a user has added, and of work that is not finished."""

_LINUX: dict[Purpose, tuple[str, str]] = {
    "cache": ("XDG_CACHE_HOME", ".cache"),
    "data": ("XDG_DATA_HOME", ".local/share"),
    "state": ("XDG_STATE_HOME", ".local/state"),
}
"""The variable that names the folder, and where it is else, in the home folder."""


def user_folder(purpose: Purpose, *, what: str, remedy: str) -> Path:
    """Return the user's folder for a purpose; it need not exist.

    Args:
        purpose: What lies there.
        what: The same, in a word, for the error.
        remedy: What to do without a home folder, as the end of a sentence.

    Raises:
        ConfigError: When this user has no home folder.
    """
    try:
        if sys.platform == "win32":
            parent = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            parent = Path.home() / "Library" / ("Caches" if purpose == "cache" else "Application Support")
        else:
            variable, usual = _LINUX[purpose]
            parent = Path(os.environ.get(variable) or Path.home() / usual)
    except RuntimeError as error:
        raise ConfigError(f"this user has no home folder to keep {what} in; {remedy}.") from error
    return parent / "acutance"


def cache_folder() -> Path:
    """Return the user's folder for what can be made or downloaded again; see `user_folder`."""
    return user_folder("cache", what="files", remedy="set HOME, or name the file that is wanted (--vgg19, say)")
