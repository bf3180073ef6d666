"""What is to be read, drawn from its number: codes, lines of text, number plates, each with its margin and its truth.

Everything is drawn several times as fine and reduced, so that edges lie between pixels as a camera's do. Pictures are
no larger than the item and its margin, since two hundred of them are restored in many ways.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from acutance.data.protocol import Pixels
from acutance.errors import ConfigError, InputError
from acutance.evaluation.recognition.fonts import Face, font, fonts_at_hand
from acutance.geometry import Box, Size
from acutance.media.reading import read_photo

FINER: Final = 3
"""So many times as fine is drawn."""
MARGIN_PX: Final = 20
"""Around an item: blur reaches over its edge, and networks look there."""

PLATE_LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"
_PLATE_COLOURS: Final = (
    ((245, 245, 240), (20, 20, 25)),
    ((250, 205, 20), (15, 15, 15)),
    ((235, 238, 245), (30, 50, 120)),
)
_WORD_LIST: Final = (
    "about after again between black bright bridge camera change clear cold corner country dark delivery distance "
    "during early eastern entrance evening every factory field final forward garden general glass green ground "
    "harbour heavy house industry island january kitchen large letter light little machine market message middle "
    "minute morning mountain never number office order other paper people picture place point power present quiet "
    "railway reason red report river road school second several short silver simple square station street summer "
    "table thousand through ticket today tower traffic under value village water weather western white window winter "
    "within without wooden yellow young zone"
)
_WORDS: Final = tuple(_WORD_LIST.split())
_HANZI: Final = (
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事只作当"
    "想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问"
    "力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市"
)


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One thing to read."""

    text: str
    """The truth, in the form that a judge's answer is brought into."""
    sharp: Pixels
    """Its picture with a margin."""
    box: Box
    """The item in it: what a judge is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of thing to read, at one size: `plates@22`."""

    name: str
    """One of `SIZES`."""
    size_px: float
    """Of a code's modules; of text its font's size; of plates the height of their letters; of faces their own."""

    @property
    def label(self) -> str:
        """Name it as the command line does."""
        return f"{self.name}@{self.size_px:g}"


SIZES: Final = {"qr": 6.0, "serif": 24.0, "sans": 24.0, "chinese": 28.0, "plates": 22.0, "clips": 11.0, "faces": 24.0}
"""The kinds, and how large they are where nothing is said: px."""
_FACES: Final[dict[str, Face]] = {
    "serif": "serif",
    "sans": "sans",
    "chinese": "chinese",
    "plates": "plate",
    "clips": "plate",
}
OWN_FONT: Final = "Pillow's own font"
TOGETHER: Final = {"text": ("serif", "sans", "chinese")}
"""Words for several kinds."""
_SIZES_ALLOWED: Final = (2.0, 100.0)


def kinds_of(text: str) -> tuple[Kind, ...]:
    """Read kinds as the command line names them: `qr,text,plates@22`.

    Raises:
        ConfigError: When there is no such kind, one is named twice, or a size is out of range.
    """
    found: list[Kind] = []
    for word in text.split(","):
        name, _, size = word.strip().partition("@")
        names = TOGETHER.get(name, (name,))
        if not set(names) <= set(SIZES):
            allowed = ", ".join([*SIZES, *TOGETHER])
            raise ConfigError(
                f"--recognise {word.strip()!r}: must be of {allowed}; with a size in px, as in plates@22."
            )
        found += [Kind(name=one, size_px=_size(word, size, SIZES[one])) for one in names]
    labels = [kind.label for kind in found]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(f"--recognise names {', '.join(twice)} twice; name each once.")
    return tuple(found)


def _size(word: str, size: str, usual: float) -> float:
    low, high = _SIZES_ALLOWED
    try:
        value = float(size) if size else usual
    except ValueError:
        value = 0.0
    if not low <= value <= high:
        raise ConfigError(f"--recognise {word.strip()!r}: the size behind the @ must lie within {low:g} … {high:g} px.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Artist:
    """Draws items: the same number and files give the same one."""

    fonts: tuple[tuple[Face, str], ...] = ()
    """Files of fonts to take for a face, instead of those of the system."""
    photos: tuple[Path, ...] = ()
    """Photos that plates lie on; without them, a texture."""
    faces: tuple[Item, ...] = ()
    """Faces that were found in photos: as many as there are, since they are not drawn."""

    def fonts_of(self, face: Face) -> tuple[str, ...]:
        """Return the fonts that are taken for a face; see `fonts_at_hand`."""
        return fonts_at_hand(face, tuple(name for of, name in self.fonts if of == face))

    def fonts_for(self, kinds: Sequence[Kind]) -> tuple[str, ...]:
        """Return the fonts that these kinds are drawn with, in their order."""
        names = [
            name for kind in kinds if kind.name in _FACES for name in self.fonts_of(_FACES[kind.name]) or (OWN_FONT,)
        ]
        return tuple(dict.fromkeys(names))

    def check(self, kinds: Sequence[Kind]) -> None:
        """Say at once, not after an hour, what a kind needs.

        Raises:
            ConfigError: When there is no font for it.
            ModuleNotFoundError: When codes cannot be made.
        """
        for kind in kinds:
            self.draw(kind, 0)

    def draw(self, kind: Kind, number: int) -> Item:
        """Draw an item of a kind.

        Raises:
            ConfigError: When there is no font for it.
            InputError: When a photo cannot be read.
            ModuleNotFoundError: When codes cannot be made.
        """
        rng = np.random.default_rng([number, *kind.name.encode()])
        if kind.name == "qr":
            return _code(rng, round(kind.size_px))
        if kind.name == "faces":
            return self.faces[number]
        if kind.name in ("plates", "clips"):
            return self.plate(number, kind.size_px).item
        return self._line(kind, number, rng)

    def _line(self, kind: Kind, number: int, rng: np.random.Generator) -> Item:
        """Draw dark letters on light paper."""
        face = _FACES[kind.name]
        if face == "chinese":
            text = "".join(rng.choice(list(_HANZI), 8))
        else:
            words = [*rng.choice(_WORDS, 3), str(rng.integers(10, 1000))]
            words[0] = words[0].capitalize()
            text = " ".join(rng.permutation(words))
        letters = font(self.fonts_of(face), number, kind.size_px * FINER)
        ink, paper = _grey(rng, 10, 60), _grey(rng, 215, 250)
        left, top, right, bottom = letters.getbbox(text)
        margin = MARGIN_PX * FINER
        size = (_whole(right - left) + 2 * margin, _whole(bottom - top) + 2 * margin)
        image = Image.new("RGB", size, paper)
        ImageDraw.Draw(image).text((margin - left, margin - top), text, ink, letters)
        return _item(text, image, near_px=6)

    def plate(
        self, number: int, height_px: float, *, around_px: int = MARGIN_PX, least: Size | None = None
    ) -> FinePlate:
        """Draw a number plate on what may be behind it.

        Args:
            number: Which.
            height_px: Of its letters.
            around_px: Least margin on all sides.
            least: Least size of the picture, in whose middle the plate then lies; None is no larger than it must be.
        """
        rng = np.random.default_rng([number, 77])
        letters, digits = rng.choice(list(PLATE_LETTERS), 5), rng.choice(list(string.digits), 2)
        text = "".join([*letters[:2], *digits, " ", *letters[2:]])
        height = height_px * FINER
        face = font(self.fonts_of("plate"), int(rng.integers(100)), height / 0.73)
        ground, ink = _PLATE_COLOURS[int(rng.integers(len(_PLATE_COLOURS)))]
        left, top, right, bottom = face.getbbox(text)
        pad, margin = round(height / 3), around_px * FINER
        wide, high = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
        tall, broad = least or (1, 1)
        shape = (
            max(_whole(high + FINER + 2 * margin), FINER * tall),
            max(_whole(wide + FINER + 2 * margin), FINER * broad),
        )
        # A part of a px of each plate's own: cameras do not align with plates.
        y, x = ((of - side) // 2 + int(one) for of, side, one in
                zip(shape, (high, wide), rng.integers(-1, FINER - 1, 2), strict=True))  # fmt: skip
        image = Image.fromarray(self._behind(rng, number, shape))
        draw = ImageDraw.Draw(image)
        draw.rounded_rectangle((x, y, x + wide, y + high), pad // 2, fill=ground, outline=ink, width=FINER)
        draw.text((x + pad - left, y + pad - top), text, ink, face)
        place = Box(*(round(one / FINER) for one in (y, x, y + high, x + wide)))
        return FinePlate(text.replace(" ", ""), np.asarray(image), place)

    def _behind(self, rng: np.random.Generator, number: int, shape: tuple[int, int]) -> Pixels:
        """Return a part of a photo, or a texture, of a shape."""
        if not self.photos:
            return texture(rng, shape)
        path = self.photos[number % len(self.photos)]
        pixels = read_photo(path).pixels
        if pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        if pixels.dtype != np.uint8:
            raise InputError(f"{path}: has 16 bits a colour; give photos of 8 bits for what lies behind plates.")
        # The photo's own px, enlarged to the fineness that is drawn: reduced again it is as sharp as it was.
        high, wide = (-(-side // FINER) for side in shape)
        top, left = (int(rng.integers(0, max(have - need, 0) + 1)) for have, need in
                     zip(pixels.shape[:2], (high, wide), strict=True))  # fmt: skip
        part = pixels[top : top + high, left : left + wide]
        part = np.pad(part, ((0, high - part.shape[0]), (0, wide - part.shape[1]), (0, 0)), mode="symmetric")
        return np.repeat(np.repeat(part, FINER, axis=0), FINER, axis=1)[: shape[0], : shape[1]]


@dataclass(frozen=True, slots=True, eq=False)
class FinePlate:
    """A plate as it is drawn."""

    text: str
    fine: Pixels
    """`FINER` times as fine."""
    box: Box
    """Of the plate, in px of the reduced picture."""

    @property
    def item(self) -> Item:
        """Its picture, reduced."""
        return Item(self.text, reduced(self.fine), self.box)


def reduced(fine: npt.NDArray[np.uint8]) -> Pixels:
    """Take the mean of what lies within each pixel."""
    high, wide = (side // FINER for side in fine.shape[:2])
    cells = fine[: high * FINER, : wide * FINER].reshape(high, FINER, wide, FINER, 3)
    return np.asarray(np.rint(cells.mean(axis=(1, 3))), dtype=np.uint8)


def texture(rng: np.random.Generator, shape: tuple[int, int]) -> Pixels:
    """Draw what may be behind a plate: noise of all sizes, and some straight edges."""
    y, x = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    fall = 1 / np.maximum(np.hypot(y, x), 1 / max(shape)) ** 1.4
    planes = [np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * fall, shape) for _ in range(3)]
    planes = [plane / plane.std() for plane in planes]
    scene = rng.uniform(50, 140, 3) + planes[0][..., None] * rng.uniform(12, 26) + np.stack(planes, -1) * 6
    for _ in range(int(rng.integers(2, 6))):
        top, left = (int(rng.integers(0, side)) for side in shape)
        high, wide = int(rng.integers(20, 200)), int(rng.integers(30, 400))
        scene[top : top + high, left : left + wide] += rng.uniform(-45, 45, 3)
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)


def _code(rng: np.random.Generator, module_px: int) -> Item:
    """Draw a QR code of ten letters, error correction M, with its quiet zone."""
    import zxingcpp

    text = "".join(rng.choice(list(string.ascii_uppercase + string.digits), 10))
    made = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    modules = np.asarray(zxingcpp.write_barcode_to_image(made, scale=1, add_quiet_zones=False))
    dark, light = np.array(_grey(rng, 5, 50)), np.array(_grey(rng, 215, 250))
    cells = np.where(modules[..., None] < 128, dark, light).astype(np.uint8)
    quiet = max(4 * module_px, MARGIN_PX) * FINER
    fine = np.repeat(np.repeat(cells, module_px * FINER, axis=0), module_px * FINER, axis=1)
    image = Image.new("RGB", tuple(side + 2 * quiet for side in fine.shape[1::-1]), tuple(light.tolist()))
    # A part of a px of each code's own.
    x, y = (quiet + int(one) for one in rng.integers(0, FINER, 2))
    image.paste(Image.fromarray(fine), (x, y))
    return _item(text, image, near_px=MARGIN_PX)


def _item(text: str, image: Image.Image, *, near_px: int) -> Item:
    """Reduce a picture, and show a judge all of it but its border."""
    sharp = reduced(np.asarray(image))
    off = MARGIN_PX - near_px
    return Item(text, sharp, Box(off, off, sharp.shape[0] - off, sharp.shape[1] - off))


def _grey(rng: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    level = int(rng.integers(low, high + 1))
    red, green, blue = (int(np.clip(level + one, 0, 255)) for one in rng.integers(-8, 9, 3))
    return red, green, blue


def _whole(length: float) -> int:
    """Return a length that `FINER` divides."""
    return -(-round(length) // FINER) * FINER
