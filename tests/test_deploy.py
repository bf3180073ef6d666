"""What is in `deploy/` calls the server by options that exist, and by its own defaults."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from acutance.cli.main import app
from acutance.cli.serve import PORT

DEPLOY = Path(__file__).parent.parent / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "acutance.service").read_text(encoding="utf-8")
NGINX = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")


def docker_words() -> list[str]:
    found = {
        name: json.loads(words) for name, words in re.findall(r"^(ENTRYPOINT|CMD) (\[.*\])$", DOCKERFILE, re.MULTILINE)
    }
    return found["ENTRYPOINT"] + found["CMD"]


def unit_words() -> list[str]:
    return shlex.split(re.search(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)[1])


@pytest.mark.parametrize("words", [docker_words(), unit_words()], ids=["Dockerfile", "unit"])
def test_options_exist(words: list[str]) -> None:
    assert [Path(words[0]).name, words[1]] == ["acutance", "serve"]
    shown = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "300", "TERM": "dumb"}).output
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"(^|\s|,){option}\b", shown, re.MULTILINE), option


def test_others_need_a_token() -> None:
    for words in (docker_words(), unit_words()):
        assert "--token-file" in words
        assert "--no-token" not in words


def test_ports_and_sizes_are_the_defaults() -> None:
    pytest.importorskip("fastapi")
    from acutance.server.limits import MIB, Limits

    assert f"127.0.0.1:{PORT}:{PORT}" in COMPOSE, "this machine only"
    assert f"EXPOSE {PORT}" in DOCKERFILE
    assert f"proxy_pass http://127.0.0.1:{PORT};" in NGINX
    assert f"client_max_body_size {Limits().max_body_bytes // MIB}m;" in NGINX


def test_the_image_runs_as_nobody_and_takes_what_is_needed_only() -> None:
    assert re.search(r"^USER \d+", DOCKERFILE, re.MULTILINE)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    copied = re.search(r"^COPY ((?!--from)[^.]\S.*) \./?$", DOCKERFILE, re.MULTILINE)[1].split()
    assert {f"!{name}" for name in (*copied, "src")} <= set(ignored)
