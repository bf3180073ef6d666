"""An encoder is opened without giving it the machine."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("av", reason="needs the extra video")

from av.codec.context import CodecContext

from acutance.videos.priority import open_encoder


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the priorities")
def test_an_encoder_of_av1_has_no_real_time_priority_even_where_root_opens_it():
    context = CodecContext.create("libsvtav1", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 64, 64, "yuv420p", Fraction(1, 25)
    open_encoder(context)
    threads = [int(path.name) for path in Path("/proc/self/task").iterdir()]
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
