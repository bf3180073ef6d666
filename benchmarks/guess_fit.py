"""Fits the map of guesses for a model, and writes its numbers into the package (extra `train`).

python benchmarks/guess_fit.py train/ fast --photos 700
python benchmarks/guess_fit.py train/ fast --photos 700 --fidelity 0

The distances are fitted by quantile regression; then they are widened or narrowed, bin by bin of the estimated kind and
width of blur and noise, until nine tenths of the pixels lie inside. For that each photo is judged by a network that was
fitted without it, in three turns; the one that ships is fitted on all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from guess_samples import PIXELS_PER_PHOTO, crop_of, drawn_page, drawn_row, sample_of

from acutance.data.photo_store import list_photos
from acutance.inference.sharpener import Sharpener
from acutance.trust.features import FEATURES
from acutance.trust.guesses import INTERVAL, KINDS, TABLES, bins_of

CROP_PX = 224
PHOTOS_PER_PAGE = 6
"""Letters come out wrong in other ways than photos do: one page for so many of these."""
PAGE_WEIGHT = 4
"""A page counts as so many photos in the fit: ink comes out wrong by much more than photos do, and in few pixels."""
HIDDEN = 32
FIRST_DRAW = 100_000
"""Index of the first draw: none is that of a photo that is measured."""
STEPS, BATCH, RATE = 3000, 2048, 3e-3
ROUNDING_LEVELS = 0.5
WIDTHS = (-0.4, 0.3, 0.9, 1.4)
"""Edges of the bins by log₂ of the blur's standard deviation in px: .76, 1.2, 1.9, 2.6 px."""
NOISES = (-0.8, 0.6, 2.2)
"""Edges by log₂ of the noise in levels, and a quarter: .3, 1.3 and 4.3 levels."""
SHAPE = (KINDS, len(WIDTHS) + 1, len(NOISES) + 1)
TURNS = 3
CAUTION_PHOTOS = 6
"""A bin's own correction counts as much as that of all bins together when it has so many photos."""


class Samples(NamedTuple):
    """What was gathered of all pictures."""

    seen: np.ndarray
    """`pictures pixels inputs`."""
    off: np.ndarray
    """`pictures pixels`."""
    is_page: np.ndarray
    """`pictures`. Pages teach the network, but say nothing of how often it is right about photos."""


def gathered(photos: list[Path], sharpener: Sharpener, seed: int) -> Samples:
    """Degrade, sharpen and sample each photo once, and some pages."""
    random = np.random.default_rng(seed)
    samples, is_page = [], []
    for index, path in enumerate(photos):
        pictures = [crop_of(path, CROP_PX, random)]
        if index % PHOTOS_PER_PAGE == 0:
            pictures.append(drawn_page(CROP_PX, random))
        samples += [
            sample_of(sharpener, picture, drawn_row(random), FIRST_DRAW + index, random) for picture in pictures
        ]
        is_page += [False, True][: len(pictures)]
    return Samples(np.stack([one.seen for one in samples]), np.stack([one.off for one in samples]), np.array(is_page))


def weighted(seen: np.ndarray, off: np.ndarray, is_page: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of all pictures as one, those of pages repeated."""
    which = np.repeat(np.arange(len(seen)), np.where(is_page, PAGE_WEIGHT, 1))
    return seen[which].reshape(-1, seen.shape[2]), off[which].ravel()


def fitted(seen: np.ndarray, off: np.ndarray) -> dict[str, object]:
    """Fit the network that tells log₂ of the distance within which `INTERVAL` of the pixels lie."""
    torch.manual_seed(0)
    mean, deviation = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    inputs = torch.from_numpy(((seen - mean) / deviation).astype(np.float32))
    spread = ROUNDING_LEVELS * np.random.default_rng(1).random(len(off))  # errors are whole levels: a smooth goal
    goal = torch.from_numpy(np.log2(off + 0.25 + spread).astype(np.float32))
    net = torch.nn.Sequential(torch.nn.Linear(inputs.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1))
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE, weight_decay=1e-5)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS) + 1e-5
        chosen = torch.randint(len(inputs), (BATCH,))
        error = goal[chosen] - net(inputs[chosen])[:, 0]
        loss = torch.maximum(INTERVAL * error, (INTERVAL - 1) * error).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    first, last = net[0], net[2]
    return {
        "mean": mean,
        "deviation": deviation,
        "hidden": first.weight.detach().numpy(),
        "hidden_bias": first.bias.detach().numpy(),
        "out": last.weight.detach().numpy()[0],
        "out_bias": float(last.bias.detach()[0]),
    }


def predicted(table: dict[str, np.ndarray], seen: np.ndarray) -> np.ndarray:
    """Return log₂ of the distances, before the correction."""
    hidden = np.maximum((seen - table["mean"]) / table["deviation"] @ table["hidden"].T + table["hidden_bias"], 0)
    return hidden @ table["out"] + table["out_bias"]


def corrections(logs: np.ndarray, seen: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Return, for each bin, log₂ of what brings nine tenths of its pixels inside."""
    ratio = np.log2(np.maximum(off, 0.5)) - logs
    places = np.ravel_multi_index(bins_of(seen[:, len(FEATURES) :].T, WIDTHS, NOISES), SHAPE)
    all_of_them = float(np.quantile(ratio, INTERVAL))
    table = np.full(SHAPE, all_of_them)
    for place in np.unique(places):
        own = ratio[places == place]
        share = len(own) / (len(own) + CAUTION_PHOTOS * PIXELS_PER_PHOTO)
        table.flat[place] = share * np.quantile(own, INTERVAL) + (1 - share) * all_of_them
    return table


def main() -> None:
    """Fit, and replace the model's row in the package's table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos_folder", type=Path, help="sharp photos, none of which is ever measured on")
    parser.add_argument("model")
    parser.add_argument("--photos", type=int, default=700, help="how many, evenly through the folder")
    parser.add_argument("--fidelity", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--samples", type=Path, help="keep them here (.npz), or take them from here")
    arguments = parser.parse_args()
    with Sharpener(arguments.model, fidelity=arguments.fidelity) as sharpener:
        weights = sharpener.spec.weights_sha256
        if arguments.samples and arguments.samples.exists():
            kept = np.load(arguments.samples)
            seen, off, is_page = kept["seen"], kept["off"], kept["is_page"]
        else:
            paths = list_photos(arguments.photos_folder)
            chosen = np.linspace(0, len(paths) - 1, arguments.photos).astype(int)
            seen, off, is_page = gathered([paths[number] for number in chosen], sharpener, arguments.seed)
            if arguments.samples:
                np.savez(arguments.samples, seen=seen, off=off, is_page=is_page)
    inputs = seen.shape[2]
    logs = np.empty(off.shape)
    for turn in range(TURNS):
        is_judged = np.arange(len(seen)) % TURNS == turn
        table = fitted(*weighted(seen[~is_judged], off[~is_judged], is_page[~is_judged]))
        logs[is_judged] = predicted(table, seen[is_judged])
    photos = ~is_page
    factors = corrections(logs[photos].ravel(), seen[photos].reshape(-1, inputs), off[photos].ravel())
    table = fitted(*weighted(seen, off, is_page))
    row = {
        "model": arguments.model,
        "weights_sha256": weights,
        "fidelity": arguments.fidelity,
        **{name: np.round(value, 4).tolist() for name, value in table.items()},
        "widths": WIDTHS,
        "noises": NOISES,
        "factors": np.round(factors, 4).tolist(),
    }
    rows = json.loads(TABLES.read_text(encoding="utf-8")) if TABLES.exists() else []
    rows = [one for one in rows if (one["model"], one["fidelity"]) != (row["model"], row["fidelity"])] + [row]
    rows.sort(key=lambda one: (one["model"], one["fidelity"]))
    lines = ",\n".join(json.dumps(one) for one in rows)
    TABLES.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{arguments.model} at fidelity {arguments.fidelity:g}: {len(seen)} pictures; corrections (log₂):")
    print(np.round(factors, 2))


if __name__ == "__main__":
    main()
