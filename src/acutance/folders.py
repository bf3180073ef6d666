"""Where a user's files lie that acutance keeps for itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from acutance.errors import ConfigError


def cache_folder() -> Path:
    """Return the user's folder for what can be made or downloaded again.

    Raises:
        ConfigError: When this user has no home folder.
    """
    try:
        if sys.platform == "win32":
            parent = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            parent = Path.home() / "Library" / "Caches"
        else:
            parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise ConfigError(
            "this user has no home folder to keep files in; set HOME, or name the file that is wanted (--vgg19, say)."
        ) from error
    return parent / "acutance"
