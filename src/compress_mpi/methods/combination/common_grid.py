"""One grid of knots for sets that have different ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["common_q", "common_x"]

_LEAST = 4
"""Knots that a cubic interpolation needs."""
_SAME = 1e-6
"""Relative distance below which two scales are one threshold, rounded differently."""
_CLOSE = 0.2
"""Of the distance to the next knot: one that is closer than that to an end of the range is left out."""


def common_x(sets: Sequence[FloatArray]) -> FloatArray:
    """x knots of the finest set, inside the range that all sets cover.

    Parameters
    ----------
    sets : sequence of float64 (nx,)
        Increasing x knots of every set.

    Returns
    -------
    float64 (nx,)
        Those of the set with the most knots in the common range, the first of several alike; the ends of the
        range are among them.

    Raises
    ------
    ValueError
        If the ranges do not overlap.
    """
    low, high = max(x[0] for x in sets), min(x[-1] for x in sets)
    if low >= high:
        raise ValueError("their ranges in x do not overlap")
    return _finest(sets, low, high)


def common_q(sets: Sequence[Sequence[FloatArray]]) -> list[FloatArray]:
    """Q knots of a common grid, subgrid by subgrid.

    A subgrid ends wherever one of the sets has a threshold, so that no interpolation runs over one.

    Parameters
    ----------
    sets : sequence of (sequence of float64 (nq,))
        Q knots in GeV of every subgrid of every set; a subgrid begins where the one before ends.

    Returns
    -------
    list of float64 (nq,)
        In each subgrid the knots of the set that has most there, the first of several alike.

    Raises
    ------
    ValueError
        If the ranges do not overlap.
    """
    low, high = max(q[0][0] for q in sets), min(q[-1][-1] for q in sets)
    if low >= high * (1 - _SAME):
        raise ValueError("their ranges in Q do not overlap")
    ends = _distinct(sorted({float(grid[0]) for q in sets for grid in q[1:]}), low, high)
    knots = [np.unique(np.concatenate(list(q))) for q in sets]
    return [_finest(knots, a, b) for a, b in pairwise([low, *ends, high])]


def _distinct(thresholds: list[float], low: float, high: float) -> list[float]:
    """Thresholds well inside the range and apart from each other."""
    kept = [low]
    for q in thresholds:
        if q > kept[-1] * (1 + _SAME) and q < high * (1 - _SAME):
            kept.append(q)
    return kept[1:]


def _finest(sets: Sequence[FloatArray], low: float, high: float) -> FloatArray:
    inside = [knots[(knots > low) & (knots < high)] for knots in sets]
    chosen = max(range(len(sets)), key=lambda k: len(inside[k]))
    own, middle = sets[chosen], inside[chosen]
    # an end of another set may fall close to a knot of this one
    if low not in own and _crowded(low, middle[:2]):
        middle = middle[1:]
    if high not in own and _crowded(high, middle[:-3:-1]):
        middle = middle[:-1]
    full = np.concatenate([[low], middle, [high]])
    return full if len(full) >= _LEAST else np.geomspace(low, high, _LEAST)


def _crowded(end: float, neighbours: FloatArray) -> bool:
    """Whether an end is far closer to its neighbour than that is to the next knot."""
    if len(neighbours) < 2:
        return False
    near, far = neighbours
    return bool(abs(np.log(near / end)) < _CLOSE * abs(np.log(far / near)))
