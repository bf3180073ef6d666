"""Thoroughness, the mean over orientations: chosen in the panel, part of every run, download and word of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from acutance.server.limits import Limits
from acutance.server.models import OfferedModel

DONE = "() => document.querySelector('.variant') && !document.querySelector('.variant[aria-busy=true]')"
COUNT = "count => document.querySelector('#history-count').textContent === String(count)"


def ensembles_of(posted: list[str], path: str) -> list[str | None]:
    """Return what was posted to a path as `ensemble`, None where it was left out."""
    return [parse_qs(urlsplit(url).query).get("ensemble", [None])[0] for url in posted if urlsplit(url).path == path]


def begun(visit, served, *files, **options):
    seen = visit(served, **options)
    seen.give(*files)
    seen.wait_until_sharp(len(files))
    return seen, seen.posted


def test_it_is_one_choice_that_runs_and_downloads_take(serve, several, visit, photo) -> None:
    content = photo()
    served = serve(models=several)
    seen, posted = begun(visit, served, ("a.png", content))
    options = seen.page.locator("#ensemble option")
    assert options.all_inner_texts() == [
        "Usual",
        "Thorough, takes 2 × as long",
        "More thorough, 4 × as long",
        "Most thorough, 8 × as long",
    ]
    assert ensembles_of(posted, "/v1/jobs") == [None], "as usual, and servers of before understand it"
    seen.page.select_option("#ensemble", "4")
    seen.page.wait_for_function(COUNT, arg=2)
    seen.wait_until_sharp()
    assert [run.ensemble for run in several.runs] == [1, 4]
    seen.set_range("#strength", 0.5)
    _, saved = seen.download("#save")
    assert saved == served.form(content, "/v1/sharpen?model=soft&ensemble=4&strength=0.5", name="a.png").body
    assert ensembles_of(posted, "/v1/sharpen") == ["4"]
    runs = len(several.runs)
    seen.page.select_option("#ensemble", "1")
    seen.page.wait_for_timeout(600)  # after which it would have begun
    seen.page.select_option("#ensemble", "4")
    seen.page.wait_for_timeout(600)
    seen.wait_until_sharp()
    assert len(several.runs) == runs, "what was made once is not made again"
    seen.page.click("#history-open")
    assert seen.page.locator("#history-list .history-words span").first.inner_text().startswith("soft, thorough × 4, ")
    assert seen.complaints == []


def test_steps_of_the_keyboard_are_one_run(serve, several, visit, photo) -> None:
    seen, posted = begun(visit, serve(models=several), ("a.png", photo()))
    seen.page.focus("#ensemble")
    for _ in range(3):
        seen.page.keyboard.press("ArrowDown")
    seen.page.wait_for_function(COUNT, arg=2)
    assert seen.page.input_value("#ensemble") == "8"
    assert ensembles_of(posted, "/v1/jobs") == [None, "8"]


def test_what_is_wanted_of_a_photo_is_of_no_other(serve, several, visit, photo) -> None:
    """Fidelity, too: who goes on to the next photo at once has it run as it was."""
    seen, posted = begun(visit, serve(models=several), ("a.png", photo()), ("b.png", photo((1, 2, 3))))
    seen.page.select_option("#ensemble", "8")
    seen.set_range("#fidelity", 0.5)
    seen.page.locator(".thumb").nth(1).click()
    seen.page.wait_for_timeout(800)
    assert seen.page.input_value("#ensemble") == "1"
    assert seen.page.input_value("#fidelity") == "1"
    assert ensembles_of(posted, "/v1/jobs") == [None, None]


def test_it_is_kept_for_another_model_for_all_and_for_new_photos(serve, several, visit, photo) -> None:
    seen, posted = begun(visit, serve(models=several), ("a.png", photo()), ("b.png", photo((1, 2, 3))))
    seen.page.select_option("#ensemble", "2")
    seen.page.wait_for_function(COUNT, arg=3)
    seen.page.check("input[value=plain]")
    seen.page.wait_for_function(COUNT, arg=4)
    seen.page.click("#use-for-all")
    seen.page.wait_for_function(COUNT, arg=5)
    seen.give(("c.png", photo((7, 8, 9))))
    seen.page.wait_for_function(COUNT, arg=6)
    assert ensembles_of(posted, "/v1/jobs") == [None, None, "2", "2", "2", "2"]
    assert [(run.name, run.ensemble) for run in several.runs][3:] == [("plain", 2)] * 3


def test_it_is_compared_like_the_other_settings(serve, several, visit, photo) -> None:
    seen, posted = begun(visit, serve(models=several), ("a.png", photo(size=(300, 200))))
    posted.clear()
    seen.page.click("#variants-open")
    seen.page.locator("#variants-sets input[value=ensemble]").check(force=True)
    seen.page.wait_for_function(DONE)
    assert seen.page.locator(".variant strong").all_inner_texts()[2:] == [
        "More thorough, 4 × as long",
        "Most thorough, 8 × as long",
    ]
    asked = [count for count in ensembles_of(posted, "/v1/sharpen") if count]
    assert sorted(asked) == ["2", "4", "8"], "the usual one is there"
    seen.page.locator(".variant").nth(1).click()
    seen.page.wait_for_function(COUNT, arg=2)
    assert seen.page.input_value("#ensemble") == "2"
    assert ensembles_of(posted, "/v1/jobs") == ["2"]


def test_a_part_is_as_thorough_as_the_photo_will_be(serve, several, visit, photo) -> None:
    seen, posted = begun(visit, serve(models=several), ("a.png", photo(size=(300, 200))))
    seen.page.select_option("#ensemble", "2")
    seen.page.wait_for_function(COUNT, arg=2)
    seen.page.click("#known summary")
    for side, value in (("x", 40), ("y", 40), ("width", 60), ("height", 40)):
        seen.page.fill(f"#region-{side}", str(value))
    seen.page.wait_for_function("() => document.querySelector('#known-words').textContent.includes('after')")
    assert set(ensembles_of(posted, "/v1/sharpen")) == {"2"}


@dataclass(frozen=True)
class Fixed:
    """Models of which the first takes pictures of one size alone, which is no square."""

    several: Any
    settings: None = None

    @property
    def offered(self) -> Sequence[OfferedModel]:
        soft, *others = self.several.offered
        return replace(soft, spec=replace(soft.spec, fixed_height_px=64, fixed_width_px=96)), *others

    def borrow(self, choice) -> Any:
        return self.several.borrow(choice)

    def close(self) -> None:
        """Nothing is open."""


def test_only_what_a_model_takes_is_offered(serve, several, visit, photo) -> None:
    seen, _ = begun(visit, serve(models=Fixed(several)), ("a.png", photo()))
    values = "nodes => nodes.map((node) => node.value)"
    assert seen.page.eval_on_selector_all("#ensemble option", values) == ["1", "2", "4"]
    seen.page.check("input[value=plain]")
    seen.page.wait_for_function(COUNT, arg=2)
    assert seen.page.eval_on_selector_all("#ensemble option", values) == ["1", "2", "4", "8"]
    seen.page.select_option("#ensemble", "8")
    seen.page.wait_for_function(COUNT, arg=3)
    seen.page.check("input[value=soft]")
    seen.page.wait_for_function(COUNT, arg=4)
    assert seen.page.input_value("#ensemble") == "4", "the most that it takes"
    assert [(run.name, run.ensemble) for run in several.runs][-1] == ("soft", 4)
    assert seen.complaints == []


def test_where_an_operator_forbids_it_there_is_no_choice(serve, visit, photo) -> None:
    served = serve(limits=Limits(min_free_bytes=0, max_ensemble=1))
    seen, _ = begun(visit, served, ("a.png", photo(size=(300, 200))))
    assert not seen.page.is_visible("#ensemble-field")
    seen.page.click("#variants-open")
    assert seen.page.locator("#variants-sets input[value=ensemble]").count() == 0


def test_it_is_offered_as_far_as_the_pixels_go(serve, several, visit, photo, monkeypatch) -> None:
    monkeypatch.setattr("acutance.server.schemas.MAX_ALL_PIXELS", 4 * 300 * 200)
    seen, _ = begun(visit, serve(models=several), ("a.png", photo(size=(300, 200))))
    assert seen.page.eval_on_selector_all("#ensemble option", "nodes => nodes.length") == 3


@pytest.mark.parametrize("shown", [("en-GB", 1080), ("en-GB", 320), ("zh-CN", 320)])
def test_its_words_fit(serve, several, visit, photo, shown: tuple[str, int]) -> None:
    locale, width = shown
    options = {"viewport": {"width": width, "height": 640}, "locale": locale}
    seen, _ = begun(visit, serve(models=several), ("a.png", photo(size=(300, 200))), **options)
    seen.page.select_option("#ensemble", "4")
    seen.page.wait_for_function(COUNT, arg=2)
    box = seen.page.locator("#ensemble").bounding_box()
    assert box["x"] + box["width"] <= width
    seen.page.click("#variants-open")
    seen.page.wait_for_function(DONE)
    sets = seen.page.locator("#variants-sets .option-words").all()
    assert len(sets) == 4
    assert all(one.evaluate("node => node.scrollWidth <= node.clientWidth + 1") for one in sets), "no word sticks out"
    assert all(one.bounding_box()["x"] + one.bounding_box()["width"] <= width for one in sets)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_run_that_nobody_waits_for_any_more_keeps_no_other_waiting(serve, gate, visit, photo, until) -> None:
    """Who takes a shorter run instead of a long one does not wait for the long one first."""
    served = serve(function=gate)
    seen = visit(served)
    seen.give(("a.png", photo()))
    gate.wait_until_begun()
    seen.page.select_option("#ensemble", "8")
    (first,) = {path.name for path in (served.folder / "uploads").iterdir()}
    served.wait(first, "cancelled")
    gate.is_open.set()
    seen.wait_until_sharp()
    assert seen.page.input_value("#ensemble") == "8"
    assert seen.page.inner_text("#history-count") == "1"
