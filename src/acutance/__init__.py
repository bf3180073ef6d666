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
    from acutance.inference.sharpener import Sharpener
    from acutance.inference.sharpening import sharpen

__version__ = "0.1.0"

__all__ = ["AcutanceError", "Inspection", "ModelSpec", "Sharpener", "__version__", "inspect", "sharpen"]

_LAZY = {
    "Inspection": "acutance.inference.inspection",
    "Sharpener": "acutance.inference.sharpener",
    "inspect": "acutance.inference.inspection",
    "sharpen": "acutance.inference.sharpening",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'acutance' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
