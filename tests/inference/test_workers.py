"""Several things at once: never more than allowed, each once, and an orderly end however it comes."""

from __future__ import annotations

import threading
import time

import pytest

from acutance.inference import workers
from acutance.inference.workers import Abandoned, work_through


@pytest.mark.parametrize("jobs", [1, 3, 20])
def test_everything_is_done_once_and_never_too_much_at_a_time(jobs):
    at_work, most, lock = 0, 0, threading.Lock()

    def work(item, _):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.002)
        with lock:
            at_work -= 1
        return item * item

    results = list(work_through(range(30), work, jobs=jobs))
    assert sorted(results) == [item * item for item in range(30)]
    assert most <= jobs
    assert jobs > 1 or results == sorted(results)


def test_the_callers_thread_only_waits_but_where_it_is_asked_for():
    here = threading.get_ident()
    for jobs in (1, 2):
        assert here not in work_through(range(4), lambda _item, _check: threading.get_ident(), jobs=jobs)
    threads = work_through(range(4), lambda _item, _check: threading.get_ident(), is_in_callers_thread=True)
    assert set(threads) == {here}


def test_one_job_does_nothing_before_its_result_is_asked_for():
    done = []
    results = work_through(range(9), lambda item, _: done.append(item), jobs=1)
    next(results)
    time.sleep(0.02)
    assert done == [0]
    next(results)
    results.close()
    assert done == [0, 1]


def test_items_are_taken_only_when_a_thread_is_free():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = work_through(items(), lambda item, _: time.sleep(0.01) or item, jobs=2)
    next(results)
    assert len(taken) < 10
    results.close()


def test_results_come_as_they_are_ready():
    gate = threading.Event()

    def work(item, _):
        if item == 0:
            assert gate.wait(60)
        return item

    results = work_through(range(2), work, jobs=2)
    assert next(results) == 1
    gate.set()
    assert list(results) == [0]


@pytest.mark.parametrize("jobs", [1, 2])
def test_stopping_finishes_what_is_in_work(jobs):
    stopping = threading.Event()

    def work(item, _):
        stopping.set()
        time.sleep(0.01)
        return item

    results = list(work_through(range(50), work, jobs=jobs, should_stop=stopping.is_set))
    assert 1 <= len(results) <= jobs


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_ends_the_work(jobs):
    def work(item, _):
        if item == 3:
            raise KeyError("oops")
        return item

    with pytest.raises(KeyError, match="oops"):
        list(work_through(range(1000), work, jobs=jobs))


def test_work_that_nobody_waits_for_breaks_off():
    broken_off = []

    def work(item, check):
        if item == 0:
            return item
        try:
            while True:
                check()
                time.sleep(0.001)
        except Abandoned:
            broken_off.append(item)
            raise

    results = work_through(range(3), work, jobs=3)
    assert next(results) == 0
    results.close()
    assert sorted(broken_off) == [1, 2]


def test_work_that_does_not_break_off_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE_S", 0.05)
    gate = threading.Event()
    results = work_through(range(2), lambda item, _: item if item == 0 else gate.wait(60), jobs=2)
    assert next(results) == 0
    start = time.monotonic()
    results.close()
    assert time.monotonic() - start < 60
    gate.set()
