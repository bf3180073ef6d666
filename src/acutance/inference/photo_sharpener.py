"""A model opened once, at work on photos in memory and in strips; `Sharpener` adds whatever else holds a picture."""

from __future__ import annotations

from contextlib import AbstractContextManager
from copy import copy
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import Engine, EngineName, Precision
from acutance.engines.ensemble import Ensemble
from acutance.engines.forked import open_for_processes
from acutance.engines.processor import usable_cpus, within_cpus
from acutance.errors import ConfigError
from acutance.geometry import Size
from acutance.imaging.convert import PixelType
from acutance.inference.back_projecting import is_corrected
from acutance.inference.listening import Found, Listener, Progress, ignore
from acutance.inference.memory import allowed_bytes, check_limits
from acutance.inference.restoring import PictureRestorer
from acutance.inference.streaming import memory_of_whole, restored_strips, tile_within
from acutance.inference.tiling import DEFAULT_TILE_PX, SMALLEST_TILE_PX, TileWatch
from acutance.inference.told import Region, ToldBlur, check_kinds, model_for
from acutance.media import DEFAULT_MAX_PIXELS, Photo, PictureFile, StripSource, open_pictures, with_new_thumbnail
from acutance.media.photo import turned
from acutance.ranges import number_within, whole_number
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import AUTO

if TYPE_CHECKING:
    from acutance.inference.automatic import AutomaticRestorer

MAX_STREAMED_PIXELS = 10**12
"""Larger pictures are refused even in strips, unless the caller allows more: nobody has one."""

STRENGTHS = (0.0, 2.0)
"""Allowed strengths: 0 changes nothing, 1 is the network's answer, above 1 exaggerates."""


class PhotoSharpener:
    """A model opened once, for any number of photos, as `Sharpener` is; see there for threads and processes."""

    def __init__(
        self,
        model: str | Path = AUTO,
        *,
        fidelity: float = 1.0,
        engine: EngineName | Engine = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        tile_px: int | None = None,
        max_pixels: int | None = None,
        max_memory_mb: int | None = None,
        told: ToldBlur | None = None,
        region: Region | None = None,
        ensemble: Ensemble = 1,
        back_projection: bool | None = None,
    ) -> None:
        """Open a model.

        Args:
            model: Name of a model, or path of an ONNX file: exported by acutance, or by others (`engines.foreign`);
                `auto` looks at each picture and takes the model that suits it, or leaves it as it is.
            fidelity: 1 is the network trained for truth, which adds no texture; 0 the one trained for perception, the
                crispest; between them their weights are blended.
            engine: `auto`, the fastest here; `cpu`; `gpu`; one by its name (see `acutance doctor`), such as `openvino`;
                or an opened engine (then the other settings of the network do not matter).
            precision: Of the arithmetic: `float32`, `bfloat16` (faster, of OpenVINO), `float16` (of devices such as a
                GPU), or `auto`, which takes the fastest that the processor is made for.
            threads: Threads for one run, at most one per CPU for this process; None is one per physical core.
            tile_px: Side of the tiles, a matter of memory and speed only; None for the measured default.
            max_pixels: Larger pictures are refused before they are decoded. None: above 250 megapixels, unless a file
                can be worked on in strips, when it may have any size.
            max_memory_mb: About what the process may take, in MB. Pictures that would need more are worked on in
                strips, from file to file; where that is not possible, they are refused. None: 2000, or three quarters
                of what the machine or the container has, and these are not refused.
            told: What blurred the pictures, for the model `motion`, which then does not look for it.
            region: Restore this part of each picture, and fade into the rest; `motion` looks for what blurred the part.
            ensemble: Mean over so many orientations of the picture, 1, 2, 4 or 8: nearer to the truth by 0.1 to 0.4 dB
                at 8, in as many times the time. Not of an opened engine.
            back_projection: Whether what the network gives is blurred again, and corrected by how far that is from what
                was seen: 0.1 to 1 dB nearer to the truth where the blur is even, in a third more time; never of
                videos, regions or motion, nor of what is enlarged. None: of acutance's own models.

        Raises:
            UnknownModel: When there is no such model.
            ConfigError: When a setting is out of range, or the model has no perceptual weights to give, cannot be told,
                or enlarges while a region is asked for.
            EngineError: When the engine is not installed.
        """
        if tile_px is not None:
            tile_px = whole_number("tile", tile_px, low=SMALLEST_TILE_PX, unit=" px")
        within_cpus(threads)
        check_limits(max_pixels=max_pixels, max_memory_mb=max_memory_mb)
        check_kinds(told, region)
        self._tile_px = tile_px or DEFAULT_TILE_PX
        self._told, self._region = told, region
        self._threads, self._back_projection = threads, back_projection
        self._max_pixels = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
        self._max_streamed_pixels = MAX_STREAMED_PIXELS if max_pixels is None else max_pixels
        self._max_memory_mb = max_memory_mb
        self._auto: AutomaticRestorer | None = None
        if isinstance(engine, str):
            name = model_for(told, model)
            open_model = partial(
                open_for_processes,
                model=name,
                fidelity=fidelity,
                engine=engine,
                precision=precision,
                threads=threads,
                ensemble=ensemble,
            )
            if str(name) == AUTO:
                from acutance.inference.automatic import AutomaticRestorer  # what looks at a picture

                self._auto = AutomaticRestorer(
                    open_model,
                    tile_px=self._tile_px,
                    threads=threads,
                    max_memory_mb=max_memory_mb,
                    region=region,
                    back_projection=back_projection,
                )
            self._engine = open_model(name) if self._auto is None else self._auto.engine("soft")
        elif hasattr(engine, "spec"):
            self._engine = engine
        else:
            raise ConfigError(f"engine {engine!r}: must be the name of an engine, or an opened one.")
        if self._auto is None:
            self._tile_px = tile_px or self._engine.spec.tile_px or DEFAULT_TILE_PX
        self._restorer = self._auto or self._at_work(self._engine)

    @property
    def threads(self) -> int | None:
        """How many threads it was told to use; None: nothing was said."""
        return self._threads

    @property
    def spec(self) -> ModelSpec:
        """What the model is; of `auto`, what the one for soft pictures is."""
        return self._engine.spec if self._auto is None else self._auto.spec

    @property
    def is_automatic(self) -> bool:
        """Whether each picture is looked at, and gets the model that suits it."""
        return self._auto is not None

    @property
    def region(self) -> Region | None:
        """The part of each picture that is restored; None is the whole."""
        return self._region

    @property
    def is_corrected(self) -> bool:
        """Whether photos are corrected by what was seen, where a model is at work that allows it."""
        return self._region is None and is_corrected(self.spec, wanted=self._back_projection)

    def for_frames(
        self, first: npt.NDArray[PixelType], alpha: npt.NDArray[PixelType] | None = None
    ) -> tuple[Self, tuple[str, ...]]:
        """Return the sharpener for all frames of a video or an animation: one model, by a look at the first of them.

        Returns:
            It, and what was seen and decided: nothing to say where the model was named. It must not be closed.
        """
        other = copy(self)
        found: tuple[str, ...] = ()
        if self._auto is not None:
            engine, words = self._auto.for_frames(first, alpha)
            other, found = self._by(engine, region=self._region), (words,)
        if isinstance(other._restorer, PictureRestorer):
            other._restorer = other._restorer.for_frames(first)
        return other, found

    @property
    def takes_parts(self) -> bool:
        """Whether a picture may be worked on in strips: not where the whole is looked at, or a region is restored."""
        return self.spec.takes_strips and self._region is None

    def told(self, blur: ToldBlur | None = None, *, region: Region | None = None) -> Self:
        """Return a sharpener for other pictures: the same opened model, and all of its settings but these two.

        It must not be closed: the engine belongs to this one.

        Raises:
            ConfigError: See `Sharpener`.
        """
        check_kinds(blur, region)
        if self._auto is None:
            return self._by(self._engine, told=blur, region=region)
        if blur is not None:
            return self._by(self._auto.engine("moved"), told=blur, region=region)
        other = copy(self)
        other._region = region
        other._auto = other._restorer = self._auto.with_region(region)
        return other

    def watched(self, watch: TileWatch) -> Self:
        """Return the same sharpener, with somebody who looks at tiles as they are finished; it must not be closed.

        Only tiles of opaque pictures that are worked on as a whole, by a model that works tile by tile, are seen.
        """
        other = copy(self)
        if self._auto is not None:
            other._auto = other._restorer = self._auto.watched(watch)
        elif isinstance(self._restorer, PictureRestorer):
            other._restorer = self._restorer.watched(watch)
        return other

    def _by(self, engine: Engine, *, told: ToldBlur | None = None, region: Region | None = None) -> Self:
        """Return a sharpener with these settings but for what is given; the engine is not its own."""
        other = copy(self)
        other._auto, other._engine, other._told, other._region = None, engine, told, region
        other._restorer = other._at_work(engine)
        return other

    def _at_work(self, engine: Engine) -> PictureRestorer:
        return PictureRestorer(
            engine,
            tile_px=self._tile_px,
            threads=self._threads,
            told=self._told,
            region=self._region,
            back_projection=self._back_projection,
        )

    @property
    def is_offloaded(self) -> bool:
        """See `Engine.is_offloaded`."""
        return self._engine.is_offloaded

    @property
    def max_pixels(self) -> int:
        """Pictures with more pixels are refused before they are decoded."""
        return self._max_pixels

    def fits_as_whole(self, size: Size, *, row_bytes: int) -> bool:
        """Say whether a picture may be held as a whole, of which a row takes so many bytes."""
        needed = memory_of_whole(size, row_bytes=row_bytes, spec=self.spec, tile_px=self._tile_px)
        return needed <= allowed_bytes(self._max_memory_mb)

    @property
    def has_memory_limit(self) -> bool:
        """Whether it was said how much memory may be taken."""
        return self._max_memory_mb is not None

    def opened(self, source: Path | bytes) -> AbstractContextManager[PictureFile]:
        """Open a file of pictures within the limits; see `open_pictures`."""
        return open_pictures(
            source, max_pixels=self._max_pixels, max_bits=16, max_streamed_pixels=self._max_streamed_pixels
        )

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
        orientation, said = (tag, 1) if self._told or self._region else (1, tag)
        back = {6: 8, 8: 6}.get(orientation, orientation)  # a quarter turn is undone by the other one
        pixels, alpha = self._restorer.restore(
            turned(photo.pixels, orientation),
            None if photo.alpha is None or photo.is_opaque else turned(photo.alpha, orientation),
            strength=strength,
            listener=Listener(progress=progress or ignore, found=found, doing=doing, chosen=chosen, orientation=said),
        )
        pixels = np.ascontiguousarray(turned(pixels, back))
        if alpha is None:
            return with_new_thumbnail(photo.with_pixels(pixels))
        return with_new_thumbnail(photo.with_pixels(pixels, np.ascontiguousarray(turned(alpha, back))))

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
            raise ConfigError(f"region {self._region}: is restored in a picture as a whole, which strips are not.")
        tile_px = tile_within(source, self.spec, tile_px=self._tile_px, memory_bytes=allowed_bytes(self._max_memory_mb))
        return restored_strips(
            self._engine,
            source,
            strength=strength,
            tile_px=tile_px,
            corrects=self.is_corrected,
            threads=within_cpus(self._threads) or usable_cpus(),
            progress=progress,
        )

    def close(self) -> None:
        """Free the engine."""
        (self._auto or self._engine).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keeps_all(self, strength: float) -> bool:
        """Check the strength; return whether it leaves every pixel as it is."""
        return number_within("strength", strength, *STRENGTHS) == 0.0 and self.spec.scale == 1
