"""A line a minute on long work, where nobody sees a bar."""

from __future__ import annotations

import pytest

from acutance.cli.console import MinuteLines
from acutance.cli.training_lines import TrainingLines

pytest.importorskip("torch", reason="needs the extra `train`")

from acutance.training.checkpoint import Progress
from acutance.training.loop import Tick


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def trained(lines, clock, *, steps, seconds_per_step=1.0, losses=None, first=0):
    """Have a run of 1 000 steps take some of them."""
    for step in range(first + 1, first + steps + 1):
        clock.now_s += seconds_per_step
        lines(Tick(Progress(iteration=step), step / 1000, (losses or {}).get(step), None))


def test_a_line_a_minute_says_step_loss_rate_and_time_left(capsys):
    clock = Clock()
    lines = TrainingLines(MinuteLines(clock=clock), clock=clock)
    trained(lines, clock, steps=125, losses={50: 0.123456, 100: 0.0301})
    assert capsys.readouterr().err.splitlines() == [
        "step 60  loss 0.1235  1 steps/s  6.0%  0:15:40 left",
        "step 120  loss 0.0301  1 steps/s  12.0%  0:14:40 left",
    ]


def test_what_was_done_before_a_resumption_is_not_counted_as_speed(capsys):
    clock = Clock()
    lines = TrainingLines(MinuteLines(clock=clock), clock=clock)
    trained(lines, clock, steps=16, seconds_per_step=4.0, first=900)
    assert capsys.readouterr().err.splitlines() == ["step 915  0.25 steps/s  91.5%  0:05:40 left"]


def test_the_first_line_may_come_at_the_first_step(capsys):
    clock = Clock()
    lines = TrainingLines(MinuteLines(clock=clock), clock=clock)
    trained(lines, clock, steps=1, seconds_per_step=90.0)
    assert capsys.readouterr().err.splitlines() == ["step 1  0.1%"]


def test_on_a_terminal_there_are_none(capsys):
    clock = Clock()
    trained(TrainingLines(MinuteLines(clock=clock, is_shown=False), clock=clock), clock, steps=200)
    assert capsys.readouterr().err == ""
