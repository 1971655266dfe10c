"""Central values and uncertainties of a set, with and without the Gaussian assumption."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["CENTRAL_68", "Bands", "bands", "identical_flavours", "relative_to"]

CENTRAL_68 = (0.16, 0.84)
"""Quantiles at the edges of the central 68 % interval."""


@dataclass(frozen=True)
class Bands:
    """What a figure shows of a set at every point.

    Attributes
    ----------
    mean, stdev : float64 (...)
        Over replicas; divisor N - 1.
    low, high : float64 (...)
        Edges of the central 68 % interval.
    """

    mean: FloatArray
    stdev: FloatArray
    low: FloatArray
    high: FloatArray


def bands(replicas: FloatArray) -> Bands:
    """Mean, standard deviation and central 68 % interval.

    Quantiles interpolate linearly between order statistics: at N = 20 the edges
    would otherwise jump by a whole replica.

    Parameters
    ----------
    replicas : float64 (replica, ...)
        At least two replicas.

    Returns
    -------
    Bands
        Arrays of the shape without the replica axis.

    Raises
    ------
    ValueError
        If there are fewer than two replicas.
    """
    if len(replicas) < 2:
        raise ValueError(f"bands need two replicas or more, got {len(replicas)}")
    low, high = np.quantile(replicas, CENTRAL_68, axis=0)
    return Bands(replicas.mean(axis=0), replicas.std(axis=0, ddof=1), low, high)


def relative_to(band: Bands, reference: FloatArray) -> Bands:
    """Bands divided by a central value.

    Parameters
    ----------
    band : Bands
    reference : float64 (...)
        Mean of the prior; same units as the band.

    Returns
    -------
    Bands
        Dimensionless. NaN where the reference is zero, so that a figure has a gap there. The standard
        deviation and the order of the edges stay positive where the reference is negative.
    """
    divisor = np.where(reference == 0, np.nan, reference)
    edges = band.low / divisor, band.high / divisor
    return Bands(band.mean / divisor, band.stdev / np.abs(divisor), np.fmin(*edges), np.fmax(*edges))


def identical_flavours(replicas: FloatArray, tolerance: float = 1e-6) -> list[list[int]]:
    """Flavours that are the same function in every replica, such as charm and anticharm in many sets.

    Parameters
    ----------
    replicas : float64 (replica, flavour, x)
    tolerance : float
        Largest difference, relative to the largest value of the flavour.

    Returns
    -------
    list of list of int
        Groups of positions on the flavour axis, in the order of their first members.
    """
    groups: list[list[int]] = []
    for flavour in range(replicas.shape[1]):
        values = replicas[:, flavour]
        scale = tolerance * np.abs(values).max(initial=0.0)
        same = (g for g in groups if np.abs(replicas[:, g[0]] - values).max(initial=0.0) <= scale)
        group = next(same, None)
        if group is None:
            groups.append([flavour])
        else:
            group.append(flavour)
    return groups
