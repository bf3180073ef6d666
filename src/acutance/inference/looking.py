"""The estimator of blur at work: a picture in, what blurred each of its windows out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

import acutance.estimation
from acutance.engines.onnx_engine import session_options
from acutance.engines.processor import within_cpus
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.estimation.blocks import BLOCK_PX, first_block
from acutance.estimation.verdict import STRIDE_PX, WINDOW_PX, BlurField
from acutance.geometry import Box
from acutance.imaging.pad import mirrored_part

_MODEL: Final = Path(acutance.estimation.__file__).parent / "estimator.onnx"
_AT_ONCE: Final = 28
"""Windows on each side that are looked at together: a picture of 1 megapixel, which takes some 250 MB."""


def blur_field(
    grey: npt.NDArray[np.float32], *, start: tuple[int, int] | None = None, threads: int | None = None
) -> BlurField:
    """Say what blurred each window of a picture.

    Args:
        grey: `h w` in [0, 1], gamma space, at least 1×1; what is smaller than a window is continued by mirror images.
        start: Where the first window begins, each 0 … 7: at one of JPEG's blocks, as in what the estimator learnt from.
            None looks for them in the picture; of a part the whole knows more (`estimation.blocks`).
        threads: At most one per CPU for this process; None is one per core.

    Raises:
        ConfigError: When `threads` is less than one.

    Determinism: the same for the same input on one build of ONNX Runtime and one processor.
    """
    top, left = first_block(grey[..., np.newaxis]) if start is None else start
    grey = grey[top:, left:] if min(grey.shape) > BLOCK_PX else grey
    height, width = grey.shape
    grey = mirrored_part(grey, Box(0, 0, max(height, WINDOW_PX), max(width, WINDOW_PX)))
    session = _session(within_cpus(threads))
    rows, columns = ((side - WINDOW_PX) // STRIDE_PX + 1 for side in grey.shape)
    bands = []
    for top in range(0, rows, _AT_ONCE):
        parts = []
        for left in range(0, columns, _AT_ONCE):
            high, wide = min(_AT_ONCE, rows - top), min(_AT_ONCE, columns - left)
            y, x = top * STRIDE_PX, left * STRIDE_PX
            part = grey[y : y + (high - 1) * STRIDE_PX + WINDOW_PX, x : x + (wide - 1) * STRIDE_PX + WINDOW_PX]
            parts.append(session.run(None, {"grey": np.ascontiguousarray(part)[None, None]}))
        bands.append([np.concatenate(answers, axis=3) for answers in zip(*parts, strict=True)])
    classes, noise = (np.concatenate(answers, axis=2)[0] for answers in zip(*bands, strict=True))
    return BlurField.of_answers(classes, noise[0])


@cache
def _session(threads: int | None) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(_MODEL), session_options(threads), providers=["CPUExecutionProvider"])
