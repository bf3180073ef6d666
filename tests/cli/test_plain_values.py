"""What is taken as it is, is what typer would make of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
from typer.testing import CliRunner

from acutance.cli.loading import loading
from acutance.cli.main import app, whole_program
from acutance.cli.plain_values import taking_plainly


def commands(command: Any) -> Iterator[Any]:
    for inner in getattr(command, "commands", {}).values():
        yield from commands(inner)
    yield command


def is_choice(param: Any) -> bool:
    return get_origin(param.type_descriptor.annotation) is Literal


def test_of_every_option_the_default_and_a_word_are_what_typer_makes_of_them() -> None:
    taken = 0
    for command in commands(whole_program()):
        context = typer.Context(command)
        for param in taking_plainly(command.params):
            if param.required or param.callback is not None or not hasattr(param, "type_descriptor"):
                continue
            taken += 1
            choices = [str(choice) for choice in get_args(param.type_descriptor.annotation)] if is_choice(param) else []
            for value in (None, param.default, "3", ["3", "4"], *choices):
                said = []
                for process in (param.process_value, lambda *given, it=param: type(it).process_value(it, *given)):
                    try:
                        said.append(process(context, value))
                    except (typer.BadParameter, TypeError, ValueError) as error:
                        said.append((type(error), str(error)))
                assert said[0] == said[1], (command.name, param.name, value)
                assert type(said[0]) is type(said[1]), (command.name, param.name, value)
    assert taken > 100


def test_what_a_parser_refuses_is_told_by_typer() -> None:
    said = CliRunner().invoke(app, ["sharpen", "a.jpg", "-o", ""]).output
    assert "Invalid value for '--output'" in said
    assert "the name is empty" in said


@pytest.mark.parametrize("is_enabled", [True, False])
def test_loading_leaves_the_collector_as_it_was(is_enabled: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        with loading():
            assert not gc.isenabled()
        assert gc.isenabled() == is_enabled
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        (gc.enable if was else gc.disable)()
