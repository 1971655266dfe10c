r"""Which points make up a distance.

A distance is a sum of :math:`((f - g)/g)^2`, so a point whose prior value g is nearly
zero may outweigh all others. The definition keeps it; these functions name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from compress_mpi.methods.selection import estimators as est
from compress_mpi.types import FloatArray

__all__ = ["Contributions", "WorstPoint", "contributions", "worst_points"]


@dataclass(frozen=True)
class Contributions:
    """One estimator at every point.

    Attributes
    ----------
    prior, subset : float64 (flavour, x) or (flavour, x, region)
        The estimator of either set.
    terms : float64, same shape
        What each point adds to the unnormalised distance; 0 where it is left out.
    """

    prior: FloatArray
    subset: FloatArray
    terms: FloatArray


class WorstPoint(NamedTuple):
    """A point that dominates a distance.

    Attributes
    ----------
    flavour, x : int
        Positions.
    region : int or None
        Of the Kolmogorov-Smirnov estimator, counted from 0.
    prior, subset : float
        The estimator of either set.
    share : float
        Of the distance, 0 to 1.
    """

    flavour: int
    x: int
    region: int | None
    prior: float
    subset: float
    share: float


def contributions(
    subset: FloatArray, name: str, reference: Mapping[str, FloatArray], constant: np.ndarray
) -> Contributions:
    """Terms of the distance of one estimator.

    Parameters
    ----------
    subset : float64 (replica, flavour, x)
    name : str
        Any estimator but ``correlation``, whose distance is no sum over points.
    reference : mapping of float64
        Estimators of the prior by name, as in ``error_function.Reference.values``.
    constant : bool (flavour, x)
        Points that are left out.

    Raises
    ------
    ValueError
        For ``correlation``.
    """
    if name == est.CORRELATION:
        raise ValueError("the distance of 'correlation' is a trace, not a sum over points")
    g = reference[name]
    f = _estimate(subset, name)
    left_out = np.broadcast_to(constant.reshape(constant.shape + (1,) * (g.ndim - 2)), g.shape) | (g == 0)
    terms = np.divide(f - g, g, out=np.zeros_like(g), where=~left_out) ** 2
    return Contributions(g, f, terms)


def _estimate(replicas: FloatArray, name: str) -> FloatArray:
    if name == est.KOLMOGOROV_SMIRNOV:
        return est.region_fractions(replicas)
    order = est.MOMENT_ORDER[name]
    return {1: est.mean, 2: est.stdev}[order](replicas) if order < 3 else est.central_moment(replicas, order)


def worst_points(found: Contributions, count: int) -> list[WorstPoint]:
    """Points with the largest terms, the worst first.

    Parameters
    ----------
    found : Contributions
    count : int
        At most; points that add nothing are not listed.
    """
    total = float(found.terms.sum())
    order = np.argsort(found.terms, axis=None, kind="stable")[::-1][:count]
    worst = []
    for flat in order:
        place = tuple(int(k) for k in np.unravel_index(flat, found.terms.shape))
        if found.terms[place] == 0:
            break
        region = place[2] if len(place) == 3 else None
        share = float(found.terms[place]) / total
        values = float(found.prior[place]), float(found.subset[place])
        worst.append(WorstPoint(place[0], place[1], region, *values, share))
    return worst
