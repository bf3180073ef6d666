"""The fair queue, and the pool of threads behind it."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acutance.server.fair_queue import FairQueue
from acutance.server.pool import Pool


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_every_lane_has_its_turn_each_round(lanes: list[str]) -> None:
    queue = FairQueue[tuple[str, int]]()
    for number, lane in enumerate(lanes):
        queue.put(lane, (lane, number))
    taken = [queue.take() for _ in lanes]
    assert len(queue) == 0
    assert sorted(number for _, number in taken) == list(range(len(lanes))), "each once"
    for lane in "abc":
        own = [number for name, number in taken if name == lane]
        assert own == sorted(own), "in order within a lane"
    for position, (lane, _) in enumerate(taken):
        before = [name for name, _ in taken[:position]]
        for other in {name for name, _ in taken[position:]} - {lane}:
            assert before.count(lane) <= before.count(other), "nobody is ahead of another who waits"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1, 2, 4, 8])), max_size=30))
def test_turns_are_shared_whatever_an_entry_takes(entries: list[tuple[str, int]]) -> None:
    queue = FairQueue[tuple[str, int]]()
    for lane, turns in entries:
        queue.put(lane, (lane, turns), turns=turns)
    had = dict.fromkeys("abc", 0)
    left = [lane for lane, _ in entries]
    while left:
        lane, turns = queue.take()
        assert all(had[lane] <= had[other] for other in left), "who has had least is next"
        had[lane] += turns
        left.remove(lane)


def test_a_lane_that_comes_one_by_one_pays_too_and_one_that_was_away_has_saved_nothing() -> None:
    queue = FairQueue[str]()
    taken: list[str | None] = []
    for number in range(40):
        queue.put("small", f"s{number}")
    queue.put("large", "l", turns=8)
    for _ in range(27):
        taken.append(queue.take())
        if taken[-1] == "l":
            queue.put("large", "l", turns=8)  # as who waits for each does
    assert taken.count("l") == 3
    queue.put("late", "late")
    queue.put("late", "late")
    assert [queue.take() for _ in range(4)].count("late") == 2


def test_entries_are_withdrawn() -> None:
    queue = FairQueue[int]()
    for number in range(6):
        queue.put("ab"[number % 2], number)
    assert sorted(queue.withdraw(lambda number: number < 4)) == [0, 1, 2, 3]
    assert [queue.take(), queue.take()] == [4, 5]


def test_a_closed_queue_gives_nothing() -> None:
    queue = FairQueue[int]()
    taken: list[int | None] = [0]
    waiting = threading.Thread(target=lambda: taken.append(queue.take()))
    waiting.start()
    queue.put("a", 1)
    waiting.join(20)
    queue.put("a", 2)
    queue.close()
    assert taken == [0, 1]
    assert queue.take() is None


def test_one_client_cannot_keep_others_waiting() -> None:
    pool = Pool(1)
    done: list[str] = []
    futures = [pool.submit("greedy", lambda: done.append("greedy"), is_job=False) for _ in range(50)]
    futures += [pool.submit(name, lambda name=name: done.append(name), is_job=False) for name in "abcd"]
    pool.start()
    for future in futures:
        future.result(20)
    assert set(done[:5]) == {"greedy", "a", "b", "c", "d"}
    assert pool.close(20)


def test_errors_are_the_future_s_and_the_pool_goes_on() -> None:
    pool = Pool(2)
    pool.start()
    broken = pool.submit("a", lambda: 1 // 0, is_job=True)
    with pytest.raises(ZeroDivisionError):
        broken.result(20)
    assert pool.submit("a", lambda: 7, is_job=True).result(20) == 7
    assert (pool.busy, pool.waiting) == (0, 0)
    assert pool.close(20)


def test_work_is_withdrawn_before_it_begins() -> None:
    pool = Pool(1)
    first, second = (pool.submit("a", list, is_job=is_job) for is_job in (True, False))
    assert pool.withdraw(second)
    assert second.cancelled()
    pool.withdraw_jobs()
    assert first.cancelled()
    assert not pool.withdraw(first)
    pool.start()
    assert pool.close(20)


def test_closing_does_not_wait_for_ever() -> None:
    pool = Pool(1)
    pool.start()
    go_on, begun = threading.Event(), threading.Event()
    future = pool.submit("a", lambda: (begun.set(), go_on.wait(20)), is_job=False)
    assert begun.wait(20)
    assert not pool.close(0.05)
    go_on.set()
    future.result(20)
    assert pool.close(20)
