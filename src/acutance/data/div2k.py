"""DIV2K: 800 photos to train on and 100 to validate on, some 2 000 px wide, from where its authors publish them.

The paper also names 100 test photos; they were used in a challenge and have never been made public, so there is
no row for them. The photos are for academic research only and stay their authors' property.

Source: E. Agustsson, R. Timofte, "NTIRE 2017 Challenge on Single Image Super-Resolution: Dataset and Study",
CVPR Workshops 2017.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from acutance.data.archive import UnpackedFile, are_all_in, unpack
from acutance.downloads import Patience, fetch, recorded_sha256
from acutance.downloads.disk import make_folder, only_one, replace_text, writing
from acutance.downloads.fetch import PATIENCE

DIV2K_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
"""Where the authors publish it."""

Part = Literal["train", "valid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Div2kArchive:
    """One archive, as its authors publish it."""

    part: Part
    name: str
    """Of the folder in it; the file's name is this and `.zip`."""
    num_photos: int
    size_bytes: int
    sha256: str


# Its authors publish no hashes. These are the ones that TensorFlow Datasets records and checks
# (tensorflow_datasets/datasets/div2k/checksums.tsv), and others have found the same.
DIV2K: tuple[Div2kArchive, ...] = (
    Div2kArchive(
        part="train",
        name="DIV2K_train_HR",
        num_photos=800,
        size_bytes=3_530_603_713,
        sha256="9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    ),
    Div2kArchive(
        part="valid",
        name="DIV2K_valid_HR",
        num_photos=100,
        size_bytes=448_993_893,
        sha256="20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    ),
)
"""All archives that are public and hold sharp photos."""

DOWNLOAD_SHARE = 0.9
"""Of the progress; the rest is unpacking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedPart:
    """A part of DIV2K that lies unpacked on the disk, checked."""

    archive: Div2kArchive
    folder: Path
    """Of its photos."""
    num_photos: int
    size_bytes: int
    """Of all photos together."""
    sha256: str
    """Of the archive that they came from."""

    @property
    def is_original(self) -> bool:
        """Whether that archive is the published one, bit for bit."""
        return self.sha256 == self.archive.sha256


def fetch_part(
    archive: Div2kArchive,
    out: Path,
    *,
    base_url: str = DIV2K_URL,
    progress: Callable[[float], None] | None = None,
    patience: Patience = PATIENCE,
) -> FetchedPart:
    """Download one archive and unpack it to `out/DIV2K_train_HR/0001.png` and so on.

    What is there is not done again: neither downloaded bytes nor unpacked photos, and with all photos there and
    right, nothing is asked of the network; the archive may be deleted then. What it held is written to
    `out/DIV2K_train_HR.json`. From `DIV2K_URL` only the published archive is taken. A mirror may have packed it
    anew: the hash of its archive is recorded at first use and checked afterwards.

    Args:
        archive: A row of `DIV2K`.
        out: Folder that gets the archive and the folder of photos; made if missing.
        base_url: Folder on the web that holds the archive.
        progress: Called with the share done, 0 … 1.
        patience: With bad connections.

    Raises:
        ConfigError: When the address is malformed.
        DownloadError: When the archive cannot be had, or is not the right one.
        InputError: When the archive is damaged, or holds something else than photos of that part.
        OutputError: When the disk refuses, or has no room for archive and photos.
    """
    url = f"{base_url.rstrip('/')}/{archive.name}.zip"
    record = out / f"{archive.name}.json"
    make_folder(out)
    with only_one(out / f".{archive.name}.lock"):
        contents = _read_contents(record)
        if contents is None or contents.url != url or not are_all_in(out, contents.files, progress=progress):
            contents = _fetch_and_unpack(archive, out, url, progress=progress, patience=patience)
            with writing(record):
                replace_text(record, json.dumps(asdict(contents), indent=1))
    return FetchedPart(
        archive=archive,
        folder=out / archive.name,
        num_photos=len(contents.files),
        size_bytes=sum(file.size_bytes for file in contents.files),
        sha256=contents.sha256,
    )


@dataclass(frozen=True, slots=True)
class _Contents:
    """What an archive held, and where it came from: enough to check the photos without it."""

    url: str
    sha256: str
    files: tuple[UnpackedFile, ...]


def _fetch_and_unpack(
    archive: Div2kArchive,
    out: Path,
    url: str,
    *,
    progress: Callable[[float], None] | None,
    patience: Patience,
) -> _Contents:
    is_published = url.startswith(f"{DIV2K_URL}/")
    path = fetch(
        url,
        out / f"{archive.name}.zip",
        sha256=archive.sha256 if is_published else None,
        progress=_share(progress, 0.0, DOWNLOAD_SHARE),
        room=2,  # the photos take as much again: PNG files cannot be packed further
        patience=patience,
    )
    files = unpack(path, out, within=archive.name, progress=_share(progress, DOWNLOAD_SHARE, 1.0))
    return _Contents(url, recorded_sha256(path) or archive.sha256, files)


def _share(progress: Callable[[float], None] | None, start: float, end: float) -> Callable[[float], None] | None:
    """Map the progress of one stage, 0 … 1, to its share of the whole."""
    return None if progress is None else lambda share: progress(start + (end - start) * share)


def _read_contents(record: Path) -> _Contents | None:
    """Read what was written after unpacking; a missing or damaged record counts as none."""
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
        files = tuple(UnpackedFile(**file) for file in values["files"])
        return _Contents(values["url"], values["sha256"], files)
    except (OSError, ValueError, KeyError, TypeError):
        return None
