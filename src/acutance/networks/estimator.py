"""The estimator of blur: a small network that looks at windows of a picture's brightness and says what blurred them.

    differences → convolutions at four scales → mean and maximum over a window → fully connected → three answers

No convolution has a bias, and what is pooled is divided by its norm: the answer does not change with exposure or
contrast. No convolution pads: a window is judged by what lies in it, and a large picture gives the answers for all of
its windows, `STRIDE_PX` apart, in one pass.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from acutance.networks.blocks import prelu, same_conv

WINDOW_PX: Final = 141
"""Side of the window that one answer looks at; `estimation.verdict` has it, too."""
STRIDE_PX: Final = 32
"""Distance of two windows."""
_WIDTHS: Final = (24, 48, 96, 160)
_LAYERS: Final = (2, 2, 2, 1)
_HIDDEN: Final = 384
POOL_CELLS: Final = 12
"""Side of what is pooled over, in cells of 8 px."""
POOL_STRIDE_CELLS: Final = STRIDE_PX // 8
MEAN_GAIN: Final = 4.0
"""Factor on the mean, which is so much smaller than the maximum."""
SLOPE: Final = 0.1
"""Of the activation behind what is pooled, below 0."""


class Answers(NamedTuple):
    """What the estimator says of each window, `n … rows columns`."""

    classes: Float[Tensor, "n classes r c"]
    """Logits of the kinds and strengths of blur."""
    kernel: Float[Tensor, "n elements r c"]
    """Logits of the kernel's elements, row by row: their softmax is the kernel."""
    noise: Float[Tensor, "n 1 r c"]
    """Logarithm of the noise's standard deviation, in levels of 255, to the base 2."""


class BlurEstimator(nn.Module):
    """Says what blurred a picture: brightness `n 1 h w` in [0, 1], gamma space, at least `WINDOW_PX` on both sides."""

    def __init__(self, *, classes: int, kernel_px: int) -> None:
        """Build the network, at random.

        Args:
            classes: Kinds and strengths of blur.
            kernel_px: Side of the kernels that it draws.
        """
        super().__init__()
        layers: list[nn.Module] = []
        channels = 2
        for scale, (width, count) in enumerate(zip(_WIDTHS, _LAYERS, strict=True)):
            if scale:
                layers += [nn.Conv2d(channels, width, 2, stride=2, bias=False), prelu()]
                channels = width
            for _ in range(count):
                conv = same_conv(channels, width, has_bias=False)
                conv.padding = (0, 0)
                layers += [conv, prelu()]
                channels = width
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Linear(2 * channels, _HIDDEN)
        self.classes = nn.Linear(_HIDDEN, classes)
        self.kernel = nn.Linear(_HIDDEN, kernel_px**2)
        self.noise = nn.Linear(_HIDDEN, 1)

    def forward(self, grey: Float[Tensor, "n 1 h w"]) -> Answers:
        """Judge every window."""
        right = grey[..., :-1, 1:] - grey[..., :-1, :-1]
        down = grey[..., 1:, :-1] - grey[..., :-1, :-1]
        found: Tensor = self.features(torch.cat([right, down], dim=1))
        mean = functional.avg_pool2d(found, POOL_CELLS, POOL_STRIDE_CELLS)
        largest = functional.max_pool2d(found, POOL_CELLS, POOL_STRIDE_CELLS)
        pooled = torch.cat([mean * MEAN_GAIN, largest], dim=1).movedim(1, -1).float()
        pooled = pooled / (pooled.square().mean(dim=-1, keepdim=True) + 1e-12).sqrt()
        hidden = functional.leaky_relu(self.hidden(pooled), SLOPE)
        return Answers(*(head(hidden).movedim(-1, 1) for head in (self.classes, self.kernel, self.noise)))
