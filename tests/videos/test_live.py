"""Cameras: files that play like one, and a small RTSP server whose connection breaks."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from acutance.cli import main
from acutance.engines.fake import FakeEngine
from acutance.errors import ConfigError, ImageTooLarge, InputError, OutputError
from acutance.inference.sharpener import Sharpener
from acutance.videos import VideoSettings, cameras, live
from acutance.videos.cameras import without_password
from acutance.videos.live import LiveStatus, sharpen_live
from acutance.videos.mailbox import Mailbox

TIMES = tuple(range(0, 800, 40))


@pytest.fixture
def slow(monkeypatch) -> Iterator[Sharpener]:
    """A network that is busy while eight more frames come, however fast the machine is."""
    came: list[float] = []
    put = Mailbox.put

    def counting_put(self: Mailbox, item: tuple) -> None:
        put(self, item)
        came.append(item[0].time_s)

    def run(batch: np.ndarray) -> np.ndarray:
        enough = min(len(came) + 8, 40)
        while len(came) < enough:
            time.sleep(0.005)
        return batch * np.float32(0.5)

    monkeypatch.setattr(Mailbox, "put", counting_put)
    with Sharpener(engine=FakeEngine(run)) as sharpener:
        yield sharpener


def test_a_fast_machine_takes_every_frame_at_its_time(make, keeper, times_of, frames_of, difference):
    source = make("a.mkv", codec="libx264", times=TIMES, options={"qp": "0"})
    told: list[LiveStatus] = []
    settings = VideoSettings(quality="lossless")
    target = source.with_name("b.mkv")
    begin = time.monotonic()
    result = sharpen_live(keeper, str(source), target, settings=settings, report=told.append)
    assert time.monotonic() - begin > 0.7  # at its own pace
    assert result.status.received == 20
    assert result.status.written + result.status.passed_over == 20
    assert result.files == (target,)
    if result.status.passed_over == 0:  # a machine that is busy otherwise may be too slow even for this
        assert max(abs(float(found) - time / 1000) for found, time in zip(times_of(target), TIMES, strict=True)) < 0.002
        assert difference(frames_of(target), frames_of(source)) == 0
    assert 0 < result.status.latency_s <= result.status.latency_95_s < 10
    assert told[-1].received <= 20
    assert result.codec == "H.264"


def test_rates_are_not_remembered_for_ever():
    counts = live._Counts()
    for _ in range(5000):  # and nobody asks
        counts.receive()
        counts.write(0.01)
    assert len(counts._came) == len(counts._went) < 5000
    status = counts.status(passed_over=0, damaged=0, connections=1)
    assert (status.received, status.written) == (5000, 5000)
    assert status.received_per_s > 1000


def test_a_slow_machine_takes_the_latest_frame(make, times_of, slow):
    source = make("a.mkv", times=tuple(range(0, 1600, 40)))
    target = source.with_name("b.mkv")
    status = sharpen_live(slow, str(source), target).status
    assert status.received == 40
    assert 2 <= status.written <= 7
    assert status.written + status.passed_over == 40
    # Eight frames' time in the network, and as long before it at the most: what waits does not pile up.
    assert status.latency_95_s < 2 * 9 * max(0.04, status.seconds / 40) + 1
    found = times_of(target)
    assert len(found) == status.written
    # The times stay those of the frames: they are as far apart as the frames were, not played faster.
    assert all(later - earlier > Fraction(7, 25) for earlier, later in pairwise(found[:-1]))


def test_it_ends_when_it_is_told_to_or_after_its_time(make, keeper, times_of):
    source = make("a.mkv", times=tuple(range(0, 60_000, 100)))
    target = source.with_name("b.mkv")
    asked = threading.Event()
    begin = time.monotonic()

    def watch(status: LiveStatus) -> None:
        if status.written >= 2:
            asked.set()

    sharpen_live(keeper, str(source), target, report=watch, should_stop=asked.is_set)
    assert 2 <= len(times_of(target)) < 100
    sharpen_live(keeper, str(source), target, settings=VideoSettings(to_s=0.5), overwrite=True)
    assert time.monotonic() - begin < 40
    assert times_of(target)[-1] < Fraction(1, 2)


def test_a_folder_gets_a_file_every_so_often(make, keeper, times_of, tmp_path):
    source = make("a.mkv", times=TIMES)
    result = sharpen_live(keeper, str(source), tmp_path / "out", suffix=".mp4", segment_s=0.3)
    assert {path.suffix for path in result.files} == {".mp4"}
    assert len(result.files) in (2, 3)  # three, but for a machine that is busy otherwise
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in result.files)
    frames = [times_of(path) for path in result.files]
    assert all(times[0] == 0 for times in frames)
    assert sum(map(len, frames)) == result.status.written


def test_raw_video_in_a_pipe_keeps_the_pace(make, slow):
    source = make("a.mkv", times=tuple(range(0, 1600, 40)))
    target = io.BytesIO()
    result = sharpen_live(slow, str(source), target, suffix=".y4m")
    with av.open(io.BytesIO(target.getvalue())) as container:
        count = len(list(container.decode(video=0)))
    assert result.status.written <= 7
    assert 4 * result.status.written <= count <= 41  # frames that were passed over are filled with the last


@pytest.mark.parametrize(
    "case", ["h264.ts", "h265.ts", "h264.nut", "h265.nut", "av1.nut", "vp9.nut", "mjpeg.nut", "h264.mkv"]
)
def test_every_frame_leaves_at_once(make, case):
    codec, suffix = case.split(".")
    source = make("a.mkv", times=TIMES[:10])
    size = 0

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:
            nonlocal size
            size += len(data)
            return len(data)

    sizes: dict[int, int] = {}
    with Sharpener(engine=FakeEngine()) as sharpener:
        sharpen_live(
            sharpener,
            str(source),
            Pipe(),
            suffix=f".{suffix}",
            settings=VideoSettings(codec=codec),
            report=lambda status: sizes.update({status.written: size}),
        )
    written = sorted(sizes)[2:]
    assert len(written) >= 3
    assert all(sizes[one] < sizes[other] for one, other in pairwise(written))


def test_what_is_no_camera_is_said(tmp_path, keeper, make):
    for source, words in (
        ("nothing.mp4", "there is no such file or device"),
        ("rtsp://someone:secret@127.0.0.1:9/x", r"rtsp://127\.0\.0\.1:9/x cannot be opened: .*; check the address"),
    ):
        with pytest.raises(InputError, match=words) as told:
            sharpen_live(keeper, source, tmp_path / "b.mkv")
        assert "secret" not in str(told.value)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="it is not a video"):
        sharpen_live(keeper, str(tmp_path / "text"), tmp_path / "b.mkv")
    with Sharpener(engine=FakeEngine(), max_pixels=100) as sharpener, pytest.raises(ImageTooLarge):
        sharpen_live(sharpener, str(make("a.mkv")), tmp_path / "b.mkv")
    assert not (tmp_path / "b.mkv").exists()


def test_a_result_that_exists_or_cannot_be_is_refused(make, keeper, tmp_path):
    source, taken = make("a.mkv"), tmp_path / "b.mkv"
    taken.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        sharpen_live(keeper, str(source), taken)
    assert taken.read_bytes() == b"mine"
    settings = VideoSettings(codec="prores", quality="lossless")
    with pytest.raises(ConfigError, match="quality lossless"):
        sharpen_live(keeper, str(source), tmp_path / "c.mov", suffix=".mov", settings=settings)


def test_a_network_that_fails_keeps_what_was_written(make, times_of):
    source = make("a.mkv", times=TIMES)
    calls = []

    def fail(batch: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 5:
            raise ZeroDivisionError
        return batch

    before = threading.active_count()
    with Sharpener(engine=FakeEngine(fail)) as sharpener, pytest.raises(ZeroDivisionError):
        sharpen_live(sharpener, str(source), source.with_name("b.mkv"))
    assert threading.active_count() == before
    assert len(times_of(source.with_name("b.mkv"))) == 4


def test_names_and_passwords_are_not_shown():
    assert without_password("rtsp://me:p%40ss@cam:554/live?x=1") == "rtsp://cam:554/live?x=1"
    assert without_password("rtsp://me:p@ss:w@rd@cam:554/live") == "rtsp://cam:554/live"
    for address in ("rtsp://cam/a@b", "rtsp://cam?mail=a@b", "rtsp://cam#a@b"):
        assert without_password(address) == address


class RtspServer(threading.Thread):
    """Serves one H.264 camera over RTSP (interleaved in TCP); it hangs up when it is told to, once per connection."""

    SDP = (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
        "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track0\r\n"
    )

    def __init__(self, hang_ups: list[threading.Event]) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._hang_ups = hang_ups
        self.url = f"rtsp://user:secret@127.0.0.1:{self._listening.getsockname()[1]}/live"

    def run(self) -> None:
        with self._listening:
            for hang_up in self._hang_ups:
                connection, _ = self._listening.accept()
                with connection, suppress(OSError):  # whoever watches may go away
                    self._talk(connection)
                    with closing(self._rtp_packets(hang_up)) as packets:
                        for packet in packets:
                            connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)

    def _talk(self, connection: socket.socket) -> None:
        while True:
            request = [line.decode().strip() for line in iter(lambda: self._line(connection), b"\r\n")]
            method = request[0].split()[0]
            number = next(line for line in request if line.startswith("CSeq"))
            body = self.SDP if method == "DESCRIBE" else ""
            extra = {
                "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
                "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n",
                "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
            }.get(method, "Session: 1\r\n")
            connection.sendall(f"RTSP/1.0 200 OK\r\n{number}\r\n{extra}\r\n{body}".encode())
            if method == "PLAY":
                return

    @staticmethod
    def _line(connection: socket.socket) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            line += connection.recv(1) or b"\n"
        return line

    @staticmethod
    def _rtp_packets(end: threading.Event) -> Generator[bytes, None, None]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
            inbox.bind(("127.0.0.1", 0))
            inbox.settimeout(0.02)
            with av.open(f"rtp://127.0.0.1:{inbox.getsockname()[1]}", "w", format="rtp") as out:
                stream = out.add_stream(
                    "libx264", rate=25, options={"tune": "zerolatency", "x264-params": "repeat-headers=1"}
                )
                stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 5
                for number in count():
                    if end.is_set():
                        return
                    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 32 * 8, np.uint8), format="rgb24")
                    out.mux(stream.encode(frame.reformat(format="yuv420p")))
                    try:
                        while True:
                            yield inbox.recv(65536)
                    except TimeoutError:
                        time.sleep(0.02)


def test_a_camera_that_hangs_up_is_connected_again(tmp_path, keeper, times_of, monkeypatch):
    monkeypatch.setattr(cameras, "FIRST_PAUSE_S", 0.2)
    hang_up, asked = threading.Event(), threading.Event()
    server = RtspServer([hang_up, asked])
    server.start()
    told: list[str] = []
    written_before = 0

    def watch(status: LiveStatus) -> None:
        nonlocal written_before
        if status.connections == 1:
            written_before = status.written
            if written_before >= 3:
                hang_up.set()
        elif status.written >= written_before + 3:
            asked.set()

    target = tmp_path / "b.mkv"
    result = sharpen_live(keeper, server.url, target, tell=told.append, report=watch, should_stop=asked.is_set)
    name = server.url.replace("user:secret@", "")
    assert told[0].startswith(f"{name} is lost (")
    assert told[0].endswith("connecting again in 0.2 s.")
    assert told[-1] == f"{name} is back."
    assert result.status.connections == 2
    found = times_of(target)
    assert len(found) == result.status.written >= 5
    gaps = [float(later - earlier) for earlier, later in pairwise(found)]
    assert max(gaps) >= 0.2  # the time without a connection stays in the result
    assert all(gap > 0 for gap in gaps)
    server.join(10)


def test_attempts_to_connect_are_further_and_further_apart(monkeypatch, tmp_path):
    pauses: list[float] = []
    camera = cameras.Camera(str(tmp_path) + "://x", tell=lambda words: None)

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            camera.stop()

    camera.connections = 1
    monkeypatch.setattr(camera._stop, "wait", wait)

    def refuse(source: str) -> None:
        raise InputError("refused")

    monkeypatch.setattr(cameras, "_open_live", refuse)
    assert list(camera.frames()) == []
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()", "sharpen"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_is_the_usual_end_of_the_command(make, times_of, tmp_path):
    source = make("a.mkv", times=tuple(range(0, 60_000, 40)))
    folder = tmp_path / "recordings"
    command = [*PROGRAM, "--stream", str(source), "-o", f"{folder}/", "--json", "--segment", "1", "--strength", "0"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (folder.exists() and list(folder.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    said, told = child.communicate(timeout=30)
    assert child.returncode == 0, told
    row = json.loads(said)
    (path,) = map(Path, row["files"])
    assert path.parent == folder
    assert [path] == list(folder.iterdir())
    assert len(times_of(path)) == row["written"] > 0
    assert f"{row['written']} of {row['received']} frames sharpened, " in told


@pytest.mark.parametrize(
    "case",
    [
        ([], 2, "a camera needs a place for its picture: -o out.mkv"),
        (["-o", "b.mkv", "--segment", "2"], 2, "--segment: is for a folder"),
        (["-o", "-", "--container", "gif"], 2, "container gif: unknown; there are mp4,"),
        (["-o", "b.jpg"], 2, "the name of a video must end in one of"),
        (["-o", "b.mkv", "a.jpg"], 2, "name photos, videos or folders, or one camera (--stream)"),
    ],
)
def test_what_cannot_be_is_one_sentence(make, monkeypatch, capsys, case):
    arguments, code, words = case
    source = make("a.mkv")
    monkeypatch.chdir(source.parent)
    monkeypatch.setattr(sys, "argv", ["acutance", "sharpen", "--stream", str(source), *arguments])
    with pytest.raises(SystemExit) as ended:
        main.run()
    told = capsys.readouterr().err
    assert (ended.value.code, words in told, len(told.splitlines())) == (code, True, 1), told
