"""How far values may go, and hinges beyond.

No value should leave the prior's envelope, nor become negative where the prior hardly ever is. But what a replica
had when it was selected it may keep: the limits of each value include its start.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compress_mpi.methods.polish.target import Target
from compress_mpi.types import FloatArray

__all__ = ["Limits", "limit_term", "limits_of", "worst_excess"]


class Limits(NamedTuple):
    """Between what each value should stay, in units of the prior.

    Attributes
    ----------
    low, high : float64 (replica, point)
    """

    low: FloatArray
    high: FloatArray


def limits_of(start: FloatArray, target: Target) -> Limits:
    """Envelope and positivity of the prior, widened to hold the start, float64 ``(replica, point)``."""
    low = np.maximum(target.lowest, target.zero)
    return Limits(np.minimum(low, start), np.maximum(target.highest, start))


def limit_term(y: FloatArray, limits: Limits) -> tuple[float, FloatArray]:
    """Mean excess over all values, in standard deviations of the prior.

    Parameters
    ----------
    y : float64 (replica, point)
        In units of the prior.

    Returns
    -------
    excess : float
    gradient : float64 (replica, point)
    """
    above, below = y - limits.high, limits.low - y
    slope = (above > 0).astype(np.float64)
    slope -= below > 0
    return float(np.maximum(np.maximum(above, below), 0.0).sum()) / y.size, slope / y.size


def worst_excess(y: FloatArray, limits: Limits) -> FloatArray:
    """Largest excess of every replica in standard deviations of the prior, float64 ``(replica,)``."""
    return np.maximum(np.maximum(y - limits.high, limits.low - y), 0.0).max(axis=1, initial=0.0)
