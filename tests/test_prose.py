"""The pages that were rewritten stay short, active and concrete (`scripts/prose.py`)."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from typer.core import TyperGroup

from acutance.cli.main import whole_program

ROOT = Path(__file__).parent.parent


def _prose():
    spec = spec_from_file_location("prose", ROOT / "scripts" / "prose.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


PROSE = _prose()


@pytest.mark.parametrize("name", PROSE.HELD)
def test_a_page_reads_well(name: str) -> None:
    found = PROSE.findings_in((ROOT / name).read_text("utf-8"))
    assert not found, "\n".join(f"{finding.what}\n    {finding.sentence}" for finding in found)


def _helps(command, name: str):
    """Return the help of a verb, of its options and of the verbs below it, by their names."""
    helps = {name: command.help or ""}
    helps |= {f"{name} {option.opts[-1]}": getattr(option, "help", None) or "" for option in command.params}
    for below, verb in command.commands.items() if isinstance(command, TyperGroup) else ():
        helps |= _helps(verb, f"{name} {below}")
    return helps


def test_the_help_reads_well() -> None:
    helps = _helps(whole_program(), "acutance")
    assert len(helps) > 200
    assert not [(name, *PROSE.findings_in(text)) for name, text in helps.items() if PROSE.findings_in(text)]


def test_pages_are_held_unless_they_are_records() -> None:
    assert {"README.md", "docs/explanation/motion.md", "docs/how-to/video.md"} <= set(PROSE.HELD)
    assert set(PROSE.NOT_HELD) == {"CHANGELOG.md", "docs/models.md"}


@pytest.mark.parametrize(
    ("sentence", "what"),
    [
        ("word " * 36 + "end.", "37 words"),
        ("It is read, is turned and then is closed.", None),
        ("Files are renamed, are moved, were counted and then are deleted.", "4 passives"),
        ("Old results are skipped, nor are those of others.", "'nor are'"),
        ("What is left out, and that is said.", "'that is said'"),
        ("Who wants to know may ask.", "'who wants to'"),
        ("We utilise it.", "'utilis'"),
        ("It stops at once. A second sentence follows.", None),
        ("word " * 20 + "ends. *Another* " + "word " * 20 + "ends.", None),
    ],
)
def test_a_habit_is_found(sentence: str, what: str | None) -> None:
    found = PROSE.findings_in(f"# Title\n\n{sentence}\n")
    assert [finding.what.lower().startswith(what) for finding in found] == [True] if what else not found


def test_only_running_text_is_looked_at() -> None:
    long = "word " * 40
    hidden = f"```\n{long}\n```\n\n| {long} |\n|---|\n\n<!-- {long} -->\n"
    page = f"{hidden}\nSee `{long}`, and [a page](https://{long.replace(' ', '')}).\n"
    assert PROSE.findings_in(page) == []
    assert len(PROSE.findings_in(f"- {long}\n- {long}\n")) == 2


def test_the_program_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("We act in order to mend it.\n", encoding="utf-8")
    assert PROSE.main([str(page)]) == 1
    assert capsys.readouterr().out == f"{page}: 'in order to': to\n    We act in order to mend it.\n"
    assert PROSE.main([]) == 0
