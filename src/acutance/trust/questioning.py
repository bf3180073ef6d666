"""A picture file and the file of its result, questioned: how far they agree, and what in the result is a guess."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acutance.deconvolution.planes import Psf
from acutance.errors import InputError
from acutance.geometry import Size
from acutance.imaging.borders import photo_in
from acutance.imaging.convert import to_float, to_type
from acutance.imaging.picture import Picture
from acutance.imaging.reduction import reduced
from acutance.imaging.resize import resize_bicubic
from acutance.inference.belief import grey_of
from acutance.inference.found_blur import FoundBlur
from acutance.inference.inspecting import look_at
from acutance.inference.looking import blur_field
from acutance.inference.unblurring import blur_in
from acutance.media import Photo, read_photo
from acutance.spec import ModelSpec
from acutance.trust.conditions import middle_of
from acutance.trust.consistency import Consistency, consistency
from acutance.trust.guesses import GuessMap, map_of_guesses

Pixels = npt.NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A picture and its result, of one size and with the same channels."""

    before: Pixels = field(repr=False)
    """`h w c`; where the model enlarges, enlarged as any image editor does (bicubic)."""
    after: Pixels = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a result answered."""

    blur: str
    """What the estimator takes the picture for, in words."""
    noise_levels: float
    guesses: GuessMap | None
    consistency: Consistency | None
    seconds: dict[str, float]
    """By what they were spent on."""


def read_pair(source: Path, result: Path, *, max_pixels: int) -> Pair:
    """Read a picture and its result, both upright.

    Raises:
        InputError: When one cannot be read, holds several pictures, or they do not belong together.
    """
    # As they are looked at: one may keep the orientation as a tag, and the other's pixels be turned.
    first, second = (read_photo(path, max_pixels=max_pixels, max_bits=16).upright() for path in (source, result))
    before, after = first.pixels, second.pixels
    if before.dtype != after.dtype:
        before, after = (_deep(pixels) for pixels in (before, after))
    if after.shape[:2] != before.shape[:2]:
        size = Size(*after.shape[:2])
        if size.height % before.shape[0] or size.width % before.shape[1]:
            raise InputError(f"{result} has {size.width}×{size.height} px, which {source} cannot have become.")
        enlarged = resize_bicubic(to_float(before).astype(np.float64), size)
        before = to_type(enlarged.astype(np.float32), before.dtype.type)
    channels = max(before.shape[2], after.shape[2])
    before, after = (np.broadcast_to(pixels, (*pixels.shape[:2], channels)) for pixels in (before, after))
    return Pair(before=_visible(before, after, first), after=after)


def _deep(pixels: Pixels) -> npt.NDArray[np.uint16]:
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * np.uint16(257)  # type: ignore[return-value]


def _visible(before: Pixels, after: Pixels, photo: Photo) -> Pixels:
    """Let the picture have the result's colours where it is fully transparent: they mean nothing there."""
    alpha = photo.alpha
    if alpha is None or photo.is_opaque or alpha.shape != before.shape[:2]:
        return before
    return np.where((alpha == 0)[..., np.newaxis], after, before)


def questioned(
    pair: Pair,
    model: ModelSpec,
    *,
    strength: float,
    fidelity: float,
    wants_map: bool,
    wants_consistency: bool,
    threads: int | None = None,
) -> Answers:
    """Question a result; where the blur is too wide to be told, at the fraction of its size at which it can be.

    Args:
        pair: The picture and its result.
        model: What made it. Of one that looks for what blurred a picture, the kernel is looked for again, so that
            consistency is exact where there is one for the whole picture.
        strength: With which it was made; 0 has no map.
        fidelity: With which it was made.
        wants_map: Whether to map the guesses.
        wants_consistency: Whether to blur the result again.
        threads: None is one per core.
    """
    seconds: dict[str, float] = {}
    size, factor = Size(*pair.before.shape[:2]), look_at(pair.before, threads=threads).reduced_by
    if factor > 1:  # where the blur can be told, and where the map and the kernel are at home
        before, after = (reduced(Picture(pixels), factor).pixels for pixels in (pair.before, pair.after))
        pair = Pair(before=before, after=after)
    grey = grey_of(to_float(middle_of(pair.before)))
    field_ = blur_field(grey, threads=threads)
    guesses = told = None
    if wants_map and strength > 0:
        start = time.perf_counter()
        guesses = map_of_guesses(
            pair.before, pair.after, model=model, strength=strength, fidelity=fidelity, threads=threads
        ).enlarged(factor, size)
        seconds["map of guesses"] = round(time.perf_counter() - start, 3)
    if wants_consistency:
        start = time.perf_counter()
        told = _consistency(pair, model, strength, threads)
        seconds["consistency"] = round(time.perf_counter() - start, 3)
    return Answers(
        blur=str(field_.whole.enlarged(factor)),
        noise_levels=field_.noise,
        guesses=guesses,
        consistency=told,
        seconds=seconds,
    )


def _consistency(pair: Pair, model: ModelSpec, strength: float, threads: int | None) -> Consistency:
    """Blur the photo in a result again: bars and frames around it were sharp before, and are now."""
    photo = photo_in(Picture(pair.before))
    inner = Pair(before=pair.before[photo.slices], after=pair.after[photo.slices])
    psf, origin = _known_kernel(inner, model, strength, threads)
    told = consistency(inner.before, inner.after, psf=psf, origin=origin, threads=threads)
    picture = np.zeros(pair.before.shape[:2], np.float32)
    picture[photo.slices] = told.picture
    return replace(told, picture=picture)


def _known_kernel(
    pair: Pair, model: ModelSpec, strength: float, threads: int | None
) -> tuple[Psf | None, tuple[float, float]]:
    """Return the kernel that was undone, if there was one for the whole picture."""
    if not model.needs_whole or strength != 1.0:
        return None, (0.0, 0.0)
    found, _ = blur_in(pair.before, threads=threads, progress=lambda share, phase: None)
    return (found.kernel.psf, found.kernel.origin) if isinstance(found, FoundBlur) else (None, (0.0, 0.0))
