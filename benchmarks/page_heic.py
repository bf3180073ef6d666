"""A 12-megapixel HEIC on the page, in a real browser: preview, first sharpened tile in view, result, download.

`acutance serve` runs as a user starts it, Chromium opens its page and is given the file. Times count from the moment
that the page has the file. Beside them stands how much processor time the server and its workers took until then, which
other load on the machine changes little. The download is that of the button, at strength 1: HEIC again; what the server
was asked for says whether a network ran for it.

Needs the extras `dev` and `heif`, and Debian's Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import time
from pathlib import Path

import pillow_heif
from large_photos import write_photo
from PIL import Image, ImageFilter
from playwright.sync_api import Page, Request, sync_playwright
from server_load import family, served

HEIGHT, WIDTH = 3024, 4032
BLUR_PX = 1.6
QUALITY = 60
CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 300_000


def write_heic(path: Path) -> None:
    """Write a made-up photo, softened, as a HEIC."""
    with tempfile.TemporaryDirectory() as folder:
        jpeg = Path(folder) / "photo.jpg"
        write_photo(jpeg, height=HEIGHT, width=WIDTH)
        soft = Image.open(jpeg).filter(ImageFilter.GaussianBlur(BLUR_PX))
    pillow_heif.from_pillow(soft).save(path, quality=QUALITY)


def processor_s(process: int) -> float:
    """Return the processor time that a process and all that it has started took, those that have ended included."""
    ticks = 0
    for one in family(process):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def visit(page: Page, port: int, pid: int, photo: Path) -> None:
    """Give the page the photo, and print when what was seen."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            asked.append(request.url.partition("/v1/")[2])

    page.on("request", note)
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("html[data-ready]", timeout=PATIENCE_MS)
    start, before = time.monotonic(), processor_s(pid)
    page.locator("#files").set_input_files(str(photo))

    def seen(what: str, promised: str = "") -> None:
        print(f"{what:24} {time.monotonic() - start:6.2f} s   {processor_s(pid) - before:6.2f} CPU s   {promised}")

    page.wait_for_function("() => document.getElementById('zoom-level').textContent !== ''", timeout=PATIENCE_MS)
    seen("preview", "(in 1 s)")
    page.wait_for_selector(".stage.is-growing", timeout=PATIENCE_MS)
    seen("first tiles in view", "(in 3 s)")
    page.wait_for_selector(".thumb[data-state=done]", timeout=PATIENCE_MS)
    page.wait_for_selector(".stage.has-both:not(.is-growing)", timeout=PATIENCE_MS)
    seen("result")
    with page.expect_download(timeout=PATIENCE_MS) as waiting:
        page.click("#save")
    content = Path(waiting.value.path()).read_bytes()
    seen("download")
    print(f"downloaded {waiting.value.suggested_filename}: {len(content)} bytes")
    print("asked for:", *asked, sep="\n  ")
    size = pillow_heif.open_heif(io.BytesIO(content)).size
    assert size == (WIDTH, HEIGHT), size


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, help="a HEIC of 4032×3024 px; made where it is missing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = given.photo or Path(folder) / "photo.heic"
        if not photo.exists():
            write_heic(photo)
        with served(Path(folder), "--model", "auto") as (port, pid), sync_playwright() as starter:
            browser = starter.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.wait_for_timeout(3000)  # until the worker has opened its engine, as that of a server that runs
            visit(page, port, pid, photo)
            browser.close()


if __name__ == "__main__":
    main()
