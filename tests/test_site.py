"""The documentation is built as a site without a warning; every link and picture in it leads somewhere within it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("mkdocs", reason="needs MkDocs: pip install -c constraints.txt -e '.[docs]'")
pytest.importorskip("material", reason="needs mkdocs-material, of the extra `docs`")
pytest.importorskip("mkdocstrings", reason="needs mkdocstrings, of the extra `docs`")

ROOT = Path(__file__).parent.parent


class Page(HTMLParser):
    """What a page names (`id`), what it leads to, and what it loads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if tag in ("img", "script") and "src" in given:
            self.loaded.add(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preconnect"):
            self.loaded.add(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        **{"cwd": ROOT, "env": environment, "capture_output": True, "text": True, "encoding": "utf-8", "timeout": 600},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_link_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    lost = []
    for path, page in pages.items():
        for link in page.links | page.loaded:
            url = urlsplit(link)
            if url.scheme:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not target.is_file() or (target in pages and url.fragment and url.fragment not in pages[target].names):
                lost.append((path.relative_to(site).as_posix(), link))
    assert not lost


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    loaded = {link for page in pages.values() for link in page.loaded}
    assert not {link for link in loaded if urlsplit(link).scheme not in ("", "data")}


def test_everything_is_there(site: Path) -> None:
    """Pages from outside `docs/`, the command line, the reference, the notebooks, and the sliders."""
    places = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in ROOT.glob("docs/**/*.md")}
    assert len(places) > 30
    assert not [place for place in places if not (site / place).is_file()]
    texts = {
        "index": "Nothing leaves the machine.",
        "reference/commands": "acutance models add",
        "reference/python": "np.zeros((32, 48, 3), np.uint8)",
        "notebooks/photographer": "data:image/jpeg;base64,",
        "gallery": 'data-slider="',
        "cards/fast": "Fidelity weights",
        "contributing": "Add a loss",
        "index.zh": "让模糊的照片和视频变清晰",
    }
    pages = {name: (site / f"{name}.html").read_text("utf-8") for name in texts}
    raw = ("gallery", "notebooks/photographer")  # what stands in attributes; else in the text, whatever colours it has
    shown = {name: page if name in raw else unescape(re.sub(r"<[^>]+>", "", page)) for name, page in pages.items()}
    assert not [name for name, text in texts.items() if text not in shown[name]]


def test_the_reference_has_what_users_get_and_inherit(site: Path, pages: dict[Path, Page]) -> None:
    names = pages[site / "reference" / "python.html"].names
    sharpener = {f"acutance.inference.sharpener.Sharpener.{name}" for name in ("__call__", "told", "spec", "close")}
    results = ("consistency.Consistency.contradicted", "guesses.GuessMap.share", "verification.Verification.is_true")
    assert not (sharpener | {f"acutance.trust.{name}" for name in results}) - names
    assert "About what the process may take, in MB." in (site / "reference" / "python.html").read_text("utf-8")


def test_the_search_finds_pages_of_all_kinds(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    places = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"index.html", "how-to/sharpen.html", "reference/python.html", "reference/commands.html"} <= places
