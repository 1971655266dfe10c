r"""Squared Wasserstein distance of the marginals from the prior's.

At one point, the nearest N values to a distribution are, sorted, the averages of its quantile function over the
intervals :math:`[(k-1)/N, k/N]`; ``target.quantiles`` has them.
"""

from __future__ import annotations

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["marginal_distance", "marginal_term", "prior_quantiles"]


def marginal_distance(y: FloatArray, quantiles: FloatArray) -> float:
    """Mean over replicas and sum over points of the squared distance; arguments as in ``marginal_term``."""
    return float(np.sum((np.sort(y.T, axis=1) - quantiles) ** 2)) / len(y)


def marginal_term(y: FloatArray, quantiles: FloatArray) -> tuple[float, FloatArray]:
    """The same with its gradient.

    Parameters
    ----------
    y : float64 (replica, point)
        In units of the prior.
    quantiles : float64 (point, replica)
        Increasing along replicas.

    Returns
    -------
    distance : float
    gradient : float64 (replica, point)
    """
    n_rep = len(y)
    columns = np.ascontiguousarray(y.T)
    order = np.argsort(columns, axis=1, kind="stable")
    difference = np.take_along_axis(columns, order, axis=1) - quantiles
    gradient = np.empty_like(columns)
    np.put_along_axis(gradient, order, (2.0 / n_rep) * difference, axis=1)
    return float(np.sum(difference**2)) / n_rep, gradient.T


def prior_quantiles(y: FloatArray, n_select: int) -> FloatArray:
    """Averages of the quantile function over N equal intervals of probability.

    Parameters
    ----------
    y : float64 (prior replica, point)
    n_select : int
        N.

    Returns
    -------
    float64 (point, N)
    """
    n_prior = len(y)
    integral = np.zeros((y.shape[1], n_prior + 1))
    np.cumsum(np.sort(y, axis=0).T, axis=1, out=integral[:, 1:])
    # the quantile function is constant between k / R, so its integral is linear there
    position = np.arange(n_select + 1) * (n_prior / n_select)
    left = np.minimum(position.astype(np.int64), n_prior - 1)
    step = position - left
    edges = integral[:, left] + step * (integral[:, left + 1] - integral[:, left])
    return np.ascontiguousarray(np.diff(edges, axis=1) * (n_select / n_prior))
