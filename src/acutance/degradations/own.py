"""A stage of the user's own: any function from images to images, at its place in the pipeline.

[[degradation.stages]]
kind = "own"
part = "my_parts.py:rain"
probability = 0.3
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.config.own_parts import load_part, running
from acutance.degradations.draws import check_share, happens
from acutance.errors import ConfigError


class OwnDegradation(Protocol):
    """What a degradation of one's own must be."""

    def __call__(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h w"]:
        """Return the batch, degraded; of the same size, on the same device.

        Args:
            images: RGB in about [0, 1], gamma space, float32; not to be changed in place.
            generator: Of all that is drawn, on the images' device. Drawn from anything else, the same seed would no
                longer give the same run.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A stage that calls a function of the user's own."""

    part: str
    """`FILE.py:NAME` or `PACKAGE.MODULE:NAME`."""
    kind: Literal["own"] = "own"
    probability: float = 1.0
    """Share of the images."""
    margin_px: ClassVar[int] = 0
    """Consumes no margin."""

    def __post_init__(self) -> None:
        """Check the share, and that the part is there.

        Raises:
            ConfigError: When it is not.
        """
        check_share("own.probability", self.probability)
        load_part(self.part)

    def apply(self, images: Float[Tensor, "n 3 h w"], generator: torch.Generator) -> Float[Tensor, "n 3 h w"]:
        """Degrade a batch.

        Raises:
            ConfigError: When the function fails, or returns anything but images of the same size.
        """
        chosen = happens(images.shape[0], self.probability, generator).nonzero().squeeze(1)
        if not len(chosen):
            return images
        degrade = cast(OwnDegradation, load_part(self.part))
        given = images[chosen]
        with running(self.part):
            made: object = degrade(given, generator)
        if not isinstance(made, Tensor) or made.shape != given.shape:
            what = f"a tensor of shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise ConfigError(
                f"{self.part}: returned {what} for images of shape {tuple(given.shape)}; a degradation must keep the "
                "size."
            )
        return images.index_copy(0, chosen, made.to(images.dtype))
