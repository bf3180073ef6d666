"""`acutance evaluate --recognise`: what readers of codes and letters read before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from acutance.cli.command_line import command_line
from acutance.cli.console import needs_extra, progress_bar, say
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.data.rows import Row
    from acutance.engines.engine import EngineName
    from acutance.evaluation.recognition.fonts import Face
    from acutance.evaluation.recognition.items import Artist, Kind
    from acutance.evaluation.recognition.judges import Judge
    from acutance.evaluation.recognition.reading import Recognition
    from acutance.evaluation.recognition.tables import Setting
    from acutance.evaluation.restorers import Restorer

DEFAULT_MODELS: Final = ("fast", "fast@fidelity=0", "auto")
DEFAULT_FILMS: Final = ("gauss-2-n12", "cctv-gauss-1-n6")
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
    from acutance.data.photo_store import list_photos
    from acutance.evaluation.recognition.conditions import DEFAULT_CONDITIONS, condition
    from acutance.evaluation.recognition.items import Artist, kinds_of
    from acutance.evaluation.recognition.judges import open_judges
    from acutance.evaluation.recognition.tables import Setting
    from acutance.media.atomic import check_target

    given = [name for name, value in unused.items() if value is not None]
    if given:
        raise ConfigError(f"--recognise draws and reads; {', '.join(given)} has no part in it: leave it out.")
    kinds = kinds_of(options.recognise)
    is_filmed = _are_clips(kinds)
    usual = DEFAULT_FILMS if is_filmed else DEFAULT_CONDITIONS
    names = [word.strip() for word in options.rows.split(",")] if options.rows else list(usual)
    rows = [] if is_filmed else [condition(name) for name in names]
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
        if kinds[0].name == "faces":
            artist, options = _with_faces(kinds, artist, options)
        artist.check(kinds)
    if is_filmed:
        found = _from_clips(kinds, names, judges, artist, options)
    else:
        found = _from_pictures(kinds, rows, judges, artist, options)
    _give(found, Setting(command=_command(options, kinds, names), fonts=artist.fonts_for(kinds), missing=missing),
          options)  # fmt: skip


def _are_clips(kinds: Sequence[Kind]) -> bool:
    """Say whether clips are read; they are by themselves, since their rows are films and their columns frames.

    Faces are by themselves, too: there are as many as the photos have.
    """
    for name, alone in (("clips", len(kinds)), ("faces", 1)):
        named = [kind for kind in kinds if kind.name == name]
        if named and not len(named) == len(kinds) == alone:
            raise ConfigError(f"--recognise {name}: is measured by itself; leave the other kinds for another run.")
    return kinds[0].name == "clips"


def _with_faces(
    kinds: Sequence[Kind], artist: Artist, options: RecognitionOptions
) -> tuple[Artist, RecognitionOptions]:
    """Find the faces of the photos; there may be fewer than were asked for."""
    from acutance.evaluation.recognition.faces import faces_in
    from acutance.evaluation.recognition.judges import face_detector

    if not artist.photos:
        raise ConfigError("--recognise faces: are those of photos; give a folder of sharp ones by --test.")
    detect = face_detector()
    found = faces_in(artist.photos, detect, height_px=kinds[0].size_px, most=options.items)
    if len(found) < options.items:
        say(f"{len(found)} faces were found in {len(artist.photos)} photos; --items asks for {options.items}.")
    return replace(artist, faces=found), replace(options, items=len(found))


def _from_pictures(
    kinds: Sequence[Kind], rows: Sequence[Row], judges: Sequence[Judge], artist: Artist, options: RecognitionOptions
) -> Recognition:
    from acutance.evaluation.recognition.reading import CLASSICAL, ToldRestorer, recognise
    from acutance.evaluation.restorers import open_models
    from acutance.inference.told import TOLD_MODEL

    # The model that is told what blurred each item is one of our own, opened like the others.
    asked = [*(options.models or DEFAULT_MODELS), *([TOLD_MODEL] if options.has_baselines else ())]
    with (
        open_models(asked, engine=options.engine, threads=options.threads) as opened,
        progress_bar("reading") as bar,
    ):
        restorers: list[Restorer] = [*CLASSICAL, *opened[:-1], ToldRestorer(TOLD, opened[-1].sharpener)]
        if not options.has_baselines:
            restorers = [CLASSICAL[0], *opened]
        return recognise(kinds, rows, restorers, judges, count=options.items, artist=artist, progress=bar)


def _from_clips(
    kinds: Sequence[Kind], names: Sequence[str], judges: Sequence[Judge], artist: Artist, options: RecognitionOptions
) -> Recognition:
    from acutance.evaluation.restorers import open_models

    with needs_extra("video", "--recognise clips"):
        from acutance.evaluation.recognition.clips import film, recognise_clips

    films = [film(name) for name in names]
    models = options.models or DEFAULT_MODELS[:1]
    with (
        open_models(models, engine=options.engine, threads=options.threads) as opened,
        progress_bar("reading") as bar,
    ):
        return recognise_clips(kinds, films, opened, judges, count=options.items, artist=artist, progress=bar)


def _font(word: str) -> tuple[Face, str]:
    """Read `chinese=FILE`."""
    from acutance.evaluation.recognition.fonts import NAMES

    face, _, name = word.partition("=")
    if face not in NAMES or not name:
        raise ConfigError(f"--font {word!r}: must be {', '.join(NAMES)} and a file, as in serif=/fonts/Serif.ttf.")
    return face, name


def _command(options: RecognitionOptions, kinds: Sequence[Kind], rows: Sequence[str]) -> str:
    """Write the command that gives the same figures, as one would type it."""
    return command_line("evaluate", {
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

    from acutance.evaluation.recognition.tables import tables, to_csv, to_json, to_markdown
    from acutance.evaluation.report import rich_of
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
        for table in tables(found):
            console.print(rich_of(table))
