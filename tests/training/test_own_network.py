"""A network of the user's own: what it must say, what is checked before it trains, resuming and exporting."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from safetensors.torch import load_file

from acutance.config.settings import from_values, to_values
from acutance.data.patches import PatchSampler
from acutance.errors import ConfigError
from acutance.networks.checkpoint_file import describe, generator_bytes, load_generator
from acutance.networks.own import OwnGenerator, OwnNetworkConfig, examine
from acutance.training.batch import Batch
from acutance.training.checkpoint import Progress
from acutance.training.config import TrainConfig, load_config
from acutance.training.loop import GENERATOR_FILE, train
from acutance.training.players import assemble
from acutance.training.stepper import Stepper

NETWORKS = """
import torch
from torch import nn

class Net(nn.Module):
    scale, size_multiple, reach_px, macs_per_pixel = 1, 1, 1, 81

    def __init__(self, width=3, **said):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.last = nn.Conv2d(width, 3, 1)
        self.norm = nn.BatchNorm2d(width)
        for name, value in said.items():
            setattr(self, name, value)

    def forward(self, degraded):
        return degraded + 0.1 * self.last(self.norm(self.conv(degraded)))

class Frozen(Net):
    def __init__(self):
        super().__init__()
        self.conv.requires_grad_(False)

class Twice(Net):
    def forward(self, degraded):
        return super().forward(degraded).repeat_interleave(2, 2).repeat_interleave(2, 3)

class Idle(Net):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(2, 2)

class InPlace(Net):
    def forward(self, degraded):
        return super().forward(degraded.mul_(0.5))

class Broken(Net):
    def forward(self, degraded):
        return degraded @ torch.zeros(5, 5)  # BROKEN

class Infinite(Net):
    def forward(self, degraded):
        return super().forward(degraded) / 0.0

class Still(nn.Module):
    scale, size_multiple, reach_px, macs_per_pixel = 1, 1, 0, 0
    def forward(self, degraded):
        return degraded

class Mute(nn.Module):
    scale = 1

class Everywhere(Net):
    def forward(self, degraded):
        return super().forward(degraded) + self.last(self.conv(degraded)).mean(dim=(2, 3), keepdim=True)

def not_a_class(width=3):
    raise AssertionError("must not be called")
"""


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """Give the maker of part names in one file of networks."""
    path = tmp_path_factory.mktemp("networks") / "networks.py"
    path.write_text(NETWORKS)
    return lambda name: f"{path}:{name}"


@pytest.fixture
def settings(tmp_path, part):
    """Give the maker of small settings with a network of one's own."""

    def make(name, *overrides):
        path = tmp_path / "own.toml"
        path.write_text(
            f"""
            name = "own"
            batch = 2
            patch_px = 16
            generator = {{ kind = "own", part = "{part(name)}" }}
            schedule = {{ iterations = 4, warmup_iterations = 0 }}
            watch = {{ held_out = 1, crop_px = 33, rows = ["gauss-1.6"], log_every = 1 }}
            [[degradation.stages]]
            kind = "blur"
            radius_px = 4
            choices = [{{ kind = "gaussian", sigma_px = [0.5, 1.0] }}]
            """
        )
        return load_config(str(path), list(overrides))

    return make


def test_settings_of_a_network_survive_toml(settings):
    config = settings("Net", "generator.settings={width=5}")
    assert config.generator.build().conv.out_channels == 5
    assert from_values(TrainConfig, to_values(config), source="again") == config
    assert config != settings("Net", "generator.settings={width=6}")


def test_reading_settings_leaves_the_global_randomness_alone(part):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    OwnNetworkConfig(part=part("Net"))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_it_trains_and_a_resumed_run_gives_the_same_weights(store, settings, fabric, tmp_path, kind):
    config = settings("Net", f"optimizer.kind={kind}", "watch.save_every=2")
    train(config, store, tmp_path / "whole", fabric=fabric)
    stops = iter([False, True])
    train(config, store, tmp_path / "halves", fabric=fabric, should_stop=lambda: next(stops))
    progress = train(config, store, tmp_path / "halves", fabric=fabric, resume=True)
    assert progress.iteration == 4
    whole, halves = (load_file(tmp_path / run / GENERATOR_FILE) for run in ("whole", "halves"))
    assert whole.keys() == halves.keys()
    assert all(torch.equal(tensor, halves[name]) for name, tensor in whole.items())


def test_frozen_weights_stay_and_do_not_hinder_resuming(store, settings, fabric, tmp_path, part):
    config = settings("Frozen", "optimizer.kind=muon")
    stops = iter([True])
    train(config, store, tmp_path / "run", fabric=fabric, should_stop=lambda: next(stops))
    train(config, store, tmp_path / "run", fabric=fabric, resume=True)
    torch.manual_seed(config.seed)
    fresh = OwnGenerator(config.generator)
    trained, _ = load_generator(tmp_path / "run" / GENERATOR_FILE, part=part("Frozen"))
    assert torch.equal(trained.network.conv.weight, fresh.network.conv.weight)
    assert not torch.equal(trained.network.last.weight, fresh.network.last.weight)


def test_a_refused_step_leaves_no_trace_in_moving_statistics(store, settings, fabric):
    config = settings("Net")
    sampler = PatchSampler(store, side_px=config.source_px, device=fabric.device)
    players = assemble(config, sampler, fabric=fabric, vgg19=None)
    pair = (torch.full((2, 3, 16, 16), float("nan")), torch.zeros(2, 3, 16, 16))
    taker = Stepper(config, players, fabric=fabric, example=Batch(pair), say=print)
    assert not taker.take(Batch(pair), Progress(), rate_share=1.0).was_applied
    assert torch.isfinite(players.model.network.norm.running_mean).all()


def test_training_begins_with_weights_of_the_same_network_alone(store, settings, fabric, tmp_path):
    start = tmp_path / "start.safetensors"
    config = settings("Net", f"start_from={start}", "schedule.iterations=1", "optimizer.learning_rate=1e-9")
    known = OwnGenerator(config.generator)
    spec = describe(known, name="x", training_data="none", licence="Apache-2.0")
    start.write_bytes(generator_bytes(known, spec))
    train(config, store, tmp_path / "run", fabric=fabric)
    begun, _ = load_generator(tmp_path / "run" / GENERATOR_FILE, part=config.generator.part)
    torch.testing.assert_close(begun.network.conv.weight, known.network.conv.weight, atol=1e-6, rtol=0)
    wider = settings("Net", f"start_from={start}", "generator.settings={width=5}")
    with pytest.raises(ConfigError, match="is another network than the settings ask for"):
        train(wider, store, tmp_path / "wider", fabric=fabric)


def test_what_a_network_says_is_no_setting(settings):
    with pytest.raises(ConfigError, match=r"unknown setting 'zzz' \(known: part, kind, settings\)"):
        settings("Net", "generator.zzz=1")


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("not_a_class", {}, "must be a class derived from torch.nn.Module"),
        ("Net", {"widht": "x", "width": "wide"}, "Net: TypeError: "),
        ("Mute", {}, "does not say size_multiple, reach_px, macs_per_pixel; a network of one's own must"),
        ("Net", {"scale": 3}, "scale = 3: must be 1 or 2"),
        ("Net", {"size_multiple": 0}, "size_multiple = 0: must be a whole number from 1 on"),
        ("Net", {"reach_px": "far"}, "reach_px = 'far': must be a whole number from 0 on, or \"unknown\""),
        ("Net", {"macs_per_pixel": 1.5}, "macs_per_pixel = 1.5: must be a whole number"),
    ],
)
def test_what_a_network_says_is_checked_at_once(part, name, said, words):
    with pytest.raises(ConfigError, match=words):
        OwnNetworkConfig(part=part(name), settings=said)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Twice", r"returned a tensor of shape \(2, 3, 32, 32\) for pictures of shape \(2, 3, 16, 16\)"),
        ("Idle", "nothing it gives depends on spare.weight, spare.bias; leave such weights out, or freeze them"),
        ("InPlace", "changes its input in place"),
        ("Broken", r"Broken: RuntimeError: .* \(line \d+ of networks.py\)"),
        ("Infinite", "gives NaN or infinity"),
        ("Still", "has no weights that could be trained"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(part, name, words):
    with pytest.raises(ConfigError, match=words):
        examine(OwnGenerator(OwnNetworkConfig(part=part(name))), side_px=16)


def test_examining_leaves_a_network_as_it_was(part):
    generator = OwnGenerator(OwnNetworkConfig(part=part("Net"))).eval()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    examine(generator, side_px=16)
    assert not generator.training
    assert all(weight.grad is None for weight in generator.parameters())
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_the_line_is_that_of_the_users_file(part):
    line = NETWORKS.splitlines().index("        return degraded @ torch.zeros(5, 5)  # BROKEN") + 1
    with pytest.raises(ConfigError, match=rf"\(line {line} of networks.py\)"):
        examine(OwnGenerator(OwnNetworkConfig(part=part("Broken"))), side_px=16)


def test_what_only_our_networks_can_do_is_refused(settings):
    with pytest.raises(ConfigError, match='head_start = "whitening": is for this project'):
        settings("Net", "head_start=whitening")
    with pytest.raises(ConfigError, match="kind = 'mine': must be one of own, or left out"):
        settings("Net", "generator.kind=mine")


# --- files ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(part, tmp_path_factory):
    """Give the maker of checkpoints with random weights."""
    folder = tmp_path_factory.mktemp("saved")

    def make(name, **said):
        torch.manual_seed(0)
        generator = OwnGenerator(OwnNetworkConfig(part=part(name), settings=said)).eval()
        spec = describe(generator, name="net", training_data="none", licence="Apache-2.0")
        path = folder / f"{name}-{len(list(folder.iterdir()))}.safetensors"
        path.write_bytes(generator_bytes(generator, spec))
        return path

    return make


@pytest.fixture
def exported(saved, part, tmp_path):
    """Give the maker of exported files."""
    pytest.importorskip("onnx", reason="needs the extra `train`")
    from acutance.exporting.export import export_onnx

    return lambda name, said: export_onnx(saved(name, **said), tmp_path / "net.onnx", network=part(name))


def test_code_that_a_file_names_is_run_only_when_it_is_named(saved, part):
    path = saved("Net")
    with pytest.raises(ConfigError, match=r"its code is run only when it is named: give --network .*networks.py:Net"):
        load_generator(path)
    with pytest.raises(ConfigError, match="Frozen is another"):
        load_generator(path, part=part("Frozen"))
    generator, spec = load_generator(path, part=part("Net"))
    assert spec.halo_px == 1
    assert generator.network.conv.out_channels == 3


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("Net", {}, (1, 0)),
        ("Net", {"reach_px": 7}, (7, 0)),  # more than it needs: taken as it is
        ("Net", {"reach_px": "unknown"}, (1, 0)),  # found
        ("Everywhere", {"reach_px": "unknown"}, (0, 64)),
    ],
)
def test_the_reach_is_checked_or_found_when_a_network_is_exported(exported, name, said, expected):
    from acutance.exporting.export import PARITY_LIMIT

    report = exported(name, said)
    assert (report.spec.halo_px, report.spec.feather_px) == expected
    assert report.largest_difference < PARITY_LIMIT


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("Net", {"reach_px": 0}, r"tiles cut by that would show seams; it looks farther \(1 px were found"),
        ("Everywhere", {}, r"it looks farther \(more than could be found"),
    ],
)
def test_a_network_that_looks_farther_than_it_says_is_not_exported(exported, tmp_path, name, said, words):
    with pytest.raises(ConfigError, match=words):
        exported(name, said)
    assert not (tmp_path / "net.onnx").exists()
