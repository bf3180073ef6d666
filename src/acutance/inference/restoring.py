"""An engine at work on whole pictures: in colour and grey, with and without transparency."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from acutance.imaging.alpha import fill_transparent
from acutance.imaging.blend import blend
from acutance.imaging.convert import PixelType, to_float, to_type
from acutance.inference.engine import Engine
from acutance.inference.tiling import restore_tiled
from acutance.inference.unblurring import FoundBlur, FoundMotion, blur_in
from acutance.inference.undoing import without_blur

Progress = Callable[[float], None]
"""Takes the share of the work done, 0 … 1."""

Found = Callable[[str], None]
"""Takes a sentence about what was found in a picture."""

SHARPENING = "sharpening"
"""The phase in which the network runs."""


def ignore(what: object) -> None:
    """Do nothing with what is told."""


class PictureRestorer:
    """Restores whole pictures. Immutable, and safe to use from several threads."""

    def __init__(self, engine: Engine, *, tile_px: int, threads: int | None) -> None:
        """Put an engine to work.

        Args:
            engine: The opened model.
            tile_px: Longest side of the network's tiles.
            threads: For what is computed outside the engine; None is one per core.
        """
        self._engine = engine
        self._tile_px = tile_px
        self._threads = threads

    def restore(
        self,
        pixels: npt.NDArray[PixelType],
        alpha: npt.NDArray[PixelType] | None = None,
        *,
        strength: float,
        progress: Progress | None = None,
        found: Found = ignore,
        doing: Found = ignore,
        chosen: Found = ignore,
    ) -> tuple[npt.NDArray[PixelType], npt.NDArray[PixelType] | None]:
        """Restore a picture.

        Args:
            pixels: `h w 3` RGB or `h w 1` grey, gamma space; uint8, uint16, or float32 in [0, 1].
            alpha: `h w`, of the same type; None where nothing is transparent.
            strength: 0 … 2; see `blend`.
            progress: Called with the share done, 0 … 1.
            found: Called with a sentence, by models that look for what blurred the picture.
            doing: Called with the name of each phase as it begins, by such models.
            chosen: Called with the model's name.

        Returns:
            Pixels and alpha, times the model's scale, of the same types. Colour under full transparency does not bleed.
        """
        tell = progress or ignore
        chosen(self._engine.spec.name)
        if self._engine.spec.needs_whole:
            undone = self.undo(pixels, alpha, strength=strength, progress=progress, found=found, doing=doing)
            if undone is not None:
                return undone
            tell(1.0)
            colours = pixels if alpha is None else fill_transparent(pixels, alpha)
            return colours.copy(), None if alpha is None else alpha.copy()
        colours = pixels if alpha is None else fill_transparent(pixels, alpha)
        doing(SHARPENING)
        restored = self._through_network(colours, strength, tell)
        if alpha is None:
            return restored, None
        return restored, self._through_network(alpha[..., np.newaxis], strength, ignore)[..., 0]

    def undo(
        self,
        pixels: npt.NDArray[PixelType],
        alpha: npt.NDArray[PixelType] | None = None,
        *,
        strength: float,
        progress: Progress | None = None,
        found: Found = ignore,
        doing: Found = ignore,
        is_believed: Callable[[FoundBlur | FoundMotion], bool] = lambda blur: True,
    ) -> tuple[npt.NDArray[PixelType], npt.NDArray[PixelType] | None] | None:
        """Look for what blurred a picture, and undo it; transparency was blurred by the same. See `restore`.

        The engine must be that of a model that looks at a picture as a whole.

        Args:
            pixels: See `restore`; the others, too, but one.
            alpha: See there.
            strength: See there.
            progress: See there.
            found: See there.
            doing: See there.
            is_believed: Asked whether what was found is to be undone.

        Returns:
            None where nothing can be undone.
        """
        tell = progress or ignore
        colours = pixels if alpha is None else fill_transparent(pixels, alpha)
        looking = _phases(_part(tell, 0.0, 0.3), doing)
        blur, words = blur_in(colours, threads=self._threads, progress=looking)
        found(words)
        if blur is None or not is_believed(blur):
            return None

        def undone(planes: npt.NDArray[PixelType], tell: Callable[[float, str], None]) -> npt.NDArray[PixelType]:
            restored = without_blur(planes, blur, self._engine, threads=self._threads, progress=tell)
            return to_type(blend(to_float(planes), restored, strength), planes.dtype.type)

        restored = undone(colours, _phases(_part(tell, 0.3, 1.0), doing))
        if alpha is None:
            return restored, None
        return restored, undone(alpha[..., np.newaxis], lambda share, phase: None)[..., 0]

    def _through_network(
        self, pixels: npt.NDArray[PixelType], strength: float, progress: Progress
    ) -> npt.NDArray[PixelType]:
        is_grey = pixels.shape[2] == 1
        colour = np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if is_grey else pixels
        restored = restore_tiled(self._engine, colour, strength=strength, tile_px=self._tile_px, progress=progress)
        # On a grey picture the three channels come out nearly, not exactly, alike; the middle one stands for them.
        return np.ascontiguousarray(restored[..., 1:2]) if is_grey else restored


def _phases(progress: Progress, doing: Found) -> Callable[[float, str], None]:
    """Return what tells the share done and, where it is a new one, the name of the phase."""
    last = ""

    def tell(share: float, phase: str) -> None:
        nonlocal last
        progress(share)
        if phase != last:
            doing(phase)
        last = phase

    return tell


def _part(progress: Progress, start: float, end: float) -> Progress:
    """Return what tells the progress of a part as that of the whole."""
    return lambda share: progress(start + (end - start) * share)
