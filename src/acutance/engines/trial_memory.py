"""What was measured of this machine's processors, kept in the user's cache folder from one run to the next.

The file is small, written as a whole or not at all, and no more than a memory: one that is damaged, or cannot be
written, is as good as none. Of two processes that write at once, one loses its measurement, and makes it again.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from acutance.errors import ConfigError, OutputError
from acutance.folders import cache_folder
from acutance.media import write_atomically

FILE = "processors.json"
FORMAT = 1
"""Of the file; one of another format is ignored."""

KEPT = 400
"""Measurements at most; the oldest go first. One is about 300 bytes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a trial."""

    megapixels_per_s: float
    """0 where it did not get so far."""
    worst_difference: float | None
    """To the CPU, in units of [0, 1]; None where nothing came out."""
    fault: str = ""
    """Why it may not be used; empty where it may."""


DID_NOT_SURVIVE = Measured(0.0, None, "its trial was not finished: the process ended, or is still at it")
"""Stands in the file while a trial runs, so that a driver that takes the process with it does so only once."""


class TrialMemory:
    """Measurements by what was measured: machine, versions, processor and network, as one text."""

    def __init__(self, path: Path | None = None) -> None:
        """Take the file; None is the one in the user's cache folder, or no file where the user has no home."""
        self.path = path
        """The file, whether there or not."""
        if path is None:
            with suppress(ConfigError):
                self.path = cache_folder() / FILE

    def recalled(self, key: str) -> Measured | None:
        """Return what was measured, or None."""
        return self._read().get(key)

    def keep(self, key: str, measured: Measured | None) -> None:
        """Remember a measurement, or forget it; where that cannot be written, nothing is said."""
        if self.path is None:
            return
        known = self._read()
        known.pop(key, None)
        if measured is not None:
            known[key] = measured  # last, as the newest
        newest = list(known.items())[-KEPT:]
        content = {"format": FORMAT, "trials": {name: asdict(row) for name, row in newest}}
        with suppress(OutputError):  # a folder that is read-only, a full disk: it is measured again next time
            write_atomically(self.path, [json.dumps(content, indent=1, ensure_ascii=False).encode()], overwrite=True)

    def _read(self) -> dict[str, Measured]:
        if self.path is None:
            return {}
        try:
            content = json.loads(self.path.read_bytes())
            if content["format"] != FORMAT:
                return {}
            return {str(key): _measured(row) for key, row in content["trials"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def _measured(row: dict[str, object]) -> Measured:
    """Check a row of the file.

    Raises:
        ValueError, KeyError, TypeError: When it is damaged.
    """
    rate, worst, fault = row["megapixels_per_s"], row["worst_difference"], row["fault"]
    if not isinstance(rate, int | float) or not isinstance(worst, int | float | None) or not isinstance(fault, str):
        raise ValueError("not a measurement")
    return Measured(float(rate), None if worst is None else float(worst), fault)
