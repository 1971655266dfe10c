r"""The error function (ERF): distance of a subset from the prior.

.. math::
   \mathrm{ERF} = \frac{1}{n_{est}} \sum_k \frac{D_k}{N_k}

with one distance :math:`D_k` per estimator and its normalisation :math:`N_k`
(:cite:`Carrazza:2015hva`, Eqs. 9-17).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.selection import estimators as est
from compress_mpi.types import FloatArray, IntArray

__all__ = ["Reference", "build_reference", "distances", "error_function"]


@dataclass(frozen=True)
class Reference:
    """What every subset is compared with: the estimators of the prior.

    Attributes
    ----------
    names : tuple of str
        Estimators that enter the ERF, in canonical order.
    values : dict of float64 (flavour, x) or (flavour, x, region)
        Prior estimators by name; the correlation is not among them.
    constant : bool (flavour, x)
        Points at which all prior replicas have the same value. No subset can
        differ from the prior there, so they are left out of every distance.
    points : int64 (kept, 2)
        (flavour, x) positions of the correlation points that passed the rank rule.
    dropped : int64 (n, 2)
        Those that did not.
    correlation, inverse : float64 (kept, kept)
        Correlation matrix P of the prior at ``points`` and its inverse.
    """

    names: tuple[str, ...]
    values: Mapping[str, FloatArray]
    constant: np.ndarray
    points: IntArray
    dropped: IntArray
    correlation: FloatArray
    inverse: FloatArray

    def correlation_points(self, replicas: FloatArray) -> FloatArray:
        """Values at the correlation points, float64 ``(replica, kept)``."""
        return replicas[:, self.points[:, 0], self.points[:, 1]]


def build_reference(prior: FloatArray, names: Sequence[str], nodes: IntArray) -> Reference:
    """Estimators of the prior.

    Parameters
    ----------
    prior : float64 (replica, flavour, x)
    names : sequence of str
        Some of ``ESTIMATORS``.
    nodes : int64 (5,)
        x positions of the correlation points, the same for every flavour.
    """
    ordered = tuple(name for name in est.ESTIMATORS if name in names)
    constant = prior.max(axis=0) == prior.min(axis=0)
    grid = np.array([(f, x) for f in range(prior.shape[1]) for x in nodes], dtype=np.int64).reshape(-1, 2)
    full = est.correlation_matrix(prior[:, grid[:, 0], grid[:, 1]])
    full[constant[grid[:, 0], grid[:, 1]]] = 0.0
    kept = est.independent_points(full)
    dropped = np.setdiff1d(np.arange(len(grid)), kept)
    matrix = full[np.ix_(kept, kept)]
    values = {name: _evaluate(prior, name) for name in ordered if name != est.CORRELATION}
    # the kernel works with standardised values and needs these two in any case
    values.setdefault("mean", est.mean(prior))
    values.setdefault("stdev", est.stdev(prior))
    return Reference(
        names=ordered,
        values=values,
        constant=constant,
        points=grid[kept],
        dropped=grid[dropped],
        correlation=matrix,
        inverse=np.linalg.inv(matrix).astype(np.float64),
    )


def _evaluate(replicas: FloatArray, name: str, edge_tolerance: float = 0.0) -> FloatArray:
    if name == "mean":
        return est.mean(replicas)
    if name == "stdev":
        return est.stdev(replicas)
    if name == est.KOLMOGOROV_SMIRNOV:
        return est.region_fractions(replicas, edge_tolerance)
    return est.central_moment(replicas, est.MOMENT_ORDER[name])


def distances(subset: FloatArray, reference: Reference, edge_tolerance: float = 0.0) -> FloatArray:
    r"""Unnormalised distance of every estimator.

    Moments and Kolmogorov-Smirnov: :math:`\sum ((f - g)/g)^2` over points (and
    regions), f of the subset and g of the prior, terms with g = 0 left out.
    Correlation: :math:`((\mathrm{tr}(C P^{-1}) - \mathrm{tr}(P P^{-1})) / \mathrm{tr}(P P^{-1}))^2`.

    Parameters
    ----------
    subset : float64 (replica, flavour, x)
    reference : Reference
    edge_tolerance : float
        See ``estimators.region_fractions``.

    Returns
    -------
    float64 (n_estimator,)
        In the order of ``reference.names``.
    """
    found = []
    for name in reference.names:
        if name == est.CORRELATION:
            found.append(_correlation_distance(subset, reference))
            continue
        g = reference.values[name][~reference.constant]
        f = _evaluate(subset, name, edge_tolerance)[~reference.constant]
        found.append(float(np.sum(((f - g)[g != 0] / g[g != 0]) ** 2)))
    return np.array(found)


def _correlation_distance(subset: FloatArray, reference: Reference) -> float:
    if not len(reference.points):
        return 0.0
    matrix = est.correlation_matrix(reference.correlation_points(subset))
    # tr(P P^-1) is the number of points
    wanted = float(len(reference.points))
    return (float(np.sum(matrix * reference.inverse)) / wanted - 1.0) ** 2


def error_function(subset: FloatArray, reference: Reference, normalisation: FloatArray) -> float:
    """Total ERF of a subset.

    Parameters
    ----------
    subset : float64 (replica, flavour, x)
    reference : Reference
    normalisation : float64 (n_estimator,)
        Positive, in the order of ``reference.names``.
    """
    return float(np.mean(distances(subset, reference) / normalisation))
