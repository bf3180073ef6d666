"""Random VGG weights, on which a feature neither dies nor explodes, and the network in plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def vgg_state():
    """Give the maker of random convolutions by name: `vgg_state("conv2_2")` holds VGG-19's up to that one."""
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    from acutance.networks.vgg19_weights import VGG19

    def make(last, *, seed=0, layout=VGG19):
        random = torch.Generator().manual_seed(seed)
        state, in_channels = {}, 3
        for name in layout.convolutions[: layout.convolutions.index(last) + 1]:
            channels = layout.stages[int(name[4]) - 1][1]
            deviation = (2 / (9 * in_channels)) ** 0.5
            state[f"{name}.weight"] = torch.randn(channels, in_channels, 3, 3, generator=random) * deviation
            state[f"{name}.bias"] = torch.randn(channels, generator=random) * 0.1
            in_channels = channels
        return state

    return make


@pytest.fixture(scope="session")
def naive_vgg():
    """Give the network in NumPy, float64: all layers that a state's convolutions reach."""

    def convolved(values, weight, bias):
        padded = np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        return np.einsum("nchwyx,ocyx->nohw", windows, weight, optimize=True) + bias[:, None, None]

    def pooled(values, *, rounds_up):
        """The largest of each 2×2 cell; at an odd edge, of what is there, or nothing."""
        count, channels, height, width = values.shape
        if rounds_up:
            padding = ((0, 0), (0, 0), (0, height % 2), (0, width % 2))
            values = np.pad(values, padding, constant_values=-np.inf)
        else:
            values = values[:, :, : height // 2 * 2, : width // 2 * 2]
        height, width = values.shape[2:]
        return values.reshape(count, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))

    def features(layers, state, prepared, *, rounds_up):
        """From images that are prepared for the weights."""
        values, found = prepared, {}
        for name in layers:
            if name.startswith("conv"):
                if f"{name}.weight" not in state:
                    break
                weight, bias = (state[f"{name}.{kind}"].double().numpy() for kind in ("weight", "bias"))
                values = convolved(values, weight, bias)
            elif name.startswith("relu"):
                values = np.maximum(values, 0)
            else:
                values = pooled(values, rounds_up=rounds_up)
            found[name] = values
        return found

    return features
