"""A server on this machine, and as little patience as the tests need."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from acutance.downloads import Patience
from acutance.downloads.fake import FakeServer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Whatever proxy this machine uses, its own server is asked directly."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def content():
    """Give a file of random bytes, of several pieces and an odd length."""
    return np.random.default_rng(0).bytes(300_001)


@pytest.fixture
def server(content):
    """Give a running server with the file `a.bin`."""
    with FakeServer({"a.bin": content}) as running:
        yield running


@pytest.fixture
def url(server):
    return f"{server.address}/a.bin"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "below" / "a.bin"


@pytest.fixture
def patience():
    return Patience(timeout_s=10.0, attempts=3, pause_s=0.001)


@pytest.fixture
def impatience(patience):
    """For servers that fall silent."""
    return dataclasses.replace(patience, timeout_s=0.25)
