"""The engines' telemetry: off, unless the user has decided otherwise himself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SWITCH = "ORT_DISABLE_TELEMETRY"


def said_by(code: str, home: Path, **chosen: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name != SWITCH}
    places = dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME"), str(home))
    return subprocess.run(
        [sys.executable, "-c", code], env=kept | places | chosen, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("chosen", "told"), [({}, "1"), ({SWITCH: ""}, "1"), ({SWITCH: "1"}, "1"), ({SWITCH: "0"}, "0")]
)
def test_onnx_runtime_is_told_before_it_is_loaded(tmp_path: Path, chosen: dict[str, str], told: str) -> None:
    """A stand-in for the library notes what it would find: the real one must not be let report, not even here."""
    (tmp_path / "onnxruntime.py").write_text(
        f"import os\nprint(os.environ.get('{SWITCH}'))\ndef disable_telemetry_events(): print('and by its API')\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import acutance.engines.silent_onnxruntime"
    by_api = [] if told == "0" else ["and by its API"]
    assert said_by(code, tmp_path, **chosen).splitlines() == [told, *by_api]


def test_openvino_reports_only_where_the_user_has_agreed(tmp_path: Path) -> None:
    """Stand-ins, again: an OpenVINO that reports when it is imported, as the real one does, if it can."""
    libraries = tmp_path / "libraries"
    (libraries / "openvino").mkdir(parents=True)
    (libraries / "openvino_telemetry.py").write_text("print('reported')")
    (libraries / "openvino" / "__init__.py").write_text(
        "try: import openvino_telemetry\nexcept ImportError: print('silent')\n"
    )
    for module in ("opset13", "properties"):
        (libraries / "openvino" / f"{module}.py").touch()
    code = (
        f"import sys; sys.path.insert(0, {str(libraries)!r}); import acutance.engines.silent_openvino\n"
        "import openvino_telemetry  # the user's own import, afterwards"
    )
    assert said_by(code, tmp_path).split() == ["silent", "reported"]
    folder = tmp_path / ("Intel Corporation" if sys.platform == "win32" else "intel")
    folder.mkdir()
    (folder / "openvino_telemetry").write_text("0")
    assert said_by(code, tmp_path).split() == ["silent", "reported"]
    (folder / "openvino_telemetry").write_text("1")
    assert said_by(code, tmp_path).split() == ["reported"]
