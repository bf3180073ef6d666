"""A model as ncnn's two files, as Upscayl and its kin take them (extra `ncnn`): converted by pnnx, checked by ncnn.

Those programs cut tiles of any size and call the ends `data` and `output`; our networks take multiples of some pixels.
So a few layers are put around what pnnx writes: they continue a tile at its right and lower border up to a multiple,
and cut the result to the tile's size again.
"""

from __future__ import annotations

import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.errors import CorruptWeights, EngineUnavailable
from acutance.extras import how_to_get
from acutance.geometry import ceil_to_multiple
from acutance.spec import ModelSpec

INPUT, OUTPUT = "data", "output"
"""The names that realesrgan-ncnn, and the programs that come of it, ask for."""
ALLOWED_DIFFERENCE = 4e-3
"""To ONNX Runtime, of values in [0, 1], with weights in 16 bits: a level of an 8-bit picture."""
COMPARED_PX = ((64, 64), (75, 98))
"""Sizes (height, width) at which ncnn must give what ONNX Runtime gives; the second is a multiple of nothing."""
UPSCAYL_HAS = frozenset(
    [
        *("Input", "Split", "Concat", "Slice", "Crop", "Padding", "Packing", "Cast", "Flatten", "Reshape", "Permute"),
        *("Reorg", "PixelShuffle", "Interp", "MemoryData", "Convolution", "ConvolutionDepthWise", "Deconvolution"),
        *("InnerProduct", "BinaryOp", "Eltwise", "Pooling", "Reduction", "LayerNorm", "ReLU", "PReLU", "Sigmoid"),
        *("Swish", "GELU", "Clip"),
    ]
)
"""The layers that Upscayl's program is built with; where another one is asked for, it ends without a word."""

_TOLD_PX = {"inputshape": (64, 64), "inputshape2": (96, 128)}
"""Two sizes for pnnx, by its options: what differs between them may be anything."""
_MAGIC = "7767517"
_PNNX_INPUT, _PNNX_OUTPUT = "in0", "out0"
_REPLICATE = _NEAREST = 1
"""Numbers of ncnn's ways to pad, and to enlarge."""


def as_ncnn(file: bytes, spec: ModelSpec) -> tuple[bytes, bytes]:
    """Convert a model.

    Args:
        file: ONNX, with its spec; of any size, without guides.
        spec: Its own.

    Returns:
        The `.param` file (the layers) and the `.bin` file (the weights, in float16): RGB `3 h w` in [0, 1] named `data`
        → `3 h·scale w·scale` named `output`, any h and w.

    Raises:
        CorruptWeights: When pnnx cannot convert it, or ncnn does not give what ONNX Runtime gives.
        EngineUnavailable: When pnnx or ncnn is not installed.
    """
    pnnx, ncnn = _imported("pnnx"), _imported("ncnn")
    layers, weights = _converted(file, spec, program=pnnx.EXEC_PATH)
    param = _of_any_size(layers, spec)
    _check(ncnn, param, weights, OnnxRuntimeEngine.from_bytes(file, threads=1))
    return param.encode(), weights


def _imported(name: str) -> Any:  # noqa: ANN401  # neither has types
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"--for ncnn needs {error.name}, which is not installed; run: {how_to_get('ncnn')}"
        ) from error


def _converted(file: bytes, spec: ModelSpec, *, program: str) -> tuple[str, bytes]:
    """Return what pnnx makes of a network."""
    shapes = []
    for option, size in _TOLD_PX.items():
        height, width = (ceil_to_multiple(side, spec.size_multiple) for side in size)
        shapes.append(f"{option}=[1,3,{height},{width}]")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.onnx").write_bytes(file)
        done = subprocess.run([program, "net.onnx", *shapes], cwd=folder, capture_output=True, check=False)
        try:
            return (folder / "net.ncnn.param").read_text("utf-8"), (folder / "net.ncnn.bin").read_bytes()
        except OSError as error:
            raise CorruptWeights(
                f"model {spec.name}: pnnx cannot convert it to ncnn (it ended with {done.returncode})."
            ) from error


def _of_any_size(param: str, spec: ModelSpec) -> str:
    """Put layers before and behind a network of multiples, so that it takes any size, and name its ends."""
    multiple, scale = spec.size_multiple, spec.scale
    magic, counts, *layers = param.splitlines()
    if magic != _MAGIC or _PNNX_INPUT not in layers[0].split() or _PNNX_OUTPUT not in layers[-1].split():
        raise CorruptWeights(f"model {spec.name}: pnnx writes layers of another form than is known here.")
    missing = {line.split()[0] for line in layers} - UPSCAYL_HAS
    if missing:
        raise CorruptWeights(
            f"model {spec.name}: as ncnn's, has a layer {min(missing)}, which Upscayl has not and would end at."
        )
    before = [f"Input {INPUT} 0 1 {INPUT}"]
    if multiple == 1:
        before += [f"Split begin 1 1 {INPUT} {_PNNX_INPUT}"]
        behind = [f"Split end 1 1 {_PNNX_OUTPUT} {OUTPUT}"]
        blobs = 2
    else:
        before += [
            f"Split begin_0 1 2 {INPUT} tile result",
            f"Padding begin_1 1 1 tile more 1={multiple - 1} 3={multiple - 1} 4={_REPLICATE}",
            "Split begin_2 1 2 more more_0 more_1",
            f"Interp begin_3 1 1 more_0 cells 0={_NEAREST} 1={_part(multiple)} 2={_part(multiple)}",
            f"Interp begin_4 1 1 cells whole_cells 0={_NEAREST} 1={multiple}.0 2={multiple}.0",
            f"Crop begin_5 2 1 more_1 whole_cells {_PNNX_INPUT}",
        ]
        behind = [
            f"Interp end_0 1 1 result enlarged 0={_NEAREST} 1={scale}.0 2={scale}.0",
            f"Crop end_1 2 1 {_PNNX_OUTPUT} enlarged {OUTPUT}",
        ]
        blobs = 10
    added = len(before) - 1 + len(behind)  # its own input goes
    numbers = [int(count) + more for count, more in zip(counts.split(), (added, blobs), strict=True)]
    return "\n".join([magic, "{} {}".format(*numbers), *before, *layers[1:], *behind, ""])


def _part(multiple: int) -> str:
    """Return what a side is multiplied by, and cut to a whole number, to know how often a multiple fits into it."""
    return f"{(1 + 1e-6) / multiple:.9f}"  # a little more: a third of 9 must not be 2


def _check(ncnn: Any, param: str, weights: bytes, engine: OnnxRuntimeEngine) -> None:  # noqa: ANN401
    """Load the files with ncnn, and compare what they give with what ONNX Runtime gives."""
    name = engine.spec.name
    network = ncnn.Net()
    network.opt.num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder, "net.bin")
        binary.write_bytes(weights)
        if network.load_param_mem(param) or network.load_model(str(binary)):
            raise CorruptWeights(f"model {name}: ncnn cannot load what pnnx makes of it.")
    for size in COMPARED_PX:
        tile = np.random.default_rng(0).random((3, *size), np.float32)
        extractor = network.create_extractor()
        extractor.input(INPUT, ncnn.Mat(tile).clone())
        failed, given = extractor.extract(OUTPUT)
        restored, expected = np.array(given), _expected(engine, tile)
        if failed or restored.shape != expected.shape:
            raise CorruptWeights(f"model {name}: ncnn cannot run what pnnx makes of it at {size[0]}×{size[1]} px.")
        difference = float(np.abs(restored - expected).max())
        if not difference <= ALLOWED_DIFFERENCE:
            raise CorruptWeights(
                f"model {name}: in ncnn it differs by {difference:.2g} (allowed: {ALLOWED_DIFFERENCE:.0g})."
            )


def _expected(engine: OnnxRuntimeEngine, tile: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what the network gives for a tile that is continued by its last row and column."""
    spec = engine.spec
    _, height, width = tile.shape
    more = [(0, -side % spec.size_multiple) for side in (height, width)]
    whole = np.pad(tile, [(0, 0), *more], mode="edge")
    return engine.run(whole[np.newaxis])[0, :, : height * spec.scale, : width * spec.scale]
