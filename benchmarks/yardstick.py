r"""The published genetic algorithm as the papers describe it, to measure this package against.

Written from :cite:`Carrazza:2015hva`, Sec. 3.2 and 3.3, and :cite:`Carrazza:2021hny`, Sec. 2, and from
nothing else: every mutant is a new set of replicas whose estimators are computed from the start, moments and
regions in compiled loops, the correlation matrix in NumPy, as in the published Python code. It shares no
formula with the package: the smoke test of the benchmarks compares the two.

It is plain, not naive. Loops run over points innermost, where the compiler makes vectors of them, and mean and
standard deviation are computed once per set and serve all estimators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from compress_mpi.types import FloatArray, IntArray

__all__ = ["N_MUTANTS", "Found", "Yardstick", "random_distances", "search"]

N_MUTANTS = 5

_ORDERS = {"skewness": 3, "kurtosis": 4, "moment5th": 5, "moment6th": 6}


@njit(cache=True, error_model="numpy")
def _mean_and_stdev(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    n, n_point = values.shape
    mean, stdev = np.zeros(n_point), np.zeros(n_point)
    for r in range(n):
        for p in range(n_point):
            mean[p] += values[r, p]
    for p in range(n_point):
        mean[p] /= n
    for r in range(n):
        for p in range(n_point):
            d = values[r, p] - mean[p]
            stdev[p] += d * d
    for p in range(n_point):
        stdev[p] = np.sqrt(stdev[p] / (n - 1))
    return mean, stdev


@njit(cache=True, error_model="numpy")
def _moment(values: FloatArray, mean: FloatArray, stdev: FloatArray, order: int) -> FloatArray:
    n, n_point = values.shape
    total = np.zeros(n_point)
    for r in range(n):
        for p in range(n_point):
            d = values[r, p] - mean[p]
            power = d * d
            for _ in range(order - 2):
                power *= d
            total[p] += power
    for p in range(n_point):
        total[p] /= n * stdev[p] ** order
    return total


@njit(cache=True, error_model="numpy")
def _regions(values: FloatArray, mean: FloatArray, stdev: FloatArray) -> FloatArray:
    n, n_point = values.shape
    counts = np.zeros((6, n_point))
    for r in range(n):
        for p in range(n_point):
            v, region = values[r, p], 0
            for edge in range(5):
                if v > mean[p] + (edge - 2) * stdev[p]:
                    region += 1
            counts[region, p] += 1.0
    return counts / n


@njit(cache=True, error_model="numpy")
def _relative_distance(found: FloatArray, wanted: FloatArray) -> float:
    total = 0.0
    for i in range(wanted.shape[0]):
        if wanted[i] != 0.0:
            total += ((found[i] - wanted[i]) / wanted[i]) ** 2
    return total


class Yardstick:
    """A prior, its estimators, and the distance of any set of its replicas from it.

    Parameters
    ----------
    prior : float64 (replica, flavour, x)
        With a spread at every point: what to do without one the papers leave open.
    names : sequence of str
        Estimators of the error function.
    nodes : int64 (5,)
        x positions of the correlation points of every flavour.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the correlation matrix of the prior has no inverse.
    """

    def __init__(self, prior: FloatArray, names: Sequence[str], nodes: IntArray) -> None:
        n_rep, n_flavour, n_x = prior.shape
        self.names = tuple(names)
        self.values = np.ascontiguousarray(prior.reshape(n_rep, n_flavour * n_x))
        self.points = (np.arange(n_flavour)[:, None] * n_x + np.asarray(nodes)).ravel()
        self.wanted = self._estimators(self.values)
        if "correlation" in self.names:
            self.inverse = np.linalg.inv(self.wanted["correlation"])
            self.trace = float(np.trace(self.wanted["correlation"] @ self.inverse))

    def _estimators(self, values: FloatArray) -> dict[str, FloatArray]:
        mean, stdev = _mean_and_stdev(values)
        found: dict[str, FloatArray] = {}
        for name in self.names:
            if name == "mean":
                found[name] = mean
            elif name == "stdev":
                found[name] = stdev
            elif name == "kolmogorov_smirnov":
                found[name] = _regions(values, mean, stdev)
            elif name == "correlation":
                found[name] = self._correlation(values, mean, stdev)
            else:
                found[name] = _moment(values, mean, stdev, _ORDERS[name])
        return found

    def _correlation(self, values: FloatArray, mean: FloatArray, stdev: FloatArray) -> FloatArray:
        n, points = len(values), values[:, self.points]
        m, s = mean[self.points], stdev[self.points]
        covariance = points.T @ points / n - np.outer(m, m)
        return n / (n - 1.0) * covariance / np.outer(s, s)

    def distances(self, index: IntArray) -> FloatArray:
        """Distance of every estimator for the replicas in ``index`` (rows of the prior), in order of ``names``."""
        found = self._estimators(self.values[index])
        return np.array([self._distance(name, found[name]) for name in self.names])

    def _distance(self, name: str, found: FloatArray) -> float:
        if name == "correlation":
            return float(((np.trace(found @ self.inverse) - self.trace) / self.trace) ** 2)
        return float(_relative_distance(found.ravel(), self.wanted[name].ravel()))

    def erf(self, index: IntArray, normalisation: FloatArray) -> float:
        """Total error function; ``normalisation`` is float64 (estimator,) in order of ``names``."""
        return float(np.mean(self.distances(index) / normalisation))


class Found(NamedTuple):
    """What a search ended with: its lowest ERF, the rows of the prior, and how many of them came twice."""

    erf: float
    members: IntArray
    duplicates: int


def _mutate(index: IntArray, n_rep: int, rng: np.random.Generator) -> IntArray:
    """One mutant: a random replica at a random position, one to four times."""
    mutant, u = index.copy(), rng.random()
    mutations = 1 if u <= 0.3 else 2 if u <= 0.6 else 3 if u <= 0.7 else 4
    for _ in range(mutations):
        mutant[rng.integers(len(mutant))] = rng.integers(n_rep)
    return mutant


def search(
    yardstick: Yardstick, n_select: int, normalisation: FloatArray, generations: int, rng: np.random.Generator
) -> Found:
    """The published search: five mutants per generation, the best of them survives if it is better.

    Parameters
    ----------
    n_select : int
        Size of the subset.
    normalisation : float64 (estimator,)
    generations : int
    """
    n_rep = len(yardstick.values)
    index: Any = rng.choice(n_rep, n_select, replace=False)
    erf = yardstick.erf(index, normalisation)
    for _ in range(generations):
        mutants = [_mutate(index, n_rep, rng) for _ in range(N_MUTANTS)]
        erfs = [yardstick.erf(mutant, normalisation) for mutant in mutants]
        best = int(np.argmin(erfs))
        if erfs[best] < erf:
            index, erf = mutants[best], erfs[best]
    return Found(erf, np.sort(index), n_select - len(set(index.tolist())))


def random_distances(
    yardstick: Yardstick, n_select: int, trials: int, rng: np.random.Generator
) -> FloatArray:
    """Distances of random subsets, float64 ``(trials, estimator)``."""
    n_rep = len(yardstick.values)
    return np.array([yardstick.distances(rng.choice(n_rep, n_select, replace=False)) for _ in range(trials)])
