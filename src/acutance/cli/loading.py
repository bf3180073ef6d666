"""Loading without the collector of garbage: what is loaded stays, and to look through it is wasted time.

It was a tenth of the time that a small photo took: half while modules were loaded, half when the program ended.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Let modules be loaded; what there is afterwards is never looked through, and what comes later is as always."""
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if is_enabled:
            gc.enable()
