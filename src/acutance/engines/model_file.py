"""The numbers inside an ONNX file: found and blended as they lie, so that every engine can open the result.

Two networks of one architecture are two files of one graph with other numbers: the weights (initializers, float32
or float16) and the slopes of the activations (attributes of nodes). Their blend is the first file with its numbers
replaced; no second network runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acutance.engines import onnx_proto as proto
from acutance.engines.protobuf import fields_of, varint_at
from acutance.errors import ConfigError, CorruptWeights
from acutance.spec import METADATA_KEY, ModelSpec

TENSOR_TYPES: dict[int, np.dtype[np.floating]] = {
    proto.FLOAT: np.dtype("<f4"),
    proto.FLOAT16: np.dtype("<f2"),
}
"""TensorProto.DataType of the floats that weights are kept in."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where a run of floats lies in a file."""

    start: int
    end: int
    dtype: np.dtype[np.floating]

    def read(self, file: bytes | bytearray) -> npt.NDArray[np.floating]:
        """Return the floats, in the file's type."""
        return np.frombuffer(bytes(file[self.start : self.end]), self.dtype)


def told_path(path: Path) -> Path:
    """Return where what is told of a network of others lies, if anything is; see `foreign_told`."""
    return path.with_suffix(".toml")


def find_numbers(file: bytes) -> dict[str, Numbers]:
    """Find every float of an ONNX file that training sets.

    Returns:
        By the name of the initializer, or `node.attribute`, where its bytes lie.

    Raises:
        CorruptWeights: When the bytes are not such a file.
    """
    found: dict[str, Numbers] = {}
    with proto.telling_damage():
        for field, start, end in proto.fields_of_graph(file):
            if field == proto.GRAPH_INITIALIZER:
                found.update(_of_tensor(file, start, end))
            elif field == proto.GRAPH_NODE:
                found.update(_of_node(file, start, end))
        for name, numbers in found.items():
            if (numbers.end - numbers.start) % numbers.dtype.itemsize:
                raise ValueError(f"{name} ends within a number")
    return found


def read_spec(file: bytes, *, name: str = "model") -> ModelSpec:
    """Read the spec in the metadata of an ONNX file, or of safetensors.

    Raises:
        CorruptWeights: When the file is damaged or has none.
    """
    spec = _spec_in(file, name)
    if spec is None:
        raise CorruptWeights(f"{name}: has no acutance spec inside; give a file that `acutance export` wrote.")
    return ModelSpec.from_json(spec)


def has_spec(file: bytes, *, name: str = "model") -> bool:
    """Say whether a file has a spec in its metadata: whether it is a model file of ours.

    Raises:
        CorruptWeights: When the file is damaged.
    """
    return _spec_in(file, name) is not None


def is_safetensors(file: bytes) -> bool:
    """Say whether a file is weights as safetensors: the length of a header, and the header, which is JSON."""
    return file[8:9] == b"{" and 8 + int.from_bytes(file[:8], "little") <= len(file)


def _spec_in(file: bytes, name: str) -> str | None:
    with proto.telling_damage(f"{name}:"):
        if is_safetensors(file):
            header = json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])
            spec: str | None = header.get("__metadata__", {}).get(METADATA_KEY)
            return spec
        for field, start, end in fields_of(file, 0, len(file)):
            if field == proto.MODEL_METADATA:
                entry = {number: file[first:last].decode() for number, first, last in fields_of(file, start, end)}
                if entry.get(proto.ENTRY_KEY) == METADATA_KEY:
                    return entry.get(proto.ENTRY_VALUE, "")
    return None


def blend_files(first: bytes, second: bytes, share: float) -> bytes:
    """Blend the numbers of two networks of one architecture.

    Args:
        first: ONNX file, whose graph is kept.
        second: ONNX file of the same architecture.
        share: 0 gives the first's numbers, 1 the second's, between them their linear blend.

    Returns:
        The first file with every number replaced, in the first's type, and all else as it was.

    Raises:
        ConfigError: When the two are not of one architecture, as far as the names and counts of their numbers tell.
        CorruptWeights: When one is damaged, or a number not finite.
    """
    mixed = bytearray(first)
    own, other = find_numbers(first), find_numbers(second)
    if own.keys() != other.keys():
        name = min(own.keys() ^ other.keys())
        raise ConfigError(
            f"the two models to blend differ: {name} is in only one of them; give two of one architecture."
        )
    for name, numbers in own.items():
        start, goal = numbers.read(first), other[name].read(second)
        if start.size != goal.size:
            raise ConfigError(
                f"the two models to blend differ: {name} has {start.size} and {goal.size} numbers; give two of one "
                "architecture."
            )
        blend = _blended(start, goal, share)
        if not np.isfinite(blend).all():
            raise CorruptWeights(f"the models to blend are damaged: {name} is not finite; get them again.")
        mixed[numbers.start : numbers.end] = blend.tobytes()
    return bytes(mixed)


def _blended(start: npt.NDArray[np.floating], goal: npt.NDArray[np.floating], share: float) -> npt.NDArray[np.floating]:
    """Blend in float64; return the type of `start`, and whatever comes of numbers that are not finite or too large."""
    with np.errstate(all="ignore"):
        blend = (1.0 - share) * start.astype(np.float64) + share * goal.astype(np.float64)  # exact at either end
        return blend.astype(start.dtype)


def _of_tensor(file: bytes, start: int, end: int) -> Iterator[tuple[str, Numbers]]:
    name, kind, raw = "", 0, None
    for field, begin, stop in fields_of(file, start, end):
        if field == proto.TENSOR_NAME:
            name = file[begin:stop].decode()
        elif field == proto.TENSOR_TYPE:
            kind = varint_at(file, begin)[0]
        elif field == proto.TENSOR_RAW:
            raw = (begin, stop)
    if kind in TENSOR_TYPES and raw is not None and name.endswith((".weight", ".bias")):
        yield name, Numbers(*raw, TENSOR_TYPES[kind])


def _of_node(file: bytes, start: int, end: int) -> Iterator[tuple[str, Numbers]]:
    fields = list(fields_of(file, start, end))
    names = [file[begin:stop].decode() for field, begin, stop in fields if field == proto.NODE_NAME]
    for field, begin, stop in fields:
        if field != proto.NODE_ATTRIBUTE or not names:
            continue
        inner = {number: (first, last) for number, first, last in fields_of(file, begin, stop)}
        if proto.ATTRIBUTE_FLOAT in inner and proto.ATTRIBUTE_NAME in inner:
            first, last = inner[proto.ATTRIBUTE_NAME]
            yield f"{names[0]}.{file[first:last].decode()}", Numbers(*inner[proto.ATTRIBUTE_FLOAT], np.dtype("<f4"))
