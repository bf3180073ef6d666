"""Who waits in another tab, or behind a network that comes and goes: the work goes on, the page says how far it is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest

from acutance.server.limits import Limits

HIDDEN = """(() => {
    // A browser draws no frame of a tab that nobody sees.
    const frames = [];
    let isHidden = true;
    window.requestAnimationFrame = (call) => frames.push(call);
    Object.defineProperty(document, 'hidden', { get: () => isHidden });
    Object.defineProperty(document, 'visibilityState', { get: () => (isHidden ? 'hidden' : 'visible') });
    window.show = () => {
        isHidden = false;
        window.requestAnimationFrame = (call) => setTimeout(call, 16);
        document.dispatchEvent(new Event('visibilitychange'));
        for (const call of frames.splice(0)) call(performance.now());
    };
})()"""

HASTY = """(() => {
    const later = window.setTimeout;
    window.setTimeout = (call, ms, ...rest) => later(call, ms >= 45000 ? 700 : ms, ...rest);
    const timeout = AbortSignal.timeout;
    AbortSignal.timeout = (ms) => timeout.call(AbortSignal, ms / 20); // each connection that is kept for later is dead
})()"""
"""Nobody waits 45 s for a test."""

TITLE = "words => document.title.startsWith(words)"


@pytest.fixture
def hidden(browser, visit):
    """Give `hidden(served)`: the page in a tab that nobody sees, until `show()` is called in it."""
    return lambda served, **options: visit(served, before=HIDDEN, **options)


def done(seen, count: int) -> None:
    found = f"() => document.querySelectorAll('.thumb[data-state=done]').length === {count}"
    seen.page.wait_for_function(found, polling=50)


def test_a_tab_that_nobody_sees_works_on_and_says_how_far_it_is(serve, gate, hidden, photo) -> None:
    seen = hidden(serve(function=gate))
    assert seen.page.title() == "acutance: make blurred photos sharp"
    seen.give(("a.png", photo()), ("b.png", photo((1, 2, 3))))
    gate.wait_until_begun()
    seen.page.wait_for_function(TITLE, arg="0 %, 0 of 2 · acutance", polling=50)
    gate.is_open.set()
    done(seen, 2)
    assert seen.page.title() == "Done · acutance", "until somebody looks"
    told = "() => document.querySelector('#live').textContent.includes('b.png is sharp.')"
    seen.page.wait_for_function(told, polling=50)
    seen.page.evaluate("show()")
    assert seen.page.title() == "acutance: make blurred photos sharp"
    seen.wait_for(".stage.has-both:not(.is-growing)")
    shown = seen.picture((48, 64))
    assert tuple(shown[20, 10]) == (100, 110, 120)
    assert tuple(shown[20, 50]) == (155, 145, 135)
    assert seen.complaints == []


def test_one_photo_says_its_percent_and_a_failed_one_its_failure(serve, visit, photo) -> None:
    run = threading.Semaphore(0)

    def network(batch: np.ndarray) -> np.ndarray:
        assert run.acquire(timeout=60)
        return 1.0 - batch

    seen = visit(serve(function=network), before=HIDDEN, locale="zh-CN")
    seen.give(("large.png", photo(size=(1600, 1200))))
    run.release()
    seen.page.wait_for_function("() => /^[1-9]\\d? % · acutance$/.test(document.title)", polling=50)
    run.release(1000)
    done(seen, 1)
    assert seen.page.title() == "已完成 · acutance"
    seen.give(("none.jpg", b"no picture at all"), ("b.png", photo()))
    done(seen, 2)
    seen.page.wait_for_function(TITLE, arg="1 张失败 · acutance", polling=50)


def test_a_notice_waits_for_somebody_to_see_it(shared, visit, photo) -> None:
    hasty = HIDDEN.replace(
        "(() => {",
        "(() => { const later = setTimeout; window.setTimeout = (call, ms, ...rest) => later(call, ms / 20, ...rest);",
        1,
    )
    seen = visit(shared, before=hasty)
    seen.give(("a.png", photo()), ("none.jpg", b"no picture at all"))
    seen.wait_for(".toast.is-problem")
    seen.page.wait_for_timeout(1000)  # it would have been gone after 600 ms
    assert seen.page.locator(".toast").count() == 1
    seen.page.evaluate("show()")
    seen.page.wait_for_function("() => !document.querySelector('.toast')", polling=50)


def test_all_that_is_told_at_once_is_heard(shared, visit) -> None:
    seen = visit(shared)
    seen.page.evaluate("import('/page/js/notices.js').then(({ say }) => { say('One.'); say('Two.'); })")
    seen.page.wait_for_function("() => document.querySelector('#live').textContent === 'One. Two.'")
    seen.page.evaluate(
        "window.heard = []; new MutationObserver(() => heard.push(live.textContent)).observe(live, {childList: true})"
    )
    seen.page.evaluate("import('/page/js/notices.js').then(({ say }) => { say('One. Two.'); })")
    seen.page.wait_for_function("() => heard.join('|') === '|One. Two.'")


class Wire:
    """A line to a server that can fall silent: nothing comes through any more, and neither end hears of it."""

    def __init__(self, port: int, *, halts_after: int | None = None) -> None:
        """Begin; after so many bytes from the browser it falls silent by itself, and takes no more."""
        self.port = port
        self.left = halts_after
        self.is_over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.open: list[socket.socket] = []
        self.cut: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self) -> None:
        """Let nothing more through of what is connected; who connects anew is let through."""
        self.cut |= set(self.open)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                self.open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.left is not None:
                    self.left -= len(data)
                    if self.left < 0:
                        self.left = None
                        self.fall_silent()
                if source in self.cut:
                    self.is_over.wait(60)
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.is_over.set()
        for line in (self.listener, *self.open):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()


@contextmanager
def wire_to(served, **options: int) -> Iterator[tuple[Wire, Any]]:
    """Give a line, and what a visit goes to at its other end."""
    wire = Wire(served.port, **options)
    try:
        yield wire, type("Served", (), {"port": wire.listener.getsockname()[1]})
    finally:
        wire.close()


def test_a_line_that_falls_silent_is_given_up_and_the_work_goes_on(serve, gate, visit, photo) -> None:
    served = serve(function=gate, limits=Limits(min_free_bytes=0, drain_s=5, heartbeat_s=0.2))
    with wire_to(served) as (wire, far):
        seen = visit(far, before=HASTY)
        seen.give(("a.png", photo()))
        gate.wait_until_begun()
        seen.wait_for(".thumb[data-state=running]")
        seen.page.wait_for_timeout(1500)
        assert not seen.page.is_visible("#lost"), "a server that says it is there is waited for"
        wire.fall_silent()
        gate.is_open.set()
        seen.wait_until_sharp()
        assert not seen.page.is_visible("#lost")
        assert len({path.name for path in (served.folder / "results").iterdir()}) == 1, "it was not posted again"
        name, _ = seen.download("#save")
        assert name == "a.sharp.png"


def test_an_upload_that_stands_still_is_sent_again(serve, visit, photo) -> None:
    content = photo() + bytes(12_000_000)  # more than the buffers on its way take
    with wire_to(serve(), halts_after=1_000_000) as (wire, far):
        seen = visit(far, before=HASTY)
        seen.give(("a.png", content))
        seen.wait_until_sharp()
        assert wire.left is None, "it fell silent"


def test_one_that_fails_before_the_next_is_read_is_still_told(serve, visit, photo) -> None:
    slow = """(() => {
        const read = window.createImageBitmap;
        window.mayRead = new Promise((done) => { window.letRead = done; });
        window.createImageBitmap = async (blob, ...rest) => {
            if (blob.name === 'b.png') await window.mayRead;
            return read(blob, ...rest);
        };
    })()"""
    seen = visit(serve(), before=f"{HIDDEN};{slow}")
    seen.give(("none.jpg", b"no picture at all"), ("b.png", photo()))
    seen.page.wait_for_selector(".thumb[data-state=failed]", state="attached")
    assert seen.page.title() == "50 %, 1 of 2 · acutance"
    seen.page.evaluate("letRead()")
    done(seen, 1)
    seen.page.wait_for_function(TITLE, arg="1 failed · acutance", polling=50)
