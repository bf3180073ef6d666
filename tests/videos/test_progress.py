from __future__ import annotations

from acutance.videos import VideoProgress
from acutance.videos.progress import Clock


def test_time_left_is_told_from_the_speed_so_far():
    told: list[VideoProgress] = []
    moments = iter([0.0, 2.0, 4.0, 9.0])
    clock = Clock(3, told.append, now=lambda: next(moments))
    for _ in range(3):
        clock.tick()
    assert [progress.frames for progress in told] == [1, 2, 3]
    assert [progress.seconds_left for progress in told] == [4.0, 2.0, 0.0]
    assert told[-1].share == 1.0


def test_without_a_number_of_frames_there_is_no_time_left():
    told: list[VideoProgress] = []
    Clock(None, told.append).tick()
    assert (told[0].total, told[0].seconds_left, told[0].share) == (None, None, None)


def test_a_file_that_told_too_few_frames_is_never_beyond_its_end():
    told: list[VideoProgress] = []
    clock = Clock(1, told.append)
    for _ in range(3):
        clock.tick()
    assert [(progress.frames, progress.total) for progress in told] == [(1, 1), (2, 2), (3, 3)]
