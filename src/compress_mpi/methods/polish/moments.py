"""Distances of the moments, and how they change with the values."""

from __future__ import annotations

import numpy as np

from compress_mpi.methods.polish.standard import Standard
from compress_mpi.methods.polish.target import Target
from compress_mpi.types import FloatArray

__all__ = ["mean_term", "moment_terms", "spread_term"]


def mean_term(subset: Standard, target: Target) -> tuple[float, FloatArray]:
    """Distance of the mean.

    Returns
    -------
    distance : float
    gradient : float64 (point,)
        With respect to any of the values at a point: it is the same for all.
    """
    difference = target.mean_scale * subset.mean
    return float(difference @ difference), 2.0 * difference * target.mean_scale / len(subset.y)


def spread_term(subset: Standard) -> tuple[float, FloatArray]:
    """Distance of the standard deviation.

    Returns
    -------
    distance : float
    gradient : float64 (point,)
        With respect to the values, divided by ``u``.
    """
    difference = subset.spread - 1.0
    return float(difference @ difference), 2.0 * difference / (len(subset.y) - 1)


def moment_terms(
    subset: Standard, target: Target, weights: dict[int, float]
) -> tuple[dict[int, float], FloatArray]:
    r"""Distances of the standardised moments :math:`\mu_n = \langle u^n \rangle`.

    Parameters
    ----------
    weights : dict of order to float
        Of each distance in the gradient.

    Returns
    -------
    distances : dict of order to float
    gradient : float64 (replica, point)
        Of their weighted sum with respect to ``u``.
    """
    u, found = subset.u, {}
    gradient = np.zeros_like(u)
    power = u * u  # u^(n - 1)
    for order in range(3, max(weights, default=0) + 1):
        if order in weights:
            wanted, inverse = target.moments[order]
            difference = (np.einsum("kp,kp->p", power, u) / len(u) - wanted) * inverse
            found[order] = float(difference @ difference)
            gradient += (2.0 * order * weights[order] / len(u)) * difference * inverse * power
        power = power * u
    return found, gradient
