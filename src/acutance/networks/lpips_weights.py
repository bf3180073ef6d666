"""The trained weights of LPIPS v0.1 with a VGG-16 backbone: two files that the user gives.

The convolutions are torchvision's, as they come. The linear weights are those that LPIPS' authors trained on people's
judgements (`weights/v0.1/vgg.pth` in their package). The two belong together: convolutions that were trained otherwise
give numbers, too, only not those of LPIPS, so anything that can be told apart from torchvision's is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jaxtyping import Float
from torch import Tensor

from acutance.errors import CorruptWeights
from acutance.networks.vgg_weights import TORCHVISION, VggLayout, VggWeights, checked_tensor, read_state_file, read_vgg

BACKBONE_WAYS: Final = (
    "give torchvision's https://download.pytorch.org/models/vgg16-397923af.pth (528 MB) with --lpips-backbone FILE"
)
"""How a user gets the convolutions; the end of a message."""

LINEAR_WAYS: Final = (
    "give lpips/weights/v0.1/vgg.pth of https://github.com/richzhang/PerceptualSimilarity (7 kB) with "
    "--lpips-linear FILE"
)
"""How a user gets the linear weights; the end of a message."""

VGG16: Final = VggLayout(name="VGG-16", stages=((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), ways=BACKBONE_WAYS)
"""The network."""


@dataclass(frozen=True, slots=True)
class LpipsWeights:
    """All that LPIPS has learnt."""

    backbone: VggWeights
    """The convolutions, all of them."""
    linear: Mapping[str, Float[Tensor, " c"]]
    """By layer: what a difference in each channel counts; none is negative."""


def lpips_layers(layout: VggLayout) -> tuple[str, ...]:
    """Return the layers that are compared, the last activation of each stage: relu1_2, relu2_2, relu3_3, …."""
    return tuple(f"relu{stage}_{count}" for stage, (count, _) in enumerate(layout.stages, start=1))


def read_lpips(backbone: Path, linear: Path, *, layout: VggLayout = VGG16) -> LpipsWeights:
    """Read both files, each a torch state dict or a safetensors file.

    Args:
        backbone: Convolutions, named as in torchvision (`features.0.weight`) or as in the literature.
        linear: Tensors `lin0.model.1.weight` … of shape `1 c 1 1`, one per stage.
        layout: The backbone's; another one only in tests.

    Raises:
        InputError: When a file is missing.
        CorruptWeights: When one is damaged or holds something else.
    """
    return LpipsWeights(read_backbone(backbone, layout), _read_linear(linear, layout))


def read_backbone(path: Path, layout: VggLayout) -> VggWeights:
    """Read all convolutions of torchvision's network, which is what measures are trained on.

    Raises:
        InputError: When there is no such file.
        CorruptWeights: When it is damaged or holds something else.
    """
    convolutions = read_vgg(path, layout)
    if convolutions.convention != TORCHVISION:
        raise CorruptWeights(
            f"{path}: these weights were trained on {convolutions.convention.statement}, and LPIPS and DISTS go with "
            f"torchvision's; {BACKBONE_WAYS}."
        )
    lacking = [name for name in layout.convolutions if name not in convolutions.convolutions]
    if lacking:
        raise CorruptWeights(
            f"{path}: lacks {lacking[0]}, and LPIPS and DISTS need all {len(layout.convolutions)} convolutions of "
            f"{layout.name}; {BACKBONE_WAYS}."
        )
    return convolutions


def _read_linear(path: Path, layout: VggLayout) -> dict[str, Tensor]:
    tensors, _ = read_state_file(path, what="linear weights of LPIPS", ways=LINEAR_WAYS)
    rows = {}
    try:
        for number, layer in enumerate(lpips_layers(layout)):
            name, channels = f"lin{number}.model.1.weight", layout.stages[number][1]
            rows[layer] = checked_tensor(tensors, name, (1, channels, 1, 1)).view(channels)
            if rows[layer].min() < 0:
                raise ValueError(f"{name} holds negative weights")
    except ValueError as error:
        raise CorruptWeights(
            f"{path}: these are not LPIPS' linear weights for {layout.name}: {error}; {LINEAR_WAYS}."
        ) from error
    return rows
