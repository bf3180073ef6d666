"""OpenVINO without its telemetry: everything here that needs the library takes it from this module.

Importing OpenVINO counts the import at an analytics service, from a forked child, and keeps an id in the home folder,
unless the user has declined. OpenVINO itself does without where the package that does this is not installed; so it is
kept from finding it, unless the user has agreed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPORTER = "openvino_telemetry"
"""The package that reports; also the name of the file with the user's answer, which its `opt_in_out` writes."""

AGREED = "1"


def has_agreed() -> bool:
    """Return whether the user has told OpenVINO that it may report (`opt_in_out --opt_in`)."""
    is_windows = sys.platform == "win32"
    try:
        home = Path(os.environ["LOCALAPPDATA"]) if is_windows else Path.home()
        answer = home / ("Intel Corporation" if is_windows else "intel") / REPORTER
        return answer.read_text(encoding="utf-8").strip() == AGREED
    except (KeyError, OSError, RuntimeError, UnicodeDecodeError):  # RuntimeError: there is no home
        return False


_is_hidden = REPORTER not in sys.modules and not has_agreed()
if _is_hidden:
    sys.modules[REPORTER] = None  # type: ignore[assignment]  # an import of it fails, as if it were not installed
try:
    import openvino
    from openvino import opset13, properties
finally:
    if _is_hidden:
        del sys.modules[REPORTER]

__all__ = ["openvino", "opset13", "properties"]
