"""A stranger's loss and degradation: from one Python file, by name, without touching the package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.config.own_parts import load_part
from acutance.degradations.own import Own
from acutance.degradations.pipeline import DegradationConfig, degrade
from acutance.errors import ConfigError
from acutance.losses.content import l1
from acutance.losses.objective import ObjectiveConfig, generator_loss
from acutance.losses.own import OwnTerm
from acutance.training.config import load_config
from acutance.training.loop import train

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own_parts.py"

PARTS = """
import torch

def twice(restored, reference):
    return 2 * (restored - reference).abs().mean()

def a_map(restored, reference):
    return (restored - reference).abs()

def halved(images, generator):
    return images * torch.rand(len(images), 1, 1, 1, generator=generator)

def shrunk(images, generator):
    return images[..., ::2, ::2]

content = twice
number = 3
"""


@pytest.fixture
def parts(tmp_path):
    path = tmp_path / "parts.py"
    path.write_text(PARTS)
    return path


def images(seed=0, count=6):
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


def test_a_loss_of_ones_own_is_weighed_and_named(parts):
    config = ObjectiveConfig(content=1.0, own=(OwnTerm(part=f"{parts}:twice", weight=0.5),))
    restored, reference = images().requires_grad_(), images(1)
    loss = generator_loss(config, restored, reference)
    distance = l1(restored, reference)
    assert set(loss.terms) == {"content", "twice"}
    torch.testing.assert_close(loss.terms["twice"], 2 * distance)
    torch.testing.assert_close(loss.total, 2 * distance)
    loss.total.backward()
    assert restored.grad.any()


def test_a_degradation_of_ones_own_draws_from_the_runs_seed(parts):
    config, sharp = DegradationConfig(stages=(Own(part=f"{parts}:halved", probability=0.5),)), images(count=40)
    first, second, other = (degrade(config, sharp, torch.Generator().manual_seed(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    changed = ((first - sharp).abs() > 1 / 255).flatten(1).any(dim=1)
    assert 10 < int(changed.sum()) < 30


def test_the_example_trains_as_it_stands(tmp_path, store, fabric, monkeypatch):
    """The recipe of the docs, with a smaller network."""
    monkeypatch.chdir(ROOT)
    small = ["generator.width=8", "generator.num_blocks=1", "generator.coarser=[]", "batch=4", "patch_px=16"]
    small += ["watch.held_out=0", "watch.log_every=1", "schedule.iterations=3"]
    with pytest.raises(ConfigError, match="start_from"):
        train(load_config("examples/own_parts.toml", small), store, tmp_path / "no", fabric=fabric)
    values = load_config("examples/own_parts.toml", small)
    assert [term.name for term in values.objective.own] == ["edges"]
    config = load_config("examples/own_parts.toml", [*small, f"start_from={random_start(values, tmp_path)}"])
    train(config, store, tmp_path / "run", fabric=fabric)
    lines = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "train"]
    assert len(steps) == 3
    assert all(line["edges"] > 0 and line["loss"] > line["content"] for line in steps)
    again = load_config(str(tmp_path / "run" / "config.toml"))
    assert again == config


def random_start(config, folder):
    """Give weights of the small network to begin with."""
    from acutance.networks.checkpoint_file import describe, generator_bytes
    from acutance.networks.generators import Generator

    generator = Generator(config.generator)
    path = folder / "start.safetensors"
    spec = describe(generator, name="x", training_data="none", licence="Apache-2.0")
    path.write_bytes(generator_bytes(generator, spec))
    return path


def test_the_examples_settings_are_those_of_the_shipped_model(monkeypatch):
    monkeypatch.chdir(ROOT)
    config, fast = load_config("examples/own_parts.toml"), load_config("fast", ["generator.biases=true"])
    assert config.generator == fast.generator, "start_from = fast fits"
    assert load_part(f"{EXAMPLE}:edges")(images(), images()) == 0


def test_a_part_of_a_package(tmp_path, monkeypatch):
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "__init__.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    assert OwnTerm(part="stranger:twice").name == "twice"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("parts.py", "must name a part as FILE.py:NAME"),
        ("parts.py:two words", "must name a part as"),
        ("none.py:twice", "none.py: no such file of parts"),
        ("no_such_package:twice", "no_such_package: cannot be imported"),
        ("{parts}:missing", "missing is not there"),
        ("{parts}:number", "number is nothing that can be called"),
        ("{broken}:x", r"broken.py: cannot be run \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_parts_that_are_not_there_are_said_at_once(parts, tmp_path, part, words):
    (tmp_path / "broken.py").write_text("x = 1 / 0")
    where = part.format(parts=parts, broken=tmp_path / "broken.py")
    with pytest.raises(ConfigError, match=words):
        OwnTerm(part=where)


def test_what_parts_give_is_checked(parts):
    with pytest.raises(
        ConfigError, match=r"a_map: returned a tensor of shape \(6, 3, 12, 12\); a loss must return one"
    ):
        generator_loss(ObjectiveConfig(own=(OwnTerm(part=f"{parts}:a_map"),)), images(), images(1))
    shrunk = DegradationConfig(stages=(Own(part=f"{parts}:shrunk"),))
    with pytest.raises(ConfigError, match="a degradation must keep the size"):
        degrade(shrunk, images(), torch.Generator().manual_seed(0))
    with pytest.raises(ConfigError, match="content is the name of another term"):
        ObjectiveConfig(own=(OwnTerm(part=f"{parts}:content"),))
    with pytest.raises(ConfigError, match="must be a number above 0"):
        OwnTerm(part=f"{parts}:twice", weight=0.0)
