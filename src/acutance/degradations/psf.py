"""Blur kernels (point-spread functions) for a whole batch: one kernel per image, each summing to one.

A PSF here is `n s s` with odd side `s = 2 · radius_px + 1`, centred on the middle pixel.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

PATH_POINTS = 128
"""Vertices of a camera path."""
SAMPLES_PER_POINT = 4
"""Samples along it for each vertex: at an extent of 30 px they lie at most 1.2 px apart."""
LINE_SAMPLES = 512
"""Samples along a straight path, as in the protocol."""

Origin = Literal["box", "midpoint"]
"""Where the sharp picture lies in one that was blurred along a path: at the middle of the path's bounding box, where
measured kernels have it, or where the camera was at half of the exposure, where real exposures have it."""


def _offsets(radius_px: int, device: torch.device) -> tuple[Float[Tensor, "s 1"], Float[Tensor, "1 s"]]:
    axis = torch.arange(-radius_px, radius_px + 1, device=device, dtype=torch.float32)
    return axis[:, None], axis[None, :]


def _normalised(psf: Float[Tensor, "n s s"]) -> Float[Tensor, "n s s"]:
    return psf / psf.sum(dim=(-2, -1), keepdim=True)


def gaussian_psf(
    sigma_major_px: Float[Tensor, " n"],
    sigma_minor_px: Float[Tensor, " n"],
    angle: Float[Tensor, " n"],
    *,
    radius_px: int,
) -> Float[Tensor, "n s s"]:
    """Sample Gaussians with the given standard deviations along and across `angle`.

    The angle is in radians, from x (right) towards y (down).
    """
    y, x = _offsets(radius_px, angle.device)
    cos, sin = torch.cos(angle).view(-1, 1, 1), torch.sin(angle).view(-1, 1, 1)
    along = (cos * x + sin * y) / sigma_major_px.view(-1, 1, 1)
    across = (cos * y - sin * x) / sigma_minor_px.view(-1, 1, 1)
    return _normalised(torch.exp(-0.5 * (along**2 + across**2)))


def disk_psf(disk_radius_px: Float[Tensor, " n"], *, radius_px: int) -> Float[Tensor, "n s s"]:
    """Sample disks (defocus) whose edge falls off over one pixel, which is antialiasing to first order."""
    y, x = _offsets(radius_px, disk_radius_px.device)
    distance = torch.sqrt(x**2 + y**2)
    return _normalised(torch.clamp(disk_radius_px.view(-1, 1, 1) + 0.5 - distance, 0.0, 1.0))


@lru_cache(maxsize=8)
def _walk_matrix(inertia: float) -> Float[Tensor, "t t"]:
    """Return the matrix from white accelerations to the positions of a walk whose velocity decays."""
    steps = torch.arange(PATH_POINTS, dtype=torch.float32)
    age = steps[:, None] - steps[None, :]
    # position(t) = Σ_s a(s) · Σ_{k ≤ t−s} inertia^k: the geometric sum in closed form.
    reached = (1.0 - inertia ** (age + 1.0)) / (1.0 - inertia)
    return torch.where(age >= 0, reached, torch.zeros_like(reached))


def line_psf(length_px: Float[Tensor, " n"], angle: Float[Tensor, " n"], *, radius_px: int) -> Float[Tensor, "n s s"]:
    """Render straight paths of constant speed, with sub-pixel accuracy; their middle lies on the middle pixel.

    Args:
        length_px: Of the paths; those that would leave the kernel are shortened.
        angle: In radians, from x (right) towards y (down).
        radius_px: Radius of the kernels, at least 1.
    """
    time = (torch.arange(LINE_SAMPLES, device=angle.device) + 0.5) / LINE_SAMPLES - 0.5
    direction = torch.stack([torch.sin(angle), torch.cos(angle)], dim=1)  # y, x
    path = length_px.clamp(max=2.0 * radius_px - 0.01).view(-1, 1, 1) * direction[:, :, None] * time
    return _splat(path, radius_px)


def shake_psf(
    length_px: Float[Tensor, " n"],
    *,
    inertia: float,
    radius_px: int,
    generator: torch.Generator,
    origin: Origin = "box",
) -> Float[Tensor, "n s s"]:
    """Draw camera-shake kernels: random walks with inertia, rendered with sub-pixel accuracy, more or less softened.

    The path's origin lies on the middle pixel.

    Args:
        length_px: Extent of each path: the larger side of its bounding box. The softening adds up to 1 px on each side.
        inertia: Share of its velocity that the camera keeps from one point to the next, in [0, 1).
        radius_px: Radius of the kernels, at least 1; paths are scaled to stay inside, softening included.
        generator: Source of the accelerations, and of how far each kernel is softened.
        origin: Where the sharp picture lies. From the midpoint, a path reaches up to twice as far: there it is scaled
            to stay within the radius, whatever its length.
    """
    count = length_px.shape[0]
    accelerations = torch.randn(count, 2, PATH_POINTS, generator=generator, device=generator.device)
    path = accelerations @ _walk_matrix(inertia).to(accelerations.device).T  # n 2 t
    # Straight lines between the vertices: without them, fast parts of a long path would be dotted.
    path = functional.interpolate(path, scale_factor=float(SAMPLES_PER_POINT), mode="linear", align_corners=True)
    extent = (path.amax(dim=-1) - path.amin(dim=-1)).amax(dim=-1).clamp_min(1e-6)
    path = path * (length_px.clamp(max=2.0 * radius_px - 2.0) / extent).view(-1, 1, 1)
    if origin == "box":
        # Measured kernels are cut out around their path: those of Levin et al. lie within 1 px of the middle of their
        # box, up to 4 px off their centroid.
        path = path - (path.amax(dim=-1, keepdim=True) + path.amin(dim=-1, keepdim=True)) / 2.0
    else:
        middle = path.shape[-1] // 2
        path = path - (path[..., middle - 1 : middle] + path[..., middle : middle + 1]) / 2.0
        farthest = path.abs().amax(dim=(1, 2), keepdim=True).clamp_min(1e-6)
        path = path * ((radius_px - 1.0) / farthest).clamp(max=1.0)
    sharp_psf = _splat(path, radius_px)
    softness = torch.rand(count, 1, 1, generator=generator, device=generator.device)
    return torch.lerp(sharp_psf, _softened(sharp_psf), softness)


def _softened(psf: Float[Tensor, "n s s"]) -> Float[Tensor, "n s s"]:
    """Spread every point over its 3×3 neighbourhood, as the lens does with the line that a hand draws."""
    row = psf.new_tensor([0.25, 0.5, 0.25])
    spread = functional.conv2d(psf.unsqueeze(1), torch.outer(row, row).view(1, 1, 3, 3), padding=1)
    return _normalised(spread.squeeze(1))


def _splat(path: Float[Tensor, "n 2 t"], radius_px: int) -> Float[Tensor, "n s s"]:
    """Render paths (y, x in px around the centre): every point shares its weight among four pixels."""
    side = 2 * radius_px + 1
    position = path + radius_px
    corner = position.floor()
    share = position - corner
    row, column = corner[:, 0].long(), corner[:, 1].long()
    canvas = torch.zeros(path.shape[0], side * side, device=path.device, dtype=path.dtype)
    for down in (0, 1):
        for across in (0, 1):
            weight = (share[:, 0] if down else 1.0 - share[:, 0]) * (share[:, 1] if across else 1.0 - share[:, 1])
            canvas.scatter_add_(1, (row + down) * side + column + across, weight)
    return _normalised(canvas.view(-1, side, side))


def delta_psf(count: int, *, radius_px: int, device: torch.device) -> Float[Tensor, "n s s"]:
    """Return kernels that leave an image as it is."""
    psf = torch.zeros(count, 2 * radius_px + 1, 2 * radius_px + 1, device=device)
    psf[:, radius_px, radius_px] = 1.0
    return psf


def uniform_angle(count: int, generator: torch.Generator) -> Float[Tensor, " n"]:
    """Draw directions of an axis: [0, π)."""
    return math.pi * torch.rand(count, generator=generator, device=generator.device)
