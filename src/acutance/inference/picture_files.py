"""Sharpening a file of pictures (a photo, an animation, pages) into the content of another, picture by picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from acutance.errors import ImageTooLarge, InputError
from acutance.inference.changes import Verdict, verdict_on
from acutance.inference.restoring import Found, Progress, ignore
from acutance.media import (
    ImageFormat,
    Patch,
    Photo,
    PictureFile,
    StripSource,
    can_be_streamed,
    check_holds,
    check_target,
    encode_pictures,
    encode_strips,
    format_of,
    has_thumbnail,
    lost_in,
    lost_in_timing,
    parts_for_name,
    plan_outputs,
    write_atomically,
)
from acutance.zoo.catalogue import MODEL_FOR

if TYPE_CHECKING:
    from acutance.inference.sharpener import Sharpener


class PictureWork:
    """The way from an open file to the content of its result; nothing is decoded before `parts` is asked for."""

    def __init__(
        self,
        sharpener: Sharpener,
        pictures: PictureFile,
        format_: ImageFormat,
        *,
        strength: float = 1.0,
        progress: Progress | None = None,
        doing: Found = ignore,
    ) -> None:
        """Check that the format can hold the pictures.

        Args:
            sharpener: The opened model.
            pictures: What to sharpen.
            format_: Of the result.
            strength: See `Sharpener.__call__`.
            progress: Called with the share of the file that is done, 0 … 1.
            doing: Called with the name of each phase of the work, by models that look for what blurred it.

        Raises:
            OutputError: When the format holds one picture, and there are several.
        """
        check_holds(pictures, format_)
        self._sharpener = sharpener
        self._pictures = pictures
        self._format: ImageFormat = format_
        self._strength = strength
        self._progress = progress
        self._doing = doing
        self._losses: dict[str, None] = {}
        self._found: dict[str, None] = {}
        self._chosen: dict[str, None] = {}
        self._verdict: Verdict | None = None
        self._pixels = 0

    @property
    def lost(self) -> tuple[str, ...]:
        """What the format could not hold, in words; complete when all parts are written."""
        return tuple(self._losses)

    @property
    def found(self) -> tuple[str, ...]:
        """What was found in the pictures, in sentences; complete when all parts are written."""
        return tuple(self._found)

    @property
    def models(self) -> tuple[str, ...]:
        """The models that ran, by name; complete when all parts are written."""
        return tuple(self._chosen)

    @property
    def verdict(self) -> Verdict | None:
        """What changed in the first picture, and whether that was worth it; None where it was not measured."""
        return self._verdict

    @property
    def megapixels(self) -> float:
        """Of all pictures of the result; complete when all parts are written."""
        return self._pixels / 1e6

    def parts(self) -> Iterator[bytes | memoryview | Patch]:
        """Return the content of the result, made as it is asked for.

        Raises:
            InputError: When a picture cannot be decoded, or would take more memory than is allowed.
            OutputError: When one cannot be coded.
            EngineError: When the network cannot be run.
        """
        source = self._in_strips()
        if source is not None:
            return self._streamed(source)
        animation = self._pictures.animation
        if animation is not None:
            self._losses.update(dict.fromkeys(lost_in_timing(animation, self._format)))
        return encode_pictures(self._sharpened(), self._format, count=self._pictures.count, animation=animation)

    def _in_strips(self) -> StripSource | None:
        """Return the picture, if it is to be worked on in strips.

        Raises:
            ImageTooLarge: When it should be, and cannot.
        """
        pictures = self._pictures
        fits = self._sharpener.fits_as_whole(pictures.size, row_bytes=pictures.row_bytes)
        if fits and not pictures.is_too_large_as_whole:
            return None
        is_possible = can_be_streamed(pictures.metadata, self._format) and self._sharpener.takes_parts
        source = pictures.strips() if is_possible else None
        # Now it is known whether there is transparency.
        is_small = source is not None and self._sharpener.fits_as_whole(source.size, row_bytes=source.row_bytes)
        if is_small and not pictures.is_too_large_as_whole:
            return None
        if source is None and (self._sharpener.has_memory_limit or pictures.is_too_large_as_whole):
            spec = self._sharpener.spec
            reason, way_out = f"as {pictures.format} to {self._format}", "TIFF or PNG"
            if not spec.takes_strips:
                reason, way_out = f"by model {spec.name}, which looks at the whole", "another --model"
            elif not self._sharpener.takes_parts:
                reason, way_out = "where a region is restored", "the whole picture"
            raise ImageTooLarge(
                f"{pictures.name} has {pictures.size.width}×{pictures.size.height} px, more than fits into the memory "
                f"allowed, and cannot be worked on in strips {reason}; raise --max-memory and --max-pixels, or choose "
                f"{way_out}."
            )
        return source

    def _streamed(self, source: StripSource) -> Iterator[bytes | memoryview | Patch]:
        metadata = self._pictures.metadata
        alpha = np.zeros((1, 1), np.uint8) if source.has_alpha else None
        sample = Photo(pixels=np.zeros((1, 1, source.colours), np.uint8), alpha=alpha, metadata=metadata)
        self._losses.update(dict.fromkeys(lost_in(sample, self._format)))
        if self._sharpener.is_automatic:
            self._tell("worked on in strips, which are not looked at: sharpened as a soft picture is")
        self._chosen[MODEL_FOR["soft"] if self._sharpener.is_automatic else self._sharpener.spec.name] = None
        result = self._sharpener.sharpen_strips(source, strength=self._strength, progress=self._progress)
        if result is not source and has_thumbnail(metadata):
            self._losses["a thumbnail of the result (that of the photo stays)"] = None
        self._pixels += result.size.pixels
        return encode_strips(result, metadata, self._format)

    def _sharpened(self) -> Iterator[Photo]:
        sharpener = self._sharpener
        for number, photo in enumerate(self._pictures.photos()):
            if number == 0 and self._pictures.animation is not None:
                sharpener, words = sharpener.for_frames(photo.pixels)
                self._found.update(dict.fromkeys(words))
            result = sharpener.sharpen_photo(
                photo,
                strength=self._strength,
                progress=self._share(number),
                found=self._tell,
                doing=self._doing,
                chosen=lambda name: self._chosen.update({name: None}),
            )
            if number == 0 and self._strength > 0:
                self._verdict = verdict_on(photo.pixels, result.pixels, found=self.found)
            (self._share(number) or ignore)(1.0)  # what was stopped meanwhile is not coded
            del photo  # so that the input's pixels are freed
            self._losses.update(dict.fromkeys(lost_in(result, self._format)))
            self._pixels += result.size.pixels
            yield result
            del result

    def _tell(self, sentence: str) -> None:
        self._found[sentence] = None

    def _share(self, number: int) -> Progress | None:
        tell = self._progress
        if tell is None:
            return None
        return lambda share: tell((number + share) / self._pictures.count)


def sharpen_file(
    sharpener: Sharpener, path: Path, output: str | Path | None, *, strength: float, overwrite: bool
) -> Path:
    """Sharpen a photo into a file; see `Sharpener.__call__`."""
    (planned,) = plan_outputs([path], None if output is None else Path(output), overwrite=overwrite)
    if planned.kind == "video":
        raise InputError(f"{path} is a video: acutance.videos.sharpen_video sharpens it, and acutance sharpen does.")
    check_target(planned.target, overwrite=overwrite)
    with sharpener.opened(planned.source) as pictures:
        work = PictureWork(sharpener, pictures, format_of(planned.target), strength=strength)
        parts = parts_for_name(planned.target, work.parts())
        write_atomically(planned.target, parts, overwrite=overwrite, before_naming=lambda _: pictures.close())
    return planned.target
