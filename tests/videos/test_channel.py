from __future__ import annotations

import threading
import time

import pytest

from acutance.videos.channel import Cancelled, Channel


def test_items_come_in_order_and_end():
    channel = Channel[int](2)

    def give() -> None:
        for item in range(10):
            channel.put(item)
        channel.finish()

    giver = threading.Thread(target=give)
    giver.start()
    assert list(channel) == list(range(10))
    giver.join()


def test_never_more_than_its_capacity_wait():
    channel = Channel[int](2)
    given = []

    def give() -> None:
        for item in range(6):
            channel.put(item)
            given.append(item)
        channel.finish()

    giver = threading.Thread(target=give)
    giver.start()
    for taken, _ in enumerate(channel, 1):
        time.sleep(0.01)
        assert len(given) <= taken + 2
    giver.join()


@pytest.mark.parametrize("is_full", [False, True])
def test_cancelling_wakes_whoever_waits(is_full):
    channel = Channel[int](1)
    if is_full:
        channel.put(0)
    woken = []

    def wait() -> None:
        try:
            if is_full:
                channel.put(1)
            else:
                list(channel)
        except Cancelled:
            woken.append(True)

    waiter = threading.Thread(target=wait)
    waiter.start()
    channel.cancel()
    waiter.join(timeout=5)
    assert woken == [True]


def test_a_cancelled_channel_takes_and_gives_nothing():
    channel = Channel[int](3)
    channel.put(1)
    channel.cancel()
    with pytest.raises(Cancelled):
        channel.put(2)
    with pytest.raises(Cancelled):
        next(iter(channel))
