"""The program `acutance`: the table of verbs, and the one place where errors become words and exit codes."""

from __future__ import annotations

import atexit
import errno
import os
import shlex
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any

from acutance import __version__
from acutance.cli.console import INTERRUPTED, say
from acutance.cli.loading import loading
from acutance.cli.missing_values import check_values
from acutance.cli.plain_values import taking_plainly
from acutance.cli.standard_streams import abandon_stdout, flush_stdout, prepare_streams
from acutance.errors import AcutanceError, ConfigError, InputError

with loading():  # or its hundreds of classes are looked through again and again: a tenth of the time that --help takes
    import typer
    from typer.core import TyperCommand, TyperGroup

VERBS: Mapping[str, str] = {
    "sharpen": "Make blurred photos and videos sharp.",
    "inspect": "Tell what blurred photos, how noisy they are, and whether sharpening helps; the softest come first.",
    "verify": "Check a sharpened photo against the record that --report wrote.",
    "still": "Merge the frames around a moment of a clip into one picture, and make that sharp.",
    "kernel": "Find what blurred a photo, or a region of it, and show it.",
    "bulk": "Sharpen millions of pictures: folders or buckets, on this machine or a Ray cluster.",
    "compare": "Say how far two pictures are apart; draw them side by side, and magnify the places that differ most.",
    "serve": "Serve the web page and the HTTP API on this machine.",
    "evaluate": "Measure classical filters and models on sharp photos, which it blurs and restores, or on pairs.",
    "train": "Train a network on your own photos; needs the extra train, and acutance doctor says how to get it.",
    "export": "Write trained weights as ONNX, checked against torch, or a model for another program; needs the extra "
    "train.",
    "ablate": "Train the paper's models alike, and measure them beside its Table 1.",
    "doctor": "Check the installation: versions, extras, the shipped models, and the speed of the default one here.",
    "data": "Get photos to train on, and prepare them.",
    "models": "List the models; add networks of others, and remove them.",
}
"""Each is a module of this room; what it does, in the words of its own help, which a test holds it to."""


IDLE_THREADS_SLEEP = ("OPENBLAS_THREAD_TIMEOUT", "4")
"""NumPy's threads for products of matrices: they would wait for work in a loop, one per core, for 0.05 s from the start
and after every product, whatever else wants the cores."""


OF_THE_SYSTEM = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What a system says of a file or folder that is no fault of ours; verbs that ask for a name may leave it to it."""


class _Verbs(TyperGroup):
    """Loads a verb when it is called: to list them all, their names and words are enough."""

    def get_params(self, ctx: Any) -> Any:  # noqa: ANN401 - types of click, which typer has moved
        """Return the options that stand before the verb."""
        return taking_plainly(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - as above
        """Find out which verb is called, and check that no option of it lacks its value."""
        name, command, rest = super().resolve_command(ctx, args)
        loaded = command and _loaded(str(name))
        called, words = loaded, rest
        if words and isinstance(called, TyperGroup) and words[0] in called.commands:
            called, words = called.commands[words[0]], words[1:]
        if called and not ctx.resilient_parsing:  # while a shell asks for completions, all is unfinished
            check_values(called, words)
        return name, loaded, rest

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as above
        """List the verbs in plain words: drawing this with rich takes longer than all else that the program does."""
        super(TyperGroup, self).format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as above
        """Tell all that is said of a verb; click itself would cut it."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, command.help or "") for name, command in self.commands.items()])


class _Verb(TyperCommand):
    """A verb whose options are read without what most of them do not need."""

    def make_context(self, *args: Any, **settings: Any) -> Any:  # noqa: ANN401 - as above
        """Read the options."""
        with loading():
            return super().make_context(*args, **settings)

    def get_params(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        """Return the options."""
        return taking_plainly(super().get_params(ctx))


def _loaded(name: str) -> Any:  # noqa: ANN401 - as above
    """Return a verb with all of its options, or a group of them."""
    with loading():
        module = import_module(f"acutance.cli.{name}")
    if hasattr(module, "app"):
        group = typer.main.get_group(module.app)
        group.name = name  # typer gives none to a group that stands alone
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    alone.command(name, cls=_Verb)(getattr(module, name))
    return typer.main.get_command(alone)


app = typer.Typer(
    cls=_Verbs,
    name="acutance",
    help="Makes blurred photos sharp.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb, words in VERBS.items():
    app.command(verb, help=words)(lambda: None)


def whole_program() -> TyperGroup:
    """Return the program with all verbs loaded, for whatever describes it."""
    program = typer.main.get_command(app)
    assert isinstance(program, TyperGroup)
    program.commands = {verb: _loaded(verb) for verb in VERBS}
    return program


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
    if not arguments or arguments[0].startswith("-") or arguments[0] in VERBS:
        return
    if os.path.lexists(arguments[0]) or "." in arguments[0] or "/" in arguments[0]:
        line = shlex.join(["acutance", "sharpen", *arguments])
        raise ConfigError(f"{arguments[0]}: a verb comes first; to sharpen it: {line}")


def run() -> None:
    """Run the program; every error that is foreseen becomes one sentence on stderr and an exit code."""
    try:
        _run()
    except SystemExit as ended:
        workers = sys.modules.get("acutance.inference.workers")
        if workers is None or not workers.is_work_left_behind():
            raise
        atexit._run_exitfuncs()  # temporary files go
        os._exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))


def _run() -> None:
    prepare_streams()
    os.environ.setdefault(*IDLE_THREADS_SLEEP)
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
        if isinstance(error, OSError) and error.errno in OF_THE_SYSTEM and error.filename is not None:
            say(f"acutance: {error.filename}: cannot be used ({error.strerror}); name another place, or free this one.")
            sys.exit(InputError.exit_code)
        say(
            f"acutance: unexpected {type(error).__name__}: {error}. This is a bug: please report it with the output of "
            "the same command under ACUTANCE_TRACEBACK=1."
        )
        sys.exit(AcutanceError.exit_code)
