"""Clips of plates: where the plate is in each frame, and who says what of it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the extra video")

from acutance.data.protocol import degrade
from acutance.errors import ConfigError
from acutance.evaluation.recognition.clips import CCTV_SIZE, FRAMES, film, filmed, recognise_clips
from acutance.evaluation.recognition.items import Kind
from acutance.evaluation.recognition.judges import Judge, Reading

CLIPS = Kind(name="clips", size_px=9.0)


def likeness(one, other):
    a, b = (picture.astype(np.float64).mean(axis=2) for picture in (one, other))
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


@pytest.fixture(scope="module")
def clip(artist, tmp_path_factory):
    return filmed(artist, CLIPS, 1, film("gauss-1-n4"), tmp_path_factory.mktemp("clip") / "a.mkv")


def test_the_plate_is_where_its_boxes_say(clip):
    sharp = clip.plate.item.sharp[clip.plate.box.slices]
    assert len(clip.frames) == len(clip.boxes) == FRAMES
    assert len(set(clip.boxes)) > FRAMES // 2  # it wanders
    assert all(likeness(frame[box.slices], sharp) > 0.65 for frame, box in zip(clip.frames, clip.boxes, strict=True))
    off = [box.shifted(-4, -4) for box in clip.boxes]
    assert all(likeness(frame[box.slices], sharp) < 0.3 for frame, box in zip(clip.frames, off, strict=True))


def test_the_middle_frame_is_blurred_as_a_picture_is(artist, tmp_path):
    how = film("gauss-2")
    clip = filmed(artist, CLIPS, 2, how, tmp_path / "a.mkv")
    item = clip.plate.item
    blurred = degrade(item.sharp, how.row, index=2)
    here = item.box.slices
    assert np.abs(clip.frames[FRAMES // 2][here].astype(int) - blurred[here]).max() <= 1


def test_cctv_is_interlaced_and_lossy(artist, tmp_path):
    clip = filmed(artist, CLIPS, 1, film("cctv-gauss-1-n4"), tmp_path / "a.mkv")
    assert clip.frames[0].shape[:2] == CCTV_SIZE
    # Odd rows are of another moment: by themselves, each field is smoother from row to row than the frame is.
    frame = clip.frames[3][clip.boxes[3].slices].astype(int)
    assert np.abs(np.diff(frame, axis=0)).mean() > 0.8 * np.abs(np.diff(frame[::2], axis=0)).mean()
    import av

    with av.open(str(tmp_path / "a.mkv")) as container:
        assert container.streams.video[0].average_rate == 12
        assert all(one.interlaced_frame for one in container.decode(video=0))


@pytest.mark.parametrize("text", ["gauss-2-q50", "cctv-gauss-2-q50", "cctv", "vhs-gauss-2"])
def test_what_is_no_film_is_refused(text):
    with pytest.raises(ConfigError, match="row"):
        film(text)


def test_every_column_says_what_it_is(artist):
    calls = []

    def read(pictures, kind):
        """Read the still right, frames 3 to 6 as one wrong text, and frame 20 right, but not surely."""
        assert kind == "clips"
        calls.append(len(pictures))
        truth = artist.plate(0, CLIPS.size_px).text
        readings = [Reading("", 0.2)] * FRAMES
        readings[3:7] = [Reading("WRONG", 0.5)] * 4
        readings[8] = Reading("SURE", 0.9)
        readings[20] = Reading(truth, 0.3)
        return [*readings, Reading(truth, 0.8)]

    judge = Judge("oracle", frozenset({"clips"}), read)
    found = recognise_clips([CLIPS], [film("gauss-1-n4")], [], [judge], count=1, artist=artist)
    assert calls == [FRAMES + 1]
    texts = {one.restorer: one.text for one in found.readings}
    truth = artist.plate(0, CLIPS.size_px).text
    assert texts == {
        "input, middle frame": "",
        "input, best frame": "SURE",
        "input, most frequent": "WRONG",
        "input, any frame": truth,
        "input, still": truth,
    }
