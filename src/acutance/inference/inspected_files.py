"""Many photos inspected: what was seen in each, and one bad file never stops the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from acutance.errors import AcutanceError, OutputError
from acutance.inference.inspecting import look_at
from acutance.inference.inspection import Inspection, first_photo, inspection_of, worst_place
from acutance.media import DEFAULT_MAX_PIXELS, Photo, encode_photo, write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedFile:
    """What was seen in one photo."""

    source: Path
    inspection: Inspection | None = None
    """None where it cannot be read."""
    error: str = ""
    """Why, in one sentence."""
    thumbnail: Path | None = None
    """Where the softest place was written."""
    seconds: float = 0.0


def inspect_files(
    photos: Sequence[Path],
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    threads: int | None = None,
    thumbnails: Path | None = None,
    overwrite: bool = False,
) -> Iterator[InspectedFile]:
    """Look at photos one by one; of animations and pages at the first.

    Args:
        photos: Files.
        max_pixels: Larger ones are told as failed before they are decoded.
        threads: For the estimator; None is one per core.
        thumbnails: A folder, made if it is missing: the softest place of each photo is written there, as
            `<number>-<name>.png`, numbered in the order of the photos.
        overwrite: Replace thumbnails that exist.

    Yields:
        What was seen, in the order of the photos.

    Raises:
        OutputError: When the folder cannot be made.
    """
    if thumbnails is not None:
        try:
            thumbnails.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{thumbnails} cannot be made ({error.strerror}); choose another folder.") from error
    for number, path in enumerate(photos, start=1):
        start = time.perf_counter()
        target = None if thumbnails is None else thumbnails / f"{number:05d}-{path.stem}.png"
        try:
            photo = first_photo(path, max_pixels=max_pixels)
            inspection = inspection_of(look_at(photo.pixels, photo.metadata, alpha=photo.alpha, threads=threads))
            written = target if target is not None and _write(photo, inspection, target, overwrite=overwrite) else None
        except AcutanceError as error:
            yield InspectedFile(source=path, error=str(error), seconds=time.perf_counter() - start)
            continue
        except MemoryError:
            yield InspectedFile(source=path, error=f"{path}: not enough memory to look at it.")
            continue
        yield InspectedFile(source=path, inspection=inspection, thumbnail=written, seconds=time.perf_counter() - start)


def _write(photo: Photo, inspection: Inspection, target: Path, *, overwrite: bool) -> bool:
    """Write the softest place; False where there is none."""
    pixels = worst_place(photo, inspection)
    if pixels is None:
        return False
    write_atomically(target, [encode_photo(Photo(pixels=pixels), format="PNG")], overwrite=overwrite)
    return True
