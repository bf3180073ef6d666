r"""Put trained weights into the zoo: export, measure, write the manifest's row and the model's card.

    python scripts/ship_model.py fidelity RUN --summary "…" --command "acutance train …" \
        --test bsd100/ --test kodak24/ --kernels levin09.npz
    python scripts/ship_model.py perceptual RUN --command "acutance train …" --test …
    python scripts/ship_model.py fidelity fast --test bsd100/ --every 2   # shipped weights, measured again

The first test set gives the figures of the manifest. Weights are also kept below `checkpoints/`, to train on from, and
all figures as JSON beside the cards. Fidelity weights replace what is shipped only when they beat it (PSNR, mean over
the rows of their scale, without `none`) on every test set, or with --force.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from acutance.data.rows import find_row
from acutance.exporting.export import export_onnx
from acutance.zoo.catalogue import FOLDER, MANIFEST

ROOT = Path(__file__).parent.parent
CARDS = ROOT / "docs" / "cards"
CHECKPOINTS = ROOT / "checkpoints"
HEADER = (
    "# The shipped models: a row each, written by scripts/ship_model.py. What a model is (scale, halo, cost, training\n"
    "# data, licence) stands in its files.\n\n"
)
TITLES = {
    "fidelity": "Fidelity weights",
    "perceptual": "Perceptual weights (`--fidelity 0`)",
}
PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->"
COLUMNS = (("psnr_db", 2), ("ssim", 4), ("ms_ssim", 4), ("gmsd", 4), ("gradient_energy", 3), ("vgg", 4))

Means = list[dict[str, Any]]


def measure(models: list[str], arguments: argparse.Namespace) -> Means:
    """Run `acutance evaluate` and return its means."""
    command = [sys.executable, "-c", "from acutance.cli.main import run; run()", "evaluate", "--json", "--no-baselines"]
    for folder in arguments.test:
        command += ["--test", str(folder)]
    for model in models:
        command += ["--model", model]
    command += ["--every", str(arguments.every)]
    command += ["--kernels", str(arguments.kernels)] if arguments.kernels else []
    command += ["--vgg19", str(arguments.vgg19)] if arguments.vgg19 else []
    command += ["--rows", arguments.rows] if arguments.rows else []
    document = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    # What should be kept as it is has a PSNR to the input, which is another figure.
    means: Means = [mean for mean in document["means"] if mean["largest_change"] is None]
    return means


def restorer_of(name: str, role: str) -> str:
    """Name a model's weights as `acutance evaluate` takes them."""
    return name if role == "fidelity" else f"{name}@fidelity=0"


def psnr_by_row(means: Means, test_set: str, restorer: str) -> dict[str, float]:
    """Pick the PSNR of one restorer on one test set, by row; not where every photo came back as it was (∞)."""
    return {
        mean["row"]: round(float(mean["psnr_db"]), 2)
        for mean in means
        if mean["test_set"] == test_set and mean["restorer"] == restorer and math.isfinite(float(mean["psnr_db"]))
    }


def test_sets(means: Means) -> list[str]:
    """List the test sets, in order."""
    return list(dict.fromkeys(mean["test_set"] for mean in means))


def counts(row: str, scale: int) -> bool:
    """Whether a row decides: not where doing nothing is perfect, or a model of another scale is meant."""
    return row != "none" and find_row(row).reduction == scale


def refuse_if_worse(means: Means, new: str, old: str, *, scale: int, is_forced: bool) -> None:
    """End the program when the new weights do not beat the old ones on every test set."""
    for test_set in test_sets(means):
        ours, theirs = psnr_by_row(means, test_set, new), psnr_by_row(means, test_set, old)
        gains = {row: round(ours[row] - theirs[row], 2) for row in ours if row in theirs}
        print(f"{test_set}: gains {gains}")
        if sum(gain for row, gain in gains.items() if counts(row, scale)) <= 0 and not is_forced:
            sys.exit(f"{test_set}: not better than what is shipped; nothing was replaced.")


def write_row(name: str, role: str, content: bytes, *, summary: str | None, psnr_db: dict[str, float] | None) -> None:
    """Write a file of a model and its place in the manifest."""
    suffix = "" if role == "fidelity" else f"-{role}"
    path = FOLDER / "weights" / f"{name}{suffix}.onnx"
    path.write_bytes(content)
    rows = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["model"]
    row = next((row for row in rows if row["name"] == name), None)
    if row is None:
        row = {"name": name, "summary": summary, "files": {}, "psnr_db": {}}
        rows.append(row)
    row["summary"] = summary or row["summary"]
    row["psnr_db"] = psnr_db or row["psnr_db"]
    row["files"][role] = {
        "file": f"weights/{path.name}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    MANIFEST.write_text(HEADER + tomli_w.dumps({"model": rows}), encoding="utf-8")


def read_facts(name: str) -> dict[str, Any]:
    """Read what is known of a model: by role, how it was made and what was measured."""
    path = CARDS / f"{name}.json"
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return facts


def facts_of_run(run: Path, command: str, device: str | None) -> dict[str, Any]:
    """Collect how a run was made."""
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    config = (run / "config.toml").read_text(encoding="utf-8")
    config = re.sub(r'(?m)^start_from = ".*/', 'start_from = "', config)  # where it lay on that machine concerns nobody
    settings = tomllib.loads(config)
    stats = [json.loads(line) for line in (run / "stats.jsonl").read_text(encoding="utf-8").splitlines()]
    last = [line for line in stats if line["kind"] == "train"][-1]
    return {
        "Trained on": settings["training_data"],
        "Licence of the weights": settings["licence"],
        "Command": f"`{command}`",
        "Device": f"{device or facts['device']}, {facts['threads']} threads, torch {facts['torch']}, "
        f"{settings['precision']}",
        "Length": f"{last['iteration']:,} steps, {last['elapsed_s']:,.0f} s, {last['kimg']:,.0f} thousand patches",
        "Seed": str(settings["seed"]),
        "config": config,
    }


def write_card(name: str, summary: str, facts: dict[str, Any]) -> None:
    """Write docs/cards/NAME.json and, made of it, NAME.md."""
    CARDS.mkdir(exist_ok=True)
    (CARDS / f"{name}.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = [f"# Model card: {name}", "", f"{summary}.", ""]
    for role in [role for role in TITLES if role in facts]:
        known = facts[role]
        lines += [f"## {TITLES[role]}", ""]
        lines += [f"- **{key}**: {value}" for key, value in known.items() if key not in ("config", "means")]
        lines += ["", "Means over the photos, by `scripts/ship_model.py`, which runs `acutance evaluate`.", ""]
        lines += _table(known["means"])
        if "config" in known:
            lines += ["<details><summary>All settings</summary>", "", "```toml", known["config"].rstrip(), "```", ""]
            lines += ["</details>", ""]
    (CARDS / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")


def _table(means: Means) -> list[str]:
    columns = [(key, digits) for key, digits in COLUMNS if any(mean.get(key) is not None for mean in means)]
    heads = {"psnr_db": "PSNR, dB", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "gmsd": "GMSD", "vgg": "VGG distance"}
    titles = [heads.get(key, key.replace("_", " ")) for key, _ in columns]
    lines = [f"| photos | row | {' | '.join(titles)} |", "|---" * (2 + len(columns)) + "|"]
    for mean in means:
        cells = ["–" if mean[key] is None else figure(mean[key], digits) for key, digits in columns]
        lines.append(f"| {mean['test_set']} | `{mean['row']}` | {' | '.join(cells)} |")
    return [*lines, ""]


def write_page() -> None:
    """Renew the tables of docs/models.md: every shipped role of every model, on every test set."""
    columns = [
        (f"`{row['name']}`" + ("" if role == "fidelity" else f", {role}"), facts[role]["means"])
        for row in tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["model"]
        for facts in [read_facts(row["name"])]
        for role in TITLES
        if role in facts
    ]
    lines = []
    for test_set in dict.fromkeys(name for _, means in columns for name in test_sets(means)):
        of_set = [(title, cells) for title, means in columns if (cells := _cells(means, test_set))]
        rows = list(dict.fromkeys(row for _, cells in of_set for row in cells))
        lines += [f"{test_set}, PSNR in dB / SSIM:", "", f"| row | {' | '.join(title for title, _ in of_set)} |"]
        lines += ["|---" * (1 + len(of_set)) + "|"]
        lines += [f"| `{row}` | {' | '.join(cells.get(row, '–') for _, cells in of_set)} |" for row in rows] + [""]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(lines) + END + after, encoding="utf-8")


def _cells(means: Means, test_set: str) -> dict[str, str]:
    """Write the figures of one model on one test set, by row."""
    of_set = [mean for mean in means if mean["test_set"] == test_set]
    return {
        mean["row"]: f"{figure(mean['psnr_db'], 2)} / {figure(mean['ssim'], 3)}".replace("/ 0.", "/ .")
        for mean in of_set
    }


def figure(value: float | str, digits: int) -> str:
    """Write a number, or what JSON has for infinity."""
    number = float(value)
    return f"{number:.{digits}f}" if math.isfinite(number) else "∞"


def checkpoint_path(name: str, role: str) -> Path:
    """Where the weights of a role are kept to train on from."""
    return CHECKPOINTS / (f"{name}.safetensors" if role == "fidelity" else f"{name}-{role}.safetensors")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=tuple(TITLES))
    parser.add_argument("run", type=Path, help="Folder of a run; or the name of a shipped model, to measure it again.")
    parser.add_argument("--summary", help="What the model is for, in one line.")
    parser.add_argument("--command", default="", help="What the run was started with, for the card.")
    parser.add_argument("--test", type=Path, action="append", required=True)
    parser.add_argument("--kernels", type=Path)
    parser.add_argument("--every", type=int, default=1, help="Measure each n-th photo only; the card says so.")
    parser.add_argument("--vgg19", type=Path, help="Weights of VGG-19, to measure the distance of features.")
    parser.add_argument("--rows", help="Rows of the protocol; default all.")
    parser.add_argument("--device", help="What it was trained on, for the card, where run.json says too little.")
    parser.add_argument("--force", action="store_true")
    return parser.parse_args()


def measure_again(name: str, arguments: argparse.Namespace) -> None:
    """Renew the figures of shipped weights: on its rows, unless others are given."""
    role, facts = arguments.role, read_facts(name)
    known: Means = facts[role]["means"]
    arguments.rows = arguments.rows or ",".join(dict.fromkeys(mean["row"] for mean in known))
    means = measure([restorer_of(name, role)], arguments)
    renewed = {(mean["test_set"], mean["row"]): mean for mean in means}
    kept = [renewed.pop((mean["test_set"], mean["row"]), mean) for mean in known]
    facts[role]["means"] = [*kept, *renewed.values()]
    row = next(row for row in tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["model"] if row["name"] == name)
    content = (FOLDER / row["files"][role]["file"]).read_bytes()
    # Rows that were not measured again keep their figures.
    is_fidelity = role == "fidelity"
    psnr_db = row["psnr_db"] | psnr_by_row(facts[role]["means"], test_sets(known)[0], name) if is_fidelity else None
    write_row(name, role, content, summary=None, psnr_db=psnr_db)
    write_card(name, row["summary"], facts)
    write_page()


def main() -> None:
    """Ship the weights of one role."""
    arguments = parse()
    if not arguments.run.exists():
        measure_again(str(arguments.run), arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "fresh.onnx"
        fresh_name = str(fresh)  # models head their columns as they were given
        spec = export_onnx(arguments.run / "generator.safetensors", fresh, half=True).spec
        name = spec.name
        rows = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["model"]
        shipped = next((row for row in rows if row["name"] == name), None)
        is_contest = arguments.role == "fidelity" and shipped is not None
        means = measure([fresh_name, *([name] if is_contest else [])], arguments)
        content = fresh.read_bytes()
    facts = read_facts(name)
    if is_contest:
        refuse_if_worse(means, fresh_name, name, scale=spec.scale, is_forced=arguments.force)
    facts[arguments.role] = facts_of_run(arguments.run, arguments.command, arguments.device)
    CHECKPOINTS.mkdir(exist_ok=True)
    shutil.copy(arguments.run / "generator.safetensors", checkpoint_path(name, arguments.role))
    if arguments.every > 1:
        facts[arguments.role]["Measured on"] = f"one photo in {arguments.every} of each set"
    facts[arguments.role]["means"] = [
        mean | {"restorer": restorer_of(name, arguments.role)} for mean in means if mean["restorer"] == fresh_name
    ]
    psnr_db = psnr_by_row(means, test_sets(means)[0], fresh_name) if arguments.role == "fidelity" else None
    write_row(name, arguments.role, content, summary=arguments.summary, psnr_db=psnr_db)
    summary = arguments.summary or (shipped or {})["summary"]
    write_card(name, summary, facts)
    write_page()


if __name__ == "__main__":
    main()
