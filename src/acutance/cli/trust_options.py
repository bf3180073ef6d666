"""Options of `acutance sharpen` about what can be trusted: where maps and records go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.options import given_name
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.media import PlannedFile

MapOption = Annotated[
    str | None,
    typer.Option(
        "--map",
        parser=given_name,
        metavar="PATH",
        help="Write a picture of how far each pixel may be off: black is certain, yellow a guess. Of several photos: a "
        "folder.",
    ),
]
ReportOption = Annotated[
    str | None,
    typer.Option(
        "--report",
        parser=given_name,
        metavar="PATH",
        help="Write how the result was made and what in it can be trusted, for acutance verify: out.json, or a page to "
        "read, out.html. Of several photos: a folder.",
    ),
]


TOLD = ("motion", "defocus", "gaussian", "kernel", "region")
"""Options of which a record would have to hold more than it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustOptions:
    """What is to be written about the results."""

    model: str
    strength: float
    overwrite: bool
    map_to: str | None
    report: str | None

    @classmethod
    def of(cls, context: typer.Context, *, is_pipe: bool) -> TrustOptions:
        """Gather what was given on the command line of `acutance sharpen`.

        Args:
            context: With its options.
            is_pipe: Whether what is sharpened comes from a pipe or a camera, or goes to a pipe.

        Raises:
            ConfigError: When there is nothing to compare, or more was told than a record holds.
        """
        given = context.params
        wanted = cls(**{field.name: given[field.name] for field in fields(cls)})
        if is_pipe:
            wanted.refuse_any("a camera or a pipe leaves no files behind that could be compared")
        if any(given[name] is not None for name in TOLD):
            options = ", ".join(f"--{name}" for name in TOLD)
            wanted.refuse_any(f"is for whole photos, with no blur told ({options})")
        return wanted

    @property
    def has_any(self) -> bool:
        """Whether anything is."""
        return self.map_to is not None or self.report is not None

    def refuse_any(self, reason: str) -> None:
        """Refuse the options where they cannot be kept.

        Raises:
            ConfigError: When one is given.
        """
        for name, value in (("--map", self.map_to), ("--report", self.report)):
            if value is not None:
                raise ConfigError(f"{name}: {reason}; leave it out.")

    def check(self, plan: Sequence[PlannedFile]) -> None:
        """Refuse, before any work, what could not be written.

        Raises:
            ConfigError: When there is a video, or one file for several photos.
            OutputError: When a file is there already, or cannot have its name.
        """
        from acutance.media import check_target, format_of

        if self.map_to is not None and self.strength == 0:
            raise ConfigError("--map: strength 0 changes nothing, so there is nothing to map; leave it out.")
        if any(file.kind == "video" for file in plan):
            self.refuse_any("is for photos, and there is a video among the files")
        taken = {os.path.abspath(path) for file in plan for path in (file.source, file.target)}
        targets = [file.target for file in plan]
        for target in targets:
            for name, path in (("--map", self.map_of(target, targets)), ("--report", self.report_of(target, targets))):
                if path is None:
                    continue
                if os.path.abspath(path) in taken:
                    raise ConfigError(f"{name} {path}: is the name of a photo or a result; choose another.")
                taken.add(os.path.abspath(path))
                if name == "--map":
                    format_of(path)
                elif path.suffix.lower() not in (".json", ".html", ".htm"):
                    raise ConfigError(f"--report {path}: a record ends in .json, or in .html for a page; rename it.")
                check_target(path, overwrite=self.overwrite)

    def map_of(self, target: Path, targets: Sequence[Path]) -> Path | None:
        """Return where the map of a result goes; None for none.

        Raises:
            ConfigError: When several would go to one file.
        """
        return _place("--map", self.map_to, target, targets, ".map.png")

    def report_of(self, target: Path, targets: Sequence[Path]) -> Path | None:
        """Return where the record of a result goes; see `map_of`."""
        return _place("--report", self.report, target, targets, ".json")


def _place(name: str, path: str | None, target: Path, targets: Sequence[Path], suffix: str) -> Path | None:
    if path is None:
        return None
    if not (path.endswith(("/", "\\")) or os.path.isdir(path)):
        if len(targets) > 1:
            raise ConfigError(f"{name} {path}: there are {len(targets)} photos; name a folder for all, as in {path}/.")
        return Path(path)
    # Below the folder as the results lie below the folder that they share: names may be alike in two folders.
    shared = os.path.commonpath([os.path.abspath(one.parent) for one in targets])
    below = os.path.relpath(os.path.abspath(target.parent), shared)
    return Path(path) / below / f"{target.name}{suffix}"
