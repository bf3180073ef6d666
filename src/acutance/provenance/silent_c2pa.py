"""The library of C2PA, kept to this machine: everything here that needs it takes it from this module.

On import it looks for its native part in the current folder first, which may be full of strangers' files: it is told
where its own part lies. It would fetch manifests that lie elsewhere, and follow where these lead; it may not.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from acutance.errors import JobError
from acutance.extras import how_to_get

PLACE: Final = "C2PA_LIBRARY_NAME"
"""What the library asks for the name of its native part. A user who has set it has decided himself."""
_NATIVE: Final = {"win32": "c2pa_c.dll", "darwin": "libc2pa_c.dylib"}
_lock = threading.Lock()


def c2pa() -> Any:  # noqa: ANN401  # the library has no types that are marked as such
    """Return the module of the library.

    Raises:
        JobError: When it is not installed, or not whole.
    """
    with _lock:
        if (loaded := sys.modules.get("c2pa")) is not None:
            return loaded
        spec = find_spec("c2pa")
        if spec is None or spec.origin is None:
            raise JobError(f"C2PA manifests need an extra that is not installed: {how_to_get('c2pa')}.")
        if os.environ.get(PLACE):
            return import_module("c2pa")
        native = Path(spec.origin).parent / "libs" / _NATIVE.get(sys.platform, "libc2pa_c.so")
        if not native.is_file():
            raise JobError(f"C2PA manifests: {native} is missing; install the extra again: {how_to_get('c2pa')}.")
        os.environ[PLACE] = str(native)
        try:
            return import_module("c2pa")
        finally:
            del os.environ[PLACE]


def context() -> Any:  # noqa: ANN401
    """Return what the library works by: on this machine alone, without thumbnails, trust left to who reads a file."""
    return c2pa().Context.from_dict(
        {
            "verify": {
                "remote_manifest_fetch": False,
                "ocsp_fetch": False,
                "verify_trust": False,
                "verify_timestamp_trust": False,
            },
            "core": {"allowed_network_hosts": []},  # a timestamp authority that is named is asked all the same
            "builder": {"thumbnail": {"enabled": False}},
        }
    )
