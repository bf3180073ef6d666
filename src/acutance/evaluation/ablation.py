"""The paper's ablation: models that differ in one thing, trained alike, measured alike.

What trains is behind a port (`Trainer`), so this room needs no torch and its tests train nothing; the command line
puts the training loop behind it. An ablation lives in one folder:

    ablation.json     the terms that all runs share
    runs/<model>-seed<k>/    an ordinary run each, with `generator.onnx` beside its weights
    table.md, table.csv, table.tex, measurements.csv, figure.png

Everything can be interrupted: asked again with the same terms, finished runs are kept and the others go on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

from acutance.data.photo_store import PhotoStore
from acutance.data.protocol import Pixels, Row, brightened, find_row
from acutance.errors import ConfigError, first_line
from acutance.evaluation.baselines import BASELINES
from acutance.evaluation.comparison import SheetLayout, comparison_sheet
from acutance.evaluation.evaluate import Cases, Evaluation, evaluate
from acutance.evaluation.restorers import BlindRestorer, Restorer
from acutance.evaluation.scores import NOTHING, Perception, Scores
from acutance.evaluation.table1 import CHANGE, label_of
from acutance.inference.sharpener import Sharpener
from acutance.media.atomic import write_atomically
from acutance.spec import ModelSpec

PAPER_ROW = find_row("gauss-1.6")
"""Row of the protocol that the paper's presets are trained for, and measured under."""

TERMS_FILE = "ablation.json"

FIGURE_LAYOUT = SheetLayout(detail_px=64, magnification=6, num_details=1)
"""Of figures 4 and 5: a photo whole and one magnified detail."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of an ablation."""

    model: str
    """Name of a preset or path of a TOML file, and after each `@` a setting changed: `paper@objective.texture=0`."""
    seed: int

    @property
    def preset(self) -> str:
        """Name or path without the settings changed."""
        return self.model.split(CHANGE)[0]

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings changed, as `key=value`, and the seed."""
        return (*self.model.split(CHANGE)[1:], f"seed={self.seed}")

    @property
    def run_name(self) -> str:
        """Name of its folder, and of its restorer."""
        words = [Path(self.preset).name.removesuffix(".toml"), *self.settings[:-1]]
        return re.sub(r"[^\w.-]+", "-", "-".join(words)) + f"-seed{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What training an entry gave."""

    entry: Entry
    weights: Path
    """The averaged weights, as an ONNX file."""
    spec: ModelSpec
    iterations: int
    """Steps of G."""
    seconds: float
    """Of training, over all resumptions, validation included."""
    device: str
    """What it was trained on, in words."""


class Trainer(Protocol):
    """Whatever trains a model: the training loop, or a fake."""

    def __call__(self, entry: Entry, run: Path) -> Outcome | None:
        """Train an entry in a folder; go on with what is there, and keep it when it is finished.

        Returns:
            None when it was asked to stop before the end.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all runs of an ablation share; without it they could not be compared."""

    budget: str
    """The schedule, as JSON."""
    photos_sha256: str
    """See `photos_digest`."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A trained and measured entry."""

    outcome: Outcome
    scores: Scores
    """Means over the test photos."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """The whole result."""

    test_set: str
    num_photos: int
    row: str
    """Of the protocol."""
    untouched: Scores
    """Of the input itself."""
    runs: tuple[Measured, ...]
    """Model by model, seed by seed."""
    evaluation: Evaluation
    """Every measurement."""

    @property
    def models(self) -> Mapping[str, tuple[Measured, ...]]:
        """The runs of each model, in order."""
        found: dict[str, tuple[Measured, ...]] = {}
        for run in self.runs:
            model = run.outcome.entry.model
            found[model] = (*found.get(model, ()), run)
        return found

    @property
    def photo_scores(self) -> Mapping[str, Mapping[int, Sequence[Scores]]]:
        """The scores of all photos, in order, by model and seed."""
        by_run: dict[str, list[Scores]] = {}
        for one in self.evaluation.measurements:
            by_run.setdefault(one.restorer, []).append(one.scores)
        return {
            model: {run.outcome.entry.seed: by_run[run.outcome.entry.run_name] for run in runs}
            for model, runs in self.models.items()
        }

    @property
    def untouched_scores(self) -> Sequence[Scores]:
        """The scores of the input, photo by photo."""
        return [one.scores for one in self.evaluation.measurements if one.restorer == BASELINES[0].name]


def list_entries(models: Sequence[str], seeds: Sequence[int]) -> tuple[Entry, ...]:
    """Return all runs, seed by seed, so that a table of all models is there as early as possible.

    Raises:
        ConfigError: When there are none, or two would share a folder.
    """
    entries = tuple(Entry(model, seed) for seed, model in product(seeds, models))
    names = [entry.run_name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"an ablation names {', '.join(twice)} twice; name each model and each seed once.")
    if not entries:
        raise ConfigError("an ablation needs at least one model and one seed.")
    return entries


def photos_digest(store: PhotoStore) -> str:
    """Return a hash of what identifies the photos of a store: names, sizes in bytes and in px."""
    digest = hashlib.sha256()
    for photo in store.photos:
        digest.update(f"{photo.name}\n{photo.source_bytes} {photo.height} {photo.width}\n".encode())
    return digest.hexdigest()


def hold_terms(out: Path, terms: Terms) -> None:
    """Write down the terms of an ablation, or check that they are those written down.

    Raises:
        ConfigError: When they differ, or cannot be read. (The budget of one model must not grow alone, and the
            learning rate has fallen along the earlier one.)
        OutputError: When they cannot be written.
    """
    path = out / TERMS_FILE
    if not path.exists():
        write_atomically(path, [json.dumps(asdict(terms), indent=1).encode()], overwrite=False)
        return
    try:
        begun = Terms(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path}: not the terms of an ablation ({first_line(error)}); choose another folder."
        ) from error
    if begun.budget != terms.budget:
        raise ConfigError(
            f"{out}: holds an ablation with the budget {begun.budget}, and {terms.budget} is asked for; use the same, "
            "or another folder."
        )
    if begun.photos_sha256 != terms.photos_sha256:
        raise ConfigError(f"{out}: holds an ablation trained on other photos; use the same, or another folder.")


def train_entries(
    entries: Sequence[Entry], trainer: Trainer, out: Path, *, jobs: int = 1
) -> tuple[Outcome, ...] | None:
    """Train all entries, in their order; None when stopped before the last was finished.

    Args:
        entries: What to train.
        trainer: With more than one job it is called from as many threads.
        out: Folder of the ablation.
        jobs: Runs side by side.

    Raises:
        AcutanceError: What the trainer raised first; runs that have not begun are then left out.
    """

    def train(entry: Entry) -> Outcome | None:
        return trainer(entry, out / "runs" / entry.run_name)

    if jobs == 1:
        return _complete(map(train, entries))
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(train, entry) for entry in entries]
        try:
            return _complete(future.result() for future in futures)
        finally:
            for future in futures:
                future.cancel()


def _complete(outcomes: Iterable[Outcome | None]) -> tuple[Outcome, ...] | None:
    """Return all outcomes; None at the first that is missing."""
    found = []
    for outcome in outcomes:
        if outcome is None:
            return None
        found.append(outcome)
    return tuple(found)


def measure(
    outcomes: Sequence[Outcome],
    test_set: Cases,
    *,
    row: Row = PAPER_ROW,
    perception: Perception = NOTHING,
    progress: Callable[[float], None] | None = None,
) -> Ablation:
    """Measure what was trained, and the input beside it; LPIPS too, where it is given.

    Pairs are measured as they are, under row `paired`.

    Raises:
        CorruptWeights: When a model cannot be read.
        InputError: When a photo cannot be read or is too small.
    """
    untouched = BASELINES[0]
    with _opened(outcomes) as restorers:
        compared: list[Restorer] = [untouched, *restorers]
        evaluation = evaluate([test_set], [row], compared, perception=perception, progress=progress)
    scores = {mean.restorer: mean.scores for mean in evaluation.means}
    # Each model once, in the order asked for, and below it its seeds: the order of the table.
    models = list(dict.fromkeys(outcome.entry.model for outcome in outcomes))
    ordered = sorted(outcomes, key=lambda outcome: models.index(outcome.entry.model))
    return Ablation(
        test_set=test_set.name,
        num_photos=len(test_set),
        row=evaluation.measurements[0].row,
        untouched=scores[untouched.name],
        runs=tuple(Measured(outcome, scores[outcome.entry.run_name]) for outcome in ordered),
        evaluation=evaluation,
    )


def draw_figure(outcomes: Sequence[Outcome], test_set: Cases, *, number: int = 0, row: Row = PAPER_ROW) -> Pixels:
    """Draw figures 4 and 5: input, truth and each model's result (of its first seed), whole and one detail magnified.

    Args:
        outcomes: Of training.
        test_set: To take the photo from.
        number: Which of its photos; the detail is where blur changed it most.
        row: Of the protocol.

    Returns:
        The sheet, uint8 RGB `h w 3`.

    Raises:
        ConfigError: When there is no such photo.
    """
    if not 0 <= number < len(test_set):
        raise ConfigError(f"photo {number} of {test_set.name}: must lie within 0 … {len(test_set) - 1}.")
    case = test_set.case(number, row)
    pictures = [("input", brightened(case.degraded, row)), ("truth", case.sharp)]
    first_seeds = {outcome.entry.model: outcome for outcome in reversed(outcomes)}
    shown = [first_seeds[model] for model in dict.fromkeys(outcome.entry.model for outcome in outcomes)]
    with _opened(shown) as restorers:
        for outcome, restorer in zip(shown, restorers, strict=True):
            pictures.append((label_of(outcome.entry.model), brightened(restorer.function(case.degraded), row)))
    return comparison_sheet(pictures, layout=FIGURE_LAYOUT)


@contextmanager
def _opened(outcomes: Sequence[Outcome]) -> Iterator[tuple[BlindRestorer, ...]]:
    """Open the models under the names of their runs."""
    with ExitStack() as stack:
        opened = [(one.entry.run_name, stack.enter_context(Sharpener(one.weights))) for one in outcomes]
        yield tuple(BlindRestorer(name, sharpener.sharpen_pixels) for name, sharpener in opened)
