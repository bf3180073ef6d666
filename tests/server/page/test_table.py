"""Many photos: what each is, before anything is sharpened, to sort and to choose from."""

from __future__ import annotations

from importlib.resources import files

import pytest

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SOFT = (files("acutance.server") / "page" / "example.jpg").read_bytes()
MANY = 13


def names(seen) -> list[str]:
    return seen.page.locator("#table-rows th span").all_inner_texts()


def states(seen) -> list[str]:
    return seen.page.eval_on_selector_all(".thumb", "all => all.map((one) => one.dataset.state)")


@pytest.mark.parametrize("options", [{}, {**PHONE, "locale": "zh-CN"}], ids=["desktop", "phone"])
def test_many_photos_are_looked_at_first(serve, several, visit, photo, options) -> None:
    seen = visit(serve(models=several), **options)
    flat = [(f"flat {index:02}.png", photo((9 * index, 90, 90), size=(96, 96))) for index in range(MANY - 1)]
    seen.give(flat[0], ("soft.jpg", SOFT), *flat[1:])
    seen.wait_for("#table[open]")
    seen.page.wait_for_function("() => document.querySelectorAll('#table-rows td:nth-child(5)').length === 13")
    assert set(states(seen)) == {"waiting"}, "nothing is begun before somebody chooses"
    assert several.runs == []
    assert names(seen)[0] == "soft.jpg", "the softest first, then what cannot be told"
    row = seen.page.locator("#table-rows tr").first.inner_text()
    assert "σ" in row or "px" in row or "像素" in row, row
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    seen.page.click("#sort-name")
    assert names(seen) == sorted(names(seen))
    assert seen.page.get_attribute("th:has(#sort-name)", "aria-sort") == "ascending"
    seen.page.click("#sort-name")
    assert names(seen) == sorted(names(seen), reverse=True)
    assert "1" in seen.page.inner_text("#table-worth")
    seen.page.click("#table-worth")
    seen.page.wait_for_selector(".thumb[data-state=done]")
    assert sorted(states(seen)) == ["done", *["waiting"] * (MANY - 1)]
    assert len(several.runs) == 1
    # One that waits says what it is, and is begun by hand.
    assert seen.page.inner_text("#picture-name") == "flat 00.png"
    assert seen.page.is_visible("#picture-found")
    seen.page.click("#begin")
    seen.wait_until_sharp(2)
    assert not seen.page.is_visible("#begin")
    seen.page.click("#table-open")
    seen.page.click("#table-all")
    seen.wait_until_sharp(MANY)
    assert seen.complaints == []


def test_few_photos_are_begun_at_once_and_listed_on_request(shared, visit, photo) -> None:
    seen = visit(shared)
    seen.give(("a.png", photo(size=(96, 96))), ("b.png", b"no picture"))
    seen.wait_until_sharp()
    seen.page.click("#table-open")
    seen.page.wait_for_function("() => document.querySelectorAll('#table-rows td').length === 5")
    assert seen.page.locator("#table-all").is_hidden(), "nothing waits"
    assert "Cannot be told" in seen.page.inner_text("#table-rows")
    seen.page.click("#table-rows tr:has-text('b.png') button")
    assert not seen.page.is_visible("#table")
    assert seen.page.inner_text("#picture-name") == "b.png"
