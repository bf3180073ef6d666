"""How a run takes its steps: as one CUDA graph where that can be done, else launched from Python, one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lightning_fabric import Fabric

from acutance.errors import ConfigError
from acutance.training.captured import CapturedStep
from acutance.training.checkpoint import Progress
from acutance.training.config import TrainConfig
from acutance.training.optimizers import set_share
from acutance.training.players import Players
from acutance.training.step import Batch, Pair, StepRecord, content_step, game_step


class Stepper:
    """Takes the steps of a run, with the average's, and counts those that were not applied."""

    def __init__(
        self, config: TrainConfig, players: Players, *, fabric: Fabric, example: Pair, say: Callable[[str], None]
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
        """Steps, up to the last, that were not applied. Of a captured step it is asked only every `watch.log_every`
        steps, since the device is waited for."""

    def take(self, batch: Batch, progress: Progress, *, rate_share: float) -> StepRecord:
        """Take the step that follows `progress`, at a share of each learning rate's height."""
        config, average, iteration = self._config, self._players.average, progress.iteration
        images_seen = progress.images_seen + config.batch
        if self._captured is not None:
            share = average.share(batch=config.batch, images_seen=images_seen)
            record = self._captured.take(batch.pair, rate_share=rate_share, average_share=share)
            is_asked = (iteration + 1) % config.watch.log_every == 0
            self.skipped_in_a_row = self._captured.skipped_in_a_row if is_asked else 0
            return record
        set_share(self._players.trained.optimizers, rate_share)
        # Compiled networks give their memory back in the first backward pass, and there would be several.
        weighs = (iteration + 1) % config.watch.validate_every == 0 and not config.compiles
        record = take_step(config, self._players, batch, iteration=iteration, fabric=self._fabric, weighs_terms=weighs)
        if record.was_applied:
            average.update(self._players.model, batch=config.batch, images_seen=images_seen)
        self.skipped_in_a_row = 0 if record.was_applied else self.skipped_in_a_row + 1
        return record


def captured_step(
    config: TrainConfig, players: Players, example: Pair, *, fabric: Fabric, say: Callable[[str], None]
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
        )
    except (RuntimeError, ConfigError) as error:  # the second: what a part of the user's own raised
        say(f"the step could not be captured as a CUDA graph, so it takes longer: {error}")
        return None


def take_step(
    config: TrainConfig, players: Players, batch: Batch, *, iteration: int, fabric: Fabric, weighs_terms: bool = False
) -> StepRecord:
    """Take a step: a round of the game, or on the content loss alone while it warms up or where nothing else counts."""
    objective = config.objective
    is_warming_up = iteration < config.adversary.warmup_iterations
    if is_warming_up:
        objective = replace(objective, perceptual=0.0, texture=0.0, adversarial=0.0)
    if is_warming_up or (players.discriminator is None and players.features is None):
        return content_step(
            fabric, players.generator, batch.pair, objective=objective, known=batch.known, weighs_terms=weighs_terms
        )
    return game_step(
        fabric,
        players.generator,
        players.discriminator,
        batch,
        objective=objective,
        features=players.features,
        discriminator_updates=config.adversary.updates,
        is_conditional=config.adversary.discriminator.conditional,
        weighs_terms=weighs_terms,
    )
