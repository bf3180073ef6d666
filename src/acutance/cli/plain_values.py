"""Values of options that need no check: defaults, text, choices, and what a parser of ours takes.

typer checks every value, given or not, with a validator of pydantic of its own, and loads that only for this: a sixth
of the time before a photo is opened. What is a number or wrong still goes there, and is told in its words.
"""

from __future__ import annotations

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


def _plain(param: Any, kind: Any, value: Any) -> Any:  # noqa: ANN401 - as above
    is_list, parser = param.multiple or param.nargs == -1, kind.parameter_info.parser
    if value is None:
        return () if is_list else None
    if value is param.default:
        return value
    if is_list and parser and get_origin(kind.annotation) is list and not isinstance(value, str):
        return [parser(item) for item in value]
    if is_list or not isinstance(value, str):
        return _NOT_PLAIN
    if parser or kind.annotation is str:
        return parser(value) if parser else value
    choices = get_args(kind.annotation) if get_origin(kind.annotation) is Literal else ()
    return {str(choice): choice for choice in choices}.get(value, _NOT_PLAIN)
