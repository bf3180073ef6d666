"""Frozen dataclasses ↔ TOML, strictly: an unknown key is an error that names the nearest known one.

cattrs does the conversion; rows of several kinds in one list are told apart by their `kind` tag. Only
training needs this room's dependencies (extra `train`); using acutance reads no settings files.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import tomli_w
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, transform_error
from cattrs.gen import make_dict_structure_fn

from acutance.errors import ConfigError, first_line

Toml = bool | int | float | str | Sequence["Toml"] | Mapping[str, "Toml"]
"""A value of a TOML file, as far as settings use them."""

Settings = TypeVar("Settings")


def _exactly(kind: type, *also: type) -> Callable[[object, object], object]:
    """Build a hook that takes only values of a type, so that 3.7 or "3" never silently becomes 3."""

    def structure(value: object, _: object) -> object:
        if not isinstance(value, (kind, *also)) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{value!r}: must be of type {kind.__name__}")
        return kind(value)

    return structure


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, _exactly(int))
    converter.register_structure_hook(float, _exactly(float, int))
    converter.register_structure_hook(bool, _exactly(bool))
    converter.register_structure_hook(str, _exactly(str))
    converter.register_structure_hook(Path, lambda value, _: Path(cast(str, _exactly(str)(value, str))))
    converter.register_unstructure_hook(Path, str)
    converter.register_structure_hook_func(_is_literal, _one_of)
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)  # of a user's own part
    converter.register_structure_hook_factory(is_dataclass, lambda kind: _from_table(converter, kind))
    converter.register_structure_hook_factory(_is_tagged_union, lambda union: _by_kind(converter, union))
    return converter


def _is_literal(kind: object) -> bool:
    return get_origin(kind) is Literal


def _one_of(value: object, kind: object) -> object:
    """Take a value of a `Literal`; 2.0 and true are not 2 and 1."""
    allowed = get_args(kind)
    if not any(value == known and type(value) is type(known) for known in allowed):
        raise ConfigError(f"{value!r}: must be one of {', '.join(map(repr, allowed))}")
    return value


def _from_table(converter: Converter, kind: type[Settings]) -> Callable[[object, object], Settings]:
    """Build the hook for a dataclass: a table, whose tuples are lists (and not text, letter by letter)."""
    structure_table = make_dict_structure_fn(kind, converter)
    lists = [name for name, type_ in get_type_hints(kind).items() if get_origin(type_) is tuple]

    def structure(value: object, _: object) -> Settings:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{value!r}: must be a table of settings")
        for name in lists:
            if not isinstance(value.get(name, ()), (list, tuple)):
                raise ConfigError(f"{name} = {value[name]!r}: must be a list")
        return structure_table(value, kind)

    return structure


def _is_tagged_union(kind: object) -> bool:
    """Whether a type is a union of dataclasses that carry a `kind`, but for one at most."""
    members = get_args(kind)
    untagged = [member for member in members if not hasattr(member, "kind")]
    return len(members) > 1 and all(map(is_dataclass, members)) and len(untagged) <= 1


def _by_kind(converter: Converter, union: object) -> Callable[[object, object], object]:
    """Build the hook that picks a union's member by the tag in the values; without one, the member that has none."""
    rows = {_tag(member): member for member in get_args(union)}

    def structure(value: object, _: object) -> object:
        if not isinstance(value, Mapping) or value.get("kind") not in rows:
            given = value.get("kind") if isinstance(value, Mapping) else value
            allowed = ", ".join(tag for tag in rows if tag) + (", or left out" if None in rows else "")
            raise ConfigError(f"kind = {given!r}: must be one of {allowed}")
        return converter.structure(value, rows[value.get("kind")])

    return structure


def _tag(row: type) -> str | None:
    return next((str(field.default) for field in fields(row) if field.name == "kind"), None)


_CONVERTER = _converter()


def _explain(error: BaseException, kind: type | None) -> str:
    """Say what is wrong with one value; cattrs adds where it stands."""
    if isinstance(error, ConfigError):
        return str(error).rstrip(".")
    if isinstance(error, ForbiddenExtraKeysError):
        known = _names(error.cl) if is_dataclass(error.cl) else []
        return "; ".join(_unknown_key(key, known, _tables_with(key, error.cl)) for key in sorted(error.extra_fields))
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error) or type(error).__name__


def _names(kind: type) -> list[str]:
    """Return the names of the settings of a dataclass, without the fields that it fills in itself."""
    return [field.name for field in fields(kind) if field.init]


def _tables_with(key: str, kind: type) -> list[str]:
    """Return the dotted names of a setting in the tables directly below a dataclass."""
    if not is_dataclass(kind):
        return []
    hints = get_type_hints(kind)
    tables = [(name, member) for name, hint in hints.items() for member in (hint, *get_args(hint))]
    found = (
        name
        for name, table in tables
        if isinstance(table, type) and is_dataclass(table) and get_origin(hints[name]) is not tuple
        if key in _names(table)
    )
    return [f"{name}.{key}" for name in dict.fromkeys(found)]


def _unknown_key(key: str, known: Sequence[str], below: Sequence[str]) -> str:
    if below:
        return f"unknown setting {key!r} (did you mean {' or '.join(map(repr, below))}?)"
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown setting {key!r} ({hint})"


def from_values(kind: type[Settings], values: Mapping[str, Toml], *, source: str) -> Settings:
    """Build settings of a type from nested values.

    Args:
        kind: A frozen dataclass.
        values: As TOML gives them.
        source: Where they come from, for the message.

    Raises:
        ConfigError: Naming every unknown key, wrong type and value out of range, with its place.
    """
    try:
        return _structured(kind, values)
    except _FaultyError as error:
        raise ConfigError(f"{source}: {'; '.join(error.faults)}.") from error


class _FaultyError(Exception):
    """Values that settings cannot be built from."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(*faults)
        self.faults = tuple(faults)


def _structured(kind: type[Settings], values: Mapping[str, Toml]) -> Settings:
    try:
        return _CONVERTER.structure(values, kind)
    except ClassValidationError as error:
        raise _FaultyError([_placed(fault) for fault in transform_error(error, format_exception=_explain)]) from error
    except ConfigError as error:
        raise _FaultyError([str(error).rstrip(".")]) from error


def from_overridden(
    kind: type[Settings],
    values: Mapping[str, Toml],
    overrides: Sequence[str],
    *,
    source: str,
    typed: Mapping[str, str] | None = None,
) -> Settings:
    """Build settings from nested values and what was said to change of them.

    Args:
        kind: A frozen dataclass.
        values: As TOML gives them.
        overrides: `dotted.key=value` strings, see `with_overrides`.
        source: Where the values come from, for the message.
        typed: How a person said an override, where that was not `--set`, for the message.

    Raises:
        ConfigError: As `from_values`; what is wrong with an override is said of that, and not of the source.
    """
    try:
        return _structured(kind, with_overrides(values, overrides))
    except _FaultyError as error:
        culprits = {fault: _culprits(kind, values, overrides, fault) for fault in error.faults}
        said = {override: f"--set {override}" for override in overrides} | dict(typed or {})
        blamed = {
            fault: ", ".join(dict.fromkeys(said[override] for override in found)) or source
            for fault, found in culprits.items()
        }
        words = [
            f"{one}: {'; '.join(fault for fault, other in blamed.items() if other == one)}"
            for one in dict.fromkeys(blamed.values())
        ]
        raise ConfigError(f"{'; '.join(words)}.") from error


def _culprits(
    kind: type[Settings], values: Mapping[str, Toml], overrides: Sequence[str], fault: str
) -> tuple[str, ...]:
    """Return the overrides that bring a fault about: each without which it is gone; none where it is in the values."""

    def has_fault(some: Sequence[str]) -> bool:
        try:
            _structured(kind, with_overrides(values, some))
        except _FaultyError as error:
            return fault in error.faults
        except ConfigError:  # an override that leads through what another one sets
            return False
        return False

    if has_fault(()):
        return ()
    alone = [
        override
        for number, override in enumerate(overrides)
        if not has_fault([*overrides[:number], *overrides[number + 1 :]])
    ]
    return tuple(alone or overrides)  # of two that do the same, neither is it alone


def _placed(fault: str) -> str:
    """Turn cattrs' `message @ $.place` into words."""
    message, _, place = fault.rpartition(" @ $")
    return f"{message} (at {place.lstrip('.')})" if place else message


def to_values(settings: object) -> dict[str, Toml]:
    """Turn settings into nested plain values; those that are None are left out, as TOML has no such value."""
    return cast(dict[str, Toml], _without_none(_CONVERTER.unstructure(settings)))


def _without_none(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value


def differences(one: object, other: object) -> dict[str, tuple[Toml | None, Toml | None]]:
    """Return the settings in which two differ: their dotted names, and both values, None for one that is not there."""
    return _differing(to_values(one), to_values(other), "")


def _differing(
    one: Mapping[str, Toml], other: Mapping[str, Toml], place: str
) -> dict[str, tuple[Toml | None, Toml | None]]:
    found: dict[str, tuple[Toml | None, Toml | None]] = {}
    for name in dict.fromkeys((*one, *other)):
        before, now = one.get(name), other.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            found |= _differing(before, now, f"{place}{name}.")
        elif before != now:
            found[f"{place}{name}"] = (before, now)
    return found


def overridden(name: str, key: str) -> bool:
    """Say whether an override of one dotted key sets a setting: its own, or that of a table around or below it."""
    return f"{name}.".startswith(f"{key}.") or f"{key}.".startswith(f"{name}.")


def to_toml(settings: object) -> str:
    """Write settings as TOML that `read_toml` and `from_values` turn into equal settings."""
    return tomli_w.dumps(to_values(settings))


def read_toml(path: Path) -> dict[str, Toml]:
    """Read a TOML file.

    Raises:
        ConfigError: When it is missing or not TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file ({first_line(error)}).") from error


def merged(base: Mapping[str, Toml], changes: Mapping[str, Toml]) -> dict[str, Toml]:
    """Lay nested values over others: tables are merged, everything else is replaced."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        both_tables = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[key] = merged(below, value) if both_tables else value  # type: ignore[arg-type]
    return result


def with_overrides(values: Mapping[str, Toml], overrides: Sequence[str]) -> dict[str, Toml]:
    """Apply `dotted.key=value` strings, as `--set` gives them.

    Values are TOML, or plain text where that fails.

    Raises:
        ConfigError: When a string has no `=`, or a key leads through something that is not a table.
    """
    result = dict(values)
    for override in overrides:
        dotted, separator, text = override.partition("=")
        if not separator or not dotted.strip():
            raise ConfigError(f"--set {override}: must look like key=value, e.g. --set batch=8.")
        result = _replaced(result, dotted.strip().split("."), _literal(text.strip()), dotted)
    return result


def _literal(text: str) -> Toml:
    try:
        return cast(Toml, tomllib.loads(f"value = {text}")["value"])
    except tomllib.TOMLDecodeError:
        return text


def _replaced(table: Mapping[str, Toml], path: Sequence[str], value: Toml, dotted: str) -> dict[str, Toml]:
    """Return a copy of the table with the value at the path replaced."""
    if len(path) == 1:
        return {**table, path[0]: value}
    inner = table.get(path[0], {})
    if not isinstance(inner, Mapping):
        raise ConfigError(f"--set {dotted}: {path[0]!r} is not a table.")
    return {**table, path[0]: _replaced(inner, path[1:], value, dotted)}
