"""The content of a result becomes that of a signed one. Nothing is left of it anywhere but where the result goes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from acutance.errors import OutputError, first_line
from acutance.media import FORMATS, ImageFormat, Patch
from acutance.provenance.credential import SigningCredential
from acutance.provenance.manifest import PARENT, Edit, definition
from acutance.provenance.reading import ManifestFound, manifest_in
from acutance.provenance.silent_c2pa import c2pa, context

_IN_MEMORY_BYTES = 32 * 2**20
"""Larger results wait for their signature on the disk."""
_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The photo that a result was made of."""

    file: BinaryIO
    """Open."""
    media_type: str
    title: str
    """What it is called."""


def check_can_be_signed(format_: ImageFormat) -> None:
    """Refuse a format that holds no manifest.

    Raises:
        OutputError: When it holds none.
        JobError: When the extra is not installed.
    """
    able = set(c2pa().Builder.get_supported_mime_types())
    if FORMATS[format_].media_type in able:
        return
    labels = ", ".join(one.label for one in FORMATS.values() if one.media_type in able)
    raise OutputError(
        f"{FORMATS[format_].label}: holds no C2PA manifest; choose one of {labels} for the result, or do without "
        "signing (--c2pa-certificate, signed_by)."
    )


def signed_parts(
    parts: Iterable[bytes | memoryview | Patch],
    format_: ImageFormat,
    credential: SigningCredential,
    parent: Parent,
    *,
    edit: Callable[[], Edit],
    told: Callable[[ManifestFound], None],
    folder: Path | None = None,
) -> Iterator[bytes]:
    """Sign the content of a file.

    Args:
        parts: The content, as it is made.
        format_: Of the content; one that `check_can_be_signed` accepts.
        credential: Who signs.
        parent: What it was made of.
        edit: Asked what was done when all of the content is made.
        told: Called with the manifest as it is read back.
        folder: Whose disk holds what is too large for memory until it is signed; None: that of temporary files.

    Yields:
        The content, signed.

    Raises:
        OutputError: When it cannot be signed, or the time cannot be had; what `parts` raises goes on as it is.
    """
    library, media_type = c2pa(), FORMATS[format_].media_type
    with _unnamed(folder) as plain, _unnamed(folder) as signed:
        for part in parts:
            if isinstance(part, Patch):
                plain.seek(part.start)
                plain.write(part.content)
                plain.seek(0, 2)
            else:
                plain.write(part)
        plain.seek(0)
        parent.file.seek(0)
        ingredient = {"title": parent.title, "relationship": "parentOf", "label": PARENT}
        try:
            with (
                context() as settings,
                library.Builder(definition(edit(), media_type), settings) as builder,
                credential.signer() as signer,
            ):
                builder.add_ingredient(ingredient, parent.media_type, parent.file)
                builder.sign(signer, media_type, plain, signed)
        except library.C2paError as error:
            raise _unsigned(credential, first_line(error)) from error
        found = manifest_in(signed, media_type)
        if found is None or not found.is_valid:
            raise _unsigned(credential, ", ".join(found.problems) if found else "no manifest is found in it")
        told(found)
        signed.seek(0)
        while piece := signed.read(_PIECE_BYTES):
            yield piece


def _unsigned(credential: SigningCredential, reason: str) -> OutputError:
    if credential.timestamp_url is not None:
        return OutputError(
            f"the result cannot be signed ({reason}): try again, or do without the timestamp authority "
            f"{credential.timestamp_url} (--c2pa-timestamp, timestamp_url)."
        )
    return OutputError(
        f"the result cannot be signed ({reason}); choose another format, or do without signing (--c2pa-certificate, "
        "signed_by)."
    )


def _unnamed(folder: Path | None) -> BinaryIO:
    """Return an empty file without a name, in memory while it is small."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=None if folder is None else str(folder)))
