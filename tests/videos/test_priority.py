"""An encoder is opened without giving it the machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("av", reason="needs the extra video")

PROGRAM = """
import os
from fractions import Fraction
from pathlib import Path
from av.codec.context import CodecContext
from acutance.videos.priority import open_encoder

context = CodecContext.create("libsvtav1", "w")
context.width, context.height, context.pix_fmt, context.time_base = 64, 64, "yuv420p", Fraction(1, 25)
before = os.sched_getscheduler(0)
open_encoder(context)
threads = [int(path.name) for path in Path("/proc/self/task").iterdir()]
print(len(threads) > 1, {os.sched_getscheduler(thread) for thread in threads} == {before})
"""
"""In a process of its own: what other tests open may have given this one real-time priority, which is inherited."""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the priorities")
def test_an_encoder_of_av1_changes_no_priority_even_where_root_opens_it():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["True", "True"]
