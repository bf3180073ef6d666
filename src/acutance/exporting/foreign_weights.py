"""Weights that others trained in torch (.pth, .safetensors), as an ONNX network: converted once, then used as any.

spandrel tells the architecture by the names and shapes of the weights. The network is traced with a picture of one
size, and what comes out is compared with torch's answer at other sizes. Where it does not hold there (attention that
counts its windows while it is traced), it is traced for one fixed size and tiled by that. No code from the file is run:
torch reads it with `weights_only`.
"""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from acutance.engines.adding import Converted
from acutance.engines.foreign import Fact
from acutance.engines.foreign_told import Told
from acutance.errors import CorruptWeights
from acutance.exporting.export import PARITY_LIMIT
from acutance.exporting.silent_spandrel import EXTRA_ARCHITECTURES, architectures
from acutance.exporting.tracing import COMPARED_PX, FAILURES, TRACED_PX, first_line, noise, traced
from acutance.geometry import ceil_to_multiple
from acutance.spec import is_checkpoint

FIXED_PX = 256
"""Side of the one size of a network that cannot be had for any."""

_DAMAGE: tuple[type[Exception], ...] = (SafetensorError, zipfile.BadZipFile, EOFError)
"""What readers raise on damaged files, besides."""


def as_onnx(content: bytes, name: str) -> Converted:
    """Convert weights of torch to an ONNX network.

    Args:
        content: The file: a state dict as torch saves it, or safetensors.
        name: Of the file; its ending says which.

    Returns:
        The network: `n 3 h w` → `n 3 h·scale w·scale`, float32 RGB in [0, 1], of any size or of one.

    Raises:
        CorruptWeights: When the file is damaged, holds more than weights, or is of no architecture that is known and
            can be converted.
        EngineUnavailable: When spandrel is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old code; the tracer's, of what may not hold elsewhere: that is compared
        return convert_network(_recognised(_weights(content, name), name), name)


def convert_network(found: Any, name: str) -> Converted:  # noqa: ANN401  # spandrel has no types
    """Convert a network that spandrel has loaded (`spandrel.ImageModelDescriptor`); see `as_onnx`.

    Raises:
        CorruptWeights: When it takes no picture alone or cannot be converted.
    """
    title = _title(found)
    if found.purpose not in ("Restoration", "SR"):
        raise CorruptWeights(
            f"{name}: {title} is for {found.purpose}; only networks that restore photos are converted."
        )
    if (found.input_channels, found.output_channels) != (3, 3):
        raise CorruptWeights(
            f"{name}: {title} takes {found.input_channels} and gives {found.output_channels} channels; only networks "
            "of 3 are run."
        )
    found.model.float().eval()
    network = _whole(found, name)
    sizes = found.size_requirements
    first = ceil_to_multiple(max(TRACED_PX, sizes.minimum), sizes.multiple_of)
    others = [tuple(ceil_to_multiple(max(side, first), sizes.multiple_of) for side in size) for size in COMPARED_PX]
    fixed = ceil_to_multiple(max(FIXED_PX, sizes.minimum), sizes.multiple_of)
    graph, reason = None, ""
    if not sizes.square:
        graph, reason = traced(network, first, others, limit=PARITY_LIMIT)
    if graph is None:
        graph, reason = traced(network, fixed, [], limit=PARITY_LIMIT)
    if graph is None:
        raise CorruptWeights(f"{name}: {title} cannot be converted to ONNX ({reason}).")
    told = Told(range="0..1", colours="rgb", multiple=sizes.multiple_of if sizes.multiple_of > 1 else None)
    return Converted(graph, told, (Fact("architecture", title, "by its weights"),))


def _weights(content: bytes, name: str) -> dict[str, Any]:
    """Read a state dict; nothing in the file is run."""
    try:
        if PurePath(name).suffix.lower() == ".safetensors":
            if is_checkpoint(content):
                raise CorruptWeights(f"{name}: is a checkpoint of acutance; run: acutance export {name} -o net.onnx")
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


def _recognised(weights: dict[str, Any], name: str) -> Any:  # noqa: ANN401  # a spandrel.ModelDescriptor; no types
    """Return the network of the weights, and what spandrel knows about it."""
    registry = architectures()
    import spandrel

    try:
        return spandrel.ModelLoader(device="cpu", registry=registry).load_from_state_dict(
            spandrel.canonicalize_state_dict(weights)
        )
    except spandrel.UnsupportedModelError as error:
        raise CorruptWeights(
            f"{name}: of no architecture that spandrel knows; the package {EXTRA_ARCHITECTURES} has more (Restormer, "
            "MPRNet, …; see their licences), or export it to ONNX with the code that trained it."
        ) from error
    except FAILURES as error:
        raise CorruptWeights(
            f"{name}: its weights fit no network of their architecture; get the file again."
        ) from error


def _title(found: Any) -> str:  # noqa: ANN401
    return " ".join([found.architecture.name, *found.tags])


def _whole(found: Any, name: str) -> nn.Module:  # noqa: ANN401
    """Return what makes a picture of a picture: the network alone, or with what spandrel puts around it."""
    sizes = found.size_requirements
    picture = noise((ceil_to_multiple(max(TRACED_PX, sizes.minimum), sizes.multiple_of),) * 2)
    try:
        expected = found(picture)
    except FAILURES as error:
        raise CorruptWeights(f"{name}: {_title(found)} cannot be run ({first_line(error)}).") from error
    try:
        alone = found.model(picture)
        if isinstance(alone, Tensor) and torch.allclose(alone.clamp(0, 1), expected, atol=PARITY_LIMIT):
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
        return cast(Tensor, self.network(picture)) if self._call is None else self._call(picture)
