"""Numbers of onnx.proto (of the fields of its messages, and of kinds of values), and nodes written by them.

What is read and written here of ONNX files is a few fields of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, so that a user needs no ONNX package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from acutance.engines.protobuf import bytes_field, fields_of, number_field, rewritten
from acutance.errors import CorruptWeights

MODEL_GRAPH, MODEL_METADATA = 7, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_KIND, NODE_ATTRIBUTE = 1, 2, 3, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_TENSOR, ATTRIBUTE_INTS, ATTRIBUTE_TYPE = 1, 2, 3, 5, 8, 20
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
VALUE_NAME, VALUE_TYPE, TYPE_OF_TENSOR, ELEMENT, SHAPE, DIM, DIM_NUMBER, DIM_NAME = 1, 2, 1, 1, 2, 1, 1, 2

TYPE_INT, TYPE_TENSOR, TYPE_INTS = 2, 4, 7
"""AttributeProto.AttributeType."""
FLOAT, INT64, FLOAT16 = 1, 7, 10
"""TensorProto.DataType."""
EXTERNAL = 1
"""TensorProto.DataLocation."""


@contextmanager
def telling_damage(name: str = "the model") -> Iterator[None]:
    """Turn what is found in bytes that are no ONNX file into the error that says so.

    Raises:
        CorruptWeights: When the block finds that.
    """
    try:
        yield
    except (IndexError, ValueError, AttributeError) as error:
        raise CorruptWeights(f"{name} is no ONNX file, or is damaged; get the file again.") from error


def fields_of_graph(file: bytes) -> Iterator[tuple[int, int, int]]:
    """Walk the graph in an ONNX file; see `fields_of`."""
    for number, start, end in fields_of(file, 0, len(file)):
        if number == MODEL_GRAPH:
            yield from fields_of(file, start, end)


def with_graph(file: bytes, graph: Callable[[int, int], bytes]) -> bytes:
    """Return an ONNX file with another graph: what is made of it, by where it begins and ends."""
    return rewritten(
        file,
        0,
        len(file),
        lambda number, start, end: bytes_field(number, graph(start, end)) if number == MODEL_GRAPH else None,
    )


def node(kind: str, inputs: Sequence[str], output: str, attribute: bytes | None = None) -> bytes:
    """Write a node, called as what it gives."""
    named = b"".join(bytes_field(NODE_INPUT, name) for name in inputs) + bytes_field(NODE_OUTPUT, output)
    named += bytes_field(NODE_NAME, output) + bytes_field(NODE_KIND, kind)
    return named if attribute is None else named + bytes_field(NODE_ATTRIBUTE, attribute)


def attribute(name: str, value: int | tuple[int, ...]) -> bytes:
    """Write an attribute of a node."""
    named = bytes_field(ATTRIBUTE_NAME, name)
    if isinstance(value, int):
        return named + number_field(ATTRIBUTE_INT, value) + number_field(ATTRIBUTE_TYPE, TYPE_INT)
    numbers = b"".join(number_field(ATTRIBUTE_INTS, number) for number in value)
    return named + numbers + number_field(ATTRIBUTE_TYPE, TYPE_INTS)
