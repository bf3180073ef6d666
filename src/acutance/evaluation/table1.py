"""Table 1 of the paper, our rows beside it, and its findings as data; `verdicts.py` holds them against scores.

Absolute values are never compared: the paper does not say how its blur was made. What is compared is the order of
its four models, and the order is read off the table, so that no verdict is written by hand.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from acutance.evaluation.scores import Scores

Measure = Literal["psnr_db", "ssim", "gmsd", "lpips", "dists"]
"""A field of `Scores` that a finding is about."""

LOWER_IS_BETTER: tuple[Measure, ...] = ("gmsd", "lpips", "dists")
"""Measures of a distance."""

EQUAL_DB = 100.0
"""PSNR at which two photos count as equal, so that differences stay finite."""

ExtraRows = Literal["activation", "content", "terms", "skips", "start", "depth", "ours"]
"""Questions beside Table 1 that rows can be added for."""

EXTRA_ROWS: tuple[ExtraRows, ...] = get_args(ExtraRows)
"""All of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperModel:
    """A line of Table 1."""

    name: str
    """As the paper writes it."""
    preset: str
    """Our settings of it."""
    psnr_db: float
    ssim: float


TABLE_1: tuple[PaperModel, ...] = (
    PaperModel(name="StackedG", preset="stacked-g", psnr_db=25.11, ssim=0.804),
    PaperModel(name="ResG", preset="res-g", psnr_db=25.82, ssim=0.890),
    PaperModel(name="NonBN-ResG", preset="nonbn-res-g", psnr_db=28.54, ssim=0.917),
    PaperModel(name="NonBN-ResG-L", preset="nonbn-res-g-l", psnr_db=28.39, ssim=0.933),
)
"""In the paper's order."""

STAND_IN = "nonbn-res-g-l-pool2-pool3"
"""Preset that stands in for `nonbn-res-g-l` where VGG-19's weights end before pool 5."""

STAND_IN_LABEL = "NonBN-ResG-L (stand-in: pool2+pool3)"
"""What it is called wherever it shows."""

CHANGE = "@"
"""Stands between a model and a setting of it that is changed: `nonbn-res-g@generator.activation=relu`."""

PLAIN_STACK = "plain-stack"
"""Preset without skips and without normalisation: an extra row, two changes away from StackedG."""

BRANCH_GAIN = "branch_gain"
"""Setting of the start that all models of an ablation share."""

OTHER_START = f"{BRANCH_GAIN}=1.0"
"""The start that the presets do not have: He's, and γ as normalisation usually starts."""

OURS = ('adversary.discriminator={kind="unet"}', "objective.frequency=1.0")
"""What is not in the paper: a discriminator that judges every pixel, and the focal frequency loss."""

DEEP = "generator.num_blocks=16"
"""So many blocks has the row where skips should earn their place."""

PSNR_MARGIN_DB = 0.5
"""So far below NonBN-ResG may NonBN-ResG-L lie for the cost of its loss in PSNR to count as the paper's small one."""

INCOMPARABLE = (
    "The absolute values are not comparable with the paper's: it does not say how its blur was made, and its test "
    "photos are others; what can be compared is the order of the models."
)
"""Stands under every table that shows the paper's figures beside ours."""

MEASURE_NAMES: Mapping[Measure, str] = {
    "psnr_db": "PSNR",
    "ssim": "SSIM",
    "gmsd": "GMSD",
    "lpips": "LPIPS",
    "dists": "DISTS",
}
"""As tables write them."""


def default_models(vgg19_layers: Collection[str]) -> tuple[str, ...]:
    """Return the presets of the four models, given which layers of VGG-19 can be computed."""
    names = [row.preset for row in TABLE_1]
    return tuple(names if "pool5" in vgg19_layers else [*names[:-1], STAND_IN])


def extra_models(kind: ExtraRows, models: Sequence[str]) -> tuple[str, ...]:
    """Return models that differ from one of the paper's in one setting.

    Args:
        kind: `activation`: NonBN-ResG with ReLU and with LeakyReLU, which "gave almost the same" in section 2.3;
            `content`: NonBN-ResG with L1 in place of L2; `terms`: NonBN-ResG-L with each term of its loss left out;
            `skips`: StackedG without the long skip, and a plain stack without normalisation; `start`: the models of the
            paper with the other start; `depth`: the first three with 16 blocks; `ours`: NonBN-ResG-L with what is not
            in the paper, one at a time.
        models: Those that are measured anyway; their last of the paper's family is what `terms` takes apart, and what
            `ours` adds to.
    """
    stacked, classical, plain, whole = (row.preset for row in TABLE_1)
    full = STAND_IN if STAND_IN in models else whole
    changes: Mapping[ExtraRows, Sequence[tuple[str, str]]] = {
        "activation": [(plain, f"generator.activation={name}") for name in ("relu", "leaky-relu")],
        "content": [(plain, "objective.content_loss.kind=l1")],
        "terms": [(full, f"objective.{term}=0") for term in ("perceptual", "texture", "adversarial")],
        "skips": [(stacked, "generator.long_skip=false")],
        "start": [(model, OTHER_START) for model in models if find_paper_model(model) is not None],
        "depth": [(model, DEEP) for model in (stacked, classical, plain)],
        "ours": [(full, change) for change in OURS],
    }
    changed = tuple(f"{model}{CHANGE}{change}" for model, change in changes[kind])
    return (*changed, PLAIN_STACK) if kind == "skips" else changed


def find_paper_model(preset: str) -> PaperModel | None:
    """Return the line of Table 1 that a preset is, or stands in for; None for any other."""
    wanted = TABLE_1[-1].preset if preset == STAND_IN else preset
    return next((row for row in TABLE_1 if row.preset == wanted), None)


def label_of(preset: str) -> str:
    """Return what a model is called in tables: its name in the paper, or else its preset's, and what is changed."""
    base, *changes = preset.split(CHANGE)
    row = find_paper_model(base)
    own = {STAND_IN: STAND_IN_LABEL, PLAIN_STACK: "plain stack (no BN, PReLU)"}
    name = own.get(base, base if row is None else row.name)
    return f"{name} with {', '.join(changes)}" if changes else name


def advantage(measure: Measure, winner: Scores, loser: Scores) -> float | None:
    """Return by how much the first is ahead by a measure; None where that was not measured.

    What is better when lower counts with the other sign; photos 100 dB alike count as equal.
    """
    of_winner, of_loser = (getattr(scores, measure) for scores in (winner, loser))
    if of_winner is None or of_loser is None:
        return None
    if measure == "psnr_db":
        of_winner, of_loser = min(of_winner, EQUAL_DB), min(of_loser, EQUAL_DB)
    difference = float(of_winner - of_loser)
    assert math.isfinite(difference)
    return -difference if measure in LOWER_IS_BETTER else difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A statement about two models, by one measure: `winner` is ahead of `loser`, or not far behind."""

    measure: Measure
    winner: str
    """Preset."""
    loser: str
    """Preset."""
    margin: float = 0.0
    """By how much the winner may be behind and the statement still holds; 0 asks that it be ahead."""
    paper_difference: float | None = None
    """Winner minus loser in Table 1; None where the table has no such measure."""

    def words(self, winner: str, loser: str) -> str:
        """Say it, with the models called as given."""
        name = MEASURE_NAMES[self.measure]
        if self.margin:
            return f"{name}: {winner} at most {self.margin:g} dB below {loser}"
        return f"{name}: {winner} better than {loser}"


def _order(measure: Literal["psnr_db", "ssim"]) -> list[Finding]:
    """Read the order of neighbours off Table 1."""
    found = []
    for pair in pairwise(TABLE_1):
        loser, winner = sorted(pair, key=lambda row: float(getattr(row, measure)))
        difference = getattr(winner, measure) - getattr(loser, measure)
        found.append(
            Finding(measure=measure, winner=winner.preset, loser=loser.preset, paper_difference=round(difference, 3))
        )
    return found


def _own() -> list[Finding]:
    """Return what Table 1 implies but does not say in so many words: a small price in PSNR, for nearer structure."""
    whole, plain = TABLE_1[-1], TABLE_1[-2]
    price = round(whole.psnr_db - plain.psnr_db, 3)
    return [
        Finding(
            measure="psnr_db",
            winner=whole.preset,
            loser=plain.preset,
            margin=PSNR_MARGIN_DB,
            paper_difference=price,
        ),
        Finding(measure="gmsd", winner=whole.preset, loser=plain.preset),
        Finding(measure="lpips", winner=whole.preset, loser=plain.preset),
        Finding(measure="dists", winner=whole.preset, loser=plain.preset),
    ]


FINDINGS: tuple[Finding, ...] = (*_order("psnr_db"), *_order("ssim"), *_own())
"""What is checked: Table 1's order by PSNR and by SSIM, how small the price in PSNR is, and perceptual measures.
LPIPS and DISTS count where their weights are given."""
