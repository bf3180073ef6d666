"""How a run takes its steps: as one CUDA graph where that can be done, else launched from Python, one by one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from lightning_fabric import Fabric

from acutance.errors import ConfigError
from acutance.training.batch import Batch
from acutance.training.captured import CapturedStep
from acutance.training.checkpoint import Progress
from acutance.training.config import TrainConfig
from acutance.training.optimizers import set_share
from acutance.training.players import Players
from acutance.training.step import train_step
from acutance.training.step_record import StepRecord


class Stepper:
    """Takes the steps of a run, with the average's, and counts those that were not applied."""

    def __init__(
        self, config: TrainConfig, players: Players, *, fabric: Fabric, example: Batch, say: Callable[[str], None]
    ) -> None:
        """Capture the step, where that can be done.

        Args:
            config: All settings.
            players: Everybody in the run.
            fabric: Where and in what precision it runs.
            example: A batch of the run.
            say: Told why the step could not be captured, where it should have been.
        """
        self._config, self._players, self._fabric = config, players, fabric
        self._captured = captured_step(config, players, example, fabric=fabric, say=say)
        self.skipped_in_a_row = 0
        """Steps, up to the last, that were not applied. A GPU is asked only every `watch.log_every` steps, since it is
        waited for."""
        self._refused_in_a_row = torch.zeros((), device=fabric.device)

    def start_again(self) -> None:
        """Forget what was refused: the run has gone back."""
        self._refused_in_a_row.zero_()
        self.skipped_in_a_row = 0

    def take(self, batch: Batch, progress: Progress, *, rate_share: float) -> StepRecord:
        """Take the step that follows `progress`, at a share of each learning rate's height."""
        config, average, iteration = self._config, self._players.average, progress.iteration
        images_seen = progress.images_seen + config.batch
        is_asked = self._fabric.device.type == "cpu" or (iteration + 1) % config.watch.log_every == 0
        if self._captured is not None:
            share = average.share(batch=config.batch, images_seen=images_seen)
            record = self._captured.take(batch, rate_share=rate_share, average_share=share)
            self.skipped_in_a_row = self._captured.skipped_in_a_row if is_asked else 0
            return record
        set_share(self._players.trained.optimizers, rate_share)
        # Compiled networks give their memory back in the first backward pass, and there would be several.
        weighs = (iteration + 1) % config.watch.validate_every == 0 and not config.compiles
        record = take_step(config, self._players, batch, iteration=iteration, fabric=self._fabric, weighs_terms=weighs)
        average.update(self._players.model, batch=config.batch, images_seen=images_seen, was_applied=record.was_applied)
        self._refused_in_a_row.add_(1.0).mul_(1.0 - record.was_applied.float())
        self.skipped_in_a_row = int(self._refused_in_a_row) if is_asked else 0
        return record


def captured_step(
    config: TrainConfig, players: Players, example: Batch, *, fabric: Fabric, say: Callable[[str], None]
) -> CapturedStep | None:
    """Capture the step where that can be done: content alone, on one CUDA device. None, and a word why, where not."""
    is_content_alone = players.discriminator is None and players.features is None and not config.objective.consistency
    # The moving statistics of a normalisation are not averaged there.
    is_plain = not (config.compiles or config.optimizer.clip_norm or any(True for _ in players.model.buffers()))
    if fabric.device.type != "cuda" or fabric.world_size > 1 or not (is_content_alone and is_plain):
        return None
    try:
        return CapturedStep(
            players.model,
            players.average,
            players.trained.optimizers,
            config.objective,
            example,
            is_bfloat16=config.precision == "bf16-mixed",
            parts=config.gradient_accumulation,
        )
    except (RuntimeError, ConfigError) as error:  # the second: what a part of the user's own raised
        say(f"the step could not be captured as a CUDA graph, so it takes longer: {error}")
        return None


def take_step(
    config: TrainConfig, players: Players, batch: Batch, *, iteration: int, fabric: Fabric, weighs_terms: bool = False
) -> StepRecord:
    """Take a step: a round of the game, or on the content loss alone while it warms up or where nothing else counts."""
    is_warming_up = iteration < config.adversary.warmup_iterations
    return train_step(
        fabric,
        players.generator,
        None if is_warming_up else players.discriminator,
        batch,
        objective=config.objective.of_warm_up if is_warming_up else config.objective,
        features=None if is_warming_up else players.features,
        discriminator_updates=config.adversary.updates,
        is_conditional=config.adversary.discriminator.conditional,
        weighs_terms=weighs_terms,
        parts=config.gradient_accumulation,
    )
