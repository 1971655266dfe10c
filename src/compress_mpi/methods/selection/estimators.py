r"""The statistical estimators, in plain NumPy and in the words of the papers.

These functions are the judge: the compiled kernel is tested against them and the
numbers in a result file come from them. A set of replicas is float64
``(replica, flavour, x)`` with values :math:`x f(x, Q_0)`.

Source: :cite:`Carrazza:2015hva`, Sec. 3.2.1; :cite:`Carrazza:2021hny`, Sec. 2.
"""

from __future__ import annotations

import numpy as np

from compress_mpi.types import ESTIMATOR_LISTS, ESTIMATORS, FloatArray, IntArray

__all__ = [
    "CORRELATION",
    "ESTIMATORS",
    "KOLMOGOROV_SMIRNOV",
    "MOMENT_ORDER",
    "N_REGIONS",
    "central_moment",
    "correlation_matrix",
    "independent_points",
    "mean",
    "region_fractions",
    "stdev",
]

MOMENT_ORDER = {name: order for order, name in enumerate(ESTIMATOR_LISTS["moment_estimators"], start=1)}
KOLMOGOROV_SMIRNOV = "kolmogorov_smirnov"
CORRELATION = "correlation"

N_REGIONS = 6


def mean(replicas: FloatArray) -> FloatArray:
    """Average over replicas, float64 ``(flavour, x)``."""
    return replicas.mean(axis=0)


def stdev(replicas: FloatArray) -> FloatArray:
    """Standard deviation with divisor N - 1, float64 ``(flavour, x)``."""
    return replicas.std(axis=0, ddof=1)


def central_moment(replicas: FloatArray, order: int) -> FloatArray:
    r"""Standardised moment :math:`\frac{1}{N}\sum_k (f_k - m)^n / s^n`, with s of divisor N - 1.

    Parameters
    ----------
    replicas : float64 (replica, flavour, x)
    order : int
        3 skewness, 4 kurtosis (3 for a Gaussian), 5, 6.

    Returns
    -------
    float64 (flavour, x)
        0 where all replicas have the same value, where the moment has no meaning.
    """
    m, s = _mean_and_stdev(replicas)
    moment = ((replicas - m) ** order).mean(axis=0)
    return np.divide(moment, s**order, out=np.zeros_like(moment), where=s > 0)


def _mean_and_stdev(replicas: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and spread, where the spread of equal values is 0 and not their rounding."""
    equal = replicas.max(axis=0) == replicas.min(axis=0)
    return np.where(equal, replicas[0], mean(replicas)), np.where(equal, 0.0, stdev(replicas))


def region_fractions(replicas: FloatArray, edge_tolerance: float = 0.0) -> FloatArray:
    """Fractions of replicas in the six regions of the Kolmogorov-Smirnov estimator.

    The regions are cut at m - 2s, m - s, m, m + s, m + 2s of the set itself; a
    value equal to an edge belongs to the lower region.

    Parameters
    ----------
    replicas : float64 (replica, flavour, x)
    edge_tolerance : float
        In units of s: values that exceed an edge by less count as equal to it. A
        mean over tabulated numbers often falls on one of them, and then rounding
        decides; 1e-12 takes rounding out of the decision.

    Returns
    -------
    float64 (flavour, x, 6)
    """
    m, s = _mean_and_stdev(replicas)
    edges = [m + (c + edge_tolerance) * s for c in (-2, -1, 0, 1, 2)]
    below = np.stack([(replicas <= edge).sum(axis=0) for edge in edges], axis=-1)
    n_rep = len(replicas)
    everything = np.full_like(below[..., :1], n_rep)
    nothing = np.zeros_like(everything)
    return np.diff(np.concatenate([nothing, below, everything], axis=-1), axis=-1) / n_rep


def correlation_matrix(points: FloatArray) -> FloatArray:
    r"""Correlation matrix :math:`C_{ab} = \frac{N}{N-1}\frac{<ab> - <a><b>}{s_a s_b}`.

    Evaluated from centred values: the difference in the formula loses seven
    digits where the spread is small against the mean.

    Parameters
    ----------
    points : float64 (replica, point)

    Returns
    -------
    float64 (point, point)
        Rows and columns of a point without spread are 0.
    """
    m, s = _mean_and_stdev(points)
    standard = np.divide(points - m, s, out=np.zeros_like(points), where=s > 0)
    return standard.T @ standard / (len(points) - 1)


def independent_points(correlation: FloatArray, tolerance: float = 1e-8) -> IntArray:
    """Points that may enter the inverse of a correlation matrix.

    The rank rule: walk through the points in their order and drop one if the
    points kept before it explain all but ``tolerance`` of its variance. Sets with
    charm equal to anticharm need it, and sets with fewer replicas than points.

    Parameters
    ----------
    correlation : float64 (point, point)
    tolerance : float
        Fraction of the variance; a point without spread explains itself.

    Returns
    -------
    int64 (kept,)
        Increasing.
    """
    residual = correlation.copy()
    kept = []
    for point in range(len(correlation)):
        if residual[point, point] > tolerance:
            kept.append(point)
            column = residual[:, point].copy()
            residual -= np.outer(column, column) / column[point]
    return np.array(kept, dtype=np.int64)
