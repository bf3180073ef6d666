"""Guides for a network that is told the blur: the degraded patches, deconvolved in closed form, in batches.

A guide is a Wiener filter with the spectrum of natural pictures for its prior, conj(K) / (|K|² + λ·|D|²): crisp and
noisy where λ is small, smooth where it is large. Beyond the border of a patch nothing is known; what lies there is
first a cross-fade of its mirror images and then, a few times over, what the deconvolved picture gives when it is
blurred again. `deconvolution.wiener` is the same in NumPy for whole pictures, and the oracle that this is tested
against.

In training the kernel is known too well. A share of the patches is deconvolved with one whose ends are a little off, as
those of an estimated kernel are. What was blurred in linear light can be deconvolved there; that, too, is not always
found out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from acutance.deconvolution.data_consistency import (
    BLIND_POWER,
    BLIND_SHARE,
    FAINT,
    LARGEST_REST,
    MOST_LACKED,
    TELLING_POWER,
    UNDERSTATED,
)
from acutance.deconvolution.wiener import BORDER_STEPS, PENALTIES
from acutance.degradations.draws import check_share, happens
from acutance.degradations.light import to_gamma, to_linear
from acutance.degradations.pipeline import Degraded
from acutance.errors import ConfigError
from acutance.imaging.kernels import fast_length
from acutance.networks.generators import CHANNELS
from acutance.training.batch import Batch, Told


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideConfig:
    """How wrong the kernel may be that the network is told."""

    error_px: float = 0.35
    """Standard deviation of how far the ends of the kernel lie off, along it and across."""
    exact_share: float = 0.3
    """Share of the patches that are deconvolved with the very kernel that blurred them."""
    light_share: float = 0.0
    """Share of those blurred in linear light that are deconvolved there; the others are in the file's own values."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: Naming the setting, its value and what is allowed.
        """
        check_share("guide.exact_share", self.exact_share)
        check_share("guide.light_share", self.light_share)
        if not 0 <= self.error_px < math.inf:
            raise ConfigError(f"guide.error_px = {self.error_px}: must be a number from 0 on.")


def told_of(made: Degraded, config: GuideConfig, generator: torch.Generator) -> Told:
    """Return what the network is told of patches: nearly what is known of them.

    Args:
        made: The patches; one blur stage made their kernels.
        config: How wrong it is.
        generator: On the device.
    """
    assert made.kernels is not None  # `TrainConfig` has checked it
    told = distorted(made.kernels, config, generator)
    if not config.light_share:
        return Told(told, torch.zeros_like(made.is_linear))
    return Told(told, made.is_linear & happens(len(told), config.light_share, generator))


def with_guides(degraded: Float[Tensor, "n 3 h w"], told: Told) -> Float[Tensor, "n 12 h w"]:
    """Return the network's input: each patch, and its guides from the crispest to the smoothest."""
    in_light = told.is_linear.view(-1, 1, 1, 1)
    guides = wiener(torch.where(in_light, to_linear(degraded), degraded), told.kernels)
    # There is no light below none: the curve would stretch what rings there to large negative values.
    guides = torch.where(in_light, to_gamma(guides.clamp_min(0.0)), guides)
    return torch.cat([degraded, guides], dim=1)


def consistent(
    restored: Float[Tensor, "n 3 h w"], seen: Float[Tensor, "n 3 h w"], told: Told
) -> Float[Tensor, "n 3 h w"]:
    """Correct each restored patch by what it does not explain; see `deconvolution.data_consistency`.

    The gradient goes through it, but for that of the noise's power.
    """
    height, width = seen.shape[-2:]
    in_light, side = told.is_linear.view(-1, 1, 1, 1), told.kernels.shape[-1]
    sharp = restored.float()
    sharp = torch.where(in_light, to_linear(sharp), sharp)
    wide = _continued(_continued(sharp, side - 1, 2), side - 1, 3)
    shape = (wide.shape[-2], wide.shape[-1])
    transfer = _transfer(told.kernels, shape)
    again = torch.fft.irfft2(transfer * torch.fft.rfft2(wide), s=shape)[..., :height, :width]
    again = torch.where(in_light, to_gamma(again), again)
    inner = _inner(told.kernels, height, width)
    rest = (seen - again).clamp(-LARGEST_REST, LARGEST_REST) * inner
    spectrum = torch.fft.rfft2(functional.pad(rest, (0, shape[1] - width, 0, shape[0] - height)))
    with torch.no_grad():
        power = (spectrum.abs() ** 2).mean(dim=1, keepdim=True) / _sum_of(inner).clamp_min(1)
        inverse = transfer.conj() * _share_of_lacked(transfer.abs() ** 2, power)
    corrected: Tensor = restored + torch.fft.irfft2(inverse * spectrum, s=shape)[..., :height, :width]
    return corrected


def _share_of_lacked(energy: Float[Tensor, "n 1 h w2"], power: Float[Tensor, "n 1 h w2"]) -> Float[Tensor, "n 1 h w2"]:
    """Return 1 / (|K|² + λ) for each patch, from |K|² and |R|²."""
    least = torch.quantile(energy.flatten(1), BLIND_SHARE, dim=1).clamp_min(BLIND_POWER)
    blind = energy <= least.view(-1, 1, 1, 1)
    noise = _sum_of(power * blind) / _sum_of(blind)
    telling = (energy > TELLING_POWER[0]) & (energy < TELLING_POWER[1])
    told = _sum_of((power - noise) * telling) / _sum_of(energy * telling).clamp_min(1e-12)
    lacked = (UNDERSTATED * told).clamp(0, MOST_LACKED)
    share: Tensor = lacked / (energy * lacked + noise).clamp_min(1e-20)
    return share


def _sum_of(values: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n c 1 1"]:
    return values.sum(dim=(-2, -1), keepdim=True)


def _inner(kernels: Float[Tensor, "n s s"], height: int, width: int) -> Float[Tensor, "n 1 h w"]:
    """Return 1 where a blurred pixel comes from within the patch alone, else 0."""
    side = kernels.shape[-1]
    offsets = torch.arange(side, device=kernels.device) - side // 2
    counts = kernels > FAINT * kernels.amax(dim=(-2, -1), keepdim=True)
    inner = []
    for axis, length in ((-1, height), (-2, width)):
        of_axis = counts.any(dim=axis)
        first = torch.where(of_axis, offsets, 0).amax(dim=1, keepdim=True)
        beyond = torch.where(of_axis, -offsets, 0).amax(dim=1, keepdim=True)
        place = torch.arange(length, device=kernels.device)
        inner.append((place >= first) & (place < length - beyond))
    return (inner[0][:, None, :, None] & inner[1][:, None, None, :]).to(kernels.dtype)


def restored_by(network: nn.Module, batch: Batch) -> Float[Tensor, "n 3 hs ws"]:
    """Restore a batch; what a network gives that was told the blur is made to explain the input."""
    degraded = batch.pair[0]
    restored: Tensor = network(degraded)
    return restored if batch.told is None else consistent(restored, degraded[:, :CHANNELS], batch.told)


def wiener(degraded: Float[Tensor, "n 3 h w"], kernels: Float[Tensor, "n s s"]) -> Float[Tensor, "n 9 h w"]:
    """Deconvolve each patch with its kernel, once for each of `PENALTIES`.

    Args:
        degraded: RGB in [0, 1].
        kernels: Unit sum, s odd; the origin is the middle.

    Returns:
        The results for each penalty, one behind the other; not clipped.
    """
    height, width = degraded.shape[-2:]
    side = kernels.shape[-1]
    wide = _continued(_continued(degraded, side - 1, 2), side - 1, 3)
    shape = (wide.shape[-2], wide.shape[-1])
    transfer = _transfer(kernels, shape)
    energy, roughness = transfer.abs() ** 2, _difference_power(shape, degraded.device)
    inverses = [transfer.conj() / (energy + penalty * roughness) for penalty in PENALTIES]
    again = transfer * inverses[len(PENALTIES) // 2]
    for _ in range(BORDER_STEPS):
        continued = torch.fft.irfft2(again * torch.fft.rfft2(wide), s=shape)
        continued[..., :height, :width] = degraded
        wide = continued
    spectrum = torch.fft.rfft2(wide)
    return torch.cat(
        [torch.fft.irfft2(inverse * spectrum, s=shape)[..., :height, :width] for inverse in inverses], dim=1
    )


def distorted(
    kernels: Float[Tensor, "n s s"], config: GuideConfig, generator: torch.Generator
) -> Float[Tensor, "n s s"]:
    """Turn and stretch kernels about their origin, so that their ends lie about `config.error_px` off."""
    count, side = kernels.shape[0], kernels.shape[-1]
    axis = torch.arange(side, device=kernels.device, dtype=kernels.dtype) - side // 2
    power = (axis[:, None] ** 2 + axis[None, :] ** 2) * kernels
    reach = torch.sqrt(3.0 * power.sum(dim=(-2, -1))).clamp_min(1.0)  # of a straight path: half of its length
    turn, stretch = config.error_px * torch.randn(2, count, generator=generator, device=generator.device) / reach
    turn, stretch = turn.clamp(-0.5, 0.5), stretch.clamp(-0.3, 0.3)
    cos, sin, none = torch.cos(turn) / (1 + stretch), torch.sin(turn) / (1 + stretch), torch.zeros_like(turn)
    rows = torch.stack([torch.stack([cos, -sin, none], dim=1), torch.stack([sin, cos, none], dim=1)], dim=1)
    grid = functional.affine_grid(rows, [count, 1, side, side], align_corners=True)
    moved = functional.grid_sample(kernels.unsqueeze(1), grid, align_corners=True).squeeze(1)
    moved = moved / moved.sum(dim=(-2, -1), keepdim=True).clamp_min(1e-6)
    is_exact = happens(count, config.exact_share, generator).view(-1, 1, 1)
    return torch.where(is_exact, kernels, moved)


def _transfer(kernels: Float[Tensor, "n s s"], shape: tuple[int, int]) -> Tensor:
    """Return the kernels' transfer functions on a period `h w`: `n 1 h w//2+1`."""
    side = kernels.shape[-1]
    placed = functional.pad(kernels, (0, shape[1] - side, 0, shape[0] - side)).roll((-(side // 2),) * 2, (-2, -1))
    transfer: Tensor = torch.fft.rfft2(placed).unsqueeze(1)
    return transfer


def _continued(images: Tensor, margin: int, axis: int) -> Tensor:
    """Continue pictures behind their end so that they are smooth as a period; see `deconvolution.planes.continued`."""
    length = images.shape[axis]
    extra = min(fast_length(length + margin) - length, length - 1)
    after = images.narrow(axis, length - 1 - extra, extra).flip(axis)
    before = images.narrow(axis, 1, extra).flip(axis)
    share = (torch.arange(extra, device=images.device, dtype=images.dtype) + 1) / (extra + 1)
    share = (share * share * (3 - 2 * share)).view([-1 if number == axis else 1 for number in range(images.ndim)])
    return torch.cat([images, torch.lerp(after, before, share)], dim=axis)


def _difference_power(shape: tuple[int, int], device: torch.device) -> Float[Tensor, "h w2"]:
    """Return |D|² of the differences to the right and to the lower neighbour on a period."""
    y = 2 - 2 * torch.cos(2 * math.pi * torch.arange(shape[0], device=device) / shape[0])
    x = 2 - 2 * torch.cos(2 * math.pi * torch.arange(shape[1] // 2 + 1, device=device) / shape[1])
    return y[:, None] + x[None, :]
