"""All settings of a training run, as frozen dataclasses; TOML presets hold what differs from the defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from acutance.config.presets import preset_path
from acutance.config.settings import Toml, from_overridden, merged, read_toml
from acutance.data.patches import CANDIDATES, check_shares
from acutance.data.protocol import ROWS, find_row
from acutance.deconvolution.wiener import PENALTIES
from acutance.degradations.blur import SMOOTHING_RADIUS_PX
from acutance.degradations.pipeline import DegradationConfig
from acutance.degradations.stages import Blur, Grain, Unsharp
from acutance.errors import ConfigError
from acutance.losses.objective import ObjectiveConfig
from acutance.networks.any_discriminator import AnyDiscriminatorConfig
from acutance.networks.any_generator import AnyConfig
from acutance.networks.blocks import RESIDUAL_INIT_GAIN
from acutance.networks.discriminator import DiscriminatorConfig
from acutance.networks.generators import GeneratorConfig
from acutance.networks.own import OwnNetworkConfig
from acutance.training.device import Precision
from acutance.training.guides import GuideConfig
from acutance.training.optimizers import OptimizerConfig
from acutance.training.watching import WatchConfig

MAX_SEED = 2**32
"""Far below where seed and step number together would leave the 64 bits of torch's generators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """How long the run is, and how the learning rates rise and fall along it."""

    iterations: int = 500_000
    """Steps of G in the whole run; the paper has 500 000."""
    minutes: float | None = None
    """Wall-clock budget; the run ends, and the learning rate with it, at whichever limit comes first."""
    warmup_iterations: int = 200
    """Steps over which the learning rates rise from 0."""
    decay: Literal["cosine", "half"] = "cosine"
    """`cosine` falls to `final_share`; `half` multiplies by 0.1 after half of the run, as the paper does."""
    final_share: float = 0.005
    """Learning rate at the end of the cosine, as a share of its height."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.iterations < 1 or self.warmup_iterations < 0:
            raise ConfigError(f"schedule.iterations = {self.iterations}: must be at least 1 (warm-up at least 0).")
        if self.minutes is not None and not self.minutes > 0:  # "not >" refuses NaN, too
            raise ConfigError(f"schedule.minutes = {self.minutes}: must be positive.")
        if not 0 <= self.final_share <= 1:
            raise ConfigError(f"schedule.final_share = {self.final_share}: must lie within 0 … 1.")

    def progress(self, iteration: int, elapsed_s: float) -> float:
        """Return how much of the run is done, 0 … 1, by the nearer of its two limits."""
        by_count = iteration / self.iterations
        by_time = elapsed_s / (60.0 * self.minutes) if self.minutes is not None else 0.0
        return min(max(by_count, by_time), 1.0)

    def rate_share(self, iteration: int, elapsed_s: float) -> float:
        """Return the learning rates of a step as a share of their height."""
        progress = self.progress(iteration, elapsed_s)
        warmth = min((iteration + 1) / self.warmup_iterations, 1.0) if self.warmup_iterations else 1.0
        if self.decay == "half":
            return warmth * (0.1 if progress >= 0.5 else 1.0)
        fall = 0.5 * (1.0 + math.cos(math.pi * progress))
        return warmth * (self.final_share + (1.0 - self.final_share) * fall)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversaryConfig:
    """The discriminator's side of the game; it plays when `objective.adversarial` is above 0."""

    discriminator: AnyDiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    """The network: the paper's, or with `kind = "unet"` one that judges every pixel. Its `patch_px` follows the patches
    that are trained on."""
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(learning_rate=1e-4, clip_norm=0.0))
    """How its weights are moved."""
    updates: int = 2
    """Of D for each update of G; the paper has 2."""
    own_batches: bool = False
    """Whether D learns from a batch of its own at every update, as is usual; else from the one that G learns from, for
    which G's output is there already."""
    warmup_iterations: int = 0
    """Steps on the content loss alone before the game begins; the paper has none."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.updates < 1 or self.warmup_iterations < 0:
            raise ConfigError(
                f"adversary.updates = {self.updates}, warmup_iterations = {self.warmup_iterations}: must be at least 1 "
                "and 0."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training run."""

    name: str
    """Name of the model that comes out."""
    degradation: DegradationConfig
    """How the blurred input is made."""
    generator: AnyConfig = field(default_factory=GeneratorConfig)
    """The network: one of ours, or with `kind = "own"` one of the user's."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What is minimised."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """How the generator's weights are moved."""
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    """The discriminator and its training."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """How long, and how the learning rates fall."""
    watch: WatchConfig = field(default_factory=WatchConfig)
    """What is recorded."""
    guide: GuideConfig = field(default_factory=GuideConfig)
    """How wrong the kernels are that a network with guides is told."""
    head_start: Literal["random", "whitening"] = "random"
    """How the head's filters begin: Kaiming's random numbers, or whitening the patches they will see. A network of the
    user's own begins as it was written."""
    start_from: Path | None = None
    """Weights to begin with: generator.safetensors of a run, an exported ONNX file, or the name of a model that ships,
    such as fast; None begins at random. A network that enlarges may begin
    with one that does not, one of more blocks or scales with one of fewer, one without biases with one that has them
    (they are dropped); all else must be the same."""
    branch_gain: float = RESIDUAL_INIT_GAIN
    """What the last layer of every block's branch starts with: a factor on its weights, or γ where it is normalised. A
    plain stack, which has neither branch nor normalisation, starts without."""
    batch: int = 16
    """Patches per step."""
    gradient_accumulation: int = 1
    """Parts in which a batch goes through the networks, one after the other, their gradients added up, for less memory.
    `batch` stays the whole batch, so schedules, averages and draws stay as they are."""
    patch_px: int = 64
    """Side of a degraded patch; the paper has 24."""
    paired: bool = False
    """Whether the photos come in pairs, taken blurred and sharp: nothing is degraded then, and `degradation` and
    `watch.rows` are not looked at."""
    data_weights: tuple[float, ...] = ()
    """Where there are several folders of photos: how many of the patches come from each, in proportion. Empty: every
    place in every photo is as likely."""
    crop_candidates: int = CANDIDATES
    """Positions drawn per patch, of which the one with the most gradient energy is taken; 1 draws evenly."""
    quarter_turns: bool = True
    """Whether patches are turned by quarters as well as mirrored."""
    reduced_share: float = 0.0
    """Share of the patches that are reduced by 2 before they are degraded. Many photos are not sharp to the pixel: a
    network that learns from them alone takes a sharp one, blurred, for less blurred than it is."""
    ramp_share: float = 0.0
    """Share of the patches that are smooth ramps instead of photos, with truths that are not rounded to levels."""
    ema_half_life_kimg: float = 20.0
    """Half-life of the averaged weights, in thousands of patches; the average is what is shipped."""
    precision: Precision = "32-true"
    """Arithmetic of the networks; bf16 pays on GPUs and on CPUs that have it in hardware."""
    compiles: bool = False
    """Have torch compile the networks: for GPUs, which small patches leave waiting for Python. It takes minutes at the
    start, and the pull of each term is not recorded; on a CPU it needs a C++ compiler and gains nothing."""
    seed: int = 0
    """Every batch is a function of the seed and the number of the step."""
    training_data: str = "photos of the user's own"
    """What it is trained on, for the model's record."""
    licence: str = "Apache-2.0"
    """Licence of the weights, SPDX."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.batch < 1 or self.patch_px < 1:
            raise ConfigError(f"batch = {self.batch}, patch_px = {self.patch_px}: must be at least 1.")
        self._check_parts()
        self._check_sizes()
        self._check_own_network()
        self._check_guides()
        self._check_pairs()
        self._check_blur()
        if self.objective.adversarial:
            replace(self.adversary.discriminator, patch_px=self.patch_px * self.generator.scale)  # checks that it fits
        if self.compiles and self.objective.r1:
            raise ConfigError("compiles = true: compiled networks have no second derivative, which objective.r1 needs.")
        if self.adversary.warmup_iterations and not self.objective.content:
            raise ConfigError("adversary.warmup_iterations: a warm-up needs objective.content above 0.")
        check_shares(self.reduced_share, self.ramp_share)
        if self.crop_candidates < 1:
            raise ConfigError(f"crop_candidates = {self.crop_candidates}: must be at least 1.")
        if not all(0 <= weight < math.inf for weight in self.data_weights) or (
            self.data_weights and not any(self.data_weights)
        ):
            raise ConfigError(f"data_weights = {list(self.data_weights)}: must be numbers from 0 on, one above 0.")
        if not 0 <= self.branch_gain < math.inf:
            raise ConfigError(f"branch_gain = {self.branch_gain}: must be a number from 0 on.")
        if not self.ema_half_life_kimg > 0:
            raise ConfigError(f"ema_half_life_kimg = {self.ema_half_life_kimg}: must be positive.")
        if not 0 <= self.seed < MAX_SEED:
            raise ConfigError(f"seed = {self.seed}: must lie within 0 … {MAX_SEED - 1}.")

    def _check_parts(self) -> None:
        """Check that a batch can be cut into parts that give together what it gives as a whole."""
        parts = self.gradient_accumulation
        if parts < 1 or self.batch % parts:
            raise ConfigError(
                f"gradient_accumulation = {parts}: must be at least 1, and batch ({self.batch}) a multiple of it."
            )
        if parts > 1 and self.objective.adversarial and self.objective.game.kind == "relativistic":
            raise ConfigError(
                "objective.game.kind = 'relativistic': compares patches of the whole batch; use another kind, or set "
                "gradient_accumulation = 1."
            )

    def _check_sizes(self) -> None:
        """Check that the network takes the patches, and enlarges as much as they are, and were, made smaller."""
        multiple, scale = self.generator.size_multiple, self.generator.scale
        if self.patch_px % multiple:
            raise ConfigError(f"patch_px = {self.patch_px}: must be a multiple of {multiple} here.")
        smooths = [stage.kind for stage in self.degradation.stages if isinstance(stage, (Grain, Unsharp))]
        if smooths and self.patch_px <= SMOOTHING_RADIUS_PX:
            raise ConfigError(
                f"patch_px = {self.patch_px}: must be more than {SMOOTHING_RADIUS_PX} with a stage {smooths[0]}."
            )
        if self.degradation.reduction != scale:
            raise ConfigError(
                f"generator.scale = {scale}: must be by how much the degradation reduces ({self.degradation.reduction} "
                'here); scale 2 needs a stage of kind "reduce" after the blur, scale 1 none.'
            )
        for name in self.watch.rows if self.watch.held_out else ():
            reduction = find_row(name).reduction
            if reduction != scale:
                fitting = [row.name for row in ROWS if row.reduction == scale and not row.is_measured_specially]
                raise ConfigError(
                    f"watch.rows: {name!r} reduces photos by {reduction}, but generator.scale is {scale}; there are "
                    f"{', '.join(fitting)}."
                )

    def _check_own_network(self) -> None:
        """Check that nothing is asked of a network of the user's own that only ours can do."""
        if isinstance(self.generator, OwnNetworkConfig) and self.head_start != "random":
            raise ConfigError(
                f'head_start = "{self.head_start}": is for this project\'s networks; leave it out with '
                f"{self.generator.part}, which begins as it was written."
            )

    def _check_guides(self) -> None:
        """Check that a network that is told the blur can be."""
        if not self.generator.guides:
            return
        if self.generator.guides != len(PENALTIES):
            raise ConfigError(f"generator.guides = {self.generator.guides}: must be {len(PENALTIES)}, or 0 for none.")
        if sum(isinstance(stage, Blur) for stage in self.degradation.stages) != 1:
            raise ConfigError("generator.guides: needs exactly one blur stage, whose kernels the network is told.")
        if self.watch.held_out:
            raise ConfigError(
                "generator.guides: a network that is told the blur is not validated; set watch.held_out = 0."
            )

    def _check_blur(self) -> None:
        """Check that terms that ask what a patch was blurred with can be told, and that it fits."""
        objective = self.objective
        if self.adversary.discriminator.conditional and self.generator.scale != 1:
            raise ConfigError(
                "adversary.discriminator.conditional = true: lays the input beside the picture, so both must be of one "
                "size; only for generator.scale = 1."
            )
        if self.adversary.discriminator.conditional and self.generator.guides:
            raise ConfigError(
                "adversary.discriminator.conditional = true: not for a network with guides; set generator.guides = 0."
            )
        if not objective.needs_blur:
            return
        blurs = [stage for stage in self.degradation.stages if isinstance(stage, Blur)]
        if len(blurs) != 1:
            raise ConfigError(
                "objective.consistency, objective.evidence.counts: need exactly one blur stage, whose kernels they "
                "look at."
            )
        side = 2 * blurs[0].radius_px + 1
        if objective.consistency and self.patch_px * self.generator.scale < side:
            raise ConfigError(
                "objective.consistency: blurs the output again, so patches must be at least as large as the kernels "
                f"({side} px); raise patch_px ({self.patch_px}) or lower radius_px."
            )

    def _check_pairs(self) -> None:
        """Check that nothing is asked that pairs do not tell."""
        if not self.paired:
            return
        wanted = {
            "generator.scale": self.generator.scale != 1,
            "generator.guides": self.generator.guides > 0,
            "objective.consistency, objective.evidence.counts": self.objective.needs_blur,
            "reduced_share, ramp_share": self.reduced_share > 0 or self.ramp_share > 0,
        }
        for names in (names for names, is_asked in wanted.items() if is_asked):
            raise ConfigError(
                f"paired = true: photos that were taken blurred have no known blur, nor another size; leave {names} "
                "out."
            )

    @property
    def source_px(self) -> int:
        """Side of the patches drawn from the photos: what the network is to give, and the margin that blur consumes."""
        if self.paired:
            return self.patch_px
        return self.patch_px * self.generator.scale + 2 * self.degradation.margin_px


def load_config(preset: str, overrides: Sequence[str] = (), *, typed: Mapping[str, str] | None = None) -> TrainConfig:
    """Read a preset by name, or a TOML file by path, and apply `key=value` overrides.

    A preset may begin with `extends = "other"`: it then holds only what differs from that preset.

    Args:
        preset: Name or path.
        overrides: What is changed of it.
        typed: How a person said an override, where that was not `--set`, for the message.

    Raises:
        ConfigError: When the preset, a key or a value is not right; it names the override that is to blame.
    """
    path = preset_path(preset)
    return from_overridden(TrainConfig, preset_values(path), overrides, source=path.name, typed=typed)


def preset_values(path: Path, *, _seen: tuple[Path, ...] = ()) -> dict[str, Toml]:
    """Read a preset's file and, below it, what it extends.

    Raises:
        ConfigError: When a file cannot be read, or presets extend each other in a circle.
    """
    if path in _seen:
        raise ConfigError(f"{path.name}: extends itself by way of {', '.join(other.name for other in _seen)}.")
    values = read_toml(path)
    base = values.pop("extends", None)
    if base is None:
        return values
    return merged(preset_values(preset_path(str(base)), _seen=(*_seen, path)), values)
