"""How well `acutance inspect` sees what was done to photos, and how true its confidences are: everything is drawn.

python benchmarks/looks.py kodak24/ urban10/ set14/ --draws 600 --fit       # finds the numbers of the calibration
python benchmarks/looks.py bsd100/ --draws 600                              # confusion, reliability, errors
python benchmarks/looks.py kodak24/ urban10/ --draws 300 --whole            # of large photos, not of crops of 400 px

The photos must be sharp ones that the estimator has not learnt from, and those it is fitted on must not be those it is
tested on.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.data.blurs import DefocusBlur, GaussianBlur, HandMotion, KnownBlur, LineBlur, blur_psf, drawn_path
from acutance.data.photo_store import list_photos
from acutance.estimation import enlarged, jpeg, noise
from acutance.estimation.blocks import first_block
from acutance.estimation.kinds import KINDS, Calibration, Softness, kind_logs, probabilities
from acutance.estimation.noise import FlatPlaces, flat_places, noise_levels
from acutance.estimation.verdict import BlurField, BlurVerdict, verdict_of
from acutance.estimation.windows import places_of
from acutance.imaging.kernels import convolve_mirror, gaussian_psf
from acutance.inference.inspecting import look_at
from acutance.inference.look import Look
from acutance.inference.looking import blur_field
from acutance.media import read_photo

CROP_PX: Final = 400
INERTIAS: Final = (0.9, 0.95, 0.98)
MATTERS: Final[dict[Softness, float]] = {"sharp": 0.0, "gaussian": 1.0, "defocus": 1.5, "line": 6.0, "path": 6.0}
"""Strengths that matter, from."""
BINS: Final = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What was done to one photo."""

    kind: Softness
    strength: float
    angle: float
    noise: float
    is_grain: bool
    quality: int | None
    first_quality: int | None
    factor: float
    """Of an enlargement, after everything but JPEG; then the softness is another."""

    @property
    def matters(self) -> bool:
        """Whether it is as strong as a person would see it."""
        return self.factor == 1 and self.strength >= MATTERS[self.kind]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen then."""

    drawn: Drawn
    logs: npt.NDArray[np.float64]
    """Of the kinds, before calibration."""
    verdicts: dict[Softness, BlurVerdict]
    """Strength, if it is that kind."""
    noise: float
    """As the estimator tells it."""
    flat: FlatPlaces | None
    """What flat places show."""
    look: Look


def draw(random: np.random.Generator) -> tuple[Drawn, KnownBlur | None]:
    """Draw what is done to a photo: all kinds alike often."""
    kind = KINDS[int(random.integers(len(KINDS)))]
    angle = float(random.uniform(0, math.pi))
    blur: KnownBlur | None = None
    match kind:
        case "sharp":
            strength = float(random.uniform(0.2, 0.5)) * (random.random() < 0.5)
            blur = GaussianBlur(strength) if strength else None
        case "gaussian":
            strength = float(np.exp(random.uniform(math.log(0.65), math.log(4.4))))
            blur = GaussianBlur(strength)
        case "defocus":
            strength = float(random.uniform(1.0, 6.0))
            blur = DefocusBlur(strength)
        case "line":
            strength = float(random.uniform(3.0, 24.0))
            blur = LineBlur(strength, angle)
        case "path":
            strength = float(random.uniform(6.0, 26.0))
            blur = drawn_path(
                HandMotion(length_px=(strength, strength), inertia=float(random.choice(INERTIAS))), random
            )
    noise = float(np.exp(random.uniform(math.log(1.0), math.log(16.0)))) if random.random() < 0.4 else 0.0
    quality = int(random.integers(50, 97)) if random.random() < 0.5 else None
    first = int(random.integers(40, 92)) if quality is not None and random.random() < 0.4 else None
    factor = float(random.choice([1.25, 1.5, 2.0, 3.0, random.uniform(1.2, 4.0)])) if random.random() < 0.15 else 1.0
    drawn = Drawn(
        kind=kind,
        strength=strength,
        angle=angle,
        noise=noise,
        is_grain=random.random() < 0.4,
        quality=quality,
        first_quality=first,
        factor=factor,
    )
    return drawn, blur


def made(photo: npt.NDArray[np.uint8], drawn: Drawn, blur: KnownBlur | None, random: np.random.Generator) -> bytes:
    """Do it: the content of a file, PNG or JPEG."""
    values = photo.astype(np.float64)
    if blur is not None:
        values = convolve_mirror(values, blur_psf(blur))
    if drawn.factor > 1:
        small = values[: round(len(values) / drawn.factor) + 24, : round(values.shape[1] / drawn.factor) + 24]
        size = (round(small.shape[1] * drawn.factor), round(small.shape[0] * drawn.factor))
        how = Image.Resampling.BICUBIC if random.random() < 0.5 else Image.Resampling.BILINEAR
        picture = Image.fromarray(np.clip(np.rint(small), 0, 255).astype(np.uint8)).resize(size, how)
        values = np.asarray(picture, np.float64)
    if drawn.noise and drawn.is_grain:
        psf = gaussian_psf(0.7)
        grain = convolve_mirror(random.standard_normal((*values.shape[:2], 1)), psf) / math.sqrt(float((psf**2).sum()))
        values = values + drawn.noise * grain
    elif drawn.noise:
        values = values + drawn.noise * random.standard_normal(values.shape)
    picture = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    for quality in (drawn.first_quality, drawn.quality):
        if quality is not None:
            stream = io.BytesIO()
            picture.save(stream, "JPEG", quality=quality, subsampling="4:2:0")
            picture = Image.open(stream)
    if drawn.quality is not None:
        return stream.getvalue()
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def see(photos: Sequence[Path], count: int, seed: int, *, is_whole: bool = False) -> list[Seen]:
    """Draw, make and look: at a crop of each photo, or at all of it."""
    seen = []
    for number in range(count):
        random = np.random.default_rng([seed, number])
        pixels = read_photo(photos[number % len(photos)]).pixels
        pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.uint8)
        side_px = max(pixels.shape) if is_whole else CROP_PX
        top, left = (int(random.integers(max(side - side_px, 0) + 1)) for side in pixels.shape[:2])
        drawn, blur = draw(random)
        content = made(pixels[top : top + side_px, left : left + side_px], drawn, blur, random)
        photo = read_photo(content)
        look = look_at(photo.pixels, photo.metadata, threads=1)
        if look.softness is None:
            continue
        grey = photo.pixels.astype(np.float32) @ np.array((0.299, 0.587, 0.114), np.float32) / 255
        parts = [np.ascontiguousarray(grey[box.slices]) for box in places_of(grey, start=first_block(photo.pixels))]
        field = BlurField.joined([blur_field(part, start=(0, 0), threads=1) for part in parts])
        verdicts = {kind: verdict_of(field.gathered, "gaussian" if kind == "sharp" else kind) for kind in KINDS}
        seen.append(
            Seen(
                drawn=drawn,
                logs=kind_logs(field.gathered),
                verdicts=verdicts,
                noise=field.noise,
                flat=flat_places([_middle(photo.pixels)]),
                look=look,
            )
        )
    return seen


def _middle(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return pixels[..., pixels.shape[2] // 2].astype(np.float32) / 255


def fitted(seen: Sequence[Seen]) -> Calibration:
    """Find the temperature and the offsets that make the kinds that were drawn most likely."""
    plain = [one for one in seen if one.drawn.factor == 1]
    logs = np.stack([one.logs for one in plain])
    truth = np.array([KINDS.index(one.drawn.kind) for one in plain])

    def loss(values: npt.NDArray[np.float64]) -> float:
        chances = probabilities(logs, Calibration(temperature=float(values[0]), offsets=tuple(values[1:])))
        return -float(np.log(chances[np.arange(len(truth)), truth] + 1e-12).mean()) + 1e-3 * float(
            (values[1:] ** 2).mean()
        )

    best = np.array([2.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    step = 1.0
    while step > 0.005:  # coordinates in turn: six numbers need no more
        before = loss(best)
        for number in range(len(best)):
            for change in (step, -step):
                tried = best.copy()
                tried[number] += change
                if tried[0] > 0.2 and loss(tried) < loss(best):
                    best = tried
        step = step / 2 if loss(best) >= before - 1e-6 else step
    return Calibration(temperature=round(float(best[0]), 2), offsets=tuple(round(float(one), 2) for one in best[1:]))


def logistic(values: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Find slope and middle of the logistic curve that makes the truth most likely."""
    best, least = (1.0, 0.0), math.inf
    for slope in np.geomspace(0.3, 120, 60):
        for middle in np.linspace(float(values.min()), float(values.max()), 80):
            chance = np.clip(1 / (1 + np.exp(-np.clip(slope * (values - middle), -60, 60))), 1e-3, 1 - 1e-3)
            loss = -float(np.where(truth, np.log(chance), np.log(1 - chance)).mean())
            if loss < least:
                best, least = (round(float(slope), 2), round(float(middle), 3)), loss
    return best


def reliability(chances: Sequence[float], truth: Sequence[bool]) -> str:
    """Return the rows of a reliability diagram, and how far it is from the diagonal in the mean."""
    told, right = np.array(chances), np.array(truth)
    lines, off = ["| told | draws | mean told | right |", "|---|---|---|---|"], 0.0
    for low, high in pairwise(BINS):
        inside = (told >= low) & ((told < high) | (high == 1.0))
        if inside.any():
            lines.append(
                f"| {low:g} … {high:g} | {inside.sum()} | {told[inside].mean():.2f} | {right[inside].mean():.2f} |"
            )
            off += inside.mean() * abs(told[inside].mean() - right[inside].mean())
    return "\n".join(
        [*lines, f"\nExpected calibration error: {off:.3f}; Brier score {((told - right) ** 2).mean():.3f}"]
    )


def confusion(seen: Sequence[Seen]) -> str:
    """Return the confusion matrix as a table."""
    lines = [f"| drawn | {' | '.join(KINDS)} | right |", "|" + "---|" * (len(KINDS) + 2)]
    right = 0
    for kind in KINDS:
        told = [KINDS[int(probabilities(one.logs).argmax())] for one in seen if one.drawn.kind == kind]
        right += told.count(kind)
        share = f"{100 * told.count(kind) / len(told):.0f} %" if told else "–"
        lines.append(f"| {kind} | {' | '.join(str(told.count(other)) for other in KINDS)} | {share} |")
    return "\n".join([*lines, f"\n{right} of {len(seen)} right: {100 * right / max(len(seen), 1):.1f} %"])


def errors(seen: Sequence[Seen]) -> str:
    """Return how exactly strengths are told, where the kind is."""
    lines = ["| kind | draws | median | 90 % within |", "|---|---|---|---|"]
    for kind in ("gaussian", "defocus", "line"):
        found = [one for one in seen if one.drawn.kind == kind and KINDS[int(probabilities(one.logs).argmax())] == kind]
        off = [abs(one.verdicts[kind].strength_px / one.drawn.strength - 1) for one in found]
        if off:
            lines.append(
                f"| {kind} | {len(off)} | {100 * np.median(off):.0f} % | {100 * np.quantile(off, 0.9):.0f} % |"
            )
        if kind == "line" and found:
            turned = [
                math.degrees(abs((one.verdicts[kind].angle - one.drawn.angle + math.pi / 2) % math.pi - math.pi / 2))
                for one in found
            ]
            lines.append(
                f"| line, angle | {len(turned)} | {np.median(turned):.1f}° | {np.quantile(turned, 0.9):.1f}° |"
            )
    for name, is_grain in (("white noise", False), ("grain", True)):
        noisy = [
            one
            for one in seen
            if one.drawn.noise >= 1.5 and one.drawn.is_grain == is_grain and one.drawn.quality is None
        ]
        off = [abs(noise_levels(one.noise, one.flat) / one.drawn.noise - 1) for one in noisy]
        if off:
            lines.append(
                f"| {name} | {len(off)} | {100 * np.median(off):.0f} % | {100 * np.quantile(off, 0.9):.0f} % |"
            )
    return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question of yes or no, and its answers."""

    name: str
    curve: tuple[float, float]
    """Slope and middle, as they stand."""
    chances: list[float]
    """Of yes, as told."""
    truth: list[bool]

    def fit(self) -> str:
        """Find the curve that these answers ask for, from what was measured."""
        told = np.clip(np.array(self.chances), 1e-300, 1 - 1e-16)
        measured = self.curve[1] + np.log(told / (1 - told)) / self.curve[0]
        slope, middle = logistic(measured, np.array(self.truth))
        return f"{self.name}: CURVE = ({slope}, {middle})"

    def reliability(self) -> str:
        """Return how true the answers are."""
        right = [(chance > 0.5) == truth for chance, truth in zip(self.chances, self.truth, strict=True)]
        missed = sum(truth and not good for good, truth in zip(right, self.truth, strict=True))
        false = sum(not truth and not good for good, truth in zip(right, self.truth, strict=True))
        counts = f"{sum(self.truth)} of {len(right)} are; {missed} of them missed, {false} false alarms"
        return f"{self.name}: {counts}\n\n{reliability([max(one, 1 - one) for one in self.chances], right)}"


def questions(seen: Sequence[Seen]) -> list[Question]:
    """Return what is answered by yes or no: grain, saved twice (the first time more coarsely), enlarged."""
    plain = [one for one in seen if one.drawn.factor == 1]
    noisy = [one for one in plain if one.drawn.noise >= 2 and one.drawn.quality is None]
    grain = [(one.look.noise.correlation_chance, one.drawn.is_grain) for one in noisy if one.look.noise]
    saved = [
        (one.look.jpeg.doubled_chance, (one.drawn.first_quality or 100) < (one.drawn.quality or 0))
        for one in plain
        if one.look.jpeg
    ]
    large = [(one.look.enlargement.chance, one.drawn.factor > 1) for one in seen if one.look.enlargement]
    curves = (("grain", noise.CURVE, grain), ("saved twice", jpeg.CURVE, saved), ("enlarged", enlarged.CURVE, large))
    return [
        Question(
            name=name,
            curve=curve,
            chances=[chance for chance, _ in answers if chance is not None],
            truth=[truth for chance, truth in answers if chance is not None],
        )
        for name, curve, answers in curves
    ]


def main() -> None:
    """Draw, look, and print tables or the numbers of a calibration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+", help="folders of sharp photos")
    parser.add_argument("--draws", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fit", action="store_true", help="print the numbers of the calibration, not how good it is")
    parser.add_argument("--whole", action="store_true", help="look at whole photos, not at crops of 400 px")
    arguments = parser.parse_args()
    photos = [path for folder in arguments.photos for path in list_photos(folder)]
    report(see(photos, arguments.draws, arguments.seed, is_whole=arguments.whole), is_fit=arguments.fit)


def report(seen: list[Seen], *, is_fit: bool) -> None:
    """Print."""
    if is_fit:
        print("kinds:", fitted(seen))
        for question in questions(seen):
            print(question.fit())
        return
    plain = [one for one in seen if one.drawn.factor == 1]
    that_matter = [one for one in plain if one.drawn.matters]
    told = [probabilities(one.logs) for one in plain]
    right = [KINDS[int(chance.argmax())] == one.drawn.kind for one, chance in zip(plain, told, strict=True)]
    print(f"{confusion(plain)}\n\nStrengths that matter:\n\n{confusion(that_matter)}")
    print("\nConfidence in the kind:\n\n" + reliability([float(chance.max()) for chance in told], right))
    print("\n" + errors(that_matter))
    for question in questions(seen):
        print("\n" + question.reliability())


if __name__ == "__main__":
    main()
