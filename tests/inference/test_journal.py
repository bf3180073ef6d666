"""The record beside the results: what is written comes back, and what is damaged is passed over."""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from acutance.errors import OutputError
from acutance.inference.journal import RECORD_FORMAT, RECORD_NAME, Journals, Record, ResultKey, source_name

KEY = ResultKey(model="fake", weights_sha256="ab", scale=1, strength=0.6, fidelity=1.0, precision="auto")
RECORD = Record(
    source="../in/a.jpg",
    source_bytes=10,
    source_mtime_ns=1_700_000_000_123_456_789,
    source_sha256="cd",
    target="a.jpg",
    target_bytes=12,
    target_sha256="ef",
    key=KEY,
)


def append(folder, *records):
    for record in records:
        Journals().append(folder, record)


@pytest.mark.parametrize(
    "name", ["a.jpg", "Größe 日本.jpg", "caf\udce9.jpg", 'quote".jpg', "line\nbreak.jpg", "x\u2028y.jpg"]
)
def test_what_is_recorded_is_found_under_its_name(tmp_path, name):
    record = replace(RECORD, source=f"../in/{name}", target=name)
    append(tmp_path, RECORD, record, record)
    assert Journals().records_of(tmp_path / name)[-2:] == [record, record]
    assert (tmp_path / RECORD_NAME).read_bytes().count(b"\n") == 3
    assert all(
        json.loads(line)["format"] == RECORD_FORMAT for line in (tmp_path / RECORD_NAME).read_text().splitlines()
    )


def test_where_nothing_is_recorded_nothing_is_found(tmp_path):
    assert Journals().records_of(tmp_path / "a.jpg") == []
    assert Journals().records_of(tmp_path / "nowhere" / "a.jpg") == []
    (tmp_path / "file").write_bytes(b"")
    assert Journals().records_of(tmp_path / "file" / "a.jpg") == []


def test_a_torn_line_costs_only_itself(tmp_path):
    append(tmp_path, RECORD)
    whole = (tmp_path / RECORD_NAME).read_bytes()
    for end in range(len(whole)):
        (tmp_path / RECORD_NAME).write_bytes(whole + whole[:end])
        append(tmp_path, replace(RECORD, target="b.jpg"))
        found = Journals()
        assert found.records_of(tmp_path / "b.jpg") == [replace(RECORD, target="b.jpg")]
        assert found.records_of(tmp_path / "a.jpg") == [RECORD] * (2 if end == len(whole) - 1 else 1)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        RECORD.to_line().replace(b'"format": 2', b'"format": 3'),
        RECORD.to_line().replace(b'"target": "a.jpg"', b'"target": ["a.jpg"]'),
        RECORD.to_line().replace(b'"key"', b'"taking"'),
        RECORD.to_line().replace(b'"scale": 1, ', b""),
    ],
)
def test_lines_that_are_no_records_are_passed_over(tmp_path, line):
    (tmp_path / RECORD_NAME).write_bytes(line + b"\n" + RECORD.to_line())
    assert Journals().records_of(tmp_path / "a.jpg") == [RECORD]


def test_what_a_later_version_adds_is_passed_over(tmp_path):
    line = RECORD.to_line().replace(b'"format": 2', b'"format": 2, "mood": "good"')
    (tmp_path / RECORD_NAME).write_bytes(line.replace(b'"scale": 1', b'"scale": 1, "tint": 2'))
    assert Journals().records_of(tmp_path / "a.jpg") == [RECORD]


def test_a_record_that_cannot_be_read_or_written_is_an_error_in_words(tmp_path):
    (tmp_path / RECORD_NAME).mkdir()
    with pytest.raises(OutputError, match="cannot be read"):
        Journals().records_of(tmp_path / "a.jpg")
    with pytest.raises(OutputError, match=r"cannot be written .*--no-record"):
        Journals().append(tmp_path, RECORD)


def test_threads_do_not_mix_their_lines(tmp_path):
    journals = Journals()
    records = [replace(RECORD, target=f"{index}.jpg") for index in range(40)]
    threads = [
        threading.Thread(
            target=lambda own: [journals.append(tmp_path, record) for record in own], args=(records[n::4],)
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = Journals()
    assert all(found.records_of(tmp_path / record.target) == [record] for record in records)


def test_photos_are_called_by_their_way_from_the_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert source_name(Path("in/a.jpg"), Path("out/sub")) == "../../in/a.jpg"
    assert source_name(tmp_path / "in" / "a.jpg", Path("in")) == "a.jpg"
    if sys.platform == "win32":
        assert source_name(Path("X:/a.jpg"), Path("Y:/")) == "X:/a.jpg"
    else:
        assert os.fsencode(source_name(Path("caf\udce9.jpg"), Path("out"))) == b"../caf\xe9.jpg"
