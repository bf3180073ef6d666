"""Features of a VGG network: what losses and measures compare in place of pixels.

Only the convolutional part, and of it only the layers up to the last one asked for. Nothing is trained here: gradients
pass through to the images. Features of the truth need no gradient; compute them under `torch.no_grad()`, which takes
half the time and none of the memory.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.networks.vgg_weights import Convolution, VggWeights


class VggFeatures(nn.Module):
    """The frozen network, from RGB in [0, 1] to the features of the layers asked for.

    The preparation of the input that the weights were trained with (`InputConvention`) happens inside. Weights are
    laid out channels-last, so that convolutions run so: measured on a CPU, 15 to 20 % faster.

    Args:
        weights: See `read_vgg`.
        layers: Names as in the literature: `conv1_1` (before its activation), `relu1_1`, …, `pool5`.
        rounds_up: What a pooling makes of an odd side: the half rounded up (`ceil_mode`, as SAME in the paper's
            framework), or down, as the networks were trained.
        pooling: Makes another pooling in place of the largest of four.

    Raises:
        ConfigError: When there is no such layer, or the weights lack what it needs.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        weights: VggWeights,
        layers: Sequence[str],
        *,
        rounds_up: bool,
        pooling: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        check_layers(weights, layers)
        self.wanted = tuple(dict.fromkeys(layers))
        self.rounds_up, self._pooling = rounds_up, pooling
        convention = weights.convention
        # Not persistent: they belong to the weights' file, and are read with it.
        for name in ("scale", "shift"):
            row = torch.tensor(getattr(convention, name), dtype=torch.float32)
            self.register_buffer(name, row.view(1, 3, 1, 1), persistent=False)
        names = weights.layout.layers
        last = max(names.index(name) for name in self.wanted)
        self.layers = nn.ModuleDict({name: self._layer(name, weights) for name in names[: last + 1]})
        self.eval().requires_grad_(False)

    def _layer(self, name: str, weights: VggWeights) -> nn.Module:
        if name.startswith("conv"):
            # The images are RGB: for weights that take blue first, the weights are turned round, not each image.
            is_turned = name == weights.layout.convolutions[0] and weights.convention.is_bgr
            return _frozen(weights.convolutions[name], is_turned=is_turned)
        if name.startswith("relu"):
            return nn.ReLU(inplace=name.replace("relu", "conv") not in self.wanted)  # nobody sees what it overwrites
        return nn.MaxPool2d(2, 2, ceil_mode=self.rounds_up) if self._pooling is None else self._pooling()

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Return the features of each layer asked for, by name.

        Their sides are the images', halved and rounded at each pooling on the way.
        """
        values = images * self.scale + self.shift
        features = {}
        for name, layer in self.layers.items():
            values = layer(values)
            if name in self.wanted:
                features[name] = values
        return features


def check_layers(weights: VggWeights, layers: Sequence[str]) -> None:
    """Refuse layers that cannot be computed.

    Raises:
        ConfigError: Naming the layer, what it needs and how to get it.
    """
    layout = weights.layout
    names, available = layout.layers, weights.layers
    if not layers:
        raise ConfigError(f"{layout.name} features: no layer is asked for; name some, such as pool2.")
    for name in layers:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            span = f"conv1_1, relu1_1, … pool1 … {names[-2]}, {names[-1]}"
            raise ConfigError(f"{layout.name} has no layer {name!r} ({span}){hint}")
        if name not in available:
            between = names[len(available) : names.index(name) + 1]
            needed = [layer for layer in between if layer in layout.convolutions]
            span = needed[0] if len(needed) == 1 else f"{needed[0]} … {needed[-1]}"
            raise ConfigError(
                f"layer {name} of {layout.name} needs {span}, which {weights.source} lacks; take layers up to "
                f"{available[-1]}, or {layout.ways}."
            )


def _frozen(convolution: Convolution, *, is_turned: bool) -> nn.Conv2d:
    weight, bias = convolution
    out_channels, in_channels, _, _ = weight.shape
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, device="meta")  # draws no random numbers
    laid_out = (weight.flip(1) if is_turned else weight).clone(memory_format=torch.channels_last)
    conv.weight, conv.bias = nn.Parameter(laid_out), nn.Parameter(bias.clone())
    return conv
