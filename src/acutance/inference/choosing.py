"""What to do about what is seen in a picture: leave it, or which model takes it and what that brings, in one clause.

The limits are measured: where one model beats another on rows of the protocol (`docs/explanation/looking.md`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from acutance.inference.found_blur import size_words
from acutance.inference.look import Look

Purpose = Literal["soft", "moved", "noisy"]
"""What a picture suffers from most, which says which model takes it: see `acutance.zoo.catalogue.MODEL_FOR`."""

Worth = Literal["none", "little", "some", "much", "unknown"]
"""What sharpening brings: nothing (sharp already), little (too noisy), and by PSNR up to 2 dB or more; unknown where
nothing in the picture tells."""

SURELY_SHARP: Final = 0.7
"""From this probability on a picture that looks sharp is left as it is."""
NOISY_LEVELS: Final = 2.0
"""From this noise on the model for noise is the better one where none can be told the blur."""
TOO_NOISY_LEVELS: Final = 10.0
"""From this noise on what is won is less noise, hardly any sharpness."""
TOLD_RADIUS_PX: Final = 2.5
"""From this radius on a disk is undone better by the model that is told it."""
TOLD_NOISE_LEVELS: Final = 3.0
"""From this white noise on even softness is undone better by the model that is told it."""
TOLD_NOISE_PX: Final = 0.8
LEAST_CHANCE: Final[dict[str, float]] = {"line": 0.6, "path": 0.85, "defocus": 0.6}
"""Below this probability of the kind, the blur is not undone as that kind."""
GRAIN_LEVELS: Final = 2.0
"""From so much grain on it is calmed where nothing else shows."""

MUCH_DB: Final = 2.0
"""An expected gain from which on it is called much."""

_SIGMA_PX: Final = (0.0, 0.55, 1.0, 1.6, 2.0, 3.0, 4.0)
_SOFT_DB: Final = (0.0, 0.0, 6.6, 4.8, 3.9, 3.4, 2.9)
"""What `fast` gains on Gaussians without noise, bsd100."""
_LENGTH_PX: Final = (0.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 42.0, 56.0)
_LINE_DB: Final = (0.0, 9.8, 9.6, 9.2, 8.8, 8.0, 6.5, 5.1, 3.2)
"""What `motion` gains on straight motion without noise."""
_LINE_NOISY_DB: Final = (0.0, 5.8, 6.2, 6.1, 5.9, 5.6, 5.0, 3.7, 2.0)
"""The same with noise of 2 levels."""
_RADIUS_PX: Final = (0.0, 2.0, 2.5, 4.0, 6.0, 8.0, 12.0)
_DISK_DB: Final = (0.0, 8.5, 9.4, 8.3, 7.4, 5.3, 3.3)
"""What `motion` gains out of focus without noise."""
_DISK_NOISY_DB: Final = (0.0, 3.2, 5.3, 5.3, 4.9, 3.1, 2.6)
"""The same with noise of 2 levels."""
_PATH_DB: Final = 2.3
_UNSURE_DB: Final = 0.2
"""What `fast` gains on motion."""
_NOISE: Final = (0.0, 2.0, 6.0, 12.0, 20.0)
_NOISY_DB: Final = (4.8, 3.4, 2.9, 3.1, 3.9)
"""What `auto` gains at σ = 1.6 with noise; of 20 levels, what `night` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do about a picture."""

    purpose: Purpose | None
    """Which model takes it; None: leave it as it is."""
    strength: float
    """At which it is to be sharpened; 0 where it is to be left."""
    gain_db: float | None
    """What that brings in PSNR on photos of the protocol that look like it, in the mean: an expectation, no promise;
    None where nothing tells."""
    worth: Worth
    seen: str
    """What was seen, in one clause."""
    done: str
    """What is done about it, in a few words, where it is done without being asked."""
    counsel: str
    """The same as advice."""

    @property
    def words(self) -> str:
        """What was seen and done, in one clause."""
        return f"{self.seen}: {self.done}"


_LEFT: Final = ("left as it is", "leave it as it is")
_DONE: Final[dict[Purpose, tuple[str, str]]] = {
    "soft": ("sharpened", "sharpen it"),
    "noisy": ("sharpened without its noise", "sharpen it without its noise"),
    "moved": ("taken out", "take that out"),
}
INSTEAD: Final[dict[Purpose, str]] = {"soft": "sharpened only", "noisy": "sharpened without its noise"}
"""What is done, in words, where motion is not undone."""
_UNSURE: Final[dict[Purpose, str]] = {"soft": "little to gain", "noisy": "little to gain but less noise"}
_LITTLE: Final = ("made less noisy, hardly sharper", "too noisy to become much sharper; it can be made less noisy")


def advice_on(look: Look) -> Advice:
    """Say what to do about a picture."""
    if look.reduced is not None:
        advice, where = advice_on(look.reduced), size_words(look.reduced_by)
        done, counsel = f"{advice.done}{where}", f"{advice.counsel}{where}"
        return replace(advice, seen=seen_words(look), done=done, counsel=counsel)
    seen, softness = seen_words(look), look.softness
    if softness is None or (softness.kind == "sharp" and softness.confidence >= SURELY_SHARP):
        worth: Worth = "unknown" if softness is None else "none"
        gain = None if softness is None else 0.0
        return Advice(purpose=None, strength=0.0, gain_db=gain, worth=worth, seen=seen, done=_LEFT[0], counsel=_LEFT[1])
    purpose = _purpose(look)
    gain = round(_gain(look), 1)
    is_noisy = look.noise is not None and look.noise.levels >= TOO_NOISY_LEVELS
    is_unsure = softness.kind in ("line", "path") and purpose != "moved"
    done, counsel = _LITTLE if is_noisy else _DONE[purpose]
    if is_unsure and not is_noisy:
        doubt = "too uncertain to undo"
        done, counsel = f"{doubt}, {INSTEAD[purpose]}", f"{doubt}; {_UNSURE[purpose]}"
    return Advice(
        purpose=purpose,
        strength=1.0,
        gain_db=gain,
        worth="little" if is_noisy or is_unsure or gain <= 0 else "much" if gain >= MUCH_DB else "some",
        seen=seen,
        done=done,
        counsel=counsel,
    )


def seen_words(look: Look) -> str:
    """Say in one clause what is seen."""
    softness, noise = look.softness, look.noise
    if softness is None:
        return "nothing in it shows how blurred it is"
    is_sure = softness.kind == "sharp" and softness.confidence >= SURELY_SHARP
    is_nearly = softness.kind == "sharp" or (softness.kind == "gaussian" and softness.verdict.is_sharp)
    words = "sharp already" if is_sure else "nearly sharp" if is_nearly else str(softness.verdict)
    if look.is_mixed:
        words = f"soft differently over the picture, mostly {words}"
    if noise is not None and noise.levels >= NOISY_LEVELS:
        kind = "grain" if noise.is_correlated else "noise"
        words = f"{kind} of {noise.levels:.0f} levels" + ("" if noise.levels >= TOO_NOISY_LEVELS else f", {words}")
    return words


def _purpose(look: Look) -> Purpose:
    softness = look.softness
    assert softness is not None
    enough = softness.confidence >= LEAST_CHANCE.get(softness.kind, 1.0)
    is_disk = softness.kind == "defocus" and softness.verdict.strength_px >= TOLD_RADIUS_PX
    is_path = softness.kind == "path" and not look.is_mixed
    if (enough and (softness.kind == "line" or is_disk or is_path)) or is_even_under_noise(look):
        return "moved"
    return purpose_without_motion(look)


def is_even_under_noise(look: Look) -> bool:
    """Whether a picture is noisy and soft alike all over, by so much that telling a network pays."""
    softness, noise = look.softness, look.noise
    if softness is None or noise is None or softness.kind not in {"gaussian", "defocus"} or look.is_dark:
        return False
    is_white = noise.levels >= TOLD_NOISE_LEVELS and not noise.is_correlated
    return is_white and softness.softness_px >= TOLD_NOISE_PX and not look.is_mixed


def purpose_without_motion(look: Look) -> Literal["soft", "noisy"]:
    """Say which model takes a picture if nothing is known of its kernel."""
    noise = look.noise
    if noise is not None and noise.levels >= NOISY_LEVELS:
        return "noisy"
    return "noisy" if look.is_dark else "soft"


def grain_levels(look: Look) -> float:
    """Return how much grain is to be kept from growing, in levels of 255; 0 where there is none to speak of."""
    noise = look.noise
    return noise.levels if noise is not None and noise.is_correlated and noise.levels >= GRAIN_LEVELS else 0.0


def _gain(look: Look) -> float:
    """Return what the model is expected to bring, in dB."""
    softness, noise = look.softness, look.noise
    assert softness is not None
    levels = 0.0 if noise is None else noise.levels
    strength = softness.verdict.strength_px
    if softness.kind in ("line", "path") and _purpose(look) != "moved":
        return _UNSURE_DB
    if softness.kind == "line":
        return _told_gain(strength, _LENGTH_PX, _LINE_DB, _LINE_NOISY_DB, levels)
    if softness.kind == "defocus" and _purpose(look) == "moved":
        return _told_gain(strength, _RADIUS_PX, _DISK_DB, _DISK_NOISY_DB, levels)
    if softness.kind == "path":
        return float(np.interp(levels, (0.0, 6.0), (_PATH_DB, 0.0)))
    gain = float(np.interp(softness.softness_px, _SIGMA_PX, _SOFT_DB))
    if levels >= 1:
        gain *= float(np.interp(levels, _NOISE, _NOISY_DB)) / _NOISY_DB[0]
    return gain


def _told_gain(
    strength_px: float,
    strengths_px: tuple[float, ...],
    quiet_db: tuple[float, ...],
    noisy_db: tuple[float, ...],
    noise_levels: float,
) -> float:
    """Return what the model that is told the kernel brings, in dB, by measured rows without and with noise."""
    quiet, noisy = (float(np.interp(strength_px, strengths_px, row)) for row in (quiet_db, noisy_db))
    return float(np.interp(noise_levels, (0.0, 2.0, 8.0), (quiet, noisy, noisy / 2)))
