"""A part of a photo, and a blur that is known: drawn on the photo, seen at once, kept by a run; shipped models."""

from __future__ import annotations

import io
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from acutance.server.limits import Limits
from acutance.server.models import ModelSettings, OpenedModels

GREY = (100, 110, 120)
INVERTED = tuple(255 - value for value in GREY)
SIZE = (240, 320)


@pytest.fixture(scope="module")
def real(start, tmp_path_factory):
    """Give a server of shipped models."""
    served = start(
        tmp_path_factory.mktemp("real") / "data",
        limits=Limits(min_free_bytes=0),
        models=OpenedModels(ModelSettings(names=("fast", "auto", "motion", "paper"), threads=2, max_pixels=4_000_000)),
    )
    yield served
    served.stop()


def begun(visit, served, content: bytes):
    seen = visit(served, viewport={"width": 1100, "height": 760})
    seen.give(("plate.png", content))
    seen.wait_until_sharp()
    seen.page.click("#known summary")
    seen.posted.clear()
    return seen, seen.posted


def drawn(seen, size: tuple[int, int], start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draw from one pixel of a picture that is shown at 100 % to another."""
    box = seen.page.locator("#stage").bounding_box()
    left, top = int(box["width"]) // 2 - size[1] // 2, int(box["height"]) // 2 - size[0] // 2
    for act, (x, y) in ((seen.page.mouse.move, start), (None, start), (seen.page.mouse.move, end)):
        if act is None:
            seen.page.mouse.down()
        else:
            act(box["x"] + left + x, box["y"] + top + y)
    seen.page.mouse.up()


def region_of(url: str) -> list[int]:
    return [int(number) for number in parse_qs(urlsplit(url).query)["region"][0].split(",")]


def test_a_rectangle_is_seen_at_once_and_kept_by_a_run(shared, visit, photo) -> None:
    content = photo(GREY, (SIZE[1], SIZE[0]))
    seen, posted = begun(visit, shared, content)
    seen.page.click("#view-sides")
    seen.page.click("#view-divider")
    seen.page.keyboard.press("Tab")
    assert seen.page.locator("#mark-line").is_hidden(), "the server has no model that can be told"
    seen.page.click("#mark-region")
    assert seen.page.get_attribute("#mark-region", "aria-pressed") == "true"
    drawn(seen, SIZE, (200, 100), (260, 160))
    assert seen.page.get_attribute("#mark-region", "aria-pressed") == "false", "a pointer moves the picture again"
    seen.page.wait_for_function("() => document.querySelector('#known-words').textContent.includes('as it will be')")
    assert [seen.page.input_value(f"#region-{side}") for side in ("x", "y", "width", "height")] == [
        "200",
        "100",
        "60",
        "60",
    ]
    assert len(posted) == 1
    assert region_of(posted[0]) == [80, 84, 60, 60], "only the surroundings go to the server, from a JPEG's block on"
    with seen.page.expect_request(lambda request: request.url.endswith("/events")):
        seen.page.click("#known-apply")
    seen.page.wait_for_function("() => document.querySelector('#known-words').textContent === ''")
    seen.settle()
    name, saved = seen.download("#save")
    expected = shared.form(content, "/v1/sharpen?region=200,100,60,60", name="plate.png").body
    assert (name, saved) == ("plate.sharp.png", expected)
    assert len(posted) == 2, "the photo was run once more, and downloaded without another run"
    pixels = np.asarray(Image.open(io.BytesIO(saved)))
    assert (pixels[100:160, 200:260] == INVERTED).all()
    assert (pixels[:80] == GREY).all()


def test_the_part_follows_its_numbers_and_the_strength(shared, visit, photo) -> None:
    seen, posted = begun(visit, shared, photo(GREY, (SIZE[1], SIZE[0])))
    for side, value in (("x", 100), ("y", 90), ("width", 40), ("height", 30)):
        seen.page.fill(f"#region-{side}", str(value))
    seen.page.wait_for_function("() => document.querySelector('#known-words').textContent.includes('as it will be')")
    assert region_of(posted[-1]) == [84, 82, 40, 30]
    with seen.page.expect_request(lambda request: "strength=0.5" in request.url):
        seen.set_range("#strength", 0.5)
    seen.page.click("#known-clear")
    assert seen.page.input_value("#region-width") == ""
    assert seen.page.is_disabled("#known-apply")


def test_motion_is_drawn_and_undone(real, visit) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    seen, posted = begun(visit, real, buffer.getvalue())
    seen.page.click("#mark-region")
    drawn(seen, SIZE, (10, 40), (310, 190))
    seen.page.click("#mark-line")
    drawn(seen, SIZE, (100, 100), (108, 106))
    seen.page.wait_for_function("() => document.querySelector('#known-px').value === '10'")
    assert seen.page.input_value("#known-kind") == "motion"
    assert seen.page.input_value("#known-degrees") == "37"
    for _ in range(400):  # the part alone may have been sent before the line was drawn
        if any("motion=10px%4037deg" in address for address in posted):
            break
        seen.page.wait_for_timeout(50)
    assert "motion=10px%4037deg" in posted[-1]
    seen.page.wait_for_function("() => document.querySelector('#known-words').textContent.includes('as it will be')")
    with seen.page.expect_response(lambda response: "motion=12px" in response.url):
        seen.page.fill("#known-px", "12")
    seen.page.click("#known-apply")
    seen.page.wait_for_function("() => document.querySelector('#picture-found').textContent.includes('as told')")
    _, saved = seen.download("#save")
    assert saved == real.form(buffer.getvalue(), "/v1/sharpen?motion=12px@37deg&region=10,40,300,150").body


def test_models_are_chosen_by_what_is_wrong(real, visit, photo) -> None:
    seen = visit(real)
    seen.give(("a.png", photo(GREY)))
    seen.wait_until_sharp()
    assert seen.page.inner_text("#model-field legend") == "What is wrong with it"
    titles = seen.page.locator("#models > label strong").all_inner_texts()
    assert titles == ["Look and decide", "Soft", "Motion"], "the paper's is for research"
    assert seen.page.locator("#models input:checked").get_attribute("value") == "fast", "the server's default"
    assert not seen.page.locator("#models input[value=paper]").is_visible()
    seen.page.click("#models .research summary")
    seen.page.locator("#models input[value=paper]").check(force=True)
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '2'")
    seen.page.click("#history-open")
    assert "The paper's network" in seen.page.inner_text("#history-list")
