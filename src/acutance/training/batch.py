"""What a step is given: pairs of patches, what is known of their blur, and how a batch is cut into parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

Pair = tuple[Float[Tensor, "n c h w"], Float[Tensor, "n 3 hs ws"]]
"""Degraded, with its guides where the network takes some, and the reference, `scale` times as large."""


class Known(NamedTuple):
    """What is known of how each patch of a batch was degraded."""

    kernels: Float[Tensor, "n s s"]
    """What it was blurred with."""
    noise: Float[Tensor, " n"]
    """Root mean square of what was added to it, in [0, 1] units."""


class Told(NamedTuple):
    """What a network with guides is told of each patch's blur, and what it gives has to explain the input with."""

    kernels: Float[Tensor, "n s s"]
    is_linear: Bool[Tensor, " n"]
    """Whether the blur is undone in linear light, not in the file's own values."""


class Batch(NamedTuple):
    """What a step is given."""

    pair: Pair
    known: Known | None = None
    """None where no term of the objective asks for it."""
    told: Told | None = None
    """None where the network takes no guides."""
    of_discriminator: tuple[Batch, ...] = ()
    """A batch for each update of D, where it has batches of its own."""


def chosen(batch: Batch, patches: slice) -> Batch:
    """Return some patches of a batch, and of those that are D's own."""
    (degraded, reference), known, told, others = batch
    return Batch(
        (degraded[patches], reference[patches]),
        None if known is None else Known(known.kernels[patches], known.noise[patches]),
        None if told is None else Told(*(values[patches] for values in told)),
        tuple(chosen(other, patches) for other in others),
    )


def parts_of(batch: Batch, count: int) -> Iterator[Batch]:
    """Yield a batch in so many parts of one size, one after the other."""
    if count == 1:
        yield batch
        return
    size = batch.pair[0].shape[0] // count
    for number in range(count):
        yield chosen(batch, slice(number * size, (number + 1) * size))
