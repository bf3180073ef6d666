"""`acutance data`: photos to train and measure on, got and prepared."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from acutance.cli.console import progress_bar, say
from acutance.cli.options import Json

app = typer.Typer(help="Get photos to train on, and prepare them.", no_args_is_help=True)


@app.command()
def fetch(
    dataset: Annotated[Literal["div2k"], typer.Argument(help="What to fetch.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for archives and photos; what is there is gone on with.")],
    part: Annotated[
        Literal["train", "valid", "all"],
        typer.Option(help="800 photos to train on (3.5 GB), 100 to validate on (0.4 GB), or both."),
    ] = "all",
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="Another web folder that holds the archives: a mirror.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Download a dataset, check it, and unpack it; go on where it was interrupted.

    DIV2K is for academic research only. Its 100 test photos were never made public.
    """
    from acutance.data.div2k import DIV2K, DIV2K_URL, fetch_part
    from acutance.downloads.disk import readable_size

    rows = []
    for archive in DIV2K:
        if part not in (archive.part, "all"):
            continue
        with progress_bar(archive.name) as bar:
            fetched = fetch_part(archive, out, base_url=base_url or DIV2K_URL, progress=bar)
        say(
            f"{fetched.folder}: {_count(fetched.num_photos, 'photo')}, {readable_size(fetched.size_bytes)}, all checked"
        )
        if not fetched.is_original:
            say(
                f"not the published archive of {archive.num_photos} photos: sha256 {fetched.sha256}, recorded at first "
                f"use; the published one has {archive.sha256}."
            )
        rows.append({
            "part": archive.part,
            "folder": str(fetched.folder),
            "photos": fetched.num_photos,
            "bytes": fetched.size_bytes,
            "sha256": fetched.sha256,
            "original": fetched.is_original,
        })  # fmt: skip
    if as_json:
        typer.echo(json.dumps({"dataset": dataset, "parts": rows}, ensure_ascii=False))


@app.command()
def prepare(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of photos; folders below it count.")],
    *,
    store: Annotated[Path, typer.Option("--store", help="Folder for the decoded photos; several runs can share it.")],
    as_json: Json = False,
) -> None:
    """Decode photos once for training: acutance train --data DIR --store STORE then begins at once.

    Photos that were decoded before are not decoded again. Files that cannot be read are named and left out; the exit
    code is 1 then.
    """
    from acutance.data.photo_store import open_store
    from acutance.downloads.disk import readable_size

    with progress_bar("decoding photos") as bar:
        photos = open_store(folder, store, progress=bar)
    for skip in photos.skipped:
        say(f"skipped {skip.name}: {skip.reason}")
    size_bytes = photos.photos[-1].end
    if as_json:
        summary = {
            "store": str(store),
            "photos": len(photos.photos),
            "bytes": size_bytes,
            "skipped": [asdict(skip) for skip in photos.skipped],
        }
        typer.echo(json.dumps(summary, ensure_ascii=False))
    done = f"{_count(len(photos.photos), 'photo')}, {size_bytes / 3e6:,.1f} megapixels, {readable_size(size_bytes)}"
    say(f"{store}: {done}" + (f"; {_count(len(photos.skipped), 'file')} could not be read" if photos.skipped else ""))
    if photos.skipped:
        raise typer.Exit(1)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
