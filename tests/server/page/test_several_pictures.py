"""Several pictures: the strip, the zip, the history; broken files and bombs; a server that is lost."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

SLOW_SERVER = Path(__file__).parent.parent / "slow_server.py"

DROP = """([names, contents, kind]) => {
    const data = new DataTransfer();
    const file = (name, index) => new File([new Uint8Array(contents[index])], name, {type: 'image/png'});
    for (const made of names.map(file)) data.items.add(made);
    const bubbling = {bubbles: true, cancelable: true};
    const events = kind === 'paste'
        ? [new ClipboardEvent('paste', {clipboardData: data, ...bubbling})]
        : ['dragenter', 'dragover', 'drop'].map((type) => new DragEvent(type, {dataTransfer: data, ...bubbling}));
    for (const event of events) document.body.dispatchEvent(event);
}"""


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def names_in_strip(visit) -> list[str]:
    return visit.page.eval_on_selector_all(".thumb", "nodes => nodes.map((node) => node.title)")


def test_several_files_come_home_in_a_zip(shared, visit, picture) -> None:
    files = {f"photo {index}.png": picture(20 + index, 30, seed=index) for index in range(3)}
    seen = visit(shared)
    seen.give(*files.items())
    seen.wait_until_sharp(3)
    name, content = seen.download("#save-all")
    assert name == "acutance.zip"
    expected = {f"{Path(name).stem}.sharp.png": shared.form(file, name=name).body for name, file in files.items()}
    assert unzipped(content) == expected
    assert seen.complaints == []


def test_names_that_are_alike_and_strengths_that_are_not(shared, visit, picture) -> None:
    first, second = picture(20, 30, seed=1), picture(20, 30, seed=2)
    seen = visit(shared)
    seen.give(("same.png", first), ("same.png", second))
    seen.wait_until_sharp(2)
    seen.set_range("#strength", 0.5)
    _, content = seen.download("#save-all")
    halved = shared.form(first, "/v1/sharpen?strength=0.5", name="same.png").body
    assert unzipped(content) == {
        "same.sharp.png": halved,
        "same.sharp-2.png": shared.form(second, name="same.png").body,
    }
    seen.page.click("#use-for-all")
    _, content = seen.download("#save-all")
    assert unzipped(content)["same.sharp-2.png"] == shared.form(second, "/v1/sharpen?strength=0.5", name="x.png").body


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_photos_are_dropped_and_pasted(shared, visit, picture, kind: str) -> None:
    seen = visit(shared)
    files = [picture(20, 30, seed=index) for index in range(2)]
    seen.page.evaluate(DROP, [["one.png", "two.png"], [list(file) for file in files], kind])
    seen.wait_until_sharp(2)
    assert names_in_strip(seen) == ["one.png", "two.png"]
    assert not seen.page.is_visible("#veil")


def test_every_format_that_can_be_chosen_can_be_dropped(shared, visit) -> None:
    """Browsers know no type of some: they are told by the endings that the server lists."""
    seen = visit(shared)
    seen.page.evaluate(DROP.replace("image/png", ""), [["RAW.NEF", "b.jxl", "c.txt"], [[1], [2], [3]], "drop"])
    seen.wait_for(".strip li:nth-child(2)")
    assert names_in_strip(seen) == ["RAW.NEF", "b.jxl"]


def test_what_holds_no_picture_is_said(shared, visit) -> None:
    seen = visit(shared)
    seen.page.evaluate(DROP.replace("image/png", "text/plain"), [["a.txt", "b.txt"], [[1], [2]], "drop"])
    seen.wait_for(".toast.is-problem")
    assert "no picture" in seen.page.inner_text(".toast")
    assert seen.page.is_visible("#intro")


def test_a_broken_file_does_not_stop_the_others(shared, visit, photo) -> None:
    whole = photo(format="JPEG")
    files = [("cut.jpg", whole[: len(whole) // 2]), ("none.jpg", b"no picture at all"), ("whole.jpg", whole)]
    seen = visit(shared)
    seen.give(*files)
    seen.page.wait_for_function("() => document.querySelectorAll('.thumb[data-state=failed]').length === 2")
    seen.page.wait_for_function("() => document.querySelectorAll('.thumb[data-state=done]').length === 1")
    said = [seen.page.inner_text("#failed-words")]
    seen.page.locator(".thumb").nth(1).click()
    seen.settle()
    said.append(seen.page.inner_text("#failed-words"))
    assert "cut off" in said[0]
    assert "is not" in said[1] or "no" in said[1]
    assert all(words and "Traceback" not in words for words in said)
    seen.page.locator(".thumb").nth(2).click()
    seen.wait_for(".stage.has-both")
    assert not seen.page.is_visible("#failed")
    seen.page.locator(".thumb").nth(0).click()
    seen.page.click("#failed-remove")
    seen.settle()
    assert names_in_strip(seen) == ["none.jpg", "whole.jpg"]


def test_a_bomb_is_refused(shared, visit, claiming, photo) -> None:
    seen = visit(shared)
    seen.give(("bomb.png", claiming(50_000, 50_000)))
    seen.wait_for("#failed")
    assert "pixels" in seen.page.inner_text("#failed-words")
    seen.give(("large.jpg", photo() + bytes(400_000)))
    seen.wait_for(".toast.is-problem")
    assert "at most" in seen.page.inner_text(".toast.is-problem"), "refused before it is sent"
    assert names_in_strip(seen) == ["bomb.png"]


def test_the_history_of_this_visit(serve, several, visit, photo) -> None:
    seen = visit(serve(models=several))
    seen.give(("a.png", photo()), ("b.png", photo((1, 2, 3))))
    seen.wait_until_sharp(2)
    seen.page.check("input[value=plain]")
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '3'")
    seen.page.click(".strip li:first-child .thumb-remove", force=True)
    seen.settle()
    assert names_in_strip(seen) == ["b.png"]
    seen.page.click("#history-open")
    entries = seen.page.locator("#history-list li")
    assert entries.count() == 3
    assert "plain" in entries.nth(0).inner_text()
    name, _ = seen.download("#history-list li:first-child button:nth-of-type(2)")
    assert name == "a.sharp.png"
    entries.nth(0).locator(".history-show").click()
    seen.wait_until_sharp(2)
    assert seen.page.inner_text("#picture-name") == "a.png", "what was taken out of the strip is there again"
    assert seen.page.is_checked("input[value=plain]")
    seen.page.click("#history-open")
    seen.page.locator("#history-list li").nth(2).locator("button").nth(2).click()
    seen.settle()
    assert entries.count() == 2
    seen.page.click("#history-clear")
    seen.settle()
    assert not seen.page.is_visible("#history-open")
    seen.page.reload()
    seen.wait_for("html[data-ready]")
    assert seen.page.is_visible("#intro"), "nothing of it is kept"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_lost_server_is_said_and_the_work_goes_on_when_it_is_back(visit, photo, tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as line:
        port = line.getsockname()[1]

    def begin(milliseconds: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(SLOW_SERVER), str(tmp_path / "data"), str(milliseconds), str(tmp_path / "notes")]
        process = subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    server = begin(2000)
    try:
        seen = visit(type("Served", (), {"port": port}))
        seen.give(("a.png", photo()), ("b.png", photo((1, 2, 3))))
        seen.wait_for(".thumb[data-state=running]")
        server.send_signal(signal.SIGKILL)
        server.communicate()
        seen.wait_for("#lost")
        assert "Nothing is lost" in seen.page.inner_text("#lost")
        server = begin(1)
        seen.wait_until_sharp(2)
        assert not seen.page.is_visible("#lost")
        name, _ = seen.download("#save")
        assert name == "a.sharp.png"
    finally:
        server.kill()
        server.communicate()


def test_a_server_that_is_busy_is_waited_for(serve, visit, photo) -> None:
    from acutance.server.limits import Limits

    served = serve(limits=Limits(min_free_bytes=0, drain_s=5, posts_at_once=1, posts_per_minute=120))
    seen = visit(served)
    seen.give(("a.png", photo()), ("b.png", photo((1, 2, 3))))
    seen.wait_until_sharp(2)


def test_animations_and_pages_come_home_whole(shared, visit) -> None:
    frames = [Image.new("RGB", (40, 30), (60 * index, 90, 120)) for index in range(3)]
    files = {}
    for name, options in (("moving.gif", {"duration": 100}), ("pages.tif", {})):
        buffer = io.BytesIO()
        frames[0].save(
            buffer, Image.registered_extensions()[Path(name).suffix], save_all=True, append_images=frames[1:], **options
        )
        files[name] = buffer.getvalue()
    seen = visit(shared)
    seen.give(*files.items())
    seen.page.wait_for_function("() => document.querySelectorAll('.thumb[data-state=done]').length === 2")
    _, content = seen.download("#save-all")
    assert unzipped(content) == {
        f"{Path(name).stem}.sharp{Path(name).suffix}": shared.form(file, name=name).body for name, file in files.items()
    }
    assert all(Image.open(io.BytesIO(file)).n_frames == 3 for file in unzipped(content).values())
    seen.page.locator(".thumb").nth(1).click()
    seen.wait_for("#failed")
    assert "download it" in seen.page.inner_text("#failed-words")


def test_photos_together_say_how_far_they_are_and_are_cancelled_together(serve, gate, visit, photo, until) -> None:
    served = serve(function=gate)
    seen = visit(served, viewport={"width": 320, "height": 640})
    files = [(f"{index}.png", photo((index, 2, 3))) for index in range(5)]
    seen.give(*files)
    gate.wait_until_begun()
    seen.wait_for("#together:not([hidden])")
    seen.page.wait_for_function("() => document.querySelector('#together-words').textContent === '0 of 5 done'")
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 320
    seen.page.click("#together-cancel")
    seen.page.wait_for_function("() => document.querySelectorAll('.thumb[data-state=cancelled]').length === 5")
    assert not seen.page.is_visible("#together")
    assert seen.page.evaluate("document.activeElement.id") == "stage", "the focus is not lost with the button"
    gate.is_open.set()
    served.wait_until_empty()
    until(lambda: not [*(served.folder / "uploads").iterdir(), *(served.folder / "results").iterdir()])
    seen.page.click("#table-open")
    seen.page.click("#table-all")
    seen.wait_until_sharp(5)
    assert not seen.page.is_visible("#together")
    assert seen.complaints == []


def test_photos_that_are_still_read_are_cancelled_with_the_others(serve, gate, visit, photo) -> None:
    slow_last = """
        const [decode, isRead] = [window.createImageBitmap, new Promise((resolve) => (window.endReading = resolve))];
        window.createImageBitmap = async (...given) => {
            if (given[0].name === "2.png") await isRead;
            return decode(...given);
        };
    """
    seen = visit(serve(function=gate), before=slow_last)
    seen.give(*((f"{index}.png", photo((index, 2, 3))) for index in range(3)))
    gate.wait_until_begun()
    seen.page.wait_for_function("() => document.querySelector('#together-words').textContent === '0 of 3 done'")
    seen.page.click("#together-cancel")
    seen.page.evaluate("endReading()")
    seen.wait_for(".strip li:nth-child(3) .has-image")
    seen.settle()
    states = "nodes => nodes.map((node) => node.dataset.state)"
    assert seen.page.eval_on_selector_all(".thumb", states) == ["cancelled"] * 3
    gate.is_open.set()
    seen.page.locator(".thumb").nth(2).click()
    seen.page.click("#retry")
    seen.wait_until_sharp()
    assert seen.complaints == []


def test_the_photo_that_is_looked_at_is_sent_first_and_alone(serve, gate, visit, photo) -> None:
    """A large photo is not overtaken by a small one that is sent beside it: the server begins with what comes first."""
    seen = visit(serve(function=gate))
    slow: list[Any] = []

    def send(route: Any) -> None:
        if slow:
            route.continue_()
        slow.append(route)

    seen.page.route("**/v1/jobs?*", send)
    seen.give(("large.png", photo()), ("small.png", photo((1, 2, 3))))
    seen.page.wait_for_function("() => document.querySelectorAll('.thumb.has-image').length === 2")
    seen.page.wait_for_timeout(300)
    assert len(slow) == 1
    slow[0].continue_()
    gate.wait_until_begun()
    states = "[...document.querySelectorAll('.thumb')].map((node) => node.dataset.state).join()"
    seen.page.wait_for_function(f"() => {states} === 'running,queued'")
    gate.is_open.set()
    seen.wait_until_sharp(2)
