"""Number plates, drawn and blurred, as people who look at cameras' pictures have them: are they read afterwards?

python benchmarks/plates.py motion --count 40   # straight motion of 8 to 16 px, any angle, noise of 2 levels, JPEG 85
python benchmarks/plates.py still --count 40    # 25 frames, sigma 2 px, noise of 12 levels, against single ones

All is drawn from a seed: letters and digits of 13 to 21 px on a plate, on a textured background. What is read is judged
by RapidOCR where that is installed (pip install rapidocr onnxruntime; its package holds its weights), which is shown
the plate alone; how near the plate came to the truth, by normalised correlation.
"""

from __future__ import annotations

import argparse
import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from acutance.geometry import Box
from acutance.imaging.kernels import convolve_mirror, gaussian_psf, line_psf
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import Region, ToldBlur
from acutance.videos.still import still

Picture = npt.NDArray[np.uint8]

SIZE = (180, 340)
"""Height and width of the pictures, in px."""
FINE = 3
"""So many times as fine is drawn."""
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
FONTS = ("DejaVuSans-Bold.ttf", "DejaVuSansCondensed-Bold.ttf", "LiberationSans-Bold.ttf")
COLOURS = (((245, 245, 240), (20, 20, 25)), ((250, 205, 20), (15, 15, 15)), ((235, 238, 245), (30, 50, 120)))
FRAMES, FRAME_NOISE, FRAME_SIGMA = 25, 12.0, 2.0


@dataclass(frozen=True, slots=True)
class Plate:
    """A scene with a plate in it."""

    text: str
    fine: npt.NDArray[np.float64]
    """`h w 3`, `FINE` times as fine, with a margin of `MARGIN` px; 0 … 255."""
    box: Box
    """Of the plate, in px of the picture."""

    @property
    def region(self) -> Region:
        """The plate and a few px around it, as a person would draw it."""
        return Region(
            x=self.box.left - 10, y=self.box.top - 10, width=self.box.size.width + 20, height=self.box.size.height + 20
        )


MARGIN = 24


@cache
def font(name: str, height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font whose capitals are about so high; Pillow's own where there is no other."""
    try:
        return ImageFont.truetype(name, round(height / 0.73))
    except OSError:
        return ImageFont.load_default(round(height / 0.73))


def texture(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Draw what may be behind a plate: noise of all sizes, and some straight edges."""
    y, x = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    fall = 1 / np.maximum(np.hypot(y, x), 1 / max(shape)) ** 1.4
    planes = []
    for _ in range(3):
        noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * fall, shape)
        planes.append(noise / noise.std())
    common = planes[0][..., None] * rng.uniform(12, 26) + np.stack(planes, -1) * 6
    scene = rng.uniform(50, 140, 3) + common
    for _ in range(int(rng.integers(2, 6))):
        top, left = (int(rng.integers(0, side)) for side in shape)
        high, wide = int(rng.integers(20, 200)), int(rng.integers(30, 400))
        scene[top : top + high, left : left + wide] += rng.uniform(-45, 45, 3)
    return scene


def drawn_plate(seed: int) -> Plate:
    """Draw a scene."""
    rng = np.random.default_rng(seed)
    letters, digits = rng.choice(list(LETTERS), 5), rng.choice(list("0123456789"), 2)
    text = "".join(letters[:2]) + "".join(digits) + " " + "".join(letters[2:])
    shape = tuple((side + 2 * MARGIN) * FINE for side in SIZE)
    scene = np.clip(texture(rng, shape), 0, 255)  # type: ignore[arg-type]
    height = int(rng.integers(13, 22)) * FINE
    face = font(FONTS[int(rng.integers(len(FONTS)))], height)
    ground, ink = COLOURS[int(rng.integers(len(COLOURS)))]
    image = Image.fromarray(scene.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=face)
    wide, high = right - left, bottom - top
    pad = height // 3
    x = int(rng.integers(MARGIN * FINE + 40, shape[1] - MARGIN * FINE - wide - 2 * pad - 40))
    y = int(rng.integers(MARGIN * FINE + 40, shape[0] - MARGIN * FINE - high - 2 * pad - 40))
    box = (x, y, x + wide + 2 * pad, y + high + 2 * pad)
    draw.rounded_rectangle(box, pad // 2, fill=ground, outline=ink, width=FINE)
    draw.text((x + pad - left, y + pad - top), text, font=face, fill=ink)
    place = Box(*(round(one / FINE) - MARGIN for one in (box[1], box[0], box[3], box[2])))
    return Plate(text.replace(" ", ""), np.asarray(image, np.float64), place)


def taken(fine: npt.NDArray[np.float64], across: float = 0.0, down: float = 0.0) -> npt.NDArray[np.float64]:
    """Take a picture with pixels of the usual size, moved by a part of one, with the margin."""
    y = np.exp(2j * np.pi * np.fft.fftfreq(fine.shape[0]) * down * FINE)[:, None, None]
    x = np.exp(2j * np.pi * np.fft.fftfreq(fine.shape[1]) * across * FINE)[None, :, None]
    moved = np.fft.ifft2(np.fft.fft2(fine, axes=(0, 1)) * y * x, axes=(0, 1)).real if across or down else fine
    high, wide = (side // FINE for side in fine.shape[:2])
    return np.asarray(moved.reshape(high, FINE, wide, FINE, 3).mean(axis=(1, 3)))


def without_margin(picture: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cut the margin away."""
    return picture[MARGIN:-MARGIN, MARGIN:-MARGIN]


def as_bytes(values: npt.NDArray[np.float64], *, quality: int | None = None) -> Picture:
    """Round to 8 bits, and pass through JPEG if a quality is given."""
    pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if quality is None:
        return pixels
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@cache
def reader() -> Callable[[Picture], str] | None:
    """Return what reads one line of text; None where there is nothing."""
    try:
        from rapidocr import RapidOCR
    except ImportError:
        return None
    engine = RapidOCR(params={"Global.log_level": "error"})

    def read(pixels: Picture) -> str:
        answer = engine(np.ascontiguousarray(pixels[..., ::-1]), use_det=False, use_cls=False, use_rec=True)
        texts = getattr(answer, "txts", None) or ("",)
        return "".join(letter for letter in texts[0].upper() if letter.isalnum())

    return read


def is_read(pixels: Picture, plate: Plate, box: Box | None = None) -> bool:
    """Whether the plate is read exactly."""
    read = reader()
    if read is None:
        return False
    here = (plate.box if box is None else box).slices
    large = Image.fromarray(pixels[here])
    large = large.resize((large.width * 2, large.height * 2), Image.Resampling.BICUBIC)
    return read(np.asarray(large)) == plate.text


def likeness(pixels: Picture, truth: Picture, box: Box) -> float:
    """Return the normalised correlation of two pictures' brightness over a plate."""
    a, b = (one[box.slices].astype(np.float64).mean(axis=2) for one in (pixels, truth))
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum()))


class Score:
    """How often plates were read, and how like the truth they are."""

    def __init__(self) -> None:
        self.read: list[bool] = []
        self.like: list[float] = []

    def add(self, pixels: Picture, truth: Picture, plate: Plate, box: Box | None = None) -> None:
        """Judge a picture; a box is where the plate lies in it, if not where it was."""
        self.read.append(is_read(pixels, plate, box))
        here = truth[plate.box.slices] if box is not None else truth
        seen = pixels[box.slices] if box is not None else pixels
        self.like.append(likeness(seen, here, plate.box if box is None else Box(0, 0, *here.shape[:2])))

    def take(self, others: list[Score]) -> None:
        """Add what others have."""
        for one in others:
            self.read += one.read
            self.like += one.like

    def take_best(self, others: list[Score]) -> None:
        """Add the best of what others have of one plate."""
        self.read.append(any(one.read[0] for one in others))
        self.like.append(max(one.like[0] for one in others))

    def row(self, name: str) -> str:
        """Say it as a row of a table, with Wilson's interval of 95 %."""
        n, k = len(self.read), sum(self.read)
        z = 1.96
        middle, off = (k + z * z / 2) / (n + z * z), z * math.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
        rate = f"{100 * k / n:.0f} % ({100 * (middle - off):.0f} to {100 * (middle + off):.0f})"
        return f"| {name} | {rate if reader() else '–'} | {np.median(self.like):.3f} |"


def moved(plate: Plate, seed: int) -> tuple[Picture, Picture, ToldBlur]:
    """Return the truth, what a moving camera saw, and how it moved."""
    rng = np.random.default_rng(seed + 10**6)
    told = ToldBlur.motion(float(rng.uniform(8, 16)), degrees=float(rng.uniform(0, 180)))
    sharp = taken(plate.fine)
    blurred = convolve_mirror(sharp, line_psf(told.strength_px, math.radians(told.degrees)))
    noisy = without_margin(blurred) + rng.normal(0, 2.0, (*SIZE, 3))
    return as_bytes(without_margin(sharp)), as_bytes(noisy, quality=85), told


def motion(count: int) -> None:
    """Plates that moved: undone with nothing told, and told how."""
    names = ("sharp", "blurred", "nothing told, whole picture", "nothing told, the region", "told, the region")
    scores = {name: Score() for name in names}
    seconds = []
    with Sharpener("motion") as sharpener:
        for seed in range(count):
            plate = drawn_plate(seed)
            truth, seen, told = moved(plate, seed)
            scores["sharp"].add(truth, truth, plate)
            scores["blurred"].add(seen, truth, plate)
            scores["nothing told, whole picture"].add(sharpener(seen), truth, plate)
            scores["nothing told, the region"].add(sharpener.told(region=plate.region)(seen), truth, plate)
            start = time.perf_counter()
            scores["told, the region"].add(sharpener.told(told, region=plate.region)(seen), truth, plate)
            seconds.append(time.perf_counter() - start)
    print(f"{count} plates, straight motion of 8 to 16 px, noise of 2 levels, JPEG 85\n")
    print("| picture | read exactly (95 %) | correlation with the truth, median |\n|---|---|---|")
    for name, score in scores.items():
        print(score.row(name))
    print(f"\ntold, of a region: {np.median(seconds):.2f} s in the median")


def filmed(plate: Plate, seed: int, path: Path) -> Picture:
    """Write a clip in which the plate wanders, soft and noisy; return the truth in its middle."""
    rng = np.random.default_rng(seed + 2 * 10**6)
    places = rng.normal(0, 1.5, (FRAMES, 2)).cumsum(axis=0)
    places = np.clip(places - places[FRAMES // 2], -MARGIN + 8, MARGIN - 8)
    frames = []
    for across, down in places:
        soft = convolve_mirror(taken(plate.fine, float(across), float(down)), gaussian_psf(FRAME_SIGMA))
        frames.append(as_bytes(without_margin(soft) + rng.normal(0, FRAME_NOISE, (*SIZE, 3))))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    return as_bytes(without_margin(taken(plate.fine)))


def stills(count: int) -> None:
    """Plates in noisy clips: the still of 25 frames, and every frame by itself, sharpened by the same model."""
    tried = (
        "the middle frame",
        "each frame, on average",
        "any of three frames",
        "25 frames merged",
        "merged and sharpened",
    )
    scores = {name: Score() for name in tried}
    truths = Score()
    with TemporaryDirectory() as folder, Sharpener("fast") as sharpener:
        for seed in range(count):
            plate = drawn_plate(seed)
            path = Path(folder) / f"{seed}.mkv"
            truth = filmed(plate, seed, path)
            truths.add(truth, truth, plate)
            region = plate.region
            found = still(path, at_s=(FRAMES // 2) / 25, frames=FRAMES, region=region)
            place = plate.box.shifted(region.y - found.inner.top, region.x - found.inner.left)
            pixels = (found.pixels >> 8).astype(np.uint8)
            scores["25 frames merged"].add(pixels, truth, plate, place)
            scores["merged and sharpened"].add(sharpener(pixels), truth, plate, place)
            # Single frames are cut out by what was found of the plate's place, and sharpened.
            single = []
            for number in (FRAMES // 2, 4, 20):
                across, down = (round(shift) for shift in found.frames[number].shift_px)
                here = replace(region, x=max(region.x + across, 0), y=max(region.y + down, 0))
                alone = still(path, at_s=number / 25, frames=1, region=here)
                box = plate.box.shifted(-down, -across).shifted(here.y - alone.inner.top, here.x - alone.inner.left)
                one = Score()
                one.add(sharpener((alone.pixels >> 8).astype(np.uint8)), truth, plate, box)
                single.append(one)
            scores["the middle frame"].take(single[:1])
            scores["each frame, on average"].take(single)
            scores["any of three frames"].take_best(single)
            path.unlink()
    print(f"{count} plates, {FRAMES} frames, sigma {FRAME_SIGMA:g} px, noise of {FRAME_NOISE:g} levels, model fast\n")
    print("| picture | read exactly (95 %) | correlation with the truth, median |\n|---|---|---|")
    print(truths.row("sharp"))
    for name, score in scores.items():
        print(score.row(name))


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("motion", "still"))
    parser.add_argument("--count", type=int, default=40, help="how many plates")
    arguments = parser.parse_args()
    {"motion": motion, "still": stills}[arguments.what](arguments.count)


if __name__ == "__main__":
    main()
