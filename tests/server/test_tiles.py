"""Tiles of a picture that somebody looks at: what is in view first, each where it belongs, and the result as ever."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.geometry import Box, Size
from acutance.inference.sharpener import Sharpener
from acutance.media.photo import turned
from acutance.server import tiles
from acutance.server.refusals import Refused


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_turned_as_pixels_are(orientation: int) -> None:
    box, size = Box(2, 1, 5, 3), Size(7, 11)
    marked = np.zeros(size, np.uint8)
    marked[box.slices] = 1
    expected = np.zeros_like(turned(marked, orientation))
    expected[tiles.upright(box, size, orientation).slices] = 1
    np.testing.assert_array_equal(turned(marked, orientation), expected)


def test_what_is_seen_comes_first_and_the_middle_of_it_before_all(tmp_path: Path) -> None:
    writer = tiles.TileWriter(tmp_path / "job", Size(40, 60), orientation=1, icc_profile=None)
    boxes = [Box(top, left, top + 20, left + 20) for top in (0, 20) for left in (0, 20, 40)]
    assert writer.next_of(boxes) == 0, "nobody looks"
    tiles.look(tmp_path / "job", Box(22, 25, 40, 60))
    assert writer.next_of(boxes) == 5
    left = boxes[:5]
    assert writer.next_of(left) == 4
    tiles.look(tmp_path / "job", None)
    assert writer.next_of(left) == 0


def test_tiles_lie_where_they_belong_and_the_result_is_the_same(tmp_path: Path) -> None:
    """Each tile shows what the result has there, whatever its orientation; the result does not depend on who looks."""
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((900, 600), Image.Resampling.BICUBIC))
    folder = tmp_path / "job"
    tiles.look(folder, Box(500, 500, 600, 700))
    sharpener = Sharpener(engine=FakeEngine(lambda batch: 1.0 - batch), tile_px=512, max_pixels=10**6)
    writer = tiles.TileWriter(folder, Size(600, 900), orientation=6, icc_profile=None)
    result = sharpener.watched(writer).sharpen_pixels(pixels)
    np.testing.assert_array_equal(result, sharpener.sharpen_pixels(pixels))
    upright = turned(result, 6)
    made = tiles.tiles_in(folder)
    covered = np.zeros(upright.shape[:2], int)
    for tile in made:
        assert tile.size == upright.shape[:2]
        covered[tile.box.slices] += 1
        seen = np.asarray(Image.open(io.BytesIO(tiles.read_tile(folder, tile.name))))
        assert np.abs(seen.astype(int) - upright[tile.box.slices]).mean() < 4
    assert (covered == 1).all()


def test_the_first_tile_is_small(tmp_path: Path) -> None:
    engine = FakeEngine(lambda batch: batch, FAKE_SPEC)
    pixels = np.zeros((1100, 1100, 3), np.uint8)
    sharpener = Sharpener(engine=engine, tile_px=1024, max_pixels=10**7)
    writer = tiles.TileWriter(tmp_path / "job", Size(1100, 1100), orientation=1, icc_profile=None)
    sharpener.watched(writer).sharpen_pixels(pixels)
    alone = list(engine.sizes)
    engine.sizes.clear()
    tiles.look(tmp_path / "job", None)
    sharpener.watched(writer).sharpen_pixels(pixels)
    assert engine.sizes[0][0] * engine.sizes[0][1] <= 0.35 * alone[0][0] * alone[0][1]


@pytest.mark.parametrize("name", ["view", "../x", "0_0_9_9_9_9.png", "0_0_9_9_9.jpg", "0_0_9_9_9_9.jpg"])
def test_nothing_but_tiles_is_read(tmp_path: Path, name: str) -> None:
    tiles.look(tmp_path / "job", None)
    with pytest.raises(Refused, match="no such tile"):
        tiles.read_tile(tmp_path / "job", name)


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs O_NOFOLLOW")
def test_a_link_that_a_worker_made_is_not_followed(tmp_path: Path) -> None:
    tiles.look(tmp_path / "job", None)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "job" / "0_0_9_9_9_9.jpg").symlink_to(tmp_path / "secret")
    with pytest.raises(Refused):
        tiles.read_tile(tmp_path / "job", "0_0_9_9_9_9.jpg")


def test_a_job_that_is_looked_at_shows_its_tiles_until_it_is_over(serve, gate, picture, until) -> None:
    served = serve(function=gate)
    content = picture(1000, 2600)
    job = served.post(content, "/v1/jobs").json["id"]
    gate.wait_until_begun()
    assert served.job(job)["tiles"] == []
    looked = served.ask("PUT", f"/v1/jobs/{job}/view?box=0,0,2600,1000")
    assert looked.status == 200
    gate.is_open.set()
    seen = until(lambda: found if (found := served.job(job))["tiles"] or found["state"] != "running" else None)
    served.wait(job, "done")
    assert served.job(job)["tiles"] == []
    until(lambda: not (served.folder / "tiles" / job).exists())  # removed a moment after the job is done
    if seen["tiles"]:
        assert seen["tiles"][0]["result_width"] == 2600


def test_looking_at_a_job_that_is_over_leaves_nothing(shared, picture) -> None:
    job = shared.post(picture(), "/v1/jobs").json["id"]
    shared.wait(job, "done")
    assert shared.ask("PUT", f"/v1/jobs/{job}/view").json["state"] == "done"
    assert not (shared.folder / "tiles" / job).exists()
    assert shared.ask("GET", f"/v1/jobs/{job}/tiles/0_0_9_9_9_9.jpg").status == 404


@pytest.mark.parametrize("box", ["", "1,2,3", "-1,0,5,5", "a", "1,2,3,4,5", "1234567890,0,1,1"])
def test_a_box_that_is_none_is_refused(shared, picture, box: str) -> None:
    job = shared.post(picture(), "/v1/jobs").json["id"]
    assert shared.ask("PUT", f"/v1/jobs/{job}/view?box={box}").status == 422


def test_a_job_that_nobody_knows_is_not_looked_at(shared) -> None:
    assert shared.ask("PUT", f"/v1/jobs/{'0' * 32}/view").status == 404
    assert shared.ask("PUT", "/v1/jobs/..%2Fx/view").status == 404


def test_many_may_look_at_once(tmp_path: Path) -> None:
    """Nobody is told of a failure because somebody else looked in the same moment, or the job was over."""
    folder = tmp_path / "job"
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda number: tiles.look(folder, Box(0, 0, number, number)), range(200)):
            pass
        assert [path.name for path in folder.iterdir()] == ["view"]
        removals = pool.submit(lambda: [tiles.remove_tiles(folder) for _ in range(200)])
        for _ in pool.map(lambda number: tiles.look(folder, None), range(200)):
            pass
        removals.result()


def test_no_more_tiles_are_told_of_than_a_picture_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "MOST_TILES", 3)
    for number in range(9):
        (tmp_path / f"{number}_0_9_9_9_9.jpg").touch()
    assert len(tiles.tiles_in(tmp_path)) == 3
