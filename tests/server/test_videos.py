"""Videos as jobs: made in a thread of their own, gone on with after a kill, whole when they come home."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from acutance.client import Client, ServerRefused

pytestmark = [
    pytest.mark.skipif(find_spec("av") is None, reason="needs the extra video"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL"),
]

SERVER = Path(__file__).with_name("video_server.py")
FRAMES = 24

FACTS = """
import json, sys, av
with av.open(sys.argv[1]) as container:
    levels = [int(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    print(json.dumps({"format": container.format.name, "title": container.metadata.get("title"), "levels": levels}))
"""


class Served:
    """A server in a process of its own."""

    def __init__(self, folder: Path, *, milliseconds: float, task: str) -> None:
        self.folder, self.clip, self.notes = folder / "data", folder / "clip.mkv", folder / "notes"
        command = [sys.executable, str(SERVER), str(self.folder), str(milliseconds), str(self.notes), str(self.clip)]
        command.append(task)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.client = Client(f"http://127.0.0.1:{int(self.process.stdout.readline())}", patience_s=30)
        self.until(self._answers)

    def _answers(self) -> bool:
        try:
            self.client.models()
        except ServerRefused:
            return False
        return True

    def until(self, found) -> None:
        end = time.monotonic() + 60
        while not found():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)

    def end(self, number: int) -> str:
        self.process.send_signal(number)
        return self.process.communicate(timeout=60)[1]


@pytest.fixture
def begin(tmp_path):
    running = []

    def start(*, milliseconds: float = 1, task: str = "sharpen") -> Served:
        running.append(Served(tmp_path, milliseconds=milliseconds, task=task))
        return running[-1]

    yield start
    for served in running:
        if served.process.poll() is None:
            assert "Traceback" not in served.end(signal.SIGTERM)


def facts_of(content: bytes, tmp_path: Path) -> dict:
    path = tmp_path / "result"
    path.write_bytes(content)
    done = subprocess.run([sys.executable, "-c", FACTS, str(path)], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_a_video_from_post_to_result(begin, tmp_path, picture) -> None:
    served = begin()
    clip = served.clip.read_bytes()
    with pytest.raises(ServerRefused, match="post it to /v1/jobs"):
        served.client.sharpen(clip)
    with pytest.raises(ServerRefused, match="motion, defocus, gaussian, region and report: only of pictures"):
        served.client.submit(clip, region="0,0,16,16")
    with pytest.raises(ServerRefused, match="a video stays what it is"):
        served.client.submit(clip, format="png")
    job = served.client.submit(served.clip)
    shares = []
    done = served.client.wait(job.id, every_s=0.02, progress=shares.append)
    assert done.state == "done"
    assert shares
    result = served.client.result(job.id)
    facts = facts_of(result.content, tmp_path)
    assert (facts["format"], facts["title"]) == ("matroska,webm", "a clip")
    assert len(facts["levels"]) == FRAMES
    for number, level in enumerate(facts["levels"]):
        assert level == pytest.approx(255 - (40 + 5 * number), abs=4)
    assert not list((served.folder / "videos").iterdir())
    assert not list((served.folder / "uploads").iterdir())
    cut = served.client.submit(clip[:700])
    failed = served.client.job(cut.id)
    served.until(lambda: (served.client.job(cut.id)).state in ("failed", "done"))
    failed = served.client.job(cut.id)
    assert failed.state == "failed"
    assert str(tmp_path) not in failed.detail
    assert failed.error in ("unsupported_image", "bad_request")


def test_pictures_do_not_wait_for_videos_and_a_video_is_cancelled(begin, picture) -> None:
    served = begin(milliseconds=300)
    job = served.client.submit(served.clip)
    served.until(lambda: served.client.job(job.id).state == "running")
    served.client.sharpen(picture())
    assert served.client.job(job.id).state == "running"
    served.client.cancel(job.id)
    served.until(lambda: not list((served.folder / "videos").iterdir()))
    assert served.client.job(job.id).state == "cancelled"


def test_killed_it_is_done_by_the_next_server(begin, tmp_path) -> None:
    served = begin(milliseconds=60)
    job = served.client.submit(served.clip)
    served.until(lambda: served.notes.exists() and len(served.notes.read_text().split()) > 5)
    served.end(signal.SIGKILL)
    again = begin()
    assert again.client.wait(job.id, every_s=0.02).state == "done"
    assert len(facts_of(again.client.result(job.id).content, tmp_path)["levels"]) == FRAMES
    assert not list((again.folder / "videos").iterdir())


def test_a_model_that_looks_at_the_whole_takes_no_videos(begin, picture) -> None:
    served = begin(task="remove-motion")
    job = served.client.submit(served.clip)
    served.until(lambda: served.client.job(job.id).state in ("failed", "done"))
    refused = served.client.job(job.id)
    assert refused.state == "failed"
    assert refused.detail.endswith("is for photos, not for videos; choose another model.")
    assert not served.notes.exists()
    assert served.client.sharpen(picture(height=80, width=70)).content
