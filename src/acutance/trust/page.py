"""A record as a page to read: before, after, what is a guess, what the evidence does not carry, the kernel.

One HTML file without scripts of its own, with all pictures inside; the record itself lies in it, too, so `acutance
verify` takes the page for the record.
"""

from __future__ import annotations

import base64
import html
import io
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.media import Photo
from acutance.trust.consistency import Consistency
from acutance.trust.guesses import GUESS_LEVELS, GuessMap, heat
from acutance.trust.questioning import Pair
from acutance.trust.record import PAGE_END, PAGE_START, Record, page_hash, page_with

SHOWN_PX: Final = 1200
"""Pictures are shown with at most so many px a side; the record has the hashes of the whole ones."""
_KERNEL_PX: Final = 240

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --faint: #6b6b70; --line: #d8d8dc; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececee; --paper: #18181a; --faint: #a0a0a6; --line: #3a3a3e; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(34rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; } img { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--faint); font-size: .9rem; margin-top: .3rem; }
img.kernel { image-rendering: pixelated; background: #000; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 500; white-space: nowrap; }
th, td { border-top: 1px solid var(--line); padding: .3rem .8rem .3rem 0; vertical-align: top; }
td { overflow-wrap: anywhere; } code { font-size: .85rem; }
"""


def record_page(record: Record, pair: Pair | None, *, guesses: GuessMap | None, consistency: Consistency | None) -> str:
    """Write a record as a page.

    Args:
        record: The record; its page's hash is put in.
        pair: The pictures; None where there are several in the file, which are not shown.
        guesses: The map.
        consistency: What came of blurring the result again.

    Returns:
        The page, which holds the record.
    """
    figures = [] if pair is None else _figures(pair, guesses, consistency)
    rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{value}</td></tr>" for name, value in _rows(record) if value)
    title = html.escape(f"{record.result.name}: how it was made")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<div class="pictures">{"".join(figures)}</div>
<h2>The record</h2>
<table>{rows}</table>
<p>Anyone who has the input and acutance can check this: <code>acutance verify</code> compares the hashes and makes the
result again. The record's own hash finds damage and careless edits; it is not a signature.</p>
{PAGE_START}{PAGE_END}
</body>
</html>
"""
    return page_with(replace(record, page_sha256=page_hash(page)), page)


def _figures(pair: Pair, guesses: GuessMap | None, consistency: Consistency | None) -> list[str]:
    figures = [
        _figure(_photo_uri(pair.before), "before", "Before"),
        _figure(_photo_uri(pair.after), "after", "After"),
    ]
    if guesses is not None:
        words = (
            f"The map of guesses: how far each pixel may be off, black for certain, yellow for 96 levels of 255 and "
            f"more. {guesses}."
        )
        figures.append(_figure(_uri(Image.fromarray(guesses.picture)), "map of guesses", words))
    if consistency is not None:
        words = f"Consistency: what the evidence does not carry, on the same scale. {_capital(str(consistency))}."
        figures.append(_figure(_uri(Image.fromarray(heat(consistency.picture))), "consistency", words))
        known = "that was undone" if consistency.is_exact else "that explains the input from the result, fitted"
        words = f"The kernel {known}; {len(consistency.kernel)}×{len(consistency.kernel)} px, enlarged."
        figures.append(_figure(_kernel_uri(consistency.kernel), "kernel", words, "kernel"))
    return figures


def _rows(record: Record) -> list[tuple[str, str]]:
    told, guesses = record.consistency, record.guesses
    settings = record.settings
    corrected = ", corrected by back-projection" if settings.back_projection else ""
    ensemble = f", mean of {settings.ensemble} orientations" if settings.ensemble > 1 else ""
    rows = [
        ("Input", _file(record.source.name, record.source.bytes, record.source.sha256)),
        ("Result", _file(record.result.name, record.result.bytes, record.result.sha256)),
        ("Size", f"{record.width}×{record.height} px"),
        ("Model", f"{html.escape(record.model.name)} ({record.model.task})"),
        *(("Weights", _file(file.name, file.bytes, file.sha256)) for file in record.model.files),
        ("Settings", f"strength {settings.strength:g}, fidelity {settings.fidelity:g}{ensemble}{corrected}"),
        ("Signed by", settings.signed_by and f"the certificate with SHA-256 {settings.signed_by[:16]}… (C2PA)"),
        ("Computed by", html.escape(f"{settings.engine} in {settings.precision} on {record.machine.processor}")),
        ("Found", html.escape("; ".join((*record.found, *([f"estimated: {record.blur}"] if record.blur else []))))),
        ("Noise", "" if record.noise_levels is None else f"{record.noise_levels:.1f} levels of 255"),
    ]
    if told is not None:
        rows.append(
            (
                "Consistency",
                f"{100 * told.uncarried:.0f} % of the change is not carried by the evidence: "
                f"{100 * told.contradicted:.0f} % contradicted, {100 * told.unsupported:.0f} % finer than it shows "
                f"({'exact' if told.is_exact else 'an estimate'})",
            )
        )
    if guesses is not None:
        kind = "calibrated" if guesses.is_calibrated else "not calibrated for this model"
        rows.append(
            (
                "Guesses",
                f"{100 * guesses.share:.1f} % of the pixels may be off by {GUESS_LEVELS:.0f} levels or more; half are "
                f"within {guesses.median_levels:.0f} levels ({kind})",
            )
        )
    rows += [
        ("Not kept", html.escape(", ".join(record.lost))),
        ("Time", html.escape(", ".join(f"{name} {value:.1f} s" for name, value in record.seconds.items()))),
        ("Made", html.escape(record.made)),
        ("Versions", html.escape(_versions(record))),
    ]
    return rows


def _versions(record: Record) -> str:
    machine = record.machine
    packages = ", ".join(f"{name} {found}" for name, found in machine.packages.items())
    return f"acutance {machine.acutance}, Python {machine.python}, {packages}; {machine.system}"


def _file(name: str, size_bytes: int, sha256: str) -> str:
    return f"{html.escape(name)}, {size_bytes:,} bytes<br><code>SHA-256 {sha256}</code>"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _figure(uri: str, alt: str, words: str, kind: str = "") -> str:
    return f'<figure><img class="{kind}" alt="{alt}" src="{uri}"><figcaption>{html.escape(words)}</figcaption></figure>'


def _photo_uri(pixels: npt.NDArray[np.uint8 | np.uint16]) -> str:
    colours = np.broadcast_to(Photo(pixels=np.ascontiguousarray(pixels)).in_8_bits().pixels, (*pixels.shape[:2], 3))
    return _uri(Image.fromarray(np.ascontiguousarray(colours)), quality=90)


def _uri(picture: Image.Image, quality: int = 85) -> str:
    picture.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.LANCZOS)
    return _coded(picture, "JPEG", quality=quality)


def _kernel_uri(psf: npt.NDArray[np.float64]) -> str:
    share = np.clip(psf / max(float(psf.max()), 1e-12), 0, 1)
    picture = Image.fromarray(np.rint(255 * np.sqrt(share)).astype(np.uint8))
    side = len(psf) * max(_KERNEL_PX // len(psf), 1)
    return _coded(picture.resize((side, side), Image.Resampling.NEAREST), "PNG")


def _coded(picture: Image.Image, kind: str, **options: int) -> str:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
