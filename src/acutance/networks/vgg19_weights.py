"""VGG-19's layers by name, and its trained weights: where they are found, and how they are read.

Two sets of weights are in use, and each was trained on inputs of its own kind: those of the VGG group (Simonyan and
Zisserman 2014) on BGR in 0 … 255 minus a mean colour, torchvision's on standardised RGB. Fed with the other kind,
either still gives numbers, only wrong ones; so the input is part of what is read here, and never guessed. (Features of
the two differ in size by one to two orders, so loss weights do not carry over.)
"""

from __future__ import annotations

import os
import pickle
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from acutance.downloads import fetch
from acutance.errors import ConfigError, CorruptWeights, InputError

STAGES: Final = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
"""Convolutions and their channels before each of the five poolings."""


def _layer_names() -> tuple[str, ...]:
    names: list[str] = []
    for stage, (count, _) in enumerate(STAGES, start=1):
        names += [f"{kind}{stage}_{number}" for number in range(1, count + 1) for kind in ("conv", "relu")]
        names.append(f"pool{stage}")
    return tuple(names)


LAYERS: Final = _layer_names()
"""All layers in order, named as in the literature; the position is torchvision's `features.N`."""

CONVOLUTIONS: Final = tuple(name for name in LAYERS if name.startswith("conv"))

VGG19_URL: Final = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
"""torchvision's weights (575 MB); the name ends with the first eight digits of the file's sha256."""

WAYS: Final = f"give a file of them with --vgg19 FILE, or allow the download of {VGG19_URL} (575 MB)"
"""How a user gets all 16 convolutions; the end of a message."""


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
                f"the weights' input {statement!r} cannot be understood ({error}); it has to read like "
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
class Vgg19Weights:
    """Trained weights, all convolutions or the first few, and what they were trained on."""

    convolutions: Mapping[str, Convolution]
    """By name (`conv1_1`), in order and without gaps; channels in the order of the convention."""
    convention: InputConvention
    source: str
    """Where they come from, for messages."""

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers that can be computed with these weights."""
        lacking = [name for name in CONVOLUTIONS if name not in self.convolutions]
        return LAYERS[: LAYERS.index(lacking[0])] if lacking else LAYERS


def find_vgg19(
    path: Path | None,
    *,
    download: bool,
    folder: Path | None = None,
    url: str = VGG19_URL,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Return the file of weights that is to be used.

    Args:
        path: As given by the user, or None.
        download: Whether torchvision's may be downloaded when no path is given. Once they have been, they are found
            without permission, and checked each time.
        folder: Where downloads lie; `cache_folder()` by default.
        url: Of the download. Where its name ends with the first digits of its sha256, they are checked; the whole
            hash is recorded at first use and checked from then on.
        progress: Called with the share done, 0 … 1, of downloading and checking.

    Raises:
        InputError: When there is no such file.
        ConfigError: When no path is given and nothing may be downloaded.
        DownloadError: When the download fails or gives another file.
        OutputError: When the download cannot be written.
    """
    if path is not None:
        if not path.is_file():
            raise InputError(f"{path}: no such file, so there are no VGG-19 weights; {WAYS}.")
        return path
    name = url.rsplit("/", 1)[-1]
    target = (cache_folder() if folder is None else folder) / name
    if not download and not target.is_file():
        raise ConfigError(f"a loss on VGG-19 features needs its trained weights, and none are given; {WAYS}.")
    digits = re.search(r"-([0-9a-f]{8,64})\.", name)
    return fetch(url, target, sha256_prefix=digits[1] if digits else None, progress=progress)


def cache_folder() -> Path:
    """Return the user's folder for what can be downloaded again.

    Raises:
        ConfigError: When this user has no home folder.
    """
    try:
        if sys.platform == "win32":
            parent = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            parent = Path.home() / "Library" / "Caches"
        else:
            parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise ConfigError("this user has no home folder to keep downloads in; give the file with --vgg19.") from error
    return parent / "acutance"


_UNREADABLE: Final = (
    *(SafetensorError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile, OSError, EOFError, RuntimeError),
    *(ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError, AssertionError),
)
"""What the two readers raise on damaged files; torch's runs a small program that may stumble in any of these ways."""


def read_vgg19(path: Path, *, convention: InputConvention | None = None) -> Vgg19Weights:
    """Read weights from a safetensors file or from a torch state dict (`.pth`), which may hold no other objects.

    Tensors are named as in the literature (`conv1_1.weight`) or as in torchvision (`features.0.weight`); fully
    connected layers are ignored. What the weights were trained on is stated in a safetensors file's metadata, under
    `input`; without a statement, torchvision's names mean torchvision's weights.

    Args:
        path: Of the file; all 16 convolutions, or the first few.
        convention: What they were trained on, for files that do not say it or say it wrongly (the VGG group's weights
            under torchvision's names are in circulation).

    Raises:
        InputError: When there is no such file.
        CorruptWeights: When it does not hold VGG-19's convolutions or does not say what they were trained on.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, so there are no VGG-19 weights; {WAYS}.")
    try:
        state, statement = _read(path)
    except _UNREADABLE as error:
        raise CorruptWeights(
            f"{path}: not a file of weights that can be read ({_first_line(error)}); get it again, or {WAYS}."
        ) from error
    if convention is None and statement is not None:
        convention = InputConvention.parse(statement)
    if convention is None:
        if not any(_TORCHVISION_NAME.fullmatch(name) for name in state):
            raise CorruptWeights(
                f"{path}: does not say what its weights were trained on; add the metadata {METADATA_KEY!r}, such as "
                f"{VGG_GROUP.statement!r}, or {WAYS}."
            )
        convention = TORCHVISION
    try:
        convolutions = _convolutions(state)
    except ValueError as error:
        raise CorruptWeights(f"{path}: these are not VGG-19's weights: {error}; {WAYS}.") from error
    return Vgg19Weights(convolutions, convention, str(path))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _read(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """Read all tensors and the statement, if there is one."""
    with open(path, "rb") as file:
        is_safetensors = file.read(9)[8:] == b"{"
    if is_safetensors:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return state, (file.metadata() or {}).get(METADATA_KEY)
    # Seven eighths of torchvision's file are fully connected layers: mapped, they are never read.
    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    if not isinstance(loaded, dict):
        raise TypeError(f"it holds a {type(loaded).__name__}, not a state dict")
    return {str(name): tensor for name, tensor in loaded.items() if isinstance(tensor, Tensor)}, None


_TORCHVISION_NAME: Final = re.compile(r"(?:features\.)?(\d+)\.(weight|bias)")
_LITERATURE_NAME: Final = re.compile(r"(conv\d_\d)\.(weight|bias)")


def _convolutions(state: Mapping[str, Tensor]) -> dict[str, Convolution]:
    """Find the convolutions among all tensors.

    Raises:
        ValueError: Saying what does not fit.
    """
    found: dict[tuple[str, str], Tensor] = {}
    for name, tensor in state.items():
        if match := _TORCHVISION_NAME.fullmatch(name):
            layer = LAYERS[int(match[1])] if int(match[1]) < len(LAYERS) else "no layer"
        elif match := _LITERATURE_NAME.fullmatch(name):
            layer = match[1]
        else:
            continue
        if layer not in CONVOLUTIONS:
            raise ValueError(f"{name} would be {layer}, which has no weights")
        found[layer, match[2]] = tensor
    count = len({layer for layer, _ in found})
    in_channels, convolutions = 3, {}
    for name in CONVOLUTIONS[:count]:
        out_channels = STAGES[int(name[4]) - 1][1]
        weight = _checked(found, (name, "weight"), (out_channels, in_channels, 3, 3))
        convolutions[name] = Convolution(weight, _checked(found, (name, "bias"), (out_channels,)))
        in_channels = out_channels
    if not convolutions:
        raise ValueError("there is no conv1_1")
    return convolutions


def _checked(found: Mapping[tuple[str, str], Tensor], key: tuple[str, str], shape: tuple[int, ...]) -> Tensor:
    """Return one tensor as float32, in memory of its own."""
    if key not in found:
        raise ValueError(f"{'.'.join(key)} is missing")
    tensor = found[key]
    if tuple(tensor.shape) != shape or not tensor.is_floating_point():
        raise ValueError(f"{'.'.join(key)} is {tensor.dtype} of {tuple(tensor.shape)}, not numbers of {shape}")
    if not tensor.isfinite().all():
        raise ValueError(f"{'.'.join(key)} holds NaN or infinity")
    return tensor.detach().to(torch.float32, copy=True).contiguous()
