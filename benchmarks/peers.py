"""Our models beside published networks with their trained weights: quality by row of the protocol, and speed.

    python benchmarks/peers.py CACHE --test FOLDER --paired BLURRED SHARP [--tiles 256x448]

Every network runs in this house (`Sharpener`, ONNX Runtime, float32, one thread) on the same middle parts of the
photos; a part of MAXIM's size comes out as its graph gives it. Models that look at a photo as a whole are given more of
it. A network that enlarges is given the part, and its result is reduced to the part's size again. Time is processor
time, so that it can be measured on a busy machine.

What is measured is kept in CACHE/peers.json at once: a run that was ended goes on where it was. Rows are averaged over
the photos that all networks have done which have begun with the row.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from peer_models import MAXIM_PX, PEERS, Peer, peer_file

from acutance.data.photo_store import list_photos
from acutance.data.protocol import PAIRED_ROW, degrade, find_row
from acutance.engines.engine import Engine, EngineSettings
from acutance.engines.opening import open_engine
from acutance.evaluation.baselines import unsharp_mask
from acutance.geometry import Size
from acutance.imaging.resize import enlarge_bicubic, resize_bicubic
from acutance.inference.sharpener import Sharpener
from acutance.media.reading import read_photo
from acutance.metrics.psnr import psnr
from acutance.metrics.sharpness import gradient_energy_ratio
from acutance.metrics.ssim import ssim
from acutance.spec import ModelSpec

Pixels = npt.NDArray[np.uint8]
Restore = Callable[[Pixels], Pixels]

ROWS = "gauss-1.6,gauss-3.0,gauss-1.6-n6,defocus-2,jpeg-50,motion-8"
WHOLE_PX = 512
"""Side of what is given to models that look at a photo as a whole."""
UNSHARP_PX = 2.0


@dataclass(frozen=True)
class Case:
    """A degraded photo and the truth."""

    row: str
    name: str
    degraded: Pixels
    reference: Pixels
    """Both at most `WHOLE_PX` a side."""


@dataclass(frozen=True)
class Contender:
    """A line of the table."""

    name: str
    opened: Callable[[Path], Iterator[Restore]]
    """Takes the cache folder."""
    sees_whole: bool = False


def main() -> None:
    """Measure what is not known yet, and print the tables in Markdown."""
    options = _options()
    known = _Known(options.cache / "peers.json")
    cases = list(_cases(options))
    wanted = [line for line in CONTENDERS if options.networks is None or line.name in options.networks.split(",")]
    for name in dict.fromkeys(case.name for case in cases):  # photo by photo: after each there is a whole table
        for contender in wanted:
            missing = [case for case in cases if case.name == name and known.get(contender, case) is None]
            if missing and not options.print:
                _measure(contender, missing, known, options.cache)
    _print_table(wanted, cases, known)
    if options.tiles:
        _print_tiles(options)


class _Known:
    """What was measured, by network, row and photo: PSNR, SSIM, gradient energy, seconds per megapixel."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cells: dict[str, list[float]] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, contender: Contender, case: Case) -> list[float] | None:
        """Return one measurement."""
        return self._cells.get(f"{contender.name} | {case.row} | {case.name}")

    def put(self, contender: Contender, case: Case, values: list[float]) -> None:
        """Keep one measurement."""
        self._cells[f"{contender.name} | {case.row} | {case.name}"] = values
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._cells, indent=1))
        part.replace(self._path)


def _measure(contender: Contender, cases: list[Case], known: _Known, cache: Path) -> None:
    with contextmanager(contender.opened)(cache) as restore:
        for case in cases:
            shown = case.degraded if contender.sees_whole else _middle(case.degraded, MAXIM_PX, MAXIM_PX)
            start = time.process_time()
            restored = restore(shown)
            seconds = (time.process_time() - start) / (shown.shape[0] * shown.shape[1] / 1e6)
            pair = _middle(restored, MAXIM_PX, MAXIM_PX), _middle(case.reference, MAXIM_PX, MAXIM_PX)
            known.put(contender, case, [psnr(*pair), ssim(*pair), gradient_energy_ratio(*pair), seconds])


def _ours(model: str, *, fidelity: float = 1.0) -> Callable[[Path], Iterator[Restore]]:
    def opened(_: Path) -> Iterator[Restore]:
        with Sharpener(model, fidelity=fidelity, engine="onnxruntime", threads=1) as sharpener:
            yield sharpener

    return opened


def _theirs(peer: Peer) -> Callable[[Path], Iterator[Restore]]:
    def opened(cache: Path) -> Iterator[Restore]:
        with Sharpener(peer_file(peer, cache), engine="onnxruntime", threads=1) as sharpener:
            yield lambda degraded: _reduced(sharpener(degraded), degraded)

    return opened


def _plain(restore: Restore) -> Callable[[Path], Iterator[Restore]]:
    return lambda _: iter([restore])


CONTENDERS = (
    Contender("input", _plain(lambda degraded: degraded)),
    Contender(
        f"unsharp mask ({UNSHARP_PX:g} px)", _plain(lambda degraded: unsharp_mask(degraded, sigma_px=UNSHARP_PX))
    ),
    Contender("fast", _ours("fast")),
    Contender("fast (fidelity 0)", _ours("fast", fidelity=0.0)),
    Contender("night", _ours("night")),
    Contender("motion", _ours("motion"), sees_whole=True),
    Contender("auto", _ours("auto"), sees_whole=True),
    *(Contender(peer.name, _theirs(peer)) for peer in PEERS),
)


def _reduced(restored: Pixels, like: Pixels) -> Pixels:
    if restored.shape == like.shape:
        return restored
    reduced = resize_bicubic(restored.astype(np.float64), Size(*like.shape[:2]))
    return np.clip(np.rint(reduced), 0, 255).astype(np.uint8)


def _print_table(contenders: list[Contender], cases: list[Case], known: _Known) -> None:
    rows = dict.fromkeys(case.row for case in cases)
    done = {}
    for row in rows:
        here = [case for case in cases if case.row == row]
        begun = [line for line in contenders if any(known.get(line, case) for case in here)]
        done[row] = [case for case in here if begun and all(known.get(line, case) for line in begun)]
    print(f"Middle parts of {MAXIM_PX}×{MAXIM_PX} px, PSNR / SSIM / gradient energy; photos of each row:", end=" ")
    print(", ".join(f"{row} {len(found)}" for row, found in done.items()), end="\n\n")
    columns = "".join(f" {row} |" for row in rows if done[row])
    print(f"| network |{columns} s/MP |\n|---|{'---|' * (columns.count('|') + 1)}")
    for line in contenders:
        cells = ""
        seconds: list[float] = []
        for found in filter(None, done.values()):
            values = [values for case in found if (values := known.get(line, case)) is not None]
            if not values:
                cells += " – |"
                continue
            means = [statistics.fmean(column) for column in zip(*values, strict=True)]
            cells += f" {means[0]:.2f} / {means[1]:.3f} / {means[2]:.2f} |"
            seconds += [value[3] for value in values]
        print(f"| {line.name} |{cells} {_in_seconds(seconds)} |")


def _in_seconds(measured: list[float]) -> str:
    if not measured:
        return "–"
    seconds = statistics.median(measured)
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"


def _print_tiles(options: argparse.Namespace) -> None:
    """Print what MAXIM's graph gives with its tiles side by side, and as this house blends them."""
    (maxim,) = (peer for peer in PEERS if peer.name == "maxim")
    height, width = map(int, options.tiles.split("x"))
    engine = _Kept(
        open_engine(peer_file(maxim, options.cache), EngineSettings(engine="onnxruntime", threads=1)), options.cache
    )
    print(
        f"\n| part of {height}×{width} px | input | side by side | blended | largest step |\n|{'---|' * 5}", flush=True
    )
    with Sharpener(engine=engine) as sharpener:
        for name, blurred, sharp in _pairs(options):
            degraded, reference = _middle(blurred, height, width), _middle(sharp, height, width)
            beside, blended = _side_by_side(engine, degraded), sharpener(degraded)
            figures = " | ".join(f"{psnr(picture, reference):.2f}" for picture in (degraded, beside, blended))
            steps = " → ".join(f"{_step(picture, reference):.2f}" for picture in (beside, blended))
            print(f"| {name} | {figures} | {steps} |", flush=True)


class _Kept:
    """An engine that keeps what it gave on the disk: a tile of MAXIM takes long."""

    def __init__(self, engine: Engine, cache: Path) -> None:
        self._engine = engine
        self._folder = cache / "tiles"
        self._folder.mkdir(exist_ok=True)

    @property
    def spec(self) -> ModelSpec:
        """See `Engine.spec`."""
        return self._engine.spec

    @property
    def is_offloaded(self) -> bool:
        """See `Engine.is_offloaded`."""
        return self._engine.is_offloaded

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Engine.run`."""
        path = self._folder / f"{hashlib.sha256(batch.tobytes()).hexdigest()}.npy"
        if not path.exists():
            np.save(path, self._engine.run(batch))
        return np.asarray(np.load(path), np.float32)

    def close(self) -> None:
        """See `Engine.close`."""
        self._engine.close()


def _side_by_side(engine: _Kept, degraded: Pixels) -> Pixels:
    """Return what the graph gives tile by tile; the last of a row or column begins as far in as it must."""
    height, width = degraded.shape[:2]
    result = np.empty_like(degraded)
    for top in range(0, height, MAXIM_PX):
        for left in range(0, width, MAXIM_PX):
            y, x = min(top, height - MAXIM_PX), min(left, width - MAXIM_PX)
            tile = degraded[y : y + MAXIM_PX, x : x + MAXIM_PX].astype(np.float32).transpose(2, 0, 1) / np.float32(255)
            restored = np.rint(engine.run(np.ascontiguousarray(tile)[np.newaxis])[0].clip(0, 1) * 255)
            result[top : y + MAXIM_PX, left : x + MAXIM_PX] = restored.transpose(1, 2, 0)[top - y :, left - x :]
    return result


def _step(picture: Pixels, reference: Pixels) -> float:
    """Return the largest mean step of the error where tiles lie side by side, over that of the median column."""
    error = picture.astype(np.float64) - reference
    steps = np.abs(np.diff(error, axis=1)).mean(axis=(0, 2))
    return float(steps[MAXIM_PX - 1 :: MAXIM_PX].max() / np.median(steps))


def _cases(options: argparse.Namespace) -> Iterator[Case]:
    photos = list(enumerate(list_photos(options.test)))[:: options.every]
    for index, path in photos[: options.photos]:
        photo = read_photo(path).pixels
        for row in map(find_row, filter(None, options.rows.split(","))):
            degraded = degrade(photo, row, index=index)
            if row.reduction > 1:
                degraded = enlarge_bicubic(degraded, row.reduction)
            yield _case(row.name, f"{options.test.name}/{path.name}", degraded, photo)
    for name, blurred, sharp in _pairs(options):
        yield _case(PAIRED_ROW.name, name, blurred, sharp)


def _case(row: str, name: str, degraded: Pixels, reference: Pixels) -> Case:
    return Case(row, name, *(_middle(photo, WHOLE_PX, WHOLE_PX) for photo in (degraded, reference)))


def _pairs(options: argparse.Namespace) -> Iterator[tuple[str, Pixels, Pixels]]:
    folders = [list_photos(Path(folder)) for folder in options.paired or ([], [])]
    for blurred, sharp in zip(*folders, strict=True):
        yield f"{Path(options.paired[0]).name}/{blurred.name}", read_photo(blurred).pixels, read_photo(sharp).pixels


def _middle(photo: Pixels, height: int, width: int) -> Pixels:
    """Return the middle of a photo, or all of it where it is smaller."""
    top, left = max(photo.shape[0] - height, 0) // 2, max(photo.shape[1] - width, 0) // 2
    return np.ascontiguousarray(photo[top : top + height, left : left + width])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cache", type=Path, help="folder for packages, converted networks and what was measured")
    parser.add_argument("--test", type=Path, required=True, help="folder of sharp photos")
    parser.add_argument("--paired", nargs=2, metavar=("BLURRED", "SHARP"), help="folders of real pairs")
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--photos", type=int, help="at most so many")
    parser.add_argument("--networks", help="only these, with commas between; default all")
    parser.add_argument("--tiles", metavar="HEIGHTxWIDTH", help="MAXIM on parts of the pairs of this size, too")
    parser.add_argument("--print", action="store_true", help="measure nothing: print what is known")
    return parser.parse_args()


if __name__ == "__main__":
    main()
