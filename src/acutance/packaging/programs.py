"""Models as other programs take them: an archive for darktable, an ONNX file for chaiNNer, ncnn's two for Upscayl.

All run them on sRGB pictures in [0, 1], as acutance does; what differs is the wrapping and the tiles. None knows how
far a network looks: darktable gives every tile 64 px of context (16 where it enlarges), chaiNNer 16, Upscayl 10. A
report says whether that is enough. torch is needed for ncnn alone, whose converter asks for it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import onnx

from acutance.engines.foreign_graph import with_spec
from acutance.engines.model_file import read_spec
from acutance.engines.onnx_engine import ORT_ERRORS
from acutance.engines.opening import read_model
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.errors import ConfigError, CorruptWeights, first_line
from acutance.media.atomic import check_target, write_atomically
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import find_model
from acutance.zoo.own_models import NAME

Program = Literal["darktable", "chainner", "ncnn"]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A model that was written for another program."""

    path: Path
    bytes: int
    spec: ModelSpec
    program: Program
    context_px: int
    """What the program gives a tile around it."""

    @property
    def has_exact_tiles(self) -> bool:
        """Whether that is all that the network looks at; else tiles may be seen in the result."""
        return self.spec.takes_strips and self.spec.halo_px <= self.context_px


@dataclass(frozen=True, slots=True)
class _Way:
    """How a program takes models."""

    ending: str
    scales: tuple[int, ...]
    """Those that it has a place for; none: all."""
    context_px: Callable[[int], int]
    """Of a tile, by the scale."""
    tiles_px: tuple[int, ...]
    """Sides of tiles that the network has to take."""
    pack: Callable[[bytes, ModelSpec], Mapping[str, bytes]]
    """Makes the files, by their endings; the one with `ending` comes last."""
    takes_fixed: bool = False
    """Whether a network of one size alone can be run."""


def export_for(
    program: Program, model: str | Path, target: Path, *, name: str | None = None, overwrite: bool = False
) -> Elsewhere:
    """Write a model for another program, after a run as that program runs it.

    Args:
        program: `darktable`: a `.dtmodel` archive with the network, `config.json` and a card. `chainner`: an ONNX file.
            `ncnn`: a `.param` file, and a `.bin` file beside it.
        model: Name of a model, or path of an ONNX file; the weights for fidelity.
        target: The file to write.
        name: What the model is to be called there; default its own.
        overwrite: Replace an existing file.

    Raises:
        ConfigError: When the program cannot run such a model, or the target has another ending than it takes.
        UnknownModel: When there is no such model.
        CorruptWeights: When the file is damaged.
        EngineUnavailable: When what converts it is not installed.
        OutputError: When the target exists and `overwrite` is false, or cannot be written.
    """
    way = _WAYS[program]
    if target.suffix != way.ending:
        raise ConfigError(f"{target}: {program} takes files of {way.ending}; give the file that ending.")
    file = read_model(find_model(model).fidelity)
    spec = read_spec(file, name=str(model))
    _check_kind(program, way, spec)
    if name is not None:
        if not NAME.fullmatch(name) or ".." in name:
            raise ConfigError(f"--name {name}: must be 1 to 64 letters, digits, dots, dashes and underscores.")
        spec = replace(spec, name=name)
        file = with_spec(file, spec)
    if way.tiles_px:
        _check_run(program, file, spec, way.tiles_px[-1])
    packed = {target.with_suffix(ending): content for ending, content in way.pack(file, spec).items()}
    for path in packed:
        check_target(path, overwrite=overwrite)
    for path, content in packed.items():
        write_atomically(path, [content], overwrite=overwrite)
    return Elsewhere(target, sum(map(len, packed.values())), spec, program, way.context_px(spec.scale))


def _check_kind(program: Program, way: _Way, spec: ModelSpec) -> None:
    if spec.needs_torch:
        raise ConfigError(f"model {spec.name}: ONNX cannot hold it, and {program} runs no other; take another model.")
    if spec.needs_whole or spec.guides:
        raise ConfigError(
            f"model {spec.name}: is told what blurred the picture as a whole, which {program} does not find out; take "
            "another model (acutance models)."
        )
    if way.scales and spec.scale not in way.scales:
        places = ", ".join(map(str, way.scales))
        raise ConfigError(f"model {spec.name}: enlarges {spec.scale} times; {program} takes networks of {places}.")
    if spec.fixed_height_px and not way.takes_fixed:
        raise ConfigError(
            f"model {spec.name}: takes {spec.fixed_height_px}×{spec.fixed_width_px} px alone; {program} gives tiles of "
            "many sizes."
        )
    wrong = [side for side in way.tiles_px if side % spec.size_multiple]
    if wrong and not spec.fixed_height_px:
        raise ConfigError(
            f"model {spec.name}: takes multiples of {spec.size_multiple} px; {program} gives tiles of {wrong[0]}."
        )


def _check_run(program: Program, file: bytes, spec: ModelSpec, side: int) -> None:
    """Run the network as the other program does: opened for one size of tile, by the names of its axes."""
    height, width = spec.fixed_height_px or side, spec.fixed_width_px or side
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    for axis, size in zip(_axes(file), (height, width), strict=True):
        options.add_free_dimension_override_by_name(axis, size)
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        grey = np.full((1, 3, height, width), 0.5, np.float32)
        (restored,) = session.run(None, {session.get_inputs()[0].name: grey})
    except ORT_ERRORS as error:
        raise CorruptWeights(f"model {spec.name}: fails as {program} runs it ({first_line(error)}).") from error
    if restored.shape != (1, 3, height * spec.scale, width * spec.scale) or not np.isfinite(restored).all():
        raise CorruptWeights(f"model {spec.name}: gives no picture as {program} runs it (shape {restored.shape}).")


def _axes(file: bytes) -> tuple[str, str]:
    """Return the names of height and width, empty where they are numbers."""
    dims = onnx.load_model_from_string(file).graph.input[0].type.tensor_type.shape.dim
    return dims[2].dim_param, dims[3].dim_param


def _for_darktable(file: bytes, spec: ModelSpec) -> dict[str, bytes]:
    """Zip a folder: its name is the model's id, the network's file is named by the task."""
    task = "denoise" if spec.scale == 1 else "upscale"  # of its tasks, the one that keeps a picture's size
    folder = f"{task}-acutance-{spec.name}"
    config = {
        "id": folder,
        "name": f"acutance {spec.name}",
        "description": "Sharpens blurred photos" if spec.scale == 1 else "Sharpens and enlarges blurred photos",
        "task": task,
        "arch": "generic",
        "backend": "onnx",
        "version": "1.0",
        "tiling": True,
        "num_inputs": 1,
        "spatial_dims": list(_axes(file)),
    }
    network = "model.onnx" if spec.scale == 1 else f"model_x{spec.scale}.onnx"
    contents = {"config.json": json.dumps(config, indent=4).encode(), "README.md": _card(spec).encode(), network: file}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in contents.items():
            info = zipfile.ZipInfo(f"{folder}/{entry}")  # without the time: the same bytes every time
            info.external_attr = 0o644 << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return {".dtmodel": target.getvalue()}


def _card(spec: ModelSpec) -> str:
    rows: Mapping[str, str] = {
        "Model license": spec.licence,
        "Training data": spec.training_data,
        "Parameters": f"{spec.parameters:,}",
        "Input": "float32 [1, 3, H, W], sRGB in [0, 1]",
        "Output": f"float32 [1, 3, {spec.scale}·H, {spec.scale}·W], sRGB; clip to [0, 1]",
        "H and W": f"multiples of {spec.size_multiple}",
        "Tiles": spec.tiles_in_words,
        "SHA-256 of the weights": spec.weights_sha256 or "not known",
        "Inference": "local only",
    }
    table = "\n".join(f"| {what} | {value} |" for what, value in rows.items())
    return f"# acutance {spec.name}\n\n| Property | Value |\n|---|---|\n{table}\n"


def _for_chainner(file: bytes, spec: ModelSpec) -> dict[str, bytes]:
    """Return the file itself, where the scale can be inferred from the graph: that is how chaiNNer finds it."""
    model = onnx.load_model_from_string(file)
    side = spec.fixed_height_px or _CHAINNER_PX
    _set_sides(model.graph.input[0], (1, 3, side, spec.fixed_width_px or side))
    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        raise ConfigError(
            f"model {spec.name}: chaiNNer cannot find its scale; it has shapes that are not told."
        ) from error
    dims = inferred.graph.output[0].type.tensor_type.shape.dim
    if dims[2].dim_value != side * spec.scale:
        raise ConfigError(f"model {spec.name}: chaiNNer cannot find its scale of {spec.scale} in the graph.")
    return {".onnx": file}


def _for_ncnn(file: bytes, spec: ModelSpec) -> dict[str, bytes]:
    from acutance.packaging.ncnn_files import as_ncnn  # here: nobody else needs pnnx and ncnn

    param, weights = as_ncnn(file, spec)
    return {".bin": weights, ".param": param}


def _set_sides(value: onnx.ValueInfoProto, sides: tuple[int, ...]) -> None:
    for dim, side in zip(value.type.tensor_type.shape.dim, sides, strict=True):
        dim.dim_value = side


_CHAINNER_PX = 64

_WAYS: dict[Program, _Way] = {
    "darktable": _Way(
        ending=".dtmodel",
        scales=(1, 2, 4),
        context_px=lambda scale: 64 if scale == 1 else 16,
        tiles_px=(2048, 1536, 1024, 768, 512, 384, 256),
        pack=_for_darktable,
    ),
    "chainner": _Way(
        ending=".onnx",
        scales=(),
        context_px=lambda scale: 16,
        tiles_px=(512, 256),
        pack=_for_chainner,
        takes_fixed=True,
    ),
    # Its tiles have any size; layers are put around the network for that.
    "ncnn": _Way(ending=".param", scales=(), context_px=lambda scale: 10, tiles_px=(), pack=_for_ncnn),
}
assert set(_WAYS) == set(get_args(Program))
