"""Our models beside published networks with their trained weights: quality by row of the protocol, and speed.

    python benchmarks/peers.py CACHE --test FOLDER --paired BLURRED SHARP [--rows gauss-1.6] [--tiles]

Every network runs in this house (`Sharpener`, ONNX Runtime, float32) on the same middle parts of the photos, in turn,
in one process; a part of MAXIM's size comes out as its graph gives it. A network that enlarges is given the part, and
its result is reduced to the part's size again. The last table is of MAXIM on wider parts of the pairs: its tiles put
side by side, and as this house blends them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from peer_models import MAXIM_PX, PEERS, peer_file

from acutance.data.photo_store import list_photos
from acutance.data.protocol import PAIRED_ROW, Row, degrade, find_row
from acutance.engines.engine import Engine
from acutance.engines.opening import open_engine
from acutance.geometry import Size
from acutance.imaging.resize import enlarge_bicubic, resize_bicubic
from acutance.inference.sharpener import Sharpener
from acutance.media.reading import read_photo
from acutance.metrics.psnr import psnr
from acutance.metrics.sharpness import gradient_energy_ratio
from acutance.metrics.ssim import ssim
from acutance.spec import ModelSpec

Pixels = npt.NDArray[np.uint8]
OURS = ("fast", "night", "motion")


@dataclass(frozen=True)
class Case:
    """A degraded photo and the truth."""

    row: str
    degraded: Pixels
    reference: Pixels
    whole: Pixels
    """The photo that the degraded one is the middle of: `motion` looks at the whole."""


@dataclass
class Recorded:
    """An engine that keeps what it gave."""

    engine: Engine
    given: list[npt.NDArray[np.float32]] = field(default_factory=list)

    @property
    def spec(self) -> ModelSpec:
        """See `Engine.spec`."""
        return self.engine.spec

    @property
    def is_offloaded(self) -> bool:
        """See `Engine.is_offloaded`."""
        return self.engine.is_offloaded

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Engine.run`."""
        self.given.append(self.engine.run(batch))
        return self.given[-1]

    def close(self) -> None:
        """See `Engine.close`."""
        self.engine.close()


def main() -> None:
    """Measure, and print tables in Markdown."""
    options = _options()
    cases = _protocol_cases(options) + _paired_cases(options)
    threads = len(os.sched_getaffinity(0))
    print(f"{len(cases)} parts of {MAXIM_PX}×{MAXIM_PX} px, {threads} threads\n", flush=True)
    columns = "".join(f" {row} |" for row in dict.fromkeys(case.row for case in cases))
    print(f"| network |{columns} s per part |\n|---|{'---|' * (columns.count('|') + 1)}", flush=True)
    _print_row("input", lambda case: case.degraded, cases)
    for name in (name for name in OURS if _is_wanted(name, options)):
        with Sharpener(name, engine="onnxruntime", threads=threads) as sharpener:
            _print_row(name, lambda case, sharpener=sharpener: _ours(sharpener, case), cases)
    for peer in (peer for peer in PEERS if _is_wanted(peer.name, options)):
        path = peer_file(peer, options.cache)
        with Sharpener(path, engine="onnxruntime", threads=threads) as sharpener:
            _print_row(peer.name, lambda case, sharpener=sharpener: _theirs(sharpener, case.degraded), cases)
    if options.tiles:
        _print_tiles(options, threads)


def _is_wanted(name: str, options: argparse.Namespace) -> bool:
    return options.networks is None or name in options.networks.split(",")


def _ours(sharpener: Sharpener, case: Case) -> Pixels:
    """Return the part of a photo that one of our models makes sharp; one that looks at the whole is given the whole."""
    if sharpener.spec.needs_whole:
        return _middle(sharpener(case.whole), MAXIM_PX, MAXIM_PX)
    return sharpener(case.degraded)


def _theirs(sharpener: Sharpener, degraded: Pixels) -> Pixels:
    restored = sharpener(degraded)
    if sharpener.spec.scale == 1:
        return restored
    reduced = resize_bicubic(restored.astype(np.float64), Size(*degraded.shape[:2]))
    return np.clip(np.rint(reduced), 0, 255).astype(np.uint8)


def _print_row(name: str, restore: Callable[[Case], Pixels], cases: list[Case]) -> None:
    scores: dict[str, list[tuple[float, float, float]]] = {}
    times = []
    for case in cases:
        start = time.perf_counter()
        restored = restore(case)
        times.append(time.perf_counter() - start)
        pair = restored, case.reference
        scores.setdefault(case.row, []).append((psnr(*pair), ssim(*pair), gradient_energy_ratio(*pair)))
    cells = ""
    for row in scores.values():
        means = [statistics.fmean(values) for values in zip(*row, strict=True)]
        cells += f" {means[0]:.2f}/{means[1]:.3f}/{means[2]:.2f} |"
    print(f"| {name} |{cells} {statistics.median(times):.2f} |", flush=True)


def _print_tiles(options: argparse.Namespace, threads: int) -> None:
    """Print what MAXIM gives tile by tile, and blended: two tiles of each pair."""
    (maxim,) = (peer for peer in PEERS if peer.name == "maxim")
    engine = Recorded(open_engine(peer_file(maxim, options.cache), engine="onnxruntime", threads=threads))
    step = MAXIM_PX - engine.spec.feather_px
    print(
        f"\n| part of {MAXIM_PX}×{MAXIM_PX + step} px | input | side by side | blended | largest step |\n|{'---|' * 5}"
    )
    sharpener = Sharpener(engine=engine)
    for blurred, sharp in _pairs(options):
        degraded, reference = (_middle(photo, MAXIM_PX, MAXIM_PX + step) for photo in (blurred[1], sharp[1]))
        engine.given.clear()
        blended = sharpener(degraded)
        left, right = (np.rint(given[0].clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0) for given in engine.given)
        beside = np.concatenate([left, right[:, MAXIM_PX - step :]], axis=1)
        figures = " | ".join(f"{psnr(picture, reference):.2f}" for picture in (degraded, beside, blended))
        steps = " → ".join(f"{_step(picture, reference):.2f}" for picture in (beside, blended))
        print(f"| {blurred[0]} | {figures} | {steps} |", flush=True)
    sharpener.close()


def _step(picture: Pixels, reference: Pixels) -> float:
    """Return the mean step of the error at the column where tiles meet, over that at other columns: 1 is no seam."""
    error = picture.astype(np.float64) - reference
    steps = np.abs(np.diff(error, axis=1)).mean(axis=(0, 2))
    return float(steps[MAXIM_PX - 1] / np.median(steps[MAXIM_PX // 2 : -MAXIM_PX // 2]))


def _protocol_cases(options: argparse.Namespace) -> list[Case]:
    cases = []
    for row in map(find_row, options.rows.split(",")):
        for index, path in list(enumerate(list_photos(options.test)))[:: options.every]:
            cases.append(_case(row, index, path))
    return cases


def _case(row: Row, index: int, path: Path) -> Case:
    photo = read_photo(path).pixels
    whole = degrade(photo, row, index=index)
    if row.reduction > 1:
        whole = enlarge_bicubic(whole, row.reduction)
    return Case(row.name, _middle(whole, MAXIM_PX, MAXIM_PX), _middle(photo, MAXIM_PX, MAXIM_PX), whole)


def _paired_cases(options: argparse.Namespace) -> list[Case]:
    return [
        Case(
            PAIRED_ROW.name, _middle(blurred[1], MAXIM_PX, MAXIM_PX), _middle(sharp[1], MAXIM_PX, MAXIM_PX), blurred[1]
        )
        for blurred, sharp in _pairs(options)
    ]


def _pairs(options: argparse.Namespace) -> list[tuple[tuple[str, Pixels], tuple[str, Pixels]]]:
    if not options.paired:
        return []
    folders = [list_photos(Path(folder)) for folder in options.paired]
    named = [[(path.stem, read_photo(path).pixels) for path in paths] for paths in folders]
    return list(zip(*named, strict=True))


def _middle(photo: Pixels, height: int, width: int) -> Pixels:
    top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
    return np.ascontiguousarray(photo[top : top + height, left : left + width])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cache", type=Path, help="folder for packages and converted networks")
    parser.add_argument("--test", type=Path, required=True, help="folder of sharp photos")
    parser.add_argument("--paired", nargs=2, metavar=("BLURRED", "SHARP"), help="folders of real pairs")
    parser.add_argument("--rows", default="gauss-1.6")
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--networks", help="only these, with commas between; default all")
    parser.add_argument("--tiles", action="store_true", help="the table of MAXIM's tiles, too (with --paired)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
