"""The generator against its config: sizes, cost, and how far it looks."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import ConfigError
from acutance.geometry import Size, ceil_to_multiple, plan_tiles
from acutance.imaging.pad import MARGIN_PX
from acutance.inference.tiling import restore_tiled
from acutance.networks.blocks import BLOCKS
from acutance.networks.generators import (
    CoarserScale,
    Generator,
    GeneratorConfig,
    NestedScale,
    enlarge,
    restore,
)


def coarser(*scales):
    """Say which scales nest inside a body: (width, blocks) of each, from fine to coarse."""
    return tuple(CoarserScale(width=width, num_blocks=num_blocks) for width, num_blocks in scales)


FLAT = GeneratorConfig(unshuffle=2)
FAST = GeneratorConfig(unshuffle=2, num_blocks=2, coarser=coarser((96, 4)))
SHAKE = GeneratorConfig(unshuffle=2, num_blocks=2, coarser=coarser((96, 4), (80, 3)))


def paper_layout(block="improved", *, kernel_px=9):
    """Return the shape of one of the paper's generators: full resolution, 5 blocks of 64 channels, input not added."""
    return GeneratorConfig(block=block, head_kernel=kernel_px, tail_kernel=kernel_px, global_residual=False)


PAPER = paper_layout()
PAPER_3X3 = paper_layout(kernel_px=3)
KINDS = ("stacked", "stacked-bn", "classical", "improved")
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

NESTED = [
    GeneratorConfig(width=4, num_blocks=2, coarser=coarser((3, 1))),
    GeneratorConfig(width=4, num_blocks=1, unshuffle=2, coarser=coarser((6, 2))),
    GeneratorConfig(width=3, num_blocks=3, coarser=coarser((4, 0)), head_kernel=5, scale=2),
    # All that looks farther than one coarse cell is the convolution behind it.
    GeneratorConfig(width=3, num_blocks=0, coarser=coarser((4, 0)), head_kernel=1, tail_kernel=1, scale=2),
    GeneratorConfig(width=3, num_blocks=1, block="classical", coarser=coarser((4, 2)), global_residual=False),
    GeneratorConfig(width=4, num_blocks=2, block="stacked", coarser=coarser((4, 1)), activation="leaky-relu"),
    GeneratorConfig(width=3, num_blocks=2, coarser=coarser((4, 3), (3, 1))),
    # What is asked of each coarser scale ends inside one of its cells.
    GeneratorConfig(width=3, num_blocks=3, coarser=coarser((4, 2), (3, 1)), tail_kernel=5),
    GeneratorConfig(width=3, num_blocks=0, unshuffle=2, coarser=coarser((4, 0), (3, 1)), tail_kernel=1, scale=2),
    GeneratorConfig(width=3, num_blocks=1, unshuffle=2, block="classical", coarser=coarser((4, 1), (5, 0))),
]
LAYOUTS += NESTED


def layout_id(config):
    residual = "" if config.global_residual else "-plain"
    kernels = f"{config.head_kernel}.{config.tail_kernel}"
    kind = f"{config.block}-{config.activation}"
    blocks = "b" + "b".join(str(scale.num_blocks) for scale in config.scales)
    return f"{kind}-u{config.unshuffle}-k{kernels}-{blocks}-x{config.scale}{residual}"


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


@pytest.mark.parametrize("size", [(9, 14), (12, 11), (10, 13), (2, 40), (8, 4)])
@pytest.mark.parametrize("scale", [1, 2])
def test_restore_mirrors_on_all_sides_and_clips(size, scale):
    config = GeneratorConfig(width=4, num_blocks=1, unshuffle=4, scale=scale)
    generator, degraded = build(config), images(1, 3, *size) * 3 - 1
    padding = ((0, 0), (0, 0), *((MARGIN_PX, MARGIN_PX + -side % 4) for side in size))
    padded = torch.from_numpy(np.pad(degraded.numpy(), padding, mode="reflect"))
    height, width, margin = size[0] * scale, size[1] * scale, MARGIN_PX * scale
    expected = generator(padded)[..., margin : margin + height, margin : margin + width].clamp(0, 1)
    assert torch.equal(restore(generator, degraded), expected)


@pytest.mark.parametrize("config", [FLAT, FAST, LAYOUTS[1], NESTED[6]], ids=layout_id)
@pytest.mark.parametrize("size", [(1, 1), (7, 50), (45, 38)])
def test_restore_is_what_the_product_does(config, size):
    generator = build(config)
    spec = replace(FAKE_SPEC, scale=config.scale, size_multiple=config.size_multiple, halo_px=config.halo_px)
    with torch.no_grad():
        engine = FakeEngine(lambda batch: generator(torch.from_numpy(batch)).numpy(), spec)
        pixels = images(1, 3, *size)[0].numpy().transpose(1, 2, 0).copy()
        restored = restore(generator, images(1, 3, *size))[0].numpy().transpose(1, 2, 0)
        np.testing.assert_allclose(restore_tiled(engine, pixels), restored, rtol=0, atol=1e-6)


@pytest.mark.parametrize("unshuffle", [1, 2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_biases_the_border_of_a_bright_ramp_is_no_edge(unshuffle, seed):
    """Such a network changes a flat picture in proportion to its brightness, at the border just as inside."""
    generator = build(GeneratorConfig(width=8, num_blocks=2, unshuffle=unshuffle, biases=False), seed=seed)
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(120.0), indexing="ij")
    levels = torch.round(230 + 0.05 * rows - 0.1 * columns)
    degraded = (levels / 255).expand(1, 3, -1, -1)

    def uneven_levels(restored):
        cells = torch.nn.functional.pixel_unshuffle((restored * 255 - levels) / levels, unshuffle)
        inside = cells[..., 16:-16, 16:-16].mean(dim=(2, 3), keepdim=True)
        return 230 * (cells - inside).abs().max()

    with torch.no_grad():
        generator.tail.weight *= 0.05  # some levels are added, and nothing is clipped
        assert uneven_levels(generator(degraded)) > 3
        assert uneven_levels(restore(generator, degraded)) < 0.1


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
        (FLAT, 420_114, 104_832),
        (FAST, 912_371, 94_080),
        (SHAKE, 1_320_358, 100_440),
        (PAPER_3X3, 409_737, 408_960),
        (PAPER, 437_385, 436_608),
        (paper_layout("stacked"), 437_390, 436_608),  # five slopes more
        (paper_layout("classical"), 438_025, 436_608),  # gains and shifts in place of biases
        (GeneratorConfig(unshuffle=2, activation="relu"), 420_108, 104_832),  # six slopes fewer
        (GeneratorConfig(unshuffle=2, activation="leaky-relu"), 420_108, 104_832),
    ],
    ids=["flat", "fast", "shake", "paper-3x3", "paper", "stacked", "classical", "relu", "leaky-relu"],
)
def test_size_and_cost_are_pinned(config, parameters, macs):
    assert sum(parameter.numel() for parameter in build(config).parameters()) == parameters
    assert config.macs_per_pixel == macs


@pytest.mark.parametrize("config", [FLAT, FAST, SHAKE, *map(paper_layout, BLOCKS), PAPER_3X3, *LAYOUTS], ids=layout_id)
def test_cost_is_that_of_the_convolutions_that_run(config):
    counted = []

    def count(conv, inputs, output):
        seen = conv.in_channels // conv.groups * conv.kernel_size[0] * conv.kernel_size[1]
        counted.append(output[0].numel() * seen)

    generator = build(config)
    for module in generator.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        generator(images(1, 3, 16, 24))
    if config.block in KINDS:
        assert len(counted) == 3 + sum(2 * scale.num_blocks for scale in config.scales) + 2 * len(config.coarser)
    assert config.macs_per_pixel == sum(counted) // (16 * 24)


@pytest.mark.parametrize(
    ("block", "normalised"), [("stacked", False), ("stacked-bn", True), ("classical", True), ("improved", False)]
)
def test_which_blocks_are_normalised(block, normalised):
    kinds = {type(module).__name__ for module in Generator(paper_layout(block)).modules()}
    assert any("Norm" in kind for kind in kinds) == normalised


def test_all_kinds_look_equally_far_at_equal_cost():
    figures = {
        (config.halo_px, config.receptive_radius_px, config.macs_per_pixel) for config in map(paper_layout, KINDS)
    }
    assert len(figures) == 1


def test_stackedg_is_resg_without_the_skips_around_its_blocks():
    """The same layers, an activation in the place of each skip; the long skip is a setting of its own."""
    stacked, classical = build(paper_layout("stacked-bn")), build(paper_layout("classical"))
    extra = stacked.state_dict().keys() - classical.state_dict().keys()
    assert classical.state_dict().keys() <= stacked.state_dict().keys()
    assert extra == {f"blocks.{number}.activation2.weight" for number in range(5)}
    degraded = images(1, 3, 12, 12)
    bare = build(replace(paper_layout("stacked-bn"), long_skip=False))
    bare.load_state_dict(stacked.state_dict())
    shallow = stacked.head_activation(stacked.head(degraded))
    expected = stacked.tail(stacked.body_conv(stacked.blocks(shallow)))
    torch.testing.assert_close(bare(degraded), expected)
    assert not torch.allclose(stacked(degraded), expected)


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
        "stacked-bn": lambda: act(
            norm(conv(act(norm(conv(features, network.conv1), network.norm1)), network.conv2), network.norm2)
        ),
        "classical": lambda: (
            features + norm(conv(act(norm(conv(features, network.conv1), network.norm1)), network.conv2), network.norm2)
        ),
        "improved": lambda: features + conv(act(conv(features, network.conv1)), network.conv2),
    }[block]()
    torch.testing.assert_close(network(features.clone()), expected)


@pytest.mark.parametrize("nested", [(), coarser((3, 1))], ids=["flat", "nested"])
@pytest.mark.parametrize("block", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_input_is_left_alone(block, activation, nested):
    """Activations work in place: on what the network itself made, never on what it was given."""
    generator = build(GeneratorConfig(width=4, num_blocks=2, block=block, activation=activation, coarser=nested))
    degraded = images(1, 3, 6, 6) - 0.5
    before = degraded.clone()
    first = generator(degraded)
    assert torch.equal(degraded, before)
    assert torch.equal(generator(degraded), first)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("unshuffle", [1, 2, 4])
@pytest.mark.parametrize("nested", [(), coarser((32, 2), (32, 2))], ids=["flat", "nested"])
def test_starts_near_the_identity(nested, unshuffle, scale):
    config = GeneratorConfig(width=32, unshuffle=unshuffle, coarser=nested, scale=scale)
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


def nested_scales(generator):
    """Find the scales inside a generator, from fine to coarse."""
    return [module for module in generator.modules() if isinstance(module, NestedScale)]


@pytest.mark.parametrize("config", [*NESTED, FAST, SHAKE], ids=layout_id)
def test_coarser_scales_stand_in_the_middle(config):
    """Half of the blocks, rounded down, come before each; the coarsest has blocks only."""
    generator = build(config)
    body = generator.blocks
    for scale, inner in itertools.pairwise(config.scales):
        assert len(body) == scale.num_blocks + 1
        nested = body[scale.num_blocks // 2]
        assert isinstance(nested, NestedScale)
        assert nested.down.in_channels == nested.up.out_channels == 4 * scale.width
        assert nested.down.out_channels == nested.up.in_channels == inner.width
        body = nested.blocks
    assert len(body) == config.scales[-1].num_blocks
    assert len(nested_scales(generator)) == len(config.coarser)


def test_a_coarser_scale_sees_four_cells_and_gives_four_back():
    """Its features are the 2×2 cells side by side; what it adds goes back to where it came from."""
    scale = nested_scales(build(GeneratorConfig(width=3, coarser=coarser((12, 0)))))[0]
    for conv in (scale.down, scale.up):
        torch.nn.init.dirac_(conv.weight)
    features = images(2, 3, 6, 8)
    torch.testing.assert_close(scale(features), 2 * features)
    seen = []
    scale.down.register_forward_hook(lambda conv, inputs, output: seen.append(inputs[0]))
    scale(features)
    for row, column in itertools.product((0, 1), repeat=2):
        assert torch.equal(seen[0][:, 2 * row + column :: 4], features[..., row::2, column::2])


def test_a_silent_coarser_scale_changes_nothing():
    """The skip around it is exact: with nothing to add, the flat body is left."""
    config = GeneratorConfig(width=4, num_blocks=3, unshuffle=2, coarser=coarser((5, 2), (3, 1)))
    generator, flat = build(config), build(config)
    torch.nn.init.zeros_(nested_scales(generator)[0].up.weight)
    flat.blocks = torch.nn.Sequential(*(block for block in flat.blocks if not isinstance(block, NestedScale)))
    degraded = images(1, 3, 16, 24)
    assert torch.equal(generator(degraded), flat(degraded))


def test_enlarging_keeps_pixel_centres():
    """A ramp stays a ramp: enlarged pixel i of ×2 lies at (i + ½) / 2 − ½ on the small grid."""
    ramp = torch.arange(8.0).expand(1, 3, 4, 8)
    enlarged = enlarge(ramp, 2)[0, 0, 3, 1:-1]
    torch.testing.assert_close(enlarged, (torch.arange(1.0, 15.0) + 0.5) / 2 - 0.5)


def test_a_network_does_not_see_its_neighbours_in_the_batch():
    generator, batch = build(FAST), images(3, 3, 8, 8)
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
def test_receptive_radius_and_halo_agree(config):
    assert config.receptive_radius_px <= config.halo_px + config.size_multiple - 1
    assert config.coarser or config.receptive_radius_px == config.halo_px + config.size_multiple - 1


@pytest.mark.parametrize("config", LAYOUTS, ids=layout_id)
def test_halo_is_exact(config):
    """A crop with the halo gives the whole image's pixels inside; with one cell less it does not."""
    generator = build_exact(config)
    multiple = config.size_multiple
    halo = ceil_to_multiple(config.halo_px, multiple)  # crops begin at multiples
    start, stop = halo + multiple, halo + 3 * multiple
    side = stop + halo + multiple
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


@pytest.mark.parametrize("config", LAYOUTS, ids=layout_id)
def test_halo_is_exact_to_the_pixel(config):
    """A tile's pixels depend on the last pixel of its halo, on each side, and on none beyond."""
    generator = build_exact(config)
    multiple, halo = config.size_multiple, config.halo_px
    start = ceil_to_multiple(halo, multiple) + multiple
    stop = start + multiple
    side = stop + start
    degraded = images(1, 3, side, side, seed=7, dtype=torch.float64)
    tile = slice(start * config.scale, stop * config.scale)
    before = generator(degraded)[..., tile, tile]

    def matters(y, x):
        perturbed = degraded.clone()
        perturbed[..., y, x] += 0.5
        return bool((generator(perturbed)[..., tile, tile] != before).any())

    inside = start + multiple // 2
    assert [matters(start - halo, inside), matters(stop + halo - 1, inside)] == [True, True]
    assert [matters(inside, start - halo), matters(inside, stop + halo - 1)] == [True, True]
    assert [matters(start - halo - 1, inside), matters(inside, stop + halo)] == [False, False]


@pytest.mark.parametrize("config", NESTED, ids=layout_id)
def test_tiles_make_the_whole_with_coarser_scales_too(config):
    """At the borders of the picture, too, where the network itself pads, at every scale."""
    generator = build_exact(config)
    multiple, scale = config.size_multiple, config.scale
    size = Size(ceil_to_multiple(2 * config.halo_px, multiple) + 5 * multiple, 3 * multiple)
    degraded = images(1, 3, *size, seed=5, dtype=torch.float64)
    whole, tiled = generator(degraded), torch.full((1, 3, size.height * scale, size.width * scale), torch.nan)
    tiled = tiled.double()
    tiles = list(plan_tiles(size, tile_px=2 * multiple, halo_px=config.halo_px, multiple=multiple))
    assert len(tiles) > 1
    for tile in tiles:
        rows, columns = tile.target.scaled(scale).slices
        part = generator(degraded[(..., *tile.source.slices)])
        inner = tile.target.shifted(tile.source.top, tile.source.left).scaled(scale).slices
        tiled[..., rows, columns] = part[(..., *inner)]
    assert (tiled - whole).abs().max() <= 1e-13 * whole.abs().max()


def test_known_radii():
    """The figures of the architecture page."""
    assert (PAPER_3X3.halo_px, PAPER_3X3.receptive_radius_px) == (13, 13)
    assert (PAPER.halo_px, PAPER.receptive_radius_px) == (19, 19)
    assert (FLAT.halo_px, FLAT.receptive_radius_px) == (26, 27)
    assert (FAST.halo_px, FAST.receptive_radius_px) == (46, 49)
    assert (SHAKE.halo_px, SHAKE.receptive_radius_px) == (94, 101)


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
        ({"block": "dense"}, "block = 'dense': must be one of stacked, stacked-bn, classical, improved"),
        ({"activation": "gelu"}, "activation = 'gelu': must be one of prelu, relu, leaky-relu"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, message, no_shape_checks):
    with pytest.raises(ConfigError, match=message):
        GeneratorConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0, "num_blocks": 1}, r"generator\.coarser: width 0 must be at least 1"),
        ({"width": 4, "num_blocks": -1}, r"num_blocks -1 at least 0"),
    ],
)
def test_coarser_scales_out_of_range_are_refused_by_name(settings, message, no_shape_checks):
    with pytest.raises(ConfigError, match=message):
        CoarserScale(**settings)


def test_every_coarser_scale_doubles_the_multiple():
    scales = coarser(*[(2, 1)] * 3)
    multiples = [GeneratorConfig(unshuffle=2, coarser=scales[:count]).size_multiple for count in range(4)]
    assert multiples == [2, 4, 8, 16]
