"""Random VGG-19 weights, on which a feature neither dies nor explodes."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def vgg_state():
    """Give the maker of random convolutions by name: `vgg_state("conv2_2")` holds all up to that one."""
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    from acutance.networks.vgg19_weights import CONVOLUTIONS, STAGES

    def make(last, *, seed=0):
        random = torch.Generator().manual_seed(seed)
        state, in_channels = {}, 3
        for name in CONVOLUTIONS[: CONVOLUTIONS.index(last) + 1]:
            channels = STAGES[int(name[4]) - 1][1]
            deviation = (2 / (9 * in_channels)) ** 0.5
            state[f"{name}.weight"] = torch.randn(channels, in_channels, 3, 3, generator=random) * deviation
            state[f"{name}.bias"] = torch.randn(channels, generator=random) * 0.1
            in_channels = channels
        return state

    return make
