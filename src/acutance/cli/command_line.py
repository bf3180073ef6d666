"""A command as one would type it: what stands under figures, so that they can be made again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence


def command_line(options: Mapping[str, Sequence[object | None]], *switches: str) -> str:
    """Write the command that gives the same figures, as one would type it."""
    words: list[object] = []
    for name, values in options.items():
        for value in values:
            if value is not None:
                words += [name, *(value if isinstance(value, tuple) else [value])]
    return shlex.join(["acutance", "evaluate", *map(str, words), *switches])
