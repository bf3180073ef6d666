"""The forms of a report say the same figures."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from acutance import __version__
from acutance.evaluation.evaluate import Evaluation, Measurement
from acutance.evaluation.report import ReportTable, rich_of, tables, to_csv, to_json, to_markdown, to_rich
from acutance.evaluation.scores import Scores


def measurement(row, restorer, psnr_db, *, photo="a.png", ms_ssim=0.95):
    return Measurement(
        test_set="set5",
        photo=photo,
        index=0,
        row=row,
        restorer=restorer,
        scores=Scores(psnr_db=psnr_db, ssim=0.8434, ms_ssim=ms_ssim, gmsd=0.1, gradient_energy=1.25),
        seconds=0.5,
    )


EVALUATION = Evaluation(
    (
        measurement("gauss-1.0", "input", 28.0),
        measurement("gauss-1.0", "unsharp", 30.0),
        measurement("gauss-1.0", "input", 29.0, photo="b,c.png", ms_ssim=None),
        measurement("gauss-1.0", "unsharp", 31.5, photo="b,c.png"),
        measurement("none", "input", math.inf),
        measurement("none", "input", math.inf, photo="b,c.png"),
    )
)


def test_tables_have_a_line_per_row_and_a_column_per_restorer():
    right, sharp = tables(EVALUATION)
    assert right.title == "set5, 2 photos: PSNR (dB) / SSIM"
    assert right.header == ("row", "input", "unsharp")
    assert right.lines == (("gauss-1.0", "28.50 / .843", "30.75 / .843"), ("none", "∞ / .843", "–"))
    assert sharp.lines[0] == ("gauss-1.0", "– / .100 / 1.25", ".950 / .100 / 1.25")


def test_lpips_stands_in_every_form_where_it_was_measured():
    first, *others = EVALUATION.measurements
    elsewhere = replace(first, test_set="other")
    measured = Evaluation((
        *(replace(one, scores=replace(one.scores, lpips=0.2345)) for one in (first, *others[:-1])),
        others[-1],
        elsewhere,
    ))  # fmt: skip
    right, sharp, _, unmeasured = tables(measured)
    assert "LPIPS" not in right.title
    assert sharp.title.endswith(
        "GMSD (lower is better) / LPIPS (v0.1, VGG-16; lower is better) / gradient energy (1 = as sharp as the truth)"
    )
    assert sharp.lines[0] == ("gauss-1.0", "– / .100 / .234 / 1.25", ".950 / .100 / .234 / 1.25")
    assert sharp.lines[1][1] == ".950 / .100 / – / 1.25"  # one photo has none
    assert "LPIPS" not in unmeasured.title
    lines = list(csv.DictReader(io.StringIO(to_csv(measured))))
    assert [line["lpips"] for line in lines] == ["0.2345"] * 5 + [""] * 2
    document = json.loads(to_json(measured, command="it"))
    assert [mean["lpips"] for mean in document["means"]] == [pytest.approx(0.2345)] * 2 + [None, None]


def test_markdown_says_what_made_it():
    text = to_markdown(EVALUATION, command="acutance evaluate --test 'my set'")
    assert "| gauss-1.0 | 28.50 / .843 | 30.75 / .843 |\n| none | ∞ / .843 | – |\n" in text
    assert text.endswith(f"Made by acutance {__version__}: `acutance evaluate --test 'my set'`\n")


def test_a_name_with_a_bar_is_one_column_of_markdown():
    text = to_markdown(Evaluation((measurement("none", "a|b.onnx", 30.0),)), command="it")
    assert "| row | a\\|b.onnx |\n| --- | --- |\n" in text


def test_csv_has_every_measurement_in_full():
    lines = list(csv.DictReader(io.StringIO(to_csv(EVALUATION))))
    assert len(lines) == 6
    assert list(lines[0]) == [
        *("test_set", "photo", "index", "row", "restorer"),
        *("psnr_db", "ssim", "ms_ssim", "gmsd", "gradient_energy", "lpips", "dists", "vgg"),
        *("psnr_shifted_db", "largest_change", "grain_before", "grain_after", "seconds"),
    ]
    assert lines[2]["photo"] == "b,c.png"
    assert lines[2]["ms_ssim"] == ""
    assert float(lines[3]["psnr_db"]) == 31.5
    assert float(lines[4]["psnr_db"]) == math.inf
    assert to_csv(Evaluation(())) == ""


def test_json_is_strict_and_has_means_and_measurements():
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    document = json.loads(to_json(EVALUATION, command="it"), parse_constant=refuse)
    assert (document["format"], document["acutance"], document["command"]) == (1, __version__, "it")
    assert len(document["measurements"]) == 6
    mean = document["means"][0]
    assert (mean["test_set"], mean["row"], mean["restorer"], mean["count"]) == (
        "set5",
        "gauss-1.0",
        "input",
        2,
    )
    assert mean["psnr_db"] == pytest.approx(28.5)
    assert mean["ms_ssim"] is None
    assert float(document["means"][2]["psnr_db"]) == math.inf


def test_terminal_tables_show_the_same_cells():
    console = Console(file=io.StringIO(), width=120)
    for table in to_rich(EVALUATION):
        console.print(table)
    shown = console.file.getvalue()
    assert "set5, 2 photos: PSNR (dB) / SSIM" in shown
    assert "30.75 / .843" in shown


def with_scores(row, restorer, **scores):
    one = measurement(row, restorer, scores.pop("psnr_db", 30.0))
    return replace(one, scores=replace(one.scores, **scores))


OWN = Evaluation(
    (
        measurement("gauss-1.0", "input", 28.0),
        with_scores("motion-8", "input", psnr_db=24.0, psnr_shifted_db=25.456),
        with_scores("ramps", "input", psnr_db=math.inf, largest_change=0.0),
        with_scores("ramps", "fast", psnr_db=60.0, largest_change=4.0),
        with_scores("grain-only", "input", psnr_db=math.inf, largest_change=0.0, grain_before=7.8, grain_after=7.8),
        with_scores("grain-only", "fast", psnr_db=45.9, largest_change=33.0, grain_before=7.8, grain_after=9.26),
    )
)


def test_rows_with_measures_of_their_own_stand_in_tables_of_their_own():
    right, sharp, shifted, kept = tables(OWN)
    assert [line[0] for line in right.lines] == [line[0] for line in sharp.lines] == ["gauss-1.0", "motion-8"]
    assert shifted.title == "set5, 1 photo: PSNR at the best shift within ±5 px (dB)"
    assert shifted.lines == (("motion-8", "25.46"),)
    assert kept.title == (
        "set5, 1 photo: PSNR to the input (dB) / largest change (levels) / "
        "grain in flat places, before → after (levels)"
    )
    assert kept.lines == (
        ("ramps", "∞ / 0 / –", "60.00 / 4 / –"),
        ("grain-only", "∞ / 0 / 7.8 → 7.8", "45.90 / 33 / 7.8 → 9.3"),
    )
    alone = Evaluation(tuple(one for one in OWN.measurements if one.row == "ramps"))
    assert [table.title.partition(": ")[2][:17] for table in tables(alone)] == ["PSNR to the input"]


def test_own_measures_are_in_json_and_csv():
    document = json.loads(to_json(OWN, command="it"))
    by_row = {(mean["row"], mean["restorer"]): mean for mean in document["means"]}
    assert by_row["motion-8", "input"]["psnr_shifted_db"] == 25.456
    assert by_row["ramps", "fast"]["largest_change"] == 4
    assert by_row["grain-only", "fast"]["grain_after"] == 9.26
    assert by_row["gauss-1.0", "input"]["psnr_shifted_db"] is None
    lines = list(csv.DictReader(io.StringIO(to_csv(OWN))))
    assert (lines[1]["psnr_shifted_db"], lines[0]["largest_change"]) == ("25.456", "")


def test_a_name_in_brackets_is_no_markup():
    shown = rich_of(ReportTable(title="[/a]", header=("row", "[/b].onnx"), lines=(("[/c]", "1"),)))
    stream = io.StringIO()
    Console(file=stream, width=80).print(shown)
    assert all(name in stream.getvalue() for name in ("[/a]", "[/b].onnx", "[/c]"))
