"""`acutance serve` as a person meets it: a process, its words, and what it refuses to do."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from acutance.cli.main import app
from acutance.cli.serve import default_folder
from acutance.client import Client, ServerRefused
from acutance.errors import ConfigError, UnknownModel

PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()", "serve"]
TOKEN = "a-token-that-is-long-enough"


def refused(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["serve", *map(str, arguments)])
    assert isinstance(result.exception, ConfigError | UnknownModel), result.output
    return str(result.exception)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_a_whole_evening(tmp_path: Path) -> None:
    """Begin, sharpen with the shipped model, refuse a second server, end by Ctrl-C."""
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN)
    arguments = ["--port", "0", "--data", str(tmp_path / "data"), "--token-file", str(tokens), "--threads", "1"]
    process = subprocess.Popen([*PROGRAM, *arguments], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    words = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", words)
    assert found, words
    client = Client(found[0], token=TOKEN)
    end = time.monotonic() + 30
    while True:
        try:
            assert client.models()[:2] == ("auto", "fast")
            break
        except ServerRefused:
            assert time.monotonic() < end
            time.sleep(0.05)
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(buffer, "PNG")
    sharp = client.sharpen(buffer.getvalue(), model="fast")
    assert sharp.model == "fast"
    assert Image.open(io.BytesIO(sharp.content)).size == (30, 20)
    assert "another acutance serve" in refused("--port", "0", "--data", tmp_path / "data")
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=30)[1]
    assert process.returncode == 0, rest
    assert rest == ""


def test_others_are_let_in_only_on_purpose(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5"):
        assert "give --token-file" in refused("--host", host)
    assert "exclude each other" in refused("--no-token", "--token-file", tmp_path / "x")
    assert "cannot be read" in refused("--token-file", tmp_path / "none")
    (tmp_path / "short").write_text("secret\n")
    assert "at least 16" in refused("--token-file", tmp_path / "short")


def test_what_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "belong together" in refused("--tls-cert", tmp_path / "x")
    assert "unknown" in refused("--model", "nonesuch")
    assert "cannot be used" in refused("--port", "0", "--data", tmp_path / "file")
    assert "PEM" in refused(
        "--port", "0", "--data", tmp_path / "d", "--tls-cert", tmp_path / "file", "--tls-key", tmp_path / "file"
    )


def test_the_default_folder_is_the_user_s_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_folder() == tmp_path / "acutance" / "serve"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder().parts[-3:] == ("Application Support", "acutance", "serve")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "win32")
    assert default_folder() == tmp_path / "acutance" / "serve"


def test_a_user_without_a_home_folder_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigError, match=r"no home folder to keep jobs in; name a folder \(--data\)"):
        default_folder()
