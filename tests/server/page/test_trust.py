"""What may be wrong in a result: seen over it, said in words, saved as a report that fits the download."""

from __future__ import annotations

import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from acutance.server.limits import Limits
from acutance.trust.record import record_of

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SIZE = (48, 64)


def noise() -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def files_left(served) -> list[str]:
    """Return what of jobs still lies on the server."""
    kept = ("uploads", "results", "maps", "records", "pages")
    return [path.name for part in kept for path in (served.folder / part).iterdir()]


def until_words(seen, words: str) -> None:
    seen.page.wait_for_function(
        "words => document.getElementById('trust-words').textContent.includes(words)", arg=words
    )
    seen.settle()


def test_it_is_seen_said_and_saved(serve, visit, until) -> None:
    served = serve(limits=Limits(min_free_bytes=0, drain_s=5))
    seen = visit(served)
    seen.give(("a.png", noise()))
    seen.wait_until_sharp()
    assert files_left(served), "kept until somebody asks"
    seen.page.click("#zoom-one")
    plain = seen.picture(SIZE)
    seen.page.focus("#stage")
    seen.page.keyboard.press("w")
    until_words(seen, "is a guess")
    assert "does not carry" in seen.page.inner_text("#trust-words")
    assert "not measured for this model" in seen.page.inner_text("#trust-words"), "a network of no table"
    assert seen.page.get_attribute("#guesses-toggle", "aria-pressed") == "true"
    laid = seen.picture(SIZE)
    half = SIZE[1] // 2
    np.testing.assert_array_equal(laid[:, : half - 1], plain[:, : half - 1])
    after = (slice(None), slice(half + 1, None))
    assert np.abs(laid[after].astype(int) - plain[after]).mean() > 5
    seen.set_range("#trust-opacity", 0.1)
    faint = seen.picture(SIZE)
    changes = [np.abs(shown[after].astype(int) - plain[after]).mean() for shown in (faint, laid)]
    assert 0 < changes[0] < changes[1]
    seen.page.uncheck("#trust-show")
    np.testing.assert_array_equal(seen.picture(SIZE), plain)
    until(lambda: not files_left(served))
    name, told = seen.download("#report-json")
    saved, content = seen.download("#save")
    assert (name, saved) == ("a.sharp.png.json", "a.sharp.png")
    record = record_of(told.decode())
    assert record.result.sha256 == hashlib.sha256(content).hexdigest()
    assert record.source.sha256 == hashlib.sha256(noise()).hexdigest()
    name, page = seen.download("#report-html")
    assert name == "a.sharp.png.html"
    assert record_of(page.decode()).result == record.result
    # A report is of one file: at another strength it comes with it.
    seen.set_range("#strength", 0.5)
    until_words(seen, "strength 100 %")
    name, packed = seen.download("#report-json")
    assert name == "a.sharp.png.zip"
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        other = record_of(archive.read("a.sharp.png.json").decode())
        assert other.result.sha256 == hashlib.sha256(archive.read("a.sharp.png")).hexdigest() != record.result.sha256
        assert other.settings.strength == 0.5
    until(lambda: not files_left(served))
    assert seen.complaints == []


def test_what_the_server_has_forgotten_is_made_again(serve, visit) -> None:
    served = serve()
    seen = visit(served)
    seen.give(("a.png", noise()))
    seen.wait_until_sharp()
    (job,) = {name for name in files_left(served)}
    assert served.ask("DELETE", f"/v1/jobs/{job}").status == 200
    seen.page.click("#trust summary")
    until_words(seen, "is a guess")
    assert not seen.page.is_checked("#trust-show"), "said, and not shown before somebody wants it"


def test_the_server_forgets_when_the_page_is_left(serve, visit, until) -> None:
    served = serve()
    seen = visit(served)
    seen.give(("a.png", noise()))
    seen.wait_until_sharp()
    assert files_left(served)
    seen.page.goto("about:blank")
    until(lambda: not files_left(served))


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_in_chinese_and_of_a_part(shared, visit, options) -> None:
    seen = visit(shared, locale="zh-CN", **options)
    seen.give(("a.png", noise()))
    seen.wait_until_sharp()
    seen.page.click("#guesses-toggle")
    until_words(seen, "画面是猜测")
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    seen.page.click("#known summary")
    for side, value in (("x", 8), ("y", 8), ("width", 24), ("height", 16)):
        seen.page.fill(f"#region-{side}", str(value))
    seen.page.click("#known-apply")
    until_words(seen, "不提供此项")
    assert seen.page.is_disabled("#guesses-toggle")
