r"""Distances between the distributions of two sets.

Kolmogorov-Smirnov compares one value at a time and all of its distribution;
Frechet compares a whole function of x, but only its mean and covariance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["frechet_distance", "frechet_distances_to", "ks_distance", "over_random_subsets"]


def ks_distance(first: FloatArray, second: FloatArray) -> FloatArray:
    r"""Largest difference between two empirical distribution functions.

    .. math:: D = \sup_v |F_1(v) - F_2(v)|

    the two-sample statistic of Kolmogorov and Smirnov. It is not the estimator
    of the ERF, which counts replicas in six regions.

    Parameters
    ----------
    first : float64 (replica, ...)
    second : float64 (replica, ...)
        Another number of replicas is fine; the other axes are the same.

    Returns
    -------
    float64 (...)
        Between 0 (equal) and 1 (disjoint).
    """
    shape = first.shape[1:]
    a = np.sort(first.reshape(len(first), -1), axis=0)
    b = np.sort(second.reshape(len(second), -1), axis=0)
    found = [_ks(x, y) for x, y in zip(a.T, b.T, strict=True)]
    return np.array(found, dtype=np.float64).reshape(shape)


def _ks(a: FloatArray, b: FloatArray) -> float:
    # the difference only changes at a value of either set, and there it is that from the right
    values = np.concatenate([a, b])
    below_a = np.searchsorted(a, values, side="right") / len(a)
    below_b = np.searchsorted(b, values, side="right") / len(b)
    return float(np.abs(below_a - below_b).max())


def frechet_distance(first: FloatArray, second: FloatArray) -> float:
    r"""Squared Frechet distance between the Gaussians with the moments of two sets.

    .. math:: d^2 = |m_1 - m_2|^2 + \mathrm{tr}\left(C_1 + C_2 - 2 (C_1 C_2)^{1/2}\right)

    with covariances of divisor N - 1 (Dowson and Landau, J. Multivariate Anal. 12 (1982) 450), called
    Frechet inception distance in :cite:`Carrazza:2021hny`. The trace of the root is the sum of the
    singular values of :math:`R_1 R_2^T` with :math:`C_i = R_i^T R_i`; this keeps the digits that a
    matrix square root loses where a covariance is singular, as it is for fewer replicas than points.

    Parameters
    ----------
    first, second : float64 (replica, point)
        At least two replicas each.

    Returns
    -------
    float
        In the square of the values' units; 0 for equal moments.

    Raises
    ------
    ValueError
        If a set has fewer than two replicas.
    """
    return _between(_Moments(first.mean(axis=0), _root(first)), second)


class _Moments(NamedTuple):
    """Mean, float64 ``(point,)``, and root of the covariance of a set."""

    mean: FloatArray
    root: FloatArray


def _between(first: _Moments, second: FloatArray) -> float:
    root = _root(second)
    shift = first.mean - second.mean(axis=0)
    overlap = np.linalg.svd(first.root @ root.T, compute_uv=False).sum()
    return max(float(shift @ shift + np.sum(first.root**2) + np.sum(root**2) - 2.0 * overlap), 0.0)


def _root(replicas: FloatArray) -> FloatArray:
    """R with R^T R the covariance, float64 ``(min(replica, point), point)``."""
    if len(replicas) < 2:
        raise ValueError(f"a covariance needs two replicas or more, got {len(replicas)}")
    centred = (replicas - replicas.mean(axis=0)) / np.sqrt(len(replicas) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"), dtype=np.float64)


def frechet_distances_to(first: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """A function that gives the squared Frechet distance of every flavour to one set.

    The moments of that set, often the larger one, are formed once.

    Parameters
    ----------
    first : float64 (replica, flavour, x)

    Returns
    -------
    callable
        From float64 ``(replica, flavour, x)`` to float64 ``(flavour,)``.
    """
    moments = [_Moments(first[:, f].mean(axis=0), _root(first[:, f])) for f in range(first.shape[1])]

    def measure(second: FloatArray) -> FloatArray:
        return np.array([_between(one, second[:, f]) for f, one in enumerate(moments)])

    return measure


def over_random_subsets(
    prior: FloatArray,
    n_rep: int,
    trials: int,
    rng: np.random.Generator,
    measure: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    """A distance for random subsets of a prior, the scale on which a compressed set is judged.

    Parameters
    ----------
    prior : float64 (replica, ...)
    n_rep : int
        Size of a subset; its members are distinct.
    trials : int
    rng : numpy.random.Generator
    measure : callable
        From a subset, float64 ``(n_rep, ...)``, to distances of any fixed shape.

    Returns
    -------
    float64 (trials, ...)
    """
    return np.stack(
        [measure(prior[rng.choice(len(prior), n_rep, replace=False)]) for _ in range(trials)], axis=0
    )
