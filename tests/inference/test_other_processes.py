"""A sharpener in other processes: pickled to workers, or forked with what the parent has opened; never a hang."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from acutance.engines.fake import FakeEngine
from acutance.engines.forked import ForkedEngine
from acutance.errors import EngineError
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import Region

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)

FORKS = """
import os, signal, sys
import numpy as np
from acutance import Sharpener
from acutance.errors import EngineError
picture = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
sharpener = Sharpener(engine=sys.argv[1], precision="float32", threads=2)
before = sharpener(picture)
child = os.fork()
if child == 0:
    signal.alarm(60)
    try:
        os._exit(7 if np.array_equal(sharpener(picture), before) else 8)
    except EngineError as error:
        os._exit(9 if "forked" in str(error) else 10)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), np.array_equal(sharpener(picture), before))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on POSIX")
@pytest.mark.parametrize(("engine", "code"), [("onnxruntime", 7), ("openvino", 7), ("torch", 9)])
def test_a_forked_process_reopens_the_engine_or_says_that_it_cannot(engine: str, code: int) -> None:
    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, engine],
        capture_output=True, check=False, text=True, timeout=240, env=environment,
    )  # fmt: skip
    assert done.stdout == f"{code} True\n", done.stderr


def test_a_worker_gets_a_sharpener_like_this(tmp_path: Path) -> None:
    with Sharpener("fast", engine="onnxruntime", threads=1, tile_px=64) as sharpener:
        expected = sharpener(PICTURE, strength=0.5)
        sent = pickle.dumps(sharpener)
        part = pickle.dumps(sharpener.told(region=Region(x=4, y=4, width=16, height=16)))
        outside = sharpener.told(region=Region(x=4, y=4, width=16, height=16))(PICTURE)
    (tmp_path / "sent").write_bytes(sent)
    code = (
        "import pickle, sys, numpy as np\n"
        "picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)\n"
        "with pickle.load(open(sys.argv[1], 'rb')) as sharpener:\n"
        "    sys.stdout.buffer.write(sharpener(picture, strength=0.5).tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "sent")], capture_output=True, check=True)
    assert done.stdout == expected.tobytes()
    with pickle.loads(part) as other:
        np.testing.assert_array_equal(other(PICTURE), outside)


def test_a_copy_shares_the_engine() -> None:
    engine = FakeEngine(lambda batch: 1 - batch)
    other = copy.copy(Sharpener(engine=engine))
    np.testing.assert_array_equal(other(PICTURE), 255 - PICTURE)
    assert engine.sizes


def test_only_the_process_that_opened_an_engine_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[FakeEngine] = []

    def open_one() -> FakeEngine:
        opened.append(FakeEngine())
        return opened[-1]

    engine = ForkedEngine(open_one, reopens=True)
    stubborn = ForkedEngine(open_one, reopens=False)
    batch = np.zeros((1, 3, 8, 8), np.float32)
    engine.run(batch)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    engine.run(batch)
    assert [one.sizes for one in opened] == [[(8, 8)], [], [(8, 8)]]
    with pytest.raises(EngineError, match="forked"):
        stubborn.run(batch)
    stubborn.close()
    engine.close()
    assert [one.is_closed for one in opened] == [False, False, True]
