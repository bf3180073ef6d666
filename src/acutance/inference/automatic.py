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

import numpy as np
import numpy.typing as npt

from acutance.engines.engine import Engine
from acutance.engines.model_file import read_spec
from acutance.errors import EngineError
from acutance.geometry import Box, Size
from acutance.imaging.borders import photo_in
from acutance.imaging.convert import PixelType, to_float
from acutance.imaging.exposure import lit
from acutance.imaging.picture import Picture
from acutance.imaging.reduction import changed_at_fraction
from acutance.inference.belief import grey_of
from acutance.inference.choosing import (
    INSTEAD,
    Advice,
    Purpose,
    advice_on,
    grain_levels,
    is_even_under_noise,
    purpose_without_motion,
)
from acutance.inference.found_blur import Found, FoundBlur
from acutance.inference.framed import restored_in_frame
from acutance.inference.inspecting import look_at
from acutance.inference.listening import NOBODY, Listener, ignore
from acutance.inference.look import Look
from acutance.inference.looking_at_regions import look_at_place
from acutance.inference.picture_settings import WHOLE, PictureSettings
from acutance.inference.restoring import Otherwise, PictureRestorer
from acutance.inference.streaming import memory_of_whole
from acutance.inference.surroundings import surroundings_of
from acutance.inference.tiling import TileWatch
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import AUTO, MODEL_FOR, find_model

SHORTEST_SHARE: Final = 0.55
"""Of the length that the look tells, a path that is found must have so much. Of eleven paths on photos that nothing
has learnt from, the two below this made the picture worse (a JPEG of quality 50, two layers)."""
LEAST_SOFTNESS_PX: Final = 0.85
"""A disk of less than this softness has no ring where pictures have something. One of 2 px looks like σ = 1.3 px."""
LOOKING: Final = "looking at the picture"
"""The phase in which it is decided."""


class AutomaticRestorer:
    """Restores whole pictures, each by the model that suits it. Safe to use from several threads."""

    def __init__(self, open_model: Callable[[str], Engine], settings: PictureSettings = WHOLE) -> None:
        """Open the model that most pictures need.

        Args:
            open_model: Opens a shipped model by its name.
            settings: What is done with pictures; a region is also all that is looked at.
        """
        self._open_model, self.settings = open_model, settings
        self._watch: TileWatch | None = None
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._opened: dict[str, Engine] = {}
        self.engine = self.opened("soft")
        """For pictures that are not looked at."""
        self.spec = _spec_of_all(self.engine.spec)
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

    def opened(self, purpose: Purpose) -> Engine:
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

    def restore(self, picture: Picture, *, strength: float, listener: Listener = NOBODY) -> Picture:
        """Look at a picture and restore it; see `PictureRestorer.restore`.

        Args:
            picture: See there.
            strength: See there.
            listener: Who is told what was seen and done, in one clause, and what else is told there.
        """
        listener.doing(LOOKING)
        look = self._look(picture, lights=self.settings.region is None).turned(listener.orientation)
        listener.progress(0.0)  # whoever stopped the run meanwhile does not wait for the network
        advice = advice_on(look)
        if look.lit_by == 1 or advice.purpose is None:
            return self._in_its_size(picture, look, advice, strength=strength, listener=listener)
        bright = Picture(lit(picture.pixels, look.lit_by), picture.alpha)
        restored, alpha = self._in_its_size(bright, look, advice, strength=strength, listener=listener)
        return Picture(lit(restored, 1 / look.lit_by), alpha)

    def _in_its_size(
        self, picture: Picture, look: Look, advice: Advice, *, strength: float, listener: Listener
    ) -> Picture:
        """Restore a picture that was looked at, at a fraction of its size where its blur is that wide."""
        if look.reduced is None:
            return self._restored(picture, look, advice, strength=strength, listener=listener)
        seen, small, factor = look.reduced, self.watched(None), look.reduced_by
        listener = replace(listener, reduced_by=factor)

        def restore(photo: Picture, settings: PictureSettings) -> Picture:
            small.settings = settings.reduced(factor)
            return changed_at_fraction(
                photo, factor, lambda one: small._restored(one, seen, advice, strength=strength, listener=listener)
            )

        return restored_in_frame(picture, self.settings, restore)

    def _restored(
        self, picture: Picture, look: Look, advice: Advice, *, strength: float, listener: Listener
    ) -> Picture:
        """Restore a picture that was looked at."""
        instead = purpose_without_motion(look)
        purpose, words, otherwise = advice.purpose, advice.words, None
        if purpose is None:
            listener.found(words)
            listener.progress(1.0)
            return picture.each(np.copy)
        otherwise_words = f"{advice.seen}, but not everywhere or not exactly: not taken out, {INSTEAD[instead]}"
        if is_even_under_noise(look):
            otherwise_words = words if advice.worth == "little" else f"{advice.seen}: {INSTEAD[instead]}"
        is_told = purpose != "moved" and (self._moved_around(picture) or self._is_told_by_spectrum(picture, look))
        if is_told and self._has_room_for(picture.pixels):
            purpose, otherwise_words = "moved", words
        if purpose == "moved" and not self._has_room_for(picture.pixels):
            purpose, words = instead, f"{advice.seen}: not taken out in the memory allowed, {INSTEAD[instead]}"
        if purpose == "moved":
            otherwise = Otherwise(
                restorer=self._restorer(instead, look),
                words=otherwise_words,
                is_believed=lambda blur: agrees(look, blur),
            )
        else:
            listener.found(words)
            listener = replace(listener, found=ignore)
        return self._restorer(purpose, look).restore(picture, strength=strength, listener=listener, otherwise=otherwise)

    def _has_room_for(self, pixels: npt.NDArray[PixelType]) -> bool:
        """Say whether a model that looks at a picture as a whole may take it, in the memory that was allowed."""
        size = Size(*pixels.shape[:2])
        row_bytes = 4 * size.width * pixels.itemsize
        spec = self.opened("moved").spec
        needed = memory_of_whole(size, row_bytes=row_bytes, spec=spec, tile_px=self.settings.tile_of(spec))
        return self.settings.max_memory_mb is None or needed <= self.settings.memory_bytes

    def with_settings(self, settings: PictureSettings) -> AutomaticRestorer | PictureRestorer:
        """Return the same models for other pictures, or the one that is told what blurred them; not to be closed."""
        if settings.told is not None:
            return PictureRestorer(self.opened("moved"), settings)
        other = copy(self)
        other.settings = settings
        return other

    def watched(self, watch: TileWatch | None) -> AutomaticRestorer:
        """Return the same models, with somebody who looks at their tiles; it must not be closed."""
        other = copy(self)
        other._watch = watch
        return other

    def for_frames(self, first: Picture) -> tuple[PictureRestorer, tuple[str, ...]]:
        """Choose one model for all frames of a video or an animation.

        Motion is not looked for: it takes seconds a frame, and differs from one to the next.

        Args:
            first: The first frame.

        Returns:
            The model at work on frames, and what was seen and decided, in one clause.

        Raises:
            ConfigError: When the region lies outside the picture.
        """
        look = self._look(first, lights=False, reduces=False)
        advice = advice_on(look)
        purpose = purpose_without_motion(look)
        restorer, _ = PictureRestorer(self.opened(purpose), self.settings).for_frames(first)
        return restorer, (f"{_frame_words(advice)}: all frames by model {MODEL_FOR[purpose]}",)

    def close(self) -> None:
        """Free all engines."""
        with self._lock:
            self._closed.set()
            for engine in self._opened.values():
                engine.close()

    def _look(self, picture: Picture, *, lights: bool, reduces: bool = True) -> Look:
        """Look at a picture, or at the region of it that is restored."""
        region, threads = self.settings.region, self.settings.threads
        return look_at_place(picture, region, threads=threads, lights=lights, reduces=reduces)

    def _moved_around(self, picture: Picture) -> bool:
        """Say whether what is around a small region has moved, of which the region itself may tell too little."""
        if self.settings.region is None:
            return False
        whole = Box(0, 0, *picture.pixels.shape[:2])
        around = surroundings_of(self.settings.region.box_in(whole.size), whole)
        if around is None:
            return False
        part = picture.part(*around.slices)
        look = look_at(part.pixels, alpha=part.alpha, threads=self.settings.threads, lights=False)
        return advice_on(look).purpose == "moved"

    def _is_told_by_spectrum(self, picture: Picture, look: Look) -> bool:
        """Say whether the spectrum of a soft picture tells by how much it is out of focus, or moved: to be undone."""
        softness = look.softness
        if softness is None or self.settings.region is not None or softness.softness_px < LEAST_SOFTNESS_PX:
            return False
        if not self._has_room_for(picture.pixels):
            return False
        from acutance.inference.bands import banded, radius_in  # the mathematics of deconvolution, for this alone
        from acutance.inference.looking import blur_field

        photo = picture.part(*photo_in(picture).slices)
        grey = grey_of(to_float(photo.filled().pixels))
        if radius_in(grey) is not None:
            return True
        has_moved = softness.kind in {"line", "path"}
        return has_moved and banded(grey, blur_field(grey, threads=self.settings.threads)) is not None

    def _restorer(self, purpose: Purpose, look: Look) -> PictureRestorer:
        restorer = PictureRestorer(self.opened(purpose), self.settings, grain_levels=grain_levels(look))
        return restorer if self._watch is None else restorer.watched(self._watch)


def agrees(look: Look, blur: Found) -> bool:
    """Say whether a curved path that was found is as long as the look told: else one of both is wrong."""
    if not isinstance(blur, FoundBlur) or not blur.is_path or look.softness is None:
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
