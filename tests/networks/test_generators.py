"""The generator against its config: sizes, cost, and how far it looks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.networks.blocks import BLOCKS
from acutance.networks.generators import Generator, GeneratorConfig, enlarge, paper_layout, restore

FAST = GeneratorConfig(unshuffle=2)
PAPER = paper_layout()
PAPER_3X3 = paper_layout(kernel_px=3)
KINDS = ("stacked", "classical", "improved")
ACTIVATIONS = ("prelu", "relu", "leaky-relu")

LAYOUTS = [
    GeneratorConfig(width=4, num_blocks=1, unshuffle=unshuffle, head_kernel=kernel, tail_kernel=kernel, scale=scale)
    for unshuffle, kernel, scale in itertools.product((1, 2, 4), (3, 9), (1, 2))
] + [
    GeneratorConfig(width=4, num_blocks=2, unshuffle=2, head_kernel=5, tail_kernel=1),
    GeneratorConfig(width=4, num_blocks=1, head_kernel=3, tail_kernel=9, global_residual=False),
    # The least that a network can look: here the input that is added reaches as far as the body.
    GeneratorConfig(width=4, num_blocks=0, head_kernel=1, tail_kernel=1, scale=2),
    GeneratorConfig(width=4, num_blocks=2, block="stacked", global_residual=False),
    GeneratorConfig(width=4, num_blocks=2, block="classical", global_residual=False),
    GeneratorConfig(width=4, num_blocks=1, block="classical", unshuffle=2, activation="relu"),
    GeneratorConfig(width=4, num_blocks=1, block="stacked", unshuffle=2, activation="leaky-relu"),
    GeneratorConfig(width=4, num_blocks=1, activation="relu"),
]


def layout_id(config):
    residual = "" if config.global_residual else "-plain"
    kernels = f"{config.head_kernel}.{config.tail_kernel}"
    kind = f"{config.block}-{config.activation}"
    return f"{kind}-u{config.unshuffle}-k{kernels}-b{config.num_blocks}-x{config.scale}{residual}"


def build(config, *, seed=0):
    """Build a generator as it is used: in eval mode."""
    torch.manual_seed(seed)
    return Generator(config).eval()


def randomise_statistics(generator):
    """Give batch normalisation a past."""
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 2.0)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            module.num_batches_tracked.fill_(7)


def build_exact(config):
    """Build in float64 with weights large enough that a change at the very edge of the field shows."""
    generator = build(config).double()
    for parameter in generator.parameters():
        if parameter.dim() == 4:
            torch.nn.init.uniform_(parameter, 0.1, 1.0)
    randomise_statistics(generator)
    return generator.requires_grad_(False)


def images(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", LAYOUTS, ids=layout_id)
@pytest.mark.parametrize("cells", [(1, 1), (1, 3), (4, 2)])
def test_output_is_scale_times_the_input(config, cells):
    height, width = (config.size_multiple * count for count in cells)
    output = build(config)(images(2, 3, height, width))
    assert output.shape == (2, 3, height * config.scale, width * config.scale)


@pytest.mark.parametrize("config", LAYOUTS, ids=layout_id)
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1), (2, 3), (7, 9), (13, 8)])
def test_restore_takes_any_size(config, size):
    restored = restore(build(config), images(1, 3, *size))
    assert restored.shape == (1, 3, size[0] * config.scale, size[1] * config.scale)
    assert restored.min() >= 0
    assert restored.max() <= 1


@pytest.mark.parametrize("size", [(9, 14), (12, 11), (10, 13)])
def test_restore_mirrors_at_the_bottom_and_the_right(size):
    config = GeneratorConfig(width=4, num_blocks=1, unshuffle=4)
    generator, degraded = build(config), images(1, 3, *size)
    padding = ((0, 0), (0, 0), (0, -size[0] % 4), (0, -size[1] % 4))
    padded = torch.from_numpy(np.pad(degraded.numpy(), padding, mode="reflect"))
    expected = generator(padded)[..., : size[0], : size[1]].clamp(0, 1)
    assert torch.equal(restore(generator, degraded), expected)


def test_restore_leaves_multiples_unpadded_and_clips():
    generator, degraded = build(FAST), images(1, 3, 8, 6) * 3 - 1
    assert torch.equal(restore(generator, degraded), generator(degraded).clamp(0, 1))


# --- what it is made of -----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", LAYOUTS, ids=layout_id)
def test_gradient_reaches_every_parameter(config):
    generator = build(config).train()
    side = 4 * config.size_multiple
    generator(images(2, 3, side, side) - 0.5).square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("config", "parameters", "macs"),
    [
        (FAST, 420_114, 104_832),
        (PAPER_3X3, 409_737, 408_960),
        (PAPER, 437_385, 436_608),
        (paper_layout("stacked"), 437_390, 436_608),  # five slopes more
        (paper_layout("classical"), 438_025, 436_608),  # gains and shifts in place of biases
        (GeneratorConfig(unshuffle=2, activation="relu"), 420_108, 104_832),  # six slopes fewer
        (GeneratorConfig(unshuffle=2, activation="leaky-relu"), 420_108, 104_832),
    ],
    ids=["fast", "paper-3x3", "paper", "stacked", "classical", "relu", "leaky-relu"],
)
def test_size_and_cost_are_pinned(config, parameters, macs):
    assert sum(parameter.numel() for parameter in build(config).parameters()) == parameters
    assert config.macs_per_pixel == macs


@pytest.mark.parametrize("config", [FAST, *map(paper_layout, KINDS), PAPER_3X3, *LAYOUTS], ids=layout_id)
def test_cost_is_that_of_the_convolutions_that_run(config):
    counted = []

    def count(conv, inputs, output):
        counted.append(output[0].numel() * conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1])

    generator = build(config)
    for module in generator.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        generator(images(1, 3, 8, 12))
    assert len(counted) == 3 + 2 * config.num_blocks
    assert config.macs_per_pixel == sum(counted) // (8 * 12)


@pytest.mark.parametrize(("block", "normalised"), [("stacked", False), ("classical", True), ("improved", False)])
def test_only_the_classical_block_is_normalised(block, normalised):
    kinds = {type(module).__name__ for module in Generator(paper_layout(block)).modules()}
    assert any("Norm" in kind for kind in kinds) == normalised


def test_the_three_kinds_look_equally_far_at_equal_cost():
    figures = {
        (config.halo_px, config.receptive_radius_px, config.macs_per_pixel) for config in map(paper_layout, KINDS)
    }
    assert len(figures) == 1


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("block", KINDS)
def test_blocks_are_what_the_paper_draws(block, activation):
    torch.manual_seed(1)
    network, features = BLOCKS[block](4, activation), images(2, 4, 5, 6) - 0.5
    randomise_statistics(network)

    def conv(values, layer):
        return torch.nn.functional.conv2d(values, layer.weight, layer.bias, padding=1)

    def act(values):
        return torch.where(values > 0, values, {"prelu": 0.25, "relu": 0.0, "leaky-relu": 0.2}[activation] * values)

    def norm(values, layer):
        mean, variance = values.mean(dim=(0, 2, 3)), values.var(dim=(0, 2, 3), unbiased=False)
        whitened = (values - mean[:, None, None]) / torch.sqrt(variance + 1e-5)[:, None, None]
        return whitened * layer.weight[:, None, None] + layer.bias[:, None, None]

    expected = {
        "stacked": lambda: act(conv(act(conv(features, network.conv1)), network.conv2)),
        "classical": lambda: (
            features + norm(conv(act(norm(conv(features, network.conv1), network.norm1)), network.conv2), network.norm2)
        ),
        "improved": lambda: features + conv(act(conv(features, network.conv1)), network.conv2),
    }[block]()
    torch.testing.assert_close(network(features.clone()), expected)


@pytest.mark.parametrize("block", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_input_is_left_alone(block, activation):
    """Activations work in place: on what the network itself made, never on what it was given."""
    generator = build(GeneratorConfig(width=4, num_blocks=2, block=block, activation=activation))
    degraded = images(1, 3, 6, 6) - 0.5
    before = degraded.clone()
    first = generator(degraded)
    assert torch.equal(degraded, before)
    assert torch.equal(generator(degraded), first)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("unshuffle", [1, 2, 4])
def test_starts_near_the_identity(unshuffle, scale):
    config = GeneratorConfig(width=32, unshuffle=unshuffle, scale=scale)
    degraded = images(1, 3, 32, 32)
    expected = degraded if scale == 1 else enlarge(degraded, 2)
    with torch.no_grad():
        error = build(config)(degraded) - expected
    assert error.square().mean().sqrt() < 0.15  # a plain network starts more than 1 away


@pytest.mark.parametrize("block", KINDS)
def test_the_long_skip_carries_the_head_past_the_blocks(block):
    """In StackedG too: only the skips of the blocks are missing there."""
    generator = build(paper_layout(block, kernel_px=3))
    torch.nn.init.zeros_(generator.body_conv.weight)
    degraded = images(1, 3, 8, 8)
    with torch.no_grad():
        expected = generator.tail(generator.head_activation(generator.head(degraded)))
        torch.testing.assert_close(generator(degraded), expected)


@pytest.mark.parametrize("unshuffle", [2, 4])
def test_unshuffle_puts_every_pixel_back(unshuffle):
    """With a body that passes its input through, nothing may move: pixels return to where they were."""
    config = GeneratorConfig(
        width=3 * unshuffle**2,
        num_blocks=0,
        head_kernel=1,
        tail_kernel=1,
        unshuffle=unshuffle,
        global_residual=False,
    )
    generator = build(config)
    for conv in (generator.head, generator.tail):
        torch.nn.init.dirac_(conv.weight)
    torch.nn.init.zeros_(generator.body_conv.weight)
    degraded = images(1, 3, 8, 12)
    torch.testing.assert_close(generator(degraded), degraded)


def test_enlarging_keeps_pixel_centres():
    """A ramp stays a ramp: enlarged pixel i of ×2 lies at (i + ½) / 2 − ½ on the small grid."""
    ramp = torch.arange(8.0).expand(1, 3, 4, 8)
    enlarged = enlarge(ramp, 2)[0, 0, 3, 1:-1]
    torch.testing.assert_close(enlarged, (torch.arange(1.0, 15.0) + 0.5) / 2 - 0.5)


def test_a_network_does_not_see_its_neighbours_in_the_batch():
    generator, batch = build(FAST).eval(), images(3, 3, 8, 8)
    with torch.no_grad():
        alone = torch.cat([generator(image.unsqueeze(0)) for image in batch])
        torch.testing.assert_close(generator(batch), alone)


# --- how far it looks -------------------------------------------------------------------------------------


def reach(config):
    """Measure how far the change of one input pixel gets: the greatest distance in input px, per axis."""
    generator = build_exact(config)
    multiple, radius = config.size_multiple, config.receptive_radius_px
    side = -(-(2 * radius + 4 * multiple + 4) // multiple) * multiple
    degraded = images(1, 3, side, side, seed=3, dtype=torch.float64)
    before = generator(degraded)
    farthest = [0, 0]
    first = (side // 2) // multiple * multiple
    for phase in range(multiple):  # where in its unshuffled cell the pixel lies decides how far it gets
        y, x = first + phase, first + multiple - 1 - phase
        perturbed = degraded.clone()
        perturbed[0, :, y, x] += 0.5
        changed = (generator(perturbed) != before).any(dim=1)[0].nonzero() // config.scale
        assert len(changed) > 0
        for axis, position in enumerate((y, x)):
            farthest[axis] = max(farthest[axis], int((changed[:, axis] - position).abs().max()))
    return farthest


@pytest.mark.parametrize("config", LAYOUTS, ids=layout_id)
def test_receptive_radius_is_exact(config):
    assert reach(config) == [config.receptive_radius_px] * 2


@pytest.mark.parametrize("config", LAYOUTS, ids=layout_id)
def test_halo_is_exact(config):
    """A crop with the halo gives the whole image's pixels inside; with one cell less it does not."""
    generator = build_exact(config)
    multiple, halo = config.size_multiple, config.halo_px
    start, stop = halo + multiple, halo + 3 * multiple
    side = stop + halo + multiple
    assert halo % multiple == 0
    degraded = images(1, 3, side, side, seed=5, dtype=torch.float64)
    scale = config.scale
    whole = generator(degraded)[..., start * scale : stop * scale, start * scale : stop * scale]

    def inside(context):
        window = slice(start - context, stop + context)
        inner = slice(context * scale, (context + stop - start) * scale)
        return generator(degraded[..., window, window])[..., inner, inner]

    size = whole.abs().max()
    torch.testing.assert_close(inside(halo) / size, whole / size, atol=1e-13, rtol=0)
    assert ((inside(halo - multiple) - whole).abs().max() / size) > 1e-9


def test_known_radii():
    """The figures of the architecture page."""
    assert (PAPER_3X3.halo_px, PAPER_3X3.receptive_radius_px) == (13, 13)
    assert (PAPER.halo_px, PAPER.receptive_radius_px) == (19, 19)
    assert (FAST.halo_px, FAST.receptive_radius_px) == (26, 27)


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width 0"),
        ({"num_blocks": -1}, "num_blocks -1"),
        ({"head_kernel": 4}, "head_kernel = 4"),
        ({"tail_kernel": 0}, "tail_kernel = 0"),
        ({"tail_kernel": -3}, "tail_kernel = -3"),
        ({"unshuffle": 3}, "unshuffle = 3: must be 1, 2 or 4"),
        ({"scale": 4}, "scale = 4: must be 1 or 2"),
        ({"block": "dense"}, "block = 'dense': must be one of stacked, classical, improved"),
        ({"activation": "gelu"}, "activation = 'gelu': must be one of prelu, relu, leaky-relu"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, message, no_shape_checks):
    with pytest.raises(ConfigError, match=message):
        GeneratorConfig(**settings)
