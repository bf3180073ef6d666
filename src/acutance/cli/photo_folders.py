"""Which photos a verb is given to train on or to validate on: a folder of sharp ones, several, or pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.data.photo_store import PhotoStore

PAIRED = ("paired=true", "reduced_share=0.0", "ramp_share=0.0")
"""What `--paired` sets: pairs are as they were taken, and what a preset says otherwise is for photos blurred here."""


@dataclass(frozen=True, slots=True)
class PhotoFolders:
    """Folders of photos, as they were named."""

    folders: tuple[Path, ...]
    """At least one; of pairs two, that of the blurred and that of the sharp ones."""
    is_paired: bool = False

    def open(self, store: Path, *, progress: Callable[[float], None] | None = None) -> PhotoStore:
        """Decode the photos into a store, as far as they are not there, and open it."""
        from acutance.data.pairs import open_paired_store
        from acutance.data.photo_store import open_mixed_store

        if not self.is_paired:
            return open_mixed_store(self.folders, store, progress=progress)
        blurred, sharp = self.folders
        return open_paired_store(blurred, sharp, store, progress=progress)

    @property
    def changes(self) -> list[tuple[str, str]]:
        """What these photos set, as `key=value`, each with the option that is to blame."""
        return [(override, "--paired") for override in PAIRED] if self.is_paired else []

    def require_outside(self, others: PhotoFolders, why: str) -> None:
        """Refuse folders that lie within others.

        Raises:
            ConfigError: Naming the folder, and what would be done to its pictures.
        """
        for folder in self.folders:
            for other in others.folders:
                if folder.resolve().is_relative_to(other.resolve()):
                    raise ConfigError(f"{folder}: lies inside {other}, so it would be {why}; choose another.")


def trained_on(verb: str, data: list[Path] | None, paired: tuple[Path, Path] | None) -> PhotoFolders:
    """Return the photos to train on, which must be named in one way.

    Raises:
        ConfigError: When they are not.
    """
    if bool(data) == bool(paired):
        given = "neither is given" if not data else "both are given"
        raise ConfigError(f"{verb} takes the photos of --data FOLDER or of --paired BLURRED SHARP; {given}.")
    return PhotoFolders(paired, is_paired=True) if paired else PhotoFolders(tuple(data or ()))


def validated_on(sharp: Path | None, paired: tuple[Path, Path] | None, training: PhotoFolders) -> PhotoFolders | None:
    """Return the photos to validate on, which must not be trained on; None where none are named.

    Raises:
        ConfigError: When they are, or do not go with the others.
    """
    if sharp and paired:
        raise ConfigError(
            "train validates on --validation FOLDER or --validation-paired BLURRED SHARP; both are given."
        )
    if sharp and training.is_paired:
        raise ConfigError(
            "--validation: what trains on pairs is validated on pairs; give --validation-paired BLURRED SHARP, or "
            "leave it out and some of --paired are held out."
        )
    if not (sharp or paired):
        return None
    held = PhotoFolders(paired, is_paired=True) if paired else PhotoFolders((sharp,) if sharp else ())
    held.require_outside(training, "trained on")
    return held
