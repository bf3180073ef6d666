"""An ablation around a trainer that trains nothing: what runs, what is measured, what is drawn."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from PIL import Image

from acutance.data.photo_store import open_store
from acutance.data.protocol import degrade
from acutance.errors import ConfigError
from acutance.evaluation.ablation import (
    FIGURE_LAYOUT,
    PAPER_ROW,
    Entry,
    Outcome,
    Terms,
    draw_figure,
    hold_terms,
    list_entries,
    measure,
    photos_digest,
    train_entries,
)
from acutance.evaluation.evaluate import open_test_set
from acutance.evaluation.scores import score
from acutance.inference.sharpener import Sharpener
from acutance.zoo.catalogue import find_model


def outcome_of(entry, *, seconds=60.0):
    """Say that an entry gave the shipped model."""
    with Sharpener("fast") as sharpener:
        spec = sharpener.spec
    return Outcome(
        entry=entry, weights=find_model("fast").fidelity, spec=spec, iterations=100, seconds=seconds, device="an abacus"
    )


@pytest.fixture
def test_set(photo, tmp_path):
    (tmp_path / "test").mkdir()
    for index in range(2):
        Image.fromarray(photo(96, 80, seed=index)).save(tmp_path / "test" / f"{index}.png")
    return open_test_set(tmp_path / "test")


def test_all_models_come_before_the_next_seed():
    entries = list_entries(["stacked-g", "my/own.toml"], [0, 3])
    assert [entry.run_name for entry in entries] == [
        "stacked-g-seed0",
        "own-seed0",
        "stacked-g-seed3",
        "own-seed3",
    ]


@pytest.mark.parametrize(
    ("models", "seeds"), [(["a", "a"], [0]), (["a"], [1, 1]), (["x/a.toml", "a"], [0]), ([], [0]), (["a"], [])]
)
def test_runs_without_a_folder_of_their_own_are_refused(models, seeds):
    with pytest.raises(ConfigError, match="an ablation"):
        list_entries(models, seeds)


def test_terms_are_written_once_and_held(tmp_path):
    terms = Terms(budget='{"iterations": 3}', photos_sha256="ab")
    hold_terms(tmp_path / "new", terms)
    hold_terms(tmp_path / "new", terms)
    path = tmp_path / "new" / "ablation.json"
    assert json.loads(path.read_text()) == {"budget": '{"iterations": 3}', "photos_sha256": "ab"}
    with pytest.raises(ConfigError, match=r'budget \{"iterations": 3\}, and \{\} is asked for'):
        hold_terms(tmp_path / "new", Terms(budget="{}", photos_sha256="ab"))
    with pytest.raises(ConfigError, match="other photos"):
        hold_terms(tmp_path / "new", Terms(budget=terms.budget, photos_sha256="cd"))
    for damage in ("", "[1]", '{"budget": "x"}'):
        path.write_text(damage)
        with pytest.raises(ConfigError, match="not the terms"):
            hold_terms(tmp_path / "new", terms)


def test_the_digest_knows_photos_apart(photo, photo_folder, tmp_path):
    whole = photos_digest(open_store(photo_folder, tmp_path / "a"))
    assert whole == photos_digest(open_store(photo_folder, tmp_path / "b"))
    assert whole != photos_digest(open_store(photo_folder / "below", tmp_path / "c"))


def test_a_trainer_that_stops_ends_it(tmp_path):
    entries = list_entries(["a", "b", "c"], [0])
    asked = []

    def train(entry, run):
        asked.append((entry.model, run))
        return None if entry.model == "b" else outcome_of(entry)

    assert train_entries(entries, train, tmp_path) is None
    assert asked == [("a", tmp_path / "runs" / "a-seed0"), ("b", tmp_path / "runs" / "b-seed0")]
    assert [one.entry.model for one in train_entries(entries[:1], train, tmp_path)] == ["a"]


def test_several_jobs_train_side_by_side_and_keep_the_order(tmp_path):
    entries = list_entries(["a", "b", "c"], [0])
    both = threading.Barrier(2, timeout=20)

    def train(entry, run):
        if entry.model != "c":
            both.wait()  # never passed by one alone
        return outcome_of(entry)

    outcomes = train_entries(entries, train, tmp_path, jobs=2)
    assert [one.entry.model for one in outcomes] == ["a", "b", "c"]

    def fail(entry, run):
        raise ConfigError(f"{entry.model} cannot be")

    with pytest.raises(ConfigError, match="a cannot be"):
        train_entries(entries, fail, tmp_path, jobs=2)


def test_scores_are_those_of_the_models_on_the_papers_row(test_set):
    outcomes = [outcome_of(entry) for entry in list_entries(["stacked-g", "res-g"], [0, 1])]
    shares = []
    ablation = measure(outcomes, test_set, progress=shares.append)
    assert shares[-1] == 1.0
    assert (ablation.row, ablation.num_photos, ablation.test_set) == ("gauss-1.6", 2, "test")
    assert [run.outcome.entry for run in ablation.runs] == [
        Entry("stacked-g", 0),
        Entry("stacked-g", 1),
        Entry("res-g", 0),
        Entry("res-g", 1),
    ]
    assert {model: len(runs) for model, runs in ablation.models.items()} == {"stacked-g": 2, "res-g": 2}

    truths = [np.asarray(Image.open(photo.path)) for photo in test_set.photos]
    inputs = [degrade(truth, PAPER_ROW, index=index) for index, truth in enumerate(truths)]
    untouched = [score(*pair).psnr_db for pair in zip(inputs, truths, strict=True)]
    assert ablation.untouched.psnr_db == pytest.approx(np.mean(untouched))
    with Sharpener("fast") as sharpener:
        restored = [score(sharpener.sharpen_pixels(one), truth) for one, truth in zip(inputs, truths, strict=True)]
    for run in ablation.runs:
        assert run.scores.psnr_db == pytest.approx(np.mean([one.psnr_db for one in restored]))
        assert run.scores.ssim == pytest.approx(np.mean([one.ssim for one in restored]))
    assert len(ablation.evaluation.measurements) == 2 * (1 + 4)
    assert [one.psnr_db for one in ablation.untouched_scores] == pytest.approx(untouched)
    of_photos = ablation.photo_scores["res-g"][1]
    assert [one.psnr_db for one in of_photos] == pytest.approx([one.psnr_db for one in restored])


def test_the_figure_shows_input_truth_and_each_model_once(test_set):
    outcomes = [outcome_of(entry) for entry in list_entries(["stacked-g", "res-g"], [0, 1])]
    sheet = draw_figure(outcomes, test_set, number=1)
    columns = 4  # input, truth and two models, not four runs
    assert sheet.shape[1] == columns * (FIGURE_LAYOUT.column_px + 8) + 8
    # The details are whole pixels of the pictures, repeated: those of the first column come from the input.
    truth = np.asarray(Image.open(test_set.photos[1].path))
    side = FIGURE_LAYOUT.detail_px * FIGURE_LAYOUT.magnification
    bottom = sheet.shape[0] - 8
    step = FIGURE_LAYOUT.magnification
    second = sheet[bottom - side : bottom, 8 + FIGURE_LAYOUT.column_px + 8 :][::step, :side:step]
    windows = np.lib.stride_tricks.sliding_window_view(truth, second.shape)[:, :, 0]
    assert (windows == second).all(axis=(2, 3, 4)).any()


def test_a_grey_photo_can_be_drawn_and_a_missing_one_is_refused(photo, tmp_path):
    (tmp_path / "grey").mkdir()
    Image.fromarray(photo(72, 70)[:, :, 0]).save(tmp_path / "grey" / "a.png")
    test_set = open_test_set(tmp_path / "grey")
    assert draw_figure([outcome_of(Entry("stacked-g", 0))], test_set).shape[2] == 3
    with pytest.raises(ConfigError, match=r"photo 1 of grey: must lie within 0 … 0"):
        draw_figure([outcome_of(Entry("stacked-g", 0))], test_set, number=1)
