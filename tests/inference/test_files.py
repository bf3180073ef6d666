"""Folders: resumed by the record, several at a time, killed at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acutance.engines.fake import FakeEngine
from acutance.errors import ConfigError
from acutance.imaging.pad import MARGIN_PX
from acutance.inference.files import sharpen_files
from acutance.inference.journal import RECORD_NAME, ResultKey
from acutance.inference.ledger import Ledger
from acutance.inference.picture_files import FileResult
from acutance.inference.sharpener import Sharpener
from acutance.media import PlannedFile, plan_outputs

KEY = ResultKey(model="fake", weights_sha256="ab", scale=1, strength=1.0, fidelity=1.0, precision="auto")
SCRIPT = Path(__file__).with_name("killed_at_every_step.py")

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and signals of POSIX")


@pytest.fixture
def inverter():
    return Sharpener(engine=FakeEngine(lambda batch: 1.0 - batch))


@pytest.fixture
def folder(tmp_path):
    """Three photos, one of them in a folder below."""
    for seed, name in enumerate(("a.png", "b.png", "below/c.png")):
        save(tmp_path / "in" / name, seed)
    return tmp_path


def save(path: Path, seed: int, size: tuple[int, int] = (6, 5)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path


def run(
    sharpener: Sharpener,
    root: Path,
    *,
    key: ResultKey = KEY,
    source: str = "in",
    output: str | None = "out",
    resume: bool = True,
    overwrite: bool = False,
    jobs: int = 1,
) -> dict[str, FileResult]:
    plan = plan_outputs([root / source], root / output if output else None, overwrite=overwrite)
    ledger = Ledger(key, resume=resume)
    results = sharpen_files(sharpener, plan, strength=key.strength, overwrite=overwrite, jobs=jobs, ledger=ledger)
    return {result.source.relative_to(root / source).as_posix(): result for result in results}


def statuses(results: dict[str, FileResult]) -> str:
    """The statuses in the order of the names, as their initials."""
    return "".join(result.status[0] for _, result in sorted(results.items()))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("[!.]*") if path.is_file()}


def identities(folder: Path) -> dict[str, tuple[int, int]]:
    return {name: ((folder / name).stat().st_ino, (folder / name).stat().st_mtime_ns) for name in contents(folder)}


def test_what_is_finished_is_skipped_and_not_touched(inverter, folder):
    assert statuses(run(inverter, folder, resume=False)) == "ddd"
    before = identities(folder / "out")
    assert statuses(run(inverter, folder)) == "sss"
    save(folder / "in" / "new.png", 9)
    (folder / "out" / "b.png").unlink()
    assert statuses(run(inverter, folder)) == "sdsd"
    after = identities(folder / "out")
    assert all(after[name] == before[name] for name in ("a.png", "below/c.png"))


def test_without_resuming_what_is_there_is_not_replaced(inverter, folder):
    run(inverter, folder)
    again = run(inverter, folder, resume=False)
    assert statuses(again) == "fff"
    assert "exists already; if an earlier run made it, resume (--resume, resume=True)" in again["a.png"].error


def test_without_a_record_a_name_proves_nothing(inverter, folder):
    save(folder / "out" / "a.png", 100)
    precious = (folder / "out" / "a.png").read_bytes()
    first = run(inverter, folder)
    assert statuses(first) == "fdd"
    assert "no record says that it was made of this photo" in first["a.png"].error
    assert (folder / "out" / "a.png").read_bytes() == precious
    assert statuses(run(inverter, folder, overwrite=True)) == "dss"
    assert statuses(run(inverter, folder)) == "sss"


def test_a_result_that_somebody_has_changed_is_not_replaced(inverter, folder):
    run(inverter, folder)
    target = folder / "out" / "a.png"
    content = bytearray(target.read_bytes())
    content[-1] ^= 1  # of the same size
    target.write_bytes(content)
    assert statuses(run(inverter, folder)) == "fss"
    target.write_bytes(content[:-4])
    assert statuses(run(inverter, folder)) == "fss"
    assert statuses(run(inverter, folder, overwrite=True)) == "dss"


def test_a_changed_photo_is_sharpened_again_and_a_touched_one_is_not(inverter, folder):
    run(inverter, folder)
    os.utime(folder / "in" / "b.png", (1, 1))
    old = (folder / "out" / "a.png").read_bytes()
    save(folder / "in" / "a.png", 50)
    assert statuses(run(inverter, folder)) == "dss"
    assert (folder / "out" / "a.png").read_bytes() != old
    assert statuses(run(inverter, folder)) == "sss"


def test_a_photo_changed_within_its_size_is_sharpened_again(inverter, folder):
    for name in ("a", "b"):
        (folder / "in" / f"{name}.ppm").write_bytes(b"P6 2 2 255\n" + name.encode() * 12)
    run(inverter, folder)
    (folder / "in" / "a.ppm").write_bytes(b"P6 2 2 255\n" + b"x" * 12)
    os.utime(folder / "in" / "a.ppm", (5, 5))
    assert statuses(run(inverter, folder)) == "sdsss"


@pytest.mark.parametrize(
    "change",
    [
        {"strength": 0.5},
        {"fidelity": 0.5},
        {"precision": "bfloat16"},
        {"model": "other"},
        {"weights_sha256": "cd"},
        {"acutance": "0.0.1"},
    ],
)
def test_other_settings_make_results_again(inverter, folder, change):
    run(inverter, folder)
    other = replace(KEY, **change)
    assert statuses(run(inverter, folder, key=other)) == "ddd"
    assert statuses(run(inverter, folder, key=other)) == "sss"
    assert statuses(run(inverter, folder)) == ("ddd" if "strength" in change else "sss")  # as its bytes are those


def test_the_result_of_another_photo_is_not_replaced(inverter, folder):
    run(inverter, folder)
    save(folder / "other" / "a.png", 60)
    results = run(inverter, folder, source="other")
    assert statuses(results) == "f"
    assert "no record says" in results["a.png"].error


def test_a_folder_that_was_moved_is_still_finished(inverter, folder):
    run(inverter, folder)
    (folder / "in").rename(folder / "photos")
    (folder / "out").rename(folder / "results")
    assert statuses(run(inverter, folder, source="photos", output="results")) == "sss"
    (folder / "album").mkdir()
    (folder / "results" / "below").rename(folder / "album" / "below")
    assert statuses(run(inverter, folder, source="photos/below", output="album/below")) == "s"


def test_photos_replaced_by_their_results_are_not_sharpened_twice(inverter, folder):
    first = run(inverter, folder, output="in", overwrite=True)
    assert statuses(first) == "ddd"
    before = contents(folder / "in")
    save(folder / "in" / "new.png", 9)
    assert statuses(run(inverter, folder, output="in", overwrite=True)) == "sssd"
    assert {name: contents(folder / "in")[name] for name in before} == before
    newer = replace(KEY, acutance="99.0")
    assert statuses(run(inverter, folder, output="in", overwrite=True, key=newer)) == "ssss"
    other = run(inverter, folder, output="in", overwrite=True, key=replace(KEY, strength=0.5))
    assert statuses(other) == "ffff"
    assert "the photo is gone" in other["a.png"].error


def test_results_beside_their_photos_are_resumed(inverter, folder):
    assert statuses(run(inverter, folder, output=None)) == "ddd"
    assert statuses(run(inverter, folder, output=None)) == "sss"
    assert {path.name for path in (folder / "in").iterdir() if path.is_file()} == {
        "a.png", "a.sharp.png", "b.png", "b.sharp.png", RECORD_NAME,
    }  # fmt: skip


def test_a_line_is_written_for_each_result_and_none_without_a_record(inverter, folder):
    run(inverter, folder)
    lines = [json.loads(line) for line in (folder / "out" / RECORD_NAME).read_text().splitlines()]
    assert [(line["source"], line["target"]) for line in lines] == [("../in/a.png", "a.png"), ("../in/b.png", "b.png")]
    plan = plan_outputs([folder / "in"], folder / "bare")
    for ledger in (None, Ledger(KEY, record=False)):
        for result in sharpen_files(inverter, plan, ledger=ledger, overwrite=True):
            assert result.status == "done"
    assert not list((folder / "bare").rglob(RECORD_NAME))


def test_a_line_without_its_result_says_nothing(inverter, folder):
    """The process was killed, or the disk full, after the line and before the name."""
    run(inverter, folder)
    (folder / "out" / "a.png").unlink()
    assert statuses(run(inverter, folder)) == "dss"
    save(folder / "out" / "a.png", 77)
    assert statuses(run(inverter, folder)) == "fss"


def test_an_empty_file_that_only_holds_a_name_is_replaced(inverter, folder):
    run(inverter, folder)
    (folder / "out" / "a.png").write_bytes(b"")
    assert statuses(run(inverter, folder)) == "dss"
    (folder / "out2").mkdir()
    (folder / "out2" / "a.png").write_bytes(b"")  # without a line it may be anybody's
    assert statuses(run(inverter, folder, output="out2")) == "fdd"


def test_a_record_that_cannot_be_written_fails_the_file_and_names_nothing(inverter, folder):
    (folder / "out" / RECORD_NAME).mkdir(parents=True)
    results = run(inverter, folder, resume=False)
    assert statuses(results) == "ffd"
    assert "--no-record" in results["a.png"].error
    assert sorted(path.name for path in (folder / "out").iterdir()) == [RECORD_NAME, "below"]
    save(folder / "out" / "a.png", 0)
    assert "cannot be read" in run(inverter, folder)["a.png"].error


@pytest.mark.parametrize("jobs", [1, 3])
def test_one_bad_file_stops_nothing(folder, jobs):
    def fail_for_the_small(batch):
        height = batch.shape[2] - 2 * MARGIN_PX
        if height < 6:
            raise KeyError("a bug")
        if height > 6:
            raise MemoryError
        return batch

    save(folder / "in" / "bug.png", 0, (4, 4))
    save(folder / "in" / "huge.png", 0, (8, 8))
    (folder / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    (folder / "in" / "empty.jpg").write_bytes(b"")
    results = run(Sharpener(engine=FakeEngine(fail_for_the_small)), folder, jobs=jobs)
    failed = {name: result.error for name, result in results.items() if result.status == "failed"}
    assert set(failed) == {"bug.png", "huge.png", "broken.png", "empty.jpg"}
    assert "unexpected KeyError: 'a bug'. This is a bug" in failed["bug.png"]
    assert "fewer jobs" in failed["huge.png"]
    assert set(contents(folder / "out")) == {"a.png", "b.png", "below/c.png"}


def test_a_bug_can_be_seen_whole(folder, monkeypatch):
    def fail(_):
        raise KeyError("a bug")

    monkeypatch.setenv("ACUTANCE_TRACEBACK", "1")
    with pytest.raises(KeyError, match="a bug"):
        run(Sharpener(engine=FakeEngine(fail)), folder)


def test_results_do_not_depend_on_the_number_of_jobs(inverter, tmp_path):
    for seed in range(20):
        save(tmp_path / "in" / f"{seed % 3}" / f"{seed}.png", seed, (8 + seed, 9))
    run(inverter, tmp_path, output="one")
    run(inverter, tmp_path, output="many", jobs=5)
    assert contents(tmp_path / "one") == contents(tmp_path / "many")
    assert len(contents(tmp_path / "one")) == 20
    assert statuses(run(inverter, tmp_path, output="many", jobs=5)) == "s" * 20


def test_no_more_files_are_in_work_than_jobs(tmp_path):
    busy, most, lock = 0, 0, threading.Lock()

    def slow(batch):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        threading.Event().wait(0.01)
        with lock:
            busy -= 1
        return batch

    for seed in range(12):
        save(tmp_path / "in" / f"{seed}.png", seed)
    run(Sharpener(engine=FakeEngine(slow)), tmp_path, jobs=3)
    assert 1 < most <= 3


def test_jobs_must_be_some(inverter, folder):
    with pytest.raises(ConfigError, match="jobs = 0"):
        run(inverter, folder, jobs=0)


@pytest.mark.parametrize("jobs", [1, 3])
def test_progress_rises_to_one(inverter, folder, jobs):
    shares = []
    plan = plan_outputs([folder / "in"], folder / "out")
    list(sharpen_files(inverter, plan, progress=shares.append, jobs=jobs))
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_stopping_begins_no_other_file(inverter, folder):
    plan = plan_outputs([folder / "in"], folder / "out")
    told = []
    for result in sharpen_files(inverter, plan, should_stop=lambda: bool(told)):
        told.append(result)
    assert len(told) == len(contents(folder / "out")) == 1


def test_a_photo_that_changes_while_it_is_read_fails(folder):
    """Or its record would say that the result was made of what it was not."""
    path = folder / "in" / "a.png"

    class Restless(Ledger):
        def enter(self, file, before, target):
            if file.source == path:
                os.utime(path, (7, 7))
            super().enter(file, before, target)

    sharpener = Sharpener(engine=FakeEngine())
    plan = plan_outputs([folder / "in"], folder / "out")
    results = list(sharpen_files(sharpener, plan, ledger=Restless(KEY)))
    assert [result.status for result in results] == ["failed", "done", "done"]
    assert "changed while it was read" in results[0].error


def test_what_killed_runs_left_is_removed(inverter, folder):
    (folder / "out" / "below").mkdir(parents=True)
    for place in ("out", "out/below"):
        (folder / place / ".acutance-0123456789abcdef.part").write_bytes(b"half")
    run(inverter, folder)
    assert not list(folder.rglob("*.part"))


def test_names_of_any_bytes_are_resumed(inverter, folder):
    names = ["Größe 日本 🙂.png", "caf\udce9.png"] if sys.platform == "linux" else ["Größe 日本 🙂.png"]
    for seed, name in enumerate(names):
        save(folder / "in" / name, seed)
    assert statuses(run(inverter, folder)) == "d" * (3 + len(names))
    assert statuses(run(inverter, folder)) == "s" * (3 + len(names))


def test_paths_as_long_as_the_system_takes_are_worked_on_and_longer_ones_told(inverter, tmp_path):
    name = "x" * 249 + ".png"  # with .sharp, its result has no room beside it
    try:
        save(tmp_path / "in" / ("d" * 200) / ("e" * 200) / name, 1)
    except OSError:
        pytest.skip("the system takes no such paths")
    assert statuses(run(inverter, tmp_path)) == "d"
    beside = run(inverter, tmp_path, output=None)
    assert statuses(beside) == "f"
    assert "the name is too long" in next(iter(beside.values())).error


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told_before_any_work(folder):
    engine = FakeEngine()
    (folder / "out").mkdir(mode=0o500)
    results = run(Sharpener(engine=engine), folder)
    assert statuses(results) == "fff"
    assert "not allowed" in results["a.png"].error
    assert engine.sizes == []


@posix
def test_links_in_a_folder_are_worked_on(inverter, folder):
    save(folder / "elsewhere" / "d.png", 5)
    (folder / "in" / "d.png").symlink_to(folder / "elsewhere" / "d.png")
    (folder / "in" / "dangling.png").symlink_to(folder / "nowhere")
    (folder / "in" / "self.png").symlink_to(folder / "in" / "self.png")
    results = run(inverter, folder)
    assert statuses(results) == "ddddff"
    assert "does not exist" in results["dangling.png"].error
    assert results["self.png"].error
    assert statuses(run(inverter, folder)) == "ssssff"


def test_names_that_the_disk_takes_for_one_are_told(folder, monkeypatch):
    """As on the disks of most cameras; here the plan says so by itself."""
    from acutance.inference import files
    from acutance.media.names import Folding, find_clashes

    targets = folder / "out"
    plan = [PlannedFile(folder / "in/a.png", targets / "a.png"), PlannedFile(folder / "in/b.png", targets / "A.png")]
    monkeypatch.setattr(files, "find_clashes", lambda found: find_clashes(found, probe=lambda _: Folding(True)))
    first, second = sharpen_files(Sharpener(engine=FakeEngine()), plan, overwrite=True)
    assert (first.status, second.status) == ("done", "failed")
    assert f"{targets / 'A.png'} and {targets / 'a.png'} are one file on this disk" in second.error


@posix
@pytest.mark.parametrize("case", ["links", "no links", "outdated"])
def test_a_run_may_be_killed_before_anything_that_it_does(folder, case):
    command = [sys.executable, str(SCRIPT), str(folder), case]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert (found["last"], found["results"]) == (0, 3)
    assert found["rounds"] > 30
