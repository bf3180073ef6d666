"""Options that several verbs share, defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.engines.engine import EngineName, Ensemble, Precision


def given_name(text: str) -> str:
    """Return the name of a file or folder as it was given.

    Raises:
        typer.BadParameter: When it is empty, as an unset variable of the shell is: that would mean the current folder.
    """
    if not text:
        raise typer.BadParameter("the name is empty; name a file or a folder (. is the current one).")
    return text


def given_path(text: str | Path) -> Path:
    """Return the path that a name means; see `given_name`."""
    return Path(given_name(str(text)) if isinstance(text, str) else text)


def model_names(begun: str) -> list[str]:
    """Return the names of models that begin so, for the completion of the shell."""
    from acutance.zoo.catalogue import AUTO, list_models

    return [name for name in (*(row.name for row in list_models()), AUTO) if name.startswith(begun)]


Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A model's name (see: acutance models), an .onnx file, or auto: what suits each.",
        autocompletion=model_names,
    ),
]
Engine = Annotated[
    EngineName, typer.Option(help="What runs the network; auto: the fastest here, tried once and remembered.")
]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="Arithmetic; auto: the fastest that the processor is made for."),
]
EnsembleOption = Annotated[
    Ensemble,
    typer.Option(
        "--ensemble",
        help="Mean over so many orientations: nearer to the truth (0.1 to 0.4 dB at 8), in as many times the time.",
    ),
]
BackProjection = Annotated[
    bool | None,
    typer.Option(
        "--back-projection/--no-back-projection",
        help="Blur the result again, and correct it by how far that is from the photo; on for acutance's own models. "
        "Nearer to the truth (0.1 to 1 dB), in about a third more time.",
    ),
]
Strength = Annotated[
    float, typer.Option("--strength", "-s", min=0.0, max=2.0, help="0 changes nothing, 1 is the network's answer.")
]
Fidelity = Annotated[
    float,
    typer.Option(
        "--fidelity",
        "-f",
        min=0.0,
        max=1.0,
        help="1 adds no texture of its own (small marks may be wrong); 0 is the crispest.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads, of the encoder of a HEIC or AVIF, too; default one per physical core, at most one per CPU.",
    ),
]
Tile = Annotated[
    int | None,
    typer.Option(min=32, help="Side of the tiles in px: less memory when smaller; the result is the same."),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, help="Refuse pictures with more pixels (protects against decompression bombs)."),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Only photos whose name, or path below the folder, matches: '*.jpg', 'day1/**'. Repeatable.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN", help="No photos or folders that match, even if included: 'raw', '*_old.*'. Repeatable."
    ),
]
Jobs = Annotated[
    int,
    typer.Option("--jobs", "-j", min=1, help="Files in work at once. They share the threads; each takes its memory."),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Skip what an earlier run finished; renew results whose photo or settings have changed.",
    ),
]
NoRecord = Annotated[
    bool,
    typer.Option("--no-record", help="Leave no .acutance.jsonl beside a folder's results; --resume needs it."),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        min=200,
        help="About how much may be taken, in MB. A picture that needs more is worked on in strips, or refused.",
    ),
]
OnlyIfBlurred = Annotated[
    bool, typer.Option("--only-if-blurred", help="Write no result for photos that are sharp already.")
]
KeepTime = Annotated[bool, typer.Option("--keep-time", help="Give each result the time of its photo.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what failed; no progress, no summary.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say which files would be written, and what would fail; write nothing."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
