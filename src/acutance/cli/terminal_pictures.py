"""Pictures in a terminal, where it is one that shows them: by the protocol of kitty, or of iTerm2."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Literal

Protocol = Literal["kitty", "iterm2"]

_CHUNK = 4096
"""Of base64; kitty takes no more at a time."""

_ITERM2 = ("iTerm.app", "WezTerm")
_KITTY = ("ghostty",)


def protocol_of(environment: Mapping[str, str], *, is_terminal: bool) -> Protocol | None:
    """Say how a terminal shows pictures, by what it says of itself; None where it does not, as far as that is known.

    Args:
        environment: Of the process.
        is_terminal: Whether what is written goes to a terminal at all.
    """
    # Within tmux and screen the variables are those of the terminal around it, which does not get to see this.
    if not is_terminal or "TMUX" in environment or environment.get("TERM", "").startswith(("screen", "tmux", "dumb")):
        return None
    program = environment.get("TERM_PROGRAM", "")
    if program in _ITERM2:
        return "iterm2"
    if program in _KITTY or "KITTY_WINDOW_ID" in environment or environment.get("TERM", "") == "xterm-kitty":
        return "kitty"
    return None


def shown_by(protocol: Protocol, png: bytes) -> bytes:
    """Return what makes a terminal show a PNG file, as wide as it is, in a place of its own."""
    text = base64.standard_b64encode(png)
    if protocol == "iterm2":
        return b"\x1b]1337;File=inline=1;size=%d:%b\x07\n" % (len(png), text)
    return b"".join(_kitty_chunks(text)) + b"\n"


def _kitty_chunks(text: bytes) -> Iterator[bytes]:
    for start in range(0, len(text), _CHUNK):
        more = int(start + _CHUNK < len(text))
        # a=T: transmit and show at once; f=100: a PNG file; q=2: no answer, which would be read as typed text.
        control = b"a=T,f=100,q=2,m=%d" % more if start == 0 else b"m=%d" % more
        yield b"\x1b_G%b;%b\x1b\\" % (control, text[start : start + _CHUNK])
