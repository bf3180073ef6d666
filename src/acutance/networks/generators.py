"""The generator G: one configurable network for the paper's family and the fast one.

    head → activation → blocks → conv → + (long skip from the head) → tail [→ + input]

The kind of block is what tells the paper's generators apart: `stacked-bn` is StackedG, `classical` ResG, `improved`
NonBN-ResG (and NonBN-ResG-L, which differs by its loss). The paper says of StackedG only that it has no residual
blocks; we read that as: no skip around a block, all else as in ResG, normalisation and long skip included. So each
model of Table 1 differs from the one before in one thing. Without the long skip (`long_skip`) is a second reading.

With `unshuffle = 1` this is the paper's family, at full resolution. With `unshuffle = 2` the same body
works behind a pixel-unshuffle ×2 and before a pixel-shuffle ×2: a quarter of the operations per pixel and
twice the receptive field. Pixel-unshuffle only re-orders numbers, so no detail is pooled away, as the paper
demands.

For blur longer than the flat body can see, coarser scales nest inside it (`GeneratorConfig.coarser`): in the middle
of the blocks stands one that works at half the resolution, behind a pixel-unshuffle and before a pixel-shuffle, with
a skip around it; in its middle may stand the next. Nothing is pooled there either.

The receptive radius, the halo that exact tiling needs, and the cost per pixel are derived here from the
config, by arithmetic; tests hold them against the network itself. Batch normalisation is counted in none of them:
once trained it is part of the convolution before it (`folding.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from acutance.errors import ConfigError
from acutance.geometry import Box, Size
from acutance.imaging.pad import mirrored, with_margin
from acutance.networks.blocks import (
    BLOCKS,
    KERNEL_PX,
    LAYERS_PER_BLOCK,
    RESIDUAL_INIT_GAIN,
    ActivationKind,
    BlockKind,
    activation,
    same_conv,
)

CHANNELS = 3
"""RGB in, RGB out."""

NORMALISED: tuple[BlockKind, ...] = ("stacked-bn", "classical")
"""Kinds of block with batch normalisation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoarserScale:
    """A scale of the body at half the resolution of the one around it."""

    width: int
    """Channels of its blocks."""
    num_blocks: int
    """Its blocks; a coarser scale, if there is one, stands in their middle."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: Naming the setting, its value and what is allowed.
        """
        if self.width < 1 or self.num_blocks < 0:
            raise ConfigError(
                f"generator.coarser: width {self.width} must be at least 1, num_blocks {self.num_blocks} at least 0."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorConfig:
    """The shape of a generator; every number that the network is built from."""

    width: int = 64
    """Channels of the body."""
    num_blocks: int = 5
    """Blocks, of two layers each; the paper has 5."""
    block: BlockKind = "improved"
    """Kind of block: `stacked-bn` (StackedG), `classical` (ResG), `improved` (NonBN-ResG), `stacked` (plain)."""
    activation: ActivationKind = "prelu"
    """Activation after the head and in the blocks; the paper has PReLU, the others gave it almost the same."""
    head_kernel: int = 3
    """Odd side of the first convolution; 9 as in SRGAN, 3 as the fast choice."""
    tail_kernel: int = 3
    """Odd side of the last convolution."""
    unshuffle: Literal[1, 2, 4] = 1
    """Pixel-unshuffle factor: 1 is the paper's family, 2 the fast one."""
    coarser: tuple[CoarserScale, ...] = ()
    """Scales nested in the middle of the body, from fine to coarse, each at half the resolution of the one before."""
    long_skip: bool = True
    """Add the head's features to the body's output."""
    global_residual: bool = True
    """Add the input image to the output; off in the paper preset."""
    scale: Literal[1, 2] = 1
    """Output size over input size."""
    biases: bool = True
    """Whether convolutions add a bias, as the paper's do. Without any, G(a·x) = a·G(x) for every a > 0: convolutions
    and PReLU keep the scale, so a dark picture is restored just as a bright one."""
    guides: int = 0
    """Pictures that the network is given beside the degraded one: deconvolutions of it with a kernel that was told or
    found, from the crispest to the smoothest (`GuideConfig`). They are further input channels, three each, and the
    middle one takes the degraded picture's place in the global residual."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: Naming the setting, its value and what is allowed.
        """
        if self.width < 1 or self.num_blocks < 0:
            raise ConfigError(f"generator: width {self.width} and num_blocks {self.num_blocks} must be positive.")
        for name in ("head_kernel", "tail_kernel"):
            side = getattr(self, name)
            if side < 1 or side % 2 == 0:
                raise ConfigError(f"generator.{name} = {side}: must be a positive odd number, such as 3 or 9.")
        for name, allowed in (("block", get_args(BlockKind)), ("activation", get_args(ActivationKind))):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"generator.{name} = {getattr(self, name)!r}: must be one of {', '.join(allowed)}.")
        if self.unshuffle not in (1, 2, 4):
            raise ConfigError(f"generator.unshuffle = {self.unshuffle}: must be 1, 2 or 4.")
        if self.scale not in (1, 2):
            raise ConfigError(f"generator.scale = {self.scale}: must be 1 or 2.")
        if not self.biases and self.block in NORMALISED:
            raise ConfigError(
                f"generator.biases = false: a {self.block} block normalises, which adds one; leave it true."
            )
        if self.guides < 0 or (self.guides and self.scale > 1):
            raise ConfigError(f"generator.guides = {self.guides}: must be at least 0, and 0 where scale is 2.")

    @property
    def channels_in(self) -> int:
        """Channels of the input: the degraded picture's, and those of its guides."""
        return CHANNELS * (1 + self.guides)

    @property
    def base_channels(self) -> slice:
        """Channels of the input that the global residual adds: the degraded picture's, or the middle guide's."""
        first = CHANNELS * (1 + self.guides // 2) if self.guides else 0
        return slice(first, first + CHANNELS)

    @property
    def scales(self) -> tuple[CoarserScale, ...]:
        """The body's scales, from its own to the coarsest."""
        return (CoarserScale(width=self.width, num_blocks=self.num_blocks), *self.coarser)

    @property
    def size_multiple(self) -> int:
        """Input height and width must be multiples of this."""
        return self.unshuffle << len(self.coarser)

    @property
    def halo_px(self) -> int:
        """Context a tile needs on each side, for tiles that start and end at multiples of `size_multiple`.

        With coarser scales it need not be such a multiple itself: tiles that read from one on read a little more.
        """
        reach = (self.tail_kernel // 2 + KERNEL_PX // 2) * self.unshuffle  # the tail and the convolution before it
        reach = _reach_px(self.scales, self.unshuffle, reach)
        # The input that is added, if enlarged, reaches 1 px: never farther.
        return reach + self.head_kernel // 2 * self.unshuffle

    @property
    def feather_px(self) -> int:
        """None: its reach is known, so tiles are exact."""
        return 0

    @property
    def receptive_radius_px(self) -> int:
        """How far an output pixel looks: through all layers, plus the rest of the coarsest cell it lies in.

        Never more than `halo_px + size_multiple - 1`, and less where a tile's context would end inside a coarser cell:
        the halo then takes in all of the cell.
        """
        reach = self.head_kernel // 2 + KERNEL_PX // 2 + self.tail_kernel // 2
        for level, scale in enumerate(self.scales):
            reach += LAYERS_PER_BLOCK * (KERNEL_PX // 2) * (scale.num_blocks << level)
        return reach * self.unshuffle + self.size_multiple - 1

    @property
    def macs_per_pixel(self) -> int:
        """Multiply-accumulates of all convolutions per input pixel, rounded down."""
        cell_in = self.channels_in * self.unshuffle**2
        cell_out = CHANNELS * self.unshuffle**2 * self.scale**2
        head = cell_in * self.width * self.head_kernel**2
        body = self.width**2 * KERNEL_PX**2
        tail = self.width * cell_out * self.tail_kernel**2
        cells = 1 << 2 * len(self.coarser)  # in one of the coarsest scale: counted per that, all numbers are whole
        total = (head + body + tail) * cells
        outer_width = 0
        for scale in self.scales:
            blocks = LAYERS_PER_BLOCK * scale.num_blocks * scale.width**2 * KERNEL_PX**2
            down_and_up = 2 * 4 * outer_width * scale.width
            total += (blocks + down_and_up) * cells
            outer_width, cells = scale.width, cells // 4
        return total // self.size_multiple**2


def _reach_px(scales: tuple[CoarserScale, ...], cell_px: int, reach_px: int) -> int:
    """Return how far from a tile its input to a scale must be known, for its output to be right up to `reach_px`.

    Args:
        scales: The scale and those nested in it.
        cell_px: Side of the scale's cells.
        reach_px: What is asked of its output.
    """
    radius_px = LAYERS_PER_BLOCK * (KERNEL_PX // 2) * cell_px  # of one block
    before = scales[0].num_blocks // 2 if len(scales) > 1 else scales[0].num_blocks
    reach_px += (scales[0].num_blocks - before) * radius_px
    if len(scales) > 1:
        coarse = 2 * cell_px  # a coarse cell is known where all of it is
        reach_px = _reach_px(scales[1:], coarse, -(-reach_px // coarse) * coarse)
    return reach_px + before * radius_px


class NestedScale(nn.Module):
    """A residual block that works at half the resolution: unshuffle, convolution, blocks, convolution, shuffle.

    Unshuffle and convolution are one convolution of 2×2 px and stride 2 that sees everything; on the way back likewise.
    """

    def __init__(self, outer_width: int, config: GeneratorConfig, scales: tuple[CoarserScale, ...]) -> None:
        super().__init__()
        self.down = same_conv(4 * outer_width, scales[0].width, 1, has_bias=config.biases)
        self.blocks = _scale(config, scales)
        self.up = same_conv(scales[0].width, 4 * outer_width, 1, gain=RESIDUAL_INIT_GAIN, has_bias=config.biases)

    def forward(self, features: Float[Tensor, "n width h w"]) -> Float[Tensor, "n width h w"]:
        """Return the features plus what the coarser scale adds."""
        coarse = self.blocks(self.down(functional.pixel_unshuffle(features, 2)))
        return features + functional.pixel_shuffle(self.up(coarse), 2)


def _scale(config: GeneratorConfig, scales: tuple[CoarserScale, ...]) -> nn.Sequential:
    """Build the blocks of a scale, with those nested in it in their middle."""
    scale = scales[0]
    block = BLOCKS[config.block]
    blocks: list[nn.Module] = [
        block(scale.width, config.activation, has_bias=config.biases) for _ in range(scale.num_blocks)
    ]
    if len(scales) > 1:
        blocks.insert(scale.num_blocks // 2, NestedScale(scale.width, config, scales[1:]))
    return nn.Sequential(*blocks)


class Generator(nn.Module):
    """The paper's generator, G in eq. (1), from any of its blocks.

    Input and output are RGB in [0, 1], gamma space; the output is not clipped. Sizes must be multiples of
    `config.size_multiple`: `restore` below takes any size.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        cell_in = config.channels_in * config.unshuffle**2
        cell_out = CHANNELS * config.unshuffle**2 * config.scale**2
        self.head = same_conv(cell_in, config.width, config.head_kernel, has_bias=config.biases)
        self.head_activation = activation(config.activation)
        self.blocks = _scale(config, config.scales)
        self.body_conv = same_conv(config.width, config.width, has_bias=config.biases)
        # With the input added, the network starts as (almost) the identity and learns what is missing.
        tail_gain = 0.1 if config.global_residual else 1.0
        self.tail = same_conv(config.width, cell_out, config.tail_kernel, gain=tail_gain, has_bias=config.biases)

    def forward(self, degraded: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 hs ws"]:
        """Return the restored image, `scale` times as large; the input has `config.channels_in` channels."""
        config = self.config
        cells = functional.pixel_unshuffle(degraded, config.unshuffle) if config.unshuffle > 1 else degraded
        shallow = self.head_activation(self.head(cells))
        deep: Tensor = self.body_conv(self.blocks(shallow))
        if config.long_skip:
            deep = deep + shallow  # carries image detail to the top
        output: Tensor = self.tail(deep)
        if config.unshuffle * config.scale > 1:
            output = functional.pixel_shuffle(output, config.unshuffle * config.scale)
        if not config.global_residual:
            return output
        base = degraded[:, config.base_channels]
        return output + (base if config.scale == 1 else enlarge(base, config.scale))


@torch.no_grad()
def enlarging(generator: Generator) -> Generator:
    """Return a generator of scale 2 that begins where one of scale 1 stands.

    All layers but the last are the same; of the last, each output pixel's filters serve the four pixels in its place.
    So it gives what the other gives, each pixel four times; where the input is added, that is `enlarge`d instead.
    """
    larger = Generator(replace(generator.config, scale=2))
    state = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    side = 2 * generator.config.unshuffle
    cells = torch.arange(CHANNELS * side**2).view(CHANNELS, side, side)
    channel, row, column = cells // side**2, cells // side % side // 2, cells % side // 2
    source = (channel * generator.config.unshuffle + row) * generator.config.unshuffle + column
    for name in (name for name in ("tail.weight", "tail.bias") if name in state):
        state[name] = state[name][source.flatten()]
    larger.load_state_dict(state)
    return larger.train(generator.training)


def enlarge(images: Float[Tensor, "n 3 h w"], scale: int) -> Float[Tensor, "n 3 hs ws"]:
    """Enlarge bilinearly, pixel centres at half-integers (as image editors do)."""
    return functional.interpolate(images, scale_factor=float(scale), mode="bilinear", align_corners=False)


@runtime_checkable
class Sizes(Protocol):
    """What `restore` asks of the settings of a network."""

    @property
    def scale(self) -> int:
        """Output size over input size: 1 or 2."""

    @property
    def size_multiple(self) -> int:
        """Input height and width must be multiples of this."""


@runtime_checkable
class Restoring(Protocol):
    """What `restore` asks of a network."""

    @property
    def config(self) -> Sizes:
        """What the network says of itself."""

    def __call__(self, degraded: Float[Tensor, "n 3 h w"]) -> Tensor:
        """Return the restored images, not clipped."""


def restore(generator: Restoring, degraded: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 hs ws"]:
    """Run the generator on images of any size as the product does: with their mirrored margin, cut off, in [0, 1]."""
    height, width = degraded.shape[-2:]
    seen = with_margin(Size(height, width), generator.config.size_multiple)
    rows = torch.from_numpy(mirrored(height, seen.top, seen.bottom)).to(degraded.device)
    columns = torch.from_numpy(mirrored(width, seen.left, seen.right)).to(degraded.device)
    output = generator(degraded[..., rows[:, None], columns])
    picture = Box(0, 0, height, width).shifted(seen.top, seen.left).scaled(generator.config.scale)
    return torch.clamp(output[(..., *picture.slices)], 0.0, 1.0)
