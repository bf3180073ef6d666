"""Variants of the part in view, side by side: what the server makes of it, at its zoom, and the choice among them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image, ImageFilter

from acutance.inference.sharpener import Sharpener
from acutance.server.limits import Limits
from acutance.server.models import ModelSettings, OfferedModel, OpenedModels
from acutance.server.options import ModelChoice

GREY = (100, 110, 120)
INVERTED = tuple(255 - value for value in GREY)
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}

MIDDLES = """() => Promise.all([...document.querySelectorAll('.variant canvas')].map((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1);
    return [...data.slice(0, 3)];
}))"""
PNG_OF = "(index) => document.querySelectorAll('.variant canvas')[index].toDataURL()"
KEEP_SENT = """() => {
    const append = FormData.prototype.append;
    FormData.prototype.append = function (name, file, ...rest) {
        const reader = new FileReader();
        reader.onload = () => (window.sent = reader.result.split(',')[1]);
        reader.readAsDataURL(file);
        append.call(this, name, file, ...rest);
    };
}"""
DONE = "() => document.querySelector('.variant') && !document.querySelector('.variant[aria-busy=true]')"


def opened(visit, served, *files, **options):
    """Give photos, and open the variants of the first; return the visit and what is posted from then on."""
    seen = visit(served, **options)
    seen.give(*files)
    seen.wait_until_sharp(len(files))
    seen.posted.clear()
    return seen, seen.posted


def titles(seen) -> list[str]:
    return seen.page.locator(".variant strong").all_inner_texts()


def pixels_of(content: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def choose_set(seen, name: str) -> None:
    seen.page.locator(f"#variants-sets input[value={name}]").check(force=True)
    seen.page.wait_for_function(DONE)


def options_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def middles(seen) -> list[tuple[int, ...]]:
    seen.settle()
    return [tuple(pixel) for pixel in seen.page.evaluate(MIDDLES)]


def test_models_strengths_and_fidelities_of_the_part_in_view(serve, several, visit, photo) -> None:
    seen, posted = opened(visit, serve(models=several), ("a.png", photo(GREY, (1500, 1200))))
    before = len(several.runs)
    seen.page.click("#variants-open")
    seen.page.wait_for_function(DONE)
    assert titles(seen) == ["soft", "plain"], "models of the same size"
    halves = tuple(round(value / 2) for value in GREY)
    assert middles(seen) == [INVERTED, halves]
    assert [options_of(url) for url in posted] == [{"model": "plain", "format": "png"}], (
        "what is there is not made again"
    )
    choose_set(seen, "strength")
    assert titles(seen) == ["Strength 50 %", "Strength 100 %", "Strength 150 %", "Strength 200 %"]
    expected = [
        np.clip(grey + share * (255 - 2 * np.array(grey)), 0, 255) for share in (0.5, 1, 1.5, 2) for grey in [GREY]
    ]
    assert np.abs(np.array(middles(seen)) - expected).max() <= 1
    assert len(posted) == 1, "strengths are one run"
    choose_set(seen, "fidelity")
    asked = sorted(
        options_of(url).get("fidelity") for url in posted[1:]
    )  # two at once: which is posted first is chance
    assert asked == ["0", "0.35", "0.65"]
    assert np.abs(np.array(middles(seen)) - [np.array(INVERTED) * share for share in (1, 0.65, 0.35, 0)]).max() <= 1
    assert len(several.runs) - before == 4
    seen.page.click("#variants-before")
    assert middles(seen) == [GREY] * 4
    assert seen.page.get_attribute("#variants-before", "aria-pressed") == "true"
    assert seen.complaints == []


def test_only_the_part_goes_to_the_server_and_is_shown_at_its_zoom(serve, several, visit) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (800, 900, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    seen, _ = opened(visit, serve(models=several), ("noise.png", buffer.getvalue()))
    seen.page.evaluate(KEEP_SENT)
    seen.page.focus("#stage")
    for key in ("1", "+", "+", "+", "+", "ArrowRight", "ArrowDown"):
        seen.page.keyboard.press(key)
    seen.settle()
    zoom = seen.page.inner_text("#zoom-level")
    assert zoom == "244 %"
    seen.page.keyboard.press("v")
    seen.page.wait_for_function(DONE)
    assert f"at {zoom}" in seen.page.inner_text("#variants-words")
    part = pixels_of(seen.page.evaluate("window.sent"))
    tile = pixels_of(seen.page.evaluate(PNG_OF, 1).partition(",")[2])
    size = part.shape[:2]
    around = np.array(size) - np.array(tile.shape[:2]) / 1.25**4
    assert (around >= 159).all(), "what is seen, and its surroundings"
    assert (around <= 169).all(), "no more of them than to the next block"
    places = np.argwhere((noise == part[0, 0]).all(-1))
    found = [place for place in places if (noise[place[0] :, place[1] :][: size[0], : size[1]] == part).all()]
    assert [(place % 8 == 0).all() for place in found] == [True], "a part of the photo, from a JPEG's block on"
    # Behind the middle of the tile lies that of what is seen; enlarged so much, it is between pixels.
    row, column = (side - 80 - round(shown / 1.25**4 / 2) for side, shown in zip(size, tile.shape, strict=False))
    near = part[row - 1 : row + 1, column - 1 : column + 1] / 2
    middle = tile[tile.shape[0] // 2, tile.shape[1] // 2]
    assert (near.min((0, 1)) - 2 <= middle).all()
    assert (middle <= near.max((0, 1)) + 2).all()


def test_a_tile_shows_what_the_whole_photo_will_be(start, visit, tmp_path) -> None:
    """To two levels, with a real network, which knows where JPEG's blocks lie: parts begin with one."""
    pixels = np.random.default_rng(0).integers(0, 256, (520, 560, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(2)).save(buffer, "JPEG", quality=80)
    models = OpenedModels(ModelSettings(names=("fast",), threads=1, max_pixels=1_000_000))
    served = start(tmp_path / "data", limits=Limits(min_free_bytes=0), models=models)
    try:
        seen, posted = opened(visit, served, ("a.jpg", buffer.getvalue()), viewport={"width": 900, "height": 640})
        seen.page.focus("#stage")
        for key in ("1", "ArrowDown"):
            seen.page.keyboard.press(key)
        seen.page.click("#variants-open")
        choose_set(seen, "fidelity")
        assert len(posted) == 3
        tile = pixels_of(seen.page.evaluate(PNG_OF, 3).partition(",")[2])
        seen.page.click("#variants-before")
        before = pixels_of(seen.page.evaluate(PNG_OF, 3).partition(",")[2])
        photo = np.asarray(Image.open(buffer))
        middle = tuple(slice(side // 2 - 50, side // 2 + 50) for side in tile.shape[:2])
        there = [
            place
            for place in np.argwhere((photo[:-99, :-99] == before[middle][0, 0]).all(-1))
            if (photo[place[0] :, place[1] :][:100, :100] == before[middle]).all()
        ]
        assert len(there) == 1
        whole = served.form(buffer.getvalue(), "/v1/sharpen?fidelity=0&format=png", name="a.jpg").pixels
        expected = whole[there[0][0] :, there[0][1] :][:100, :100]
        assert np.abs(tile[middle].astype(int) - expected).max() <= 2, "more of the whole counts for the correction"
    finally:
        served.stop()


def test_one_is_taken_for_the_whole_photo_by_keyboard(serve, several, visit, photo) -> None:
    content = photo(GREY, (300, 200))
    served = serve(models=several)
    seen, posted = opened(visit, served, ("a.png", content), ("b.png", photo((1, 2, 3))))
    keys = seen.page.keyboard
    seen.page.focus("#stage")
    keys.press("v")
    seen.page.wait_for_function(DONE)
    assert seen.page.evaluate("document.activeElement.matches('.variant[aria-current=true]')")
    assert "soft" in seen.page.evaluate("document.activeElement.textContent"), "the settings as they are"
    keys.press("Tab")
    keys.press("Enter")
    assert not seen.page.is_visible("#variants")
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '3'")
    assert seen.page.is_checked("#models input[value=plain]")
    assert seen.page.evaluate("document.activeElement.id") == "stage", "the focus is where it was"
    seen.wait_until_sharp(2)
    choosing = len(posted)
    seen.page.click("#variants-open")
    choose_set(seen, "strength")
    seen.page.locator(".variant").first.click()
    seen.settle()
    assert seen.page.inner_text("#strength-value") == "50 %"
    assert len(posted) == choosing, "a strength runs nothing"
    name, saved = seen.download("#save")
    assert (name, saved) == (
        "a.sharp.png",
        served.form(content, "/v1/sharpen?model=plain&strength=0.5", name="a.png").body,
    )
    assert seen.page.inner_text("#picture-name") == "a.png"
    seen.page.click("#variants-open")
    keys.press("Escape")
    assert seen.page.inner_text("#strength-value") == "50 %", "who closes it has chosen nothing"


def test_nothing_is_compared_before_the_photo_is_on_the_stage(serve, several, visit, photo) -> None:
    seen, _ = opened(visit, serve(models=several), ("a.png", photo(GREY)), ("b.png", photo((1, 2, 3))))
    press = """(keys) => {
        const stage = document.getElementById('stage');
        for (const key of keys) stage.dispatchEvent(new KeyboardEvent('keydown', {key}));
    }"""
    seen.page.evaluate(press, ["PageDown", "v"])
    assert not seen.page.is_visible("#variants"), "the other one is still there"
    seen.page.wait_for_function("() => document.getElementById('picture-name').textContent === 'b.png'")
    seen.page.wait_for_function("() => !document.getElementById('variants-open').disabled")
    seen.page.evaluate(press, ["v"])
    seen.page.wait_for_function(DONE)
    assert middles(seen)[0] == (254, 253, 252)


def test_what_cannot_be_made_says_so_in_its_tile(serve, several, visit, photo) -> None:
    seen, _ = opened(visit, serve(models=several), ("a.png", photo(GREY, (300, 200))))
    problem = {"status": 422, "content_type": "application/json", "body": '{"error": "x", "detail": "no such thing"}'}
    seen.page.route("**/v1/sharpen?*", lambda route: route.fulfill(**problem))
    seen.page.click("#variants-open")
    seen.page.wait_for_function(DONE)
    assert seen.page.locator(".variant").nth(1).inner_text().split("\n")[-1] == "No such thing."
    assert middles(seen) == [INVERTED, GREY], "and what was before is seen"


def test_a_busy_server_is_waited_for_and_a_closed_dialog_asks_no_more(serve, several, visit, photo) -> None:
    seen, posted = opened(visit, serve(models=several), ("a.png", photo(GREY, (300, 200))))
    answers = iter([{"status": 429, "headers": {"Retry-After": "1"}, "body": "{}"}])

    def answer(route) -> None:
        busy = next(answers, None)
        return route.fulfill(**busy) if busy else route.continue_()

    seen.page.route("**/v1/sharpen?*", answer)
    seen.page.click("#variants-open")
    seen.page.wait_for_function(DONE)
    assert middles(seen)[1] == tuple(round(value / 2) for value in GREY)
    assert len(posted) == 2
    choose_set(seen, "fidelity")
    seen.page.keyboard.press("Escape")
    seen.page.wait_for_function("() => !document.querySelector('.variant')")  # the event comes after the key
    assert seen.complaints == [words for words in seen.complaints if "429" in words]


def test_an_enlarged_photo_has_fewer_questions(serve, several, visit, photo) -> None:
    seen, _ = opened(visit, serve(models=several), ("a.png", photo(GREY, (60, 40))))
    seen.page.locator("#sizes input[value='2']").check(force=True)
    seen.wait_for(".stage.has-both:not(.is-growing)")
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '2'")
    seen.settle()
    seen.page.click("#variants-open")
    seen.page.wait_for_function(DONE)
    sets = [node.get_attribute("value") for node in seen.page.locator("#variants-sets input").all()]
    assert sets == ["strength", "ensemble"], "one model enlarges, and it has no fidelity"
    assert middles(seen)[1] == INVERTED


@dataclass(frozen=True)
class Deciding:
    """`auto`, which takes `soft` whatever it sees."""

    several: Any
    settings: None = None

    @property
    def offered(self) -> Sequence[OfferedModel]:
        return replace(self.several.offered[0], name="auto"), *self.several.offered

    def borrow(self, choice: ModelChoice) -> AbstractContextManager[Sharpener]:
        return self.several.borrow(replace(choice, name="soft") if choice.name == "auto" else choice)

    def close(self) -> None:
        """Nothing is open."""


def test_variants_of_auto_are_those_of_the_model_that_it_took(serve, several, visit, photo) -> None:
    """A part of a photo might be taken for another kind than the whole: it is not asked."""
    seen, posted = opened(visit, serve(models=Deciding(several)), ("a.png", photo(GREY, (300, 200))))
    seen.page.click("#variants-open")
    seen.page.wait_for_function(DONE)
    assert titles(seen) == ["Look and decide", "soft", "plain"]
    assert [options_of(url)["model"] for url in posted] == ["soft", "plain"], "the first is there"
    posted.clear()
    choose_set(seen, "fidelity")
    assert [options_of(url)["model"] for url in posted] == ["soft"] * 3
    seen.page.locator(".variant").last.click()
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '2'")
    assert options_of(posted[-1])["model"] == "auto", "what is chosen stays chosen"


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone_they_are_a_column(shared, visit, photo, width: int, locale: str) -> None:
    options = {**PHONE, "viewport": {"width": width, "height": 640}, "locale": locale}
    seen, _ = opened(visit, shared, ("a.png", photo(GREY, (600, 500))), **options)
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    seen.page.locator("#variants-open").tap()
    seen.page.wait_for_function(DONE)
    boxes = [tile.bounding_box() for tile in seen.page.locator(".variant").all()]
    assert len({box["x"] for box in boxes}) == 1
    assert boxes[0]["x"] >= 0
    assert boxes[0]["x"] + boxes[0]["width"] <= width
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    assert seen.page.evaluate(
        "(list => list.scrollWidth <= list.clientWidth)(document.getElementById('variants-list'))"
    )
    for control in seen.page.locator("#variants-sets .option-words, #variants-before, #variants-close").all():
        box = control.bounding_box()
        assert box["height"] >= 36
        assert box["x"] + box["width"] <= width
    seen.page.locator(".variant").last.scroll_into_view_if_needed()
    seen.page.locator(".variant").last.tap()
    seen.settle()
    assert seen.page.inner_text("#strength-value") == "200 %"
