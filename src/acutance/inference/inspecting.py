"""What is wrong with a picture, from a sample of it: which softness, how much noise, what JPEG did, and what to do.

The estimator looks at nine places, or at all of a small picture; what has known physics (quantisation, enlargement,
clipping, grain) is measured by arithmetic. What is called a confidence is a probability that was calibrated on pictures
that nothing here has learnt from; `docs/explanation/looking.md` has the tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from acutance.engines.processor import within_cpus
from acutance.estimation.blocks import first_block
from acutance.estimation.enlarged import enlargement
from acutance.estimation.jpeg import doubling, doubling_chance, quality_of
from acutance.estimation.kinds import SeenSoftness, softness_of
from acutance.estimation.noise import LEAST_LEVELS, correlation_chance, flat_places, noise_levels
from acutance.estimation.spectrum import LEAST_SIDE_PX
from acutance.estimation.verdict import BlurField
from acutance.estimation.windows import parts_of, places_of
from acutance.geometry import Box, Size
from acutance.imaging.borders import photo_in
from acutance.imaging.convert import PixelType, to_float
from acutance.imaging.exposure import lighting, lit
from acutance.imaging.picture import Picture, fill_transparent
from acutance.imaging.reduction import reduced
from acutance.inference.belief import grey_of
from acutance.inference.edges import has_no_edges, is_made_of_steps
from acutance.inference.look import SHARPEST, JpegHistory, Look, Noise, Place
from acutance.inference.looking import blur_field
from acutance.inference.showing import Mask, asked, hidden_in, shown_windows
from acutance.media.photo import JpegCoding, Metadata

LEAST_PIXELS: Final = 3000
"""A plate or a line of text has them; an icon tells too little of what blurred it."""
_EVERY: Final = 8
"""Clipping and brightness are measured on so many pixels apart."""
_PERHAPS_WIDE_PX: Final[Mapping[str, float]] = {"gaussian": 3.0, "defocus": 5.5, "line": 17.0, "path": 13.0}
"""From these strengths on a picture may be softer than can be told, and another kind of softness than it seems: disks
of 8 px were told for straight motion of 24 px, 94 % sure, for curved motion of 16 px, and in noise for σ = 3.2 px."""
_LARGE_PIXELS: Final = 2_000_000
_PERHAPS_WIDE_IN_LARGE_PX: Final = 2.0
"""In large pictures blur may be so wide that it seems much less: a disk of 15 px was told for σ = 3 px, 95 % sure."""
_WIDE_PX: Final[Mapping[str, float]] = {"gaussian": 4.4, "defocus": 6.0, "line": 23.0, "path": 42.0}
"""What the estimator has learnt ends a little above. Of curved paths of up to 40 px those found in the picture itself
were nearer to the truth."""
_SURELY_WIDE: Final = 0.7
"""At half the size the kind has at least this probability."""
_IN_ITS_SIZE_PX: Final[Mapping[str, float]] = {"line": 42.0, "defocus": 10.5}
"""What is wider is undone better at half the size (five photos of 1024 px, told, PSNR): motion of 40 px 26.4 dB in its
own size and 24.2 at half of it, with noise of 2 levels 24.0 and 23.7, of 48 px 24.9 and 24.0, with noise 22.7 and 23.4;
disks of 10 px 25.7 and 24.2, with noise 23.8 and 23.6, of 12 px 23.8 and 23.8, with noise 22.5 and 23.1."""
LEAST_REDUCED_PX: Final = 256
"""No picture is reduced below this: at 200 px a façade that was out of focus was told for straight motion."""


def look_at(
    pixels: npt.NDArray[PixelType],
    metadata: Metadata | None = None,
    *,
    alpha: npt.NDArray[PixelType] | None = None,
    threads: int | None = None,
    lights: bool = True,
    reduces: bool = True,
) -> Look:
    """Look at a picture, but not at bars or a frame around the photo in it: they are sharp, whatever blurred it.

    Args:
        pixels: `h w 3` RGB or `h w 1` grey; uint8, uint16, or float32 in [0, 1].
        metadata: Of its file: for what JPEG did, and for how the picture is turned when somebody looks at it. Sizes,
            places and directions are told so. None: `pixels` are as they are looked at.
        alpha: `h w` of the same type: what is fully transparent tells nothing. None where nothing is transparent.
        threads: For the estimator; None is one per core.
        lights: Whether a dark picture of more than 8 bits is lit up before it is looked at.
        reduces: Whether a picture whose blur is too wide to be told is looked at at a fraction of its size, too.

    Raises:
        ConfigError: When `threads` is less than one.

    Determinism: the same for the same input on one build of ONNX Runtime and one processor.
    """
    factor = lighting(pixels) if lights else 1.0
    if factor > 1:
        bright = look_at(lit(pixels, factor), metadata, alpha=alpha, threads=threads, lights=False, reduces=reduces)
        return replace(bright, brightness=bright.brightness / factor, lit_by=factor)
    within_cpus(threads)  # checked here: of a small picture, nothing is computed that would
    whole, photo = pixels, photo_in(Picture(pixels, alpha))
    pixels, alpha = Picture(pixels, alpha).part(*photo.slices)
    size = photo.size
    hidden = hidden_in(alpha)
    middle = pixels[..., pixels.shape[2] // 2]
    sample = to_float(np.ascontiguousarray(np.moveaxis(pixels[::_EVERY, ::_EVERY], 2, 0)))
    brightest = np.maximum.reduce(sample)
    if hidden is not None and not hidden[::_EVERY, ::_EVERY].all():
        brightest = brightest[~hidden[::_EVERY, ::_EVERY]]
    white = 1 - 0.5 / 65535
    coding = None if metadata is None else metadata.coding
    boxes = places_of(middle, hidden, start=first_block(pixels))
    # Only in the places: all of a large picture would take longer than the look.
    shown = [
        pixels[box.slices] if alpha is None else fill_transparent(pixels[box.slices], alpha[box.slices])
        for box in boxes
    ]
    greys = [grey_of(to_float(part)) for part in shown]
    softness: SeenSoftness | None = None
    places: tuple[Place, ...] = ()
    noise: Noise | None = None
    joined: BlurField | None = None
    if (
        min(size) >= LEAST_SIDE_PX
        and size.height * size.width >= LEAST_PIXELS
        and not has_no_edges(greys, is_fine=pixels.dtype != np.uint8)
    ):
        fields = [blur_field(grey, start=(0, 0), threads=threads) for grey in greys]
        windows = shown_windows(hidden, boxes, fields)
        told = [asked(field, one) for field, one in zip(fields, windows, strict=True)]
        joined = BlurField.joined([field for field in told if field is not None])
        softness = softness_of(joined.gathered)
        places = _seen_places(boxes, fields, windows)
        if is_made_of_steps(greys):
            softness, places = SHARPEST, tuple(replace(one, seen=SHARPEST) for one in places)
        noise = _noise(joined, [_shown_plane(middle, hidden, box) for box in boxes])
    look = Look(
        size=size,
        softness=softness,
        places=places,
        noise=noise,
        jpeg=_jpeg(whole, photo, boxes, coding) if isinstance(coding, JpegCoding) and not coding.is_rgb else None,
        enlargement=enlargement(middle),
        clipped_black=float((brightest <= 0).mean()),
        clipped_white=float((brightest >= white).mean()),
        brightness=float(np.quantile(brightest, 0.995)),
    )
    if reduces and _may_be_wide(look):
        look = _wide_look(look, Picture(pixels, alpha).filled(), joined, threads=threads)
    look = look.in_picture(Size(*whole.shape[:2]), photo)
    return look if metadata is None else look.turned(metadata.orientation)


def _may_be_wide(look: Look) -> bool:
    """Whether the blur is near the widest that is told, and half of the picture is enough to look at."""
    if min(look.size) < 2 * LEAST_REDUCED_PX:
        return False
    if look.size.pixels >= _LARGE_PIXELS:
        return look.softness is None or look.softness.softness_px >= _PERHAPS_WIDE_IN_LARGE_PX
    if look.softness is None:
        return False
    return look.softness.verdict.strength_px >= _PERHAPS_WIDE_PX.get(look.softness.kind, math.inf)


def _is_wide(half: Look) -> bool:
    """Whether all of a picture is blurred more than can be told, by what is seen at half its size."""
    if half.softness is None or half.is_mixed or half.softness.confidence < _SURELY_WIDE:
        return False
    return half.softness.verdict.strength_px >= _WIDE_PX.get(half.softness.kind, math.inf) / 2


def _wide_look(look: Look, filled: Picture, field: BlurField | None, *, threads: int | None) -> Look:
    """Look for wide blur: in the spectrum of the picture itself, and else at half its size."""
    from acutance.inference.bands import alike_in  # the mathematics of deconvolution, for this alone

    told = None if field is None else alike_in(grey_of(to_float(filled.pixels)), field)
    if told is not None and told.strength_px <= _IN_ITS_SIZE_PX[told.kind]:
        return look.told_by_spectrum(told)
    half, opacity = reduced(filled, 2)
    half_look = look_at(half, alpha=opacity, threads=threads, lights=False)
    if told is not None and half_look.reduced is None and not half_look.is_told_by_spectrum:
        half_look = half_look.told_by_spectrum(told.enlarged(0.5))
    return look.told_by(half_look, 2) if told is not None or _is_wide(half_look) else look


def _seen_places(boxes: tuple[Box, ...], fields: list[BlurField], windows: list[Mask]) -> tuple[Place, ...]:
    """Say what each place looks like; a picture that was looked at as a whole is divided into parts."""
    if len(boxes) > 1:
        told = [asked(field, shown) for field, shown in zip(fields, windows, strict=True)]
        return tuple(
            Place(box=box, seen=softness_of(field.gathered))
            for box, field in zip(boxes, told, strict=True)
            if field is not None
        )
    (box,), (field,), (shown,) = boxes, fields, windows
    places = []
    rows, columns = field.log_shares.shape[1:]
    for down, across in parts_of(rows, columns):
        part = BlurField(field.log_shares[:, down, across], field.noise_levels[down, across])
        one = asked(part, shown[down, across])
        if one is not None:
            places.append(Place(box=_part_of(box, (down, rows), (across, columns)), seen=softness_of(one.gathered)))
    return tuple(places)


def _shown_plane(middle: npt.NDArray[PixelType], hidden: Mask | None, box: Box) -> npt.NDArray[np.float32]:
    """Return one channel of a place; what is hidden is NaN, which no block of `flat_places` counts with."""
    plane = to_float(np.ascontiguousarray(middle[box.slices]))
    if hidden is not None:
        plane[hidden[box.slices]] = np.nan
    return plane


def _part_of(box: Box, down: tuple[slice, int], across: tuple[slice, int]) -> Box:
    """Return the part of a box that some of its windows stand for."""
    (rows, of_rows), (columns, of_columns) = down, across
    height, width = box.size
    part = Box(
        height * rows.start // of_rows,
        width * columns.start // of_columns,
        height * rows.stop // of_rows,
        width * columns.stop // of_columns,
    )
    return part.shifted(-box.top, -box.left)


def _noise(field: BlurField, planes: list[npt.NDArray[np.float32]]) -> Noise:
    flat = flat_places(planes)
    levels = noise_levels(field.noise, flat)
    chance = None if flat is None or levels < LEAST_LEVELS else correlation_chance(flat.correlation)
    return Noise(levels=levels, correlation_chance=chance)


def _jpeg(whole: npt.NDArray[PixelType], photo: Box, boxes: tuple[Box, ...], coding: JpegCoding) -> JpegHistory:
    """Say what JPEG did to places of a photo, whose blocks begin where the whole picture does."""
    table = coding.tables[0]
    boxes = tuple(box.shifted(-photo.top, -photo.left) for box in boxes)
    aligned = [Box(-(-box.top // 8) * 8, -(-box.left // 8) * 8, box.bottom, box.right) for box in boxes]
    planes = [255 * grey_of(to_float(whole[box.slices])) for box in aligned if min(box.size) > 16]
    measured = doubling(planes, table) if planes else None
    return JpegHistory(
        quality=quality_of(table), doubled_chance=None if measured is None else doubling_chance(measured)
    )
