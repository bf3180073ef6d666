"""A whole run: on Ray, with the shipped model, as the command line starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("ray", reason="needs the extra bulk")
from typer.testing import CliRunner, Result

from acutance.bulk import job
from acutance.bulk.items import Item, table_of
from acutance.bulk.job import BulkSettings
from acutance.bulk.ledger import Entry, Ledger
from acutance.cli.main import app
from acutance.engines.engine import EngineSettings
from acutance.errors import AcutanceError, OutputError
from acutance.inference.picture_settings import PictureSettings

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()", "bulk"]


def bulk(*arguments: object) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=kept)


@pytest.mark.slow
def test_a_run_makes_all_says_what_it_did_and_goes_on(photo, tmp_path):
    from acutance import sharpen

    source, target, report = tmp_path / "from", tmp_path / "to", tmp_path / "report.json"
    for number in range(20):
        photo(source / f"{number % 3}" / f"{number}.png", number)
    (source / "bad.jpg").write_bytes(b"nothing")
    first = bulk(source, target, "--workers", 1, "--report", report)
    assert first.returncode == 1, first.stderr
    assert "20 done, 1 refused" in first.stderr
    assert "bad.jpg is not an image" in first.stderr
    values = json.loads(report.read_text())
    assert values["counts"] == {"done": 20, "refused": 1}
    assert [entry["key"] for entry in values["not_made"]] == ["bad.jpg"]
    expected = sharpen(source / "0" / "0.png", output=tmp_path / "0.png")
    assert (target / "0" / "0.png").read_bytes() == expected.read_bytes()
    again = refused(source, target)
    assert again.startswith("2: ")
    assert "--resume" in again
    rest = here(source, target, "--resume", "--report", report)
    assert rest.exit_code == 0
    assert "21 need no more work, by the ledger: they are done, or were refused" in rest.stderr
    assert "nothing to do" in rest.stderr
    assert json.loads(report.read_text())["counts"] == {}


def here(*arguments: object) -> Result:
    """Run in this process what must not come as far as the cluster."""
    return CliRunner().invoke(app, ["bulk", *map(str, arguments)])


def refused(*arguments: object) -> str:
    """Return what is said to such a command, and what it ends with."""
    told = here("--model", "fast", *arguments)
    assert isinstance(told.exception, AcutanceError), told.output
    return f"{told.exception.exit_code}: {told.exception}"


def test_what_holds_no_pictures_is_told_and_nothing_is_made(photo, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "1: " in (said := refused(tmp_path / "empty", tmp_path / "to"))
    assert "holds no pictures; check the address" in said
    (tmp_path / "list.txt").write_text("\n\n")
    assert "holds no pictures" in refused(tmp_path / "list.txt", tmp_path / "to")
    photo(tmp_path / "from" / "a.png")
    assert "no pictures that are wanted" in refused(tmp_path / "from", tmp_path / "to", "--include", "*.jpg")
    assert "there is nothing of that name" in refused(tmp_path / "none.tar", tmp_path / "to")
    assert "there is nothing of that name" in refused(tmp_path / "none.txt", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_results_come_to_lie_neither_over_the_inputs_nor_among_other_files(photo, tmp_path):
    photo(tmp_path / "from" / "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "from")
    for target in (tmp_path / "from", f"{tmp_path}/from/", tmp_path, tmp_path / "link"):
        assert "holds the inputs, and results could replace some" in refused(tmp_path / "from", target)
    photo(tmp_path / "other" / "x" / "b.png")
    assert "holds x/b.png already" in refused(tmp_path / "from", tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["x"]
    assert [path.name for path in (tmp_path / "from").iterdir()] == ["a.png"]


def test_settings_that_results_depend_on_are_in_their_key():
    changed = [
        {},
        {"engine": EngineSettings(engine="openvino")},
        {"engine": EngineSettings(precision="float16")},
        {"engine": EngineSettings(fidelity=0.5)},
        {"engine": EngineSettings(ensemble=8)},
        {"pictures": PictureSettings(max_pixels=9)},
        {"pictures": PictureSettings(back_projection=False)},
        {"model": "x"},
    ]
    settings = [BulkSettings(**{"model": "fast", **values}) for values in changed]
    with settings[0].opened() as sharpener:
        keys = {one.key(sharpener) for one in settings}
        others = {BulkSettings(model="fast", workers=3, time_limit_s=5.0).key(sharpener)}
    assert len(keys) == len(changed)
    assert others < keys


def test_what_a_worker_cannot_write_and_what_ray_makes_of_errors_are_one_sentence(worker, photo, source, monkeypatch):
    item = Item("a.png", str(photo(Path(source.root) / "a.png")), 1, "v", 1.0)
    actor = object.__new__(job._Actor)
    actor._worker = worker
    monkeypatch.setattr(type(worker), "work", lambda *_: (_ for _ in ()).throw(OutputError("x: the disk is full.")))
    (told,) = actor(table_of([item]))["entry"].to_pylist()
    with pytest.raises(
        OutputError, match=r"^x: the disk is full; what is made is in the ledger: go on with --resume\.$"
    ):
        job._entry(told)
    pages = "ray::Actor\n  File x\nacutance.errors.ModelError: no model.\n\nTo change retry attempts, configure it."
    assert job._reason(RuntimeError(pages)) == "no model."
    assert job._reason(RuntimeError("a\n b\n")) == "b"


def test_a_ledger_of_few_parts_starts_no_process_to_compact_it(target, monkeypatch):
    ledger, started = Ledger(target), []

    def here(**_):
        return lambda function: SimpleNamespace(remote=lambda *given: started.append(function) or function(*given))

    monkeypatch.setattr(job.ray, "remote", here)
    monkeypatch.setattr(job.ray, "get", lambda value: value)
    for number in range(2):
        ledger.append([Entry(key=f"{number}", path="x", version="v", settings="s", status="done")], [1.0])
    job._compact(target)
    assert not started
    monkeypatch.setattr(job, "COMPACT_FROM", 2)
    job._compact(target)
    assert len(started) == 1
    Path(ledger.parts()[0]).write_bytes(b"nothing")
    monkeypatch.setattr(Ledger.compact, "__kwdefaults__", {"at_least": 2})
    with pytest.raises(OutputError, match="no part of a ledger"):
        job._compact(target)


def test_a_run_of_its_own_joins_no_cluster_that_happens_to_be_there(monkeypatch):
    asked = []
    monkeypatch.setattr(job.ray, "init", lambda **how: asked.append(how.get("address")))
    monkeypatch.setattr(job.ray, "shutdown", lambda: None)
    for address in (None, "auto"):
        with job.cluster(address):
            pass
    assert asked == ["local", "auto"]


def test_a_machine_that_vanishes_is_no_pictures_fault(monkeypatch):
    attempts = job._Attempts()
    for node in ("a", "b", "b"):
        attempts.begin(["x.png"], node)
    monkeypatch.setattr(job.ray, "nodes", lambda: [{"NodeID": "a", "Alive": True}, {"NodeID": "b", "Alive": False}])
    assert attempts.known(["x.png", "y.png"]) == [1, 0]
    attempts.end(["x.png"])
    assert attempts.known(["x.png"]) == [0]


def test_a_plan_makes_nothing_and_tells_the_cost(photo, tmp_path):
    for number in range(3):
        photo(tmp_path / "from" / f"{number}.png", number)
    told = here(tmp_path / "from", tmp_path / "to", "--plan")
    assert told.exit_code == 0, told.output
    assert "3 inputs, 3 to do" in told.stderr
    assert "CPU hours" in told.stderr
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("source", "words"), [("missing", "nothing of that name"), ("nonsense://x", "no kind of address")]
)
def test_a_source_that_is_none_is_a_sentence(tmp_path, source, words):
    told = bulk(source if ":" in source else tmp_path / source, tmp_path / "to", "--plan")
    assert told.returncode == 1
    assert words in told.stderr
    assert "Traceback" not in told.stderr
