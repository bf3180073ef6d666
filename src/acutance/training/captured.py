"""A content step as one CUDA graph: forward, backward, the optimisers and the average, with nothing read back.

Launched from Python, a step of a small network is two thousand kernels that a GPU waits for. Captured, they are one
launch. What changes from step to step (the batch, the learning rates, the average's share) lies in tensors that are
written before the launch; whether the loss and the gradient were finite is decided on the device, where a step that is
not applied changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from acutance.losses.objective import ObjectiveConfig, generator_loss
from acutance.networks.any_generator import AnyGenerator
from acutance.training.batch import Batch, Told, parts_of
from acutance.training.ema import WeightAverage
from acutance.training.guides import restored_by
from acutance.training.optimizers import PEAK
from acutance.training.step_record import StepRecord, energies

WARM_UP_STEPS = 3
"""Steps before the capture, at no learning rate: kernels are chosen and memory is laid out then."""


class CapturedStep:
    """Takes content steps on a CUDA device; made once, for batches of one shape."""

    def __init__(
        self,
        model: AnyGenerator,
        average: WeightAverage[AnyGenerator],
        optimizers: Sequence[torch.optim.Optimizer],
        objective: ObjectiveConfig,
        example: Batch,
        *,
        is_bfloat16: bool,
        parts: int = 1,
    ) -> None:
        """Capture a step; weights, moments and the average stay as they are.

        Args:
            model: The generator, on the device.
            average: Of its weights.
            optimizers: Of its weights, from `build_optimizers`.
            objective: Of content alone.
            example: A batch; later ones have its shapes.
            is_bfloat16: Whether the network computes in bfloat16.
            parts: The batch goes through the network in so many parts, whose gradients are added up.

        Raises:
            RuntimeError: When CUDA cannot capture it.
        """
        self._model, self._average, self._optimizers = model, average, optimizers
        self._objective, self._is_bfloat16, self._parts = objective, is_bfloat16, parts
        device = example.pair[0].device
        degraded, reference = (images.clone(memory_format=torch.channels_last) for images in example.pair)
        told = None if example.told is None else Told(*(values.clone() for values in example.told))
        self._batch = Batch((degraded, reference), told=told)
        self._average_share = torch.zeros((), device=device)
        self._rates = [torch.zeros((), device=device) for _ in optimizers]
        self._found_inf = torch.zeros((), device=device)
        self._skipped_in_a_row = torch.zeros((), device=device)
        for optimizer, rate in zip(optimizers, self._rates, strict=True):
            (group,) = optimizer.param_groups
            group["lr"], group["capturable"] = rate, True
            optimizer.found_inf = self._found_inf  # type: ignore[attr-defined] # torch's fused Adam asks for it
        before = [_moments(optimizer, copied=True) for optimizer in optimizers]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        self._clear_gradients()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._figures, self._names = self._step()
        for optimizer, known in zip(optimizers, before, strict=True):
            for place, moment in _moments(optimizer).items():
                moment.copy_(known[place]) if place in known else moment.zero_()
        self._skipped_in_a_row.zero_()

    @property
    def skipped_in_a_row(self) -> int:
        """How many steps, up to the last, had no finite loss or gradient and were not applied; waits for the device."""
        return int(self._skipped_in_a_row)

    def take(self, batch: Batch, *, rate_share: float, average_share: float) -> StepRecord:
        """Take a step; returns before it is done.

        Args:
            batch: Of the example's shapes.
            rate_share: Of each learning rate's height.
            average_share: By which the averaged weights move towards the new ones.

        Returns:
            What the step gave.
        """
        for static, new in zip(self._batch.pair, batch.pair, strict=True):
            static.copy_(new)
        if self._batch.told is not None and batch.told is not None:
            for static, new in zip(self._batch.told, batch.told, strict=True):
                static.copy_(new)
        for optimizer, rate in zip(self._optimizers, self._rates, strict=True):
            rate.fill_(rate_share * optimizer.param_groups[0][PEAK])
        self._average_share.fill_(average_share)
        self._graph.replay()
        norm, ratio, *terms = self._figures.clone().unbind()
        return StepRecord(dict(zip(self._names, terms, strict=True)), norm, self._found_inf == 0, ratio)

    def _step(self) -> tuple[Float[Tensor, " figures"], list[str]]:
        """Do all that a step does, on the static tensors."""
        self._clear_gradients()
        figures: list[Tensor] = []
        names: list[str] = []
        for part in parts_of(self._batch, self._parts):
            reference = part.pair[1]
            with torch.autocast("cuda", torch.bfloat16, enabled=self._is_bfloat16, cache_enabled=False):
                restored = restored_by(self._model, part).float()
            loss = generator_loss(self._objective, restored, reference)
            (loss.total / self._parts).backward()  # type: ignore[no-untyped-call]
            of_terms = [loss.total.detach(), *(term.detach() for term in loss.terms.values())]
            figures.append(torch.cat([energies(restored.detach(), reference), torch.stack(of_terms)]))
            names = list(loss.terms)
        means = torch.stack(figures).mean(dim=0)
        weights: list[Tensor] = list(self._model.parameters())
        norm = torch.nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        is_finite = torch.isfinite(norm) & torch.isfinite(means[2])
        self._found_inf.copy_(1.0 - is_finite.float())
        self._skipped_in_a_row.add_(1.0).mul_(self._found_inf)
        for optimizer in self._optimizers:
            optimizer.step()
        self._average.move(self._model, self._average_share * (1.0 - self._found_inf))
        ratio = means[0] / means[1].clamp_min(1e-12)
        return torch.cat([torch.stack([norm, ratio]), means[3:]]), names

    def _clear_gradients(self) -> None:
        for weight in self._model.parameters():
            weight.grad = None


def _moments(optimizer: torch.optim.Optimizer, *, copied: bool = False) -> dict[tuple[int, str], Tensor]:
    """Return the tensors that an optimiser keeps, by the number of the parameter and their name."""
    (group,) = optimizer.param_groups
    return {
        (number, name): value.clone() if copied else value
        for number, parameter in enumerate(group["params"])
        for name, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }
