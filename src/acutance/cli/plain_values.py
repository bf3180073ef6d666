"""Values of options that need no check: defaults, text, choices, and what a parser of ours takes.

typer checks every value, given or not, with a validator of pydantic of its own, and loads that only for this: a sixth
of the time before a photo is opened. What is wrong still goes there, and is told in its words.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Literal, get_args, get_origin


def taking_plainly(params: list[Any]) -> list[Any]:
    """Return the options of a verb, taking what is plain as it is; where typer is of another make, as they were."""
    for param in params:
        kind = getattr(param, "type_descriptor", None)
        if kind is not None and not param.required and "process_value" not in vars(param):
            param.process_value = partial(_processed, param, kind, param.process_value)
    return params


def _processed(param: Any, kind: Any, checked: Any, ctx: Any, value: Any) -> Any:  # noqa: ANN401 - types of click, which typer has moved
    """Return what typer makes of a value, by its own way where it is not plain."""
    try:
        plain = _plain(param, kind, value)
    except ValueError:  # which typer turns into words
        plain = _NOT_PLAIN
    if plain is _NOT_PLAIN:
        return checked(ctx, value)
    return plain if param.callback is None else param.callback(ctx, param, plain)


_NOT_PLAIN = object()
_DIGITS = {int: re.compile(r"[0-9]{1,18}"), float: re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")}


def _plain(param: Any, kind: Any, value: Any) -> Any:  # noqa: ANN401 - as above
    is_list, parser = param.multiple or param.nargs == -1, kind.parameter_info.parser
    if value is None or value is param.default or isinstance(value, bool):  # a flag
        return () if is_list and value is None else value
    if is_list and parser and get_origin(kind.annotation) is list and not isinstance(value, str):
        return [parser(item) for item in value]
    if is_list or not isinstance(value, str):
        return _NOT_PLAIN
    if parser or kind.annotation is str:
        return parser(value) if parser else value
    if kind.annotation in (int, float):
        return _plain_number(kind, value)
    choices = get_args(kind.annotation) if get_origin(kind.annotation) is Literal else ()
    return {str(choice): choice for choice in choices}.get(value, _NOT_PLAIN)


def _plain_number(kind: Any, value: str) -> Any:  # noqa: ANN401 - as above
    """Return a number in plain digits that lies within the option's bounds."""
    if not _DIGITS[kind.annotation].fullmatch(value):
        return _NOT_PLAIN
    number, bounds = kind.annotation(value), kind.parameter_info
    is_within = (bounds.min is None or number >= bounds.min) and (bounds.max is None or number <= bounds.max)
    return number if is_within else _NOT_PLAIN
