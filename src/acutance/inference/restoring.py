"""An engine at work on whole pictures: in colour and grey, with and without transparency."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import Engine
from acutance.estimation.blocks import BLOCK_PX, first_block
from acutance.geometry import Box, with_halo
from acutance.imaging.blend import blend
from acutance.imaging.convert import PixelType, to_float, to_type
from acutance.imaging.picture import Picture
from acutance.imaging.reduction import changed_at_fraction
from acutance.imaging.response import Response
from acutance.inference.back_projecting import corrected
from acutance.inference.listening import NOBODY, Listener, Progress, ignore
from acutance.inference.picture_settings import WHOLE, PictureSettings
from acutance.inference.tiling import TileWatch, restore_tiled

if TYPE_CHECKING:
    from acutance.inference.found_blur import Found
    from acutance.inference.told import ToldBlur

SHARPENING = "sharpening"
"""The phase in which the network runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise:
    """What is done where a model that looks for what blurred a picture cannot undo it."""

    restorer: PictureRestorer
    """Restores the picture then."""
    words: str
    """What is told then."""
    is_believed: Callable[[Found], bool]
    """Asked whether what was found is to be undone."""

    def believes(self, blur: Found | None) -> bool:
        """Say whether something was found, and is to be undone."""
        return blur is not None and self.is_believed(blur)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is wanted of one picture; see `PictureRestorer.restore`."""

    strength: float
    listener: Listener
    otherwise: Otherwise | None
    whole: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
    """The picture, of which only a part may be restored."""
    place: Box
    """What is restored, in it."""


class PictureRestorer:
    """Restores whole pictures. Immutable, and safe to use from several threads."""

    def __init__(self, engine: Engine, settings: PictureSettings = WHOLE, *, grain_levels: float = 0.0) -> None:
        """Put an engine to work.

        Args:
            engine: The opened model.
            settings: What is done with pictures.
            grain_levels: Of grain that the pictures are known to have, in levels of 255: in flat places it is calmed.

        Raises:
            ConfigError: When the model is not one that can be told, or enlarges what only a part of is wanted.
        """
        settings.check(engine.spec)
        self.engine, self.settings, self.spec = engine, settings, engine.spec
        self._is_corrected = settings.corrects(engine.spec)
        self._grain_levels = grain_levels
        self._watch: TileWatch | None = None
        self._start: tuple[int, int] | None = None

    def with_settings(self, settings: PictureSettings) -> PictureRestorer:
        """Return the same engine at work on other pictures; it must not be closed."""
        return PictureRestorer(self.engine, settings)

    def for_frames(self, first: Picture) -> tuple[PictureRestorer, tuple[str, ...]]:
        """Return the same at work on frames: what a picture tells by itself is told by the first of them for all.

        They are not corrected by what was seen: it takes half as long as the network, frame by frame.
        """
        other = copy(self)
        other._is_corrected = False
        other._start = self._first_block(first.pixels)
        return other, ()

    def watched(self, watch: TileWatch) -> PictureRestorer:
        """Return the same at work, with somebody who looks at the tiles of opaque pictures that are wanted whole."""
        other = copy(self)
        other._watch = watch
        return other

    def restore(
        self,
        picture: Picture,
        *,
        strength: float,
        listener: Listener = NOBODY,
        otherwise: Otherwise | None = None,
    ) -> Picture:
        """Restore a picture.

        Args:
            picture: Any; opaque where its alpha is None.
            strength: 0 … 2; see `blend`.
            listener: Who is told of it.
            otherwise: What models that look for what blurred the picture do where nothing can be undone; None leaves
                the picture as it is.

        Returns:
            It, times the model's scale, of the same types. Colour under full transparency does not bleed.

        Raises:
            ConfigError: When the region lies outside the picture.
        """
        if not self.spec.needs_whole:
            return self._in_place(picture, strength=strength, listener=listener)
        from acutance.inference.framed import restored_in_frame  # for models that undo blur alone

        def restore(photo: Picture, settings: PictureSettings) -> Picture:
            restorer = self.with_settings(settings)
            return restorer._in_its_size(photo, strength=strength, listener=listener, otherwise=otherwise)

        return restored_in_frame(picture, self.settings, restore)

    def _in_its_size(
        self, picture: Picture, *, strength: float, listener: Listener, otherwise: Otherwise | None
    ) -> Picture:
        """Restore a picture, at a fraction of its size where its blur is too wide."""
        factor = self._reduced_by(picture, otherwise)
        if factor == 1:
            return self._in_place(picture, strength=strength, listener=listener, otherwise=otherwise)
        small, heard = self.with_settings(self.settings.reduced(factor)), replace(listener, reduced_by=factor)
        return changed_at_fraction(picture, factor, lambda one: small._in_place(one, strength=strength, listener=heard))

    def _reduced_by(self, picture: Picture, otherwise: Otherwise | None) -> int:
        """Say by what a picture is reduced first: by more than 1 where a model finds blur that is too wide."""
        if self.settings.told is not None or otherwise is not None:
            return 1
        from acutance.inference.looking_at_regions import look_at_place

        return look_at_place(picture.filled(), self.settings.region, threads=self.settings.threads).reduced_by

    def _in_place(
        self, picture: Picture, *, strength: float, listener: Listener, otherwise: Otherwise | None = None
    ) -> Picture:
        """Restore a picture in its own size, or a region of it, which fades into the picture."""
        alpha, whole = picture.alpha, Box(0, 0, *picture.pixels.shape[:2])
        filled = picture.filled()
        box = whole if self.settings.region is None else self.settings.region.box_in(whole.size)
        request = _Request(strength, listener, otherwise, filled.pixels, box)
        if self.settings.region is None:
            return self._restored(filled, box, request)
        from acutance.inference.told import FEATHER_PX, feathered
        from acutance.inference.undoing import KERNEL_REACH_PX

        reach = max(KERNEL_REACH_PX, 0 if self.settings.told is None else len(self.settings.told.psf))
        around = with_halo(box, within=whole, halo_px=FEATHER_PX + reach).source
        # As in the whole: not within one of JPEG's blocks, even where nothing in the part tells them.
        around = around._replace(top=around.top // BLOCK_PX * BLOCK_PX, left=around.left // BLOCK_PX * BLOCK_PX)
        part = self._restored(filled.part(*around.slices), box.shifted(around.top, around.left), request)
        share = feathered(box, around)
        faded = _faded_in(picture.pixels, part.pixels, around, share[..., np.newaxis])
        if alpha is None or part.alpha is None:
            return Picture(faded)
        return Picture(faded, _faded_in(alpha, part.alpha, around, share))

    def _restored(self, picture: Picture, looked_at: Box, request: _Request) -> Picture:
        """Restore a picture, or a part of one; what is wanted is a box of that."""
        if self.spec.needs_whole:
            return self._unblurred(picture, looked_at, request)
        strength, listener = request.strength, request.listener
        listener.chosen(self.spec.name)
        if self.spec.feather_px:
            listener.found(f"model {self.spec.name}: its tiles are {self.spec.tiles_in_words}")
        listener.doing(SHARPENING)
        pixels, alpha = picture
        if alpha is None:
            watch = self._watch if self.settings.region is None else None
            return Picture(self._through_network(pixels, strength, listener.progress, watch))
        restored = self._through_network(pixels, strength, listener.progress)
        opacity = self._through_network(alpha[..., np.newaxis], strength, ignore, is_light=False)
        return Picture(restored, opacity[..., 0])

    def _unblurred(self, picture: Picture, looked_at: Box, request: _Request) -> Picture:
        """Look for what blurred a picture, unless it was told, and undo it; in its transparency, too, where it is."""
        from acutance.inference.found_blur import FoundBlur
        from acutance.inference.opacity import is_blurred_by
        from acutance.inference.told import FEATHER_PX, ToldBlur
        from acutance.inference.unblurring import blur_in  # the mathematics of deconvolution, for this alone
        from acutance.inference.undoing import without_blur

        listener, otherwise = request.listener, request.otherwise
        looking = listener.part(0.0, 0.3).phases()
        blur: Found | ToldBlur | None
        if self.settings.told is None:
            blur, words = blur_in(
                request.whole,
                request.place,
                threads=self.settings.threads,
                progress=looking,
                orientation=listener.orientation,
                reduced_by=listener.reduced_by,
            )
            if blur is not None and not isinstance(blur, FoundBlur):
                blur = replace(blur, top=looked_at.top, left=looked_at.left)
        else:
            blur, words = self.settings.told, f"{self.settings.told.words}, as told: taken out"
        if otherwise is not None and not isinstance(blur, ToldBlur) and not otherwise.believes(blur):
            listener.found(otherwise.words)
            return otherwise.restorer._restored(picture, looked_at, replace(request, otherwise=None))
        listener.found(words)
        listener.chosen(self.spec.name)
        if blur is None:
            listener.progress(1.0)
            return picture.each(np.copy)

        pixels, alpha = picture
        whole = Box(0, 0, *pixels.shape[:2])
        wanted = None if looked_at == whole else with_halo(looked_at, within=whole, halo_px=FEATHER_PX).source

        def undone(
            planes: npt.NDArray[PixelType], phases: Callable[[float, str], None], response: Response | None = None
        ) -> npt.NDArray[PixelType]:
            restored = without_blur(
                planes,
                blur,
                self.engine,
                wanted=wanted,
                response=response,
                threads=self.settings.threads,
                progress=phases,
            )
            return to_type(blend(to_float(planes), restored, request.strength), planes.dtype.type)

        restored = undone(pixels, listener.part(0.3, 1.0).phases())
        if alpha is None or not is_blurred_by(to_float(alpha), blur):
            return Picture(restored, None if alpha is None else alpha.copy())
        opacity = undone(alpha[..., np.newaxis], lambda share, phase: None, Response.NONE)
        return Picture(restored, opacity[..., 0])

    def _through_network(
        self,
        pixels: npt.NDArray[PixelType],
        strength: float,
        progress: Progress,
        watch: TileWatch | None = None,
        *,
        is_light: bool = True,
    ) -> npt.NDArray[PixelType]:
        is_grey = pixels.shape[2] == 1
        corrects, calms = self._is_corrected and is_light, self._grain_levels > 0 and is_light
        colour = np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if is_grey else pixels
        start = self._first_block(pixels) if self._start is None else self._start
        restored = restore_tiled(
            self.engine,
            colour,
            strength=1.0 if corrects or calms else strength,
            tile_px=self.settings.tile_of(self.spec),
            progress=progress,
            watch=watch,
            start=start,
        )
        # On a grey picture the three channels come out nearly, not exactly, alike; the middle one stands for them.
        restored = np.ascontiguousarray(restored[..., 1:2]) if is_grey else restored
        if corrects:
            share = 1.0 if calms else strength
            restored = corrected(pixels, restored, strength=share, threads=self.settings.pool_size)
        if not calms:
            return restored
        from acutance.inference.grain import calmed  # for pictures with grain alone

        return calmed(pixels, restored, levels=self._grain_levels, strength=strength)

    def close(self) -> None:
        """Free the engine."""
        self.engine.close()

    def _first_block(self, pixels: npt.NDArray[PixelType]) -> tuple[int, int]:
        # What was cut out of a JPEG begins within one of its blocks; networks of cells know blocks by their place.
        return first_block(pixels) if self.spec.size_multiple > 1 else (0, 0)


def _faded_in(
    pixels: npt.NDArray[PixelType],
    part: npt.NDArray[PixelType],
    around: Box,
    share: npt.NDArray[np.float32],
) -> npt.NDArray[PixelType]:
    """Return a picture into which a restored part of it fades by a share of each pixel; where that is 0 it stays."""
    result = pixels.copy()
    seen = to_float(pixels[around.slices])
    result[around.slices] = to_type(seen + share * (to_float(part) - seen), pixels.dtype.type)
    return result
