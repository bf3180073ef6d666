"""The record of a run: a line per look, JSON to the letter, closed whatever happens."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra `train`")

from acutance.training.run_log import RunLog


def strict(text):
    """Read JSON as other languages do: NaN and Infinity are none."""

    def refuse(word):
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


def lines_of(folder):
    return [strict(line) for line in (folder / "stats.jsonl").read_text(encoding="utf-8").splitlines()]


def test_lines_can_be_read_while_the_run_goes_on(tmp_path):
    with RunLog(tmp_path, 0) as log:
        log.write("train", 5, {"loss": 0.123456789, "kimg": 0.08})
        assert lines_of(tmp_path) == [{"kind": "train", "iteration": 5, "loss": 0.123457, "kimg": 0.08}]


def test_a_resumed_run_appends(tmp_path):
    for iteration in (1, 2):
        with RunLog(tmp_path, iteration - 1) as log:
            log.write("train", iteration, {"loss": 1.0})
    assert [line["iteration"] for line in lines_of(tmp_path)] == [1, 2]


def test_steps_that_will_be_made_again_are_forgotten(tmp_path):
    with RunLog(tmp_path, 0) as log:
        for iteration in (1, 2, 3):
            log.write("train", iteration, {"loss": float(iteration)})
        log.say(3, "words")
    with open(tmp_path / "stats.jsonl", "a", encoding="utf-8") as stats:
        stats.write('{"kind": "train", "itera')  # killed while it wrote
    with RunLog(tmp_path, 2) as log:
        log.write("train", 3, {"loss": 30.0})
    assert [(line["iteration"], line["loss"]) for line in lines_of(tmp_path)] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_figures_that_are_not_finite_are_null(tmp_path):
    with RunLog(tmp_path, 0) as log:
        log.write("validation", 1, {"none": math.inf, "gauss-1.0": math.nan, "gauss-2.0": 30.0})
    assert lines_of(tmp_path)[0] == {
        "kind": "validation", "iteration": 1, "none": None, "gauss-1.0": None, "gauss-2.0": 30.0,
    }  # fmt: skip


def test_samples_are_exact_pictures(tmp_path):
    sheet = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    with RunLog(tmp_path, 0) as log:
        log.write_sample(12, sheet)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "samples" / "0000012.png")), sheet)


def test_everything_is_closed_when_the_run_fails(tmp_path):
    with pytest.raises(KeyError), RunLog(tmp_path, 0) as log:
        raise KeyError
    with pytest.raises(ValueError, match="closed file"):
        log.write("train", 1, {"loss": 1.0})
