"""One of our networks in float16: the same ONNX file, computing in floats of 16 bits from its first convolution on.

What the convolutions look at, their weights and their results are rounded; the picture itself, which the last node adds
the network's answer to, stays in float32, as in every other engine. Only the form that our exporter writes is known
here: weights behind a Cast, biases as they are, one last Add. Anything else is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from acutance.engines import onnx_proto as proto
from acutance.engines.protobuf import bytes_field, fields_of, number_field, rewritten, varint_at

KNOWN = frozenset({"Conv", "LeakyRelu", "Add", "DepthToSpace"})
"""Kinds of nodes that may compute in float16."""

ROUNDED = "/float16"
"""What the name of a value gets whose float16 twin is made by a Cast."""


@dataclass(frozen=True, slots=True)
class _Node:
    content: bytes
    kind: str
    inputs: tuple[str, ...]
    output: str


def in_float16(model: bytes) -> bytes | None:
    """Return a model's file in float16, or None where its graph is not of the form that is known here.

    Input and output stay float32, and so does the metadata: for whoever runs it, it is the same model.
    """
    try:
        return proto.with_graph(model, lambda start, end: _rounded(model, start, end))
    except (IndexError, ValueError):  # another form or, where it is damaged, whoever opens it says so
        return None


@dataclass(frozen=True, slots=True)
class _Roles:
    """What the values of a graph are, by name."""

    convolved: frozenset[str]
    """What comes of a convolution, the result left out: in float16."""
    weights: frozenset[str]
    """What a Cast gives the convolutions."""
    biases: frozenset[str]

    def plain(self, node: _Node) -> list[str]:
        """Return those of a node's inputs that are float32 pictures."""
        return [name for name in node.inputs if name not in self.convolved | self.weights | self.biases]


def _rounded(model: bytes, start: int, end: int) -> bytes:
    """Rewrite the graph.

    Raises:
        ValueError: When it is not of the known form.
    """
    nodes = [
        _node(model[first:stop]) for number, first, stop in fields_of(model, start, end) if number == proto.GRAPH_NODE
    ]
    if not nodes:
        raise ValueError("a graph without nodes")
    roles = _Roles(
        convolved=_behind_convolutions(nodes),
        weights=frozenset(node.output for node in nodes if node.kind == "Cast"),
        biases=frozenset(name for node in nodes if node.kind == "Conv" for name in node.inputs[2:]),
    )
    has_last_add = nodes[-1].kind == "Add" and roles.convolved.intersection(nodes[-1].inputs)
    if not has_last_add or any(node.kind not in KNOWN for node in nodes if node.output in roles.convolved):
        raise ValueError("a graph of another form")
    inner = [node for node in nodes[:-1] if node.output in roles.convolved]
    contents = (
        *(_before(node, roles) for node in nodes[:-1] if node.output not in roles.convolved),
        *_casts_of_pictures(inner, roles),
        *(_with_inputs(node, {name: name + ROUNDED for name in roles.plain(node)}) for node in inner),
        *_last(nodes[-1], roles),
    )

    def rest(number: int, first: int, stop: int) -> bytes | None:
        if number == proto.GRAPH_INITIALIZER:
            return bytes_field(number, _rounded_tensor(model[first:stop], roles.biases))
        return b"" if number == proto.GRAPH_NODE else None

    return b"".join(bytes_field(proto.GRAPH_NODE, one) for one in contents) + rewritten(model, start, end, rest)


def _before(node: _Node, roles: _Roles) -> bytes:
    """Return what a node becomes that no convolution comes before: weights are read as float16, pictures stay."""
    return _cast(node.inputs[0], node.output, proto.FLOAT16) if node.output in roles.weights else node.content


def _casts_of_pictures(inner: list[_Node], roles: _Roles) -> list[bytes]:
    """Return the nodes that round the pictures that convolutions look at."""
    names = dict.fromkeys(name for node in inner for name in roles.plain(node))
    return [_cast(name, name + ROUNDED, proto.FLOAT16) for name in names]


def _last(node: _Node, roles: _Roles) -> Iterator[bytes]:
    """Return the last node, in float32, behind the Casts that it needs."""
    wide = {name: f"{name}/float32" for name in node.inputs if name in roles.convolved}
    for name, target in wide.items():
        yield _cast(name, target, proto.FLOAT)
    yield _with_inputs(node, wide)


def _behind_convolutions(nodes: list[_Node]) -> frozenset[str]:
    """Return the values that come of a convolution, the last node's left out."""
    found: set[str] = set()
    for node in nodes[:-1]:
        if node.kind == "Conv" or found.intersection(node.inputs):
            found.add(node.output)
    return frozenset(found)


def _node(content: bytes) -> _Node:
    inputs, output, kind = [], "", ""
    for number, start, end in fields_of(content, 0, len(content)):
        if number == proto.NODE_INPUT:
            inputs.append(content[start:end].decode())
        elif number == proto.NODE_OUTPUT:
            output = content[start:end].decode()
        elif number == proto.NODE_KIND:
            kind = content[start:end].decode()
    return _Node(content, kind, tuple(inputs), output)


def _with_inputs(node: _Node, other: dict[str, str]) -> bytes:
    """Return the node with some inputs' names replaced."""

    def change(number: int, start: int, end: int) -> bytes | None:
        new = other.get(node.content[start:end].decode()) if number == proto.NODE_INPUT else None
        return None if new is None else bytes_field(number, new)

    return rewritten(node.content, 0, len(node.content), change)


def _cast(source: str, target: str, number_type: int) -> bytes:
    return proto.node("Cast", [source], target, proto.attribute("to", number_type))


def _rounded_tensor(tensor: bytes, names: frozenset[str]) -> bytes:
    """Return a constant in float16 if it is one of those named and in float32, else as it is."""
    fields = {number: (start, end) for number, start, end in fields_of(tensor, 0, len(tensor))}
    name = tensor[slice(*fields[proto.TENSOR_NAME])].decode() if proto.TENSOR_NAME in fields else ""
    if (
        name not in names
        or proto.TENSOR_RAW not in fields
        or varint_at(tensor, fields[proto.TENSOR_TYPE][0])[0] != proto.FLOAT
    ):
        return tensor

    def change(number: int, start: int, end: int) -> bytes | None:
        if number == proto.TENSOR_TYPE:
            return number_field(number, proto.FLOAT16)
        if number != proto.TENSOR_RAW:
            return None
        return bytes_field(number, np.frombuffer(tensor[start:end], "<f4").astype("<f2").tobytes())

    return rewritten(tensor, 0, len(tensor), change)
