"""What replicas are moved towards: the prior, in units of itself, at the points where it has a spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.enhancement.linear import one_thread
from compress_mpi.methods.polish.marginals import marginal_distance, prior_quantiles
from compress_mpi.methods.selection import estimators as est
from compress_mpi.methods.selection.error_function import Reference
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["Target", "build_target"]

_TRIALS = 200
"""Random subsets from which the units of the two extra distances are taken."""


@dataclass(frozen=True)
class Target:
    """Constants of a polish.

    Attributes
    ----------
    n_select : int
        Size N of the subsets.
    names : tuple of str
        Estimators of the error function.
    weights : mapping of str to float
        1 / (n_estimator normalisation) by estimator.
    n_flavour, n_x : int
        Lengths of the axes of the grid.
    points : int64 (point,)
        Flat positions (flavour, x) at which the prior has a spread.
    mean, stdev : float64 (point,)
        Of the prior.
    mean_scale : float64 (point,)
        stdev/mean, 0 where the mean is 0.
    moments : mapping of int to (float64 (point,), float64 (point,))
        By order: the prior's moment and its inverse (0 where it is 0).
    regions, regions_inverse : float64 (6, point)
        Likewise.
    correlation_columns : int64 (correlation point,)
        Which of ``points`` they are.
    correlation, trace_weights : float64 (correlation point, correlation point)
        P, and its inverse divided by the number of points.
    quantiles : float64 (point, N)
        See ``marginals.prior_quantiles``.
    lowest, highest : float64 (point,)
        Extremes of the prior.
    zero : float64 (point,)
        Where x f = 0 lies; minus infinity where the prior itself is negative more often than rarely.
    negative_share : float64 (flavour,)
        Fraction of negative values of the prior at points with a finite ``zero``.
    correlation_unit, marginal_unit : float
        Medians over random subsets of size N of the distances of the whole correlation matrix and of the marginals.
    """

    n_select: int
    names: tuple[str, ...]
    weights: Mapping[str, float]
    n_flavour: int
    n_x: int
    points: IntArray
    mean: FloatArray
    stdev: FloatArray
    mean_scale: FloatArray
    moments: Mapping[int, tuple[FloatArray, FloatArray]]
    regions: FloatArray
    regions_inverse: FloatArray
    correlation_columns: IntArray
    correlation: FloatArray
    trace_weights: FloatArray
    quantiles: FloatArray
    lowest: FloatArray
    highest: FloatArray
    zero: FloatArray
    negative_share: FloatArray
    correlation_unit: float
    marginal_unit: float

    def standardise(self, values: FloatArray) -> FloatArray:
        """Replicas, float64 ``(..., flavour, x)``, in units of the prior, float64 ``(..., point)``."""
        return (self._flat(values) - self.mean) / self.stdev

    def standardise_directions(self, directions: FloatArray) -> FloatArray:
        """Differences of replicas, float64 ``(..., flavour, x)``, in units of the prior."""
        return np.ascontiguousarray(self._flat(directions) / self.stdev)

    def negative_shares(self, y: FloatArray) -> FloatArray:
        """Fraction of negative values by flavour at the points where the prior rarely has any.

        Parameters
        ----------
        y : float64 (replica, point)
            In units of the prior.

        Returns
        -------
        float64 (flavour,)
            0 for a flavour without such points.
        """
        return _negative_shares(y, self.zero, self.points // self.n_x, self.n_flavour)

    def _flat(self, values: FloatArray) -> FloatArray:
        return values.reshape(*values.shape[:-2], -1)[..., self.points]


def build_target(
    prior: FloatArray,
    reference: Reference,
    normalisation: FloatArray,
    n_select: int,
    seed: int,
    team: Team,
    rare: float = 0.1,
) -> Target:
    """Everything that a polish needs to know of the prior; collective.

    Parameters
    ----------
    prior : float64 (prior replica, flavour, x)
        May be shared and read-only.
    reference : Reference
        Its estimators, under the definition of the run.
    normalisation : float64 (n_estimator,)
        In the order of ``reference.names``.
    n_select : int
        Size N of the subsets, at least 2.
    seed : int
        Of the random subsets.
    rare : float
        As in ``PolishSettings``.
    """
    points = np.flatnonzero(~reference.constant.reshape(-1))
    mean, stdev = (reference.values[name].reshape(-1)[points] for name in ("mean", "stdev"))
    values = prior.reshape(len(prior), -1)[:, points]
    y = (values - mean) / stdev
    columns = np.searchsorted(points, reference.points[:, 0] * prior.shape[2] + reference.points[:, 1])
    quantiles = prior_quantiles(y, n_select)
    units = _random_distances(y, columns, reference.correlation, quantiles, n_select, seed, team)
    regions = _regions(reference, points)
    zero = np.where((values < 0).mean(axis=0) < rare, -mean / stdev, -np.inf)
    return Target(
        n_select=n_select,
        names=reference.names,
        weights=_weights(reference.names, normalisation),
        n_flavour=prior.shape[1],
        n_x=prior.shape[2],
        points=points,
        mean=mean,
        stdev=stdev,
        mean_scale=_inverse(mean) * stdev,
        moments=_moments(reference, points),
        regions=regions,
        regions_inverse=_inverse(regions),
        correlation_columns=columns,
        correlation=reference.correlation,
        trace_weights=reference.inverse / max(1, len(columns)),
        quantiles=quantiles,
        lowest=y.min(axis=0),
        highest=y.max(axis=0),
        zero=zero,
        negative_share=_negative_shares(y, zero, points // prior.shape[2], prior.shape[1]),
        correlation_unit=float(units[0]),
        marginal_unit=float(units[1]),
    )


def _weights(names: Sequence[str], normalisation: FloatArray) -> dict[str, float]:
    return {name: 1.0 / (len(names) * float(n)) for name, n in zip(names, normalisation, strict=True)}


def _inverse(values: FloatArray) -> FloatArray:
    return np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)


def _moments(reference: Reference, points: IntArray) -> dict[int, tuple[FloatArray, FloatArray]]:
    found = {}
    for name, order in est.MOMENT_ORDER.items():
        if order > 2 and name in reference.names:
            wanted = reference.values[name].reshape(-1)[points]
            found[order] = (wanted, _inverse(wanted))
    return found


def _regions(reference: Reference, points: IntArray) -> FloatArray:
    if est.KOLMOGOROV_SMIRNOV not in reference.names:
        return np.zeros((est.N_REGIONS, len(points)))
    fractions = reference.values[est.KOLMOGOROV_SMIRNOV].reshape(-1, est.N_REGIONS)[points]
    return np.ascontiguousarray(fractions.T)


def _negative_shares(y: FloatArray, zero: FloatArray, flavours: IntArray, n_flavour: int) -> FloatArray:
    """See ``Target.negative_shares``; ``flavours`` int64 ``(point,)``."""
    found = np.zeros(n_flavour)
    for f in range(n_flavour):
        these = np.isfinite(zero) & (flavours == f)
        if these.any():
            found[f] = np.mean(y[:, these] < zero[these])
    return found


def _random_distances(
    y: FloatArray,
    columns: IntArray,
    correlation: FloatArray,
    quantiles: FloatArray,
    n_select: int,
    seed: int,
    team: Team,
) -> FloatArray:
    """Medians over random subsets of the two distances that the error function does not know, float64 (2,)."""

    def block(trials: Sequence[int]) -> FloatArray:
        found = np.empty((len(trials), 2))
        for row, trial in zip(found, trials, strict=True):
            subset = y[
                generator(seed, Stream.POLISH, n_select, 0, trial).choice(len(y), n_select, replace=False)
            ]
            with one_thread():
                matrix = est.correlation_matrix(subset[:, columns])
            row[:] = np.sum((matrix - correlation) ** 2), marginal_distance(subset, quantiles)
        return found

    units = np.median(team.map_rows(block, _TRIALS, 2), axis=0)
    # without correlation points, or with N = R, there is nothing to measure in
    return np.where(units > 0, units, 1.0)
