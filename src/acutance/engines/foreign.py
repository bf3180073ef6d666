"""Restoration networks that others trained and exported: any ONNX file, as a model file of ours.

What the network takes and gives is looked up, found by running it (`probing.py`), or told in a small TOML file beside
it (`foreign_told.py`). What neither says is asked for, in an error that names the line to write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from acutance.engines.external_weights import external_files
from acutance.engines.foreign_graph import ForeignForm, Layout, Number, as_ours, count_numbers
from acutance.engines.foreign_told import Told
from acutance.engines.onnx_engine import ORT_ERRORS, reason_of
from acutance.engines.probing import (
    PROBE_PX,
    DoesNotFit,
    Probe,
    find_multiple,
    find_range,
    find_reach,
    find_scale,
    whole_scale,
)
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.errors import ConfigError, CorruptWeights, EngineError, first_line
from acutance.geometry import ceil_to_multiple
from acutance.spec import ModelSpec

FEATHER_PX = 64
"""By how much tiles overlap that cannot be exact; in tiles of one small size, a quarter of it."""

TILE_PX, ENLARGED_TILE_PX = 512, 256
"""Side of the tiles of a network whose need of memory nobody has measured; the second where it enlarges."""

_NUMBERS: dict[str, Number] = {"tensor(float)": "float32", "tensor(float16)": "float16"}
_FATAL = 4
"""ONNX Runtime's log level for nothing but its end: a size that does not fit is an answer here."""

Source = Literal["told", "in the graph", "found by probing", "assumed", "by its weights", "by its architecture"]
"""How something is known."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known about a network, for its card."""

    what: str
    value: str
    source: Source


@dataclass(frozen=True, slots=True)
class Adopted:
    """A network of others as a model file of ours."""

    file: bytes
    """ONNX, with the spec inside."""
    spec: ModelSpec
    facts: tuple[Fact, ...]
    """What it takes and gives, and how that is known."""


def adopt(file: bytes, *, name: str, told: Told | None = None, told_in: str = "") -> Adopted:
    """Make a model file of ours of a network of others.

    Args:
        file: ONNX: one float32 or float16 picture of three channels in, one out, as large or a whole number of times
            as large.
        name: For the spec, and for messages.
        told: What is known about it.
        told_in: Name of the file to write into what could not be found; default `name.toml`.

    Raises:
        CorruptWeights: When it is not such a network.
        ConfigError: When something has to be told.
        EngineError: When it takes no picture that was tried.
    """
    told = told or Told()
    ask = Question(name, told_in or f"{name}.toml")
    session = _session(file, name)
    form, facts = _form(session, told, ask)
    probe = Probe(session, form, ORT_ERRORS)
    try:
        fixed = _fixed(session, form, ask)
        scale = _scale(session, probe, fixed, facts)
        parameters = count_numbers(file)
        spec, form = describe(probe, told, ask, facts, fixed=fixed, scale=scale, parameters=parameters)
    except DoesNotFit as error:
        raise EngineError(f"{name}: the network cannot be run on a picture ({first_line(error)}).") from error
    return Adopted(as_ours(file, form, spec), spec, tuple(facts))


def _scale(
    session: onnxruntime.InferenceSession, probe: Probe, fixed: tuple[int, int] | None, facts: list[Fact]
) -> int:
    """Look up or find how many times as large the result is."""
    (given,) = (entry for entry in session.get_outputs() if entry.name == probe.form.output)
    sides = given.shape[2:] if probe.form.layout == "nchw" else given.shape[1:3]
    if fixed and all(isinstance(side, int) for side in sides):
        scale = whole_scale((sides[0], sides[1]), fixed)  # a large network takes long for one picture
        facts.append(Fact("scale", str(scale), "in the graph"))
    else:
        scale = find_scale(probe, fixed or (PROBE_PX, PROBE_PX))
        facts.append(Fact("scale", str(scale), "found by probing"))
    return scale


def describe(
    probe: Probe,
    told: Told,
    ask: Question,
    facts: list[Fact],
    *,
    fixed: tuple[int, int] | None,
    scale: int,
    parameters: int,
    size_from: Source = "in the graph",
) -> tuple[ModelSpec, ForeignForm]:
    """Find out what is not told of a network, and describe it.

    Args:
        probe: The network.
        told: What is known about it.
        ask: Whom to ask for what cannot be found.
        facts: What is known already; what is found is added.
        fixed: The one size that it takes, or None for any.
        scale: Of its result.
        parameters: How many numbers were trained.
        size_from: How the one size is known.

    Returns:
        Its spec, and what it takes and gives.

    Raises:
        ConfigError: When something has to be told.
        DoesNotFit: When it takes no picture that was tried.
    """
    range_ = told.range or find_range(probe, scale, fixed or (PROBE_PX, PROBE_PX))
    if range_ is None:
        allowed = "0..1, 0..255 or -1..1; a line output_range, too, where it gives another range than it takes"
        raise ask.for_line('range = "0..1"', "what black and white are to it", allowed)
    facts.append(Fact("range", range_, "told" if told.range else "found by probing"))
    form = replace(probe.form, range=range_, colours=told.colours or "rgb")
    if form.output_range is not None:
        facts.append(Fact("output_range", form.output_range, "told"))
    facts.append(Fact("colours", form.colours, "told" if told.colours else "assumed"))
    spec = ModelSpec(
        name=ask.name,
        task="sharpen" if scale == 1 else "sharpen-and-enlarge",
        scale=scale,
        size_multiple=1,
        receptive_radius_px=0,
        halo_px=0,
        macs_per_pixel=0,
        parameters=parameters,
        training_data=told.training_data or "not known",
        licence=told.licence or "not known",
    )
    if fixed is not None:
        spec = replace(spec, fixed_height_px=fixed[0], fixed_width_px=fixed[1], feather_px=_feather(min(fixed)))
        facts.append(Fact("size", f"{fixed[0]}×{fixed[1]} px alone", size_from))
    else:
        spec = _tiled(replace(probe, form=form), spec, told, facts)
    known: Source = size_from if fixed else "told" if told.reach is not None else "found by probing"
    facts.append(Fact("tiles", spec.tiles_in_words, known))
    return spec, form


def _tiled(probe: Probe, spec: ModelSpec, told: Told, facts: list[Fact]) -> ModelSpec:
    """Return the spec of a network that takes any size, with how it is to be tiled."""
    multiple = told.multiple or find_multiple(probe, spec.scale)
    halo = told.reach
    if halo is None:
        reach = find_reach(probe, spec.scale, multiple)
        multiple, halo = reach.multiple, reach.halo_px
    facts.append(Fact("multiple", str(multiple), "told" if told.multiple else "found by probing"))
    tile = TILE_PX if spec.scale == 1 else ENLARGED_TILE_PX
    if halo is None or (told.reach is not None and halo <= 0):
        return replace(spec, size_multiple=multiple, feather_px=FEATHER_PX, tile_px=tile)
    return replace(
        spec,
        size_multiple=multiple,
        receptive_radius_px=halo,
        halo_px=ceil_to_multiple(halo, multiple),
        tile_px=max(tile, 2 * halo),
    )


def _feather(side: int) -> int:
    return min(FEATHER_PX, side // 4)


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask, and where the answer goes."""

    name: str
    file: str

    def for_line(self, line: str, what: str, allowed: str) -> ConfigError:
        """Return the error that asks for a line."""
        return ConfigError(
            f"{self.name}: {what} could not be found; write a line such as {line} into {self.file} beside it "
            f"(allowed: {allowed})."
        )


def _session(file: bytes, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        state = onnxruntime.capi.onnxruntime_pybind11_state
        if isinstance(error, (state.InvalidProtobuf, state.InvalidArgument)):
            raise CorruptWeights(f"{name}: not a network that ONNX Runtime can open; get the file again.") from error
        if elsewhere := external_files(file):
            raise CorruptWeights(
                f"{name}: its weights lie in a file of their own, {', '.join(elsewhere)}; get that, too, put both into "
                "one folder and give the path of the first."
            ) from error
        raise CorruptWeights(
            f"{name}: not a network that ONNX Runtime {onnxruntime.__version__} can open ({reason_of(error)}); upgrade "
            "onnxruntime, or export it anew: without operations of its own, for an older opset."
        ) from error


def _form(session: onnxruntime.InferenceSession, told: Told, ask: Question) -> tuple[ForeignForm, list[Fact]]:
    """Look up what the graph says."""
    inputs = session.get_inputs()
    taken = _one(inputs, told.input, "input", ask)
    if len(inputs) > 1:
        names = ", ".join(entry.name for entry in inputs)
        raise CorruptWeights(f"{ask.name}: takes {len(inputs)} inputs ({names}); only networks of one picture are run.")
    if taken.type not in _NUMBERS or len(taken.shape) != 4:
        raise CorruptWeights(
            f"{ask.name}: its input is {taken.type} of shape {taken.shape}; a picture is float32 or float16 of 4 axes."
        )
    layout, source = _layout(session, taken, told, ask)
    given = _one(_pictures(session, layout), told.output, "output", ask)
    if given.type != taken.type:
        raise CorruptWeights(f"{ask.name}: takes {taken.type} and gives {given.type}; both have to be of one type.")
    facts = [
        Fact("input", taken.name, "told" if told.input else "in the graph"),
        Fact("output", given.name, "told" if told.output else "in the graph"),
        Fact("layout", layout, source),
    ]
    return ForeignForm(
        input=taken.name,
        output=given.name,
        layout=layout,
        number=_NUMBERS[taken.type],
        output_range=told.output_range,
    ), facts


def _layout(
    session: onnxruntime.InferenceSession, taken: onnxruntime.NodeArg, told: Told, ask: Question
) -> tuple[Layout, Source]:
    shape: list[int | str | None] = taken.shape
    if isinstance(shape[0], int) and shape[0] != 1:
        raise CorruptWeights(f"{ask.name}: takes {shape[0]} pictures at once; only networks of one are run.")
    if told.layout is not None:
        return told.layout, "told"
    if shape[1] == 3:
        return "nchw", "in the graph"
    if shape[3] == 3:
        return "nhwc", "in the graph"
    channels = [side for side in (shape[1], shape[3]) if isinstance(side, int) and side < 16]
    if channels:
        raise CorruptWeights(f"{ask.name}: takes pictures of {channels[0]} channels; only networks of 3 are run.")
    runs = [layout for layout in get_args(Layout) if _takes(session, taken, layout)]
    if len(runs) == 1:
        return runs[0], "found by probing"
    raise ask.for_line('layout = "nchw"', "the order of its axes", "nchw or nhwc")


def _takes(session: onnxruntime.InferenceSession, taken: onnxruntime.NodeArg, layout: Layout) -> bool:
    """Say whether the network takes a small picture in that order of axes."""
    sides = (1, 3, PROBE_PX, PROBE_PX) if layout == "nchw" else (1, PROBE_PX, PROBE_PX, 3)
    try:
        session.run(None, {taken.name: np.full(sides, 0.5, _NUMBERS[taken.type])})
    except ORT_ERRORS:
        return False
    return True


def _pictures(session: onnxruntime.InferenceSession, layout: Layout) -> list[onnxruntime.NodeArg]:
    """Return the outputs that may be pictures."""
    axis = 1 if layout == "nchw" else 3
    outputs = session.get_outputs()
    fitting = [
        entry
        for entry in outputs
        if len(entry.shape) == 4 and (entry.shape[axis] == 3 or type(entry.shape[axis]) is not int)
    ]
    return fitting or outputs


def _one(
    entries: list[onnxruntime.NodeArg], name: str | None, kind: Literal["input", "output"], ask: Question
) -> onnxruntime.NodeArg:
    """Return the one that is told, or the only one there is."""
    names = ", ".join(entry.name for entry in entries)
    if name is not None:
        for entry in entries:
            if entry.name == name:
                return entry
        raise ConfigError(f"{ask.file}: {kind} = {name!r}: there is none; there are {names}.")
    if len(entries) > 1 and kind == "output":
        raise ask.for_line(f'output = "{entries[0].name}"', "which of its outputs is the picture", names)
    return entries[0]


def _fixed(session: onnxruntime.InferenceSession, form: ForeignForm, ask: Question) -> tuple[int, int] | None:
    """Return the one size that the network takes, or None where it takes any."""
    (taken,) = session.get_inputs()
    sides = taken.shape[2:] if form.layout == "nchw" else taken.shape[1:3]
    whole = [side for side in sides if isinstance(side, int)]
    if not whole:
        return None
    if len(whole) == 1:
        raise CorruptWeights(f"{ask.name}: takes pictures of one side of {whole[0]} px; export it for any size.")
    if min(whole) < PROBE_PX // 2:
        raise CorruptWeights(f"{ask.name}: takes pictures of {whole[0]}×{whole[1]} px alone, too few to restore with.")
    return whole[0], whole[1]
