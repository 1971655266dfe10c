"""How far re-evolved replicas are from those of the set they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["Shift", "is_noticeable", "shifts"]

NOTICEABLE = 0.1
"""Median shift, in standard deviations of the replicas, from which on it has to be told."""


@dataclass(frozen=True)
class Shift:
    """Re-evolved minus original mean of one flavour at one scale, over the x nodes.

    Attributes
    ----------
    pid : int
    q : float
        GeV.
    percent : float
        Median of its size, relative to the mean.
    deviations, worst : float
        Median and largest size in standard deviations of the replicas.
    """

    pid: int
    q: float
    percent: float
    deviations: float
    worst: float


def shifts(pids: Sequence[int], q: float, original: FloatArray, evolved: FloatArray) -> list[Shift]:
    """Shift of every flavour that the replicas spread in.

    Parameters
    ----------
    pids : sequence of int
    q : float
        GeV.
    original, evolved : float64 (n, len(pids), nx)
        The same replicas; ten or more for a spread that means something.

    Returns
    -------
    list of Shift
        In the order of ``pids``. Nodes at which the replicas agree to nine digits, such as x = 1,
        are left out, and so are flavours without others.
    """
    mean, spread = original.mean(axis=0), original.std(axis=0)
    moved = np.abs(evolved.mean(axis=0) - mean)
    found = []
    for row, pid in enumerate(pids):
        use = spread[row] > 1e-9 * np.abs(mean[row]).max()
        if use.any():
            relative = moved[row, use] / spread[row, use]
            percent = 100 * np.median(moved[row, use] / np.abs(mean[row, use]))
            found.append(Shift(pid, q, float(percent), float(np.median(relative)), float(relative.max())))
    return found


def is_noticeable(found: Sequence[Shift]) -> bool:
    """Whether any flavour has moved by more than a tenth of a standard deviation (median over x)."""
    return any(shift.deviations > NOTICEABLE for shift in found)
