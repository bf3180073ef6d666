"""What a user tells about a network of others: a small TOML file beside it, `net.toml` for `net.onnx`."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args

from acutance.engines.foreign_graph import Colours, Layout, ValueRange
from acutance.errors import ConfigError, first_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the file beside the network says; None where it says nothing."""

    input: str | None = None
    """Name of the input, where there are several pictures to give."""
    output: str | None = None
    """Name of the output, where there are several pictures to take."""
    layout: Layout | None = None
    """`nchw` or `nhwc`."""
    range: ValueRange | None = None
    """What black and white are: `0..1`, `0..255` or `-1..1`."""
    output_range: ValueRange | None = None
    """What black and white are in what it gives, where that is another range."""
    colours: Colours | None = None
    """Their order: `rgb` (assumed) or `bgr`."""
    multiple: int | None = None
    """What the sides of its input have to be multiples of."""
    reach: int | None = None
    """How many px around a pixel it looks at; 0 or less: more than can be given."""
    training_data: str | None = None
    """One line, for the card."""
    licence: str | None = None
    """SPDX, for the card."""

    def completed_by(self, other: Told) -> Told:
        """Return this with what another tells where this says nothing."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(other, **{name: value for name, value in known.items() if value is not None})


def read_told(path: Path, *, is_needed: bool = False) -> Told:
    """Read what is told about a network, strictly; nothing where there is no such file, unless it is needed.

    Raises:
        ConfigError: When the file is not TOML, or has an entry that is unknown or of a wrong kind.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if is_needed:
            raise ConfigError(f"{path}: no such file.") from error
        return Told()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML ({first_line(error)}).") from error
    known = [field.name for field in fields(Told)]
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise ConfigError(f"{path}: {key!r} is unknown; {hint}.")
        allowed = _ALLOWED.get(key)
        if allowed is not None and value not in allowed:
            raise ConfigError(f"{path}: {key} = {value!r}: must be one of {', '.join(map(repr, allowed))}.")
        kind = int if key in ("multiple", "reach") else str
        if type(value) is not kind:
            raise ConfigError(f"{path}: {key} = {value!r}: must be {'a whole number' if kind is int else 'text'}.")
    told = Told(**values)
    if told.multiple is not None and told.multiple < 1:
        raise ConfigError(f"{path}: multiple = {told.multiple}: must be at least 1.")
    return told


_ALLOWED: dict[str, tuple[str, ...]] = {
    "layout": get_args(Layout),
    "range": get_args(ValueRange),
    "output_range": get_args(ValueRange),
    "colours": get_args(Colours),
}
