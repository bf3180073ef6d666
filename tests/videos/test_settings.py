from __future__ import annotations

import math

import pytest

from acutance.errors import ConfigError
from acutance.videos import VideoSettings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"codec": "divx"}, "codec 'divx': unknown; there are auto, h264"),
        ({"quality": "best"}, "quality 'best': unknown; there are lossless, high"),
        ({"quality": 64}, "quality = 64"),
        ({"quality": -1}, "quality = -1"),
        ({"from_s": -1}, "from = -1 s"),
        ({"from_s": math.nan}, "from = nan s"),
        ({"from_s": 3, "to_s": 3}, "to = 3 s: must lie behind the start, 3 s"),
        ({"to_s": 0}, "to = 0 s"),
        ({"to_s": math.inf}, "to = inf s: must be a moment of the video"),
        ({"smoothing": 1.0}, "smoothing = 1.0"),
    ],
)
def test_what_is_out_of_range_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        VideoSettings(**settings)


def test_a_preview_is_recognised():
    assert not VideoSettings().is_preview
    assert VideoSettings(from_s=1).is_preview
    assert VideoSettings(to_s=1).is_preview
