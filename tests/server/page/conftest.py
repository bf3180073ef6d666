"""A real browser, Debian's Chromium, on pages of servers of this machine."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api", reason="the tests of the page need playwright (extra dev)")

CHROMIUM = Path("/usr/bin/chromium")

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

PATIENCE_MS = 15_000
"""What no test waits for unless it fails."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder, and say why, where there is no Chromium."""
    if CHROMIUM.exists():
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"needs Chromium at {CHROMIUM}: apt-get install chromium"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give the browser, which is started once."""
    home = tmp_path_factory.mktemp("chromium")
    with playwright.sync_playwright() as starter:
        started = starter.chromium.launch(
            executable_path=str(CHROMIUM), args=list(ARGUMENTS), env={**os.environ, "HOME": str(home)}
        )
        yield started
        started.close()


@dataclass
class Visit:
    """One visit of the page, with nothing kept from another; what the browser complains about is gathered."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def give(self, *files: tuple[str, bytes]) -> None:
        """Choose files, by name and content."""
        self.page.locator("#files").set_input_files(
            [{"name": name, "mimeType": "", "buffer": content} for name, content in files]
        )

    def wait_for(self, selector: str) -> None:
        self.page.wait_for_selector(selector, timeout=PATIENCE_MS)

    def wait_until_sharp(self, count: int = 1) -> None:
        """Wait until so many pictures are done, and the one that is looked at is on the stage."""
        self.page.wait_for_function(
            "count => document.querySelectorAll('.thumb[data-state=done]').length === count", arg=count
        )
        self.wait_for(".stage.has-both")
        self.settle()

    def settle(self) -> None:
        """Wait for two frames: what was asked for is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def download(self, selector: str) -> tuple[str, bytes]:
        """Click something that downloads; return the file's name and content."""
        with self.page.expect_download(timeout=PATIENCE_MS) as waiting:
            self.page.click(selector)
        return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()

    def set_range(self, selector: str, value: float) -> None:
        """Move a slider as a user's hand does."""
        self.page.locator(selector).evaluate(
            "(node, value) => { node.value = value; node.dispatchEvent(new Event('input', {bubbles: true})); }", value
        )
        self.settle()

    def canvas(self) -> np.ndarray:
        """Return what the stage shows: `h w 3`, device pixels."""
        self.settle()
        address = self.page.evaluate("document.getElementById('canvas').toDataURL('image/png')")
        image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Visit]]:
    """Give `visit(served, viewport=…, locale=…, …)`: the page of a server, ready."""
    contexts = []

    def begin(served: Any, *, path: str = "/", **options: Any) -> Visit:
        options = {"viewport": DESKTOP, "locale": "en-GB", "reduced_motion": "reduce", **options}
        context = browser.new_context(accept_downloads=True, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        made = Visit(page)
        page.on("console", lambda message: message.type == "error" and made.complaints.append(message.text))
        page.on("pageerror", lambda error: made.complaints.append(str(error)))
        home = f"http://127.0.0.1:{served.port}"
        page.on(
            "request",
            lambda request: request.url.startswith((home, "blob:", "data:")) or made.foreign.append(request.url),
        )
        page.goto(home + path)
        made.wait_for("html[data-ready]")
        return made

    yield begin
    for context in contexts:
        context.close()
