"""How many threads encoders that have some of their own (HEIC, AVIF) may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_allowed: ContextVar[int | None] = ContextVar("encoder_threads", default=None)


@contextmanager
def encoder_threads(allowed: int | None) -> Iterator[None]:
    """Let encoders that work within the block, in the same thread, use so many; None: as many as they like."""
    before = _allowed.set(allowed)
    try:
        yield
    finally:
        _allowed.reset(before)


def allowed_threads() -> int | None:
    """Return how many an encoder may use; None: as many as it likes."""
    return _allowed.get()
