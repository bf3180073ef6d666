"""The map of guesses: for each pixel, how far the result may be off, as an interval that was calibrated.

The distance is a quantile, predicted by a small network from the picture and its result alone (`features`,
`conditions`), so the map costs a fraction of the run. It was fitted on photos that were blurred, and widened or
narrowed by width of blur and noise until nine tenths of the pixels of *other* photos lay inside (conformal prediction).
See `docs/explanation/trust.md` for the ways that were tried and the coverage by row of the protocol.

What the interval says is an average over pixels of such pictures, not a promise for each: where a picture is of
another kind than all that was fitted, it may be wrong.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from acutance.engines.model_file import read_spec
from acutance.errors import ConfigError
from acutance.geometry import Size
from acutance.imaging.convert import to_float
from acutance.inference.photo_sharpener import STRENGTHS
from acutance.ranges import number_within
from acutance.spec import ModelSpec
from acutance.trust.comparing import Comparable, compared
from acutance.trust.conditions import CONDITIONS, at_blocks, conditions_of
from acutance.trust.features import BLOCK_PX, FEATURES, Maps, features_of
from acutance.zoo.catalogue import find_model

INTERVAL: Final = 0.9
"""Share of pixels whose truth lies within the stated distance, in all of its channels."""
GUESS_LEVELS: Final = 24.0
"""From this distance on a pixel counts as a guess: about what makes a stroke of a letter another one."""
KINDS: Final = 4
"""Of blur, each with corrections of its own."""
LEAST_LEVELS: Final = 1.0
"""No distance is smaller in 8 bits: pixels are whole levels."""
LEAST_LEVELS_16: Final = 0.25
"""The same in 16 bits."""
TABLES: Final = Path(__file__).parent / "guesses.json"
_LEAST_STRENGTH: Final = 1e-30
"""Divided by a smaller one, a difference would not be a number any more."""
_BAND_ROWS: Final = 256
"""Rows of blocks that are worked on at once."""

_HEAT: Final = np.array(
    [[0, 0, 0], [40, 20, 90], [130, 25, 110], [215, 60, 60], [250, 150, 30], [255, 255, 160]], np.float32
)
"""Colours of distances of 0 to `_HOTTEST` levels, evenly spaced in their square roots."""
_HOTTEST: Final = 96.0


class Table(NamedTuple):
    """The fitted numbers for one model at one fidelity."""

    fidelity: float
    mean: npt.NDArray[np.float32]
    """`n`: of each input, `FEATURES` and `CONDITIONS`; and their standard deviations."""
    deviation: npt.NDArray[np.float32]
    hidden: npt.NDArray[np.float32]
    """`h n`: weights of the hidden layer, and its biases `h`."""
    hidden_bias: npt.NDArray[np.float32]
    out: npt.NDArray[np.float32]
    """`h`: weights of the answer, log₂ of a distance in levels, and its bias."""
    out_bias: float
    widths: npt.NDArray[np.float32]
    """Edges, in the condition `width`, between the bins of the correction; and in `noise`."""
    noises: npt.NDArray[np.float32]
    factors: npt.NDArray[np.float32]
    """`KINDS widths+1 noises+1`: log₂ of what distances are multiplied by in each bin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessMap:
    """How far a result may be off, pixel by pixel."""

    is_calibrated: bool
    """Whether the numbers are those of this model; else they are those of the default model, a rough guide."""
    distance: npt.NDArray[np.float32] = field(repr=False)
    """`h w`: the truth lies within so many levels of 255 of the result, in all channels, in nine pixels of ten."""

    def enlarged(self, factor: int, size: Size) -> GuessMap:
        """Return the map of a picture `factor` times as large, of a size: each distance stands for so many pixels."""
        distance = self.distance.repeat(factor, axis=0).repeat(factor, axis=1)[: size.height, : size.width]
        return replace(self, distance=distance)

    @property
    def share(self) -> float:
        """Share of the pixels that are guesses: off by `GUESS_LEVELS` or more, perhaps."""
        return float((self.distance >= GUESS_LEVELS).mean())

    @property
    def picture(self) -> npt.NDArray[np.uint8]:
        """Return the map as a picture, `h w 3`: from black (certain) over red to yellow (96 levels and more)."""
        return heat(self.distance)

    def __str__(self) -> str:
        """Say it in a sentence."""
        sure = "" if self.is_calibrated else "; by another model's figures: not calibrated for this one"
        share = f"{100 * self.share:.0f} %"
        return f"{share} of the pixels are guesses (may be off by {GUESS_LEVELS:.0f} levels of 255 or more{sure})"


def heat(levels: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Paint distances `h w` in levels of 255 as a picture `h w 3`: black is 0, yellow 96 and more."""
    steps = np.linspace(0, len(_HEAT) - 1, 256)
    colours = np.stack([np.interp(steps, np.arange(len(_HEAT)), channel) for channel in _HEAT.T], axis=1)
    place = np.rint(255 * np.sqrt(np.clip(levels / np.float32(_HOTTEST), 0, 1))).astype(np.uint8)
    return np.asarray(np.rint(colours).astype(np.uint8)[place])


def map_of_guesses(
    before: Comparable,
    after: Comparable,
    *,
    model: ModelSpec | str | None = None,
    strength: float = 1.0,
    fidelity: float = 1.0,
    threads: int | None = None,
) -> GuessMap:
    """Say for each pixel of a result how far it may be off.

    Args:
        before: The picture, gamma space: `h w`, `h w 1`, `h w 3` or `h w 4`; uint8, uint16 or float in [0, 1]; or a PIL
            image. Transparency is left out.
        after: Its result, of the same shape.
        model: What made it: its spec, or its name; None, or one without figures of its own, takes the default model's
            figures, and says so.
        strength: With which it was made, above 0, at most 2. Distances are calibrated for 1; for others the way from
            the network's answer to the result is added.
        fidelity: With which it was made. Calibrated for 1 and 0; between them distances are blended.
        threads: At most one per CPU for this process; None is one per core.

    Raises:
        InputError: When one is no picture, or the two differ in shape.
        UnknownModel: When there is no model of that name.
        ConfigError: When the strength is 0: the answer cannot be known from a result that does not hold it; when it,
            the fidelity or `threads` is out of range, or the model is neither a spec nor a name.

    Determinism: that of ONNX Runtime on one processor.
    """
    strength, fidelity = number_within("strength", strength, *STRENGTHS), number_within("fidelity", fidelity, 0, 1)
    if strength == 0:
        raise ConfigError("strength = 0: nothing was changed, so there is nothing to map; raise it.")
    if not isinstance(model, ModelSpec | str | None):
        raise ConfigError(f"model = {model!r}: must be the name of a model, or its spec.")
    before, after = compared(before, after, needed_by="a map of guesses")
    aside: npt.NDArray[np.float32] | float = 0.0
    answer = after
    if strength != 1.0:
        seen, result = to_float(before), to_float(after)
        share = np.float32(max(strength, _LEAST_STRENGTH))
        values = np.clip(seen + (result - seen) / share, 0, 1)
        aside = 255 * np.abs(result - values).max(axis=2)
        maps = features_of(seen, values)
    else:
        maps = features_of(before, answer)
    height, width = before.shape[:2]
    grid = conditions_of(before, threads=threads)
    conditions = at_blocks(grid, (height, width), (maps.shape[1], maps.shape[2]))
    tables, is_calibrated = _tables_of(_spec_of(model) if isinstance(model, str) else model, fidelity)
    logs = sum(share * _log_distance(table, maps, conditions) for share, table in tables)
    least = LEAST_LEVELS if before.dtype == np.uint8 else LEAST_LEVELS_16
    blocks = np.maximum(np.exp2(logs), np.float32(least)).astype(np.float32)
    distance = blocks.repeat(BLOCK_PX, axis=0).repeat(BLOCK_PX, axis=1)[:height, :width]
    return GuessMap(is_calibrated=is_calibrated, distance=np.asarray(distance + aside, dtype=np.float32))


def _spec_of(name: str) -> ModelSpec:
    path = find_model(name).fidelity
    return read_spec(path.read_bytes(), name=path.name)


def bins_of(
    conditions: npt.NDArray[np.float32], widths: npt.ArrayLike, noises: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], ...]:
    """Return the bin of the correction at each place.

    Args:
        conditions: `n …`, by `CONDITIONS`.
        widths: Edges in `width`.
        noises: Edges in `noise`.

    Returns:
        The likeliest kind (Gaussian, defocus, straight, curved), and the numbers of the width and the noise.
    """
    defocus, line, path = (conditions[CONDITIONS.index(name)] for name in ("defocus", "line", "path"))
    kind = np.stack([1 - defocus - line - path, defocus, line, path]).argmax(axis=0)
    width = np.searchsorted(widths, conditions[CONDITIONS.index("width")])
    return kind, width, np.searchsorted(noises, conditions[CONDITIONS.index("noise")])


def _log_distance(table: Table, maps: Maps, conditions: Maps) -> npt.NDArray[np.float32]:
    """Return log₂ of the distances, `rows columns`, a band at a time."""
    scale = 1 / table.deviation
    weights = table.hidden * scale
    bias = table.hidden_bias - weights @ table.mean
    split = len(FEATURES)
    result = np.empty(maps.shape[1:], np.float32)
    for top in range(0, len(result), _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        seen, suffered = maps[:, band], conditions[:, band]
        hidden = np.tensordot(weights[:, :split], seen, 1) + np.tensordot(weights[:, split:], suffered, 1)
        hidden += bias[:, None, None]
        np.maximum(hidden, 0, out=hidden)
        factor = table.factors[bins_of(suffered, table.widths, table.noises)]
        result[band] = np.tensordot(table.out, hidden, 1) + np.float32(table.out_bias) + factor
    return result


def _tables_of(model: ModelSpec | None, fidelity: float) -> tuple[list[tuple[float, Table]], bool]:
    """Return the tables to blend with their shares, and whether they are the model's own."""
    every = _read_tables()
    own = every.get(model.weights_sha256) if model is not None else None
    tables = own or next(iter(every.values()))  # the first is the default model's
    if len(tables) == 1:
        return [(1.0, tables[0])], own is not None and fidelity == tables[0].fidelity
    low, high = tables
    return [(1 - fidelity, low), (fidelity, high)], own is not None


@cache
def _read_tables() -> dict[str, list[Table]]:
    """Read the fitted tables by the hash of the weights, each model's by fidelity, the lowest first."""
    found: dict[str, list[Table]] = {}
    for row in json.loads(TABLES.read_text(encoding="utf-8")):
        arrays = {
            name: np.array(row[name], np.float32) for name in Table._fields if name not in ("fidelity", "out_bias")
        }
        table = Table(fidelity=row["fidelity"], out_bias=row["out_bias"], **arrays)
        found.setdefault(row["weights_sha256"], []).append(table)
    return {name: sorted(tables, key=lambda table: table.fidelity) for name, tables in found.items()}
