"""`--model auto`: each picture is looked at, and goes to the model that suits it, or to none.

The models are opened when a picture needs them for the first time.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Final

import numpy.typing as npt

from acutance.engines.engine import Engine
from acutance.engines.model_file import read_spec
from acutance.errors import EngineError
from acutance.geometry import Size
from acutance.imaging.convert import PixelType
from acutance.imaging.exposure import lit
from acutance.inference.choosing import INSTEAD, Advice, Purpose, advice_on, grain_levels, purpose_without_motion
from acutance.inference.inspecting import Look, look_at
from acutance.inference.listening import NOBODY, Listener, ignore
from acutance.inference.restoring import Otherwise, PictureRestorer, Restored
from acutance.inference.streaming import memory_of_whole
from acutance.inference.tiling import TileWatch
from acutance.inference.told import Region
from acutance.inference.unblurring import FoundBlur, FoundMotion
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import AUTO, MODEL_FOR, find_model

SHORTEST_SHARE: Final = 0.55
"""Of the length that the look tells, a path that is found must have so much. Of eleven paths on photos that nothing
has learnt from, the two below this made the picture worse (a JPEG of quality 50, two layers)."""
LOOKING: Final = "looking at the picture"
"""The phase in which it is decided."""


class AutomaticRestorer:
    """Restores whole pictures, each by the model that suits it. Safe to use from several threads."""

    def __init__(
        self,
        open_model: Callable[[str], Engine],
        *,
        tile_px: int,
        threads: int | None,
        max_memory_mb: int | None = None,
        region: Region | None = None,
        back_projection: bool | None = None,
    ) -> None:
        """Open the model that most pictures need.

        Args:
            open_model: Opens a shipped model by its name.
            tile_px: Longest side of the network's tiles.
            threads: For what is computed outside the engines; None is one per core.
            max_memory_mb: About what the process may take; None does not look at it.
            region: The part of the pictures that is looked at and restored; None is the whole.
            back_projection: See `is_corrected`.
        """
        self._open_model = open_model
        self._tile_px = tile_px
        self._threads = threads
        self._max_memory_mb = max_memory_mb
        self._region = region
        self._back_projection = back_projection
        self._watch: TileWatch | None = None
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._opened: dict[str, Engine] = {}
        self.spec = _spec_of_all(self.engine("soft").spec)
        """That of the model for soft pictures, by the name of `auto`; its hash is of the weights of all."""

    def __copy__(self) -> AutomaticRestorer:
        """Share the models and their lock: `copy` would go by what is pickled, so each copy would have its own lock."""
        other = object.__new__(AutomaticRestorer)
        other.__dict__.update(self.__dict__)
        return other

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_closed")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock, self._closed = threading.Lock(), threading.Event()

    def engine(self, purpose: Purpose) -> Engine:
        """Return the opened model for a purpose.

        Raises:
            EngineError: When it was closed: what would be opened then, nobody would close.
        """
        name = MODEL_FOR[purpose]
        # Opening, a part of a second, is done under the lock: two pictures must not open one network twice.
        with self._lock:
            if self._closed.is_set():
                raise EngineError("the engine is closed; open it again.")
            if name not in self._opened:
                self._opened[name] = self._open_model(name)
            return self._opened[name]

    def restore(
        self,
        pixels: npt.NDArray[PixelType],
        alpha: npt.NDArray[PixelType] | None = None,
        *,
        strength: float,
        listener: Listener = NOBODY,
    ) -> Restored[PixelType]:
        """Look at a picture and restore it; see `PictureRestorer.restore`.

        Args:
            pixels: See there.
            alpha: See there.
            strength: See there.
            listener: Who is told what was seen and done, in one clause, and what else is told there.
        """
        listener.doing(LOOKING)
        look = self._look(pixels, alpha, lights=self._region is None).turned(listener.orientation)
        listener.progress(0.0)  # whoever stopped the run meanwhile does not wait for the network
        if look.lit_by > 1:
            bright, opacity = self._restored(
                lit(pixels, look.lit_by), alpha, look, strength=strength, listener=listener
            )
            return lit(bright, 1 / look.lit_by), opacity
        return self._restored(pixels, alpha, look, strength=strength, listener=listener)

    def _restored(
        self,
        pixels: npt.NDArray[PixelType],
        alpha: npt.NDArray[PixelType] | None,
        look: Look,
        *,
        strength: float,
        listener: Listener,
    ) -> Restored[PixelType]:
        """Restore a picture that was looked at."""
        advice, instead = advice_on(look), purpose_without_motion(look)
        purpose, words, otherwise = advice.purpose, advice.words, None
        if purpose is None:
            listener.found(words)
            listener.progress(1.0)
            return pixels.copy(), None if alpha is None else alpha.copy()
        if purpose == "moved" and not self._has_room_for(pixels):
            purpose, words = instead, f"{advice.seen}: not taken out in the memory allowed, {INSTEAD[instead]}"
        if purpose == "moved":
            otherwise = Otherwise(
                restorer=self._restorer(instead, look),
                words=f"{advice.seen}, but not everywhere or not exactly: not taken out, {INSTEAD[instead]}",
                is_believed=lambda blur: agrees(look, blur),
            )
        else:
            listener.found(words)
            listener = replace(listener, found=ignore)
        return self._restorer(purpose, look).restore(
            pixels, alpha, strength=strength, listener=listener, otherwise=otherwise
        )

    def _has_room_for(self, pixels: npt.NDArray[PixelType]) -> bool:
        """Say whether a model that looks at a picture as a whole may take it, in the memory that was allowed."""
        size = Size(*pixels.shape[:2])
        row_bytes = 4 * size.width * pixels.itemsize
        spec = self.engine("moved").spec
        needed = memory_of_whole(size, row_bytes=row_bytes, spec=spec, tile_px=self._tile_px)
        return self._max_memory_mb is None or needed <= 1e6 * self._max_memory_mb

    def with_region(self, region: Region | None) -> AutomaticRestorer:
        """Return the same models for another part of the pictures; it must not be closed."""
        other = copy(self)
        other._region = region
        return other

    def watched(self, watch: TileWatch) -> AutomaticRestorer:
        """Return the same models, with somebody who looks at their tiles; it must not be closed."""
        other = copy(self)
        other._watch = watch
        return other

    def for_frames(
        self, first: npt.NDArray[PixelType], alpha: npt.NDArray[PixelType] | None = None
    ) -> tuple[Engine, str]:
        """Choose one model for all frames of a video or an animation.

        Motion is not looked for: it takes seconds a frame, and differs from one to the next.

        Args:
            first: The first frame, `h w c`.
            alpha: Its transparency, `h w`; None where nothing is transparent.

        Returns:
            The opened model, and what was seen and decided, in one clause.

        Raises:
            ConfigError: When the region lies outside the picture.
        """
        look = self._look(first, alpha, lights=False)
        advice = advice_on(look)
        purpose = purpose_without_motion(look)
        return self.engine(purpose), f"{_frame_words(advice)}: all frames by model {MODEL_FOR[purpose]}"

    def close(self) -> None:
        """Free all engines."""
        with self._lock:
            self._closed.set()
            for engine in self._opened.values():
                engine.close()

    def _look(self, pixels: npt.NDArray[PixelType], alpha: npt.NDArray[PixelType] | None, *, lights: bool) -> Look:
        """Look at a picture, or at the region of it that is restored."""
        if self._region is not None:
            box = self._region.box_in(Size(*pixels.shape[:2]))
            pixels, alpha = pixels[box.slices], None if alpha is None else alpha[box.slices]
        return look_at(pixels, alpha=alpha, threads=self._threads, lights=lights)

    def _restorer(self, purpose: Purpose, look: Look) -> PictureRestorer:
        restorer = PictureRestorer(
            self.engine(purpose),
            tile_px=self._tile_px,
            threads=self._threads,
            region=self._region,
            back_projection=self._back_projection,
            grain_levels=grain_levels(look),
        )
        return restorer if self._watch is None else restorer.watched(self._watch)


def agrees(look: Look, blur: FoundBlur | FoundMotion) -> bool:
    """Say whether a curved path that was found is as long as the look told: else one of both is wrong."""
    if isinstance(blur, FoundMotion) or blur.is_told or look.softness is None:
        return True
    return blur.kernel.length_px >= SHORTEST_SHARE * look.softness.verdict.strength_px


def _frame_words(advice: Advice) -> str:
    motion = ", which is not taken out of moving pictures" if advice.purpose == "moved" else ""
    return f"first frame: {advice.seen}{motion}"


def _spec_of_all(spec: ModelSpec) -> ModelSpec:
    """Return the spec under which results of all models are recorded."""
    paths = [find_model(name).fidelity for name in MODEL_FOR.values()]
    hashes = "".join(read_spec(path.read_bytes(), name=path.name).weights_sha256 for path in paths)
    return replace(spec, name=AUTO, weights_sha256=hashlib.sha256(hashes.encode()).hexdigest())
