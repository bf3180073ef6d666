"""The ledger: what is in it counts as done, and nothing else; one part or many make no difference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the extra bulk")

import pyarrow.parquet as pq

from acutance.bulk.items import Item
from acutance.bulk.ledger import Entry, Ledger
from acutance.errors import OutputError


def item(name: str, version: str = "v", strength: float = 1.0) -> Item:
    return Item(name, f"/x/{name}", 1, version, strength)


def entry(name: str, status: str = "done", settings: str = "s") -> Entry:
    return Entry(key=name, path=f"/x/{name}", version="v", settings=settings, status=status)


@pytest.fixture
def ledger(target):
    return Ledger(target)


def test_nothing_is_done_where_there_is_no_ledger(ledger):
    assert len(ledger.done("s")) == 0
    assert not ledger.done("s").has(item("a"), "s")


def test_done_and_refused_need_no_more_work_but_failed_does(ledger):
    ledger.append([entry("a"), entry("b", "refused"), entry("c", "failed")], [1.0] * 3)
    ledger.append([entry("d")], [1.0])
    done = ledger.done("s")
    assert [done.has(item(name), "s") for name in "abcde"] == [True, True, False, True, False]


@pytest.mark.parametrize("other", [item("a", "changed"), item("a", strength=0.5)])
def test_a_changed_input_or_strength_is_work_again(ledger, other):
    ledger.append([entry("a")], [1.0])
    assert not ledger.done("s").has(other, "s")
    assert not ledger.done("others").has(item("a"), "others")


def test_many_parts_become_one_and_say_the_same(ledger):
    for number in range(5):
        ledger.append([entry(f"{number}")], [1.0])
    ledger.compact(at_least=6)
    assert len(ledger.parts()) == 5
    ledger.compact(at_least=5)
    (part,) = ledger.parts()
    assert pq.ParquetFile(part).num_row_groups == 1  # of thousands, each takes 10 kB and more of every reader's memory
    done = ledger.done("s")
    assert all(done.has(item(f"{number}"), "s") for number in range(5))
    assert sorted(row["key"] for table in ledger.rows(["key"]) for row in table.to_pylist()) == list("01234")


def test_it_is_read_without_ray(ledger, target):
    """Ray happens to import what filters tables."""
    ledger.append([entry("a")], [1.0])
    code = (
        "import sys\nfrom acutance.bulk.ledger import Ledger\nfrom acutance.bulk.stores import Store\n"
        "print(len(Ledger(Store(sys.argv[1])).done('s')), 'ray' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, target.address], capture_output=True, text=True, check=True
    ).stdout
    assert told.split() == ["1", "False"]


def test_rows_that_are_there_twice_say_the_same(ledger):
    for _ in range(2):  # as when compacting was broken off before the parts were removed
        ledger.append([entry("a")], [1.0])
    done = ledger.done("s")
    assert (len(done), done.has(item("a"), "s")) == (1, True)


def test_parts_that_become_one_while_they_are_read_lose_no_rows(ledger):
    for number in range(3):
        ledger.append([entry(f"{number}")], [1.0])
    rows = ledger.rows(["key"])
    found = next(rows).to_pylist()
    ledger.compact(at_least=1)  # as another run on the same target does
    found += [row for table in rows for row in table.to_pylist()]
    assert {row["key"] for row in found} == set("012")


def test_a_part_that_is_none_is_told_by_name(ledger):
    ledger.append([entry("a")], [1.0])
    Path(ledger.parts()[0]).write_bytes(b"nothing")
    with pytest.raises(OutputError, match="no part of a ledger"):
        ledger.done("s")


def test_names_of_any_kind_are_kept(ledger):
    ledger.append([entry("é\n\u4e2d.png")], [1.0])
    assert ledger.done("s").has(item("é\n\u4e2d.png"), "s")
