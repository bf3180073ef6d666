"""What the documents say is so: links lead somewhere, commands parse, figures are those of the manifest."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from acutance.cli.main import app
from acutance.config.presets import preset_names
from acutance.data.protocol import ROWS
from acutance.zoo.catalogue import list_models

ROOT = Path(__file__).parent.parent
WITH_EXAMPLES = sorted(path for path in ROOT.glob("src/acutance/**/*.py") if ">>> " in path.read_text(encoding="utf-8"))
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("benchmarks/*.md")]
)
FENCE = re.compile(r"```bash\n(.*?)```", re.DOTALL)
RECIPES = "## How to read the recipes"
"""Of CONTRIBUTING.md: what stands below it makes verbs and presets of its own, and is run by `tests/recipes`."""


def ids(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_nothing_that_ships_is_said_to_be_trained_with_the_papers_whole_loss() -> None:
    """Other layers, and terms of our own: only the presets of the paper's models have its loss."""
    said = [page for page in PAGES if page.name != "CHANGELOG.md"]
    said += [*ROOT.glob("src/acutance/config/presets/*.toml"), *ROOT.glob("src/acutance/zoo/*")]
    texts = {path: path.read_text(encoding="utf-8") for path in said if path.is_file() and path.suffix != ".pyc"}
    assert [ids(path) for path, text in texts.items() if re.search(r"paper's (full|whole) loss", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def commands_of(page: Path) -> list[list[str]]:
    """Return the words of every `acutance …` command in the page's shell blocks."""
    found = []
    for block in FENCE.findall(page.read_text(encoding="utf-8").partition(RECIPES)[0]):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|", line.split("#")[0]):
                words = [word for word in shlex.split(part) if word not in ("<", ">")]
                if words and Path(words[0]).name == "acutance":
                    found.append(words[1:])
    return found


def parse(words: list[str]) -> None:
    """Parse a command's words as the program does: verbs, options, and the values of both; nothing is run."""
    command, name, above = get_command(app), "acutance", None
    while True:
        is_cut = "…" in words  # "and so on": what is required may stand there
        context = command.make_context(name, list(words), parent=above, resilient_parsing=is_cut)
        if not isinstance(command, TyperGroup) or not (words := [*context._protected_args, *context.args]):
            return
        above = context
        name, command, words = command.resolve_command(context, words)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_parses(page: Path) -> None:
    for words in commands_of(page):
        parse(words)


@pytest.mark.parametrize("words", ["sharpenn a.jpg", "sharpen a.jpg --stren 1", "sharpen a.jpg --strength x"])
def test_a_command_that_does_not_parse_is_found(words: str) -> None:
    with pytest.raises(Exception, match=r"No such|valid"):
        parse(words.split())


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_presets_that_are_named_exist(page: Path) -> None:
    for words in commands_of(page):
        if words[0] == "train" and not words[1].endswith(".toml"):
            assert words[1] in preset_names()


def test_the_readme_gives_the_figures_of_the_manifest() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in list_models():
        line = next(line for line in readme.splitlines() if line.startswith(f"| `{row.name}`"))
        usual = (("gauss-1.0", "gauss-1.6", "gauss-3.0"), ("motion-8", "motion-16"))
        shown = next((names for names in usual if all(name in row.psnr_db for name in names)), list(row.psnr_db))
        assert all(f"{row.psnr_db[name]:.2f}" in line for name in shown)


def test_the_readme_has_one_test_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.count("<!-- test-command -->\n```bash\n") == 1


def test_the_package_says_what_the_changelog_says() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in changelog


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_no_page_speaks_of_a_machine_of_ours(page: Path) -> None:
    assert not re.search(r"/work/|/root/|/tmp/", page.read_text(encoding="utf-8"))


def test_every_row_of_the_protocol_is_described() -> None:
    page = (ROOT / "docs" / "how-to" / "evaluate.md").read_text(encoding="utf-8")
    table = page[page.index("## The rows") : page.index("## The figures")]
    described = [name for line in table.splitlines() if line.startswith("| `") for name in line.split("|")[1].split()]
    assert [name.strip("`") for name in described] == [row.name for row in ROWS]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_in_docstrings_give_what_they_say(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    done = doctest.testmod(importlib.import_module(name))
    assert done.attempted
    assert not done.failed
