"""What a file's own manifest says, and whether the file is as it was signed. Whom to trust is left to who reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from acutance.errors import first_line
from acutance.provenance.silent_c2pa import c2pa, context

ParentState = Literal["none", "kept", "broken", "elsewhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFound:
    """The manifest of a file."""

    is_valid: bool
    """Whether file and manifest are as they were signed."""
    holder: str
    """Whom the certificate names."""
    problems: tuple[str, ...]
    """What is not as it was signed, by C2PA's codes."""
    parent: ParentState
    """Of the photo that the file was made of: no manifest, a good one, one that did not hold for the photo (both are
    in the file), or one that lay elsewhere, which is not fetched."""


def manifest_in(file: BinaryIO, media_type: str) -> ManifestFound | None:
    """Read and check the manifest of a file.

    Args:
        file: Open; read from its beginning.
        media_type: What it is.

    Returns:
        None where there is none, or it lies elsewhere.

    Raises:
        JobError: When the extra is not installed.
    """
    library = c2pa()
    file.seek(0)
    try:
        with context() as offline, library.Reader(media_type, file, context=offline) as reader:
            told: dict[str, Any] = json.loads(reader.json())
    except library.C2paError.ManifestNotFound:
        return None
    except library.C2paError as error:
        if str(error).startswith("Remote"):
            return None
        return ManifestFound(is_valid=False, holder="", problems=(first_line(error),), parent="none")
    active = told["manifests"][told["active_manifest"]]
    results = told.get("validation_results", {}).get("activeManifest", {})
    return ManifestFound(
        is_valid=told.get("validation_state") in ("Valid", "Trusted"),
        holder=_holder(active),
        problems=tuple(dict.fromkeys(failure["code"] for failure in results.get("failure", ()))),
        parent=_parent(active),
    )


def _holder(manifest: dict[str, Any]) -> str:
    told = manifest.get("signature_info") or {}
    return str(told.get("common_name") or told.get("issuer") or "")


def _parent(manifest: dict[str, Any]) -> ParentState:
    """Say what a manifest tells of that of the photo it was made of."""
    for ingredient in manifest.get("ingredients") or ():
        if ingredient.get("relationship") != "parentOf":
            continue
        results = (ingredient.get("validation_results") or {}).get("activeManifest") or {}
        codes = {failure["code"] for failure in results.get("failure") or ()}
        if "active_manifest" in ingredient:
            return "broken" if codes - {"signingCredential.untrusted"} else "kept"
        return "elsewhere" if codes else "none"
    return "none"
