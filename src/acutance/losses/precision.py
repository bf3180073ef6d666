"""The precision that losses are computed in."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

HALF_TYPES = (torch.float16, torch.bfloat16)


def full_precision(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return half-precision values as float32; float32 and float64 stay as they are.

    A network under autocast hands out bfloat16, in which the sum of many small differences stops growing
    after some hundred of them.
    """
    return values.float() if values.dtype in HALF_TYPES else values
