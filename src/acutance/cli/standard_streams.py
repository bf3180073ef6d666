"""Standard input, output and error as they may come: closed, full, or unable to show more than ASCII."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import BinaryIO, TextIO

from acutance.errors import InputError, OutputError

_PLAIN = {
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{MIDDLE DOT}": "*",
    "\N{DEGREE SIGN}": " deg",
    "\N{GREEK SMALL LETTER SIGMA}": "sigma",
}
"""What words and tables hold beyond ASCII, in ASCII."""


class _Stdout(io.FileIO):
    """Standard output, of which a failure (a full disk) is told as what it is."""

    def write(self, content: object, /) -> int:
        """Write bytes.

        Raises:
            OutputError: When they cannot be written; BrokenPipeError, when their reader is gone.
        """
        try:
            return super().write(content)  # type: ignore[arg-type]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"stdout: cannot be written ({error.strerror}); send it elsewhere.") from error


def prepare_streams() -> None:
    """Make the three streams fit to be used, once, before anything is said.

    What is closed leads nowhere, so that no file that is opened later takes its number and gets the words that were
    meant for it. What cannot be shown in the terminal's encoding is written in ASCII instead.
    """
    _fill_closed_numbers()
    codecs.register_error("acutance", _in_ascii)
    if sys.stdout is not None and _is_plain(sys.stdout, number=1):
        sys.stdout = _told_stdout(sys.stdout)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="acutance")


def flush_stdout() -> None:
    """Write what is held back of standard output.

    Raises:
        OutputError: When it cannot be written; BrokenPipeError, when its reader is gone.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def abandon_stdout() -> None:
    """Let what standard output does not take go nowhere, so that the end of the process does not try again."""
    try:
        flush_stdout()
    except (OutputError, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def stdin_bytes() -> BinaryIO:
    """Return standard input.

    Raises:
        InputError: When it is closed.
    """
    if sys.stdin is None:
        raise InputError("stdin is closed, so nothing can be read from it; send a file into it, or name one.")
    return sys.stdin.buffer


def stdout_bytes() -> BinaryIO:
    """Return standard output.

    Raises:
        OutputError: When it is closed.
    """
    if sys.stdout is None:
        raise OutputError("stdout is closed, so nothing can be written to it; send it to a file, or name one (-o).")
    return sys.stdout.buffer


def _fill_closed_numbers() -> None:
    """Open what leads nowhere under each of the numbers 0, 1 and 2 that is free."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _is_plain(stream: TextIO, *, number: int) -> bool:
    """Say whether a stream is Python's own on a file of a number, not one that a test has put there."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # unbuffered (python -u), there is nothing between
    return type(raw) is io.FileIO and raw.fileno() == number


def _told_stdout(stream: TextIO) -> TextIO:
    """Return a stream like standard output over a `_Stdout`."""
    stream.flush()
    raw = _Stdout(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.isatty(),
        write_through=not isinstance(stream.buffer, io.BufferedWriter),
    )


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return what stands in ASCII for characters that cannot be encoded: a like one, or the escape of JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character) or _escaped(character) for character in bad), error.end


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[place : place + 2], 'big'):04x}" for place in range(0, len(units), 2))
