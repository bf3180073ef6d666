"""A model opened once, at work on photos in memory and in strips; `Sharpener` adds whatever else holds a picture."""

from __future__ import annotations

from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import USUAL, Engine, EngineSettings
from acutance.engines.forked import open_for_processes
from acutance.errors import ConfigError
from acutance.geometry import Size
from acutance.imaging.convert import PixelType
from acutance.imaging.picture import Picture
from acutance.inference.arrays import opaque_picture
from acutance.inference.listening import Found, Listener, Progress, ignore
from acutance.inference.picture_settings import WHOLE, PictureSettings
from acutance.inference.restoring import PictureRestorer
from acutance.inference.streaming import memory_of_whole, restored_strips, tile_within
from acutance.inference.tiling import TileWatch
from acutance.media import DEFAULT_MAX_PIXELS, Photo, PictureFile, StripSource, open_pictures, with_new_thumbnail
from acutance.media.photo import turned
from acutance.ranges import number_within
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import AUTO, MODEL_FOR

if TYPE_CHECKING:
    from acutance.inference.automatic import AutomaticRestorer
    from acutance.inference.told import Region, ToldBlur

MAX_STREAMED_PIXELS = 10**12
"""Larger pictures are refused even in strips, unless the caller allows more: nobody has one."""

STRENGTHS = (0.0, 2.0)
"""Allowed strengths: 0 changes nothing, 1 is the network's answer, above 1 exaggerates."""


class PhotoSharpener:
    """A model opened once, for any number of photos, as `Sharpener` is; see there for threads and processes."""

    def __init__(
        self,
        model: str | Path = AUTO,
        engine: EngineSettings | Engine = USUAL,
        pictures: PictureSettings = WHOLE,
    ) -> None:
        """Open a model.

        Args:
            model: As `Sharpener` takes it.
            engine: How its network is run, or an opened engine.
            pictures: What is done with pictures.

        Raises:
            UnknownModel, ConfigError, EngineError: See `Sharpener`.
        """
        self.engine_settings = engine if isinstance(engine, EngineSettings) else USUAL
        """How the network is run, as it was asked for."""
        self._restorer: PictureRestorer | AutomaticRestorer
        if not isinstance(engine, EngineSettings):
            if not hasattr(engine, "spec"):
                raise ConfigError(f"engine {engine!r}: must be the name of an engine, or an opened one.")
            if pictures.signed_by is not None:
                raise ConfigError(
                    "signed_by: how an engine was opened cannot be told from it, so not be signed; name the engine."
                )
            self._restorer = PictureRestorer(engine, pictures)
        elif str(model) == AUTO and pictures.told is None:
            from acutance.inference.automatic import AutomaticRestorer  # what looks at a picture

            self._restorer = AutomaticRestorer(partial(open_for_processes, settings=engine, is_named=False), pictures)
        else:
            named = MODEL_FOR["moved"] if str(model) == AUTO else model  # the one that can be told
            self._restorer = PictureRestorer(open_for_processes(named, engine), pictures)

    @property
    def settings(self) -> PictureSettings:
        """What is done with pictures."""
        return self._restorer.settings

    @property
    def threads(self) -> int | None:
        """How many threads it was told to use; None: nothing was said."""
        return self.settings.threads

    @property
    def spec(self) -> ModelSpec:
        """What the model is; of `auto`, what the one for soft pictures is."""
        return self._restorer.spec

    @property
    def is_automatic(self) -> bool:
        """Whether each picture is looked at, and gets the model that suits it."""
        return not isinstance(self._restorer, PictureRestorer)

    @property
    def region(self) -> Region | None:
        """The part of each picture that is restored; None is the whole."""
        return self.settings.region

    @property
    def is_corrected(self) -> bool:
        """Whether photos are corrected by what was seen, where a model is at work that allows it."""
        return self.settings.corrects(self.spec)

    def for_frames(
        self, first: npt.NDArray[PixelType], alpha: npt.NDArray[PixelType] | None = None
    ) -> tuple[Self, tuple[str, ...]]:
        """Return the sharpener for all frames of a video or an animation: one model, by a look at the first of them.

        Returns:
            It, and what was seen and decided: nothing to say where the model was named. It must not be closed.
        """
        restorer, found = self._restorer.for_frames(Picture(first, alpha))
        return self._by(restorer), found

    @property
    def takes_parts(self) -> bool:
        """Whether a picture may be worked on in strips: not where the whole is looked at, or a region is restored."""
        return self.spec.takes_strips and self.region is None

    def told(self, blur: ToldBlur | None = None, *, region: Region | None = None) -> Self:
        """Return a sharpener for other pictures: the same opened model, and all of its settings but these two.

        It must not be closed: the engine belongs to this one.

        Raises:
            ConfigError: See `Sharpener`.
        """
        return self._by(self._restorer.with_settings(replace(self.settings, told=blur, region=region)))

    def watched(self, watch: TileWatch) -> Self:
        """Return the same sharpener, with somebody who looks at tiles as they are finished; it must not be closed.

        Only tiles of opaque pictures that are worked on as a whole, by a model that works tile by tile, are seen.
        """
        return self._by(self._restorer.watched(watch))

    def _by(self, restorer: PictureRestorer | AutomaticRestorer) -> Self:
        """Return a sharpener by what another one has opened."""
        other = copy(self)
        other._restorer = restorer
        return other

    @property
    def is_offloaded(self) -> bool:
        """See `Engine.is_offloaded`."""
        return self._restorer.engine.is_offloaded

    @property
    def max_pixels(self) -> int:
        """Pictures with more pixels are refused before they are decoded."""
        given = self.settings.max_pixels
        return DEFAULT_MAX_PIXELS if given is None else given

    def fits_as_whole(self, size: Size, *, row_bytes: int) -> bool:
        """Say whether a picture may be held as a whole, of which a row takes so many bytes."""
        needed = memory_of_whole(size, row_bytes=row_bytes, spec=self.spec, tile_px=self.settings.tile_of(self.spec))
        return needed <= self.settings.memory_bytes

    def opened(self, source: Path | bytes) -> AbstractContextManager[PictureFile]:
        """Open a file of pictures within the limits; see `open_pictures`."""
        streamed = MAX_STREAMED_PIXELS if self.settings.max_pixels is None else self.max_pixels
        return open_pictures(source, max_pixels=self.max_pixels, max_bits=16, max_streamed_pixels=streamed)

    def sharpen_photo(
        self,
        photo: Photo,
        *,
        strength: float = 1.0,
        progress: Progress | None = None,
        found: Found = ignore,
        doing: Found = ignore,
        chosen: Found = ignore,
    ) -> Photo:
        """Sharpen a photo: its colours, and its transparency where it has any; its metadata stay, the thumbnail is new.

        Grey photos stay grey. Colour under full transparency does not bleed into what is visible. Models that look for
        what blurred the photo, and `auto`, call `found` with a sentence, and `doing` with the name of each phase.
        `chosen` is called with the name of the model that ran, if one did.
        """
        if self._keeps_all(strength):
            return photo
        # What is told, and where, holds for a photo as it is looked at; so do the words on what is found.
        tag = photo.metadata.orientation
        orientation, said = (tag, 1) if self.settings.told or self.region else (1, tag)
        back = {6: 8, 8: 6}.get(orientation, orientation)  # a quarter turn is undone by the other one
        seen = Picture(photo.pixels, None if photo.is_opaque else photo.alpha)
        restored = self._restorer.restore(
            seen.each(lambda array: turned(array, orientation)),
            strength=strength,
            listener=Listener(progress=progress or ignore, found=found, doing=doing, chosen=chosen, orientation=said),
        ).each(lambda array: np.ascontiguousarray(turned(array, back)))
        return with_new_thumbnail(photo.with_pixels(*restored))

    def sharpen_strips(
        self, source: StripSource, *, strength: float = 1.0, progress: Progress | None = None
    ) -> StripSource:
        """Return the sharpened picture, to be read in strips: the pixels that `sharpen_photo` gives.

        Next to full transparency, the colours that are made up below it may differ: they come from fewer rows. JPEG's
        blocks are taken to begin where the picture does, as they do unless it was cut out of one.

        Raises:
            ConfigError: When the rows do not fit into the memory that was allowed, or the strength is out of range.
        """
        if self._keeps_all(strength):
            return source
        if not self.spec.takes_strips:
            raise ConfigError(f"model {self.spec.name}: looks at a picture as a whole, which strips are not.")
        if not self.takes_parts:
            raise ConfigError(f"region {self.region}: is restored in a picture as a whole, which strips are not.")
        tile_px = tile_within(
            source, self.spec, tile_px=self.settings.tile_of(self.spec), memory_bytes=self.settings.memory_bytes
        )
        return restored_strips(
            self._restorer.engine,
            source,
            strength=strength,
            tile_px=tile_px,
            corrects=self.is_corrected,
            threads=self.settings.pool_size,
            progress=progress,
        )

    def sharpen_pixels(
        self, pixels: npt.NDArray[PixelType], *, strength: float = 1.0, progress: Progress | None = None
    ) -> npt.NDArray[PixelType]:
        """Sharpen opaque pixels, and tell how far it is.

        Args:
            pixels: `h w 3` RGB or `h w 1` grey, gamma space; uint8, uint16, or float32 in [0, 1].
            strength: 0 … 2.
            progress: Called with the share done.

        Returns:
            The same shape (times the model's scale) and type.

        Raises:
            InputError: When the array is no such picture.
            ConfigError: When the strength is out of range.
        """
        picture = opaque_picture(pixels)
        if self._keeps_all(strength):
            return picture.copy()
        listener = Listener(progress=progress or ignore)
        return self._restorer.restore(Picture(picture), strength=strength, listener=listener).pixels

    def close(self) -> None:
        """Free the engine."""
        self._restorer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keeps_all(self, strength: float) -> bool:
        """Check the strength; return whether it leaves every pixel as it is."""
        return number_within("strength", strength, *STRENGTHS) == 0.0 and self.spec.scale == 1
