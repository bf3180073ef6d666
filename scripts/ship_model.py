r"""Put a trained run into the zoo: export, measure, write the manifest's row and the model's card.

    python scripts/ship_model.py RUN --summary "…" --command "acutance train …" --test bsd100/ --test kodak24/ \
        --kernels levin09.npz

The first test set gives the figures of the manifest. The weights are also kept as `checkpoints/NAME.safetensors`, to
train on from. Nothing is replaced unless the new weights beat the shipped ones (PSNR, mean over all rows but `none`) on
every test set, or --force.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import tomli_w

from acutance.exporting.export import export_onnx
from acutance.zoo.catalogue import FOLDER, MANIFEST

ROOT = Path(__file__).parent.parent
HEADER = (
    "# The shipped models: a row each, written by scripts/ship_model.py. What a model is (scale, halo, cost, training\n"
    "# data, licence) stands in its file.\n\n"
)


def measure(models: list[Path | str], arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Run `acutance evaluate` and return its means."""
    command = [sys.executable, "-c", "from acutance.cli.main import run; run()", "evaluate", "--json", "--no-baselines"]
    for folder in arguments.test:
        command += ["--test", str(folder)]
    for model in models:
        command += ["--model", str(model)]
    command += ["--kernels", str(arguments.kernels)] if arguments.kernels else []
    document = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    means: list[dict[str, object]] = document["means"]
    (arguments.run / "evaluation.json").write_text(json.dumps(means, indent=1), encoding="utf-8")  # minutes of work
    return means


def psnr_by_row(means: list[dict[str, object]], test_set: str, restorer: str) -> dict[str, float]:
    """Pick the PSNR of one restorer on one test set, by row."""
    return {
        str(mean["row"]): round(float(str(mean["psnr_db"])), 2)
        for mean in means
        if mean["test_set"] == test_set and mean["restorer"] == restorer
    }


def is_better(new: dict[str, float], old: dict[str, float]) -> bool:
    """Compare two models on the rows that both have, leaving out the one where doing nothing is perfect."""
    rows = (set(new) & set(old)) - {"none"}
    return sum(new[row] - old[row] for row in rows) > 0


def write_row(name: str, summary: str, psnr_db: dict[str, float]) -> None:
    """Replace or add the model's row in the manifest."""
    content = (FOLDER / "weights" / f"{name}.onnx").read_bytes()
    row = {
        "name": name,
        "summary": summary,
        "file": f"weights/{name}.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "psnr_db": psnr_db,
    }
    rows = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["model"]
    names = [other["name"] for other in rows]
    rows = [row if other["name"] == name else other for other in rows] if name in names else [*rows, row]
    MANIFEST.write_text(HEADER + tomli_w.dumps({"model": rows}), encoding="utf-8")


def write_card(name: str, arguments: argparse.Namespace, means: list[dict[str, object]], restorer: str) -> None:
    """Write docs/cards/NAME.md: data, command, device, seconds, seed and every figure."""
    facts = json.loads((arguments.run / "run.json").read_text(encoding="utf-8"))
    config = (arguments.run / "config.toml").read_text(encoding="utf-8")
    settings = tomllib.loads(config)
    stats = [json.loads(line) for line in (arguments.run / "stats.jsonl").read_text(encoding="utf-8").splitlines()]
    last = [line for line in stats if line["kind"] == "train"][-1]
    lines = [
        f"# Model card: {name}",
        "",
        arguments.summary + ".",
        "",
        f"- **Trained on**: {settings['training_data']}",
        f"- **Licence of the weights**: {settings['licence']}",
        f"- **Command**: `{arguments.command}`",
        f"- **Device**: {arguments.device or facts['device']}, {facts['threads']} threads, torch {facts['torch']}, "
        f"{settings['precision']}",
        f"- **Length**: {last['iteration']:,} steps, {last['elapsed_s']:,.0f} s, {last['kimg']:,.0f} thousand patches",
        f"- **Seed**: {settings['seed']}",
        "",
        "## Figures",
        "",
        "Mean over all photos, by `scripts/ship_model.py`, which runs `acutance evaluate`.",
        "",
        "| photos | row | PSNR, dB | SSIM | MS-SSIM | GMSD | gradient energy |",
        "|---|---|---|---|---|---|---|",
    ]
    for mean in means:
        if mean["restorer"] == restorer:
            numbers = [
                "–" if mean[key] is None else f"{float(str(mean[key])):.{digits}f}"
                for key, digits in (("psnr_db", 2), ("ssim", 4), ("ms_ssim", 4), ("gmsd", 4), ("gradient_energy", 3))
            ]
            lines.append(f"| {mean['test_set']} | `{mean['row']}` | {' | '.join(numbers)} |")
    lines += ["", "## Settings", "", "```toml", config.rstrip(), "```", ""]
    card = ROOT / "docs" / "cards" / f"{name}.md"
    card.parent.mkdir(exist_ok=True)
    card.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Ship a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--summary", required=True)
    parser.add_argument("--command", required=True, help="What the run was started with, for the card.")
    parser.add_argument("--test", type=Path, action="append", required=True)
    parser.add_argument("--kernels", type=Path)
    parser.add_argument("--device", help="What it was trained on, for the card, where run.json says too little.")
    parser.add_argument("--force", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "fresh.onnx"
        fresh_name = str(fresh)  # models head their columns as they were given
        name = export_onnx(arguments.run / "generator.safetensors", fresh).spec.name
        shipped = name in (row["name"] for row in tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["model"])
        means = measure([fresh, *([name] if shipped else [])], arguments)
        for test_set in dict.fromkeys(str(mean["test_set"]) for mean in means):
            new, old = (psnr_by_row(means, test_set, model) for model in (fresh_name, name))
            print(f"{test_set}: new {new}\n{test_set}: old {old}")
            if shipped and not is_better(new, old) and not arguments.force:
                sys.exit(f"{test_set}: not better than what is shipped; nothing was replaced.")
        shutil.copy(fresh, FOLDER / "weights" / f"{name}.onnx")
    (ROOT / "checkpoints").mkdir(exist_ok=True)
    shutil.copy(arguments.run / "generator.safetensors", ROOT / "checkpoints" / f"{name}.safetensors")
    write_row(name, arguments.summary, psnr_by_row(means, str(means[0]["test_set"]), fresh_name))
    write_card(name, arguments, means, fresh_name)


if __name__ == "__main__":
    main()
