"""The names that users may rely on, and that importing them costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import acutance

HEAVY = ("numpy", "torch", "onnxruntime", "PIL", "rich", "typer")


def loaded_by(statement: str, modules: tuple[str, ...]) -> list[str]:
    """Run a statement in a fresh interpreter; return which of the modules it loaded."""
    code = f"import sys; {statement}; print(*[name for name in {modules!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_public_names_are_these():
    assert acutance.__all__ == [
        "AcutanceError",
        "Inspection",
        "ModelSpec",
        "Region",
        "Sharpener",
        "SigningCredential",
        "ToldBlur",
        "__version__",
        "consistency",
        "inspect",
        "map_of_guesses",
        "sharpen",
        "verify",
    ]
    assert dir(acutance) == sorted(acutance.__all__)


@pytest.mark.parametrize("name", acutance.__all__)
def test_public_names_exist(name):
    assert getattr(acutance, name) is not None


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'sharpne'"):
        _ = acutance.sharpne


def test_import_is_light():
    assert loaded_by("import acutance", HEAVY) == []


def test_the_command_line_is_light():
    """Help, and every wrong command, must not wait for NumPy."""
    assert (
        loaded_by("import acutance.cli.main", ("numpy", "torch", "onnxruntime", "PIL", "multiprocessing", "socket"))
        == []
    )


def test_sharpening_needs_no_torch():
    assert loaded_by("import acutance; acutance.Sharpener", ("torch", "cattrs", "lightning_fabric")) == []
