from __future__ import annotations

from pathlib import PurePath

import pytest

from acutance.errors import ConfigError
from acutance.media.patterns import PathFilter


@pytest.mark.parametrize(
    ("pattern", "taken", "left"),
    [
        ("*.jpg", ["a.jpg", "A.JPG", "sub/deep/b.jpg"], ["a.png", "a.jpg.png"]),
        ("raw", ["raw/a.jpg", "sub/RAW/deep/a.jpg", "raw"], ["raw2/a.jpg", "rawa.jpg"]),
        ("raw/", ["raw/a.jpg", "sub/raw/a.jpg"], ["sub/a.jpg"]),
        ("/raw", ["raw/a.jpg"], ["sub/raw/a.jpg"]),
        ("day1/*.jpg", ["day1/a.jpg"], ["day1/sub/a.jpg", "sub/day1/a.jpg", "a.jpg"]),
        ("day1/**/*.jpg", ["day1/a.jpg", "day1/sub/deep/a.jpg"], ["sub/day1/a.jpg", "day1/a.png"]),
        ("**/day1/*.jpg", ["day1/a.jpg", "sub/deep/day1/a.jpg"], ["day1/sub/a.jpg"]),
        ("day?/**", ["day1/a.jpg", "day2/sub/a.jpg"], ["day10/a.jpg", "a.jpg"]),
        ("IMG_[0-3]*", ["IMG_1.jpg", "img_22.png"], ["IMG_9.jpg"]),
        ("IMG_[!0-3]*", ["IMG_9.jpg"], ["IMG_1.jpg"]),
        ("[odd", ["[odd"], ["odd"]),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}*", ["cafe\N{COMBINING ACUTE ACCENT}.jpg", "CAFÉ.jpg"], ["cafe.jpg"]),
        ("./day1/*.jpg", ["day1/a.jpg"], ["a.jpg"]),
    ],
)
def test_patterns(pattern, taken, left):
    included, excluded = PathFilter.of([pattern]), PathFilter.of(exclude=[pattern])
    for name in taken:
        assert included.keeps(PurePath(name)), name
        assert not excluded.keeps(PurePath(name)), name
    for name in left:
        assert not included.keeps(PurePath(name)), name
        assert excluded.keeps(PurePath(name)), name


def test_what_is_excluded_is_out_even_if_it_is_included():
    both = PathFilter.of(["*.jpg", "*.png"], ["draft*", "old"])
    kept = ["a.jpg", "b.png", "c.tif", "draft1.jpg", "old/a.jpg"]
    assert [name for name in kept if both.keeps(PurePath(name))] == ["a.jpg", "b.png"]
    assert both.leaves_out(PurePath("sub/old"))
    assert not both.leaves_out(PurePath("sub"))


def test_a_filter_without_patterns_keeps_all():
    assert PathFilter.of().keeps(PurePath("any/thing"))
    assert PathFilter.of().words == ""


def test_names_that_are_not_utf8_can_be_matched():
    assert PathFilter.of(["caf*"]).keeps(PurePath("caf\udce9.jpg"))


@pytest.mark.parametrize("pattern", ["", "/", "./"])
def test_a_pattern_that_says_nothing_is_refused(pattern):
    with pytest.raises(ConfigError, match="says nothing"):
        PathFilter.of(exclude=[pattern])
