"""The files of the page: served from memory, complete in both languages, and with nothing from elsewhere in them."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from acutance.media import FORMATS
from acutance.server import page_routes
from acutance.server.page_routes import CONTENT_SECURITY_POLICY, parts, version

SCRIPTS = {
    name: part.content.decode() for name, part in parts().items() if name.startswith("js/") and name != "js/texts.js"
}
TEXTS = parts()["js/texts.js"].content.decode()
PAGE = parts()["index.html"].content.decode()

ROW = re.compile(r'^  "([\w.-]+)": \[\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",?\s*\],$', re.MULTILINE)
ROWS = {key: (english, chinese) for key, english, chinese in ROW.findall(TEXTS)}


def test_every_text_is_in_the_table_once_in_both_languages() -> None:
    keys = re.findall(r'^  "([\w.-]+)": \[', TEXTS, re.MULTILINE)
    assert sorted(keys) == sorted(ROWS), "each is a row of two strings, and none is there twice"
    for key, (english, chinese) in ROWS.items():
        assert chinese, key
        assert english or key.startswith("error."), key
        assert re.findall(r"\{\w+\}", english) in ([], sorted(re.findall(r"\{\w+\}", chinese), key=english.find)), key


def test_every_text_that_is_named_exists_and_none_is_left_over() -> None:
    named = set(re.findall(r'data-(?:text|label)="([\w.-]+)"', PAGE))
    for script in SCRIPTS.values():
        named |= set(re.findall(r'(?<![A-Za-z])(?:text|hasText)\(\s*"([\w.-]+)"', script))
        named |= {key for pair in re.findall(r'text\([^()]*\? "([\w.]+)" : "([\w.]+)"', script) for key in pair}
    assert named <= set(ROWS)
    # Put together from a name.
    families = ("state.", "working.", "model.", "error.", "theme.", "keys.", "known.px.", "table.", "ensemble.")
    assert {key for key in ROWS if key not in named and not key.startswith(families)} == set()


def test_every_refusal_has_a_chinese_sentence() -> None:
    from typing import get_args

    from acutance.server.refusals import ErrorCode

    seen_by_people = set(get_args(ErrorCode)) - {"method_not_allowed", "not_acceptable", "not_done"}
    assert {f"error.{code}" for code in seen_by_people} <= set(ROWS)


def test_nothing_comes_from_elsewhere() -> None:
    for name, part in parts().items():
        if part.media_type.startswith(("text/", "image/svg")) and not name.startswith("vendor/"):
            addresses = set(re.findall(r"https?://[^\s\"'<)]+", part.content.decode()))
            assert addresses <= {"http://www.w3.org/2000/svg", "http://…/v1/sharpen"}, name


def test_no_script_or_style_is_in_the_markup() -> None:
    assert re.search(r"<script(?![^>]*\bsrc=)", PAGE) is None
    assert re.search(r"<style|\sstyle=|\son\w+=|javascript:", PAGE) is None
    for script in SCRIPTS.values():
        assert re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|Function)\b", script) is None
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_files_are_short() -> None:
    package = [file for file in (Path(page_routes.__file__).parent / "page").rglob("*") if file.is_file()]
    for file in package:
        if file.suffix in (".js", ".css", ".html") and file.parent.name != "vendor":
            assert file.read_bytes().count(b"\n") <= 350, file
    assert sum(file.stat().st_size for file in package) < 350_000, "the package stays light"


def test_what_is_vendored_has_its_licence() -> None:
    vendored = {name for name in parts() if name.startswith("vendor/")}
    for name in vendored:
        if name.endswith(".js"):
            assert b"Permission is hereby granted" in parts()[name.removesuffix(".js") + ".LICENSE.txt"].content


@pytest.mark.parametrize("name", ["", "page/js/main.js", "page/css/page.css", "page/icon.svg", "page/demo-after.webp"])
def test_parts_are_served_with_the_policy(shared, name: str) -> None:
    reply = shared.ask("GET", f"/{name}")
    assert reply.status == 200
    assert reply.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert reply.headers["x-content-type-options"] == "nosniff"
    again = shared.ask("GET", f"/{name}", headers={"If-None-Match": reply.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    head = shared.ask("HEAD", f"/{name}")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(reply.body)))


def test_what_the_page_names_has_its_version_and_is_never_asked_for_again(shared) -> None:
    named = re.findall(r'(?:href|src)="(page/[^"]+)"', PAGE)
    assert {f"page/{version()}/{name}" for name in parts() if name.endswith(".js")} <= set(named)
    for name in (*named, f"page/{version()}/grip.svg"):
        reply = shared.ask("GET", f"/{name}")
        assert (reply.status, reply.headers["cache-control"]) == (200, "max-age=31536000, immutable"), name
    assert shared.ask("GET", "/").headers["cache-control"] == "no-cache"
    other = version().translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
    assert shared.ask("GET", f"/page/{other}/js/main.js").status == 404, "no module of another version is mixed in"


@pytest.mark.parametrize(
    "name",
    [
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "js/../../app.py",
        "js",
        "js/",
        "/etc/passwd",
        "index.html%00.js",
        "x.py",
        "\\..\\app.py",
    ],
)
def test_nothing_else_is_served(shared, name: str) -> None:
    reply = shared.ask("GET", f"/page/{name}")
    assert (reply.status, reply.json["error"]) == (404, "not_found")


def test_the_page_offers_and_names_the_formats_of_the_table() -> None:
    chooser = re.search(r'<input type="file" id="files" accept="([^"]*)" data-formats="([^"]*)"', PAGE)
    assert chooser is not None
    offered, labels = chooser[1].split(","), json.loads(html.unescape(chooser[2]))
    assert {suffix for format_ in FORMATS.values() for suffix in format_.suffixes} <= set(offered)
    assert (labels["jp2"], labels["webp"], labels["jpg"], labels["heic"]) == ("JPEG 2000", "WebP", "JPEG", "HEIC")
