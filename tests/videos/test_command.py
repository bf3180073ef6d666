"""`acutance sharpen` on videos, as a person meets it: whole processes, with the real network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from acutance.cli import main
from acutance.cli.pipes import STREAMABLE
from acutance.errors import InputError
from acutance.extras import how_to_get
from acutance.videos.settings import CodecName

PROGRAM = "from acutance.cli.main import run; run()"
WITHOUT_EXTRA = f"import sys; sys.modules['av'] = None; {PROGRAM}"


@pytest.fixture
def said(monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Give what runs the command here, and returns its exit code and what it said: a process takes half a second."""

    def run_here(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["acutance", "sharpen", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run()
        return int(ended.value.code or 0), " ".join(capsys.readouterr().err.replace("│", " ").split())

    return run_here


def run(*arguments: str | Path, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, "sharpen", *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "300"},
    )


def save_photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)).save(path)
    return path


def test_a_video_is_sharpened_beside_itself(make, times_of, packets_of, frames_of, difference):
    source = make("clip.mkv", codec="libx264", times=(0, 33, 67, 200), audio=("flac",))
    done = run(source)
    target = source.with_name("clip.sharp.mkv")
    assert done.returncode == 0, done.stderr
    assert f"{target}  (4 frames of 64×48, H.264, 1 other stream copied, " in done.stderr
    assert times_of(target) == times_of(source)
    assert packets_of(target)[1] == packets_of(source)[1]
    assert difference(frames_of(target), frames_of(source)) > 3
    assert sorted(path.name for path in source.parent.iterdir()) == ["clip.mkv", "clip.sharp.mkv"]
    again = run(source)
    assert (again.returncode, again.stderr) == (
        1,
        f"acutance: {target} exists already; allow overwriting (--overwrite, overwrite=True) or choose another name.\n",
    )


def test_a_folder_of_photos_and_videos_by_their_content(make, tmp_path):
    folder = tmp_path / "in"
    photo = save_photo(folder / "a" / "photo.png")
    photo.rename(photo.with_name("photo.mp4"))
    make("film.mkv", codec="libx264").rename(folder / "film.png")
    (folder / "broken.mp4").write_bytes(bytes(999))
    (folder / "program.ts").write_text("const answer = 42;\n" * 99)
    done = run(folder, "-o", tmp_path / "out", "--json")
    assert done.returncode == 1
    rows = {Path(row["source"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    assert {name: row["status"] for name, row in rows.items()} == {
        "photo.mp4": "done",
        "film.png": "done",
        "broken.mp4": "failed",
    }
    assert "it is not a video, or its beginning or index is damaged" in rows["broken.mp4"]["error"]
    assert (rows["film.png"]["video"]["frames"], rows["film.png"]["video"]["size"]) == (4, [48, 64])
    assert "video" not in rows["photo.mp4"]
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("[!.]*.*")}
    assert written == {"a/photo.png", "film.mkv"}
    assert done.stderr.splitlines()[-1] == "2 of 3 files sharpened, 1 failed"


def test_a_folder_is_resumed_by_its_record(make, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.mkv", "b.mkv"):
        make(name).rename(folder / name)
    arguments = [folder, "-o", tmp_path / "out", "--resume", "--codec", "ffv1"]
    assert run(*arguments).stderr.splitlines()[-1] == "2 of 2 videos sharpened"
    (tmp_path / "out" / "b.mkv").unlink()
    again = run(*arguments)
    assert again.returncode == 0
    assert again.stderr.splitlines()[-1] == "1 of 2 videos sharpened, 1 finished earlier"
    other = run(*arguments, "--to", "0.1")
    assert other.stderr.splitlines()[-1] == "2 of 2 videos sharpened"


def test_a_preview_in_another_codec(make, times_of):
    source = make("a.mp4", codec="libx264", times=tuple(range(0, 4000, 40)))
    target = source.with_name("b.mov")
    done = run(source, "-o", target, "--from", "0:01", "--to", "1.5", "--codec", "prores", "--quality", "small")
    assert done.returncode == 0, done.stderr
    assert "ProRes" in done.stderr
    assert times_of(target) == [Fraction(number, 25) for number in range(13)]


def test_interlaced_video_is_said(make):
    source = make("a.mkv", codec="libx264", is_interlaced=True)
    done = run(source, "--model", "fast")
    assert done.returncode == 0
    assert done.stderr.splitlines()[1].strip() == (
        "the video is interlaced: each of the two fields of a frame was sharpened by itself."
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--from", "abc"], 2, "'abc' is no time"),
        (["--from", "1:75"], 2, "'1:75' is no time"),
        (["--from", "5", "--to", "3"], 2, "to = 3.0 s: must lie behind the start, 5 s."),
        (["--codec", "h266"], 2, "codec 'h266': unknown; there are auto, h264,"),
        (["--quality", "best"], 2, "quality 'best': unknown; there are lossless, high,"),
        (["-o", "x.jpg"], 2, "the name of a video must end in one of"),
        (["-o", "x.mp4", "--codec", "prores"], 2, "codec prores: MP4 does not hold it; choose h264, h265,"),
        (["--from", "99"], 1, "no frame could be decoded in the part that was asked for; it is "),
    ],
)
def test_what_cannot_be_is_one_sentence(make, said, arguments, code, words):
    source = make("a.mkv")
    found, sentence = said(source, *arguments)
    assert (found, words in sentence) == (code, True), sentence
    assert [path.name for path in source.parent.iterdir()] == ["a.mkv"]


def test_a_codec_that_some_of_the_videos_can_have(make, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    make("a.mkv").rename(folder / "a.mkv")
    make("b.mp4", codec="libx264").rename(folder / "b.mp4")
    done = run(folder, "-o", tmp_path / "out", "--codec", "prores")
    assert done.returncode == 1
    assert f"acutance: {folder / 'b.mp4'}" not in done.stderr
    assert "codec prores: MP4 does not hold it" in done.stderr
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["a.mkv"]


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("arguments", [[], ["--no-record"]])
def test_a_full_disk_leaves_nothing_and_names_the_result(make, arguments):
    source = make("a.mkv", width=320, height=240, noise=0.3)
    full = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); {PROGRAM}"
    )
    done = run(source, "--codec", "ffv1", *arguments, program=full)
    target = source.with_name("a.sharp.mkv")
    assert done.returncode == 1
    assert done.stderr.startswith(f"acutance: {target} cannot be written: "), done.stderr
    assert [path.name for path in source.parent.iterdir()] == ["a.mkv"]


def test_without_the_extra_a_video_is_one_sentence_and_photos_are_done(make, tmp_path):
    folder = tmp_path / "in"
    save_photo(folder / "photo.png")
    video = make("a.mkv").rename(folder / "a.mkv")
    alone = run(video, program=WITHOUT_EXTRA)
    assert (alone.returncode, alone.stderr) == (
        3,
        f"acutance: videos: PyAV is not installed; {how_to_get('video')}.\n",
    )
    both = run(folder, "-o", tmp_path / "out", program=WITHOUT_EXTRA)
    assert both.returncode == 1
    assert f"acutance: {video} is a video; videos: PyAV is not installed; {how_to_get('video')}." in both.stderr
    assert (tmp_path / "out" / "photo.png").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(make, times_of):
    source = make("a.mkv", width=96, height=64, times=tuple(range(0, 4000, 40)))
    told = "import acutance.cli.video_files as files; files.LINE_EVERY_S = 0.0; " + PROGRAM
    arguments = [sys.executable, "-c", told, "sharpen", str(source), "--codec", "ffv1"]
    child = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    said = []
    for line in child.stderr:
        if "frame 5 of 100" in line and not any("frame 5 " in earlier for earlier in said):
            child.send_signal(signal.SIGINT)
        said.append(line)
    assert child.wait(60) == 130
    child.stderr.close()
    assert "stopping after the frame in work; once more to stop at once" in "".join(said)
    assert said[-1] == (f"what is finished of {source} is kept beside its result; the same command goes on there.\n")
    assert [path.suffix for path in source.parent.iterdir()] == [".mkv", ".acutance-parts"]
    again = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True)
    first = int(again.stderr.split("frame ")[1].split()[0])
    assert first > 5
    assert times_of(source.with_name("a.sharp.mkv")) == times_of(source)
    assert len(list(source.parent.iterdir())) == 2


def piped(*arguments: str | Path, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", PROGRAM, "sharpen", *map(str, arguments)]
    return subprocess.run(command, input=content, capture_output=True, check=False, timeout=120)


def test_raw_video_goes_from_pipe_to_pipe(make, tmp_path, times_of, frames_of):
    source = make("a.y4m", codec="wrapped_avframe", time_base=Fraction(1, 25), times=tuple(range(6)))
    done = piped("-", "-o", "-", "--model", "fast", content=source.read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"YUV4MPEG2 W64 H48 F25:1")
    (tmp_path / "b.y4m").write_bytes(done.stdout)
    assert times_of(tmp_path / "b.y4m") == times_of(source)


def test_a_pipe_goes_into_a_file(make, times_of, packets_of):
    source = make("a.mkv", codec="libx264", audio=("flac",), times=(0, 33, 67, 200))
    target = source.with_name("b.mp4")
    done = piped("-", "-o", target, content=source.read_bytes())
    assert done.returncode == 0, done.stderr
    assert f"{target}  (4 frames of 64×48, H.264, 1 other stream copied, " in done.stderr.decode()
    assert times_of(target) == times_of(source)
    again = piped("-", "-o", target, content=source.read_bytes())
    assert (again.returncode, b"exists already" in again.stderr) == (1, True)
    cut = piped("-", "-o", source.with_name("c.mp4"), content=b"\x1a\x45\xdf\xa3 no more than this")
    assert cut.returncode == 1, cut.stderr
    container = piped("-", "-o", target, "--container", "mkv", "--overwrite", content=source.read_bytes())
    assert (container.returncode, b"--container: is for stdout" in container.stderr) == (2, True)
    assert sorted(path.name for path in source.parent.iterdir()) == ["a.mkv", "b.mp4"]


@pytest.mark.parametrize(
    ("name", "arguments", "begin"),
    [
        ("a.mp4", [], b"\x1a\x45\xdf\xa3"),  # MP4 cannot be written from front to end
        ("a.ts", [], b"G"),
        ("a.mp4", ["--container", "y4m", "--picture-only"], b"YUV4MPEG2"),
    ],
)
def test_a_file_goes_to_a_pipe(make, times_of, name, arguments, begin):
    source = make(name, codec="libx264", audio=("aac",))
    done = piped(source, "-o", "-", *arguments)
    assert (done.returncode, done.stdout[: len(begin)]) == (0, begin), done.stderr
    source.with_name("out").write_bytes(done.stdout)
    assert len(times_of(source.with_name("out"))) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--container", "y4m"], 1, "Y4M cannot hold stream 1 (audio, aac)"),
        (["--container", "mp4"], 2, "container mp4: cannot be written to a pipe; choose y4m, mkv"),
        (["--codec", "prores", "--container", "ts"], 2, "codec prores: MPEG-TS does not hold it; choose h264, h265."),
    ],
)
def test_what_a_pipe_cannot_take_is_one_sentence(make, arguments, code, words):
    done = piped(make("a.mp4", codec="libx264", audio=("aac",)), "-o", "-", *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert words in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_the_python_call_for_photos_names_that_for_videos(make, keeper):
    with pytest.raises(InputError, match=r"a\.mkv is a video: acutance\.videos\.sharpen_video takes it"):
        keeper(make("a.mkv"))


def test_what_help_says_of_pipes_is_what_they_take():
    shown = run("--help").stdout
    words = " ".join(shown.replace("│", " ").split())
    listed = words.split("Kind of video on stdout: y4m (raw), ")[1].split(";")[0].split(", ")
    assert [".y4m", *(f".{name}" for name in listed)] == list(STREAMABLE)
    codecs = words.split("auto keeps the video's own; ")[1].split(" (in y4m alone)")[0].split(", ")
    assert codecs == list(get_args(CodecName))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "out.mkv", "--container", "mp4"], "--container: is for a folder or stdout"),
        (["-o", "out.mkv", "--segment", "1"], "--segment: is for a folder"),
        (["-o", "out/", "--from", "3"], "--from: is not for a camera"),
        (["-o", "out/", "--container", "zip"], "container zip: unknown"),
        (["-o", "out/", "--container", "ts", "--codec", "prores"], "codec prores: MPEG-TS does not hold it"),
    ],
)
def test_options_that_mean_nothing_to_a_camera_are_refused(make, said, arguments, words):
    code, sentence = said("--stream", make("a.mkv"), *arguments)
    assert (code, words in sentence) == (2, True), sentence
