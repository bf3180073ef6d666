"""The program `acutance`: the table of verbs, and the one place where errors become words and exit codes."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated

import typer

from acutance import __version__
from acutance.cli.ablate import ablate
from acutance.cli.bulk import bulk
from acutance.cli.compare import compare
from acutance.cli.console import INTERRUPTED, say
from acutance.cli.data import app as data
from acutance.cli.doctor import doctor
from acutance.cli.evaluate import evaluate
from acutance.cli.export import export
from acutance.cli.inspect import inspect
from acutance.cli.kernel import kernel
from acutance.cli.models import app as models
from acutance.cli.serve import serve
from acutance.cli.sharpen import sharpen
from acutance.cli.standard_streams import abandon_stdout, flush_stdout, prepare_streams
from acutance.cli.still import still
from acutance.cli.train import train
from acutance.cli.verify import verify
from acutance.errors import AcutanceError, ConfigError

app = typer.Typer(
    name="acutance",
    help="Makes blurred photos sharp.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
VERBS = (sharpen, inspect, verify, still, kernel, bulk, compare, serve, evaluate, train, export, ablate, doctor)
for verb in VERBS:
    app.command()(verb)
app.add_typer(data, name="data")
app.add_typer(models, name="models")


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"acutance {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Makes blurred photos sharp with a small network that runs on any laptop."""


def _refuse_file_for_verb(arguments: list[str]) -> None:
    """Tell whoever names a file where the verb belongs what most people want.

    Raises:
        ConfigError: When it is so.
    """
    if (
        not arguments
        or arguments[0].startswith("-")
        or arguments[0] in {"data", "models", *(verb.__name__ for verb in VERBS)}
    ):
        return
    if os.path.lexists(arguments[0]) or "." in arguments[0] or "/" in arguments[0]:
        line = shlex.join(["acutance", "sharpen", *arguments])
        raise ConfigError(f"{arguments[0]}: a verb comes first; to sharpen it: {line}")


def run() -> None:
    """Run the program; every error that is foreseen becomes one sentence on stderr and an exit code."""
    prepare_streams()
    try:
        try:
            _refuse_file_for_verb(sys.argv[1:])
            app()
        finally:
            flush_stdout()  # here, where a full disk can still be told; not when the process ends
    except AcutanceError as error:
        say(f"acutance: {error}")
        abandon_stdout()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("acutance: interrupted; files that were finished are kept, none is half written.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of stdout went away, e.g. `| head`
        abandon_stdout()
        sys.exit(1)
    except Exception as error:
        if os.environ.get("ACUTANCE_TRACEBACK"):
            raise
        say(
            f"acutance: unexpected {type(error).__name__}: {error}. This is a bug: please report it with the output of "
            "the same command under ACUTANCE_TRACEBACK=1."
        )
        sys.exit(AcutanceError.exit_code)
