"""The plots show the means, can be told apart, and are the same bytes each time."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="needs the extra `plots`")

import matplotlib

from acutance.evaluation.evaluate import Evaluation, Measurement
from acutance.evaluation.plots import NAMES, NEEDS, perception_distortion, plot_names, plots, psnr_over_sigma, render
from acutance.evaluation.scores import Scores

ROWS = ("gauss-2.0", "gauss-1.0", "gauss-1.6-n2", "none")
RESTORERS = ("input", "unsharp", "a$model_$.onnx", "_hidden")


def measurement(row, restorer, psnr_db, *, gmsd=0.1, lpips=None, test_set="bsd100", photo="a.png"):
    return Measurement(
        test_set=test_set,
        photo=photo,
        index=0,
        row=row,
        restorer=restorer,
        scores=Scores(psnr_db=psnr_db, ssim=0.8, ms_ssim=None, gmsd=gmsd, gradient_energy=1.0, lpips=lpips),
        seconds=0.5,
    )


def an_evaluation(**changes):
    """Every restorer under every row; the input of row none is perfect."""
    measurements = [
        measurement(row, restorer, 20.0 + 3 * number + 5 * column, gmsd=0.05 * (number + 1) - 0.01 * column)
        for number, row in enumerate(ROWS)
        for column, restorer in enumerate(RESTORERS)
    ]
    measurements.append(measurement("none", "input", math.inf, photo="b.png"))
    return Evaluation(tuple(replace(one, **changes) for one in measurements))


def lines_of(figure):
    (axes,) = figure.axes
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}


def legend_of(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def words_of(figure):
    (axes,) = figure.axes
    return figure.get_suptitle(), axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()


def test_psnr_over_sigma_is_a_line_per_restorer_over_the_gaussian_rows():
    figure = psnr_over_sigma(an_evaluation().means)
    assert lines_of(figure) == {
        name: ([1.0, 2.0], [23.0 + 5 * column, 20.0 + 5 * column]) for column, name in enumerate(RESTORERS)
    }
    title, rows, x, y = words_of(figure)
    assert title == "bsd100, 1 photo: PSNR over σ"
    assert rows == "rows with Gaussian blur and nothing else"
    assert (x, y) == ("σ of the blur (px)", "PSNR (dB); higher is better")
    assert list(figure.axes[0].get_xticks()) == [1.0, 2.0]
    assert legend_of(figure) == list(RESTORERS)


def test_rows_that_do_more_than_blur_have_no_place_over_sigma():
    rows = ("gauss-1.0", "gauss-1.6-n2", "defocus-2", "jpeg-50", "mix", "x2-gauss-1.0", "none")
    evaluation = Evaluation(tuple(measurement(row, "input", 30.0) for row in rows))
    assert lines_of(psnr_over_sigma(evaluation.means)) == {"input": ([1.0], [30.0])}


def test_perception_against_distortion_is_a_point_per_restorer_over_the_rows_that_all_have():
    figure = perception_distortion(an_evaluation().means)
    for column, name in enumerate(RESTORERS):  # row none is left out: its input is perfect
        x, y = lines_of(figure)[name]
        assert x == pytest.approx([np.mean([20.0, 23.0, 26.0]) + 5 * column])
        assert y == pytest.approx([np.mean([0.05, 0.1, 0.15]) - 0.01 * column])
    title, rows, x, y = words_of(figure)
    assert title == "bsd100, 1 photo: perception against distortion"
    assert rows == "mean over the rows gauss-2.0, gauss-1.0, gauss-1.6-n2"
    assert (x, y) == ("PSNR (dB); higher is better", "GMSD; lower is better")


def test_lpips_takes_the_place_of_gmsd_where_all_have_it():
    measured = [
        replace(one, scores=replace(one.scores, lpips=0.5 - number / 100))
        for number, one in enumerate(an_evaluation().measurements)
    ]
    whole = perception_distortion(Evaluation(tuple(measured)).means)
    assert words_of(whole)[3] == "LPIPS (v0.1, VGG-16); lower is better"
    assert lines_of(whole)["input"][1] == pytest.approx([np.mean([0.5, 0.46, 0.42])])
    measured[0] = an_evaluation().measurements[0]
    assert words_of(perception_distortion(Evaluation(tuple(measured)).means))[3] == "GMSD; lower is better"


def test_rows_that_a_restorer_lacks_are_left_out():
    measurements = [one for one in an_evaluation().measurements if (one.row, one.restorer) != ("gauss-1.0", "unsharp")]
    means = Evaluation(tuple(measurements)).means
    assert lines_of(psnr_over_sigma(means))["unsharp"] == ([2.0], [25.0])
    assert words_of(perception_distortion(means))[1] == "mean over the rows gauss-2.0, gauss-1.6-n2"
    alone = [one for one in measurements if one.row == "gauss-2.0"]
    assert words_of(perception_distortion(Evaluation(tuple(alone)).means))[1] == "row gauss-2.0"


def test_what_cannot_be_drawn_is_left_out():
    assert len(NAMES) == len(NEEDS)
    only_none = Evaluation((measurement("none", "input", math.inf), measurement("none", "fast", 50.0)))
    assert plots(only_none) == ()
    noisy = Evaluation((measurement("gauss-1.6-n2", "input", 20.0), measurement("mix", "input", 20.0)))
    assert [plot.name for plot in plots(noisy)] == ["bsd100-perception-distortion"]
    assert plots(Evaluation(())) == ()


def test_each_test_set_has_its_own_plots():
    both = Evaluation(an_evaluation().measurements + an_evaluation(test_set="kodak24").measurements)
    made = plots(both)
    assert [plot.name for plot in made] == [*plot_names("bsd100"), *plot_names("kodak24")]
    assert plot_names("bsd100") == ("bsd100-psnr-over-sigma", "bsd100-perception-distortion")
    assert words_of(made[2].figure)[0].startswith("kodak24, 1 photo")


def test_files_are_the_same_each_time_whatever_the_users_settings():
    first = [render(plot, suffix) for plot in plots(an_evaluation()) for suffix in ("png", "svg")]
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "none", "savefig.dpi": 30}):
        before = dict(matplotlib.rcParams)
        second = [render(plot, suffix) for plot in plots(an_evaluation()) for suffix in ("png", "svg")]
        assert dict(matplotlib.rcParams) == before
    assert first == second
    for content in first[::2]:
        assert Image.open(io.BytesIO(content)).size == (1080, 720)
    for content in first[1::2]:
        assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"


def test_restorers_can_be_told_apart_without_colour():
    many = Evaluation(tuple(measurement(row, f"r{n}", 20.0 + n) for row in ROWS[:2] for n in range(40)))
    lines = psnr_over_sigma(many.means).axes[0].get_lines()
    assert len({(line.get_marker(), str(line._dash_pattern)) for line in lines}) == 40
    assert len({line.get_color() for line in lines[:7]}) == 7


def test_long_names_leave_room_for_the_plot():
    long = Evaluation((measurement("gauss-1.0", "runs/" + 90 * "x" + "/generator.onnx", 20.0),))
    (figure,) = [plot.figure for plot in plots(long)][:1]
    render(plots(long)[0], "png")
    assert max(map(len, legend_of(figure)[0].splitlines())) <= 28
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().width > 0.5


def test_pairs_and_what_should_be_kept_are_no_part_of_the_plots():
    """Nobody degraded the one, and the PSNR of the other is another figure."""
    taken = [measurement("paired", name, 24.0) for name in RESTORERS[:2]]
    kept = [measurement("grain-only", name, 40.0) for name in RESTORERS[:2]]
    kept = [replace(one, scores=replace(one.scores, largest_change=9.0)) for one in kept]
    linear = [measurement("gauss-1.6-linear", name, 25.0) for name in RESTORERS[:2]]
    assert psnr_over_sigma(Evaluation((*taken, *kept, *linear)).means) is None
    assert perception_distortion(Evaluation(tuple(kept)).means) is None
    figure = perception_distortion(Evaluation((*taken, *kept)).means)
    assert words_of(figure)[1] == "row paired"
