r"""Train the estimator of blur, which the model `motion` asks, and export it.

    python scripts/train_estimator.py --data photos/ -o estimator.onnx --minutes 60
    python scripts/train_estimator.py --data photos/ -o better.onnx --minutes 60 --start estimator.safetensors

Beside the ONNX file lie the weights (safetensors), to go on from, and the terms of the loss (jsonl), written as it
trains. Ctrl-C ends it early: what was written last is exported. Whether a new one is better is said by
`python benchmarks/blur_estimator.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from acutance.data.drawings import with_drawings
from acutance.data.patches import PatchSampler
from acutance.data.photo_store import open_store
from acutance.errors import AcutanceError, InputError
from acutance.exporting.estimator_graph import export_estimator
from acutance.media.atomic import check_target
from acutance.training.device import open_fabric
from acutance.training.estimator import SOURCE_PX, EstimatorConfig, load_estimator, train_estimator


def main(words: Sequence[str] | None = None) -> None:
    """Train and export.

    Raises:
        AcutanceError: When the photos, the start or the target are not right.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Folder of sharp photos.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="The ONNX file to write.")
    parser.add_argument("--minutes", type=float, default=10.0, help="Length; the learning rates fall to 0 along it.")
    parser.add_argument("--batch", type=int, default=32, help="Windows per step.")
    parser.add_argument("--seed", type=int, default=0, help="Of the weights and of all that is drawn.")
    parser.add_argument("--drawings", type=int, default=0, help="Pages, plates and screens among the photos.")
    parser.add_argument("--fonts", type=Path, nargs="*", default=(), help="TrueType files for their letters.")
    parser.add_argument("--store", type=Path, help="Where decoded photos are kept; default beside the output.")
    parser.add_argument("--start", type=Path, help="Weights (safetensors) to go on from.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--bfloat16", action="store_true", help="Compute the convolutions in bfloat16.")
    parser.add_argument("--overwrite", action="store_true", help="Replace an existing file.")
    arguments = parser.parse_args(words)
    check_target(arguments.output, overwrite=arguments.overwrite)
    if not (arguments.minutes > 0 and arguments.batch > 0):
        parser.error("--minutes and --batch must be above 0")
    if arguments.start is not None and not arguments.start.is_file():
        raise InputError(f"--start {arguments.start}: no such file.")
    weights = arguments.output.with_suffix(".safetensors")
    photos = open_store(arguments.data, arguments.store or arguments.output.with_suffix(".store"))
    for skip in photos.skipped:
        print(f"skipped {skip.name}: {skip.reason}", file=sys.stderr)
    if arguments.drawings:
        photos = with_drawings(photos, arguments.drawings, fonts=arguments.fonts)
    sampler = PatchSampler(photos, side_px=SOURCE_PX, device=open_fabric(arguments.device).device)
    config = EstimatorConfig(
        minutes=arguments.minutes, batch=arguments.batch, seed=arguments.seed, is_bfloat16=arguments.bfloat16
    )
    with open(arguments.output.with_suffix(".jsonl"), "a", encoding="utf-8") as log:

        def write_down(line: str) -> None:
            print(line, file=sys.stderr)
            log.write(f"{line}\n")
            log.flush()

        start = None if arguments.start is None else load_estimator(arguments.start)
        with contextlib.suppress(KeyboardInterrupt):
            train_estimator(config, sampler, weights, start=start, on_log=write_down)
    export_estimator(load_estimator(weights), arguments.output, overwrite=arguments.overwrite)
    print(f"wrote {arguments.output}; weights to go on from: {weights}")


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    try:
        main()
    except AcutanceError as error:
        sys.exit(f"train_estimator: {error}")
