"""An ONNX file that others made, as one of ours: nodes before and behind its graph, and our spec in its metadata.

The nodes bring what every model here takes and gives (`ModelSpec`: float32 RGB, `n 3 h w`, [0, 1]) to the layout, the
range and the order of colours of the network, and back. So whatever runs our files runs it, and no caller knows.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from acutance.engines import onnx_proto as proto
from acutance.engines.protobuf import bytes_field, fields_of, number_field, rewritten, varint_at
from acutance.spec import METADATA_KEY, ModelSpec

Layout = Literal["nchw", "nhwc"]
ValueRange = Literal["0..1", "0..255", "-1..1"]
Colours = Literal["rgb", "bgr"]
Number = Literal["float32", "float16"]

RANGES: dict[ValueRange, tuple[float, float]] = {"0..1": (1.0, 0.0), "-1..1": (2.0, -1.0), "0..255": (255.0, 0.0)}
"""By what a value in [0, 1] is multiplied, and what is added then. In the order in which they are tried: a network for
−1 … 1 without biases restores about as well where black and white are 0 and 255, but not the other way round."""

SOURCE, RESULT = "degraded", "acutance/restored"
"""What the input and the output of the file are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignForm:
    """What a network of others takes and gives, and by what names."""

    input: str
    """Name of its input."""
    output: str
    """Name of the output that is the picture."""
    layout: Layout
    """Whether its channels come before the rows or behind the columns."""
    number: Number
    """The type of its input and output."""
    range: ValueRange = "0..1"
    """Black and white."""
    output_range: ValueRange | None = None
    """Black and white of what it gives; None: as of what it takes."""
    colours: Colours = "rgb"
    """Their order."""


def as_ours(file: bytes, form: ForeignForm, spec: ModelSpec) -> bytes:
    """Return an ONNX file as a model file of ours.

    Args:
        file: The network.
        form: What it takes and gives.
        spec: What goes into the metadata.

    Raises:
        CorruptWeights: When the bytes are not an ONNX file.
    """
    with proto.telling_damage():
        wrapped = proto.with_graph(file, lambda start, end: _wrapped(file, start, end, form, spec))
        return _with_spec(wrapped, spec)


def with_spec(file: bytes, spec: ModelSpec) -> bytes:
    """Return a model file of ours with another spec in its metadata.

    Raises:
        CorruptWeights: When the bytes are not an ONNX file.
    """
    with proto.telling_damage():
        return _with_spec(file, spec)


def _with_spec(file: bytes, spec: ModelSpec) -> bytes:
    def without_spec(number: int, start: int, end: int) -> bytes | None:
        is_spec = number == proto.MODEL_METADATA and _first_text(file, start, end) == METADATA_KEY
        return b"" if is_spec else None

    entry = bytes_field(proto.ENTRY_KEY, METADATA_KEY) + bytes_field(proto.ENTRY_VALUE, spec.to_json())
    return rewritten(file, 0, len(file), without_spec) + bytes_field(proto.MODEL_METADATA, entry)


def count_numbers(file: bytes) -> int:
    """Return how many numbers the graph's constants hold.

    Raises:
        CorruptWeights: When the bytes are not an ONNX file.
    """
    with proto.telling_damage():
        return sum(
            _size_of(file, start, end)
            for number, start, end in proto.fields_of_graph(file)
            if number == proto.GRAPH_INITIALIZER
        )


def _size_of(file: bytes, start: int, end: int) -> int:
    size = 1
    for number, first, last in fields_of(file, start, end):
        if number == proto.TENSOR_DIMS:
            position = first
            while position < last:  # one number, or all of them packed
                side, position = varint_at(file, position)
                size *= side
    return size


def _wrapped(file: bytes, start: int, end: int, form: ForeignForm, spec: ModelSpec) -> bytes:
    """Return the graph with our nodes around its own."""
    own = form.input if form.input != SOURCE else f"acutance/{SOURCE}"
    before = _Chain("before", SOURCE)
    after = _Chain("after", form.output)
    factor, offset = RANGES[form.range]
    if form.colours == "bgr":
        before.swap_colours()
    before.times(factor)
    before.plus(offset)
    if form.layout == "nhwc":
        before.transpose((0, 2, 3, 1))
    if form.number == "float16":
        before.cast(proto.FLOAT16)
        after.cast(proto.FLOAT)
    if form.layout == "nhwc":
        after.transpose((0, 3, 1, 2))
    factor, offset = RANGES[form.output_range or form.range]
    after.plus(-offset)
    after.times(1 / factor)
    if form.colours == "bgr":
        after.swap_colours()

    def between(number: int, first: int, last: int) -> bytes | None:
        if number == proto.GRAPH_OUTPUT:
            return b""
        if number == proto.GRAPH_INPUT and _first_text(file, first, last) == form.input:
            return b""
        if number == proto.GRAPH_NODE and own != form.input:
            return bytes_field(number, _renamed(file, first, last, form.input, own))
        return None

    graph = before.ended(own) + rewritten(file, start, end, between) + after.ended(RESULT)
    high, wide = spec.fixed_height_px, spec.fixed_width_px
    batch: int | str = 1 if high else "n"
    sides: tuple[int | str, int | str] = (high, wide) if high else ("height", "width")
    larger = (high * spec.scale, wide * spec.scale) if high else ("out_height", "out_width")
    graph += bytes_field(proto.GRAPH_INPUT, _value(SOURCE, (batch, 3, *sides)))
    graph += bytes_field(proto.GRAPH_OUTPUT, _value(RESULT, (batch, 3, *larger)))
    return graph


class _Chain:
    """Nodes one after the other; each takes what the one before gives."""

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._last = source
        self._nodes: list[bytes] = []

    def swap_colours(self) -> None:
        order = struct.pack("<3q", 2, 1, 0)
        self._add("Gather", self._constant(proto.INT64, order, 3), proto.attribute("axis", 1))

    def transpose(self, order: tuple[int, ...]) -> None:
        self._add("Transpose", None, proto.attribute("perm", order))

    def times(self, factor: float) -> None:
        if factor != 1:
            self._add("Mul", self._constant(proto.FLOAT, struct.pack("<f", factor), 1))

    def plus(self, offset: float) -> None:
        if offset != 0:
            self._add("Add", self._constant(proto.FLOAT, struct.pack("<f", offset), 1))

    def cast(self, kind: int) -> None:
        self._add("Cast", None, proto.attribute("to", kind))

    def ended(self, name: str) -> bytes:
        """Return the nodes; the last one gives a value of this name."""
        self._add("Identity", None, out=name)
        return b"".join(bytes_field(proto.GRAPH_NODE, node) for node in self._nodes)

    def _constant(self, kind: int, raw: bytes, count: int) -> str:
        # A node: files of the first versions of the format would want an initializer to be an input, too.
        tensor = (
            number_field(proto.TENSOR_DIMS, count)
            + number_field(proto.TENSOR_TYPE, kind)
            + bytes_field(proto.TENSOR_RAW, raw)
        )
        attribute = bytes_field(proto.ATTRIBUTE_NAME, "value") + bytes_field(proto.ATTRIBUTE_TENSOR, tensor)
        name = f"acutance/{self._name}/{len(self._nodes)}"
        self._nodes.append(
            proto.node("Constant", [], name, attribute + number_field(proto.ATTRIBUTE_TYPE, proto.TYPE_TENSOR))
        )
        return name

    def _add(self, kind: str, constant: str | None, attribute: bytes | None = None, *, out: str = "") -> None:
        name = out or f"acutance/{self._name}/{len(self._nodes)}"
        self._nodes.append(proto.node(kind, [self._last, *([constant] if constant else [])], name, attribute))
        self._last = name


def _value(name: str, sides: Sequence[int | str]) -> bytes:
    """Write what an input or an output is: float32 of a shape."""
    shape = b"".join(
        bytes_field(
            proto.DIM,
            number_field(proto.DIM_NUMBER, side) if isinstance(side, int) else bytes_field(proto.DIM_NAME, side),
        )
        for side in sides
    )
    tensor = number_field(proto.ELEMENT, proto.FLOAT) + bytes_field(proto.SHAPE, shape)
    return bytes_field(proto.VALUE_NAME, name) + bytes_field(
        proto.VALUE_TYPE, bytes_field(proto.TYPE_OF_TENSOR, tensor)
    )


def _renamed(file: bytes, start: int, end: int, name: str, new: str) -> bytes:
    """Return a node that takes what is now called otherwise."""

    def change(number: int, first: int, last: int) -> bytes | None:
        is_meant = number == proto.NODE_INPUT and file[first:last].decode() == name
        return bytes_field(number, new) if is_meant else None

    return rewritten(file, start, end, change)


def _first_text(file: bytes, start: int, end: int) -> str:
    """Return the text in a message's field 1: the name of a value, the key of an entry."""
    for number, first, last in fields_of(file, start, end):
        if number == 1:
            return file[first:last].decode()
    return ""
