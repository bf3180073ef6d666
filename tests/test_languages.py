"""The Chinese pages say what the English ones do: the same commands, code, figures and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAIRS = [
    (page.with_name(page.name.replace(".zh.md", ".md")), page)
    for page in sorted([*ROOT.glob("*.zh.md"), *ROOT.glob("docs/**/*.zh.md")])
]
FENCE = re.compile(r"^```(\w*).*?\n(.*?)^```", re.DOTALL | re.MULTILINE)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_of(page: Path) -> list[tuple[str, list[str]]]:
    """Return a page's blocks of code by language, without comments and the blanks before them."""
    return [
        (language, [line for line in (re.sub(r"(^|\s+)#\s.*", "", line) for line in block.splitlines()) if line])
        for language, block in FENCE.findall(text(page))
    ]


def options_of(page: Path) -> set[str]:
    """Return the options and commands that the running text names."""
    return set(re.findall(r"`(--[a-z-]+|acutance [a-z]+|[a-z_]+\.[a-z_]+=?\w*)", text(page)))


def test_the_most_used_pages_are_there_in_chinese() -> None:
    names = {chinese.relative_to(ROOT).as_posix() for _, chinese in PAIRS}
    assert names >= {"README.zh.md", "docs/how-to/sharpen.zh.md", "docs/how-to/train.zh.md"}


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: page.name)
def test_commands_and_code_are_equal(english: Path, chinese: Path) -> None:
    assert len(code_of(english)) >= 4
    assert code_of(chinese) == code_of(english)


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: page.name)
def test_options_in_the_text_are_equal(english: Path, chinese: Path) -> None:
    assert options_of(chinese) == options_of(english)


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: page.name)
def test_parts_follow_each_other_alike(english: Path, chinese: Path) -> None:
    levels = [re.findall(r"^(#+) ", FENCE.sub("", text(page)), re.MULTILINE) for page in (english, chinese)]
    assert levels[0] == levels[1]


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: page.name)
def test_each_leads_to_the_other(english: Path, chinese: Path) -> None:
    assert f"]({chinese.name})" in text(english)
    assert f"]({english.name})" in text(chinese)


def test_figures_of_the_models_are_equal() -> None:
    def figures(page: Path) -> list[list[str]]:
        rows = re.findall(r"^\| `(?:fast|motion|night|paper).*$", text(page), re.MULTILINE)
        return [sorted(re.findall(r"\d+(?:\.\d+)?", row)) for row in rows]

    assert figures(ROOT / "README.md") == figures(ROOT / "README.zh.md")
    assert figures(ROOT / "README.md")
