"""Many files, one after the other: what happened to each is told, and one bad file never stops the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from acutance.errors import AcutanceError
from acutance.inference.sharpener import Sharpener
from acutance.media import PlannedFile, check_target, format_of, lost_in, read_photo, write_photo


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What happened to one file."""

    source: Path
    target: Path
    status: Literal["done", "failed"]
    error: str = ""
    """Why it failed: one sentence."""
    lost: tuple[str, ...] = ()
    """What the target's format could not hold, in words."""
    megapixels: float = 0.0
    seconds: float = 0.0


def sharpen_files(
    sharpener: Sharpener,
    plan: Sequence[PlannedFile],
    *,
    strength: float = 1.0,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Iterator[FileResult]:
    """Sharpen files in order and yield what happened to each.

    A file is written whole or not at all. Errors that concern one file (unreadable, too large, target taken, disk full)
    are told in its result, and the next file follows.

    Args:
        sharpener: The opened model.
        plan: Sources and targets.
        strength: See `Sharpener.__call__`.
        overwrite: Replace targets that exist.
        progress: Called with the share of all files done, 0 … 1.
    """
    for index, file in enumerate(plan):
        start = time.perf_counter()

        def tell(share: float, done: int = index) -> None:
            if progress is not None:
                progress((done + share) / len(plan))

        try:
            check_target(file.target, overwrite=overwrite)
            photo = read_photo(file.source, max_pixels=sharpener.max_pixels, max_bits=16)
            photo = sharpener.sharpen_photo(photo, strength=strength, progress=tell)
            lost = lost_in(photo, format_of(file.target))
            write_photo(photo, file.target, overwrite=overwrite)
        except AcutanceError as error:
            yield FileResult(source=file.source, target=file.target, status="failed", error=str(error))
        except MemoryError:
            words = f"{file.source}: not enough memory; close other programs, or use a smaller --tile."
            yield FileResult(source=file.source, target=file.target, status="failed", error=words)
        else:
            yield FileResult(
                source=file.source,
                target=file.target,
                status="done",
                lost=lost,
                megapixels=photo.size.pixels / 1e6,
                seconds=time.perf_counter() - start,
            )
        tell(1.0)
