"""The tables of an ablation, cell by cell."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from acutance import __version__
from acutance.evaluation.ablation import Ablation, Entry, Measured, Outcome
from acutance.evaluation.ablation_report import (
    COLUMNS,
    Spread,
    changes_table,
    findings_table,
    notes,
    result_table,
    to_csv,
    to_latex,
    to_markdown,
)
from acutance.evaluation.evaluate import Evaluation, Measurement
from acutance.evaluation.scores import Scores
from acutance.evaluation.table1 import INCOMPARABLE, STAND_IN, STAND_IN_LABEL
from acutance.spec import ModelSpec

SPEC = ModelSpec(
    name="x",
    task="sharpen",
    scale=1,
    size_multiple=1,
    receptive_radius_px=9,
    halo_px=9,
    macs_per_pixel=456_789,
    parameters=1_234_567,
    training_data="none",
    licence="Apache-2.0",
)


def scores(psnr_db, ssim=0.8, ms_ssim=0.9):
    return Scores(psnr_db=psnr_db, ssim=ssim, ms_ssim=ms_ssim, gmsd=0.0625, gradient_energy=0.5)


def run(model, seed, psnr_db, **others):
    outcome = Outcome(
        entry=Entry(model, seed), weights=Path("x"), spec=SPEC, iterations=3_000, seconds=100.0 + seed, device="abacus"
    )
    return Measured(outcome, scores(psnr_db, **others))


def ablation(*runs, untouched=None):
    """Give the result of measuring five photos that all have the mean's scores."""
    untouched = untouched or scores(24.0, 0.7, None)
    measured = [("input", untouched), *((one.outcome.entry.run_name, one.scores) for one in runs)]
    measurements = [
        Measurement(
            test_set="set5",
            photo=f"{index}.png",
            index=index,
            row="gauss-1.6",
            restorer=name,
            scores=found,
            seconds=0.0,
        )
        for index in range(5)
        for name, found in measured
    ]
    return Ablation(
        test_set="set5",
        num_photos=5,
        row="gauss-1.6",
        untouched=untouched,
        runs=runs,
        evaluation=Evaluation(tuple(measurements)),
    )


TWO_SEEDS = ablation(
    run("stacked-g", 0, 25.0),
    run("stacked-g", 1, 25.2),
    run("res-g", 0, 26.0, ssim=0.85),
    run("res-g", 1, 26.4, ssim=0.95),
    run(STAND_IN, 0, 27.0),
    run(STAND_IN, 1, 27.0),
)
ONE_SEED = ablation(run("stacked-g", 0, 25.0, ms_ssim=None), run("mine|a_b", 0, 25.5))


def test_a_line_per_model_with_mean_and_deviation():
    table = result_table(TWO_SEEDS)
    assert table.title == "set5, 5 photos, row gauss-1.6"
    assert table.header[:3] == ("model", "PSNR (dB)", "SSIM")
    assert [line[0] for line in table.lines] == ["input", "StackedG", "ResG", STAND_IN_LABEL]
    assert {len(line) for line in table.lines} == {len(table.header)}
    assert table.lines[0] == ("input", "24.00", "0.700", "–", "0.062", "–", "–", "0.50", *("–",) * 7)
    assert table.lines[1] == (
        "StackedG",
        "25.10 ± 0.14",
        "0.800 ± 0.000",
        "0.900 ± 0.000",
        "0.062 ± 0.000",
        "–",
        "–",
        "0.50 ± 0.00",
        "1,234,567",
        "456,789",
        "3,000",
        "100 ± 1",
        "+1.10 (+0.96 … +1.24)",
        "25.11",
        "0.804",
    )
    assert table.lines[2][2] == "0.900 ± 0.071"
    assert table.lines[3][-2:] == ("28.39", "0.933")


def test_one_seed_has_no_deviation_and_other_models_no_line_in_the_paper():
    table = result_table(ONE_SEED)
    assert table.lines[1][1] == "25.00"
    assert table.lines[1][3] == "–"
    assert table.lines[2][0] == "mine|a_b"
    assert table.lines[2][-2:] == ("–", "–")


def test_findings_show_both_differences_and_a_verdict():
    lines = findings_table(TWO_SEEDS).lines
    assert lines[0] == (
        "PSNR: ResG better than StackedG",
        "+0.71",
        "+1.10 (+0.96 … +1.24)",
        "undecided (2 seeds, at least 3 are needed)",
    )
    assert ("PSNR: NonBN-ResG better than ResG", "+2.72", "–", "not measured") in lines
    for line, name in zip(lines[-2:], ("LPIPS", "DISTS"), strict=True):
        assert line == (f"{name}: {STAND_IN_LABEL} better than NonBN-ResG", "–", "–", "not measured")
    assert lines[-4][:2] == (f"PSNR: {STAND_IN_LABEL} at most 0.5 dB below NonBN-ResG", "-0.15")


def test_changes_have_a_table_of_their_own_where_there_are_some():
    assert changes_table(TWO_SEEDS) is None
    changed = ablation(
        *(run("res-g", seed, 26.0) for seed in range(3)),
        *(run("res-g@generator.activation=prelu", seed, 26.5, ssim=0.81) for seed in range(3)),
    )
    assert changes_table(changed).lines == (
        ("ResG with generator.activation=prelu", "ResG", "+0.50 (+0.50 … +0.50)", "+0.010 (+0.010 … +0.010)", "3"),
    )
    text = to_markdown(changed, command="x")
    assert text.count("| ---") == 3
    assert to_latex(changed).count(r"\begin{tabular}") == 3


def test_the_notes_say_what_would_mislead():
    two, one = " ".join(notes(TWO_SEEDS)), " ".join(notes(ONE_SEED))
    assert INCOMPARABLE in two
    assert "does not say how its blur was made" in INCOMPARABLE
    assert "Seeds 0, 1: mean ± standard deviation" in two
    assert "Trained on abacus." in two
    assert f"{STAND_IN_LABEL} is not the paper's model" in two
    assert "stand-in" not in one
    assert "one seed, so differences may be chance" in one


def test_markdown_has_both_tables_and_what_made_them():
    text = to_markdown(ONE_SEED, command="acutance ablate --data x")
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows[:5]}) == 1
    assert rows[4][0].strip() == r"mine\|a_b"
    assert [cell.strip() for cell in rows[5]] == ["finding", "paper", "here", "verdict"]
    assert INCOMPARABLE in text
    assert text.endswith(f"Made by acutance {__version__}: `acutance ablate --data x`\n")


def test_csv_holds_the_figures_as_numbers():
    lines = list(csv.DictReader(io.StringIO(to_csv(TWO_SEEDS))))
    assert [line["model"] for line in lines] == ["input", "stacked-g", "res-g", STAND_IN]
    untouched, stacked, _, stand_in = lines
    assert (untouched["psnr_db"], untouched["ms_ssim"], untouched["parameters"]) == ("24", "", "")
    assert float(stacked["psnr_db"]) == pytest.approx(25.1)
    assert float(stacked["psnr_db_deviation"]) == pytest.approx(0.1 * 2**0.5)
    assert (stacked["num_seeds"], stacked["parameters"], stacked["paper_ssim"]) == ("2", "1234567", "0.804")
    assert stand_in["label"] == STAND_IN_LABEL
    assert all(f"{column.name}_deviation" in stacked for column in COLUMNS)
    single = list(csv.DictReader(io.StringIO(to_csv(ONE_SEED))))[2]
    assert (single["psnr_db"], single["psnr_db_deviation"], single["paper_psnr_db"]) == ("25.5", "", "")


def test_latex_is_balanced_and_escaped():
    text = to_latex(replace(ONE_SEED, untouched=scores(math.inf)))
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert r"mine|a\_b" in text
    assert r"input & $\infty$ & 0.800" in text
    assert "% " + INCOMPARABLE in text
    # Each line of a table has as many cells as its head says.
    for spec, body in re.findall(r"\\begin\{tabular\}\{(l+r+)\}(.*?)\\end\{tabular\}", text, flags=re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) > 2
        assert {line.count(" & ") + 1 for line in rows} == {len(spec)}
    assert r"25.10 $\pm$ 0.14" in to_latex(TWO_SEEDS)


def test_a_spread():
    assert Spread.of([1.0, None]) is None
    assert Spread.of([3.0]) == Spread(3.0, None)
    assert Spread.of([1.0, 3.0]) == Spread(2.0, pytest.approx(2**0.5))
    assert Spread.of([math.inf, 1.0]).words(2) == "∞"
