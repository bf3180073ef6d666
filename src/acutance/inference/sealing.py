"""The manifest of a result (C2PA): what is known here of how it was made, put into words that can be signed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from acutance.engines.model_file import read_spec
from acutance.engines.opening import resolved
from acutance.media import FORMATS, ImageFormat, Patch, PictureFile
from acutance.provenance.credential import SigningCredential
from acutance.provenance.manifest import Edit, Fact
from acutance.provenance.reading import ManifestFound
from acutance.provenance.signing import Parent, check_can_be_signed, signed_parts
from acutance.zoo.catalogue import find_model, list_models

if TYPE_CHECKING:
    from acutance.inference.photo_sharpener import PhotoSharpener
    from acutance.spec import ModelSpec

_OF_PARENT = {
    "kept": "the photo's own manifest is kept inside",
    "broken": "the photo's own manifest does not hold for the photo: it is kept inside, with that finding",
    "elsewhere": "the photo's own manifest lies elsewhere, and was not fetched",
}


class Done(NamedTuple):
    """What was done to the pictures of a file."""

    models: tuple[str, ...]
    """That ran, by name."""
    found: tuple[str, ...]
    """What was seen in them, in sentences."""


class Seal:
    """Signs one result; nothing is done before its parts are asked for."""

    def __init__(
        self,
        sharpener: PhotoSharpener,
        credential: SigningCredential,
        pictures: PictureFile,
        format_: ImageFormat,
        *,
        strength: float,
        target: Path | None,
    ) -> None:
        """Say what is to be signed.

        Args:
            sharpener: What makes it.
            credential: Who signs.
            pictures: The photo, open until all parts are made.
            format_: Of the result.
            strength: See `Sharpener.__call__`.
            target: Where the result goes; None: nobody knows here.

        Raises:
            OutputError: When files of that format cannot be signed.
            JobError: When the extra is not installed.
        """
        check_can_be_signed(format_)
        self._sharpener = sharpener
        self._credential = credential
        self._pictures = pictures
        self._format: ImageFormat = format_
        self._strength = strength
        self._target = target
        self._found: ManifestFound | None = None

    def parts(
        self, parts: Iterable[bytes | memoryview | Patch], done: Callable[[], Done]
    ) -> Iterator[bytes | memoryview | Patch]:
        """Yield the content of the result, signed; see `signed_parts`.

        Args:
            parts: The content without a manifest.
            done: Asked what was done to the pictures when all of it is made.
        """
        pictures = self._pictures
        parent = Parent(file=pictures.file, media_type=pictures.media_type, title=_shown(Path(pictures.name).name))
        yield from signed_parts(
            parts,
            self._format,
            self._credential,
            parent,
            edit=lambda: self._edit(done()),
            told=self._tell,
            folder=None if self._target is None else self._target.parent,
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """Who signed the result, and what became of the photo's own manifest; nothing before it is signed."""
        if self._found is None:
            return ()
        parent = _OF_PARENT.get(self._found.parent)
        return (f"signed by {self._found.holder} (C2PA)", *(() if parent is None else (parent,)))

    @property
    def keeps_manifest(self) -> bool:
        """Whether the photo's own manifest is in the result, so that it is not lost."""
        return self._found is not None and self._found.parent in ("kept", "broken")

    def _tell(self, found: ManifestFound) -> None:
        self._found = found

    def _edit(self, made: Done) -> Edit:
        sharpener, asked, told = self._sharpener, self._sharpener.engine_settings, self._sharpener.settings
        specs = [self._spec_of(name) for name in made.models]
        is_true = all(is_for_truth(spec, fidelity=asked.fidelity) for spec in specs)
        engine, precision = resolved(asked.engine, asked.precision, sharpener.spec)
        settings: dict[str, Fact] = {
            "models": list(made.models),
            "weights_sha256": [spec.weights_sha256 for spec in specs],
            "strength": float(self._strength),
            "fidelity": float(asked.fidelity),
            "ensemble": asked.ensemble,
            "back_projection": any(told.corrects(spec) for spec in specs),
            "engine": engine,
            "precision": precision,
            "told": told.words,
            "input_sha256": self._input_sha256(),
        }
        return Edit(
            title="" if self._target is None else _shown(self._target.name),
            models=made.models,
            adds_texture=not is_true,
            is_enlarged=any(spec.scale != 1 for spec in specs),
            is_converted=self._pictures.media_type != FORMATS[self._format].media_type,
            found=made.found,
            settings={name: value for name, value in settings.items() if value != ""},
        )

    def _spec_of(self, name: str) -> ModelSpec:
        spec = self._sharpener.spec
        return spec if spec.name == name else read_spec(find_model(name).fidelity.read_bytes(), name=name)

    def _input_sha256(self) -> str:
        digest, file = hashlib.sha256(), self._pictures.file
        file.seek(0)
        while piece := file.read(2**20):
            digest.update(piece)
        return digest.hexdigest()


def is_for_truth(spec: ModelSpec, *, fidelity: float) -> bool:
    """Say whether a network was trained for truth alone: of those that ship this is known, and of no others."""
    if spec.name not in {row.name for row in list_models()}:
        return False
    paths = find_model(spec.name)
    is_shipped = read_spec(paths.fidelity.read_bytes()).weights_sha256 == spec.weights_sha256
    return is_shipped and (fidelity == 1.0 or paths.perceptual is None)


def _shown(name: str) -> str:
    """Return a name of a file that need not be UTF-8 as text."""
    return name.encode("utf-8", "backslashreplace").decode()
