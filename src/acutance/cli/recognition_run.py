"""`acutance evaluate --recognise`: what readers of codes and letters read before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from acutance.engines.engine import EngineName
    from acutance.evaluation.recognition.fonts import Face
    from acutance.evaluation.recognition.items import Kind
    from acutance.evaluation.recognition.reading import Recognition
    from acutance.evaluation.recognition.tables import Setting
    from acutance.evaluation.restorers import Restorer

DEFAULT_MODELS: Final = ("fast", "fast@fidelity=0", "auto")
TOLD: Final = "motion, true blur"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionOptions:
    """What `evaluate` was asked for."""

    recognise: str
    rows: str | None
    models: Sequence[str]
    has_baselines: bool
    items: int
    fonts: Sequence[str]
    backgrounds: Sequence[Path]
    engine: EngineName
    threads: int | None
    as_json: bool
    csv: Path | None
    markdown: Path | None
    overwrite: bool


def run_recognition(options: RecognitionOptions, *, unused: Mapping[str, object]) -> None:
    """Measure, and write or print the tables.

    Args:
        options: What is to be done.
        unused: Options that say nothing about recognition, with what was given for them.

    Raises:
        ConfigError: When an option is out of range.
        EngineUnavailable: When nobody reads a kind here.
    """
    from acutance.cli.console import needs_extra, progress_bar, say
    from acutance.data.photo_store import list_photos
    from acutance.errors import ConfigError
    from acutance.evaluation.recognition.conditions import DEFAULT_CONDITIONS, condition
    from acutance.evaluation.recognition.items import Artist, kinds_of
    from acutance.evaluation.recognition.judges import open_judges
    from acutance.evaluation.recognition.reading import CLASSICAL, ToldRestorer, recognise
    from acutance.evaluation.recognition.tables import Setting
    from acutance.evaluation.restorers import open_models
    from acutance.inference.sharpener import Sharpener
    from acutance.media.atomic import check_target

    given = [name for name, value in unused.items() if value is not None]
    if given:
        raise ConfigError(f"--recognise draws and reads; {', '.join(given)} has no part in it: leave it out.")
    kinds = kinds_of(options.recognise)
    names = [word.strip() for word in options.rows.split(",")] if options.rows else list(DEFAULT_CONDITIONS)
    rows = [condition(name) for name in names]
    photos = tuple(path for folder in options.backgrounds for path in list_photos(folder))
    artist = Artist(fonts=tuple(_font(word) for word in options.fonts), photos=photos)
    for target in (options.csv, options.markdown):
        if target is not None:
            check_target(target, overwrite=options.overwrite)
    threads = options.threads or 1
    judges, missing = open_judges([kind.name for kind in kinds], threads=threads)
    for sentence in missing:
        say(sentence)
    with needs_extra("recognise", "--recognise"):
        artist.check(kinds)
    models = options.models or DEFAULT_MODELS
    with (
        open_models(models, engine=options.engine, threads=options.threads) as opened,
        Sharpener("motion", engine=options.engine, precision="float32", threads=options.threads) as told,
        progress_bar("reading") as bar,
    ):
        restorers: list[Restorer] = [*(CLASSICAL if options.has_baselines else CLASSICAL[:1]), *opened]
        if options.has_baselines:
            restorers.append(ToldRestorer(TOLD, told))
        found = recognise(kinds, rows, restorers, judges, count=options.items, artist=artist, progress=bar)
    _give(found, Setting(command=_command(options, kinds, names), fonts=artist.fonts_for(kinds), missing=missing),
          options)  # fmt: skip


def _font(word: str) -> tuple[Face, str]:
    """Read `chinese=FILE`."""
    from acutance.errors import ConfigError
    from acutance.evaluation.recognition.fonts import NAMES

    face, _, name = word.partition("=")
    if face not in NAMES or not name:
        raise ConfigError(f"--font {word!r}: must be {', '.join(NAMES)} and a file, as in serif=/fonts/Serif.ttf.")
    return face, name


def _command(options: RecognitionOptions, kinds: Sequence[Kind], rows: Sequence[str]) -> str:
    """Write the command that gives the same figures, as one would type it."""
    from acutance.cli.evaluate import command_line

    return command_line({
        "--recognise": [",".join(kind.label for kind in kinds)],
        "--rows": [",".join(rows)],
        "--items": [options.items],
        "--test": options.backgrounds,
        "--model": options.models,
        "--font": options.fonts,
        "--engine": [options.engine if options.engine != "auto" else None],
    }, *(() if options.has_baselines else ("--no-baselines",)))  # fmt: skip


def _give(found: Recognition, setting: Setting, options: RecognitionOptions) -> None:
    """Write what was asked for."""
    from rich.console import Console

    from acutance.evaluation.recognition.tables import to_csv, to_json, to_markdown, to_rich
    from acutance.media.atomic import write_atomically

    if options.csv is not None:
        write_atomically(options.csv, [to_csv(found).encode()], overwrite=options.overwrite)
    if options.markdown is not None:
        write_atomically(options.markdown, [to_markdown(found, setting).encode()], overwrite=options.overwrite)
    console = Console()
    if options.as_json:
        typer.echo(to_json(found, setting), nl=False)
    elif not console.is_terminal:
        typer.echo(to_markdown(found, setting), nl=False)
    else:
        for table in to_rich(found):
            console.print(table)
