"""One picture, from the drop to the download: what is seen is what the server gives."""

from __future__ import annotations

import asyncio
import io
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image

GREY = (100, 110, 120)
INVERTED = tuple(255 - value for value in GREY)
SIZE = (48, 64)


def pixels_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def dragged(visit, x: float) -> None:
    """Drag the divider to a share of the stage's width."""
    stage, grip = visit.page.locator("#stage").bounding_box(), visit.page.locator("#divider").bounding_box()
    visit.page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    visit.page.mouse.down()
    visit.page.mouse.move(stage["x"] + stage["width"] * x, stage["y"] + 40, steps=3)
    visit.page.mouse.up()


def test_upload_result_divider_download(shared, visit, photo) -> None:
    content = photo(GREY)
    seen = visit(shared)
    seen.give(("holiday.png", content))
    seen.wait_until_sharp()
    shown = seen.picture(SIZE)
    assert (shown[:, :30] == GREY).all()
    assert (shown[:, 34:] == INVERTED).all()
    name, saved = seen.download("#save")
    assert name == "holiday.sharp.png"
    assert saved == shared.form(content, name="holiday.png").body, "the very bytes that the API gives"
    assert seen.complaints == []
    assert seen.foreign == []


def test_the_divider_is_dragged(shared, visit, photo) -> None:
    seen = visit(shared)
    seen.give(("a.png", photo(GREY)))
    seen.wait_until_sharp()
    for share, color in ((0.9, GREY), (0.1, INVERTED)):
        dragged(seen, share)
        assert (seen.picture(SIZE) == color).all()
        assert seen.page.get_attribute("#divider", "aria-valuenow") == str(round(100 * share))


def test_zoom_to_the_pixel_and_move_both_together(shared, visit) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (220, 300, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    seen = visit(shared)
    seen.give(("noise.png", buffer.getvalue()))
    seen.wait_until_sharp()
    assert seen.page.inner_text("#zoom-level") == "100 %"
    assert (seen.picture((220, 300))[:, :140] == noise[:, :140]).all()
    for _ in range(12):
        seen.page.click("#zoom-in")
    assert seen.page.inner_text("#zoom-level") == "3200 %", "the most"
    seen.page.click("#view-sides")
    box = seen.page.locator("#stage").bounding_box()
    seen.page.mouse.move(box["x"] + 100, box["y"] + 100)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 137, box["y"] + 171, steps=2)
    seen.page.mouse.up()
    shown = seen.canvas().astype(int)
    half = (shown.shape[1] - 2) // 2
    before, after = shown[:, :half], shown[:, -half:]
    assert (before + after == 255).all(), "the same part of both, pixel by pixel"
    colors = np.unique(before.reshape(-1, 3), axis=0)
    assert len(colors) < 2000, "a pixel is a square of one colour"
    seen.page.click("#zoom-one")
    seen.page.click("#zoom-fit")
    assert float(seen.page.inner_text("#zoom-level").split()[0]) <= 100


def test_the_wheel_zooms_where_the_pointer_is(shared, visit, picture) -> None:
    seen = visit(shared)
    seen.give(("noise.png", picture(220, 300)))
    seen.wait_until_sharp()
    stage = seen.page.locator("#stage").bounding_box()
    x, y = int(stage["width"] / 2 - 60), int(stage["height"] / 2 - 40)
    before = seen.canvas()[y, x]
    seen.page.mouse.move(stage["x"] + x + 0.5, stage["y"] + y + 0.5)
    seen.page.mouse.wheel(0, -600)
    seen.settle()
    seen.page.wait_for_function("() => document.querySelector('#zoom-level').textContent === '400 %'")
    assert (seen.canvas()[y + 1, x + 1] == before).all(), "its square, 4 pixels wide, begins there"


@pytest.mark.parametrize("strength", [0.4, 1.6])
def test_strength_is_seen_at_once_and_saved_by_the_server(shared, visit, picture, strength: float) -> None:
    content = picture(*SIZE)
    seen = visit(shared)
    seen.give(("noise.png", content))
    seen.wait_until_sharp()
    seen.posted.clear()
    seen.set_range("#strength", strength)
    dragged(seen, 0.0)
    expected = shared.form(content, f"/v1/sharpen?strength={strength}", name="noise.png").body
    difference = np.abs(seen.picture(SIZE).astype(int) - pixels_of(expected))
    assert difference.max() <= 2, "what the server gives, to the rounding"
    assert seen.page.inner_text("#strength-value") == f"{round(100 * strength)} %"
    assert seen.posted == [], "without a new run"
    name, saved = seen.download("#save")
    assert (name, saved) == ("noise.sharp.png", expected)
    assert len(seen.posted) == 1


def test_metadata_come_home(shared, visit) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a day at the sea"
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), GREY).save(buffer, "JPEG", exif=exif, dpi=(240, 240))
    seen = visit(shared)
    seen.give(("sea.jpg", buffer.getvalue()))
    seen.wait_until_sharp()
    _, saved = seen.download("#save")
    assert Image.open(io.BytesIO(saved)).getexif()[0x010E] == "a day at the sea"
    assert saved == shared.form(buffer.getvalue(), name="sea.jpg").body
    seen.page.select_option("#format", "webp")
    name, saved = seen.download("#save")
    assert name == "sea.sharp.webp"
    assert Image.open(io.BytesIO(saved)).getexif()[0x010E] == "a day at the sea"


def test_model_fidelity_and_size_run_anew(serve, several, visit, photo) -> None:
    served = serve(models=several)
    seen = visit(served)
    content = photo(GREY)
    seen.give(("a.png", content))
    seen.wait_until_sharp()
    dragged(seen, 0.0)
    assert [(run.name, run.fidelity) for run in several.runs] == [("soft", 1.0)]
    seen.set_range("#fidelity", 0.5)
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '2'")
    seen.wait_until_sharp()
    assert [(run.name, run.fidelity) for run in several.runs][1:] == [("soft", 0.5)]
    assert abs(int(seen.picture(SIZE)[0, 0, 0]) - (255 - GREY[0]) / 2) <= 1
    _, saved = seen.download("#save")
    assert saved == served.form(content, "/v1/sharpen?model=soft&fidelity=0.5", name="a.png").body
    seen.page.check("input[value=plain]")
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '3'")
    seen.wait_until_sharp()
    assert not seen.page.is_visible("#fidelity"), "plain has no perceptual weights"
    assert tuple(seen.picture(SIZE)[0, 0]) == (50, 55, 60)
    runs = len(several.runs)
    seen.page.check("input[value=soft]")
    seen.wait_until_sharp()
    assert tuple(seen.picture(SIZE)[0, 0]) == INVERTED
    assert len(several.runs) == runs, "what was made once is not made again"
    seen.page.check("input[name=size][value='2']")
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '4'")
    seen.wait_until_sharp()
    assert (seen.picture((96, 128)) == INVERTED).all()
    _, saved = seen.download("#save")
    assert pixels_of(saved).shape == (96, 128, 3)


def test_what_browsers_cannot_show_is_previewed_and_saved_as_it_was(shared, visit, photo) -> None:
    content = photo(GREY, format="TIFF")
    seen = visit(shared)
    seen.give(("scan.tif", content))
    seen.wait_until_sharp()
    assert np.abs(seen.picture(SIZE)[:, :30].astype(int) - GREY).max() <= 1, "a JPEG"
    assert "cannot show TIFF" in seen.page.inner_text("#picture-note")
    seen.wait_for(".thumb.has-image")
    name, saved = seen.download("#save")
    assert name == "scan.sharp.tif"
    assert Image.open(io.BytesIO(saved)).format == "TIFF"
    assert (pixels_of(saved) == pixels_of(shared.form(content, name="scan.tif").body)).all()
    assert seen.complaints == []


def test_a_preview_comes_before_the_work_and_a_download_runs_no_network(serve, gate, visit, photo) -> None:
    runs: list[int] = []

    def network(batch: np.ndarray) -> np.ndarray:
        runs.append(1)
        return gate(batch)

    content = photo(GREY, format="TIFF")
    served = serve(function=network)
    seen = visit(served)
    seen.give(("scan.tif", content))
    seen.wait_for(".thumb.has-image")
    gate.wait_until_begun()
    assert np.abs(seen.picture(SIZE).astype(int) - GREY).max() <= 1, "seen while it is worked on"
    gate.is_open.set()
    seen.wait_until_sharp()
    done = len(runs)
    for chosen, ending in (("", "tif"), ("webp", "webp"), ("png", "png")):
        seen.page.select_option("#format", chosen)
        name, saved = seen.download("#save")
        assert name == f"scan.sharp.{ending}"
        assert np.abs(pixels_of(saved).astype(int) - INVERTED).max() <= 2
    assert len(runs) == done


def test_squares_are_seen_through_what_is_transparent(serve, visit, photo) -> None:
    seen = visit(serve(function=lambda batch: batch))
    seen.give(("logo.png", photo((200, 40, 40, 0))))
    seen.wait_until_sharp()
    for strength in (1, 0.5, 1.5):
        seen.set_range("#strength", strength)
        colors = {tuple(color) for color in np.unique(seen.picture(SIZE).reshape(-1, 3), axis=0)}
        assert colors == {(0x8B,) * 3, (0xA3,) * 3}


def test_the_loupe_shows_both_sides_of_a_point(shared, visit, photo) -> None:
    seen = visit(shared)
    seen.give(("a.png", photo(GREY)))
    seen.wait_until_sharp()
    seen.page.click("#loupe-toggle")
    stage = seen.page.locator("#stage").bounding_box()
    seen.page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
    seen.settle()
    colors = seen.page.evaluate(
        """() => {
            const loupe = document.getElementById('loupe');
            const read = (x) => [...loupe.getContext('2d').getImageData(x, loupe.height / 2, 1, 1).data].slice(0, 3);
            return [read(loupe.width / 4), read(loupe.width * 3 / 4)];
        }"""
    )
    assert [tuple(color) for color in colors] == [GREY, INVERTED]
    seen.page.click("#loupe-toggle")
    assert not seen.page.is_visible("#loupe")


def test_a_name_with_markup_is_text(shared, visit, photo) -> None:
    seen = visit(shared)
    name = "<img src=x onerror=alert(1)>&amp;.png"
    seen.give((name, photo(GREY)))
    seen.wait_until_sharp()
    assert seen.page.inner_text("#picture-name") == name
    assert seen.complaints == []


def test_a_run_is_cancelled_and_tried_again(serve, gate, visit, photo) -> None:
    served = serve(function=gate)
    seen = visit(served)
    seen.give(("a.png", photo(GREY)))
    gate.wait_until_begun()
    seen.wait_for("#working")
    seen.page.click("#cancel")
    seen.wait_for("#failed")
    assert seen.page.inner_text("#failed-words") == "Cancelled."
    gate.is_open.set()
    seen.page.click("#retry")
    seen.wait_until_sharp()


def test_a_photo_that_is_cancelled_as_the_server_takes_it_is_forgotten_there(serve, visit, photo, until) -> None:
    served = serve()
    taken, answered = threading.Event(), threading.Event()
    submit = served.service.submit

    async def late(*arguments: Any, **options: Any) -> Any:
        made = await submit(*arguments, **options)
        taken.set()
        await asyncio.to_thread(answered.wait, 60)
        return made

    served.service.submit = late
    seen = visit(served)
    seen.give(("a.png", photo(GREY)))
    until(taken.is_set)
    seen.page.wait_for_timeout(200)  # so long does the browser take to know that all is sent
    seen.page.click("#cancel")
    seen.wait_for("#failed")
    answered.set()
    until(lambda: not left_on(served))


def left_on(served) -> set[str]:
    """Return the names of the files that a server has of pictures."""
    return {path.name for part in ("uploads", "results", "passing") for path in (served.folder / part).iterdir()}


def test_results_do_not_stay_on_the_server(serve, visit, photo, until) -> None:
    """Of a photo that is closed nothing stays there; the page still has its result."""
    served = serve()
    seen = visit(served)
    seen.give(("a.png", photo(GREY)))
    seen.wait_until_sharp()
    seen.page.click(".thumb-remove")
    until(lambda: not left_on(served))
    seen.page.click("#history-open")
    name, saved = seen.download("#history-list [aria-label^=Download]")
    assert name == "a.sharp.png"
    assert (pixels_of(saved) == INVERTED).all()


def test_a_result_goes_from_the_server_when_another_is_made_of_the_photo(serve, several, visit, photo, until) -> None:
    served = serve(models=several)
    seen = visit(served)
    seen.give(("a.png", photo(GREY)))
    seen.wait_until_sharp()
    first = left_on(served)
    seen.page.click("label:has(input[value=plain])")
    seen.page.wait_for_function("() => document.querySelector('#history-count').textContent === '2'")
    until(lambda: not left_on(served) & first)
    assert left_on(served), "the one that is looked at may still be asked about"


def test_what_is_worked_on_goes_from_the_server_with_the_page(serve, gate, visit, photo, until) -> None:
    served = serve(function=gate)
    seen = visit(served)
    seen.give(("a.png", photo(GREY)))
    gate.wait_until_begun()
    seen.wait_for("#working:not([hidden])")
    seen.page.wait_for_function("() => document.getElementById('working-words').textContent.includes('%')")
    (job,) = {path.name for path in (served.folder / "uploads").iterdir()}
    seen.page.goto("about:blank")
    served.wait(job, "cancelled")
    gate.is_open.set()
    until(lambda: not left_on(served))


def test_with_the_real_network(serve, visit) -> None:
    from acutance.server.models import ModelSettings, OpenedModels

    served = serve(models=OpenedModels(ModelSettings(names=("auto", "fast"), max_pixels=1_000_000)))
    seen = visit(served)
    seen.page.click("#example")
    seen.wait_until_sharp()
    steps = {}
    for side, share in (("before", 0.95), ("after", 0.05)):
        dragged(seen, share)
        steps[side] = np.abs(np.diff(seen.picture((512, 512)).astype(float), axis=0)).mean()
    assert steps["after"] > 1.1 * steps["before"], "sharper"
    _, saved = seen.download("#save")
    assert pixels_of(saved).shape == (512, 512, 3)
    assert seen.page.locator("input[name=model]").first.get_attribute("value") == "auto"
    assert seen.page.is_checked("input[name=model][value=auto]")
    found = seen.page.inner_text("#picture-found")
    assert found.startswith("Soft by about σ = 1.8 px: sharpened. ")
    assert "of it changed, all over; edges 1." in found
    assert seen.complaints == []
