"""Options without their values: click would take the next option for the value, and then miss that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acutance.errors import ConfigError

_NUMBERS = {1: "a value", 2: "two values"}


def check_values(command: Any, words: Sequence[str]) -> None:  # noqa: ANN401 - types of click, which typer has moved
    """Refuse a command line on which an option of a verb stands where the value of another belongs.

    What is meant to be a value, such as a file of that name, can be given as `--option=value`.

    Raises:
        ConfigError: Naming the option, what it takes and what there is of it.
    """
    options = {name: option for option in command.params for name in _names(option)}
    number = 0
    while number < len(words) and words[number] != "--":
        option = options.get(words[number])
        number += 1
        if option is None or option.is_flag or option.count:
            continue
        following = words[number : number + option.nargs]
        given = next((index for index, word in enumerate(following) if word in options), len(following))
        if given < option.nargs:
            raise ConfigError(_words(words[number - 1], option, following, given))
        number += option.nargs


def _names(option: Any) -> tuple[str, ...]:  # noqa: ANN401 - as above
    return (*option.opts, *option.secondary_opts) if option.param_type_name == "option" else ()


def _words(name: str, option: Any, following: Sequence[str], given: int) -> str:  # noqa: ANN401 - as above
    takes = _NUMBERS.get(option.nargs, f"{option.nargs} values")
    called = f", {option.metavar}" if option.metavar else ""
    there = f"only {' '.join(following[:given])} is given" if given else "none is given"
    then = f", then comes {following[given]}" if given < len(following) else ""
    return f"{name} takes {takes}{called}; {there}{then}."
