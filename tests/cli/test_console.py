"""Talking to a person: plain words on stderr, a bar only on a terminal, and stopping in order."""

from __future__ import annotations

import os
import signal

import pytest

from acutance.cli.console import ended_as_by_ctrl_c, needs_extra, progress_bar, say, stop_request
from acutance.errors import EngineUnavailable


def test_words_go_to_stderr_as_they_are(capsys):
    say("photo [1].jpg: 'acutance[train]' :smile: [bold]not bold[/bold]")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "photo [1].jpg: 'acutance[train]' :smile: [bold]not bold[/bold]\n"


def test_long_lines_are_not_broken(capsys):
    say("x" * 500)
    assert capsys.readouterr().err == "x" * 500 + "\n"


def test_no_bar_without_a_terminal(capsys):
    with progress_bar("working") as bar:
        for share in (0.0, 0.5, 1.0):
            bar(share)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip() == ""


def interrupted(number):
    """Send ourselves a signal twice while stopping in order is possible."""
    with stop_request() as is_asked:
        assert not is_asked()
        os.kill(os.getpid(), number)
        assert is_asked()
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_stops(number, capsys):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        interrupted(number)
    assert signal.getsignal(number) is before
    assert "stopping after this step" in capsys.readouterr().err


def test_without_a_signal_nothing_is_asked():
    before = signal.getsignal(signal.SIGINT)
    with stop_request() as is_asked:
        assert not is_asked()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_to_end_is_as_ctrl_c(name):
    number = signal.Signals[name]
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), ended_as_by_ctrl_c():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_as_by_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_missing_library_names_the_extra():
    with (
        pytest.raises(EngineUnavailable, match=r"no_such_library.*pip install .*'torch>="),
        needs_extra("train", "training"),
    ):
        import no_such_library  # noqa: F401
