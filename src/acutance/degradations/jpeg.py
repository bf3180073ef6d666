"""JPEG compression of a batch in torch: what the codec loses, without writing any bytes.

The lossy steps of ITU-T T.81 as libjpeg performs them: RGB → YCbCr (JFIF), optional 2×2 chroma averaging,
8×8 DCT, division by the quality's table, rounding, and all the way back. Entropy coding is lossless and left
out.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

BLOCK = 8

# Tables K.1 and K.2 of ITU-T T.81.
# fmt: off
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32,
)
# fmt: on
_RGB_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_YCC_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


@lru_cache(maxsize=4)
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """DCT matrix, base tables (3 8 8) and the two colour matrices, on the device."""
    k = torch.arange(BLOCK, dtype=torch.float64)
    dct = torch.cos(math.pi * (2 * k[None, :] + 1) * k[:, None] / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    dct[0] /= math.sqrt(2)
    luma, chroma = (torch.tensor(t, dtype=torch.float32).view(BLOCK, BLOCK) for t in (_LUMA, _CHROMA))
    tables = torch.stack([luma, chroma, chroma])
    return (
        dct.to(device, torch.float32),
        tables.to(device),
        torch.tensor(_RGB_TO_YCC, device=device),
        torch.tensor(_YCC_TO_RGB, device=device),
    )


def quality_tables(quality: Float[Tensor, " n"], base: Float[Tensor, "3 8 8"]) -> Float[Tensor, "n 3 8 8"]:
    """Scale the base tables to IJG qualities 1 … 100, as libjpeg does (whole numbers, 1 … 255)."""
    whole = quality.round().clamp(1, 100)
    percent = torch.where(whole < 50, torch.floor(5000.0 / whole), 200.0 - 2.0 * whole)
    return torch.floor((base * percent.view(-1, 1, 1, 1) + 50.0) / 100.0).clamp(1.0, 255.0)


def _quantised(planes: Float[Tensor, "n c h w"], tables: Float[Tensor, "n c 8 8"], dct: Tensor) -> Tensor:
    """Round the DCT coefficients of every 8×8 block to multiples of the table, and the decoded levels to whole ones."""
    n, c, height, width = planes.shape
    blocks = planes.view(n, c, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    steps = tables.view(n, c, 1, 1, BLOCK, BLOCK)
    # Flat blocks often lie exactly between two steps or levels. There libjpeg rounds coefficients away from zero
    # and levels up; the little above ½ outweighs float error.
    scaled = dct @ blocks @ dct.T / steps
    coefficients = torch.trunc(scaled + 0.50001 * scaled.sign()) * steps
    decoded = torch.floor(dct.T @ coefficients @ dct + 0.5001).clamp(-128.0, 127.0)
    return decoded.transpose(3, 4).reshape(n, c, height, width)


def jpeg(
    images: Float[Tensor, "n 3 h w"], quality: Float[Tensor, " n"], is_subsampled: Bool[Tensor, " n"]
) -> Float[Tensor, "n 3 h w"]:
    """Compress and decompress every image at its own quality.

    Args:
        images: RGB in [0, 1]; rounded to 8 bit on the way in and out, as files are.
        quality: IJG quality per image, 1 … 100.
        is_subsampled: Whether chroma is averaged over 2×2 pixels (4:2:0) or kept (4:4:4).
    """
    height, width = images.shape[-2:]
    dct, base, to_ycc, to_rgb = _constants(images.device)
    padded = functional.pad(images, (0, -width % 16, 0, -height % 16), mode="replicate")
    levels = torch.round(padded.clamp(0.0, 1.0) * 255.0)
    ycc = torch.round(torch.einsum("kc,nchw->nkhw", to_ycc, levels))  # libjpeg works on whole numbers throughout
    ycc[:, 0] -= 128.0
    tables = quality_tables(quality, base)
    full = _quantised(ycc, tables, dct)
    small = _quantised(torch.round(functional.avg_pool2d(ycc[:, 1:], 2)), tables[:, 1:], dct)
    enlarged = functional.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
    chroma = torch.where(is_subsampled.view(-1, 1, 1, 1), torch.round(enlarged), full[:, 1:])
    decoded = torch.cat([full[:, :1] + 128.0, chroma], dim=1)
    rgb = torch.einsum("kc,nchw->nkhw", to_rgb, decoded)
    return (torch.round(rgb).clamp(0.0, 255.0) / 255.0)[..., :height, :width]
