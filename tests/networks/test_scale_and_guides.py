"""Networks without biases keep the scale of what they are given; networks with guides begin with the middle one."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.errors import ConfigError
from acutance.networks.checkpoint_file import describe, generator_bytes, load_generator
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig, enlarging
from acutance.networks.growing import can_grow, growing, without_biases
from acutance.networks.whitening import whiten_head
from acutance.spec import ModelSpec

NESTED = (CoarserScale(width=6, num_blocks=2), CoarserScale(width=5, num_blocks=1))
SHAPES = {
    "improved": {},
    "stacked": {"block": "stacked"},
    "relu": {"activation": "relu"},
    "leaky-relu": {"activation": "leaky-relu", "global_residual": False},
    "unshuffle": {"unshuffle": 2},
    "nested": {"unshuffle": 2, "coarser": NESTED},
    "nested-stacked": {"block": "stacked", "coarser": NESTED},
    "enlarges": {"unshuffle": 2, "scale": 2},
    "guides": {"unshuffle": 2, "guides": 3},
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def build(**settings):
    """Build a small network whose every weight matters."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(**{"width": 8, "num_blocks": 2, **settings})).eval()
    for parameter in generator.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return generator


def picture_for(generator, count=2):
    return torch.rand(count, generator.config.channels_in, 32, 32, generator=seeded(1))


# --- without biases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [0.5, 2.0**-4])
def test_without_biases_the_scale_is_kept(shape, factor):
    generator = build(biases=False, **SHAPES[shape])
    degraded = picture_for(generator)
    # A power of two scales a float exactly.
    assert torch.equal(generator(factor * degraded), factor * generator(degraded))
    torch.testing.assert_close(generator(0.3 * degraded), 0.3 * generator(degraded), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_without_biases_there_are_none_and_with_them_the_scale_is_not_kept(shape):
    bare, biased = build(biases=False, **SHAPES[shape]), build(**SHAPES[shape])
    assert not any(name.endswith("bias") for name in bare.state_dict())
    assert any(name.endswith("bias") for name in biased.state_dict())
    degraded = picture_for(biased)
    assert not torch.allclose(biased(0.5 * degraded), 0.5 * biased(degraded), atol=1e-4)


def test_a_classical_block_normalises_and_so_cannot_be_without():
    with pytest.raises(ConfigError, match="classical block normalises"):
        GeneratorConfig(block="classical", biases=False)


@pytest.mark.parametrize("shape", ["improved", "nested", "enlarges"])
def test_biases_can_be_dropped(shape):
    generator = build(**SHAPES[shape])
    bare = without_biases(generator)
    assert bare.config == replace(generator.config, biases=False)
    for name, tensor in bare.state_dict().items():
        assert torch.equal(tensor, generator.state_dict()[name])
    for name, parameter in generator.named_parameters():
        if name.endswith("bias"):
            parameter.data.zero_()
    degraded = picture_for(generator)
    torch.testing.assert_close(bare(degraded), generator(degraded), atol=1e-6, rtol=1e-5)
    assert not bare.training


def test_enlarging_goes_without_biases():
    small = build(biases=False, unshuffle=2, global_residual=False)
    large = enlarging(small)
    assert large.config == replace(small.config, scale=2)
    degraded = picture_for(small)
    expected = small(degraded).repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(large(degraded), expected, atol=1e-6, rtol=0)


def test_growing_goes_without_biases_and_does_not_mix_both():
    small = build(biases=False, unshuffle=2)
    config = replace(small.config, num_blocks=4, coarser=NESTED)
    degraded = picture_for(small)
    assert torch.equal(growing(small, config)(degraded), small(degraded))
    assert not can_grow(small.config, replace(config, biases=True))
    assert not can_grow(replace(small.config, biases=True), config)


def test_a_head_without_biases_is_whitened():
    generator = build(biases=False, width=24, unshuffle=2)
    patches = torch.rand(8, 3, 32, 32, generator=seeded())
    whiten_head(generator, patches)
    answers = generator.head(torch.nn.functional.pixel_unshuffle(patches, 2))[..., 2:-2, 2:-2]
    assert answers.std(dim=(0, 2, 3))[:12].tolist() == pytest.approx([0.25] * 12, rel=0.25)


# --- guides -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("guides", "channels", "first"), [(0, 3, 0), (1, 6, 3), (2, 9, 6), (3, 12, 6), (5, 18, 9)])
def test_the_middle_guide_is_the_base(guides, channels, first):
    config = GeneratorConfig(guides=guides)
    assert config.channels_in == channels
    assert config.base_channels == slice(first, first + 3)


@pytest.mark.parametrize("shape", [{}, {"unshuffle": 2}, {"unshuffle": 2, "coarser": NESTED}])
def test_a_silent_tail_gives_the_middle_guide_back(shape):
    generator = build(guides=3, **shape)
    for parameter in generator.tail.parameters():
        parameter.data.zero_()
    given = picture_for(generator)
    assert torch.equal(generator(given), given[:, 6:9])


def test_without_the_global_residual_nothing_is_added():
    generator = build(guides=3, global_residual=False)
    for parameter in generator.tail.parameters():
        parameter.data.zero_()
    assert not generator(picture_for(generator)).any()


def test_every_guide_is_looked_at():
    generator = build(guides=3, unshuffle=2)
    given = picture_for(generator).requires_grad_()
    generator(given).sum().backward()
    assert (given.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_the_cost_of_guides_is_that_of_a_wider_head():
    plain, guided = (GeneratorConfig(width=8, num_blocks=1, guides=guides) for guides in (0, 3))
    assert guided.macs_per_pixel - plain.macs_per_pixel == 9 * 8 * 3**2


@pytest.mark.parametrize("settings", [{"guides": -1}, {"guides": 3, "scale": 2}])
def test_guides_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigError, match=r"generator\.guides"):
        GeneratorConfig(**settings)


def test_a_network_cannot_grow_guides():
    assert not can_grow(GeneratorConfig(), GeneratorConfig(guides=3))


@pytest.mark.parametrize("settings", [{"guides": 3}, {"biases": False}, {"guides": 3, "biases": False}])
def test_a_checkpoint_keeps_all_of_it(tmp_path, settings):
    generator = build(**settings)
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    path = tmp_path / "generator.safetensors"
    path.write_bytes(generator_bytes(generator, spec))
    loaded, known = load_generator(path)
    assert known == spec
    assert known.guides == settings.get("guides", 0)
    assert loaded.config == generator.config
    given = picture_for(generator)
    assert torch.equal(loaded(given), generator(given))


def test_a_spec_from_before_guides_has_none():
    spec = describe(build(), name="test", training_data="none", licence="Apache-2.0")
    text = spec.to_json()
    assert '"guides": 0' in text
    old = text.replace('"guides": 0, ', "")
    assert old != text
    assert ModelSpec.from_json(old) == spec
    assert ModelSpec.from_json(text.replace('"guides": 0', '"guides": 3')).guides == 3
