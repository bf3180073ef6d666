"""From a checkpoint file to an ONNX file, checked against torch before it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from acutance.data.blurs import MeasuredBlur
from acutance.data.protocol import CLASSIC_ROWS, degrade
from acutance.errors import ConfigError, CorruptWeights
from acutance.exporting.int8 import calibrate, quantise
from acutance.exporting.onnx_graph import build_onnx
from acutance.imaging.convert import to_batch
from acutance.imaging.pad import reflect_to_multiple
from acutance.inference.onnx_engine import OnnxRuntimeEngine
from acutance.media import read_photo
from acutance.media.atomic import write_atomically
from acutance.networks.checkpoint_file import load_generator
from acutance.networks.generators import Generator
from acutance.spec import ModelSpec

PARITY_LIMIT = 1e-4
"""Largest difference to torch, of values in [0, 1], at which an export is accepted."""
HALF_PARITY_LIMIT = 4e-3
"""The same, where the weights are rounded to float16: a level of an 8-bit picture."""
CALIBRATION_PX = 320
"""Side of the part of a photo that ranges are measured on."""
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
    removes_shake: bool = False,
    overwrite: bool = False,
) -> ExportReport:
    """Write a generator's checkpoint as an ONNX file.

    Args:
        checkpoint: generator.safetensors of a run.
        target: The file to write.
        half: Keep the weights as float16: half the file.
        name: Of the model; None for the one in the checkpoint.
        removes_shake: Have camera shake looked for and undone before the network runs.
        overwrite: Replace an existing file.

    Raises:
        ConfigError: When a network that enlarges, or is told the blur, is to remove shake.
        CorruptWeights: When the checkpoint is damaged, or ONNX Runtime's output differs from torch's by more than
            `PARITY_LIMIT`.
        OutputError: When the target exists and `overwrite` is false, or cannot be written.
    """
    generator, spec = load_generator(checkpoint)
    spec = replace(spec, name=name or spec.name)
    if removes_shake:
        if spec.scale != 1:
            raise ConfigError(f"{checkpoint}: enlarges; a model that removes shake must not.")
        if spec.guides:
            raise ConfigError(f"{checkpoint}: is told the blur by guides; a model that removes shake must not be.")
        spec = replace(spec, task="remove-shake")
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


def export_int8(
    checkpoints: Sequence[Path], target: Path, photos: Sequence[Path], *, overwrite: bool = False
) -> ExportReport:
    """Write generators of one architecture as one ONNX file of 8-bit integers.

    Args:
        checkpoints: The network itself first; its weights are in the file. Any others are only looked at, so that the
            scales also serve their weights and every blend (`--fidelity`).
        target: The file to write.
        photos: Sharp photos, at least one, degraded here by rows of the protocol: what the ranges are measured on.
        overwrite: Replace an existing file.

    Raises:
        ConfigError: When there are no photos, the networks are not of one architecture, or they take guides.
        CorruptWeights: When a checkpoint is damaged.
        OutputError: When the target exists and `overwrite` is false, or cannot be written.
    """
    if not photos:
        raise ConfigError("export of integers: needs photos to measure the ranges on; give at least one.")
    loaded = [load_generator(checkpoint) for checkpoint in checkpoints]
    generator, spec = loaded[0]
    if spec.guides:
        raise ConfigError(f"{checkpoints[0]}: takes guides, which 8-bit integers are not made for; export it without.")
    for other, _ in loaded[1:]:
        if other.config != generator.config:
            raise ConfigError(f"the networks to export as one differ: {other.config} is not {generator.config}.")
    models = [build_onnx(network, description, half=True) for network, description in loaded]
    ranges = calibrate(models, _calibration_pictures(photos, spec))
    content = quantise(models, ranges).SerializeToString()
    write_atomically(target, [content], overwrite=overwrite)
    return ExportReport(path=target, bytes=len(content), spec=spec, largest_difference=parity(generator, content))


def _calibration_pictures(photos: Sequence[Path], spec: ModelSpec) -> Iterator[npt.NDArray[np.float32]]:
    """Degrade the middle of each photo by one row after the other."""
    can_be_made = [row for row in CLASSIC_ROWS if not isinstance(row.blur, MeasuredBlur)]
    rows = [row for row in can_be_made if row.reduction == spec.scale]
    for index, path in enumerate(photos):
        pixels = read_photo(path).pixels
        top, left = (max(side - CALIBRATION_PX, 0) // 2 for side in pixels.shape[:2])
        crop = np.broadcast_to(pixels, (*pixels.shape[:2], 3))[top : top + CALIBRATION_PX, left : left + CALIBRATION_PX]
        degraded = degrade(np.ascontiguousarray(crop), rows[index % len(rows)], index=index)
        yield to_batch(reflect_to_multiple(degraded, spec.size_multiple))


@torch.no_grad()
def parity(generator: Generator, model: bytes) -> float:
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
