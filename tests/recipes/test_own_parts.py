"""docs/how-to/own-parts.md, followed as a stranger would: its files written, its commands run, with short runs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("onnx", reason="needs the extra `train`")

import importlib.util

from acutance.cli.main import app

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "how-to" / "own-parts.md"
SHORT = ["--iterations", "2", "--device", "cpu"]
SHORT += [word for value in ("batch=2", "watch.held_out=0", "watch.log_every=1") for word in ("--set", value)]


def _blocks():
    spec = importlib.util.spec_from_file_location("blocks_of_own_parts", HERE / "document.py")
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return [
        module.Block(language, path or None, text) for language, path, text in module.BLOCK.findall(PAGE.read_text())
    ]


def commands(blocks):
    for block in blocks:
        if block.language == "bash":
            yield from (shlex.split(line)[1:] for line in block.text.splitlines())


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Give a folder in which the page was followed."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "photos").mkdir()
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        noise = random.integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(noise).resize((240, 240), Image.Resampling.BICUBIC).save(folder / "photos" / f"{name}.png")
    blocks = _blocks()
    for block in blocks:
        if block.path:
            (folder / block.path).write_text(block.text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in commands(blocks):
            if words[0] == "train":
                at = words.index("--minutes")
                words[at : at + 2] = SHORT
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, (words, result.output, result.exception)
    return folder


def steps(run):
    lines = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "train"]


def test_the_loss_is_weighed(followed) -> None:
    first = steps(followed / "loss-run")[0]
    assert first["edges"] > 0
    assert first["loss"] == pytest.approx(first["content"] + 0.2 * first["edges"], rel=1e-4)


def test_the_degradation_is_in_the_settings_of_the_run(followed) -> None:
    assert 'part = "my_parts.py:haze"' in (followed / "haze-run" / "config.toml").read_text()
    assert len(steps(followed / "haze-run")) == 2


def test_the_network_became_a_file_that_runs(followed) -> None:
    from acutance.engines.model_file import read_spec

    spec = read_spec((followed / "plain.onnx").read_bytes(), name="plain")
    assert (spec.name, spec.halo_px, spec.feather_px, spec.macs_per_pixel) == ("plain", 5, 0, 9 * (96 + 3 * 256))
    with Image.open(followed / "sharp.png") as picture:
        assert picture.size == (240, 240)
