"""A TensorFlow.js graph model as ONNX, at one size of its input.

The sizes are put in while the graph is read: all that depends on nothing but them and on constants (the shapes, the
weights of the enlargements) is computed here, in NumPy, and only what depends on the picture becomes a node. Only the
kinds of node that MAXIM has are known.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
OPSET = 17
TYPES = {"DT_FLOAT": np.float32, "DT_INT32": np.int32, "DT_INT64": np.int64, "DT_BOOL": np.bool_}

# What both a constant and a value of the picture can go through: what NumPy calls it, and ONNX.
BINARY: dict[str, tuple[Callable[..., Any], str]] = {
    "Mul": (np.multiply, "Mul"),
    "AddV2": (np.add, "Add"),
    "Sub": (np.subtract, "Sub"),
    "RealDiv": (np.divide, "Div"),
    "Maximum": (np.maximum, "Max"),
    "Minimum": (np.minimum, "Min"),
    "GreaterEqual": (np.greater_equal, "GreaterOrEqual"),
}
UNARY: dict[str, tuple[Callable[..., Any], str]] = {
    "Tanh": (np.tanh, "Tanh"),
    "Neg": (np.negative, "Neg"),
    "Exp": (np.exp, "Exp"),
    "Abs": (np.abs, "Abs"),
    "Reciprocal": (np.reciprocal, "Reciprocal"),
}
SHAPES_ALONE: dict[str, Callable[..., Any]] = {
    "Greater": np.greater,
    "LessEqual": np.less_equal,
    "Less": np.less,
    "NotEqual": np.not_equal,
    "LogicalAnd": np.logical_and,
    "Floor": np.floor,
    "Sign": np.sign,
    "FloorMod": np.mod,
    "FloorDiv": np.floor_divide,
    "SelectV2": np.where,
    "Range": np.arange,
    "BroadcastTo": np.broadcast_to,
}
"""What only constants go through in these graphs."""


def tfjs_to_onnx(model_json: Path, size: tuple[int, int]) -> bytes:
    """Return a graph model as an ONNX file that takes float32 `1 h w 3` of one size.

    Args:
        model_json: `model.json`, with the shards of its weights beside it.
        size: Height and width.

    Raises:
        ValueError: When the graph has a node that is not known here.
    """
    model = json.loads(model_json.read_text())
    reader = _Reader(_weights(model_json.parent, model["weightsManifest"]), size)
    for node in _in_order(model["modelTopology"]["node"]):
        reader.add(node)
    return reader.finish()


def _in_order(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort nodes so that each comes behind its inputs."""
    by_name = {node["name"]: node for node in nodes}
    done: dict[str, dict[str, Any]] = {}
    for node in nodes:
        stack = [node]
        while stack:
            last = stack[-1]
            missing = [by_name[name] for name in _inputs(last) if name not in done]
            if missing:
                stack.append(missing[0])
            else:
                done[last["name"]] = stack.pop()
    return list(done.values())


def _inputs(node: dict[str, Any]) -> list[str]:
    """Return what a node takes, without what it only waits for."""
    return [name for name in node.get("input", []) if not name.startswith("^")]


def _weights(folder: Path, manifest: list[dict[str, Any]]) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for group in manifest:
        content = b"".join((folder / path).read_bytes() for path in group["paths"])
        start = 0
        for entry in group["weights"]:
            dtype = np.dtype(entry["dtype"])
            count = int(np.prod(entry["shape"]))
            found[entry["name"]] = np.frombuffer(content, dtype, count, start).reshape(entry["shape"])
            start += count * dtype.itemsize
    return found


class _Reader:
    """A graph on its way to ONNX: constants by name, and the names of what depends on the picture."""

    def __init__(self, weights: dict[str, Array], size: tuple[int, int]) -> None:
        self._weights = weights
        self._size = size
        self._constants: dict[str, Array] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}  # of what depends on the picture
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._input = self._output = ""

    def add(self, node: dict[str, Any]) -> None:
        """Read a node."""
        kind, name, inputs = node["op"], node["name"], _inputs(node)
        if kind == "Const":
            self._constants[name] = self._weights[name]
        elif kind == "Placeholder":
            self._input = name
            self._shapes[name] = (1, *self._size, 3)
        elif kind == "Shape":
            self._constants[name] = np.array(self._shapes[inputs[0]], np.int32)
        elif all(source in self._constants for source in inputs):
            self._constants[name] = self._folded(node, [self._constants[source] for source in inputs])
        else:
            self._keep(node)

    def finish(self) -> bytes:
        """Return the file."""
        graph = helper.make_graph(
            self._nodes,
            "tfjs",
            [helper.make_tensor_value_info(self._input, onnx.TensorProto.FLOAT, self._shapes[self._input])],
            [helper.make_tensor_value_info(self._output, onnx.TensorProto.FLOAT, self._shapes[self._output])],
            list(self._initializers.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def _folded(self, node: dict[str, Any], values: Sequence[Array]) -> Array:  # noqa: C901, PLR0911, PLR0912 - a table
        """Compute a node of constants."""
        kind, attributes = node["op"], node.get("attr", {})
        if kind in BINARY:
            return np.asarray(BINARY[kind][0](*values))
        if kind in UNARY:
            return np.asarray(UNARY[kind][0](*values), values[0].dtype)
        if kind in SHAPES_ALONE:
            return np.asarray(SHAPES_ALONE[kind](*values))
        match kind:
            case "Square":
                return np.asarray(values[0] * values[0])
            case "Rsqrt":
                return np.asarray(1 / np.sqrt(values[0]), np.float32)
            case "Pack":
                return np.stack(values, int(attributes.get("axis", {}).get("i", 0)))
            case "Reshape":
                return values[0].reshape(values[1])
            case "Transpose":
                return values[0].transpose(values[1])
            case "ExpandDims":
                return np.expand_dims(values[0], int(values[1]))
            case "Squeeze":
                axes = tuple(int(axis) for axis in attributes["squeeze_dims"]["list"].get("i", []))
                return np.squeeze(values[0], axes or None)
            case "Cast":
                return values[0].astype(TYPES[attributes["DstT"]["type"]])
            case "Sum":
                keeps = bool(attributes["keep_dims"]["b"])
                return np.asarray(np.sum(values[0], tuple(np.atleast_1d(values[1])), keepdims=keeps), values[0].dtype)
            case "ConcatV2":
                return np.concatenate(values[:-1], int(values[-1]))
            case "GatherV2":
                return np.take(values[0], values[1], int(values[2]))
            case "StridedSlice":
                return np.asarray(values[0][_slices(attributes, values[1:], values[0].shape)])
            case "Einsum":
                return np.einsum(_equation(attributes), *values)
        raise ValueError(f"{node['name']}: a constant through {kind} is not known here")

    def _keep(self, node: dict[str, Any]) -> None:  # noqa: C901, PLR0912, PLR0915 - a table: a case per kind of node
        """Make nodes of what depends on the picture."""
        kind, name, inputs, attributes = node["op"], node["name"], _inputs(node), node.get("attr", {})
        shape = self._shape_of(inputs[0])
        if kind in BINARY:
            self._emit(BINARY[kind][1], inputs, name, np.broadcast_shapes(*map(self._shape_of, inputs)))
            return
        if kind in UNARY:
            self._emit(UNARY[kind][1], inputs, name, shape)
            return
        match kind:
            case "Identity":
                self._emit("Identity", inputs, name, shape)
                self._output = name
            case "Square":
                self._emit("Mul", [inputs[0], inputs[0]], name, shape)
            case "Rsqrt":
                self._emit("Sqrt", inputs, f"{name}/sqrt", shape)
                self._emit("Reciprocal", [f"{name}/sqrt"], name, shape)
            case "Reshape":
                goal = self._constants[inputs[1]].astype(np.int64)
                self._emit("Reshape", [inputs[0], self._initializer(goal)], name, _resolved(shape, goal))
            case "Transpose":
                order = [int(axis) for axis in self._constants[inputs[1]]]
                self._emit("Transpose", inputs[:1], name, tuple(shape[axis] for axis in order), perm=order)
            case "ExpandDims":
                axis = int(self._constants[inputs[1]])
                axis += (len(shape) + 1) * (axis < 0)
                goal = np.array((*shape[:axis], 1, *shape[axis:]), np.int64)
                self._emit("Reshape", [inputs[0], self._initializer(goal)], name, tuple(goal.tolist()))
            case "BroadcastTo":
                goal = self._constants[inputs[1]].astype(np.int64)
                self._emit("Expand", [inputs[0], self._initializer(goal)], name, tuple(goal.tolist()))
            case "Sum":
                axes = np.atleast_1d(self._constants[inputs[1]]).astype(np.int64) % len(shape)
                keeps = bool(attributes["keep_dims"]["b"])
                rest = tuple(1 if axis in axes else n for axis, n in enumerate(shape) if keeps or axis not in axes)
                self._emit("ReduceSum", [inputs[0], self._initializer(axes)], name, rest, keepdims=int(keeps))
            case "ConcatV2":
                axis = int(self._constants[inputs[-1]]) % len(shape)
                joined = sum(self._shape_of(source)[axis] for source in inputs[:-1])
                self._emit("Concat", inputs[:-1], name, (*shape[:axis], joined, *shape[axis + 1 :]), axis=axis)
            case "GatherV2":
                axis, indices = int(self._constants[inputs[2]]), self._constants[inputs[1]]
                gathered = (*shape[:axis], *indices.shape, *shape[axis + 1 :])
                self._emit("Gather", inputs[:2], name, gathered, axis=axis)
            case "Einsum":
                self._einsum(name, inputs, _equation(attributes))
            case "SelectV2":
                shapes = np.broadcast_shapes(*map(self._shape_of, inputs))
                self._emit("Where", inputs, name, shapes)
            case "StridedSlice":
                self._slice(name, inputs, _slices(attributes, [self._constants[end] for end in inputs[1:]], shape))
            case "Conv2D":
                self._conv(name, inputs, attributes)
            case "Conv2DBackpropInput":
                self._conv_transposed(name, inputs, attributes)
            case _:
                raise ValueError(f"{name}: {kind} is not known here")

    def _slice(self, name: str, inputs: list[str], slices: tuple[slice | int, ...]) -> None:
        shape = self._shape_of(inputs[0])
        if not all(isinstance(part, slice) for part in slices):
            raise ValueError(f"{name}: a slice that takes an axis away is not known here")
        parts = [part.indices(side) for part, side in zip(slices, shape, strict=True) if isinstance(part, slice)]
        first, last, step = (self._initializer(np.array(values, np.int64)) for values in zip(*parts, strict=True))
        axes = self._initializer(np.arange(len(shape), dtype=np.int64))
        result = tuple(len(range(*part)) for part in parts)
        self._emit("Slice", [inputs[0], first, last, axes, step], name, result)

    def _einsum(self, name: str, inputs: list[str], equation: str) -> None:
        sizes: dict[str, int] = {}
        terms, result = equation.split("->")
        for term, source in zip(terms.split(","), inputs, strict=True):
            sizes.update(zip(term, self._shape_of(source), strict=True))
        shape = tuple(sizes[letter] for letter in result)
        if equation == "abcg,gf->abcf":  # a layer on every pixel: ONNX Runtime's Einsum takes a detour for it
            self._emit("MatMul", inputs, name, shape)
        else:
            self._emit("Einsum", inputs, name, shape, equation=equation)

    def _conv(self, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
        strides, padding = _strides(attributes), _text(attributes["padding"])
        kernel = self._constants[inputs[1]]  # h w in out
        shape = self._shape_of(inputs[0])
        if padding == "SAME":
            out = [-(-side // step) for side, step in zip(shape[1:3], strides, strict=True)]
            total = [
                max((n - 1) * step + k - side, 0)
                for n, step, k, side in zip(out, strides, kernel.shape[:2], shape[1:3], strict=True)
            ]
        else:
            out = [(side - k) // step + 1 for side, step, k in zip(shape[1:3], strides, kernel.shape[:2], strict=True)]
            total = [0, 0]
        pads = [total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2]
        weight = self._initializer(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
        settings = {"strides": strides, "pads": pads, "kernel_shape": list(kernel.shape[:2])}
        self._in_nchw("Conv", inputs[0], weight, name, (shape[0], *out, kernel.shape[3]), **settings)

    def _conv_transposed(self, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
        result = tuple(int(side) for side in self._constants[inputs[0]])
        kernel = self._constants[inputs[1]]  # h w out in
        strides = _strides(attributes)
        if _text(attributes["padding"]) != "VALID" or list(kernel.shape[:2]) != strides:
            raise ValueError(f"{name}: an overlapping transposed convolution is not known here")
        weight = self._initializer(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
        self._in_nchw("ConvTranspose", inputs[2], weight, name, result, strides=strides)

    def _in_nchw(
        self, kind: str, source: str, weight: str, name: str, result: tuple[int, ...], **settings: object
    ) -> None:
        n, h, w, c = self._shape_of(source)
        self._emit("Transpose", [source], f"{name}/in", (n, c, h, w), perm=[0, 3, 1, 2])
        out = (result[0], result[3], result[1], result[2])
        self._emit(kind, [f"{name}/in", weight], f"{name}/out", out, **settings)
        self._emit("Transpose", [f"{name}/out"], name, result, perm=[0, 2, 3, 1])

    def _emit(self, kind: str, inputs: Sequence[str], output: str, shape: tuple[int, ...], **settings: object) -> None:
        sources = [source if source in self._shapes else self._named(source) for source in inputs]
        self._nodes.append(helper.make_node(kind, sources, [output], name=output, **settings))
        self._shapes[output] = tuple(int(side) for side in shape)

    def _named(self, name: str) -> str:
        """Return the name of a constant in the file, which now needs it."""
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(self._constants[name]), name)
        return name

    def _initializer(self, value: Array) -> str:
        name = f"made_{len(self._initializers)}"
        self._constants[name] = value
        return self._named(name)

    def _shape_of(self, name: str) -> tuple[int, ...]:
        return self._shapes[name] if name in self._shapes else self._constants[name].shape


def _slices(attributes: dict[str, Any], ends: Sequence[Array], shape: tuple[int, ...]) -> tuple[slice | int, ...]:
    """Return what a StridedSlice takes of each axis."""
    masks = {key: int(attributes[f"{key}_mask"]["i"]) for key in ("begin", "end", "shrink_axis")}
    if int(attributes["ellipsis_mask"]["i"]) or int(attributes["new_axis_mask"]["i"]):
        raise ValueError("a slice with an ellipsis or a new axis is not known here")
    parts: list[slice | int] = []
    for axis, (begin, end, step) in enumerate(zip(*(values.tolist() for values in ends), strict=True)):
        bit = 1 << axis
        if masks["shrink_axis"] & bit:
            parts.append(begin)
        else:
            parts.append(slice(None if masks["begin"] & bit else begin, None if masks["end"] & bit else end, step))
    return (*parts, *[slice(None)] * (len(shape) - len(parts)))


def _equation(attributes: dict[str, Any]) -> str:
    return _text(attributes["equation"])


def _strides(attributes: dict[str, Any]) -> list[int]:
    return [int(step) for step in attributes["strides"]["list"]["i"][1:3]]


def _text(value: dict[str, Any]) -> str:
    return base64.b64decode(value["s"]).decode()


def _resolved(shape: tuple[int, ...], goal: Array) -> tuple[int, ...]:
    """Return the shape that a reshape gives, whose goal may leave one side open."""
    sides = [int(side) for side in goal]
    if -1 in sides:
        known = -int(np.prod(sides))
        sides[sides.index(-1)] = int(np.prod(shape)) // known
    return tuple(sides)
