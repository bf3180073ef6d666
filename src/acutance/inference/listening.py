"""Who is told what while a picture is worked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

Progress = Callable[[float], None]
"""Takes the share of the work done, 0 … 1."""

Found = Callable[[str], None]
"""Takes a sentence about what was found in a picture."""


def ignore(what: object) -> None:
    """Do nothing with what is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told; by default nobody is."""

    progress: Progress = ignore
    """Called with the share done, 0 … 1; may raise to break off."""
    found: Found = ignore
    """Called with a sentence, by models that look for what blurred the picture."""
    doing: Found = ignore
    """Called with the name of each phase as it begins, by such models."""
    chosen: Found = ignore
    """Called with the name of the model that runs; not called where the picture is left as it is."""
    orientation: int = 1
    """How the picture is turned when somebody looks at it, as EXIF says it: directions are told so."""
    reduced_by: int = 1
    """How many times as large it is then: lengths are told so."""

    def part(self, start: float, end: float) -> Listener:
        """Return the same, told the progress of a part as that of the whole."""
        return replace(self, progress=lambda share: self.progress(start + (end - start) * share))

    def phases(self) -> Callable[[float, str], None]:
        """Return what tells the share done and, where it is a new one, the name of the phase."""
        last = ""

        def tell(share: float, phase: str) -> None:
            nonlocal last
            self.progress(share)
            if phase != last:
                self.doing(phase)
            last = phase

        return tell


NOBODY: Final = Listener()
