"""The one way of a file of pictures (a photo, an animation, pages): opened, sharpened one by one, written whole.

Everybody takes it: `Sharpener`, batches, pipes, the server, and workers on many machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from acutance.errors import ImageTooLarge
from acutance.inference.changes import Verdict, verdict_on
from acutance.inference.listening import NOBODY, Listener, ignore
from acutance.inference.photo_sharpener import PhotoSharpener
from acutance.media import (
    Fingerprint,
    ImageFormat,
    Patch,
    Photo,
    PictureFile,
    StripSource,
    can_be_streamed,
    check_holds,
    encode_pictures,
    encode_strips,
    encoder_threads,
    format_of,
    has_thumbnail,
    joined_parts,
    lost_in,
    lost_in_timing,
    parts_for_name,
    write_atomically,
)
from acutance.media.container import CREDENTIALS_LOST
from acutance.zoo.catalogue import MODEL_FOR

if TYPE_CHECKING:
    from acutance.inference.sealing import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the pictures of a file."""

    lost: tuple[str, ...] = ()
    """What the result's format could not hold, in words."""
    found: tuple[str, ...] = ()
    """What was found in them, in sentences: what blurred them, by models that look for that."""
    models: tuple[str, ...] = ()
    """The models that ran, by name; none where they were left as they are."""
    verdict: Verdict | None = None
    """What changed, and whether that was worth it; of several pictures in the first. None where it was not measured."""
    signed: tuple[str, ...] = ()
    """Who signed the file (C2PA), and what became of the photo's own manifest, in sentences; none where nobody did."""
    megapixels: float = 0.0
    """Of all pictures of the result."""

    @property
    def words(self) -> tuple[str, ...]:
        """What was found, what that changed, and who signed it, in sentences."""
        return (*self.found, *(() if self.verdict is None else (self.verdict.words,)), *self.signed)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult(Outcome):
    """What happened to one file."""

    source: Path
    target: Path
    status: Literal["done", "skipped", "failed"]
    """Skipped: an earlier run has finished it or, where `found` says so, it is sharp already."""
    error: str = ""
    """Why it failed: one sentence."""
    trust: tuple[str, ...] = ()
    """What was said of how far it can be trusted, in sentences, where that was asked for."""
    seconds: float = 0.0

    @property
    def facts(self) -> str:
        """What a person wants to know of a finished one, in a few words."""
        return f"{self.megapixels:.1f} megapixels"

    @property
    def notes(self) -> tuple[str, ...]:
        """What else a person should know, in sentences."""
        return (*self.words, *self.trust)


STDIN = Path("-")
"""The source of what has no name."""


def sharpen_file(
    sharpener: PhotoSharpener,
    source: Path | bytes,
    target: Path,
    *,
    strength: float = 1.0,
    overwrite: bool = False,
    listener: Listener = NOBODY,
    before_naming: Callable[[Fingerprint], None] = ignore,
    times_ns: tuple[int, int] | None = None,
    survives_power_loss: bool = True,
) -> FileResult:
    """Open a file of pictures, sharpen them, and write the result whole or not at all.

    Args:
        sharpener: The opened model.
        source: A file, or its content.
        target: Its name says the format.
        strength: See `Sharpener.__call__`.
        overwrite: Replace a target that exists.
        listener: Who is told of the work.
        before_naming: See `write_atomically`; the source has been read and closed by then, and may be replaced.
        times_ns: See `write_atomically`.
        survives_power_loss: See there.

    Raises:
        InputError: When a picture cannot be decoded, or would take more memory than is allowed.
        OutputError: When the target cannot hold the pictures, or cannot be written.
        EngineError: When the network cannot be run.
    """
    with encoder_threads(sharpener.threads), sharpener.opened(source) as pictures:

        def close(written: Fingerprint) -> None:
            pictures.close()
            before_naming(written)

        work = _Work(sharpener, pictures, format_of(target), strength, listener, target=target)
        parts = parts_for_name(target, work.parts())
        write_atomically(
            target,
            parts,
            overwrite=overwrite,
            before_naming=close,
            times_ns=times_ns,
            survives_power_loss=survives_power_loss,
        )
    made = work.outcome
    return FileResult(
        source=source if isinstance(source, Path) else STDIN,
        target=target,
        status="done",
        lost=made.lost,
        found=made.found,
        models=made.models,
        verdict=made.verdict,
        signed=made.signed,
        megapixels=made.megapixels,
    )


def sharpened_content(
    sharpener: PhotoSharpener,
    pictures: PictureFile,
    format_: ImageFormat | None = None,
    *,
    strength: float = 1.0,
    listener: Listener = NOBODY,
) -> tuple[bytes, Outcome]:
    """Sharpen the pictures of an open file into the content of another.

    Args:
        sharpener: The opened model.
        pictures: What to sharpen.
        format_: Of the result; None: their own.
        strength: See `sharpen_file`; what it raises, too.
        listener: See there.
    """
    work = _Work(sharpener, pictures, format_ or pictures.format, strength, listener)
    with encoder_threads(sharpener.threads):
        return joined_parts(work.parts()), work.outcome


class _Work:
    """The way from an open file to the content of its result; nothing is decoded before `parts` are asked for."""

    def __init__(
        self,
        sharpener: PhotoSharpener,
        pictures: PictureFile,
        format_: ImageFormat,
        strength: float,
        listener: Listener,
        *,
        target: Path | None = None,
    ) -> None:
        check_holds(pictures, format_)
        self._seal = _seal_of(sharpener, pictures, format_, strength=strength, target=target)
        self._sharpener = sharpener
        self._pictures = pictures
        self._format: ImageFormat = format_
        self._strength = strength
        self._listener = listener
        self._losses: dict[str, None] = {}
        self._found: dict[str, None] = {}
        self._chosen: dict[str, None] = {}
        self._verdict: Verdict | None = None
        self._pixels = 0

    @property
    def outcome(self) -> Outcome:
        """What became of the pictures; complete when all parts are written."""
        seal = self._seal
        kept = {CREDENTIALS_LOST} if seal is not None and seal.keeps_manifest else set[str]()
        return Outcome(
            lost=tuple(words for words in self._losses if words not in kept),
            found=tuple(self._found),
            models=tuple(self._chosen),
            verdict=self._verdict,
            signed=() if seal is None else seal.sentences,
            megapixels=self._pixels / 1e6,
        )

    def parts(self) -> Iterator[bytes | memoryview | Patch]:
        """Return the content of the result, made as it is asked for; see `sharpen_file` for what is raised."""
        parts = self._unsigned_parts()
        if self._seal is None:
            return parts
        from acutance.inference.sealing import Done

        return self._seal.parts(parts, lambda: Done(tuple(self._chosen), tuple(self._found)))

    def _unsigned_parts(self) -> Iterator[bytes | memoryview | Patch]:
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
        if source is None and (self._sharpener.settings.max_memory_mb is not None or pictures.is_too_large_as_whole):
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
            self._note("worked on in strips, which are not looked at: sharpened as a soft picture is")
        result = self._sharpener.sharpen_strips(source, strength=self._strength, progress=self._listener.progress)
        if result is not source:
            self._chosen[MODEL_FOR["soft"] if self._sharpener.is_automatic else self._sharpener.spec.name] = None
            if has_thumbnail(metadata):
                self._losses["a thumbnail of the result (that of the photo stays)"] = None
        self._pixels += result.size.pixels
        return encode_strips(result, metadata, self._format)

    def _sharpened(self) -> Iterator[Photo]:
        sharpener, count = self._sharpener, self._pictures.count
        for number, photo in enumerate(self._pictures.photos()):
            if number == 0 and self._pictures.animation is not None:
                sharpener, words = sharpener.for_frames(photo.pixels, photo.alpha)
                self._found.update(dict.fromkeys(words))
            listener = self._listener.part(number / count, (number + 1) / count)
            result = sharpener.sharpen_photo(
                photo,
                strength=self._strength,
                progress=listener.progress,
                found=self._note,
                doing=listener.doing,
                chosen=lambda name: self._chosen.update({name: None}),
            )
            if number == 0 and self._strength > 0:
                self._verdict = verdict_on(photo.pixels, result.pixels, found=tuple(self._found))
            listener.progress(1.0)  # what was stopped meanwhile is not coded
            del photo  # so that the input's pixels are freed
            self._losses.update(dict.fromkeys(lost_in(result, self._format)))
            self._pixels += result.size.pixels
            yield result
            del result

    def _note(self, sentence: str) -> None:
        self._found[sentence] = None


def _seal_of(
    sharpener: PhotoSharpener, pictures: PictureFile, format_: ImageFormat, *, strength: float, target: Path | None
) -> Seal | None:
    """Return what signs the result, if anybody is to; see `Seal`."""
    credential = sharpener.settings.signed_by
    if credential is None:
        return None
    from acutance.inference.sealing import Seal  # which few want

    return Seal(sharpener, credential, pictures, format_, strength=strength, target=target)
