"""A command as one would type it: what stands under figures, so that they can be made again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence


def command_line(verb: str, options: Mapping[str, Sequence[object | None]], *switches: str) -> str:
    """Write the command that gives the same figures, as one would type it.

    An option is repeated for each of its values; None stands for none, and a tuple for a value of several words.
    """
    words: list[object] = []
    for name, values in options.items():
        for value in values:
            if value is not None:
                words += [name, *(value if isinstance(value, tuple) else [value])]
    return shlex.join(["acutance", verb, *map(str, words), *switches])
