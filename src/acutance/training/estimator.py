"""Training the estimator of blur: labels are free, since the blur was drawn.

Each patch is blurred in one way, drawn from all kinds; what is learnt is the distribution over `estimation.classes`, in
which a strength between two classes is a share of each, the kernel itself, and the noise.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from acutance.data.patches import PatchSampler
from acutance.degradations import psf as psfs
from acutance.degradations.blur import blur
from acutance.degradations.draws import happens, uniform
from acutance.degradations.jpeg import jpeg
from acutance.degradations.light import to_gamma, to_linear
from acutance.degradations.noise import add_grain, add_noise
from acutance.errors import CorruptWeights, first_line
from acutance.estimation import classes as bins
from acutance.losses.evidence import spread
from acutance.networks.checkpoint_file import plain
from acutance.networks.estimator import WINDOW_PX, Answers, BlurEstimator
from acutance.training.batches import SEED_STRIDE
from acutance.training.ema import WeightAverage
from acutance.training.optimizers import OptimizerConfig, build_optimizers, set_share

KERNEL_RADIUS_PX: Final = 16
KERNEL_PX: Final = 2 * KERNEL_RADIUS_PX + 1
SOURCE_PX: Final = WINDOW_PX + 2 * KERNEL_RADIUS_PX
LEAST_NOISE: Final = 0.25
"""Levels of 255: less noise than rounding makes is not told from none."""
_LUMA: Final = (0.299, 0.587, 0.114)
_KINDS: Final = (0.27, 0.13, 0.4, 0.2)
"""Shares of sharp and Gaussian, defocus, straight motion and curved motion."""
_LINES_PX: Final = (2.5, 25.0)
_PATHS_PX: Final = (5.0, 28.0)
_INERTIAS: Final = (0.9, 0.95, 0.98)
_LENS_SIGMA_PX: Final = (0.2, 0.9)
"""What the lens adds to every blur but a Gaussian."""


class Labelled(NamedTuple):
    """A batch and what it is to be taken for."""

    grey: Float[Tensor, "n 1 h w"]
    numbers: Int[Tensor, "n 4"]
    """Classes that share the truth."""
    shares: Float[Tensor, "n 4"]
    """Of each; they sum to 1."""
    kernels: Float[Tensor, "n s s"]
    noise: Float[Tensor, " n"]
    """log₂ of its levels of 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatorConfig:
    """One training of the estimator."""

    minutes: float = 10.0
    """Wall-clock length; the learning rates fall to 0 along it."""
    batch: int = 32
    """Windows per step."""
    muon_learning_rate: float = 0.01
    """Of the convolutions."""
    learning_rate: float = 1e-3
    """Adam's, of the rest."""
    seed: int = 0
    """Every batch is a function of it and the number of the step."""
    is_bfloat16: bool = False
    """Whether the convolutions compute in bfloat16."""


def draw_labelled(sampler: PatchSampler, count: int, generator: torch.Generator) -> Labelled:
    """Draw windows, each blurred in a way that is known.

    Args:
        sampler: Of patches of `SOURCE_PX`.
        count: Windows.
        generator: Source of all that is drawn, on the sampler's device.
    """
    device = generator.device
    sharp = sampler.draw(count, generator)
    shares = torch.tensor(_KINDS, device=device)
    kind = torch.multinomial(shares, count, replacement=True, generator=generator)
    kernels, numbers, parts = _drawn_kernels(kind, generator)
    is_linear = happens(count, 0.3, generator).view(-1, 1, 1, 1)
    blurred = blur(torch.where(is_linear, to_linear(sharp), sharp), kernels)
    images = torch.where(is_linear, to_gamma(blurred), blurred)
    sigma = uniform(count, (0.0005, 0.05), generator, spacing="log") * happens(count, 0.6, generator)
    is_grain = happens(count, 0.2, generator)
    images = add_noise(images, torch.where(is_grain, 0.0, sigma), torch.zeros_like(sigma), generator)
    size, colour = uniform(count, (0.4, 0.9), generator), uniform(count, (0.0, 0.7), generator)
    images = add_grain(images, torch.where(is_grain, sigma, 0.0), size, colour, generator)
    is_jpeg = happens(count, 0.25, generator).view(-1, 1, 1, 1)
    quality = uniform(count, (50.0, 97.0), generator)
    # Blocks of 8 px: the window is a little larger than a whole number of them.
    side = images.shape[-1] // 8 * 8 + 8
    padded = functional.pad(images, (0, side - images.shape[-1], 0, side - images.shape[-2]), mode="replicate")
    compressed = jpeg(padded, quality, happens(count, 0.7, generator))[..., : images.shape[-2], : images.shape[-1]]
    images = torch.round(torch.where(is_jpeg, compressed, images).clamp(0.0, 1.0) * 255.0) / 255.0
    exposure = uniform(count, (0.15, 1.0), generator, spacing="log").view(-1, 1, 1, 1)  # no answer hangs on it
    grey = (images * exposure * torch.tensor(_LUMA, device=device).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    levels = torch.log2(sigma * 255.0 + LEAST_NOISE)
    return Labelled(grey, numbers, parts, kernels, levels)


def _drawn_kernels(kind: Int[Tensor, " n"], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the kernels of each kind, and the classes that share each of them."""
    count, radius = kind.shape[0], KERNEL_RADIUS_PX
    none = torch.zeros(count, device=kind.device)
    angle = psfs.uniform_angle(count, generator)
    sigma = uniform(count, (0.25, 4.6), generator, spacing="log")
    disk = uniform(count, (0.75, 6.0), generator)
    length = uniform(count, _LINES_PX, generator)
    gaussian = psfs.gaussian_psf(sigma, sigma, none, radius_px=radius)
    defocus = psfs.disk_psf(disk, radius_px=radius)
    line = psfs.line_psf(length, angle, radius_px=radius)
    extent = uniform(count, _PATHS_PX, generator)
    inertia = torch.randint(len(_INERTIAS), (count,), generator=generator, device=generator.device)
    paths = torch.stack(
        [
            psfs.shake_psf(extent, inertia=one, radius_px=radius, generator=generator, origin="midpoint")
            for one in _INERTIAS
        ]
    )
    path = paths[inertia, torch.arange(count, device=kind.device)]
    lens_sigma = uniform(count, _LENS_SIGMA_PX, generator)
    lens = psfs.gaussian_psf(lens_sigma, lens_sigma, none, radius_px=3)
    pure = torch.stack([gaussian, defocus, line, path])[kind, torch.arange(count, device=kind.device)]
    wide = functional.pad(pure, (3, 3, 3, 3))
    softened = blur(wide.unsqueeze(1), lens).squeeze(1)
    kernels = torch.where((kind > 0).view(-1, 1, 1), softened, pure)
    kernels = kernels / kernels.sum(dim=(-2, -1), keepdim=True)
    longer_px, _ = spread(path)
    by_kind = [
        _between(torch.log(sigma), torch.log(_values(bins.SIGMAS_PX, kind)), 0),
        _between(disk, _values(bins.RADII_PX, kind), bins.FIRST_RADIUS),
        _on_grid(length, angle),
        _between(math.sqrt(12.0) * longer_px, _values(bins.PATH_LENGTHS_PX, kind), bins.FIRST_PATH),
    ]
    chosen = torch.arange(count, device=kind.device)
    numbers = torch.stack([numbers for numbers, _ in by_kind])[kind, chosen]
    parts = torch.stack([parts for _, parts in by_kind])[kind, chosen]
    return kernels, numbers, parts


def _values(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], like: Tensor) -> Float[Tensor, " k"]:
    return torch.from_numpy(values).to(like.device, torch.float32)


def _between(value: Float[Tensor, " n"], grid: Float[Tensor, " k"], first: int) -> tuple[Tensor, Tensor]:
    """Share a strength between the two classes that it lies between, of evenly spaced ones."""
    place = ((value - grid[0]) / (grid[1] - grid[0])).clamp(0.0, grid.shape[0] - 1.001)
    low = place.floor()
    share = place - low
    number = low.long() + first
    none = torch.zeros_like(share)
    return torch.stack([number, number + 1, number, number], 1), torch.stack([1 - share, share, none, none], 1)


def _on_grid(length: Float[Tensor, " n"], angle: Float[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    """Share a vector of straight motion between the four classes around it."""
    table = torch.from_numpy(bins.line_numbers()).to(angle.device)
    places = [length * axis / bins.LINE_STEP_PX + bins.LINE_REACH for axis in (torch.cos(angle), torch.sin(angle))]
    lows = [place.floor() for place in places]
    shares = [place - low for place, low in zip(places, lows, strict=True)]
    numbers, parts = [], []
    for down in (0, 1):
        for across in (0, 1):
            column = (lows[0].long() + across).clamp(0, 2 * bins.LINE_REACH)
            row = (lows[1].long() + down).clamp(0, 2 * bins.LINE_REACH)
            found = table[row, column]
            weight = (shares[0] if across else 1 - shares[0]) * (shares[1] if down else 1 - shares[1])
            parts.append(torch.where(found >= 0, weight, 0.0))
            numbers.append(found.clamp_min(0) + bins.FIRST_LINE)
    together = torch.stack(parts, 1)
    return torch.stack(numbers, 1), together / together.sum(dim=1, keepdim=True).clamp_min(1e-6)


def estimator_loss(answers: Answers, truth: Labelled) -> dict[str, Float[Tensor, ""]]:
    """Return the terms that are minimised, of answers on windows of one place each."""
    log_classes = functional.log_softmax(answers.classes[..., 0, 0].float(), dim=1)
    log_kernel = functional.log_softmax(answers.kernel[..., 0, 0].float(), dim=1)
    of_classes = -(log_classes.gather(1, truth.numbers) * truth.shares).sum(dim=1).mean()
    # Against the kernel's own entropy: 0 is the kernel itself, whichever it is.
    kernel = truth.kernels.flatten(1)
    of_kernel = (kernel * (torch.log(kernel.clamp_min(1e-9)) - log_kernel)).sum(dim=1).mean()
    of_noise = functional.smooth_l1_loss(answers.noise[:, 0, 0, 0].float(), truth.noise)
    return {"classes": of_classes, "kernel": of_kernel, "noise": of_noise}


def train_estimator(
    config: EstimatorConfig,
    sampler: PatchSampler,
    out: Path,
    *,
    start: BlurEstimator | None = None,
    on_log: Callable[[str], None] = print,
    log_every: int = 100,
) -> BlurEstimator:
    """Train an estimator; returns the averaged weights, which are written as `out` once in a while.

    Args:
        config: Its settings.
        sampler: Of patches of `SOURCE_PX`; its device is where it trains.
        out: Of the weights, safetensors.
        start: Weights to go on from.
        on_log: Told the terms, once in a while, as JSON.
        log_every: Steps between.
    """
    device = sampler.device
    torch.manual_seed(config.seed)
    network = start or BlurEstimator(classes=bins.CLASSES, kernel_px=KERNEL_PX)
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    rates = OptimizerConfig(
        kind="muon", learning_rate=config.learning_rate, muon_learning_rate=config.muon_learning_rate, clip_norm=0.0
    )
    optimizers = build_optimizers(rates, network)
    average = WeightAverage(network, half_life_kimg=0.3 * config.batch)
    begun, step, seen = time.perf_counter(), 0, 0
    sums: dict[str, Tensor] = {}
    while (share := (time.perf_counter() - begun) / (60 * config.minutes)) < 1.0:
        source = torch.Generator(device=device).manual_seed(config.seed * SEED_STRIDE + step)
        truth = draw_labelled(sampler, config.batch, source)
        set_share(optimizers, min((step + 1) / 100, 1.0) * 0.5 * (1 + math.cos(math.pi * share)))
        with torch.autocast(device.type, torch.bfloat16, enabled=config.is_bfloat16):
            answers = network(truth.grey)
        terms = estimator_loss(answers, truth)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        (terms["classes"] + 0.5 * terms["kernel"] + 0.5 * terms["noise"]).backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
        step, seen = step + 1, seen + config.batch
        average.update(network, batch=config.batch, images_seen=seen)
        for name, term in terms.items():
            sums[name] = sums.get(name, torch.zeros((), device=device)) + term.detach()
        if step % log_every == 0:
            figures = {name: round(float(total) / log_every, 4) for name, total in sums.items()}
            on_log(json.dumps({"step": step, "seconds": round(time.perf_counter() - begun, 1), **figures}))
            sums = {}
            save_estimator(average.model, out)
    save_estimator(average.model, out)
    return average.model


def save_estimator(network: BlurEstimator, path: Path) -> None:
    """Write an estimator's weights as safetensors."""
    save_file({name: plain(tensor) for name, tensor in network.state_dict().items()}, path)


def load_estimator(path: Path) -> BlurEstimator:
    """Read what `save_estimator` wrote.

    Raises:
        CorruptWeights: When the file is damaged or of another network.
    """
    network = BlurEstimator(classes=bins.CLASSES, kernel_px=KERNEL_PX)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise CorruptWeights(f"{path}: not an estimator's weights ({first_line(error)}).") from error
    return network.eval()
