"""What all tests share: shapes and types checked at run time, and small generated photos.

With torch installed, jaxtyping's import hook lets beartype check every annotation of the torch rooms, shapes
included, whenever a test calls them. It has to be installed before those rooms are first imported: here.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# The processes of a run, and the hundreds of programs that they start, import the same files: each is compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Tiny tensors: more threads only get in each other's way, and one gives the same bits everywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The models that whoever runs the tests has added are nobody's concern here; a test that adds some names a folder.
os.environ["ACUTANCE_MODELS"] = os.path.join(os.path.dirname(__file__), "no-models")

# Speed is measured by benchmarks; a machine that is busy must not fail a test.
settings.register_profile("acutance", deadline=None)
settings.load_profile("acutance")

TORCH_ROOMS = (
    "acutance.networks",
    "acutance.losses",
    "acutance.degradations",
    "acutance.training",
    "acutance.data.patches",
)

IN_REAL_TIME = (
    "bulk",
    "cli/test_serve.py",
    "server",
    "training/test_killed.py",
    "training/test_processes.py",
    "videos",
)
"""Tests that talk to a browser, to other processes or to a camera, which a busy machine may starve in the middle."""


def pytest_configure() -> None:
    """Hear Ctrl-C and SIGHUP, which tests send: what nohup, or a shell in the background, starts is deaf to them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the collector of garbage millions of objects that stay: ten thousand tests, and what they import."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_xdist_auto_num_workers() -> int:
    """Start one process more than there are processors: a quarter of the time tests wait for browsers and programs."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what fails in real time once more; pytest's summary names it."""
    root = Path(__file__).parent
    for item in items:
        if item.path.relative_to(root).as_posix().startswith(IN_REAL_TIME):
            item.add_marker(pytest.mark.flaky(reruns=1))


if all(importlib.util.find_spec(name) for name in ("torch", "jaxtyping", "beartype")):
    from jaxtyping import install_import_hook

    install_import_hook(TORCH_ROOMS, "beartype.beartype")


def make_photo(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Make an `h w 3` uint8 picture with what photos have: smooth light, edges, texture, correlated colours."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 32.0
    waves = [
        amplitude * np.sin(frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
        for frequency, amplitude in ((0.5, 50), (1.3, 25), (4.0, 10), (11.0, 6))
        for angle, phase in (random.uniform(0, 2 * np.pi, 2),)
    ]
    light = 120 + np.sum(waves, axis=0)
    for _ in range(6):
        top, left = random.integers(0, height), random.integers(0, width)
        bottom, right = top + random.integers(4, 40), left + random.integers(4, 40)
        light[top:bottom, left:right] += random.uniform(-70, 70)
    tint = random.uniform(0.8, 1.1, 3) + 0.1 * np.sin(x + random.uniform(0, 6))[..., None] * random.uniform(-1, 1, 3)
    grain = random.normal(0, 2, (height, width, 1))
    return np.clip(np.rint(light[..., None] * tint + grain), 0, 255).astype(np.uint8)


@pytest.fixture
def no_shape_checks() -> Iterator[None]:
    """Switch the import hook's checks off: for values that are to be refused by the code itself."""
    from jaxtyping import config

    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def photo():
    """Give the maker of synthetic photos: `photo(height, width, seed=0)` is `h w 3` uint8."""
    return make_photo


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory) -> Path:
    """Give a folder of six small photos of two sizes, one in a folder below. Tests must not change it."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "below").mkdir()
    for index in range(6):
        height, width = ((96, 120), (110, 90))[index % 2]
        name = f"below/{index}.png" if index == 3 else f"{index}.png"
        Image.fromarray(make_photo(height, width, seed=index)).save(folder / name)
    return folder


@pytest.fixture(autouse=True)
def usual_priority() -> Iterator[None]:
    """Give threads their priority back: as root, SVT-AV1 takes real-time priority, and all later tests would starve."""
    yield
    if sys.platform != "linux":
        return
    for task in os.listdir("/proc/self/task"):
        with suppress(OSError):  # it has ended
            if os.sched_getscheduler(int(task)) in (os.SCHED_FIFO, os.SCHED_RR):
                os.sched_setscheduler(int(task), os.SCHED_OTHER, os.sched_param(0))
