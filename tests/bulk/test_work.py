"""A worker: the results are those of `sharpen`, each input gets its row, and what kills workers is set aside."""

from __future__ import annotations

import errno
import io
import json
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the extra bulk")
from PIL import Image

from acutance.bulk import stores
from acutance.bulk.items import Item, items_in, items_of, table_of
from acutance.bulk.ledger import Ledger
from acutance.bulk.work import MOST_TRIES, Worker
from acutance.errors import OutputError
from acutance.media.patterns import PathFilter


def listed(source) -> list[Item]:
    return sorted(items_of(source, strength=1.0, wanted=PathFilter.of()), key=lambda item: item.key)


class Notes:
    """Attempts that are kept in a dictionary."""

    def __init__(self, **begun: int) -> None:
        self.begun, self.order = dict(begun), []

    def known(self, names):
        return [self.begun.get(name, 0) for name in names]

    def begin(self, names):
        self.order.extend(names)
        self.begun.update({name: self.begun.get(name, 0) + 1 for name in names})

    def end(self, names):
        for name in names:
            self.begun.pop(name)


def test_results_are_byte_for_byte_those_of_sharpen(worker, inverter, source, target, photo):
    for name in ("a.png", "deep/b.jpg", "c.webp"):
        photo(Path(source.root) / name)
    entries = worker.work(listed(source))
    assert [entry.status for entry in entries] == ["done"] * 3
    assert sum(entry.megapixels for entry in entries) == pytest.approx(3 * 24 * 32 / 1e6)
    for entry in entries:
        expected = Path(target.root) / "expected" / entry.key
        inverter(Path(source.root) / entry.key, output=expected)
        assert Path(target.root, entry.target).read_bytes() == expected.read_bytes()
        assert not np.array_equal(Image.open(expected), Image.open(Path(source.root) / entry.key))
    assert all(Ledger(target).done("s").has(item, "s") for item in listed(source))


def test_a_bad_picture_is_refused_and_the_rest_is_made(worker, source, target, photo):
    photo(Path(source.root) / "a.png")
    Path(source.root, "b.png").write_bytes(b"nothing")
    gone = Item("c.png", source.path_of("c.png"), 1, "v", 1.0)
    entries = worker.work([*listed(source), gone])
    assert [entry.status for entry in entries] == ["done", "refused", "failed"]
    assert "not an image" in entries[1].reason
    assert source.root in entries[1].reason  # called as the user knows it, not by a temporary name
    assert sorted(path.name for path in Path(target.root).glob("*")) == [".acutance", "a.png"]
    done = Ledger(target).done("s")
    assert [done.has(item, "s") for item in [*listed(source), gone]] == [True, True, False]


def test_a_name_that_lies_gets_its_true_ending_behind_it(worker, source, target, photo):
    photo(Path(source.root) / "a.png")
    Path(source.root, "a.jpg").write_bytes(Path(source.root, "a.png").read_bytes())
    assert [entry.target for entry in worker.work(listed(source))] == ["a.jpg.png", "a.png"]


def test_no_result_is_in_the_ledger_that_could_not_be_put(worker, source, target, photo, monkeypatch):
    photo(Path(source.root) / "a.png")

    def full(*_):
        raise OutputError("no room left")

    monkeypatch.setattr(type(target), "put", full)
    with pytest.raises(OutputError):  # nor can the ledger be written
        worker.work(listed(source))
    assert Ledger(target).parts() == []


def test_what_may_have_killed_a_worker_comes_last_and_is_set_aside_in_the_end(inverter, source, target, photo):
    for name in "abc":
        photo(Path(source.root) / f"{name}.png")
    notes = Notes(**{"a.png": 1, "b.png": MOST_TRIES})
    worker = Worker(inverter, source, target, settings="s", attempts=notes)
    entries = worker.work(listed(source))
    assert [entry.status for entry in entries] == ["done", "failed", "done"]
    assert "its worker died 3 times" in entries[1].reason
    assert notes.order == ["c.png", "a.png"]
    assert notes.begun == {"b.png": MOST_TRIES}


def test_a_death_leaves_the_note(inverter, source, target, photo, monkeypatch):
    photo(Path(source.root) / "a.png")
    notes = Notes()
    worker = Worker(inverter, source, target, settings="s", attempts=notes)

    def die(*_, **__):
        raise KeyboardInterrupt  # nothing that a worker would survive

    monkeypatch.setattr(type(worker), "_outcome", die)
    with pytest.raises(KeyboardInterrupt):
        worker.work(listed(source))
    assert notes.begun == {"a.png": 1}
    assert worker.longest_s == 0.0


@pytest.mark.parametrize("key", ["../a.png", "b/../../a.png", ".acutance/ledger/a.png", "./a.png", "b//a.png", "b/"])
def test_no_name_leads_out_of_the_target_or_into_the_ledger(worker, source, target, photo, key):
    photo(Path(source.root) / "a.png")
    (entry,) = worker.work([Item(key, source.path_of("a.png"), 1, "v", 1.0)])
    assert entry.status == "refused"
    assert "no result can have the name" in entry.reason
    assert [path.name for path in Path(target.root).iterdir()] == [".acutance"]
    assert sorted(path.name for path in Path(target.root).parent.iterdir()) == ["from", "to"]


def test_a_result_does_not_replace_its_input(inverter, source, photo):
    before = photo(Path(source.root) / "a.png").read_bytes()
    (entry,) = Worker(inverter, source, source, settings="s").work(listed(source))
    assert (entry.status, "would replace it" in entry.reason) == ("refused", True)
    assert Path(source.root, "a.png").read_bytes() == before


def test_a_true_ending_takes_no_other_inputs_name(worker, source, target, photo):
    photo(Path(source.root) / "a.jpg.png")
    Path(source.root, "a.jpg").write_bytes(photo(Path(source.root) / "b" / "a.png", 1).read_bytes())
    entries = {entry.key: entry for entry in worker.work(listed(source))}
    assert {key: entry.status for key, entry in entries.items()} == {
        "a.jpg": "refused",
        "a.jpg.png": "done",
        "b/a.png": "done",
    }
    assert "as that of" in entries["a.jpg"].reason


@pytest.mark.parametrize(
    "name", ["é 中.png", "a%20b+c#d?e.png", "[x]*{1}.png", "'q\"\n.png", "-o.png", "a..b.png", "\udcff.png"]
)
def test_names_of_any_kind_are_worked_on(worker, source, target, photo, name):
    photo(Path(source.root) / "x" / name)
    table = table_of(listed(source))  # as they travel to a worker
    (entry,) = worker.work(items_in(table))
    assert (entry.status, entry.reason) == ("done", "")
    assert Path(target.root, "x", name).exists()
    assert Ledger(target).done("s").has(*listed(source), "s")
    assert json.loads(json.dumps(entry.key)) == f"x/{name}"


def test_an_empty_file_is_refused(worker, source):
    Path(source.root, "a.png").touch()
    (entry,) = worker.work(listed(source))
    assert (entry.status, "is empty" in entry.reason) == ("refused", True)
    assert source.path_of("a.png") in entry.reason


def test_a_full_disk_leaves_no_half_result_and_nothing_in_the_ledger(worker, source, target, photo, monkeypatch):
    photo(Path(source.root) / "a.png")
    written = stores.write_atomically

    def torn(parts):
        yield next(iter(parts))[:9]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stores, "write_atomically", lambda path, parts, **how: written(path, torn(parts), **how))
    with pytest.raises(OutputError, match="disk is full"):
        worker.work(listed(source))
    assert [path for path in Path(target.root).rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert [entry.status for entry in worker.work(listed(source))] == ["done"]


def shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), 1_600_000_000
            tar.addfile(entry, io.BytesIO(content))


def test_a_tar_file_keeps_its_order_and_all_that_is_no_picture(worker, source, target, photo, tmp_path):
    content = photo(tmp_path / "x.png").read_bytes()
    members = {"0.png": content, "0.cls": b"7", "1.png": b"broken", "1.json": b"{}", "d/2.png": content}
    shard(Path(source.root) / "s.tar", members)
    (entry,) = worker.work(listed(source))
    assert (entry.status, entry.pictures) == ("done", 2)
    assert entry.reason.startswith("1 stay as they are:")
    assert "1.png" in entry.reason
    with tarfile.open(Path(target.root) / "s.tar") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}
        assert {member.mtime for member in tar} == {1_600_000_000}
    assert list(found) == list(members)
    assert [found[name] for name in ("0.cls", "1.png", "1.json")] == [b"7", b"broken", b"{}"]
    before, after = (np.asarray(Image.open(io.BytesIO(one))) for one in (content, found["d/2.png"]))
    assert np.array_equal(after, 255 - before)


def test_a_torn_tar_file_is_refused_and_leaves_nothing(worker, source, target, photo, tmp_path):
    shard(Path(source.root) / "s.tar", {"0.png": photo(tmp_path / "x.png").read_bytes()})
    whole = Path(source.root, "s.tar").read_bytes()
    Path(source.root, "s.tar").write_bytes(whole[:900])
    (entry,) = worker.work(listed(source))
    assert entry.status == "refused"
    assert [path.name for path in Path(target.root).iterdir()] == [".acutance"]


def test_a_tar_file_may_take_longer_than_one_picture_may(worker, source, photo, tmp_path, monkeypatch):
    content = photo(tmp_path / "x.png").read_bytes()
    shard(Path(source.root) / "s.tar", {f"{number}.png": content for number in range(4)})
    sharpened, longest = Worker._sharpened, []

    def slowly(self, *args, **names):
        time.sleep(0.1)
        longest.append(self.longest_s)
        return sharpened(self, *args, **names)

    monkeypatch.setattr(Worker, "_sharpened", slowly)
    (entry,) = worker.work(listed(source))
    assert (entry.status, entry.pictures) == ("done", 4)
    assert max(longest) < 0.3


def test_a_picture_in_a_tar_file_that_kills_workers_stays_as_it_is(inverter, source, target, photo, monkeypatch):
    content = photo(Path(target.root) / "x.png").read_bytes()
    shard(Path(source.root) / "s.tar", {"0.png": content, "bad.png": content, "2.png": content})
    notes, sharpened = Notes(), Worker._sharpened

    def deadly(self, *args, name, **names):
        if "bad" in name:
            raise KeyboardInterrupt  # nothing that a worker would survive
        return sharpened(self, *args, name=name, **names)

    monkeypatch.setattr(Worker, "_sharpened", deadly)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            Worker(inverter, source, target, settings="s", attempts=notes).work(listed(source))
    (entry,) = Worker(inverter, source, target, settings="s", attempts=notes).work(listed(source))
    assert (entry.status, entry.pictures) == ("done", 2)
    assert "bad.png: its worker died" in entry.reason
    with tarfile.open(Path(target.root) / "s.tar") as tar:
        assert tar.extractfile("bad.png").read() == content


def test_a_bug_that_one_picture_of_a_tar_file_meets_costs_only_that(worker, source, photo, tmp_path, monkeypatch):
    content = photo(tmp_path / "x.png").read_bytes()
    shard(Path(source.root) / "s.tar", {"./0.png": content, f"{'long' * 70}.png": content, "../bad.png": content})
    sharpened = Worker._sharpened

    def broken(self, *args, name, **names):
        if "bad" in name:
            raise ZeroDivisionError("by zero")
        return sharpened(self, *args, name=name, **names)

    monkeypatch.setattr(Worker, "_sharpened", broken)
    (entry,) = worker.work(listed(source))
    assert (entry.status, entry.pictures) == ("done", 2)
    assert "../bad.png: unexpected ZeroDivisionError" in entry.reason


def test_a_tar_file_whose_result_has_another_name_is_one_all_the_same(worker, source, target, photo, tmp_path):
    shard(Path(source.root) / "s.tar", {"0.png": photo(tmp_path / "x.png").read_bytes()})
    (entry,) = worker.work([Item("new/t.tar", source.path_of("s.tar"), 1, "v", 1.0)])
    assert (entry.status, entry.target, entry.pictures) == ("done", "new/t.tar", 1)
