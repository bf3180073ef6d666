"""Find sentences that a reader stumbles over: too long, in chains of passives, or with one of our own bad habits.

    python scripts/prose.py              # the pages that are held to it; ends with 1 when something is found
    python scripts/prose.py PAGE …       # any page, such as one that is not held to it yet
    python scripts/prose.py --all        # how much is left on every page

Code, tables, links' targets and HTML are not looked at.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOT_HELD = ("CHANGELOG.md", "docs/models.md")
"""Records rather than texts: a line per change, an experiment per sentence."""
HELD = tuple(
    name
    for name in sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    if name not in NOT_HELD and not name.endswith(".zh.md")
)
"""Pages without a finding: all but the records, and the Chinese ones, whose words are not counted this way."""

MOST_WORDS = 35
"""In a sentence."""
MOST_PASSIVES = 3
"""In a sentence."""

HABITS = {
    r"\bnor (is|are|do|does|did|has|have|was|were)\b": "say it in a sentence of its own, with 'not'",
    r"\butili[sz]": "use",
    r"\bin order to\b": "to",
    r"\bdue to the fact\b": "because",
    r"\b(that|it|how many|which|what for) is said\b": "say who says it: 'acutance says so', 'the log says how many'",
    r"\bis, is\b": "two verbs meet; turn the sentence around",
    r"\bwho(ever)? wants to\b": "'to do that, …'",
    r"\bbe it\b": "'even after', 'whether'",
    r"\bbut for\b": "except for, apart from",
    r"\b(there|where|here|by|with)(of|upon|fore)\b(?<!therefore)": "an old word; use a plain one",
    r"\bhas the say\b": "decides",
    r"\bis (to be )?had\b": "get",
    r"\bso manieth\b": "every n-th",
    r"\bno more than\b(?! \d)": "only",
    r"\bit is (to be noted|worth noting|important)\b": "leave it out",
    r"\b(simply|just|of course|obviously|very)\b": "leave it out",
}
"""What we write too often, and what to write in its place."""

PASSIVE = re.compile(
    r"\b(?:is|are|was|were|be|been|being) (?:\w+ly |not |never |then |only )?\w+(?:ed|wn|en|ept|ade|ead|ut)\b"
)
WORD = re.compile(r"[\w’'.\-]*\w")


@dataclass(frozen=True)
class Finding:
    """One sentence, and what is wrong with it."""

    what: str
    sentence: str


def paragraphs_of(page: str) -> Iterator[str]:
    """Return the running text of a Markdown page, paragraph by paragraph, items of lists by themselves."""
    page = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    page = re.sub(r"<!--.*?-->|<[^>]+>", "", page, flags=re.DOTALL)
    page = re.sub(r"^\s*[|#!].*$", "", page, flags=re.MULTILINE)
    page = re.sub(r"`[^`]*`", "code", page)
    page = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", page)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", page):
        if words := " ".join(paragraph.replace("**", "").split()):
            yield words.removeprefix("- ")


def sentences_of(paragraph: str) -> list[str]:
    """Split at the ends of sentences, and at colons that a list of its own follows."""
    return re.split(r"(?<=[.!?])[)\"”]?\s+(?=[A-Z0-9`*(“\"c])", paragraph)


def findings_in(page: str) -> list[Finding]:
    """Return what is wrong on a page, in its order."""
    found = []
    for sentence in (one for paragraph in paragraphs_of(page) for one in sentences_of(paragraph)):
        count = len(WORD.findall(sentence))
        if count > MOST_WORDS:
            found.append(Finding(f"{count} words; at most {MOST_WORDS}: make two of it", sentence))
        passives = len(PASSIVE.findall(sentence))
        if passives > MOST_PASSIVES:
            found.append(Finding(f"{passives} passives; say who does it", sentence))
        for habit, better in HABITS.items():
            if match := re.search(habit, sentence, re.IGNORECASE):
                found.append(Finding(f"'{match[0]}': {better}", sentence))
    return found


def main(arguments: list[str]) -> int:
    """Print the findings; return the exit code."""
    if arguments == ["--all"]:
        for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
            print(f"{len(findings_in(path.read_text('utf-8'))):4}  {path.relative_to(ROOT)}")
        return 0
    paths = [Path(argument) for argument in arguments] or [ROOT / name for name in HELD]
    count = 0
    for path in paths:
        for finding in findings_in(path.read_text("utf-8")):
            print(f"{path}: {finding.what}\n    {finding.sentence}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
