"""From a checkpoint file to an ONNX file, checked against torch before it is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from acutance.engines.onnx_engine import OnnxRuntimeEngine
from acutance.errors import ConfigError, CorruptWeights, WrongName
from acutance.exporting.onnx_graph import build_onnx
from acutance.exporting.own_graph import own_as_onnx
from acutance.media.atomic import write_atomically
from acutance.networks.any_generator import AnyGenerator
from acutance.networks.checkpoint_file import load_generator
from acutance.networks.own import OwnGenerator
from acutance.spec import ModelSpec

PARITY_LIMIT = 1e-4
"""Largest difference to torch, of values in [0, 1], at which an export is accepted."""
HALF_PARITY_LIMIT = 4e-3
"""The same, where the weights are rounded to float16: a level of an 8-bit picture."""
PARITY_SIDES = ((64, 64), (48, 136), (250, 34))
"""Sizes (height, width) of the pictures compared; rounded up to the model's multiple."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export gave."""

    path: Path
    bytes: int
    spec: ModelSpec
    largest_difference: float
    """To torch, over all pictures compared, in [0, 1] units."""


def export_onnx(
    checkpoint: Path,
    target: Path,
    *,
    half: bool = False,
    name: str | None = None,
    network: str | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write a generator's checkpoint as an ONNX file.

    Args:
        checkpoint: generator.safetensors of a run.
        target: The file to write; its name ends in .onnx, or `--model` would not take it.
        half: Keep the weights as float16: half the file.
        name: Of the model; None for the one in the checkpoint.
        network: The class of a network of the user's own, `FILE.py:NAME` or `PACKAGE.MODULE:NAME`, whose code is run.
        overwrite: Replace an existing file.

    Raises:
        ConfigError: When it is a network of the user's own and `network` is not its class, or says of itself what does
            not hold.
        CorruptWeights: When the checkpoint is damaged, or ONNX Runtime's output differs from torch's by more than
            `PARITY_LIMIT`.
        WrongName: When the target's name ends otherwise.
        OutputError: When the target exists and `overwrite` is false, or cannot be written.
    """
    if target.suffix != ".onnx":
        raise WrongName(f"{target}: what is written is an ONNX file; give it a name that ends in .onnx.")
    generator, spec = load_generator(checkpoint, part=network)
    spec = replace(spec, name=name or spec.name)
    if isinstance(generator, OwnGenerator):
        if half:
            raise ConfigError("--half: is for this project's networks; leave it out for one of your own.")
        model, spec = own_as_onnx(generator, spec, limit=PARITY_LIMIT)
    else:
        model = build_onnx(generator, spec, half=half).SerializeToString()
    difference = parity(generator, model)
    limit = HALF_PARITY_LIMIT if half else PARITY_LIMIT
    if not difference <= limit:
        raise CorruptWeights(
            f"{checkpoint}: exported, it differs from torch by {difference:.2g} (allowed: {limit:.0g}); "
            "the weights may be diverged: check them, and report this with the file if they are not."
        )
    write_atomically(target, [model], overwrite=overwrite)
    return ExportReport(path=target, bytes=len(model), spec=spec, largest_difference=difference)


@torch.no_grad()
def parity(generator: AnyGenerator, model: bytes) -> float:
    """Return the largest difference between torch and ONNX Runtime over seeded noise pictures of three sizes."""
    engine = OnnxRuntimeEngine.from_bytes(model)
    random = np.random.default_rng(0)
    largest = 0.0
    for height, width in PARITY_SIDES:
        multiple = generator.config.size_multiple
        shape = (1, generator.config.channels_in, height + -height % multiple, width + -width % multiple)
        batch = random.random(shape, dtype=np.float32)
        expected = generator(torch.from_numpy(batch)).numpy()
        difference = np.abs(engine.run(batch) - expected).max()
        largest = float(np.maximum(largest, difference))  # unlike max(), it lets NaN through
    engine.close()
    return largest
