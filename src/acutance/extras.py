"""How a person gets an extra: what is told has to be true wherever acutance was installed from.

So not `acutance[video]`, which an index may not have, or have from somebody else; but the packages that the extra
stands for, by the names that the installed acutance, or the source tree that it runs from, gives them itself.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

_DISTRIBUTION = "acutance"
_PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
"""Of the source tree, where acutance runs from one."""

_OF_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w.-]+)['\"]")


def how_to_get(extra: str) -> str:
    """Return the command that installs what an extra needs, such as `pip install 'av>=18.1'`."""
    needed = _in_source_tree(extra) or _in_metadata(extra)
    if not needed:
        return f"install acutance again with its extra {extra}, from where you have it"
    return f"pip install {shlex.join(needed)}"


def _in_source_tree(extra: str) -> list[str]:
    """Return what the source tree says that an extra needs; nothing where acutance does not run from one."""
    import tomllib  # here, not above: every start would pay for what is told when something is missing

    try:
        project = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]
        if project["name"] != _DISTRIBUTION:
            return []
        return [_without_marker(line) for line in project["optional-dependencies"][extra]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _in_metadata(extra: str) -> list[str]:
    """Return what the installed distribution says that an extra needs; nothing where there is none."""
    from importlib import metadata

    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    return [_without_marker(line) for line in lines if extra in _OF_EXTRA.findall(line.partition(";")[2])]


def _without_marker(requirement: str) -> str:
    return requirement.partition(";")[0].strip()
