"""What was seen and done is said in Chinese on the Chinese page, whatever the library says."""

from __future__ import annotations

import re

import pytest

from acutance.estimation.verdict import BlurVerdict
from acutance.inference import choosing
from acutance.inference.changes import Changes
from acutance.inference.found_blur import size_words
from acutance.inference.told import ToldBlur

SAY = """async (all) => {
    const { findingWords } = await import("/page/js/findings.js");
    return all.map(findingWords);
}"""


def sentences() -> list[str]:
    """Return sentences as the library puts them together, of every kind."""
    seen = [
        *(
            str(BlurVerdict(kind=kind, share=1.0, strength_px=9.0, angle=0.5))
            for kind in ("gaussian", "defocus", "line", "path")
        ),
        "nothing in it shows how blurred it is",
        "too small to tell what blurred it",
        "nearly sharp",
        "grain of 5 levels, soft by about σ = 1.8 px",
        "noise of 14 levels",
        "soft differently over the picture, mostly straight motion of about 9 px along 29°",
        "straight motion that differs over the picture",
    ]
    done = [
        *(words[0] for words in (*choosing._DONE.values(), choosing._LITTLE, choosing._LEFT)),
        *(f"too uncertain to undo, {instead}" for instead in choosing.INSTEAD.values()),
    ]
    told = (ToldBlur.motion(12.5, degrees=30), ToldBlur.defocus(3), ToldBlur.gaussian(2))
    changes = [
        Changes(rms_levels=levels, share=share, where=where, steps=steps)
        for levels, share, where, steps in (
            (0.0, 0.0, "nowhere", 1.0),
            (0.2, 0.1, "all over", 1.0),
            (3.0, 0.41, "all over", 1.4),
            (3.0, 0.001, "mostly in the upper left and in the middle", 1.0),
            (3.0, 0.5, "mostly at the top, on the right and in the lower left", 0.8),
        )
    ]
    return [
        *(f"{one}: {done[index % len(done)]}" for index, one in enumerate(seen)),
        *(f"{seen[0]}: {one}" for one in done),
        *(f"{one.words}, as told: taken out" for one in told),
        f"{seen[2]}, perhaps, but not everywhere or not exactly: left as it is",
        f"{seen[2]}, but not everywhere or not exactly: not taken out, sharpened only",
        f"{seen[2]}: not taken out in the memory allowed, sharpened only",
        *(f"{seen[2]}: {one}{size_words(4)}" for one in done[:3]),
        f"straight motion that differs over the picture: taken out of 62 % of it{size_words(2)}",
        "straight motion that differs over the picture: taken out of 62 % of it",
        f"first frame: {seen[0]}: all frames by model fast",
        f"first frame: {seen[2]}, which is not taken out of moving pictures: all frames by model fast",
        "worked on in strips, which are not looked at: sharpened as a soft picture is",
        *map(str, changes),
        f"practically unchanged: too noisy ({seen[7]})",
        f"practically unchanged: {seen[2]}, which takes model motion",
    ]


@pytest.mark.parametrize("locale", ["zh-CN", "en-GB"])
def test_findings_are_in_the_readers_language(shared, visit, locale: str) -> None:
    seen = visit(shared, locale=locale)
    given = sentences()
    said = seen.page.evaluate(SAY, given)
    if locale == "en-GB":
        assert [words.lower() for words in said] == [f"{words}.".lower() for words in given]
        return
    for english, chinese in zip(given, said, strict=True):
        words = set(re.findall(r"[a-z]{2,}", chinese)) - {"fast", "motion"}
        assert not words, (english, chinese)
        assert set(re.findall(r"\d[\d.]*", english)) <= set(re.findall(r"\d[\d.]*", chinese)), "no number is lost"


def test_what_is_not_known_stays_as_it_came(shared, visit) -> None:
    seen = visit(shared, locale="zh-CN")
    words = "model mine: its tiles are blended; a mostly left thing"
    assert seen.page.evaluate(SAY, [words]) == [f"{words[0].upper()}{words[1:]}."]
