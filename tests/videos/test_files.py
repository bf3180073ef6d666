"""Several videos: each is told, none stops the rest."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from acutance.engines.fake import FakeEngine
from acutance.inference.journal import ResultKey
from acutance.inference.ledger import Ledger
from acutance.inference.sharpener import Sharpener
from acutance.media import plan_outputs
from acutance.videos import VideoSettings
from acutance.videos.files import sharpen_videos, video_key

KEY = ResultKey(model="fake", weights_sha256="", scale=1, strength=1.0, fidelity=1.0, precision="auto")


@pytest.fixture
def plan(make, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.mkv", "c.mkv"):
        make(name).rename(folder / name)
    (folder / "b.mkv").write_bytes(b"\x1a\x45\xdf\xa3 but broken")
    return plan_outputs([folder], tmp_path / "out")


def test_one_bad_video_does_not_stop_the_rest(plan, keeper):
    told = []
    results = list(
        sharpen_videos(keeper, plan, progress=lambda file, done: told.append((file.source.name, done.frames)))
    )
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert "its beginning or index is damaged" in results[1].error
    assert [result.target.exists() for result in results] == [True, False, True]
    assert told == [(name, frame) for name in ("a.mkv", "c.mkv") for frame in (1, 2, 3, 4)]
    assert results[0].facts == "4 frames of 64×48, FFV1"
    assert (results[0].notes, results[0].megapixels) == ((), 4 * 64 * 48 / 1e6)


def test_the_time_of_a_video_is_kept_when_that_is_wanted(plan, keeper):
    os.utime(plan[0].source, (1_000, 2_000))
    first, *_ = sharpen_videos(keeper, plan[:1], keep_times=True)
    assert first.target.stat().st_mtime == 2_000


def test_it_stops_within_a_video_and_goes_on_there(plan):
    asked = []
    with Sharpener(engine=FakeEngine()) as sharpener:
        arguments = {"resume_key": "", "settings": VideoSettings(codec="ffv1")}
        stopped = sharpen_videos(
            sharpener,
            plan[:1],
            progress=lambda file, done: asked.append(1),
            should_stop=lambda: len(asked) == 2,
            **arguments,
        )
        assert list(stopped) == []
        assert not plan[0].target.exists()
        told = []
        (result,) = sharpen_videos(
            sharpener, plan[:1], progress=lambda file, done: told.append(done.frames), **arguments
        )
    assert told == [3, 4]
    assert result.video.frames == 4
    assert [path.name for path in plan[0].target.parent.iterdir()] == ["a.mkv"]


def test_finished_videos_are_known_by_the_record(plan, keeper):
    def statuses(settings: VideoSettings) -> list[str]:
        ledger = Ledger(replace(KEY, video=video_key(settings)), resume=True)
        return [result.status for result in sharpen_videos(keeper, plan, ledger=ledger, settings=settings)]

    assert statuses(VideoSettings()) == ["done", "failed", "done"]
    assert statuses(VideoSettings()) == ["skipped", "failed", "skipped"]
    assert statuses(VideoSettings(to_s=0.1)) == ["done", "failed", "done"]
    lines = (plan[0].target.parent / ".acutance.jsonl").read_text().splitlines()
    assert [json.loads(line)["target"] for line in lines] == ["a.mkv", "c.mkv"] * 2


def test_other_settings_are_another_key():
    assert video_key(VideoSettings()) != video_key(VideoSettings(codec="ffv1"))
    assert video_key(VideoSettings()) == video_key(VideoSettings())
