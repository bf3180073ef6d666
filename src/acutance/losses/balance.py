"""How hard each term pulls: what the weights of an objective are chosen by."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.losses.precision import full_precision


def gradient_norms(loss_terms: Mapping[str, Float[Tensor, ""]], restored: Float[Tensor, "n c h w"]) -> dict[str, float]:
    """Return the norm of each unweighted term's gradient at G's output, over the whole batch.

    The ratio of two terms' norms times their weights is their ratio of power over G, which their values do not
    show: L1 pulls with the same force at any distance, an adversarial term with more the surer D is.

    One backward pass per term, down to `restored` and no further; no parameter's `grad` is touched, and the
    graph is kept, so that the step can go on. (A graph made by torch.compile cannot be kept: measure eagerly.)

    Args:
        loss_terms: Terms by name, as in `Loss.terms`.
        restored: G's output, the very tensor that the terms were computed from; it must carry a gradient.

    Returns:
        The L2 norm for each name; 0 for a term that does not depend on `restored`.
    """
    norms: dict[str, float] = {}
    for name, term in loss_terms.items():
        gradient = None
        if term.requires_grad:
            (gradient,) = torch.autograd.grad(term, restored, retain_graph=True, allow_unused=True)
        norms[name] = 0.0 if gradient is None else float(torch.linalg.vector_norm(full_precision(gradient)))
    return norms
