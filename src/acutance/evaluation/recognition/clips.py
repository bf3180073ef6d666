"""Plates in clips: what one frame says, what the best of all frames says, and what their still says.

A plate wanders through soft and noisy frames, as before a camera that is not held; or through what an old surveillance
recorder keeps of it: 352×288, interlaced, 12 frames a second, in MPEG blocks. The still is merged by `videos.still`
with nothing told but a region around the plate; single frames are cut out where the plate truly is, which a person
would have to find.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import av
import numpy as np
import numpy.typing as npt

from acutance.data.blurs import Psf
from acutance.data.protocol import Pixels, Row, true_psf
from acutance.errors import ConfigError
from acutance.evaluation.recognition.conditions import condition
from acutance.evaluation.recognition.items import FINER, MARGIN_PX, Artist, FinePlate, Kind
from acutance.evaluation.recognition.judges import Judge, Reading
from acutance.evaluation.recognition.reading import ReadItem, Recognition
from acutance.evaluation.restorers import ModelRestorer
from acutance.geometry import Box, Size, with_halo
from acutance.imaging.kernels import optical_transfer
from acutance.inference.told import Region
from acutance.videos.still import Still, still

FRAMES: Final = 25
CCTV_SIZE: Final = Size(288, 352)
STEP_PX: Final = 1.5
"""Standard deviation of the plate's way from one frame to the next, across and down."""
_ROAM_PX: Final = 16
"""The plate stays within so much of where it is in the middle frame."""
_AROUND_PX: Final = _ROAM_PX + MARGIN_PX
_REGION_PX: Final = 8
"""So much around the plate is a person's region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """How a clip is taken and kept."""

    name: str
    row: Row
    """Blur and noise of each frame."""
    is_cctv: bool = False
    """Whether it is interlaced, at 352×288 and 12 frames a second, in blocks of MPEG-4 part 2."""

    @property
    def rate(self) -> int:
        """Frames a second."""
        return 12 if self.is_cctv else 25


def film(text: str) -> Film:
    """Read how a clip is made: a condition, or `cctv-` before one, as in `cctv-gauss-1-n6`; `-q` is not for clips.

    Raises:
        ConfigError: When it is neither.
    """
    kept = re.fullmatch(r"cctv-(.+)", text)
    row = condition(text if kept is None else kept.group(1))
    if row.jpeg_quality is not None:
        raise ConfigError(
            f"row {text!r}: clips are no JPEGs; leave -q{row.jpeg_quality} out, or write cctv- before it."
        )
    return Film(name=text, row=row, is_cctv=kept is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Filmed:
    """A clip of one plate, and where the plate is."""

    plate: FinePlate
    frames: tuple[Pixels, ...]
    """As they were written; of cctv, as the recorder's blocks left them. `h w 3`."""
    boxes: tuple[Box, ...]
    """Of the plate in each, to the px."""

    @property
    def region(self) -> Region:
        """What a person would draw around the plate in the middle frame."""
        box = self.boxes[len(self.boxes) // 2]
        size = box.size
        off = _REGION_PX
        return Region(x=box.left - off, y=box.top - off, width=size.width + 2 * off, height=size.height + 2 * off)


def filmed(artist: Artist, kind: Kind, number: int, how: Film, path: Path) -> Filmed:
    """Take a clip of a plate and write it.

    Args:
        artist: Draws the plate.
        kind: Of what size.
        number: Which plate; its way is of this number, too.
        how: The film.
        path: A file that ends in `.mkv`.

    Determinism: the same frames for the same number on one build of FFmpeg.
    """
    rng = np.random.default_rng([number, 78])
    plate = artist.plate(number, kind.size_px, around_px=_AROUND_PX, least=CCTV_SIZE if how.is_cctv else None)
    moments = FRAMES * (2 if how.is_cctv else 1)
    way = rng.normal(0, STEP_PX, (moments, 2)).cumsum(axis=0)
    way = np.clip(way - way[moments // 2], -_ROAM_PX, _ROAM_PX)
    spectrum = _blurred_spectrum(plate.fine, true_psf(how.row, number))
    shots = []
    for across, down in way:
        soft = _moved(spectrum, Size(*plate.fine.shape[:2]), across=float(across), down=float(down))
        noisy = soft + rng.normal(0, 255 * how.row.noise_sigma, soft.shape)
        shots.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    if how.is_cctv:  # the second moment of each pair gives the odd rows
        for even, odd in zip(shots[::2], shots[1::2], strict=True):
            even[1::2] = odd[1::2]
        shots, way = shots[::2], way[::2]
    frames = _written(shots, how, path)
    boxes = tuple(plate.box.shifted(-round(float(down)), -round(float(across))) for across, down in way)
    return Filmed(plate, frames, boxes)


def _blurred_spectrum(fine: Pixels, psf: Psf | None) -> npt.NDArray[np.complex128]:
    """Return the spectrum of a picture drawn fine, blurred so that its reduction is as if blurred by the kernel."""
    spectrum = np.fft.rfft2(fine, axes=(0, 1))
    if psf is None:
        return spectrum
    spread = np.zeros(tuple((side - 1) * FINER + 1 for side in psf.shape))
    spread[::FINER, ::FINER] = psf
    return np.asarray(spectrum * optical_transfer(spread, Size(*fine.shape[:2]))[..., None])


def _moved(spectrum: npt.NDArray[np.complex128], size: Size, *, across: float, down: float) -> npt.NDArray[np.float64]:
    """Take a picture with pixels of the usual size, of what has moved by parts of one."""
    y = np.exp(-2j * np.pi * np.fft.fftfreq(size.height) * down * FINER)[:, None, None]
    x = np.exp(-2j * np.pi * np.fft.rfftfreq(size.width) * across * FINER)[None, :, None]
    moved = np.fft.irfft2(spectrum * (y * x), s=size, axes=(0, 1))
    high, wide = (side // FINER for side in size)
    return np.asarray(moved.reshape(high, FINER, wide, FINER, 3).mean(axis=(1, 3)))


def _written(shots: Sequence[Pixels], how: Film, path: Path) -> tuple[Pixels, ...]:
    """Write frames and read them back; without loss, or as a recorder keeps them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4" if how.is_cctv else "ffv1", rate=how.rate)
        stream.height, stream.width = shots[0].shape[:2]
        stream.pix_fmt = "yuv420p" if how.is_cctv else "bgr0"
        if how.is_cctv:
            stream.options = {"qmin": "8", "qmax": "8", "flags": "+ildct+ilme", "threads": "1"}
        for shot in shots:
            frame = av.VideoFrame.from_ndarray(shot, format="rgb24").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        return tuple(np.asarray(one.to_ndarray(format="rgb24"), np.uint8) for one in container.decode(video=0))


def recognise_clips(
    kinds: Sequence[Kind],
    films: Sequence[Film],
    models: Sequence[ModelRestorer],
    judges: Sequence[Judge],
    *,
    count: int,
    artist: Artist,
    progress: Callable[[float], None] | None = None,
) -> Recognition:
    """Film, merge, restore and read.

    Each model sharpens every frame by itself, and the still. The columns are: the *middle frame*; the *best frame*,
    which is the one that the judge is surest of; the *most frequent* reading of all frames; *any frame*, which counts
    as read if one of them is, and needs the truth to be known; and the *still*.

    Args:
        kinds: Clips of different sizes.
        films: How they are taken; of different names.
        models: Of different names.
        judges: Those that read plates.
        count: Clips of a kind.
        artist: Draws the plates.
        progress: Called with the share of the work done, 0 … 1.
    """
    found: list[ReadItem] = []
    steps = [(kind, how, number) for kind in kinds for how in films for number in range(count)]
    with TemporaryDirectory(prefix="acutance-") as folder:
        for done, (kind, how, number) in enumerate(steps, start=1):
            path = Path(folder) / "clip.mkv"
            clip = filmed(artist, kind, number, how, path)
            made = still(
                path, at_s=(FRAMES // 2) / how.rate, frames=FRAMES, region=clip.region, fields=how.is_cctv or None
            )
            for name, frames, merged in _pictures(clip, made, models):
                for judge in (one for one in judges if kind.name in one.kinds):
                    *singles, whole = judge.read([*frames, merged], kind.name)
                    for column, reading in _columns(singles, whole, clip.plate.text).items():
                        found.append(
                            ReadItem(
                                kind=kind.label,
                                condition=how.name,
                                restorer=f"{name}{column}",
                                judge=judge.name,
                                number=number,
                                truth=clip.plate.text,
                                text=reading.text,
                                confidence=reading.confidence,
                            )
                        )
            if progress is not None:
                progress(done / len(steps))
    return Recognition(tuple(found))


def _pictures(clip: Filmed, made: Still, models: Sequence[ModelRestorer]) -> Iterator[tuple[str, list[Pixels], Pixels]]:
    """Give the plate in every frame, and in the still: as they are, and sharpened by each model."""
    here = clip.boxes[FRAMES // 2].shifted(clip.region.y - made.inner.top, clip.region.x - made.inner.left)
    merged = np.asarray(np.rint(made.pixels / 257.0), dtype=np.uint8)
    around = [with_halo(box, within=Box(0, 0, *clip.frames[0].shape[:2]), halo_px=MARGIN_PX) for box in clip.boxes]
    cuts = [frame[part.source.slices] for frame, part in zip(clip.frames, around, strict=True)]
    inner = [part.target.shifted(part.source.top, part.source.left).slices for part in around]
    yield (
        "input, ",
        [frame[box.slices] for frame, box in zip(clip.frames, clip.boxes, strict=True)],
        merged[here.slices],
    )
    for model in models:
        sharp = model.sharpener.sharpen_pixels
        yield (
            f"{model.name}, ",
            [sharp(np.ascontiguousarray(cut))[place] for cut, place in zip(cuts, inner, strict=True)],
            sharp(merged)[here.slices],
        )


def _columns(singles: Sequence[Reading], whole: Reading, truth: str) -> dict[str, Reading]:
    """Return what is said of a clip, by the name of who says it."""
    best = max(singles, key=lambda one: one.confidence)
    often = Counter(one.text for one in singles if one.text).most_common(1)
    right = [one for one in singles if one.text == truth]
    return {
        "middle frame": singles[len(singles) // 2],
        "best frame": best,
        "most frequent": Reading(often[0][0]) if often else Reading(""),
        "any frame": right[0] if right else best,
        "still": whole,
    }
