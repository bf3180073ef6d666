"""Weights that lie in a file beside the graph, as torch's exporter writes them (`net.onnx.data`), put into the graph.

A model file of ours is one file: what is read as bytes, hashed, kept and sent has to hold all of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from acutance.engines import onnx_proto as proto
from acutance.engines.protobuf import bytes_field, fields_of, rewritten, varint_at
from acutance.errors import CorruptWeights

LARGEST_BYTES = 2**31 - 1
"""Of a protobuf message, and so of an ONNX file."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor's bytes lie."""

    file: str
    start: int
    length: int | None
    """None: up to the end."""


def external_files(graph: bytes) -> tuple[str, ...]:
    """Return the names of the files that weights of an ONNX file lie in; none where it holds all of them itself.

    Raises:
        CorruptWeights: When the bytes are not an ONNX file.
    """
    with proto.telling_damage():
        places = [
            _place_of(graph, start, end)
            for number, start, end in proto.fields_of_graph(graph)
            if number == proto.GRAPH_INITIALIZER
        ]
    return tuple(dict.fromkeys(place.file for place in places if place is not None))


def with_external_weights(graph: bytes, folder: Path, *, name: str) -> bytes:
    """Return an ONNX file that holds the weights which lie in other files of its folder.

    Args:
        graph: The ONNX file; one that holds all of its weights is returned as it is.
        folder: Where it lies.
        name: What errors call it.

    Raises:
        CorruptWeights: When a file of weights is missing or too short, lies outside the folder, or all would be more
            than an ONNX file can hold.
    """
    files = external_files(graph)
    if not files:
        return graph
    contents = {file: _content(folder, file, name) for file in files}
    if len(graph) + sum(map(len, contents.values())) > LARGEST_BYTES:
        raise CorruptWeights(f"{name}: has more than 2 GB of weights; only smaller networks are run.")

    def inside(place: _Place) -> bytes:
        content = contents[place.file]
        end = len(content) if place.length is None else place.start + place.length
        if end > len(content):
            raise CorruptWeights(f"{name}: its weights in {place.file} are cut short; get both files again.")
        return content[place.start : end]

    return _with_weights(graph, inside)


def _content(folder: Path, file: str, name: str) -> bytes:
    windows = PureWindowsPath(file)
    if windows.anchor or PurePosixPath(file).is_absolute() or ".." in windows.parts:  # these know both separators
        raise CorruptWeights(f"{name}: wants weights of {file}, outside its folder; only files beside it are read.")
    try:
        return (folder / file).read_bytes()
    except OSError as error:
        raise CorruptWeights(
            f"{name}: its weights lie in {file}, which cannot be read ({error.strerror}); put that file beside it."
        ) from error


def _with_weights(graph: bytes, read: Callable[[_Place], bytes]) -> bytes:
    """Return an ONNX file with what `read` gives for every initializer that lies elsewhere."""

    def whole(number: int, start: int, end: int) -> bytes | None:
        place = _place_of(graph, start, end) if number == proto.GRAPH_INITIALIZER else None
        return None if place is None else bytes_field(number, _tensor_with(graph, start, end, read(place)))

    with proto.telling_damage():
        return proto.with_graph(graph, lambda start, end: rewritten(graph, start, end, whole))


def _place_of(graph: bytes, begin: int, end: int) -> _Place | None:
    """Return where a tensor lies, None if in the graph itself."""
    told: dict[str, str] = {}
    is_external = False
    for number, first, last in fields_of(graph, begin, end):
        if number == proto.TENSOR_LOCATION:
            is_external = varint_at(graph, first)[0] == proto.EXTERNAL
        elif number == proto.TENSOR_EXTERNAL:
            entry = {field: graph[at:stop].decode() for field, at, stop in fields_of(graph, first, last)}
            told[entry.get(proto.ENTRY_KEY, "")] = entry.get(proto.ENTRY_VALUE, "")
    if not is_external:
        return None
    start, length = int(told.get("offset", "0")), int(told.get("length", "-1"))
    if start < 0:
        raise ValueError("weights before the beginning of their file")
    return _Place(told.get("location", ""), start, length if length >= 0 else None)


def _tensor_with(graph: bytes, start: int, end: int, raw: bytes) -> bytes:
    elsewhere = (proto.TENSOR_LOCATION, proto.TENSOR_EXTERNAL)
    kept = rewritten(graph, start, end, lambda number, first, last: b"" if number in elsewhere else None)
    return kept + bytes_field(proto.TENSOR_RAW, raw)
