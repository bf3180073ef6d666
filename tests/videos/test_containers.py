from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from acutance.errors import OutputError
from acutance.media.video_formats import WRITABLE_VIDEO_SUFFIXES
from acutance.videos.containers import CONTAINERS, container_of
from acutance.videos.opening import sharp_name


def test_what_a_plan_names_can_be_written():
    assert set(CONTAINERS) == WRITABLE_VIDEO_SUFFIXES


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_the_ending_says_the_kind_in_any_case(suffix):
    assert container_of(Path("a" + suffix.upper())) is CONTAINERS[suffix]


@pytest.mark.parametrize("name", ["a", "a.jpg", "a.swf", ".mp4"])
def test_other_endings_are_refused_with_those_there_are(name):
    with pytest.raises(OutputError, match=r"must end in one of \.mp4, "):
        container_of(Path(name))


@pytest.mark.parametrize(
    ("made", "named", "result"),
    [
        ("a.mp4", "a.mp4", "a.sharp.mp4"),
        ("a.mov", "A.MOV", "A.sharp.MOV"),
        ("a.mkv", "a.mp4", "a.sharp.mkv"),
        ("a.mp4", "film", "film.sharp.mp4"),
        ("a.asf", "a.asf", "a.sharp.asf"),
        ("a.vob", "a.vob", "a.sharp.mkv"),
        ("a.ts", "a.m2ts", "a.sharp.m2ts"),
    ],
)
def test_a_result_lies_beside_its_video_with_an_ending_that_is_true(make, made, named, result):
    source = make(
        made,
        codec={".asf": "mpeg4", ".vob": "mpeg2video"}.get(made[1:], "libx264"),
        time_base=Fraction(1, 25),
        times=(0, 1),
    )
    source = source.rename(source.with_name(named))
    assert sharp_name(source) == source.with_name(result)
