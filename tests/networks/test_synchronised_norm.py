"""The synchronised normalisation in one process; with two it is tested in tests/training/test_processes.py."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch
from torch import distributed, nn

from acutance.networks.folding import fold_batch_norm
from acutance.networks.generators import Generator, GeneratorConfig
from acutance.networks.synchronised_norm import SynchronisedBatchNorm2d, synchronise

IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def group(tmp_path):
    """A group of one process."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def twins():
    """Build the same ResG twice, with ordinary and with synchronised normalisation, and statistics that differ."""
    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        network = Generator(GeneratorConfig(width=4, num_blocks=2, block="classical"))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -1, 1)
                nn.init.uniform_(module.running_var, 0.5, 2)
        networks.append(network)
    synchronise(networks[1])
    return networks


def test_every_normalisation_is_replaced_and_the_state_is_the_same():
    ordinary, synchronised = twins()
    kinds = {type(module) for module in synchronised.modules() if isinstance(module, nn.BatchNorm2d)}
    assert kinds == {SynchronisedBatchNorm2d}
    assert list(ordinary.state_dict()) == list(synchronised.state_dict())
    ordinary.load_state_dict(synchronised.state_dict())
    assert all(not tensor.is_meta for tensor in synchronised.state_dict().values())
    assert [name for name, _ in ordinary.named_parameters()] == [name for name, _ in synchronised.named_parameters()]


def test_optimizers_built_before_still_move_it():
    network = nn.Sequential(nn.BatchNorm2d(2))
    weight = network[0].weight
    synchronise(network)
    assert network[0].weight is weight


def test_in_eval_mode_it_is_its_parent():
    ordinary, synchronised = (network.eval() for network in twins())
    assert torch.equal(ordinary(IMAGES), synchronised(IMAGES))


def test_it_folds():
    _, synchronised = twins()
    folded = fold_batch_norm(synchronised)
    torch.testing.assert_close(folded(IMAGES), synchronised.eval()(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_of_one_process_it_is_batch_normalisation(group, momentum):
    ordinary, synchronised = nn.BatchNorm2d(3, momentum=momentum), nn.Sequential(nn.BatchNorm2d(3, momentum=momentum))
    synchronise(synchronised)
    for scale in (1.0, 3.0):
        torch.testing.assert_close(synchronised(scale * IMAGES), ordinary(scale * IMAGES), rtol=1e-4, atol=1e-5)
    for name, expected in ordinary.state_dict().items():
        torch.testing.assert_close(synchronised[0].state_dict()[name], expected)


def test_half_precision_comes_out_as_it_went_in(group):
    network = nn.Sequential(nn.BatchNorm2d(3))
    synchronise(network)
    assert network(IMAGES.bfloat16()).dtype == torch.bfloat16
