"""Sharpening a file of pictures (a photo, an animation, pages) into the content of another, picture by picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from acutance.media import ImageFormat, Photo, PictureFile, check_holds, encode_pictures, lost_in, lost_in_timing

if TYPE_CHECKING:
    from acutance.inference.sharpener import Progress, Sharpener


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
    ) -> None:
        """Check that the format can hold the pictures.

        Args:
            sharpener: The opened model.
            pictures: What to sharpen.
            format_: Of the result.
            strength: See `Sharpener.__call__`.
            progress: Called with the share of the file that is done, 0 … 1.

        Raises:
            OutputError: When the format holds one picture, and there are several.
        """
        check_holds(pictures, format_)
        self._sharpener = sharpener
        self._pictures = pictures
        self._format: ImageFormat = format_
        self._strength = strength
        self._progress = progress
        self._losses: dict[str, None] = {}
        self._pixels = 0

    @property
    def lost(self) -> tuple[str, ...]:
        """What the format could not hold, in words; complete when all parts are written."""
        return tuple(self._losses)

    @property
    def megapixels(self) -> float:
        """Of all pictures of the result; complete when all parts are written."""
        return self._pixels / 1e6

    def parts(self) -> Iterator[bytes | memoryview]:
        """Yield the content of the result.

        Raises:
            InputError: When a picture cannot be decoded.
            OutputError: When one cannot be coded.
            EngineError: When the network cannot be run.
        """
        animation = self._pictures.animation
        if animation is not None:
            self._losses.update(dict.fromkeys(lost_in_timing(animation, self._format)))
        return encode_pictures(self._sharpened(), self._format, count=self._pictures.count, animation=animation)

    def _sharpened(self) -> Iterator[Photo]:
        for number, photo in enumerate(self._pictures.photos()):
            # Rebound, so that the input's pixels are freed.
            photo = self._sharpener.sharpen_photo(  # noqa: PLW2901
                photo, strength=self._strength, progress=self._share(number)
            )
            self._losses.update(dict.fromkeys(lost_in(photo, self._format)))
            self._pixels += photo.size.pixels
            yield photo

    def _share(self, number: int) -> Progress | None:
        tell = self._progress
        if tell is None:
            return None
        return lambda share: tell((number + share) / self._pictures.count)
