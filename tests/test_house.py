"""What surrounds the code says what the code says: workflow, hooks, templates, citation."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import acutance

yaml = pytest.importorskip("yaml", reason="needs PyYAML")

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CHECK = [
    line
    for line in (ROOT / "scripts" / "check").read_text("utf-8").splitlines()
    if not line.startswith(("#", "set ", "cd ", "pytest"))
]


def load(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


WORKFLOW = load(".github/workflows/test.yml")


def commands_of(job: str) -> list[str]:
    return [line.strip() for step in WORKFLOW["jobs"][job]["steps"] for line in step.get("run", "").splitlines()]


def test_the_workflow_tests_every_python_on_every_system() -> None:
    matrix = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert matrix["python"][0] == project["requires-python"].removeprefix(">=")
    named = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line]
    assert named == matrix["python"]


def _opened_as_text(path: Path) -> list[str]:
    """Return the places where a file opens text without saying how it is encoded."""
    found = []
    for call in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(call, ast.Call) or any(given.arg == "encoding" for given in call.keywords):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        is_bare = {
            "read_text": len(call.args) < 1,
            "write_text": len(call.args) < 2,
            "open": isinstance(call.func, ast.Name) and not any("b" in ast.unparse(mode) for mode in call.args[1:2]),
        }
        if is_bare.get(name, False):
            found.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    return found


def test_text_is_read_alike_on_every_system() -> None:
    """Windows would take its own encoding, and σ or a name in Chinese would not survive."""
    assert not [place for path in sorted(ROOT.glob("src/**/*.py")) for place in _opened_as_text(path)]


def test_the_workflow_runs_the_commands_of_the_readme() -> None:
    (tests,) = re.findall(r"<!-- test-command -->\n```bash\n(.*?)\n```", README)
    asked = " && ".join(commands_of("test")).replace("$BIN", ".venv-dev/bin").replace("python -m", "python3 -m")
    assert asked == tests
    first = re.search(r"```bash\n(python3 -m venv .*?)\n```", README)
    assert first is not None
    assert commands_of("install") == [first[1]]


def test_the_workflow_and_the_hooks_check_what_the_script_checks() -> None:
    assert [line for line in commands_of("check") if line in CHECK] == CHECK
    hooks = [hook["entry"] for repo in load(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert hooks == ["ruff format", "ruff check", "mypy", "python scripts/prose.py"]
    assert all(any(line.startswith(hook) for line in CHECK) for hook in hooks)


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda form: form.name
)
def test_a_form_can_be_filled_in(form: Path) -> None:
    content = yaml.safe_load(form.read_text("utf-8"))
    assert {"name", "description", "body"} <= set(content)
    names = [item["id"] for item in content["body"]]
    assert len(set(names)) == len(names) > 0
    assert all(item["type"] == "textarea" and item["attributes"]["label"] for item in content["body"])


def test_the_citation_is_of_this_version() -> None:
    citation = load("CITATION.cff")
    assert citation["version"] == acutance.__version__
    assert citation["license"] == "Apache-2.0"
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
