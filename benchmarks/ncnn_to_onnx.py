"""An ncnn model (`.param` and `.bin`) as ONNX: the kinds of layer that Real-ESRGAN's networks have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

MAGIC = "7767517"
HALF_TAG = 0x01306B47
"""Before weights that are kept in 16 bits; 0 stands before those in 32."""
FIRST_LIST = -23300
"""Keys from here down are of lists."""
OPSET = 17
RELU, LEAKY_RELU = 1, 2
"""Activations of a convolution."""


def ncnn_to_onnx(param: Path) -> bytes:
    """Return a model as an ONNX file that takes float32 `n 3 h w`.

    Args:
        param: The `.param` file, with the `.bin` file beside it.

    Raises:
        ValueError: When it has a layer that is not known here.
    """
    reader = _Reader(param.with_suffix(".bin").read_bytes())
    lines = param.read_text().split("\n")
    if lines[0].strip() != MAGIC:
        raise ValueError(f"{param}: is no ncnn model")
    for line in filter(None, lines[2:]):
        kind, name, inputs, outputs, *rest = line.split()
        ends = int(inputs), int(inputs) + int(outputs)
        reader.add(kind, name, rest[: ends[0]], rest[ends[0] : ends[1]], _settings(rest[ends[1] :]))
    return reader.finish()


class Settings(dict[int, list[float]]):
    """A layer's settings by their number."""

    def number(self, key: int, default: float = 0) -> float:
        """Return a setting that is one number."""
        return self.get(key, [default])[0]

    def whole(self, key: int, default: int = 0) -> int:
        """Return a setting that is one whole number."""
        return int(self.number(key, default))


def _settings(words: list[str]) -> Settings:
    found = Settings()
    for word in words:
        key, _, text = word.partition("=")
        number = int(key)
        values = [float(value) for value in text.split(",")]
        found[FIRST_LIST - number if number <= FIRST_LIST else number] = values[1:] if number <= FIRST_LIST else values
    return found


class _Reader:
    def __init__(self, weights: bytes) -> None:
        self._weights = weights
        self._position = 0
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._same: dict[str, str] = {}  # what a Split's outputs are copies of
        self._input = self._output = ""
        self._layers: dict[str, Callable[[str, list[str], str, Settings], None]] = {
            "Convolution": self._convolution,
            "PReLU": self._prelu,
            "Concat": lambda name, sources, out, _: self._emit("Concat", name, sources, out, axis=1),
            "Eltwise": self._eltwise,
            "BinaryOp": self._binary,
            "PixelShuffle": self._shuffle,
            "Interp": self._interp,
        }

    def add(self, kind: str, name: str, inputs: list[str], outputs: list[str], settings: Settings) -> None:
        """Read a layer."""
        sources = [self._same.get(source, source) for source in inputs]
        if kind == "Input":
            self._input = outputs[0]
        elif kind == "Split":
            self._same.update(dict.fromkeys(outputs, sources[0]))
        elif kind in self._layers:
            self._layers[kind](name, sources, outputs[0], settings)
            self._output = outputs[0]
        else:
            raise ValueError(f"{name}: {kind} is not known here")

    def finish(self) -> bytes:
        """Return the file."""
        if self._position != len(self._weights):
            raise ValueError(f"{len(self._weights) - self._position} bytes of weights are left over")
        sides: dict[str, list[str | int]] = {
            self._input: ["n", 3, "h", "w"],
            self._output: ["n", 3, "out_h", "out_w"],
        }
        first, last = (
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in sides.items()
        )
        graph = helper.make_graph(self._nodes, "ncnn", [first], [last], self._initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())

    def _convolution(self, name: str, sources: list[str], out: str, settings: Settings) -> None:
        channels, side = settings.whole(0), settings.whole(1)
        count = settings.whole(6)
        weight = self._tagged(count).reshape(channels, -1, side, side)
        constants = [self._constant(weight)]
        if settings.whole(5):
            constants.append(self._constant(self._floats(channels)))
        activation = settings.whole(9)
        result = out if not activation else f"{out}_linear"
        pad, step = settings.whole(4), settings.whole(3, 1)
        self._emit("Conv", name, [*sources, *constants], result, pads=[pad] * 4, strides=[step] * 2)
        if activation == LEAKY_RELU:
            self._emit("LeakyRelu", f"{name}_relu", [result], out, alpha=settings[10][0])
        elif activation == RELU:
            self._emit("Relu", f"{name}_relu", [result], out)
        elif activation:
            raise ValueError(f"{name}: activation {activation} is not known here")

    def _prelu(self, name: str, sources: list[str], out: str, settings: Settings) -> None:
        slopes = self._floats(settings.whole(0)).reshape(-1, 1, 1)
        self._emit("PRelu", name, [*sources, self._constant(slopes)], out)

    def _eltwise(self, name: str, sources: list[str], out: str, settings: Settings) -> None:
        shares = settings.get(1, [1.0] * len(sources))
        if settings.whole(0) != 1 or len(sources) != 2:
            raise ValueError(f"{name}: only weighted sums of two are known here")
        scaled = []
        for index, (source, share) in enumerate(zip(sources, shares, strict=True)):
            if share == 1.0:
                scaled.append(source)
                continue
            scaled.append(f"{out}_{index}")
            self._emit("Mul", f"{name}_{index}", [source, self._constant(np.float32(share).reshape(1))], scaled[-1])
        self._emit("Add", name, scaled, out)

    def _binary(self, name: str, sources: list[str], out: str, settings: Settings) -> None:
        if settings.whole(0) != 0 or len(sources) != 2:
            raise ValueError(f"{name}: only sums of two are known here")
        self._emit("Add", name, sources, out)

    def _shuffle(self, name: str, sources: list[str], out: str, settings: Settings) -> None:
        self._emit("DepthToSpace", name, sources, out, blocksize=settings.whole(0), mode="CRD")

    def _interp(self, name: str, sources: list[str], out: str, settings: Settings) -> None:
        if settings.whole(0) != 1:
            raise ValueError(f"{name}: only nearest neighbours are known here")
        scales = self._constant(np.array([1, 1, settings.number(1), settings.number(2)], np.float32))
        modes = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        self._emit("Resize", name, [*sources, "", scales], out, **modes)

    def _emit(self, kind: str, name: str, sources: list[str], out: str, **settings: object) -> None:
        self._nodes.append(helper.make_node(kind, sources, [out], name=name, **settings))

    def _constant(self, value: npt.NDArray[np.float32]) -> str:
        name = f"constant_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def _floats(self, count: int) -> npt.NDArray[np.float32]:
        values = np.frombuffer(self._weights, "<f4", count, self._position)
        self._position += 4 * count
        return values

    def _tagged(self, count: int) -> npt.NDArray[np.float32]:
        """Read weights behind the tag that says their type."""
        tag = int(np.frombuffer(self._weights, "<u4", 1, self._position)[0])
        self._position += 4
        if tag == 0:
            return self._floats(count)
        if tag != HALF_TAG:
            raise ValueError(f"weights with tag {tag:#x} are not known here")
        values = np.frombuffer(self._weights, "<f2", count, self._position).astype(np.float32)
        self._position += -(-2 * count // 4) * 4
        return values
