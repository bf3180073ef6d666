"""`acutance still`: one picture of the many that a clip shows of a thing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acutance.cli.console import progress_bar, say
from acutance.cli.options import (
    Engine,
    EnsembleOption,
    Fidelity,
    Json,
    Model,
    Overwrite,
    PrecisionOption,
    Threads,
    given_path,
)
from acutance.cli.told_options import Defocus, Gaussian, Kernel, Motion, RegionOfClip
from acutance.cli.video_options import moment
from acutance.errors import ConfigError

if TYPE_CHECKING:
    from acutance.videos.still import Still


def still_moment(text: str | float) -> float:
    """Return the seconds of `12.4s`, `12.4`, `1:30` or `0:01:30.5`; see `moment`."""
    return moment(text.strip().removesuffix("s") if isinstance(text, str) else text)


def still(
    context: typer.Context,
    clip: Annotated[Path, typer.Argument(parser=given_path, metavar="CLIP", help="The video.")],
    at: Annotated[
        float,
        typer.Option(parser=still_moment, metavar="TIME", help="The moment: 12.4s, 1:30 or 0:01:30.5."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", parser=given_path, metavar="FILE", help="The picture to write."),
    ],
    frames: Annotated[int, typer.Option(min=1, max=250, help="How many frames around the moment are merged.")] = 25,
    region: RegionOfClip = None,
    scale: Annotated[int, typer.Option(min=1, max=2, help="2 gives twice the pixels each way.")] = 1,
    fields: Annotated[
        bool | None,
        typer.Option("--fields/--no-fields", help="Each frame is two fields (or not), whatever the clip says."),
    ] = None,
    model: Model = "fast",
    strength: Annotated[
        float,
        typer.Option(
            "--strength",
            "-s",
            min=0.0,
            max=2.0,
            help="How strongly the merged picture is sharpened; 0 leaves it as it is.",
        ),
    ] = 1.0,
    fidelity: Fidelity = 1.0,
    motion: Motion = None,
    defocus: Defocus = None,
    gaussian: Gaussian = None,
    kernel: Kernel = None,
    engine: Engine = "auto",
    precision: PrecisionOption = "auto",
    ensemble: EnsembleOption = 1,
    threads: Threads = None,
    record: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="FILE", help="Write what --json prints: every frame, its weight and its shift."
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Merge the frames around a moment of a clip into one picture, and make that sharp.

    The region registers the frames, and it may move by itself; what does not fit is left out. Everything in the result
    comes from the clip.
    """
    import numpy as np

    from acutance.cli.told_options import region_of, told_by
    from acutance.inference.sharpener import Sharpener
    from acutance.media import Photo, check_target, write_atomically, write_photo
    from acutance.videos.still import still as merged_still
    from acutance.zoo.catalogue import AUTO

    place = region_of(region)
    told = told_by(motion=motion, defocus=defocus, gaussian=gaussian, kernel=kernel)
    check_target(output, overwrite=overwrite, beside=[clip])
    if record is not None:
        check_target(record, overwrite=overwrite, beside=[clip, output])
    source = context.get_parameter_source("model")
    is_named = source is not None and source.name != "DEFAULT"
    with Sharpener(
        model if told is None or is_named else AUTO,  # which is then the one that can be told
        fidelity=fidelity,
        engine=engine,
        precision=precision,
        ensemble=ensemble,
        threads=threads,
        told=told,
    ) as sharpener:
        if sharpener.spec.scale != 1:
            raise ConfigError(f"model {sharpener.spec.name}: enlarges; take another one, and --scale 2.")
        with progress_bar("merging") as bar:
            found = merged_still(clip, at_s=at, frames=frames, region=place, scale=scale, fields=fields, progress=bar)
        words: list[str] = []
        sharp = sharpener.sharpen_photo(Photo(pixels=found.pixels), strength=strength, found=words.append)
    pixels = np.ascontiguousarray(sharp.pixels[found.inner.slices])
    write_photo(Photo(pixels=pixels), output, overwrite=overwrite)
    facts = _facts(found, clip, output, words)
    text = json.dumps(facts, indent=None if record is None else 1)
    if record is not None:
        write_atomically(record, [text.encode()], overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    noun = "fields" if any(frame.field is not None for frame in found.frames) else "frames"
    say(
        f"{output}  ({found.used} of {len(found.frames)} {noun} around {found.time_s:.2f} s merged; "
        f"{pixels.shape[1]}×{pixels.shape[0]} px)"
    )
    for sentence in words:
        say(f"  {sentence}")


def _facts(found: Still, clip: Path, output: Path, words: list[str]) -> dict[str, object]:
    """Say what was merged, for a program."""
    return {
        "source": str(clip),
        "target": str(output),
        "time_s": found.time_s,
        "scale": found.scale,
        "used": found.used,
        "found": words,
        "frames": [asdict(frame) for frame in found.frames],
    }
