"""The arithmetic of reading, by a judge that is told what to say; and the real judges, where they are installed."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from acutance.cli.evaluate import evaluate
from acutance.errors import EngineUnavailable
from acutance.evaluation.recognition.conditions import condition
from acutance.evaluation.recognition.items import Kind, kinds_of
from acutance.evaluation.recognition.judges import Judge, Reading, open_judges, plain
from acutance.evaluation.recognition.reading import CLASSICAL, Recognition, recognise
from acutance.evaluation.recognition.tables import Setting, tables, to_csv, to_json, to_markdown
from acutance.evaluation.restorers import BlindRestorer

SETTING = Setting(command="acutance evaluate", fonts=("a.ttf",), missing=("nobody reads runes",))
PLATES = Kind(name="plates", size_px=12.0)
COUNT = 6


def contrast(picture):
    return int(picture.max()) - int(picture.min())


@pytest.fixture(scope="module")
def found(artist):
    """A judge that reads the first plates of strong contrast, and mixes up one letter of the others.

    The restorer *flat* has no contrast left; *bright* is given as it is but for number 5, which it loses.
    """
    truths = {}
    for number in range(COUNT):
        item = artist.draw(PLATES, number)
        truths[item.sharp[item.box.slices].shape[1], item.sharp[item.box.slices].tobytes()] = item.text

    def read(pictures, kind):
        assert kind == "plates"
        answers = []
        for picture in pictures:
            text = truths.get((picture.shape[1], picture.tobytes()), "")
            answers.append(Reading(text, 0.9) if text else Reading("-" if contrast(picture) < 5 else "zz", 0.1))
        return answers

    flat = BlindRestorer("flat", lambda picture: np.full_like(picture, 128))
    judge = Judge("oracle", frozenset({"plates"}), read)
    deaf = Judge("deaf", frozenset({"qr"}), read)
    return recognise(
        [PLATES], [condition("none"), condition("gauss-3")], [*CLASSICAL, flat], [judge, deaf], count=COUNT,
        artist=artist,
    )  # fmt: skip


def test_rates_are_of_every_cell(found):
    cells = {(rate.condition, rate.restorer): rate for rate in found.rates}
    assert {rate.judge for rate in found.rates} == {"oracle"}
    assert cells["none", "input"].exact.mean == 1.0
    assert cells["none", "input"].wrong.mean == 0.0
    assert cells["gauss-3", "input"].exact.mean == 0.0
    assert cells["none", "flat"].wrong.mean == 1.0
    assert all(rate.count == COUNT for rate in found.rates)


def test_a_filter_with_nothing_to_say_has_no_cell(found):
    assert ("none", "Wiener, true kernel") not in {(rate.condition, rate.restorer) for rate in found.rates}


def test_gains_and_losses_are_held_against_the_picture_as_it_was(found):
    cells = {(rate.condition, rate.restorer): rate for rate in found.rates}
    assert (cells["none", "flat"].gained, cells["none", "flat"].lost) == (0, COUNT)
    assert (cells["none", "input"].gained, cells["none", "input"].lost) == (None, None)


def test_a_gain_counts_what_was_not_read_before(artist):
    base = recognise(
        [PLATES], [condition("none")], [CLASSICAL[0], BlindRestorer("other", lambda picture: 255 - picture)],
        [Judge("light", frozenset({"plates"}), lambda pictures, _: [Reading("DARK") for _ in pictures])],
        count=2, artist=artist,
    ).readings  # fmt: skip
    changed = [replace(one, text=one.truth) if one.restorer == "other" and one.number == 1 else one for one in base]
    rate = Recognition(tuple(changed)).rates[1]
    assert (rate.restorer, rate.gained, rate.lost, rate.exact.mean) == ("other", 1, 0, 0.5)


def test_every_form_says_the_same(found):
    first = tables(found)[0]
    assert first.title == "plates@12, 6 items, oracle: read exactly (95 %)"
    assert first.header == ("", "none", "gauss-3")
    assert first.lines[0] == ("input", "100 % (61 … 100)", "0 % (0 … 39)")
    text = to_markdown(found, SETTING)
    assert "| input | 100 % (61 … 100) | 0 % (0 … 39) |" in text
    assert "Not measured: nobody reads runes" in text
    assert "Letters: a.ttf." in text
    assert "`acutance evaluate`" in text
    document = json.loads(to_json(found, SETTING))
    assert document["rates"][0]["exact"] == {"mean": 1.0, "low": pytest.approx(0.6097, abs=1e-3), "high": 1.0}
    assert len(to_csv(found).splitlines()) == 1 + len(found.readings) == 1 + len(document["readings"])


def test_answers_are_brought_into_the_form_of_truths():
    assert plain("ab 12-cde\n", "plates") == "AB12CDE"
    assert plain(" The  quick \n", "serif") == "The quick"
    assert plain("的 一\n是", "chinese") == "的一是"


def test_where_nobody_reads_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        EngineUnavailable, match=r"--recognise serif: nobody reads it here; run: pip install .*rapidocr"
    ):
        open_judges(["serif"])


def test_a_judge_that_is_missing_is_named(monkeypatch):
    pytest.importorskip("zxingcpp", reason="zxing-cpp reads the codes")
    monkeypatch.setitem(sys.modules, "pyzbar.pyzbar", None)
    monkeypatch.setitem(sys.modules, "pyzbar", None)
    judges, missing = open_judges(["qr"])
    assert [judge.name for judge in judges] == ["zxing"]
    assert missing[0].startswith("zbar does not judge: ")
    assert "libzbar" in missing[0]


@pytest.mark.parametrize("label", ["qr@4", "serif@24"])
def test_judges_read_what_is_sharp(artist, label):
    (kind,) = kinds_of(label)
    if kind.name == "qr":
        pytest.importorskip("zxingcpp", reason="zxing-cpp makes the codes")
    elif shutil.which("tesseract") is None:
        pytest.importorskip("rapidocr", reason="neither tesseract nor RapidOCR is installed")
    judges, _ = open_judges([kind.name])
    items = [artist.draw(kind, number) for number in range(3)]
    shown = [item.sharp[item.box.slices] for item in items]
    nothing = np.full((40, 200, 3), 200, np.uint8)
    for judge in judges:
        *readings, of_nothing = judge.read([*shown, nothing], kind.name)
        assert [one.text for one in readings] == [item.text for item in items], judge.name
        assert of_nothing.text != items[0].text


def test_the_command_reads_codes(tmp_path):
    pytest.importorskip("zxingcpp", reason="zxing-cpp makes the codes")
    app = typer.Typer()
    app.command()(evaluate)
    words = ["--recognise", "qr@4", "--rows", "none,gauss-1.5", "--items", "2", "--model", "fast", "--json"]
    result = CliRunner().invoke(app, [*words, "--csv", str(tmp_path / "all.csv")])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["command"] == ("acutance evaluate --recognise qr@4 --rows none,gauss-1.5 --items 2 --model fast")
    cells = {(rate["judge"], rate["condition"], rate["restorer"]): rate["exact"]["mean"] for rate in document["rates"]}
    assert cells["zxing", "none", "fast"] == cells["zxing", "gauss-1.5", "motion, true blur"] == 1.0
    assert (tmp_path / "all.csv").read_text().startswith("kind,condition,restorer,judge,number,truth,text")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recognise", "runes"], "--recognise 'runes': must be of qr"),
        (["--recognise", "qr", "--rows", "fog-2"], "row 'fog-2'"),
        (["--recognise", "qr", "--limit", "3"], "--limit has no part in it"),
        (["--recognise", "qr", "--font", "blackletter=x.ttf"], "--font 'blackletter=x.ttf': must be serif"),
    ],
)
def test_the_command_refuses_in_one_sentence(words, said):
    app = typer.Typer()
    app.command()(evaluate)
    result = CliRunner().invoke(app, words)
    assert result.exit_code != 0
    assert said in str(result.exception)
