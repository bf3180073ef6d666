"""Run the notebooks' code, as Jupyter would, and compare what it prints with what the notebooks show.

    python scripts/notebooks.py                       # ends with 1 where a notebook shows what it no longer prints
    python scripts/notebooks.py --write               # stores what is printed and drawn
    python scripts/notebooks.py docs/notebooks/photographer.ipynb

No Jupyter is needed: cells run in their order in one namespace, within the notebook's folder. Numbers may differ by a
fiftieth, since processors round differently; pictures are stored, and not compared.
"""

from __future__ import annotations

import argparse
import ast
import base64
import io
import json
import math
import os
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
TOLERANCE = 0.02

Output = dict[str, Any]


def run_cell(source: str, namespace: dict[str, Any], name: str) -> list[Output]:
    """Run a cell; return what it printed and what its last line shows, as notebooks keep them."""
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, shown = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(tree, name, "exec"), namespace)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
    outputs: list[Output] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if shown is not None:
        outputs.append(
            {"data": _data_of(shown), "execution_count": None, "metadata": {}, "output_type": "execute_result"}
        )
    return outputs


def _data_of(value: object) -> Output:
    if not hasattr(value, "_repr_jpeg_"):
        return {"text/plain": [repr(value)]}
    picture = io.BytesIO()
    value.convert("RGB").save(picture, "JPEG", quality=85, optimize=True)
    return {"image/jpeg": base64.b64encode(picture.getvalue()).decode(), "text/plain": ["<a picture>"]}


def text_of(outputs: list[Output]) -> str:
    """Return the text of outputs, as a reader sees it."""
    return "".join("".join(output.get("text") or output["data"]["text/plain"]) for output in outputs)


def is_alike(first: str, second: str) -> bool:
    """Say whether two texts differ at most by the last digits of their numbers."""
    if NUMBER.sub("#", first) != NUMBER.sub("#", second):
        return False
    pairs = zip(NUMBER.findall(first), NUMBER.findall(second), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in pairs)


def run(path: Path, *, writes: bool) -> list[str]:
    """Run a notebook; return the cells whose text is not what the notebook shows, as sentences."""
    notebook = json.loads(path.read_text("utf-8"))
    os.chdir(path.parent)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    found, number = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        number += 1
        outputs = run_cell("".join(cell["source"]), namespace, f"{path.name}, cell {number}")
        if not writes and not is_alike(text_of(outputs), text_of(cell["outputs"])):
            found.append(f"{path.name}, cell {number}: prints\n{text_of(outputs)}but shows\n{text_of(cell['outputs'])}")
        cell["outputs"], cell["execution_count"] = outputs, number
    if writes:
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
    return found


def main() -> int:
    """Run the notebooks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", type=Path, nargs="*")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    paths = arguments.notebooks or sorted(ROOT.glob("docs/notebooks/*.ipynb"))
    found = [one for path in [path.resolve() for path in paths] for one in run(path, writes=arguments.write)]
    print("\n".join(found), end="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
