"""Weights that others trained in torch, as a network that torch runs (extra `foreign`).

spandrel tells the architecture by the names and shapes of the weights. No code from the file is run: torch reads it
with `weights_only`. What ONNX cannot hold is kept as such weights, safetensors with our spec in the metadata, and
becomes a network again whenever it is opened.
"""

from __future__ import annotations

import io
import pickle
import shlex
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from acutance.engines.foreign import Adopted, Fact, Question, describe
from acutance.engines.foreign_graph import ForeignForm
from acutance.engines.foreign_told import Told
from acutance.engines.model_file import has_spec, is_safetensors, read_spec
from acutance.engines.probing import MULTIPLES, DoesNotFit, Probe
from acutance.engines.silent_spandrel import EXTRA_ARCHITECTURES, architectures
from acutance.errors import ConfigError, CorruptWeights, EngineError, first_line
from acutance.geometry import ceil_to_multiple
from acutance.spec import METADATA_KEY

FIXED_PX = 256
"""Side of the one size of a network that cannot be had for any."""
SAME = 1e-4
"""Values in [0, 1] that differ by no more are those of the same network."""
_TRIED_PX = 80
"""Side of the picture that a network is tried and traced with. Most were trained with 48, 64 or 128 px: at that size
many take a shortcut, which would be traced and hold there alone."""

FAILURES: tuple[type[Exception], ...] = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError),
    *(NotImplementedError, RuntimeError, TypeError, ValueError),
)
"""What code of others raises on weights, sizes or operations that it was not made for."""
_DAMAGE: tuple[type[Exception], ...] = (SafetensorError, zipfile.BadZipFile, EOFError)
"""What readers raise on damaged files, besides."""


@dataclass(frozen=True, slots=True)
class TorchNetwork:
    """A network of others, and what its architecture says about it."""

    module: nn.Module
    """`n 3 h w` → `n 3 h·scale w·scale`, float32 RGB in [0, 1], in eval mode."""
    title: str
    scale: int
    multiple: int
    """What the sides of its input have to be multiples of; no side that is one is too short for it, but for a few
    architectures of which that cannot be had."""
    is_square: bool
    """Whether it takes square pictures alone."""
    side_px: int
    """Of a small picture that it takes."""
    weights: Mapping[str, Any]
    """Its state dict, by which it is known again."""

    @property
    def fixed_px(self) -> int:
        """Side of the one size that it is run at, where it cannot be run at any."""
        return ceil_to_multiple(max(FIXED_PX, self.side_px), self.multiple)

    @property
    def told(self) -> Told:
        """What the architecture says for the card."""
        return Told(range="0..1", colours="rgb", multiple=self.multiple if self.multiple > 1 else None)


def read_weights(content: bytes, name: str) -> dict[str, Any]:
    """Read a state dict; nothing in the file is run.

    Args:
        content: The file: a state dict as torch saves it, or safetensors.
        name: Of the file, with its folder: what a command would be given.

    Raises:
        CorruptWeights: When the file is damaged, or holds more or else than weights.
    """
    try:
        if is_safetensors(content) or PurePath(name).suffix.lower() == ".safetensors":
            if is_safetensors(content) and has_spec(content, name=name) and not read_spec(content).needs_torch:
                command = f"acutance export {shlex.quote(name)} -o net.onnx"
                raise CorruptWeights(f"{name}: is a checkpoint of acutance; run: {command}")
            return dict(load_safetensors(content))
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CorruptWeights(f"{name}: is damaged or holds more than weights; save its state_dict() alone.") from error
    except (*_DAMAGE, *FAILURES) as error:
        if "TorchScript" in str(error):
            raise CorruptWeights(f"{name}: is a TorchScript program, not weights; save its state_dict().") from error
        raise CorruptWeights(f"{name}: is no file of weights that torch can read; get it again.") from error
    if not isinstance(weights, dict):
        raise CorruptWeights(f"{name}: holds a {type(weights).__name__}, not named weights; save its state_dict().")
    return weights


def network_of(weights: dict[str, Any], name: str) -> TorchNetwork:
    """Return the network of a state dict.

    Raises:
        CorruptWeights: When no architecture is known that they fit, or it restores no pictures of three channels.
        EngineUnavailable: When spandrel is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old code
        registry = architectures()
        import spandrel

        try:
            weights = spandrel.canonicalize_state_dict(weights)
            found = spandrel.ModelLoader(device="cpu", registry=registry).load_from_state_dict(dict(weights))
        except spandrel.UnsupportedModelError as error:
            raise CorruptWeights(
                f"{name}: of no architecture that spandrel knows; the package {EXTRA_ARCHITECTURES} has more "
                "(Restormer, MPRNet, …; see their licences), or export it to ONNX with the code that trained it."
            ) from error
        except FAILURES as error:
            raise CorruptWeights(
                f"{name}: its weights fit no network of their architecture, which spandrel tells by their names; get "
                "the file again, or export the network to ONNX with the code that trained it."
            ) from error
        return described_network(found, weights, name)


def described_network(found: Any, weights: Mapping[str, Any], name: str) -> TorchNetwork:  # noqa: ANN401  # spandrel has no types
    """Return a network that spandrel has loaded (`spandrel.ImageModelDescriptor`) as one that takes a picture alone.

    Raises:
        CorruptWeights: When it restores no pictures of three channels, or cannot be run.
    """
    title = " ".join([found.architecture.name, *found.tags])
    if found.purpose not in ("Restoration", "SR"):
        raise CorruptWeights(f"{name}: {title} is for {found.purpose}; only networks that restore photos are run.")
    if (found.input_channels, found.output_channels) != (3, 3):
        raise CorruptWeights(
            f"{name}: {title} takes {found.input_channels} and gives {found.output_channels} channels; only networks "
            "of 3 are run."
        )
    sizes = found.size_requirements
    multiple = sizes.minimum if sizes.minimum in MULTIPLES else sizes.multiple_of
    side = ceil_to_multiple(max(_TRIED_PX, sizes.minimum), multiple)
    found.model.float().eval()
    try:
        # Whole in eval mode: torch's tracer gives every part of a network the mode of the whole again when it ends.
        module = _of_one_picture(found, side).eval()
    except FAILURES as error:
        raise CorruptWeights(f"{name}: {title} cannot be run ({first_line(error)}).") from error
    return TorchNetwork(module, title, found.scale, multiple, sizes.square, side, weights)


def adopt_weights(file: bytes, *, name: str, told: Told | None = None, told_in: str = "") -> Adopted:
    """Make a model file of ours of weights that torch is to run; see `acutance.engines.foreign.adopt`.

    Args:
        file: Safetensors.
        name: For the spec, and for messages.
        told: What is known about the network.
        told_in: Name of the file that told it.

    Raises:
        CorruptWeights: When they are of no network that restores pictures.
        ConfigError: When something is told that is for ONNX alone.
        EngineError: When it takes no picture that was tried.
    """
    told = told or Told()
    only: Mapping[str, str] = {"layout": "nchw", "range": "0..1", "output_range": "0..1", "colours": "rgb"}
    for entry in ("input", "output", *only):
        if getattr(told, entry) not in (None, only.get(entry)):
            raise ConfigError(
                f"{told_in}: {entry} = {getattr(told, entry)!r}: is for networks in ONNX; torch runs {name}, as its "
                "architecture says: leave it out."
            )
    network = network_of(read_weights(file, name), name)
    form = ForeignForm(input="degraded", output="restored", layout="nchw", number="float32", range="0..1")
    facts = [Fact("scale", str(network.scale), "by its architecture")]
    fixed = (network.fixed_px, network.fixed_px) if network.is_square else None
    try:
        spec, _ = describe(
            Probe(_Session(network.module), form, FAILURES),
            told.completed_by(network.told),
            Question(name, told_in),
            facts,
            fixed=fixed,
            scale=network.scale,
            parameters=sum(parameter.numel() for parameter in network.module.parameters()),
            size_from="by its architecture",
        )
    except DoesNotFit as error:
        raise EngineError(f"{name}: the network cannot be run on a picture ({first_line(error)}).") from error
    spec = replace(spec, needs_torch=True)
    return Adopted(weights_file(network.weights, {METADATA_KEY: spec.to_json()}), spec, tuple(facts))


def weights_file(weights: Mapping[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """Return weights as safetensors; what is no array is left out, as networks are told by arrays."""
    # Cloned: safetensors refuses what shares its memory.
    tensors = {name: value.contiguous().clone() for name, value in weights.items() if isinstance(value, Tensor)}
    return save_safetensors(tensors, metadata)


def noise(size: tuple[int, ...]) -> Tensor:
    """Return a picture of seeded noise, 1 3 h w in [0, 1]."""
    return torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True, slots=True)
class _Session:
    """Runs a network as it is probed; see `acutance.engines.probing.Session`."""

    network: nn.Module

    @torch.inference_mode()
    def run(self, outputs: Sequence[str], inputs: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[np.float32]]:
        """Run it on its one input."""
        del outputs
        (batch,) = inputs.values()
        return [self.network(torch.from_numpy(batch)).numpy()]


def _of_one_picture(found: Any, side: int) -> nn.Module:  # noqa: ANN401
    """Return what makes a picture of a picture: the network alone, or with what spandrel puts around it."""
    size = (side, side)
    expected = found(noise(size))
    try:
        alone = found.model(noise(size))
        if isinstance(alone, Tensor) and torch.allclose(alone.clamp(0, 1), expected, atol=SAME):
            return _OfOnePicture(found.model, None)
    except FAILURES:
        pass  # it takes or gives more than a picture
    return _OfOnePicture(found.model, found)


class _OfOnePicture(nn.Module):
    """A network that takes nothing but a picture: alone, with its further settings as they are, or as it is called.

    The latter is spandrel's way to run one with a strength, several outputs or a range of its own.
    """

    def __init__(self, network: nn.Module, call: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.network = network
        self._call = call

    def forward(self, picture: Tensor) -> Tensor:
        """Restore n 3 h w; called by spandrel, it is clipped to [0, 1]."""
        picture = picture.clone()  # some write into what they are given
        return cast(Tensor, self.network(picture)) if self._call is None else self._call(picture)
