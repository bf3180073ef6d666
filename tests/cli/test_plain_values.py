"""What is taken as it is, is what typer would make of it."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
from typer.testing import CliRunner

from acutance.cli.loading import loading
from acutance.cli.main import app, whole_program
from acutance.cli.plain_values import taking_plainly

NUMBERS = (
    "3",
    "0",
    "-1",
    "007",
    "64",
    "250",
    "600",
    "0.5",
    "0.05",
    "1e3",
    ".5",
    "1_0",
    "4000000000",
    "9" * 40,
    "",
)


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
            flags = [True, False] if param.type_descriptor.annotation is bool else []
            for value in (None, param.default, *NUMBERS, ["3", "4"], *choices, *flags):
                said = []
                for process in (param.process_value, lambda *given, it=param: type(it).process_value(it, *given)):
                    try:
                        said.append(process(context, value))
                    except (typer.BadParameter, TypeError, ValueError) as error:
                        said.append((type(error), str(error)))
                assert said[0] == said[1], (command.name, param.name, value)
                assert type(said[0]) is type(said[1]), (command.name, param.name, value)
    assert taken > 100


@pytest.mark.parametrize("arguments", [["--threads", "2"], ["--json"], ["--strength", "0.5", "--quiet"]])
def test_numbers_and_flags_do_not_load_what_checks_the_others(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\nfrom acutance.cli.main import app\n"
        f"app(['sharpen', {str(tmp_path / 'missing.jpg')!r}, *{arguments!r}], standalone_mode=False)\n"
    )
    check = f"try:\n    exec({program!r})\nexcept Exception:\n    pass\nassert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", "import sys\n" + check], check=True, capture_output=True)


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
