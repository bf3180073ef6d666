"""Batch normalisation over the batches of all processes, so that several train as one process would.

torch has a SyncBatchNorm, but for GPUs only, and without the second derivative that R1 takes. This one runs wherever
torch.distributed does, and is made of operations that autograd knows: it is differentiable as often as wanted, through
the statistics of the other processes, too.

The processes exchange the mean and the variance of their shares, `2 × channels` numbers per layer and pass; the
gradient takes the same way back.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """An `nn.BatchNorm2d`, keys of its state included, whose statistics are those of all processes together.

    All processes must give shares of the same size, and take part in each pass and its gradient. In eval mode it is
    its parent.
    """

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the normalised features; in training mode, note the statistics of the whole batch."""
        if not self.training:
            return super().forward(input)
        wide = input if input.dtype == torch.float64 else input.float()
        variances, means = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
        shares = _gathered(torch.stack([means, variances]))
        mean = shares[:, 0].mean(dim=0)
        # The variance of a whole: the mean variance of its parts, and the variance of their means.
        variance = shares[:, 1].mean(dim=0) + (shares[:, 0] - mean).square().mean(dim=0)
        self._note(mean.detach(), variance.detach(), count=len(shares) * input.numel() // input.shape[1])
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        output = wide * scale[:, None, None] + shift[:, None, None]
        return output.to(input.dtype)

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor, *, count: int) -> None:
        """Move the running statistics as `nn.BatchNorm2d` does: with the unbiased variance."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_((variance * count / max(count - 1, 1)).to(self.running_var), momentum)


def synchronise(network: nn.Module) -> None:
    """Put a synchronised normalisation in the place of every `nn.BatchNorm2d` of a network, with the same tensors."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, _synchronised(child))


def _synchronised(norm: nn.BatchNorm2d) -> SynchronisedBatchNorm2d:
    with torch.device("meta"):
        twin = SynchronisedBatchNorm2d(
            norm.num_features, norm.eps, norm.momentum, affine=norm.affine, track_running_stats=norm.track_running_stats
        )
    twin.load_state_dict(norm.state_dict(keep_vars=True), assign=True)
    return twin.train(norm.training)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; since each receives it, the gradient is the sum of all gradients."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _summed(value: Tensor) -> Tensor:
    return cast(Tensor, _Sum.apply(value))  # type: ignore[no-untyped-call]


def _gathered(value: Tensor) -> Tensor:
    """Return the values of all processes, stacked: a sum of rows of which each fills its own, which is exact."""
    rows = torch.arange(distributed.get_world_size(), device=value.device) == distributed.get_rank()
    return _summed(rows.view(-1, *(1 for _ in value.shape)) * value)
