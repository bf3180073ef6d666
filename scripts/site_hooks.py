"""What MkDocs asks while it builds the site: pages from outside `docs/`, links between them, commands, notebooks.

Every page stays where GitHub shows it, with links that are true there. Here the links are turned to the places that
the pages have on the site; a file of the repository that is no page is copied beside them.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
OUTSIDE = {
    "README.md": "index.md",
    "README.zh.md": "index.zh.md",
    "CHANGELOG.md": "changes.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Pages of the repository that lie outside `docs/`, and what they are called on the site."""
COMMANDS = "reference/commands.md"
NOTEBOOK = ".ipynb"

LINK = re.compile(r"(\]\()([^()\s#]+)((?:#[^()\s]*)?\))")
FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def place_of(path: str) -> str:
    """Return where a file of the repository lies on the site."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    inside = path.removeprefix("docs/")
    if inside == path:
        return f"repository/{path}"
    return inside.removesuffix(NOTEBOOK) + ".md" if inside.endswith(NOTEBOOK) else inside


def origin_of(place: str) -> str:
    """Return the path within the repository of a page of the site."""
    return next((path for path, there in OUTSIDE.items() if there == place), f"docs/{place}")


def targets_of(text: str, origin: str) -> dict[str, str]:
    """Return the links of a page that lead to files of the repository: as they are written, and their paths in it."""
    found = {}
    for _, target, _ in LINK.findall("".join(FENCE.split(text)[::2])):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        if "://" not in target and (ROOT / path).is_file():
            found[target] = path
    return found


def with_links(text: str, place: str) -> str:
    """Return a page's text with its links leading to where their files are on the site. Code is left alone."""
    targets = targets_of(text, origin_of(place))

    def turned(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        if target not in targets:
            return match[0]
        return before + posixpath.relpath(place_of(targets[target]), posixpath.dirname(place) or ".") + after

    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(turned, part) for part in parts[::2]]
    return "".join(parts)


def commands_page() -> str:
    """Return the reference of the command line, as the program itself prints it."""
    from typer.cli import get_docs_for_click

    from acutance.cli.main import whole_program

    os.environ["TERM"] = "dumb"
    command = whole_program()
    with command.make_context("acutance", [], resilient_parsing=True) as context:
        text: str = get_docs_for_click(obj=command, ctx=context, name="acutance")
    for name, verb in command.commands.items():  # the list of verbs cuts their sentences short
        sentence = (verb.help or "").partition("\n\n")[0].replace("\n", " ")
        text = text.replace(f"`{name}`: {verb.get_short_help_str()}\n", f"`{name}`: {sentence}\n")
    return text.replace("# `acutance`", "# The command line", 1)


def notebook_page(path: Path) -> str:
    """Return a notebook as Markdown: text, code, and what the code printed and drew when it was last run."""
    parts = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            parts.append(_output(output))
    name = path.name
    parts.append(f"[Download this notebook]({name}){{ download }}.")
    return "\n\n".join(parts)


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/jpeg" in data:
        return f'<img alt="What the code above shows" src="data:image/jpeg;base64,{data["image/jpeg"].strip()}">'
    text = "".join(output.get("text") or data["text/plain"])
    return f"```text\n{text.rstrip()}\n```"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside `docs/`, the command line, the notebooks, and the files that pages link to."""
    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, COMMANDS, content=commands_page()))
    for path in sorted(ROOT.glob(f"docs/notebooks/*{NOTEBOOK}")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=notebook_page(path)))
    linked = {
        target
        for file in files.documentation_pages()
        for target in targets_of(file.content_string, origin_of(file.src_uri)).values()
    }
    for path in sorted(linked):
        if files.get_file_from_path(place_of(path)) is None:
            files.append(File.generated(config, place_of(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links; Markdown within `<details>` is Markdown here, too."""
    del config, files
    return with_links(markdown, page.file.src_uri).replace("<details>", "<details markdown>")
