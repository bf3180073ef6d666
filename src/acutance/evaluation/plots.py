"""An evaluation as two plots per test set: PSNR over the strength of blur, and perception against distortion.

Needs the extra `plots`, so whoever imports this does it only when asked for plots. Figures are made and written without
pyplot, hence without a screen or a state that others share, and with matplotlib's own defaults whatever the user's
settings say: the same evaluation gives the same bytes with the same matplotlib.

Restorers differ in colour, marker and line, so that they can be told apart in greyscale and by the colour-blind: the
colours are those of Okabe and Ito (2008).
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from acutance.data.blurs import GaussianBlur
from acutance.data.protocol import ROWS, Row
from acutance.evaluation.evaluate import Evaluation, Mean
from acutance.evaluation.scores import mean_scores

SUFFIXES: tuple[Literal["png", "svg"], ...] = ("png", "svg")
"""Forms in which every plot is written."""

NAMES = ("psnr-over-sigma", "perception-distortion")
"""The plots of a test set; in files its name stands before them."""

NEEDS = (
    "a row with Gaussian blur and nothing else, such as gauss-1.6",
    "a row under which every restorer was measured and none gave the very truth",
)
"""What each of them is made of."""

_COLOURS = ("#000000", "#E69F00", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_STYLES: tuple[LineStyleType, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 2)))
"""Their numbers have no common divisor, so that 280 restorers look different."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A finished plot."""

    name: str
    """Of its files, without the suffix: the test set's and one of `NAMES`."""
    figure: Figure


def plot_names(test_set: str) -> tuple[str, ...]:
    """Return the names that the plots of a test set have."""
    return tuple(f"{test_set}-{name}" for name in NAMES)


def plots(evaluation: Evaluation) -> tuple[Plot, ...]:
    """Draw what an evaluation holds the figures for.

    Each needs what `NEEDS` says, and is left out where that is missing. (The PSNR of the very truth is infinite, which
    no mean and no axis can show.)
    """
    made = []
    with _own_settings():
        for test_set in dict.fromkeys(mean.test_set for mean in evaluation.means):
            of_set = [mean for mean in evaluation.means if mean.test_set == test_set]
            for name, draw in zip(plot_names(test_set), (psnr_over_sigma, perception_distortion), strict=True):
                figure = draw(of_set)
                if figure is not None:
                    made.append(Plot(name, figure))
    return tuple(made)


def render(plot: Plot, suffix: Literal["png", "svg"]) -> bytes:
    """Write a plot as the content of a file: PNG of 150 dots per inch, or SVG with letters as outlines."""
    stream = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if suffix == "svg" else {"Software": None}
    with _own_settings():
        plot.figure.savefig(stream, format=suffix, dpi=150, metadata=metadata)
    return stream.getvalue()


def psnr_over_sigma(means: Sequence[Mean]) -> Figure | None:
    """Draw a line per restorer over the σ of the Gaussian rows; None without such rows.

    Args:
        means: Of one test set.
    """
    sigmas = {mean.row: sigma for mean in means if (sigma := _sigma_px(mean.row)) is not None}
    chosen = [mean for mean in means if mean.row in sigmas and math.isfinite(mean.scores.psnr_db)]
    if not chosen:
        return None
    figure, axes = _sheet(f"{_subject(chosen)}: PSNR over σ", "rows with Gaussian blur and nothing else")
    for number, restorer in enumerate(_restorers(means)):
        points = sorted((sigmas[mean.row], mean.scores.psnr_db) for mean in chosen if mean.restorer == restorer)
        if points:
            axes.add_line(_line(number, restorer, points))
    axes.autoscale_view()
    axes.set_xticks(sorted(set(sigmas.values())))
    axes.set_xlabel("σ of the blur (px)")
    axes.set_ylabel("PSNR (dB); higher is better")
    _explain(axes)
    return figure


def perception_distortion(means: Sequence[Mean]) -> Figure | None:
    """Draw a point per restorer: how right it is, and how like the truth it looks; both are means over rows.

    The rows are those that have finite figures for every restorer, so that all points are means over the same. One
    point each says what the user wants to know, who trades what for what; single rows differ much more among each
    other than restorers do. It looks like the truth by LPIPS where that was measured, by GMSD elsewhere.

    Args:
        means: Of one test set.
    """
    restorers = _restorers(means)
    rows = [row for row in dict.fromkeys(mean.row for mean in means) if _is_whole(means, row, len(restorers))]
    if not rows:
        return None
    of_rows = [mean for mean in means if mean.row in rows]
    by_lpips = all(mean.scores.lpips is not None for mean in of_rows)
    figure, axes = _sheet(f"{_subject(of_rows)}: perception against distortion", _listing(rows))
    for number, restorer in enumerate(restorers):
        means_of_it = mean_scores([mean.scores for mean in of_rows if mean.restorer == restorer])
        perceptual = means_of_it.lpips if means_of_it.lpips is not None and by_lpips else means_of_it.gmsd
        axes.add_line(_line(number, restorer, [(means_of_it.psnr_db, perceptual)]))
    axes.autoscale_view()
    axes.margins(0.08)
    axes.set_xlabel("PSNR (dB); higher is better")
    axes.set_ylabel(f"{'LPIPS (v0.1, VGG-16)' if by_lpips else 'GMSD'}; lower is better")
    _explain(axes)
    return figure


@contextmanager
def _own_settings() -> Iterator[None]:
    """Draw with matplotlib's defaults and ours, then give the user's settings back."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rc("font", size=9.5)
        matplotlib.rc("axes", grid=True, axisbelow=True)
        matplotlib.rc("axes.spines", top=False, right=False)
        matplotlib.rc("grid", color="#dddddd")
        matplotlib.rc("text", parse_math=False)  # a model's name may hold dollar signs
        matplotlib.rc("svg", hashsalt="acutance")  # the names within an SVG are random otherwise
        yield


def _sheet(title: str, under: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    figure.suptitle(title, x=0.01, horizontalalignment="left", fontsize=11)
    axes = figure.add_subplot()
    axes.set_title(under, loc="left", fontsize=8.5, color="#444444")
    return figure, axes


def _line(number: int, label: str, points: Sequence[tuple[float, float]]) -> Line2D:
    """Draw a restorer's points, in its colour and with its marker; several are joined by its line."""
    is_alone = len(points) == 1
    return Line2D(
        [x for x, _ in points],
        [y for _, y in points],
        color=_COLOURS[number % len(_COLOURS)],
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=9 if is_alone else 6,
        linestyle="none" if is_alone else _STYLES[number % len(_STYLES)],
        linewidth=1.6,
        label=label,
    )


def _explain(axes: Axes) -> None:
    """Name the restorers beside the plot, where nothing can be hidden."""
    lines = axes.get_lines()
    names = [textwrap.fill(str(line.get_label()), 28) for line in lines]  # a path would leave no room for the plot
    axes.legend(lines, names, loc="upper left", bbox_to_anchor=(1.01, 1.0))


def _subject(means: Sequence[Mean]) -> str:
    count = max(mean.count for mean in means)
    return f"{means[0].test_set}, {count} photo{'s' if count > 1 else ''}"


def _restorers(means: Sequence[Mean]) -> tuple[str, ...]:
    """Return all restorers of a test set, so that each looks the same in both plots."""
    return tuple(dict.fromkeys(mean.restorer for mean in means))


def _sigma_px(row_name: str) -> float | None:
    """Return σ of a row that does nothing but blur with a Gaussian; None for any other."""
    row = next((row for row in ROWS if row.name == row_name), None)
    if row is None:  # taken, not made: paired
        return None
    is_pure = row == Row(name=row.name, description=row.description, blur=row.blur)
    return row.blur.sigma_px if is_pure and isinstance(row.blur, GaussianBlur) else None


def _is_whole(means: Sequence[Mean], row: str, num_restorers: int) -> bool:
    of_row = [mean for mean in means if mean.row == row]
    is_restored = all(mean.scores.largest_change is None for mean in of_row)  # else it was to be kept as it is
    return is_restored and len(of_row) == num_restorers and all(math.isfinite(mean.scores.psnr_db) for mean in of_row)


def _listing(rows: Sequence[str]) -> str:
    """Name the rows that a mean is over."""
    text = f"row {rows[0]}" if len(rows) == 1 else f"mean over the rows {', '.join(rows)}"
    return textwrap.fill(text, 96, break_on_hyphens=False)
