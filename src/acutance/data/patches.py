"""Random patches from a photo store, in batches, on the device of its pixels: the torch half of `data`.

A batch is one gather from the flat bytes: position, mirror and quarter turn are all arithmetic on indices, so
there is no Python work per patch and the same code runs on a CPU and, with the store copied there, on a GPU.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from acutance.data.photo_store import PhotoStore
from acutance.errors import ConfigError, InputError

CANDIDATES = 2
"""Positions drawn per patch by default; the one with more gradient energy is taken: sky does not fill the batches."""

SCORE_STRIDE_PX = 2
"""Candidates are scored on every second pixel of one channel: a ranking needs no more."""

REDUCTION = 2
"""By how much patches are reduced that are: means of 2×2 px, which a photo that is soft to the pixel is sharp in."""


ROUNDING = 1e-6
"""A share of a batch that is so near to a whole number of patches is that number."""

RAMP_SPANS = (0.004, 0.8)
"""Range of what a ramp's brightness spans over a patch, in [0, 1] units: from one level of 255 on."""

_STRAIGHT_RAMPS = 6
"""One ramp of so many runs along the rows alone, and one along the columns."""


class PatchSampler:
    """Draws square patches, mirrored and turned at random, from all photos large enough.

    Photos are drawn by their number of possible positions, so every part of every photo is equally likely.
    """

    def __init__(
        self,
        store: PhotoStore,
        *,
        side_px: int,
        device: torch.device,
        reduced_share: float = 0.0,
        ramp_share: float = 0.0,
        candidates: int = CANDIDATES,
        quarter_turns: bool = True,
        weights: tuple[float, ...] = (),
    ) -> None:
        """Prepare the sampler; the store's bytes are copied to a GPU device, and mapped on a CPU.

        Args:
            store: The photos.
            side_px: Side of the patches.
            device: Where they are wanted.
            reduced_share: Share of them that are patches of twice the side, reduced; as many of each batch, rounded.
            ramp_share: Share of them that are no photos but `smooth_ramps`; of each batch as many as whole patches
                are in it, and one more as often as the rest says.
            candidates: Positions drawn per patch, of which the one with the most gradient energy is taken; 1 draws
                evenly.
            quarter_turns: Whether patches are turned as well as mirrored.
            weights: How many of the patches come from each folder of the store, in proportion; none: by their sizes.

        Raises:
            ConfigError: When the shares are not some, or together more than all.
            InputError: When no photo is at least `side_px` in both directions, or twice that if some are reduced.
        """
        check_shares(reduced_share, ramp_share)
        self.side_px = side_px
        self.device = device
        self._reduced_share, self._ramp_share = reduced_share, ramp_share
        pixels = torch.from_numpy(np.asarray(store.pixels)).to(device)  # no copy on a CPU, one for both on a GPU

        def places(side_px: int) -> _Places:
            return _Places(
                store, pixels, side_px=side_px, candidates=candidates, quarter_turns=quarter_turns, weights=weights
            )

        self._as_they_are = places(side_px)
        self._larger = places(REDUCTION * side_px) if reduced_share else None

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "n 3 side side"]:
        """Draw a batch of patches: RGB in [0, 1]. The same generator state gives the same batch."""
        reduced, parts = 0, []
        if self._larger is not None:
            reduced = round(self._reduced_share * count)
            parts.append(functional.avg_pool2d(self._larger.draw(reduced, generator), REDUCTION))
        ramps = min(self._number_of_ramps(count, generator), count - reduced)  # both may be rounded up
        if ramps:
            parts.append(smooth_ramps(ramps, self.side_px, generator))
        as_they_are = self._as_they_are.draw(count - reduced - ramps, generator)
        return torch.cat([as_they_are, *parts]) if parts else as_they_are

    def draw_pair(
        self, count: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "n 3 side side"], Float[Tensor, "n 3 side side"]]:
        """Draw a batch of patches from photos that come in pairs: blurred and sharp, of the same places."""
        return self._as_they_are.draw_pair(count, generator)

    def _number_of_ramps(self, count: int, generator: torch.Generator) -> int:
        """Return how many patches of a batch are ramps: rounded by chance, or a small batch would never have one."""
        whole, rest = divmod(self._ramp_share * count, 1.0)
        if rest < ROUNDING or rest > 1.0 - ROUNDING:
            return round(self._ramp_share * count)
        chance = torch.rand((), generator=generator, device=generator.device)
        return int(whole) + int(float(chance) < rest)


def check_shares(reduced_share: float, ramp_share: float) -> None:
    """Check the shares of patches that are reduced, and that are ramps.

    Raises:
        ConfigError: When one is not within 0 … 1, or both together are more than all.
    """
    if not 0.0 <= reduced_share <= 1.0:
        raise ConfigError(f"reduced_share = {reduced_share}: must lie within 0 … 1.")
    if not (ramp_share >= 0.0 and reduced_share + ramp_share <= 1.0 + 1e-9):  # 0.7 and 0.3 may add up to a little more
        raise ConfigError(f"ramp_share = {ramp_share}: must lie within 0 … 1, and reduced_share + ramp_share, too.")


def smooth_ramps(count: int, side_px: int, generator: torch.Generator) -> Float[Tensor, "n 3 side side"]:
    """Draw skies and backgrounds: patches whose brightness and colour change slowly and evenly, not rounded to levels.

    Where a photo has them, rounding to 8 bits makes steps of one level; a network that has not seen their truth takes
    these for edges.

    Returns:
        RGB in [0, 1].
    """
    device = generator.device
    axis = torch.linspace(-0.5, 0.5, side_px, device=device)
    low, high = (math.log(span) for span in RAMP_SPANS)
    span = torch.exp(low + (high - low) * torch.rand(count, 1, generator=generator, device=device))
    slopes = torch.randn(count, 4, generator=generator, device=device)
    # What is drawn on a screen runs along one axis as a rule, and evenly: its steps are whole rows or columns.
    straight = torch.randint(_STRAIGHT_RAMPS, (count,), generator=generator, device=device)
    slopes = slopes * torch.eye(4, device=device)[straight.clamp(max=1)].where(straight.view(-1, 1) < 2, 1.0)
    slopes = span * slopes / slopes.norm(dim=1, keepdim=True)
    across, down, bend, own_bend = (slopes[:, number].view(-1, 1, 1) for number in range(4))
    x, y = axis.view(1, 1, -1), axis.view(1, -1, 1)
    shape = across * x + down * y + 2.0 * (bend * x * x + own_bend * y * y)
    colour = 1.0 + 0.3 * torch.randn(count, 3, 1, 1, generator=generator, device=device)
    level = torch.rand(count, 3, 1, 1, generator=generator, device=device)
    ramps: Tensor = (level + colour * shape.unsqueeze(1)).clamp(0.0, 1.0)
    return ramps


class _Places:
    """Where patches of one side can lie in a store's photos, and the way to them."""

    def __init__(
        self,
        store: PhotoStore,
        pixels: UInt8[Tensor, " bytes"],
        *,
        side_px: int,
        candidates: int,
        quarter_turns: bool,
        weights: tuple[float, ...],
    ) -> None:
        parts = 2 if store.is_paired else 1  # the blurred photo lies below the sharp one
        fitting = [photo for photo in store.photos if min(photo.height // parts, photo.width) >= side_px]
        if not fitting:
            raise InputError(f"none of the {len(store.photos)} photos is at least {side_px} px on both sides.")
        self.side_px = side_px
        self._candidates, self._quarter_turns = candidates, quarter_turns
        self._pixels = pixels
        table = torch.tensor([(photo.offset, photo.height, photo.width) for photo in fitting], device=pixels.device)
        self._offset, self._height, self._width = table.unbind(dim=1)
        self._height = self._height // parts
        self._partner = self._height * self._width * 3 if store.is_paired else None
        positions = (self._height - side_px + 1) * (self._width - side_px + 1)
        self._weights = positions.to(torch.float64)
        if weights:
            folder = torch.tensor([photo.folder for photo in fitting], device=pixels.device)
            of_folder = torch.zeros(len(weights), dtype=torch.float64, device=pixels.device)
            of_folder.index_add_(0, folder, self._weights)
            wanted = torch.tensor(weights, dtype=torch.float64, device=pixels.device)
            if not bool((of_folder[wanted > 0] > 0).all()):
                raise InputError(f"a folder holds no photo of at least {side_px} px on both sides; leave it out.")
            self._weights = self._weights * (wanted / of_folder.clamp_min(1.0))[folder]

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "n 3 side side"]:
        """Draw patches as they are in the photos."""
        if not count:
            return torch.empty(0, 3, self.side_px, self.side_px, device=self._pixels.device)
        index, _ = self._chosen(count, generator)
        return self._pixels[index].to(torch.float32) / 255.0

    def draw_pair(
        self, count: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "n 3 side side"], Float[Tensor, "n 3 side side"]]:
        """Draw patches of the blurred photos, and of the sharp ones in the same places."""
        assert self._partner is not None
        index, photo = self._chosen(count, generator)
        blurred = index + self._partner[photo].view(-1, 1, 1, 1)
        return self._pixels[blurred].to(torch.float32) / 255.0, self._pixels[index].to(torch.float32) / 255.0

    def _chosen(self, count: int, generator: torch.Generator) -> tuple[Int[Tensor, "n 3 side side"], Int[Tensor, " n"]]:
        """Draw places; return the index of every byte of the patches, and which photos they are of."""
        photo, top, left = self._positions(count * self._candidates, generator)
        if self._candidates > 1:
            score = self._gradient_energy(photo, top, left).view(count, self._candidates)
            best = score.argmax(dim=1) + torch.arange(count, device=score.device) * self._candidates
            photo, top, left = photo[best], top[best], left[best]
        turn = torch.randint(8, (count,), generator=generator, device=generator.device)
        if not self._quarter_turns:
            turn = turn & ~1  # the bit that swaps rows and columns; without it, mirrored both ways
        return self._patch_index(photo, top, left, turn), photo

    def _positions(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a photo and a corner for every candidate."""
        photo = torch.multinomial(self._weights, count, replacement=True, generator=generator)
        share = torch.rand(2, count, generator=generator, device=generator.device, dtype=torch.float64)
        top = (share[0] * (self._height[photo] - self.side_px + 1)).long()
        left = (share[1] * (self._width[photo] - self.side_px + 1)).long()
        return photo, top, left

    def _gradient_energy(self, photo: Tensor, top: Tensor, left: Tensor) -> Float[Tensor, " n"]:
        """Mean squared difference of neighbours on every second pixel of the green channel."""
        steps = torch.arange(0, self.side_px, SCORE_STRIDE_PX, device=top.device)
        rows = (top[:, None] + steps)[:, :, None]
        columns = (left[:, None] + steps)[:, None, :]
        width = self._width[photo].view(-1, 1, 1)
        index = self._offset[photo].view(-1, 1, 1) + (rows * width + columns) * 3 + 1
        green = self._pixels[index].to(torch.float32)
        return green.diff(dim=1).square().mean(dim=(1, 2)) + green.diff(dim=2).square().mean(dim=(1, 2))

    def _patch_index(self, photo: Tensor, top: Tensor, left: Tensor, turn: Tensor) -> Int[Tensor, "n 3 s s"]:
        """Index of every byte of the patches; `turn` 0 … 7 picks one of the square's eight symmetries."""
        side = self.side_px
        axis = torch.arange(side, device=top.device)
        i, j = axis.view(1, side, 1), axis.view(1, 1, side)
        bit = turn.view(-1, 1, 1)
        row, column = torch.where(bit & 1 > 0, j, i), torch.where(bit & 1 > 0, i, j)
        row = torch.where(bit & 2 > 0, side - 1 - row, row) + top.view(-1, 1, 1)
        column = torch.where(bit & 4 > 0, side - 1 - column, column) + left.view(-1, 1, 1)
        first = self._offset[photo].view(-1, 1, 1) + (row * self._width[photo].view(-1, 1, 1) + column) * 3
        return first.unsqueeze(1) + torch.arange(3, device=top.device).view(1, 3, 1, 1)
