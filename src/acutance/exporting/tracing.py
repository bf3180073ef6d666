"""Networks that are torch code, as ONNX: traced with a picture, and compared with torch's answer at other sizes."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from acutance.engines.onnx_engine import ORT_ERRORS
from acutance.engines.silent_onnxruntime import onnxruntime
from acutance.engines.torch_weights import FAILURES, noise
from acutance.errors import first_line
from acutance.exporting.onnx_graph import OPSET
from acutance.exporting.real_spectra import real_spectra
from acutance.geometry import ceil_to_multiple

TRACED_PX = 64
"""Side of the picture that a network is traced with, unless it needs a larger one."""
COMPARED_PX = ((72, 120), (136, 96))
"""Sizes at which the graph must give what torch gives; rounded up to the network's multiple."""


@torch.no_grad()
def traced(network: nn.Module, side: int, *, multiple: int | None, limit: float) -> tuple[bytes | None, str]:
    """Trace a network with a square picture; return the graph if it holds there and at other sizes, or why not.

    Args:
        network: `n 3 h w` → `n 3 h·scale w·scale`, float32, in eval mode.
        side: Of the picture, in px.
        multiple: What the sides of its input have to be multiples of; None traces it for the one size alone.
        limit: Largest difference to torch that is allowed: of values in [0, 1], or relative to the largest beyond.

    Returns:
        The ONNX file, `degraded` → `restored`, and no words; or None and the reason.
    """
    axes = {2: "height", 3: "width"}
    others = [tuple(ceil_to_multiple(max(px, side), multiple) for px in size) for size in COMPARED_PX if multiple]
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old code; the tracer's, of what may not hold elsewhere: that is compared
        try:
            with _nothing_printed(), real_spectra():
                torch.onnx.export(
                    network,
                    (noise((side, side)),),
                    cast(str, target),  # a file in memory will do for the tracer
                    input_names=["degraded"],
                    output_names=["restored"],
                    dynamic_axes={"degraded": axes, "restored": axes} if others else None,
                    opset_version=OPSET,
                    dynamo=False,  # the other exporter needs two packages more
                )
            session = onnxruntime.InferenceSession(target.getvalue(), _quiet(), providers=["CPUExecutionProvider"])
            for size in [(side, side), *others]:
                picture = noise(size)
                expected = network(picture).numpy()
                (restored,) = session.run(["restored"], {"degraded": picture.numpy()})
                if not _is_same(restored, expected, limit):
                    return None, f"a picture of {size[0]}×{size[1]} px comes out otherwise"
        except (*FAILURES, *ORT_ERRORS) as error:
            return None, first_line(error)
    return target.getvalue(), ""


@contextmanager
def _nothing_printed() -> Iterator[None]:
    """Close the process's stdout: when torch's tracer fails, its C++ code prints the graph there, whatever is set."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _is_same(restored: npt.NDArray[np.float32], expected: npt.NDArray[np.float32], limit: float) -> bool:
    if restored.shape != expected.shape or not np.isfinite(expected).all():
        return False
    return bool(np.abs(restored - expected).max() <= limit * max(1.0, np.abs(expected).max()))


def _quiet() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options
