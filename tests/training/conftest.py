"""A run that is small enough to be repeated in every test."""

from __future__ import annotations

import pytest

from acutance.data.photo_store import open_store


@pytest.fixture(scope="session")
def store(photo_folder, tmp_path_factory):
    """Give the generated photos as a store."""
    return open_store(photo_folder, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def tiny():
    """Give the maker of tiny settings: the preset `smoke` with a smaller network, and `key=value` overrides."""
    from acutance.training.config import load_config

    small = ["generator.width=8", "generator.num_blocks=1", "batch=4", "patch_px=16", "watch.crop_px=32"]
    small += ["schedule.iterations=4", "schedule.warmup_iterations=2", "watch.held_out=1", "watch.rows=['gauss-1.6']"]

    def make(*overrides):
        return load_config("smoke", [*small, *overrides])

    return make


@pytest.fixture(scope="session")
def fabric():
    """Give a Fabric on the CPU."""
    from acutance.training.device import open_fabric

    return open_fabric("cpu")
