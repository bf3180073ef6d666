"""What errors of others become inside of our sentences."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import acutance
from acutance.errors import first_line

SOURCES = sorted(Path(acutance.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("it is no number."), "it is no number"),
        (ValueError("  it is no number\nsee https://example.org"), "it is no number"),
        (RuntimeError("Error(s) in loading state_dict for Net:\n\tsize mismatch for head: 3 is not 4. "),
         "size mismatch for head: 3 is not 4"),
        (KeyError(), "KeyError"),
    ],
)  # fmt: skip
def test_it_fits_into_a_sentence(error: Exception, words: str) -> None:
    assert first_line(error) == words


def test_errors_are_put_into_brackets_by_no_other_way() -> None:
    """Whatever an error says may end with a full stop, or go on for lines."""
    found = [str(path) for path in SOURCES if re.search(r"Error\(\s*f?\".*\(\{error\}\)", path.read_text())]
    assert found == []
