"""A real browser, Debian's Chromium, on pages of servers of this machine."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.inference.sharpener import Sharpener
from acutance.server.models import OfferedModel
from acutance.server.options import ModelChoice

playwright = pytest.importorskip("playwright.sync_api", reason="the tests of the page need playwright (extra dev)")

SHELL, WHOLE = Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")
CHROMIUM = SHELL if SHELL.exists() else WHOLE
"""Without windows and menus the same pages take two thirds of the time."""

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

DESKTOP = {"width": 1080, "height": 640}

READ_CANVAS = "() => document.getElementById('canvas').toDataURL('image/png').split(',')[1]"
"""A PNG: megabytes of pixels would take the browser ten times as long to hand over."""

PATIENCE_MS = 120_000
"""What no test waits for unless it fails."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder, and say why, where there is no Chromium."""
    if CHROMIUM.exists():
        return
    here = Path(__file__).parent
    missing = pytest.mark.skip(reason=f"needs {SHELL} or {WHOLE}: apt-get install chromium-headless-shell")
    for item in items:
        if here in item.path.parents:
            item.add_marker(missing)


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
    home: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    posted: list[str] = field(default_factory=list)
    """Addresses; tests empty it."""

    def begin(self, path: str) -> None:
        """Go to the page, and hear what the browser says meanwhile."""
        for event, listener in self._listeners():
            self.page.on(event, listener)
        self.page.goto(self.home + path)
        self.wait_for("html[data-ready]")

    def leave(self) -> None:
        """Leave the tab as if nobody had been here."""
        for event, listener in self._listeners():
            self.page.remove_listener(event, listener)
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.goto("about:blank")
        self.page.mouse.move(-1, -1)
        session = self.page.context.new_cdp_session(self.page)
        session.send("Storage.clearDataForOrigin", {"origin": self.home, "storageTypes": "all"})
        session.detach()

    def _listeners(self) -> tuple[tuple[str, Callable[[Any], None]], ...]:
        return ("console", self.hear), ("pageerror", self.hear_error), ("request", self.see_request)

    def hear_error(self, error: Any) -> None:
        self.complaints.append(str(error))

    def see_request(self, request: Any) -> None:
        if request.method == "POST":
            self.posted.append(request.url)
        if not request.url.startswith((self.home, "blob:", "data:")):
            self.foreign.append(request.url)

    def hear(self, said: Any) -> None:
        """Note an error that the browser tells, but for a tile that went as its job ended: the result comes instead."""
        where = said.location["url"]
        if said.type == "error" and not ("/tiles/" in where and "404" in said.text):
            self.complaints.append(f"{said.text} {where}")

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
        self.wait_for(".stage.has-both:not(.is-growing)")  # until then it is shown as far as it is made
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

    def picture(self, size: tuple[int, int]) -> np.ndarray:
        """Return the part of the stage that the picture covers at 100 %, whose even height and width are given."""
        shown = self.canvas()
        height, width = size
        top, first = shown.shape[0] // 2 - height // 2, shown.shape[1] // 2 - width // 2
        return shown[top : top + height, first : first + width]

    def canvas(self) -> np.ndarray:
        """Return what the stage shows: `h w 3`, device pixels."""
        self.settle()
        content = base64.b64decode(self.page.evaluate(READ_CANVAS))
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.fixture(scope="session")
def tabs() -> dict[str, Any]:
    """Give the tabs that are free, by their options: to open one takes longer than most of what is done in it."""
    return {}


@pytest.fixture
def visit(browser, tabs) -> Iterator[Callable[..., Visit]]:
    """Give `visit(served, before=…, viewport=…, …)`: a server's page, ready; `before` runs ahead of its scripts."""
    visits: list[tuple[Visit, str | None]] = []

    def begin(served: Any, *, path: str = "/", before: str | None = None, **options: Any) -> Visit:
        options = {"viewport": DESKTOP, "locale": "en-GB", "reduced_motion": "reduce", **options}
        kind = None if before or "http_credentials" in options else repr(sorted(options.items()))
        page = tabs.pop(kind, None) or browser.new_context(accept_downloads=True, **options).new_page()
        page.context.set_default_timeout(PATIENCE_MS)
        if before is not None:
            page.add_init_script(before)
        made = Visit(page, f"http://127.0.0.1:{served.port}")
        visits.append((made, kind))
        made.begin(path)
        return made

    yield begin
    for made, kind in visits:
        if kind is None or kind in tabs:
            made.page.context.close()
            continue
        try:
            made.leave()
            tabs[kind] = made.page
        except playwright.Error:  # of a test that failed
            made.page.context.close()


@dataclass(frozen=True)
class Several:
    """Models of several kinds, none of them a network: one that has fidelity, a plain one, one that enlarges."""

    runs: list[ModelChoice] = field(default_factory=list)
    settings: None = None

    @property
    def offered(self) -> Sequence[OfferedModel]:
        def model(name: str, *, scale: int = 1, has_fidelity: bool = False) -> OfferedModel:
            spec = replace(FAKE_SPEC, name=name, scale=scale, task="sharpen" if scale == 1 else "sharpen-and-enlarge")
            return OfferedModel(
                name=name,
                summary=f"what {name} does",
                spec=spec,
                has_fidelity=has_fidelity,
                precisions=("float32",),
                psnr_db={},
            )

        return model("soft", has_fidelity=True), model("plain"), model("large", scale=2)

    @contextmanager
    def borrow(self, choice: ModelChoice) -> Iterator[Sharpener]:
        self.runs.append(choice)
        spec = next(model.spec for model in self.offered if model.name == choice.name)

        def work(batch: np.ndarray) -> np.ndarray:
            changed = {"soft": choice.fidelity * (1 - batch), "plain": batch / 2, "large": 1 - batch}[choice.name]
            return np.repeat(np.repeat(changed, spec.scale, 2), spec.scale, 3).astype(np.float32)

        with Sharpener(engine=FakeEngine(work, spec), max_pixels=1_000_000) as sharpener:
            yield sharpener

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def several() -> Several:
    """Give models of several kinds."""
    return Several()


@pytest.fixture(scope="session")
def photo() -> Callable[..., bytes]:
    """Give `photo(color, size, format=…)`: the content of a file of one colour."""

    def make(
        color: tuple[int, ...] = (100, 110, 120),
        size: tuple[int, int] = (64, 48),
        *,
        format: str = "PNG",
        **options: Any,
    ) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB" if len(color) == 3 else "RGBA", size, color).save(buffer, format, **options)
        return buffer.getvalue()

    return make
