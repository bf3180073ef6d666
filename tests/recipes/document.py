"""The recipes of CONTRIBUTING.md as data: the files they make, what they change in others, and their commands."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROGRAM = (sys.executable, "-c", "from acutance.cli.main import run; run()")
RUN_AS = {"acutance": PROGRAM, "python": (sys.executable,), "pytest": (sys.executable, "-m", "pytest")}


@dataclass(frozen=True)
class Block:
    """One fenced block of the document."""

    language: str
    path: str | None
    """The file that it makes or changes."""
    text: str


def recipes_of(document: str) -> dict[str, list[Block]]:
    """Return the blocks of each recipe by its title, in the order of the document."""
    recipes = {}
    for section in re.split(r"^## ", document, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        if title.startswith("Add "):
            recipes[title] = [Block(language, path or None, text) for language, path, text in BLOCK.findall(body)]
    return recipes


def changed(content: str, diff: str) -> str:
    """Do what a block of `+`, `-` and context lines says; every place must be there once.

    Raises:
        ValueError: When a place is missing or not unique; shows it.
    """
    for place in diff.split("@@\n"):
        lines = [(line[:1], line[1:] + "\n") for line in place.splitlines()]
        before = "".join(text for mark, text in lines if mark != "+")
        after = "".join(text for mark, text in lines if mark != "-")
        found = re.findall(rf"^(?={re.escape(before)})", content, re.MULTILINE)
        if not before or len(found) != 1:
            raise ValueError(f"these lines must be there once:\n{before}")
        content = ("\n" + content).replace("\n" + before, "\n" + after)[1:]
    return content


def make_edits(blocks: list[Block], folder: Path) -> None:
    """Write the new files of a recipe and change the others, below a folder."""
    for block in blocks:
        if block.path is None:
            continue
        path = folder / block.path
        if block.language == "diff":
            content = changed(path.read_text("utf-8"), block.text)
        else:
            assert not path.exists(), f"{block.path} is there already"
            content = block.text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")


def commands_of(blocks: list[Block]) -> list[list[str]]:
    """Return the commands of a recipe, as they are run here."""
    lines = "".join(block.text for block in blocks if block.language == "bash").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [[*RUN_AS[first], *rest] for first, *rest in words]
