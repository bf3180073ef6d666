"""Whatever is given for a number on the command line, it is refused as wrong usage, in words and not by a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from acutance.cli.main import app, whole_program
from acutance.errors import AcutanceError

VERBS = {
    "sharpen": "photo.png -o b.png", "inspect": "photo.png", "kernel": "photo.png", "compare": "photo.png photo.png",
    "still": "none.mp4 --at 1 -o c.png", "bulk": "from to --plan", "evaluate": "--test from",
    "serve": "--data photo.png",
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_numbers_of_the_command_line(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (53, 37)).save("photo.png")
    Path("from").mkdir()
    for option in whole_program().commands[verb].params:
        if any(kind in str(option.type_descriptor.annotation) for kind in ("int", "float")):
            for word in ("nan", "inf", "-1", "1e300", ""):
                told = [verb, *VERBS[verb].split(), f"{max(option.opts, key=len)}={word}"]
                error = CliRunner().invoke(app, told).exception
                assert isinstance(error, SystemExit | AcutanceError), (told, error)
                code = error.code if isinstance(error, SystemExit) else error.exit_code
                assert code == 2 or (verb, word) == ("still", "1e300"), told  # no clip is that long
