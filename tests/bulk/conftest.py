"""Folders of tiny pictures, and a network that inverts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the extra bulk")
pytest.importorskip("fsspec", reason="needs the extra bulk")

from PIL import Image

from acutance.bulk.stores import Store
from acutance.bulk.work import Worker
from acutance.engines.fake import FakeEngine
from acutance.inference.sharpener import Sharpener


def write_photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photo() -> Callable[..., Path]:
    return write_photo


@pytest.fixture
def source(tmp_path: Path) -> Store:
    (tmp_path / "from").mkdir()
    return Store(str(tmp_path / "from"))


@pytest.fixture
def target(tmp_path: Path) -> Store:
    (tmp_path / "to").mkdir()
    return Store(str(tmp_path / "to"))


@pytest.fixture
def inverter() -> Iterator[Sharpener]:
    with Sharpener(engine=FakeEngine(lambda tile: 1 - tile)) as sharpener:
        yield sharpener


@pytest.fixture
def worker(inverter: Sharpener, source: Store, target: Store) -> Worker:
    return Worker(inverter, source, target, settings="s")
