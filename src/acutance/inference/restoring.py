"""An engine at work on whole pictures: in colour and grey, with and without transparency."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import Engine
from acutance.engines.processor import usable_cpus, within_cpus
from acutance.errors import ConfigError
from acutance.estimation.blocks import BLOCK_PX, first_block
from acutance.geometry import Box, with_halo
from acutance.imaging.alpha import fill_transparent
from acutance.imaging.blend import blend
from acutance.imaging.convert import PixelType, to_float, to_type
from acutance.inference.back_projecting import corrected, is_corrected
from acutance.inference.listening import NOBODY, Listener, Progress, ignore
from acutance.inference.tiling import TileWatch, restore_tiled
from acutance.inference.told import FEATHER_PX, Region, ToldBlur, feathered
from acutance.spec import ModelSpec

if TYPE_CHECKING:
    from acutance.inference.unblurring import FoundBlur, FoundMotion

Restored = tuple[npt.NDArray[PixelType], npt.NDArray[PixelType] | None]
"""Pixels, and alpha where there is any."""

SHARPENING = "sharpening"
"""The phase in which the network runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise:
    """What is done where a model that looks for what blurred a picture cannot undo it."""

    restorer: PictureRestorer
    """Restores the picture then."""
    words: str
    """What is told then."""
    is_believed: Callable[[FoundBlur | FoundMotion], bool]
    """Asked whether what was found is to be undone."""

    def believes(self, blur: FoundBlur | FoundMotion | None) -> bool:
        """Say whether something was found, and is to be undone."""
        return blur is not None and self.is_believed(blur)


def check_told(spec: ModelSpec, *, told: ToldBlur | None, region: Region | None) -> None:
    """Refuse what a model cannot be told, or cannot do in a part of a picture.

    Raises:
        ConfigError: When it is not one that can be told, or enlarges what only a part of is wanted.
    """
    if told is not None and not spec.guides:
        raise ConfigError(f"model {spec.name}: cannot be told what blurred a picture; take the model motion.")
    if region is not None and spec.scale != 1:
        raise ConfigError(f"model {spec.name}: enlarges pictures, of which no part can be; leave the region out.")


class PictureRestorer:
    """Restores whole pictures. Immutable, and safe to use from several threads."""

    def __init__(
        self,
        engine: Engine,
        *,
        tile_px: int,
        threads: int | None,
        told: ToldBlur | None = None,
        region: Region | None = None,
        back_projection: bool | None = None,
        grain_levels: float = 0.0,
    ) -> None:
        """Put an engine to work.

        Args:
            engine: The opened model.
            tile_px: Longest side of the network's tiles.
            threads: For what is computed outside the engine; None is one per core.
            told: What blurred the pictures; None where nobody knows.
            region: The part of them that is restored; None is the whole.
            back_projection: Whether what the network gives is corrected by what was seen; see `is_corrected`.
            grain_levels: Of grain that the pictures are known to have, in levels of 255: in flat places it is calmed.

        Raises:
            ConfigError: When the model is not one that can be told, or enlarges what only a part of is wanted.
        """
        check_told(engine.spec, told=told, region=region)
        self._engine = engine
        self._tile_px = tile_px
        self._threads = threads
        self._told = told
        self._region = region
        # A region is to be as in the whole, of which far more counts for the correction than for the network.
        self._is_corrected = region is None and is_corrected(engine.spec, wanted=back_projection)
        self._grain_levels = grain_levels
        self._watch: TileWatch | None = None
        self._start: tuple[int, int] | None = None

    def for_frames(self, first: npt.NDArray[PixelType]) -> PictureRestorer:
        """Return the same at work on frames: what a picture tells by itself is told by the first of them for all.

        They are not corrected by what was seen: it takes half as long as the network, frame by frame.
        """
        other = copy(self)
        other._is_corrected = False
        other._start = self._first_block(first)
        return other

    def watched(self, watch: TileWatch) -> PictureRestorer:
        """Return the same at work, with somebody who looks at the tiles of opaque pictures that are wanted whole."""
        other = copy(self)
        other._watch = watch
        return other

    def restore(
        self,
        pixels: npt.NDArray[PixelType],
        alpha: npt.NDArray[PixelType] | None = None,
        *,
        strength: float,
        listener: Listener = NOBODY,
        otherwise: Otherwise | None = None,
    ) -> Restored[PixelType]:
        """Restore a picture.

        Args:
            pixels: `h w 3` RGB or `h w 1` grey, gamma space; uint8, uint16, or float32 in [0, 1].
            alpha: `h w`, of the same type; None where nothing is transparent.
            strength: 0 … 2; see `blend`.
            listener: Who is told of it.
            otherwise: What models that look for what blurred the picture do where nothing can be undone; None leaves
                the picture as it is.

        Returns:
            Pixels and alpha, times the model's scale, of the same types. Colour under full transparency does not bleed.

        Raises:
            ConfigError: When the region lies outside the picture.
        """
        colours = pixels if alpha is None else fill_transparent(pixels, alpha)
        picture = Box(0, 0, *pixels.shape[:2])
        restored = partial(self._restored, strength=strength, listener=listener, otherwise=otherwise)
        if self._region is None:
            return restored(colours, alpha, picture)
        from acutance.inference.undoing import KERNEL_REACH_PX

        box = self._region.box_in(picture.size)
        reach = max(KERNEL_REACH_PX, 0 if self._told is None else len(self._told.psf))
        around = with_halo(box, within=picture, halo_px=FEATHER_PX + reach).source
        # As in the whole: not within one of JPEG's blocks, even where nothing in the part tells them.
        around = around._replace(top=around.top // BLOCK_PX * BLOCK_PX, left=around.left // BLOCK_PX * BLOCK_PX)
        part_alpha = None if alpha is None else alpha[around.slices]
        part, part_alpha = restored(colours[around.slices], part_alpha, box.shifted(around.top, around.left))
        share = feathered(box, around)
        faded = _faded_in(pixels, part, around, share[..., np.newaxis])
        if alpha is None or part_alpha is None:
            return faded, None
        return faded, _faded_in(alpha, part_alpha, around, share)

    def _restored(
        self,
        colours: npt.NDArray[PixelType],
        alpha: npt.NDArray[PixelType] | None,
        looked_at: Box,
        *,
        strength: float,
        listener: Listener,
        otherwise: Otherwise | None,
    ) -> Restored[PixelType]:
        """Restore a picture, or a part of one; what blurred it is looked for in a box of that."""
        if self._engine.spec.needs_whole:
            return self._unblurred(colours, alpha, looked_at, strength=strength, listener=listener, otherwise=otherwise)
        listener.chosen(self._engine.spec.name)
        if self._engine.spec.feather_px:
            listener.found(f"model {self._engine.spec.name}: its tiles are {self._engine.spec.tiles_in_words}")
        listener.doing(SHARPENING)
        if alpha is None:
            watch = self._watch if self._region is None else None
            return self._through_network(colours, strength, listener.progress, watch), None
        restored = self._through_network(colours, strength, listener.progress)
        return restored, self._through_network(alpha[..., np.newaxis], strength, ignore, is_light=False)[..., 0]

    def _unblurred(
        self,
        pixels: npt.NDArray[PixelType],
        alpha: npt.NDArray[PixelType] | None,
        looked_at: Box,
        *,
        strength: float,
        listener: Listener,
        otherwise: Otherwise | None,
    ) -> Restored[PixelType]:
        """Look for what blurred a picture, unless it was told, and undo it; transparency was blurred by the same."""
        from acutance.inference.unblurring import (  # the mathematics of deconvolution, for this alone
            FoundMotion,
            blur_in,
        )
        from acutance.inference.undoing import without_blur

        looking = listener.part(0.0, 0.3).phases()
        blur: FoundBlur | FoundMotion | ToldBlur | None
        if self._told is None:
            blur, words = blur_in(
                pixels[looked_at.slices], threads=self._threads, progress=looking, orientation=listener.orientation
            )
            if isinstance(blur, FoundMotion):
                blur = replace(blur, top=looked_at.top, left=looked_at.left)
        else:
            blur, words = self._told, f"{self._told.words}, as told: taken out"
        if otherwise is not None and not isinstance(blur, ToldBlur) and not otherwise.believes(blur):
            listener.found(otherwise.words)
            return otherwise.restorer._restored(
                pixels, alpha, looked_at, strength=strength, listener=listener, otherwise=None
            )
        listener.found(words)
        listener.chosen(self._engine.spec.name)
        if blur is None:
            listener.progress(1.0)
            return pixels.copy(), None if alpha is None else alpha.copy()

        picture = Box(0, 0, *pixels.shape[:2])
        wanted = None if looked_at == picture else with_halo(looked_at, within=picture, halo_px=FEATHER_PX).source

        def undone(planes: npt.NDArray[PixelType], phases: Callable[[float, str], None]) -> npt.NDArray[PixelType]:
            restored = without_blur(planes, blur, self._engine, wanted=wanted, threads=self._threads, progress=phases)
            return to_type(blend(to_float(planes), restored, strength), planes.dtype.type)

        restored = undone(pixels, listener.part(0.3, 1.0).phases())
        if alpha is None:
            return restored, None
        return restored, undone(alpha[..., np.newaxis], lambda share, phase: None)[..., 0]

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
            self._engine,
            colour,
            strength=1.0 if corrects or calms else strength,
            tile_px=self._tile_px,
            progress=progress,
            watch=watch,
            start=start,
        )
        # On a grey picture the three channels come out nearly, not exactly, alike; the middle one stands for them.
        restored = np.ascontiguousarray(restored[..., 1:2]) if is_grey else restored
        if corrects:
            threads = within_cpus(self._threads) or usable_cpus()
            restored = corrected(pixels, restored, strength=1.0 if calms else strength, threads=threads)
        if not calms:
            return restored
        from acutance.inference.grain import calmed  # for pictures with grain alone

        return calmed(pixels, restored, levels=self._grain_levels, strength=strength)

    def _first_block(self, pixels: npt.NDArray[PixelType]) -> tuple[int, int]:
        # What was cut out of a JPEG begins within one of its blocks; networks of cells know blocks by their place.
        return first_block(pixels) if self._engine.spec.size_multiple > 1 else (0, 0)


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
