"""`/`: the web page, and what belongs to it, from files in the package."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from acutance.media import FORMATS
from acutance.media.formats import PHOTO_SUFFIXES
from acutance.server.docs_page import page_of

router = APIRouter(include_in_schema=False)

START = "index.html"

STYLES = ("tokens", "controls", "intro", "workspace", "stage", "lists", "known", "trust", "table", "variants")
"""Of the page, in their order: sent as one, `css/page.css`."""

_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "svg": "image/svg+xml",
    "webp": "image/webp",
    "jpg": "image/jpeg",
}
"""By the ending of a file's name; a file of another kind is not served."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""The page takes everything from this server, has no script or style in its text, and makes no markup from strings."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-cache",  # kept, but asked for at each visit: another version may be here by then
}

FOR_EVER = "max-age=31536000, immutable"
"""Of what has the page's version in its address: a next visit asks for none of it."""


@dataclass(frozen=True, slots=True)
class _Part:
    content: bytes
    media_type: str
    tag: str


@router.get("/")
@router.head("/")
async def page(request: Request) -> Response:
    """Send the page."""
    return _sent(request, START)


@router.get("/docs")
@router.head("/docs")
async def docs(request: Request) -> Response:
    """Send the description of the HTTP API, as a page."""
    content = page_of(request.app.openapi(), server=str(request.base_url)).encode()
    return Response(content, 200, dict(HEADERS), media_type=_TYPES["html"])


@router.get("/page/{name:path}")
@router.head("/page/{name:path}")
async def part(request: Request, name: str) -> Response:
    """Send a part of it: a script, a style, a picture."""
    return _sent(request, name)


def _sent(request: Request, name: str) -> Response:
    plain = name.removeprefix(f"{version()}/")
    found = parts().get(plain)
    if found is None:
        raise HTTPException(404)
    headers = {**HEADERS, "ETag": found.tag}
    if plain != name:
        headers["Cache-Control"] = FOR_EVER
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    return Response(found.content, 200, headers, media_type=found.media_type)


@cache
def parts() -> Mapping[str, _Part]:
    """Return all files of the page by their names, read once: no name that is asked for becomes a path."""
    found = dict(_content())
    addresses = [f"page/{name}" for name in found if name.endswith(".js")]
    # All at once: else a module is asked for when the one that imports it has come, five times in a row.
    modules = "\n  ".join(f'<link rel="modulepreload" href="{address}">' for address in addresses)
    page = found[START].decode().replace("{{modules}}", modules).replace('="page/', f'="page/{version()}/')
    for place, words in _formats().items():
        page = page.replace("{{" + place + "}}", html.escape(words))
    found[START] = page.encode()
    return {name: _part(name, content) for name, content in found.items()}


@cache
def version() -> str:
    """Return what tells the page's files from those of another version: of their content."""
    digest = hashlib.sha256()
    for name, content in sorted(_content().items()):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()[:16]


@cache
def _content() -> Mapping[str, bytes]:
    found = {name: file.read_bytes() for name, file in _files(files("acutance.server") / "page", "")}
    found["css/page.css"] = b"\n".join(found.pop(f"css/{name}.css") for name in STYLES)
    return found


def _formats() -> Mapping[str, str]:
    """Return what the page says of formats: which files may be chosen, and how people call them."""
    labels: dict[str, str] = {}
    for format_ in FORMATS.values():
        if len(format_.label.split(", ")) == 1:  # the others are called by their suffixes
            endings = (format_.query, *(suffix[1:] for suffix in (*format_.suffixes, *format_.other_suffixes)))
            labels.update(dict.fromkeys(endings, format_.label))
    return {"suffixes": ",".join(sorted(PHOTO_SUFFIXES)), "formats": json.dumps(labels)}


def _files(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found += _files(entry, f"{name}/")
        elif name.rpartition(".")[2] in _TYPES:
            found.append((name, entry))
    return found


def _part(name: str, content: bytes) -> _Part:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return _Part(content, _TYPES[name.rpartition(".")[2]], tag)
