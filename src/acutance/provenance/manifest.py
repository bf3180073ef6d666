"""What a manifest says was done to a picture, in the words of C2PA 2.x and of IPTC's list of digital sources.

Sharpening by a network that was trained for truth is C2PA's `c2pa.enhanced` ("sharpening … non-editorial"), and what it
gives is *algorithmically enhanced*. A network that was also trained for perception adds texture of its own: that is
`c2pa.edited`, *composite with trained algorithmic media*.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from acutance import __version__

_IPTC: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ENHANCED: Final = f"{_IPTC}algorithmicallyEnhanced"
COMPOSITE: Final = f"{_IPTC}compositeWithTrainedAlgorithmicMedia"
PARENT: Final = "parent"
"""By which the actions name the photo that was opened."""

Fact = str | int | float | bool | Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What was done to a photo."""

    title: str
    """What the result is called; empty: nothing."""
    models: tuple[str, ...]
    """The networks that ran, by name; none where the picture was left as it is."""
    adds_texture: bool
    """Whether one of them may have added what was not in the photo."""
    is_enlarged: bool
    is_converted: bool
    """Whether the result is of another format."""
    found: tuple[str, ...]
    """What was seen in the photo and done about it, in sentences."""
    settings: Mapping[str, Fact]
    """Of the run, with hashes of what it took."""

    @property
    def description(self) -> str:
        """What was done, in a sentence or more."""
        how = "sharpened, texture of the network's own allowed," if self.adds_texture else "sharpened"
        done = f"{how} by {' and '.join(self.models)}" if self.models else "left as it is, and coded anew"
        return ". ".join((done, *self.found))


def definition(edit: Edit, media_type: str) -> str:
    """Return what the library makes a manifest of, JSON."""
    manifest: dict[str, Any] = {
        "claim_generator_info": [{"name": "acutance", "version": __version__}],
        "format": media_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": _actions(edit), "allActionsIncluded": True}},
        ],
    }
    if edit.title:
        manifest["title"] = edit.title
    return json.dumps(manifest)


def _actions(edit: Edit) -> list[dict[str, Any]]:
    source = COMPOSITE if edit.adds_texture else ENHANCED
    did = {
        "when": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "softwareAgent": {"name": "acutance", "version": __version__},
        "description": edit.description,
        "parameters": {f"acutance.{name}": value for name, value in edit.settings.items()},
    }
    actions: list[dict[str, Any]] = [{"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT]}}]
    if edit.models:
        name = "c2pa.edited" if edit.adds_texture else "c2pa.enhanced"
        actions.append({"action": name, "digitalSourceType": source, **did})
    if edit.is_enlarged:
        actions.append({"action": "c2pa.resized", "digitalSourceType": source, "description": "enlarged"})
    if edit.is_converted:
        actions.append({"action": "c2pa.converted", **({} if edit.models else did)})
    elif not edit.models:
        actions.append({"action": "c2pa.transcoded", **did})
    return actions
