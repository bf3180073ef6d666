"""Talking to a person: plain words on stderr, a bar only on a terminal, and stopping in order."""

from __future__ import annotations

import os
import re
import signal

import pytest
import rich.console

from acutance.cli import console
from acutance.cli.console import ended_as_by_ctrl_c, needs_extra, progress_bar, say, stop_request
from acutance.errors import EngineUnavailable


def test_words_go_to_stderr_as_they_are(capsys):
    say("photo [1].jpg: 'acutance[train]' :smile: [bold]not bold[/bold]")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "photo [1].jpg: 'acutance[train]' :smile: [bold]not bold[/bold]\n"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_name_neither_breaks_a_line_nor_steers_the_terminal(capsys, monkeypatch, is_terminal):
    monkeypatch.setattr(console, "is_terminal", lambda: is_terminal)
    console._stderr.cache_clear()
    say("line\nbreak \x1b[31m\x9b2J\u2028.png\udce9: is empty")
    console._stderr.cache_clear()
    assert capsys.readouterr().err == "line\\nbreak \\x1b[31m\\x9b2J\\u2028.png\\xe9: is empty\n"


def test_a_name_in_brackets_is_shown_by_a_bar_as_it_is(capsys, monkeypatch):
    terminal = rich.console.Console(stderr=True, force_terminal=True, width=100)
    monkeypatch.setattr(console, "_stderr", lambda: terminal)
    with console.frames_bar() as show:
        show("[/b]\x1b[31m.mkv", 1, 10, None)
    assert "[/b]\\x1b[31m.mkv" in capsys.readouterr().err


def test_long_lines_are_not_broken(capsys):
    say("x" * 500)
    assert capsys.readouterr().err == "x" * 500 + "\n"


def test_without_a_terminal_a_line_a_minute_says_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.0)
    with progress_bar("working") as bar:
        bar(0.25)
        bar.name("tidying up")
        bar(0.5)
    assert re.fullmatch(r"working  25\.0%\ntidying up  50\.0%  \d:\d\d:\d\d left\n", capsys.readouterr().err)
    with progress_bar("working", is_quiet=True) as bar:
        bar(0.5)
    assert capsys.readouterr().err == ""


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
