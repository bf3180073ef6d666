"""A result is seen while it is made: its tiles as they finish, those in view first; then the very result."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from acutance.server.limits import Limits

PATIENCE_S = 60.0

GREY = (100, 110, 120)
INVERTED = tuple(255 - value for value in GREY)
NEARLY = 3
"""Tiles are JPEGs."""


@dataclass
class Steps:
    """A network that inverts, and waits before each tile until it is told to go on."""

    allowed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        assert self.allowed.acquire(timeout=PATIENCE_S)
        return 1.0 - batch


@pytest.fixture
def steps():
    steps = Steps()
    yield steps
    for _ in range(1000):
        steps.allowed.release()


def inverted_share(seen) -> float:
    """Return how much of the stage shows the inverted picture."""
    return float((np.abs(seen.canvas().astype(int) - INVERTED).max(-1) <= NEARLY).mean())


def views_told(served) -> list[tuple[int, ...]]:
    """Return the parts that the server knows to be looked at: x, y, width, height."""
    words = [path.read_text() for path in (served.folder / "tiles").glob("*/view")]
    return [tuple(map(int, told.split(","))) for told in words if told]


def test_tiles_are_seen_as_they_finish_and_the_result_replaces_them(serve, steps, visit, photo, until) -> None:
    served = serve(function=steps, limits=Limits(min_free_bytes=0, drain_s=5))
    seen = visit(served)
    seen.give(("large.png", photo(GREY, (1500, 1400))))
    until(lambda: views_told(served))
    steps.allowed.release()  # one that may have begun before it was known what is seen, and may lie elsewhere
    seen.wait_for(".stage.is-growing")
    steps.allowed.release()
    until(lambda: inverted_share(seen) > 0.02)
    assert inverted_share(seen) < 0.3, "a part of the side after"
    for _ in range(20):
        steps.allowed.release()
    seen.wait_until_sharp()
    canvas = seen.canvas().astype(int)
    assert (canvas == INVERTED).all(-1).mean() > 0.25
    assert seen.complaints == []


def test_what_was_cancelled_is_shown_as_it_was(serve, steps, visit, photo, until) -> None:
    served = serve(function=steps, limits=Limits(min_free_bytes=0, drain_s=5))
    seen = visit(served)
    seen.give(("large.png", photo(GREY, (1500, 1400))))
    until(lambda: views_told(served))
    steps.allowed.release()
    seen.wait_for(".stage.is-growing")
    seen.page.click("#cancel")
    seen.wait_for("#failed:not([hidden])")
    seen.wait_for(".stage:not(.is-growing)")
    assert inverted_share(seen) == 0


def test_the_part_that_is_looked_at_comes_first(serve, steps, visit, photo, until) -> None:
    """Zoomed into the lower right corner, the first tile is the one there."""
    served = serve(function=steps, limits=Limits(min_free_bytes=0, drain_s=5))
    seen = visit(served)
    seen.give(("large.png", photo(GREY, (3000, 2900))))
    seen.wait_for("#working:not([hidden])")
    seen.page.click("#zoom-one")
    box = seen.page.locator("#canvas").bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] - 20)
    for _ in range(6):
        seen.page.mouse.down()
        seen.page.mouse.move(box["x"] + 20, box["y"] + 20, steps=2)
        seen.page.mouse.up()
        seen.page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] - 20)
    until(lambda: any(left > 1500 for left, *_ in views_told(served)))
    for _ in range(2):  # one that may have begun before, and the next
        steps.allowed.release()
    until(lambda: inverted_share(seen) > 0.1)
