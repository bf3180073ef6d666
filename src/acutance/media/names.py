"""Names that a disk takes for one: `A.jpg` and `a.jpg`, or two ways to write the same accent.

Most disks of Windows and macOS, and memory cards, do not tell upper from lower case, and some not how an accent is
composed (NFC, NFD). A folder of a disk that does may hold both names, and their results would end in one file.
"""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from acutance.media.part_file import part_name
from acutance.media.patterns import folded


@dataclass(frozen=True, slots=True)
class Folding:
    """What a disk does not tell apart in names."""

    ignores_case: bool = False
    ignores_composition: bool = False

    def key(self, path: Path) -> str:
        """Return a string that is the same for the names of one file."""
        name = unicodedata.normalize("NFC", str(path)) if self.ignores_composition else str(path)
        return name.casefold() if self.ignores_case else name


def folding_of(folder: Path) -> Folding:
    """Find out, by a file that is made and removed again, what the disk of a folder does not tell apart.

    Where no file can be made, nothing can be replaced either: then it is said to tell all apart.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    probe = folder / unicodedata.normalize("NFC", part_name("-é"))
    try:
        with open(probe, "xb"):
            upper = probe.with_name(probe.name.replace("acutance", "ACUTANCE"))
            decomposed = probe.with_name(unicodedata.normalize("NFD", probe.name))
            return Folding(os.path.lexists(upper), os.path.lexists(decomposed))
    except OSError:
        return Folding()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def find_clashes(targets: Sequence[Path], *, probe: Callable[[Path], Folding] = folding_of) -> dict[Path, Path]:
    """Find among files to be written those whose name the disk takes for that of an earlier one.

    Args:
        targets: Different paths. Only where some differ in nothing but case or composition is the disk asked.
        probe: Tells what the disk of a folder does not tell apart.

    Returns:
        For each of them the path that it would replace.
    """
    alike: dict[str, list[Path]] = {}
    for target in targets:
        alike.setdefault(folded(str(target)), []).append(target)
    clashes: dict[Path, Path] = {}
    for group in alike.values():
        folding = probe(group[0].parent) if len(group) > 1 else Folding()
        first: dict[str, Path] = {}
        for target in group:
            earlier = first.setdefault(folding.key(target), target)
            if earlier != target:
                clashes[target] = earlier
    return clashes
