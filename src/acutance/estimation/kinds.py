"""How sure it is which kind of softness a picture has: the estimator's shares, calibrated on pictures it never saw.

The network's own probability says too much: windows overlap and err together, and what it learnt from is not what
comes. So its logarithms are divided by a temperature, and kinds that it takes too easily are held back, with the
numbers that make held-out pictures most likely. What comes out is a probability: of a hundred pictures with 0.9, ninety
are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from acutance.estimation.classes import FIRST_RADIUS, SIGMAS_PX
from acutance.estimation.verdict import SHARP_SIGMA_PX, SPANS, BlurVerdict, verdict_of

Softness = Literal["sharp", "gaussian", "defocus", "line", "path"]
"""Nothing to undo, even softness, out of focus, straight motion, curved motion (an unsteady hand)."""

KINDS: Final[tuple[Softness, ...]] = get_args(Softness)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What turns the network's logarithms into probabilities; `benchmarks/blur_estimator.py --fit` finds it."""

    temperature: float
    """The logarithms are divided by it."""
    offsets: tuple[float, ...]
    """Then these are added, one for each of `KINDS`."""


CALIBRATION: Final = Calibration(temperature=2.02, offsets=(0.6, -0.23, 0.45, 0.34, -0.02))


STRENGTH_WITHIN: Final[Mapping[str, float]] = {"gaussian": 0.12, "defocus": 0.05, "line": 0.15}
"""Nine of ten drawn strengths that matter lay so near to what is told, as a share of it, where the kind was right; of
curved motion only the spread is told, not the length."""


def kind_logs(log_shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the logarithm of each kind's share, up to a constant.

    Args:
        log_shares: `classes`: logarithms of the classes' shares, up to a constant.

    Returns:
        As many as `KINDS`.
    """
    sharp = int(np.searchsorted(SIGMAS_PX, SHARP_SIGMA_PX, side="right"))
    spans = (slice(0, sharp), slice(sharp, FIRST_RADIUS), SPANS["defocus"], SPANS["line"], SPANS["path"])
    top = log_shares.max()
    return np.array([math.log(float(np.exp(log_shares[span] - top).sum()) + 1e-300) for span in spans])


def probabilities(logs: npt.NDArray[np.float64], calibration: Calibration = CALIBRATION) -> npt.NDArray[np.float64]:
    """Return the probability of each of `KINDS`, from what `kind_logs` gives: `… kinds`."""
    scaled = logs / calibration.temperature + np.array(calibration.offsets)
    shares = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSoftness:
    """The kind of softness of a picture or a place, and how sure that is."""

    kind: Softness
    confidence: float
    """Probability, 0 … 1, that the kind is right; calibrated for pictures as a whole."""
    verdict: BlurVerdict
    """Strength and direction, of the kind above."""

    @property
    def softness_px(self) -> float:
        """How far the blur spreads light, as the σ of a Gaussian that spreads it as far."""
        strength = self.verdict.strength_px
        match self.kind:
            case "sharp" | "gaussian":
                return strength
            case "defocus":
                return strength / 2
            case "line" | "path":
                return strength / math.sqrt(24)


def softness_of(log_shares: npt.NDArray[np.float64]) -> SeenSoftness:
    """Decide which kind of softness it is.

    Args:
        log_shares: `classes`, up to a constant: as `BlurField.gathered` gives them.
    """
    chances = probabilities(kind_logs(log_shares))
    number = int(chances.argmax())
    kind = KINDS[number]
    verdict = verdict_of(log_shares, "gaussian" if kind == "sharp" else kind)
    return SeenSoftness(kind=kind, confidence=float(chances[number]), verdict=verdict)
