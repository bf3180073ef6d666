"""For everybody: by keyboard alone, with a screen reader, on a phone, in the dark, in Chinese, with a token."""

from __future__ import annotations

from typing import Any

import pytest

axe_core = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs axe-playwright-python (extra dev)"
)

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],  # of all else, hundreds of nodes, it would tell every detail
    "selectors": False,
}
FIND = "async (rules) => (await axe.run(rules)).violations"


def violations(visit) -> list[str]:
    """Return what axe-core finds, a line each."""
    if not visit.page.evaluate("'axe' in window"):
        visit.page.evaluate(axe_core.Axe().axe_script)
    found = visit.page.evaluate(FIND, RULES)
    return [f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize(
    "options", [{}, {"color_scheme": "dark"}, {**PHONE, "locale": "zh-CN"}], ids=["light", "dark", "phone"]
)
def test_axe_finds_nothing(shared, visit, photo, options: dict[str, Any]) -> None:
    seen = visit(shared, **options)
    assert violations(seen) == []
    seen.give(("a.png", photo()), ("b.jpg", b"no picture"), ("c.tif", photo(format="TIFF")))
    seen.wait_until_sharp(2)
    assert violations(seen) == []
    seen.page.click("#known summary")
    assert violations(seen) == []
    seen.page.click("#guesses-toggle")
    seen.wait_for("#trust-map:not([hidden])")
    assert violations(seen) == []
    seen.page.click("#variants-open")
    seen.page.wait_for_function("() => !document.querySelector('.variant[aria-busy=true]')")
    assert violations(seen) == []
    seen.page.keyboard.press("Escape")
    seen.page.click("#table-open")
    seen.wait_for("#table-rows td:nth-child(5)")
    assert violations(seen) == []
    seen.page.keyboard.press("Escape")
    seen.page.click("#history-open")
    assert violations(seen) == []
    seen.page.keyboard.press("Escape")
    seen.page.locator(".thumb").nth(1).click()
    seen.wait_for("#failed")
    assert violations(seen) == []
    if "is_mobile" not in options:
        seen.page.click("#keys-open")
        assert violations(seen) == []
    assert [words for words in seen.complaints if "Content Security Policy" in words] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_while_photos_are_worked_on(serve, gate, visit, photo, scheme: str) -> None:
    seen = visit(serve(function=gate), color_scheme=scheme)
    seen.give(("a.png", photo()), ("b.png", photo((1, 2, 3))))
    gate.wait_until_begun()
    seen.wait_for("#together:not([hidden])")
    assert violations(seen) == []


def tab_to(visit, selector: str, *, most: int = 40) -> None:
    """Press Tab until something has the focus."""
    for _ in range(most):
        if visit.page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
            return
        visit.page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached")


def test_by_keyboard_alone(serve, several, visit, photo) -> None:
    seen = visit(serve(models=several))
    keys = seen.page.keyboard
    tab_to(seen, "#choose")
    seen.page.evaluate("document.getElementById('files').addEventListener('click', () => (window.isAsked = true))")
    keys.press("Enter")
    assert seen.page.evaluate("window.isAsked"), "the browser asks for files"
    seen.give(("a.png", photo(size=(400, 300))), ("b.png", photo((1, 2, 3))))
    seen.wait_until_sharp(2)
    assert seen.page.evaluate("document.activeElement.id") == "stage", "the focus is where the picture is"
    keys.press("+")
    seen.settle()
    assert seen.page.inner_text("#zoom-level") == "125 %"
    keys.press("1")
    keys.press("ArrowRight")
    keys.press("l")
    seen.settle()
    assert seen.page.is_visible("#loupe")
    keys.press("l")
    keys.press("PageDown")
    seen.settle()
    assert seen.page.inner_text("#picture-name") == "b.png"
    keys.press("PageUp")
    seen.wait_until_sharp(2)
    middle = seen.canvas().shape[1] // 2
    height = seen.canvas().shape[0] // 2 - 40
    assert tuple(seen.canvas()[height, middle + 40]) == (155, 145, 135)
    keys.down(" ")
    assert tuple(seen.canvas()[height, middle + 40]) == (100, 110, 120), "all of it is before, while it is held"
    keys.up(" ")
    assert tuple(seen.canvas()[height, middle + 40]) == (155, 145, 135)
    tab_to(seen, "#divider")
    keys.press("End")
    seen.settle()
    assert seen.page.get_attribute("#divider", "aria-valuenow") == "100"
    assert tuple(seen.canvas()[height, middle + 40]) == (100, 110, 120)
    keys.press("Home")
    keys.press("ArrowRight")
    assert seen.page.get_attribute("#divider", "aria-valuetext") == "2 % before"
    seen.settle()
    tab_to(seen, "#strength")
    keys.press("ArrowLeft")
    seen.settle()
    assert seen.page.get_attribute("#strength", "aria-valuetext") == "95 %"
    tab_to(seen, "input[name=model]")
    keys.press("ArrowDown")
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '3'")
    assert seen.page.is_checked("input[value=plain]")
    tab_to(seen, "#save")
    with seen.page.expect_download() as waiting:
        keys.press("Enter")
    assert waiting.value.suggested_filename == "a.sharp.png"
    seen.page.focus("#history-open")
    keys.press("Enter")
    assert seen.page.is_visible("#history")
    keys.press("Escape")
    assert seen.page.evaluate("document.activeElement.id") == "history-open", "the focus is where it was"


def test_what_happens_is_told(shared, visit, photo) -> None:
    seen = visit(shared)
    seen.page.evaluate(
        """() => {
            window.told = [];
            const live = document.getElementById('live');
            new MutationObserver(() => live.textContent && window.told.push(live.textContent))
                .observe(live, {childList: true, characterData: true, subtree: true});
        }"""
    )
    seen.give(("a.png", photo()))
    seen.wait_until_sharp()
    seen.page.wait_for_function("() => window.told.length >= 2")
    assert seen.page.evaluate("window.told") == ["a.png added.", "a.png is sharp."]


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_s_width(shared, visit, photo, width: int, locale: str) -> None:
    least = 36 if width == 390 else 32
    seen = visit(shared, **{**PHONE, "viewport": {"width": width, "height": 844}}, locale=locale)

    def overflow() -> int:
        return seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    assert overflow() == 0
    seen.give(*((f"a rather long name of a photo {index}.png", photo(size=(300, 200))) for index in range(6)))
    seen.wait_until_sharp(6)
    assert overflow() == 0
    stage = seen.page.locator("#stage").bounding_box()
    assert stage["width"] == width
    seen.page.touchscreen.tap(stage["x"] + 80, stage["y"] + 80)
    for button in ("#save", "#zoom-in", "#guesses-toggle", "#divider", "#add", "#language"):
        box = seen.page.locator(button).bounding_box()
        assert min(box["width"], box["height"]) >= least, f"{button} is large enough for a finger"
        assert box["x"] + box["width"] <= width, f"{button} is seen whole"
    assert seen.page.evaluate("(node => node.scrollWidth <= node.clientWidth)(document.querySelector('#save'))")
    seen.page.locator("#strength").scroll_into_view_if_needed()
    seen.set_range("#strength", 0.5)
    assert seen.page.inner_text("#strength-value") == "50 %"
    seen.download("#save-all")
    seen.page.click("#guesses-toggle")
    seen.wait_for("#trust-map:not([hidden])")
    assert overflow() == 0
    seen.page.evaluate("scrollTo(0, 0)")
    seen.page.focus("#known summary")
    seen.settle()
    focused, foot = (seen.page.locator(node).bounding_box() for node in ("#known summary", ".panel-foot"))
    assert focused["y"] + focused["height"] <= foot["y"], "what has the focus does not lie below the foot"
    assert foot["y"] + foot["height"] <= 844


def test_two_fingers_zoom(shared, visit, photo) -> None:
    seen = visit(shared, **PHONE)
    seen.give(("a.png", photo(size=(300, 200))))
    seen.wait_until_sharp()
    before = float(seen.page.inner_text("#zoom-level").split()[0])
    session = seen.page.context.new_cdp_session(seen.page)
    stage = seen.page.locator("#stage").bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2

    def touch(kind: str, apart: float) -> None:
        points = [] if kind == "touchEnd" else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 40)
    for apart in (50, 65, 80):
        touch("touchMove", apart)
    touch("touchEnd", 0)
    seen.settle()
    after = float(seen.page.inner_text("#zoom-level").split()[0])
    assert after == pytest.approx(2 * before, rel=0.05)


def test_chinese_is_spoken_where_it_is_wanted_and_remembered(shared, visit, photo) -> None:
    seen = visit(shared, locale="zh-CN")
    assert seen.page.inner_text("h1") == "把模糊的照片变清晰"
    assert seen.page.get_attribute("html", "lang") == "zh-CN"
    seen.give(("a.jpg", b"no picture"))
    seen.wait_for("#failed")
    assert "不是图片" in seen.page.inner_text("#failed-words"), "refusals, too"
    seen.page.click("#language")
    assert seen.page.inner_text("#retry") == "Try again"
    seen.page.reload()
    seen.wait_for("html[data-ready]")
    assert seen.page.inner_text("h1") == "Make blurred photos sharp"


def test_light_and_dark(shared, visit) -> None:
    seen = visit(shared, color_scheme="dark")

    def ground() -> int:
        words = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return int(words.partition("(")[2].partition(",")[0])

    assert ground() < 60
    seen.page.click("#theme")
    assert ground() > 200
    seen.page.reload()
    seen.wait_for("html[data-ready]")
    assert ground() > 200, "remembered"
    seen.page.click("#theme")
    assert ground() < 60


def test_who_has_the_token_gets_in(start, visit, photo, browser, tmp_path) -> None:
    from acutance.server.access import Access

    token = "correct-horse-battery-staple"
    served = start(tmp_path / "data", access=Access.with_tokens([token]))
    try:
        credentials = {"username": "anybody", "password": token}
        seen = visit(served, http_credentials=credentials)
        seen.give(("a.png", photo()))
        seen.wait_until_sharp()
        seen.set_range("#strength", 0.5)
        name, _ = seen.download("#save")
        assert name == "a.sharp.png"
    finally:
        served.stop()
