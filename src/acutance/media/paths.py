"""Where results go: which files are photos or videos, and what the file of each result is called.

Nothing is written here and nothing is decoded: the plan, and its collisions, are known before any work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from acutance.errors import InputError, OutputError, WrongName
from acutance.extras import how_to_get
from acutance.media import raw
from acutance.media.atomic import OVERWRITE, check_reachable
from acutance.media.formats import (
    PHOTO_SUFFIXES,
    format_of,
    head_of,
    is_writable_suffix,
    sniff_format,
    suffix_for,
)
from acutance.media.patterns import PathFilter
from acutance.media.photo import ImageFormat
from acutance.media.reading import mode_of
from acutance.media.video_formats import (
    SOURCE_CODE_SUFFIXES,
    VIDEO_SUFFIXES,
    WRITABLE_VIDEO_SUFFIXES,
    FileKind,
    kind_of,
    video_suffix_for,
)

MARK = ".sharp"
"""What is put before the suffix of a result that lies beside its photo: `cat.jpg` → `cat.sharp.jpg`."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One piece of work: read `source`, write `target`."""

    source: Path
    target: Path
    kind: FileKind = "photo"
    """What the source is, by its content."""


def plan_outputs(
    sources: Sequence[Path],
    output: Path | None = None,
    *,
    output_is_folder: bool = False,
    overwrite: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    is_result: Callable[[Path, Path], bool] = lambda path, folder: False,
) -> tuple[PlannedFile, ...]:
    """Say for every photo and video where its result goes.

    | sources | output | result |
    |---|---|---|
    | `cat.jpg` | none | `cat.sharp.jpg` beside it |
    | `cat.jpg` | `dog.png` | `dog.png` |
    | `cat.jpg` | a folder | the folder's `cat.jpg` |
    | a folder | none | each beside its photo |
    | a folder | a folder | the same tree and names within it |
    | several | a folder | files by their names, folders as folders within it |

    A folder is searched through its subfolders for names that end like a photo's or a video's, and for names without an
    ending whose content is one. Its content says whether a file is a photo or a video. Hidden files, links to folders,
    the output folder, and results of an earlier run (`*.sharp.*`) are passed over; links to photos are photos, but each
    photo is done once. A result keeps its photo's ending if that is true and can be written. All this holds for videos,
    too.

    Args:
        sources: Files and folders. A file is always taken; whether it is one at all shows when it is read.
        output: A file (for one source) or a folder. It is a folder if it exists as one, if it has no ending,
            or if there are several sources or a folder among them.
        output_is_folder: The output is a folder in any case (the user wrote `out.d/`).
        overwrite: Whether a result may replace its own photo.
        include: Patterns for the path below the folder that is searched (see `acutance.media.patterns`), and for the
            names of single files: only what one of them matches is taken. None takes all.
        exclude: Such patterns for what is left out, even if it is included.
        is_result: Takes a file below a folder that is searched, and that folder: whether it is the result of an earlier
            run, which is passed over, too.

    Returns:
        The plan, in the order of the sources, folders sorted by name; no photo appears twice.

    Raises:
        InputError: When a source does not exist or cannot be searched, or there is no photo at all, or none is left.
        ConfigError: When a pattern is empty.
        OutputError: When two results would get one name, or a result would replace a photo; or when it cannot be told
            what the output is.
        WrongName: When the output is of the wrong kind.
    """
    _check_sources(sources)
    if output is not None:
        check_reachable(output)
    wanted = PathFilter.of(include, exclude)
    if output is not None and not output_is_folder and not _is_folder(output, sources):
        kind = kind_of(sources[0])
        _check_name(output, kind)
        planned = [PlannedFile(sources[0], output, kind)] if wanted.keeps(PurePath(sources[0].name)) else []
    else:
        _check_folder(output)
        is_alone = len(sources) == 1
        planned = [
            file
            for source in sources
            for file in _planned(source, output, wanted, is_alone=is_alone)
            if not (source.is_dir() and is_result(file.source, source))
        ]
    once: dict[Path, PlannedFile] = {}
    for file in planned:
        once.setdefault(_real(file.source), file)
    plan = tuple(once.values())
    if not plan:
        raise _nothing_to_do(sources, wanted)
    _check_targets(plan, overwrite=overwrite)
    return plan


def find_photos(
    sources: Sequence[Path], *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Return the photos that are named or lie in folders, each once: those that `plan_outputs` would take, no videos.

    Raises:
        InputError: When a source does not exist, a folder cannot be searched, or nothing is left.
    """
    _check_sources(sources)
    wanted = PathFilter.of(include, exclude)
    once: dict[Path, Path] = {}
    for source in sources:
        found = _files(source, None, wanted) if source.is_dir() else (source,)
        for path in found:
            if source.is_dir() or wanted.keeps(PurePath(path.name)):
                once.setdefault(_real(path), path)
    photos = tuple(path for path in once.values() if kind_of(path) != "video")
    if not photos:
        raise _nothing_to_do(sources, wanted)
    return photos


def raw_files_in(
    sources: Sequence[Path], *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> dict[str, int]:
    """Count raw files in folders that `plan_outputs` passes over, because the extra that reads them is missing.

    Args:
        sources: As there; only folders are searched.
        include: As there.
        exclude: As there.

    Returns:
        How many there are by their suffix, in small letters and sorted; nothing where the extra is installed.

    Raises:
        InputError: When a folder cannot be searched.
    """
    if raw.is_installed():
        return {}
    wanted = PathFilter.of(include, exclude)
    folders = [source for source in sources if source.is_dir()]
    suffixes = [path.suffix.lower() for folder in folders for path in _files(folder, None, wanted, is_one=_is_raw)]
    return {suffix: suffixes.count(suffix) for suffix in sorted(set(suffixes))}


def _is_raw(path: Path) -> bool:
    return path.suffix.lower() in raw.SUFFIXES


def _check_sources(sources: Sequence[Path]) -> None:
    if not sources:
        raise InputError("no file is named; name files or folders.")
    for source in sources:
        mode_of(source)


def _nothing_to_do(sources: Sequence[Path], wanted: PathFilter) -> InputError:
    names = ", ".join(str(source) for source in sources)
    if wanted.words:
        return InputError(
            f"no photo or video in {names} is left by {wanted.words}; patterns are held against names, or with a slash "
            "against the path below the folder, as in 'day1/*.jpg'."
        )
    if passed_over := raw_files_in(sources):
        return InputError(
            f"there are no photos or videos in {names}, but {sum(passed_over.values())} raw files of cameras "
            f"({', '.join(passed_over)}); {how_to_get('raw')} makes acutance read them."
        )
    endings = ", ".join(sorted(PHOTO_SUFFIXES | VIDEO_SUFFIXES))
    return InputError(f"there are no photos or videos in {names}; their names end in one of {endings}.")


def _real(path: Path) -> Path:
    # Not Path.resolve: up to Python 3.12 it raises for a link that leads to itself.
    return Path(os.path.realpath(path))


def _is_folder(output: Path, sources: Sequence[Path]) -> bool:
    if output.is_dir():
        return True
    if len(sources) == 1 and sources[0].is_file():
        return not output.suffix
    if is_writable_suffix(output.suffix) or output.suffix.lower() in WRITABLE_VIDEO_SUFFIXES:
        raise WrongName(f"{output} is the name of one file, but there may be several results; name a folder.")
    return True


def _check_folder(output: Path | None) -> None:
    if output is None or output.is_dir() or not output.exists():
        return
    if not output.is_file():
        raise WrongName(f"{output} is no file that could be replaced; choose another name, or write to stdout.")
    raise WrongName(f"{output} is a file; name a folder.")


def _planned(source: Path, output: Path | None, wanted: PathFilter, *, is_alone: bool) -> Iterator[PlannedFile]:
    """Plan one source; `is_alone` when it is the only one."""
    if not source.is_dir():
        if wanted.keeps(PurePath(source.name)):
            folder = source.parent if output is None else output
            yield _to_folder(source, folder, is_beside=output is None)
        return
    name = _real(source).name if source.name in ("", "..") else source.name
    root = output if output is None or is_alone else output / name
    for photo in _files(source, output, wanted):
        folder = photo.parent if root is None else root / photo.parent.relative_to(source)
        yield _to_folder(photo, folder, is_beside=root is None)


def _to_folder(source: Path, folder: Path, *, is_beside: bool) -> PlannedFile:
    kind = kind_of(source)
    suffix = video_suffix_for(source) if kind == "video" else _photo_suffix(source)
    return PlannedFile(source, folder / f"{source.stem}{MARK if is_beside else ''}{suffix}", kind)


def _photo_suffix(source: Path) -> str:
    found = _sniffed(source)
    if source.suffix.lower() == ".pgm" and head_of(source)[:2] in (b"P3", b"P6"):
        return ".ppm"  # it has colours, whatever its name says
    suffix = suffix_for(found, source.suffix) if found else source.suffix
    return suffix if is_writable_suffix(suffix) else ".png"


def _check_name(output: Path, kind: FileKind) -> None:
    """Refuse a name for a result that says no kind of file, or one of the other kind.

    Raises:
        WrongName: When it does.
    """
    if kind == "photo":
        format_of(output)
    elif output.suffix.lower() not in WRITABLE_VIDEO_SUFFIXES:
        allowed = ", ".join(sorted(WRITABLE_VIDEO_SUFFIXES))
        raise WrongName(f"{output}: the name of a video must end in one of {allowed}.")


def _looks_like_one(path: Path) -> bool:
    # By name first: by content, a camera's raw files are TIFF, and backups (`cat.jpg_original`) are photos.
    suffix = path.suffix.lower()
    if suffix in SOURCE_CODE_SUFFIXES:
        return kind_of(path) == "video"
    if suffix:
        return suffix in PHOTO_SUFFIXES or suffix in VIDEO_SUFFIXES
    return _sniffed(path) is not None or kind_of(path) == "video"


def _files(
    folder: Path, output: Path | None, wanted: PathFilter, *, is_one: Callable[[Path], bool] = _looks_like_one
) -> Iterator[Path]:
    """Yield the wanted files below a folder that `is_one` takes, sorted, without those below the output folder."""
    left_out = None if output is None or not output.exists() or output.samefile(folder) else output.stat()
    for parent, folders, names in os.walk(folder, onerror=_refuse_to_skip):
        within = PurePath(parent).relative_to(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not wanted.leaves_out(within / name) and not _is(parent, name, left_out)
        )
        for name in sorted(names):
            path = Path(parent) / name
            is_photo = not name.startswith(".") and not path.stem.endswith(MARK) and is_one(path)
            if is_photo and wanted.keeps(within / name):
                yield path


def _is(parent: str, name: str, known: os.stat_result | None) -> bool:
    """Say whether a folder is the known one, by whichever name: a disk may not tell `Out` from `out`."""
    try:
        return known is not None and os.path.samestat(os.stat(os.path.join(parent, name)), known)
    except OSError:
        return False


def _refuse_to_skip(error: OSError) -> None:
    # os.walk would pass over a folder that it may not list, and its photos would be missing without a word.
    raise InputError(
        f"{error.filename} cannot be searched ({error.strerror}); leave it out (--exclude, exclude)."
    ) from error


def _sniffed(path: Path) -> ImageFormat | None:
    """Return the format of a file by content; None for one that cannot be read (reading it will say why)."""
    return sniff_format(head_of(path))


def _check_targets(plan: Sequence[PlannedFile], *, overwrite: bool) -> None:
    sources = {_real(file.source) for file in plan}
    taken: dict[str, Path] = {}
    for file in plan:
        target = _real(file.target)
        key = os.path.normcase(target)
        if key in taken:
            raise OutputError(
                f"{taken[key]} and {file.source} would both become {file.target}; do them one by one, or leave one out "
                "(--exclude, exclude)."
            )
        taken[key] = file.source
        is_own = target == _real(file.source)
        if target in sources and not (is_own and overwrite):
            remedy = f"{OVERWRITE} or choose another output" if is_own else "choose another output"
            raise OutputError(f"{file.target} is itself one of the files; {remedy}.")
