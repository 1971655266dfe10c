"""Training a density by likelihood: batches, gradients in shards, the optimiser and its falling rate.

A batch is cut into shards, the same ones whoever computes them. Their gradients go through a
callable, which may spread them over ranks, and are summed in the order of the shards: any
number of ranks ends with the same bits, where all ranks have the same kind of processor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress_mpi.models.arrays import load_module, load_optimizer, module_arrays, optimizer_arrays
from compress_mpi.models.training import Arrays, prefixed, stripped

__all__ = ["Combine", "LikelihoodLearner", "in_turn", "plateau"]

Combine = Callable[[Callable[[int], NDArray[Any]], Sequence[int]], Sequence[NDArray[Any]]]
"""``combine(function, numbers)``: results of the function in the order of the numbers, on every rank."""

_LEAST = 256  # rows of a shard: cutting finer costs more than it gains
_JUDGED = 32768  # rows whose loss is computed together
_COUNTERS = ("best", "num_bad_epochs", "last_epoch")


def in_turn(function: Callable[[int], NDArray[Any]], numbers: Sequence[int]) -> list[NDArray[Any]]:
    """All shards here, one after the other."""
    return [function(number) for number in numbers]


def plateau(
    patience: int, factor: float, floor: float
) -> Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.ReduceLROnPlateau]:
    """The published schedule: the rate falls when the validation loss has not fallen for a while."""
    return lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, patience=patience, factor=factor, min_lr=floor
    )


class LikelihoodLearner:
    """A density, its optimiser and its data, as the training loop wants them.

    Parameters
    ----------
    train, validation : floating (n, features)
        Rows to learn from, and rows to judge by.
    flow : torch.nn.Module
        On its device.
    loss : callable
        Mean negative log-likelihood of a tensor of rows, differentiable with respect to the module's weights.
    optimizer : torch.optim.Optimizer
        Of all weights of the module.
    batch : int
        Rows of one step.
    steepest : float, optional
        Norm at which gradients are cut.
    schedule : callable, optional
        See :func:`plateau`.
    shards : int
        Parts of a batch.
    combine : callable, optional
        See :data:`Combine`; default: :func:`in_turn`.
    """

    def __init__(
        self,
        train: NDArray[np.floating],
        validation: NDArray[np.floating],
        flow: nn.Module,
        loss: Callable[[torch.Tensor], torch.Tensor],
        optimizer: torch.optim.Optimizer,
        batch: int,
        *,
        steepest: float | None = None,
        schedule: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.ReduceLROnPlateau] | None = None,
        shards: int = 1,
        combine: Combine | None = None,
    ) -> None:
        self.flow, self._loss, self._optimizer = flow, loss, optimizer
        self._parameters = list(flow.parameters())
        first = self._parameters[0]
        self._train, self._validation = (
            torch.tensor(rows, dtype=first.dtype, device=first.device) for rows in (train, validation)
        )
        self._batch, self._steepest, self._shards = batch, steepest, shards
        self._combine = combine or in_turn
        self._schedule = schedule(optimizer) if schedule is not None else None

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def epoch(self, rng: np.random.Generator) -> dict[str, float]:
        """Once through the rows; mean negative log-likelihoods ``train`` and ``validation``."""
        order = torch.tensor(rng.permutation(len(self._train)), device=self._train.device)
        losses = np.array([self._step(self._train[rows]) for rows in order.split(self._batch)])
        judged = self._judge()
        if self._schedule is not None:
            self._schedule.step(judged)
        return {"train": float(torch.tensor(losses).mean()), "validation": judged}

    def weights(self) -> Arrays:
        """The flow."""
        return prefixed("flow", module_arrays(self.flow))

    def state(self) -> Arrays:
        """The flow, its optimiser and the counters of the schedule."""
        state = {**self.weights(), **prefixed("optimizer", optimizer_arrays(self._optimizer))}
        if self._schedule is not None:
            state |= {f"schedule/{name}": np.array(getattr(self._schedule, name)) for name in _COUNTERS}
            state["schedule/rate"] = np.array(self.rate)
        return state

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put :meth:`state` back."""
        load_module(self.flow, stripped("flow", state))
        load_optimizer(self._optimizer, stripped("optimizer", state))
        if self._schedule is not None:
            for name in _COUNTERS:
                setattr(self._schedule, name, state[f"schedule/{name}"].item())
            self._optimizer.param_groups[0]["lr"] = float(state["schedule/rate"])

    def _step(self, rows: torch.Tensor) -> np.floating:
        shards = rows.chunk(max(1, min(self._shards, len(rows) // _LEAST)))
        parts = self._combine(lambda number: self._part(shards[number], len(rows)), range(len(shards)))
        total = _summed(parts)
        gradients = torch.tensor(total[:-1], device=rows.device).split([p.numel() for p in self._parameters])
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient.reshape(parameter.shape)
        if self._steepest is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._steepest)
        self._optimizer.step()
        loss: np.floating = total[-1]
        return loss

    def _part(self, rows: torch.Tensor, n: int) -> NDArray[Any]:
        """Gradient of a shard's share of the loss of ``n`` rows, and at the end that share."""
        loss = self._loss(rows) * (len(rows) / n)
        gradients = torch.autograd.grad(loss, self._parameters)
        part: NDArray[Any] = torch.cat([*map(torch.flatten, gradients), loss.detach()[None]]).cpu().numpy()
        return part

    def _judge(self) -> float:
        n, blocks = len(self._validation), self._validation.split(_JUDGED)
        with torch.no_grad():
            parts = self._combine(
                lambda number: (self._loss(blocks[number]) * (len(blocks[number]) / n)).cpu().numpy(),
                range(len(blocks)),
            )
        return float(_summed(parts))


def _summed(parts: Sequence[NDArray[Any]]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
