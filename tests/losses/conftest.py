"""What the tests of the losses share: seeded batches."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def draw():
    """Give a source of seeded tensors: `draw(2, 3, 4, 4, seed=1)` is float32 from a normal distribution."""
    torch = pytest.importorskip("torch", reason="needs the extra `train`")

    def normal(*shape, seed=0, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    return normal
