from __future__ import annotations

import threading
import time

from acutance.videos.mailbox import Mailbox


def test_the_latest_takes_the_place_of_the_one_before():
    box = Mailbox[int]()
    for number in range(5):
        box.put(number)
    assert (box.take(0), box.passed_over) == (4, 4)
    assert box.take(0) is None
    box.put(7)
    assert (box.take(0), box.passed_over) == (7, 4)


def test_who_waits_is_woken_by_an_item_and_by_the_end():
    box = Mailbox[int]()
    threading.Timer(0.05, box.put, [1]).start()
    begin = time.monotonic()
    assert box.take(60) == 1
    threading.Timer(0.05, box.finish).start()
    assert box.take(60) is None
    assert time.monotonic() - begin < 60
    assert box.is_finished


def test_what_was_put_in_before_the_end_is_still_taken():
    box = Mailbox[int]()
    box.put(1)
    box.finish()
    assert not box.is_finished
    assert box.take(0) == 1
    assert box.is_finished
