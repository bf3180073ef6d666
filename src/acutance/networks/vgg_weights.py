"""The VGG networks' layers by name, and trained weights for them: how they are read.

Two sets of weights are in use, and each was trained on inputs of its own kind: those of the VGG group (Simonyan and
Zisserman 2014) on BGR in 0 … 255 minus a mean colour, torchvision's on standardised RGB. Fed with the other kind,
either still gives numbers, only wrong ones; so the input is part of what is read here, and never guessed. (Features of
the two differ in size by one to two orders, so loss weights do not carry over.)

Which of the networks is meant, and where a user gets its weights, a `VggLayout` says.
"""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from acutance.errors import CorruptWeights, InputError, first_line


@dataclass(frozen=True, slots=True, kw_only=True)
class VggLayout:
    """One network of the family: 3×3 convolutions, a ReLU after each, and a 2×2 pooling after each stage of them."""

    name: str
    """For messages: `VGG-19`."""
    stages: tuple[tuple[int, int], ...]
    """Convolutions and their channels before each of the poolings."""
    ways: str
    """How a user gets trained weights; the end of a message."""

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers in order, named as in the literature; the position is torchvision's `features.N`."""
        names: list[str] = []
        for stage, (count, _) in enumerate(self.stages, start=1):
            names += [f"{kind}{stage}_{number}" for number in range(1, count + 1) for kind in ("conv", "relu")]
            names.append(f"pool{stage}")
        return tuple(names)

    @property
    def convolutions(self) -> tuple[str, ...]:
        """The layers that have weights."""
        return tuple(name for name in self.layers if name.startswith("conv"))


@dataclass(frozen=True, slots=True)
class InputConvention:
    """What a set of weights was trained on, as an affine map of RGB in [0, 1]: `scale · colour + shift`."""

    statement: str
    """In words; see `parse`."""
    is_bgr: bool
    """Whether the first convolution takes blue first."""
    scale: tuple[float, float, float]
    """Factors of red, green, blue."""
    shift: tuple[float, float, float]
    """Added to red, green, blue."""

    @classmethod
    def parse(cls, statement: str) -> InputConvention:
        """Read a statement such as `BGR, 0..255, minus (103.939, 116.779, 123.68)`.

        The numbers are in the order of the channels; `, over (…)` may follow, for a division.

        Raises:
            CorruptWeights: When it does not read like that.
        """
        number = r"\s*([0-9.]+)\s*"
        triple = rf"\({number},{number},{number}\)"
        pattern = rf"(RGB|BGR), 0\.\.(1|255), minus {triple}(?:, over {triple})?"
        found = re.fullmatch(pattern, statement.strip())
        try:
            if found is None:
                raise ValueError("not of that form")
            minus = [float(text) for text in found.groups()[2:5]]
            over = [float(text or 1) for text in found.groups()[5:8]]
            if 0.0 in over:
                raise ValueError("a division by 0")
        except ValueError as error:
            raise CorruptWeights(
                f"the weights' input {statement!r} cannot be understood ({first_line(error)}); it has to read like "
                f"{VGG_GROUP.statement!r} or {TORCHVISION.statement!r}."
            ) from error
        is_bgr = found[1] == "BGR"
        order = (2, 1, 0) if is_bgr else (0, 1, 2)
        red, green, blue = ((float(found[2]) / over[channel], -minus[channel] / over[channel]) for channel in order)
        return cls(statement, is_bgr, (red[0], green[0], blue[0]), (red[1], green[1], blue[1]))


VGG_GROUP: Final = InputConvention.parse("BGR, 0..255, minus (103.939, 116.779, 123.68)")
TORCHVISION: Final = InputConvention.parse("RGB, 0..1, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225)")

METADATA_KEY: Final = "input"
"""Key of the statement in a safetensors file's metadata."""


class Convolution(NamedTuple):
    """Weights of one convolution, float32."""

    weight: Float[Tensor, "out_channels in_channels 3 3"]
    bias: Float[Tensor, " out_channels"]


@dataclass(frozen=True, slots=True)
class VggWeights:
    """Trained weights, all convolutions or the first few, and what they were trained on."""

    layout: VggLayout
    """Whose they are."""
    convolutions: Mapping[str, Convolution]
    """By name (`conv1_1`), in order and without gaps; channels in the order of the convention."""
    convention: InputConvention
    source: str
    """Where they come from, for messages."""

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers that can be computed with these weights."""
        all_layers = self.layout.layers
        lacking = [name for name in self.layout.convolutions if name not in self.convolutions]
        return all_layers[: all_layers.index(lacking[0])] if lacking else all_layers


class StateFile(NamedTuple):
    """What a file of weights holds."""

    tensors: dict[str, Tensor]
    """By name."""
    statement: str | None
    """What its metadata says of the network's input; a torch file never does."""


_UNREADABLE: Final = (
    *(SafetensorError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile, OSError, EOFError, RuntimeError),
    *(ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError, AssertionError),
)
"""What the two readers raise on damaged files; torch's runs a small program that may stumble in any of these ways."""


def read_state_file(path: Path, *, what: str, ways: str) -> StateFile:
    """Read all tensors of a safetensors file or of a torch state dict (`.pth`), which may hold no other objects.

    Args:
        path: Of the file.
        what: What it should hold, for messages: `VGG-19 weights`.
        ways: How a user gets that, for messages.

    Raises:
        InputError: When there is no such file.
        CorruptWeights: When it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, so there are no {what}; {ways}.")
    try:
        return _read(path)
    except _UNREADABLE as error:
        raise CorruptWeights(
            f"{path}: not a file of weights that can be read ({first_line(error)}); get it again, or {ways}."
        ) from error


def read_vgg(path: Path, layout: VggLayout, *, convention: InputConvention | None = None) -> VggWeights:
    """Read a VGG network's convolutions from a safetensors file or from a torch state dict.

    Tensors are named as in the literature (`conv1_1.weight`) or as in torchvision (`features.0.weight`); fully
    connected layers are ignored. What the weights were trained on is stated in a safetensors file's metadata, under
    `input`; without a statement, torchvision's names mean torchvision's weights.

    Args:
        path: Of the file; all convolutions, or the first few.
        layout: Whose they have to be.
        convention: What they were trained on, for files that do not say it or say it wrongly (the VGG group's weights
            under torchvision's names are in circulation).

    Raises:
        InputError: When there is no such file.
        CorruptWeights: When it does not hold that network's convolutions or does not say what they were trained on.
    """
    tensors, statement = read_state_file(path, what=f"{layout.name} weights", ways=layout.ways)
    try:
        convolutions = _convolutions(tensors, layout)
    except ValueError as error:
        raise CorruptWeights(f"{path}: these are not {layout.name}'s weights: {error}; {layout.ways}.") from error
    if convention is None and statement is not None:
        convention = InputConvention.parse(statement)
    if convention is None:
        if not any(_TORCHVISION_NAME.fullmatch(name) for name in tensors):
            raise CorruptWeights(
                f"{path}: does not say what its weights were trained on; add the metadata {METADATA_KEY!r}, such as "
                f"{VGG_GROUP.statement!r}, or {layout.ways}."
            )
        convention = TORCHVISION
    return VggWeights(layout, convolutions, convention, str(path))


def checked_tensor(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """Return one tensor as float32, in memory of its own.

    Raises:
        ValueError: Saying what is wrong with it: missing, of another shape or type, or not finite.
    """
    if name not in tensors:
        raise ValueError(f"{name} is missing")
    tensor = tensors[name]
    if tuple(tensor.shape) != shape or not tensor.is_floating_point():
        raise ValueError(f"{name} is {tensor.dtype} of {tuple(tensor.shape)}, not numbers of {shape}")
    if not tensor.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity")
    return tensor.detach().to(torch.float32, copy=True).contiguous()


def _read(path: Path) -> StateFile:
    with open(path, "rb") as file:
        is_safetensors = file.read(9)[8:] == b"{"
    if is_safetensors:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return StateFile(tensors, (file.metadata() or {}).get(METADATA_KEY))
    # Seven eighths of torchvision's file are fully connected layers: mapped, they are never read.
    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    if not isinstance(loaded, dict):
        raise TypeError(f"it holds a {type(loaded).__name__}, not a state dict")
    return StateFile({str(name): tensor for name, tensor in loaded.items() if isinstance(tensor, Tensor)}, None)


_TORCHVISION_NAME: Final = re.compile(r"(?:features\.)?(\d+)\.(weight|bias)")
_LITERATURE_NAME: Final = re.compile(r"(conv\d_\d)\.(weight|bias)")


def _convolutions(tensors: Mapping[str, Tensor], layout: VggLayout) -> dict[str, Convolution]:
    """Find the convolutions among all tensors.

    Raises:
        ValueError: Saying what does not fit.
    """
    layers, names = layout.layers, layout.convolutions
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if match := _TORCHVISION_NAME.fullmatch(name):
            layer = layers[int(match[1])] if int(match[1]) < len(layers) else "no layer"
        elif match := _LITERATURE_NAME.fullmatch(name):
            layer = match[1]
        else:
            continue
        if layer not in names:
            raise ValueError(f"{name} would be {layer}, which has no weights")
        found[f"{layer}.{match[2]}"] = tensor
    count = len({name.split(".")[0] for name in found})
    in_channels, convolutions = 3, {}
    for name in names[:count]:
        out_channels = layout.stages[int(name[4]) - 1][1]
        weight = checked_tensor(found, f"{name}.weight", (out_channels, in_channels, 3, 3))
        convolutions[name] = Convolution(weight, checked_tensor(found, f"{name}.bias", (out_channels,)))
        in_channels = out_channels
    if not convolutions:
        raise ValueError("there is no conv1_1")
    return convolutions
