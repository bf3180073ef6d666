"""Fonts that every machine with the development tools has."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest

from acutance.evaluation.recognition.items import Artist


@pytest.fixture(scope="session")
def artist() -> Artist:
    """Draws all letters with the serifs that matplotlib brings."""
    serif = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSerif.ttf")
    return Artist(fonts=(("serif", serif), ("sans", serif), ("plate", serif)))
