"""The folder that uploads and results lie in. A file has its name only when it is whole and on the disk.

Names are made up here; nothing that a client sends becomes part of a path.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args

from acutance.media.formats import HEAD_BYTES
from acutance.media.part_file import remove_leftovers
from acutance.server.jobs import JOB_ID, is_job_id, new_job_id
from acutance.server.refusals import storage_refusal

PASSING_S = 6 * 3600.0
"""Age at which a file that only passes through was forgotten by somebody."""


TrustFile = Literal["maps", "records", "pages"]
"""What a result's trust is written down as: the map of guesses, the record, the record as a page."""

TRUST_FILES: tuple[TrustFile, ...] = get_args(TrustFile)


class Files:
    """Uploads and results of jobs, and files that only pass through."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing; only its owner may look into it.

        Raises:
            OSError: When it cannot be made.
        """
        self._folder = folder
        self._uploads, self._results, self._passing = (folder / name for name in ("uploads", "results", "passing"))
        self._videos, self._tiles, self._temporary = (folder / name for name in ("videos", "tiles", "temporary"))
        own = (self._uploads, self._results, self._passing, self._videos, self._tiles, self._temporary)
        self._trust: dict[TrustFile, Path] = {kind: folder / kind for kind in TRUST_FILES}
        for part in (folder, *own, *self._trust.values()):
            part.mkdir(mode=0o700, parents=part == folder, exist_ok=True)

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return self._folder

    @property
    def free_bytes(self) -> int:
        """What is free on the disk."""
        return shutil.disk_usage(self._folder).free

    @property
    def of_workers(self) -> tuple[Path, ...]:
        """Folders that workers write into; the first is for temporary files."""
        return self._temporary, self._passing, self._videos, self._tiles

    def new_passing(self) -> Path:
        """Return a path for a file that passes through; who asks for it removes it."""
        return self._passing / new_job_id()

    def upload(self, job_id: str) -> Path:
        """Return where a job's upload lies."""
        return self._uploads / job_id

    def result(self, job_id: str) -> Path:
        """Return where a job's result lies, once there is one."""
        return self._results / job_id

    def keep(self, made: Path, name: Path) -> None:
        """Give a finished file its name, whole and on the disk before this returns.

        Raises:
            Refused: When the disk does not take it.
        """
        try:
            with open(made, "rb+") as file:
                os.fsync(file.fileno())
            made.replace(name)
            _sync_folder(name.parent)
        except OSError as error:
            raise storage_refusal(error) from error

    def trust(self, job_id: str, kind: TrustFile) -> Path:
        """Return where what is known of a result's trust lies, once somebody has asked for it."""
        return self._trust[kind] / job_id

    def all_of_result(self, job_id: str) -> tuple[Path, ...]:
        """Return where everything of a finished job may lie: its result, its upload, and what is known of its trust."""
        return (self.result(job_id), self.upload(job_id), *(self.trust(job_id, kind) for kind in TRUST_FILES))

    def video(self, job_id: str, suffix: str) -> Path:
        """Return where a job's video is made, parts of it beside it."""
        return self._videos / f"{job_id}{suffix}"

    def remove_video(self, job_id: str) -> None:
        """Remove what is left of the making of a job's video."""
        for path in self._videos.glob(f"*{job_id}*"):
            _remove_all(path)

    def tiles(self, job_id: str) -> Path:
        """Return the folder of a job's finished tiles, which is there while somebody looks."""
        return self._tiles / job_id

    def remove(self, *paths: Path) -> None:
        """Remove files, where they are there and can be."""
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def tidy(self, *, uploads: Collection[str], results: Collection[str]) -> None:
        """Remove what a server that was killed left behind: every file of ours but those of these jobs."""
        trusted = ((folder, results) for folder in self._trust.values())
        for folder, kept in ((self._uploads, uploads), (self._results, results), (self._passing, ()), *trusted):
            self.remove(*(path for path in _ours(folder) if path.name not in kept))
            remove_leftovers(folder)
        for path in (*_ours(self._tiles), *self._temporary.iterdir()):
            _remove_all(path)
        remove_leftovers(self._videos)
        for path in self._videos.iterdir():
            found = JOB_ID.search(path.name)
            # Parts of videos that are to be done are kept: the next run goes on with them.
            if found is not None and not (found[0] in uploads and path.is_dir()):
                _remove_all(path)

    def remove_forgotten(self) -> None:
        """Remove files that pass through and should long be gone."""
        for path in _ours(self._passing):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > PASSING_S:
                    path.unlink()


def _ours(folder: Path) -> list[Path]:
    """Return the files that have names of ours: somebody may have named a folder with files of his own as --data."""
    return [path for path in folder.iterdir() if is_job_id(path.name)]


def _remove_all(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file, by which its format is recognised."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder last; Windows does so by itself and cannot be asked."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
