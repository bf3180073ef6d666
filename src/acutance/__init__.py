"""acutance: makes blurred photos sharp with a small GAN-trained network.

The root stays light (no NumPy, no torch): names are loaded when they are first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from acutance.errors import AcutanceError
from acutance.spec import ModelSpec

if TYPE_CHECKING:
    from acutance.inference.inspection import Inspection, inspect
    from acutance.inference.sharpener import Sharpener, sharpen
    from acutance.inference.told import Region, ToldBlur
    from acutance.provenance.credential import SigningCredential
    from acutance.trust.consistency import consistency
    from acutance.trust.guesses import map_of_guesses
    from acutance.trust.verification import verify

__version__ = "0.1.0"

__all__ = [
    "AcutanceError",
    "Inspection",
    "ModelSpec",
    "Region",
    "Sharpener",
    "SigningCredential",
    "ToldBlur",
    "__version__",
    "consistency",
    "inspect",
    "map_of_guesses",
    "sharpen",
    "verify",
]

_LAZY = {
    "Inspection": "acutance.inference.inspection",
    "Region": "acutance.inference.told",
    "Sharpener": "acutance.inference.sharpener",
    "SigningCredential": "acutance.provenance.credential",
    "ToldBlur": "acutance.inference.told",
    "consistency": "acutance.trust.consistency",
    "inspect": "acutance.inference.inspection",
    "map_of_guesses": "acutance.trust.guesses",
    "sharpen": "acutance.inference.sharpener",
    "verify": "acutance.trust.verification",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'acutance' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
