r"""The way down: Adam on unbounded coordinates of a bounded displacement.

Source: D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, arXiv:1412.6980, Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from compress_mpi.methods.polish.objective import Loss
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.types import FloatArray

__all__ = ["Adam", "Descent", "descend"]

_LAST_RATE = 0.01
"""Learning rate at the end, as a fraction of that at the beginning."""


@dataclass
class Adam:
    """Steps scaled by running averages of the gradient and its square.

    Attributes
    ----------
    first, second : float64 (any shape)
        The averages; they start at zero.
    count : int
        Steps so far.
    """

    first: FloatArray
    second: FloatArray
    count: int = 0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-12

    def step(self, gradient: FloatArray, rate: float) -> FloatArray:
        """What to add to the coordinates."""
        self.count += 1
        self.first += (1.0 - self.beta1) * (gradient - self.first)
        self.second += (1.0 - self.beta2) * (gradient * gradient - self.second)
        unbiased = np.sqrt(self.second / (1.0 - self.beta2**self.count)) + self.epsilon
        return -rate / (1.0 - self.beta1**self.count) * self.first / unbiased


class Descent(NamedTuple):
    """Where a descent has come to.

    Attributes
    ----------
    displacement : float64 (replica, component)
        That of the lowest exact loss.
    exact : float
        This loss.
    erf : float
        The error function there.
    curve : float64 (steps + 1,)
        Error function along the way, exact counts.
    """

    displacement: FloatArray
    exact: float
    erf: float
    curve: FloatArray


def descend(
    objective: Callable[[FloatArray, float], Loss], start: FloatArray, settings: PolishSettings
) -> Descent:
    r"""Minimise over :math:`\delta = r \tanh(v)`.

    Parameters
    ----------
    objective : callable
        Of displacement and width, see ``Objective``.
    start : float64 (replica, component)
        Unbounded coordinates v to begin with.
    settings : PolishSettings
    """
    v, radius = start.copy(), settings.radius
    adam = Adam(np.zeros_like(v), np.zeros_like(v))
    best, lowest, erf = radius * np.tanh(v), np.inf, np.inf
    curve = np.empty(settings.steps + 1)
    for step in range(settings.steps + 1):
        along = step / settings.steps
        unit = np.tanh(v)
        loss = objective(radius * unit, settings.width[0] * (settings.width[1] / settings.width[0]) ** along)
        curve[step] = loss.erf
        if loss.exact < lowest:
            best, lowest, erf = radius * unit, loss.exact, loss.erf
        rate = settings.learning_rate * (_LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1.0 + np.cos(np.pi * along)))
        v += adam.step(loss.gradient * radius * (1.0 - unit * unit), rate)
    return Descent(best, lowest, erf, curve)
