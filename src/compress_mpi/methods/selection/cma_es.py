"""Covariance matrix adaptation for subsets, one island of it.

A candidate is a vector of real keys, one per replica of the pool; the N largest
keys select the replicas. Every vector is a valid subset, no subset has duplicates,
and replicas with neighbouring numbers have nothing to do with each other, which is
what was wrong with searching over replica numbers as coordinates. With a key per
replica the full covariance matrix would cost R^2, so the diagonal variant is used.

The strategy itself is the ``cma`` package (Hansen, arXiv:1604.00772).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from compress_mpi.methods.selection.estimators import ESTIMATORS
from compress_mpi.methods.selection.island import Report, SearchSettings, first_subset
from compress_mpi.methods.selection.kernel import subset_distances, weighted
from compress_mpi.methods.selection.problem import Problem
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["CMAIsland", "decode"]


def decode(keys: FloatArray, n_select: int) -> IntArray:
    """Rows of the ``n_select`` largest keys, sorted; equal keys go to the lower row.

    Parameters
    ----------
    keys : float64 (pool,)

    Returns
    -------
    int64 (n_select,)
    """
    return np.sort(np.argsort(-keys, kind="stable")[:n_select]).astype(np.int64)


def _new_strategy(n_keys: int, rng: np.random.Generator) -> Any:
    with warnings.catch_warnings():
        # the package warns at import that it cannot plot
        warnings.simplefilter("ignore")
        import cma
    options = {
        "CMA_diagonal": True,
        "verbose": -9,
        "randn": lambda *shape: rng.standard_normal(shape),
        # the seed would reset the global generator; all randomness comes through randn
        "seed": np.nan,
        "maxiter": np.inf,
        "maxfevals": np.inf,
    }
    return cma.CMAEvolutionStrategy(np.zeros(n_keys), 1.0, options)


def _population(n_pool: int) -> int:
    """Candidates of one iteration, the default of the package for as many coordinates as replicas."""
    return 4 + int(3 * np.log(n_pool))


class CMAIsland:
    """One evolution strategy; when it has converged a new one starts.

    The strategy lives on the first member of the crew, the population is evaluated
    by all. A restart replays the recorded function values of the strategy at hand:
    the package keeps its state to itself, and values are small.

    Parameters
    ----------
    number, settings, problem, weights
        As for ``GeneticIsland``.
    """

    kind: ClassVar[str] = "cma"
    default_islands: ClassVar[int] = 2

    @staticmethod
    def epoch_length(settings: SearchSettings) -> int:
        """Iterations between two reports."""
        return 50

    @staticmethod
    def evaluations(settings: SearchSettings, iterations: int, n_pool: int) -> int:
        """Error-function evaluations in so many iterations."""
        return iterations * _population(n_pool)

    @staticmethod
    def most_useful_crew(n_pool: int) -> int:
        """One per candidate."""
        return _population(n_pool)

    def __init__(self, number: int, settings: SearchSettings, problem: Problem, weights: FloatArray) -> None:
        self.number, self.settings, self.problem, self.weights = number, settings, problem, weights
        self.population, self._evaluated = _population(len(problem.z)), 0
        self.generation = 0
        self._values: list[FloatArray] = []
        self._strategy: Any = None
        self.index = first_subset(settings, number, len(problem.z))
        self.erf = self._erf(self.index)

    def _erf(self, members: IntArray) -> float:
        distances = np.empty(len(ESTIMATORS))
        subset_distances(self.problem, members, distances)
        return float(weighted(distances, self.weights))

    def _begin(self) -> None:
        rng = generator(self.settings.seed, Stream.CMA, self.settings.n_select, self.number, self.generation)
        self._strategy = _new_strategy(len(self.problem.z), rng)
        for values in self._values:
            self._strategy.tell(self._strategy.ask(), list(values))
            self._strategy.stop()

    def warm_up(self, crew: Team) -> None:
        """Nothing is left: making an island has evaluated a subset, and only the first of a crew needs the package."""

    def advance(self, epoch: int, iterations: int, progress: float, crew: Team) -> FloatArray:
        """Iterations of one epoch.

        Returns
        -------
        float64 (iterations,)
            Lowest ERF so far, after each.
        """
        history = np.empty(iterations)
        keys: list[FloatArray] = []

        def ask() -> IntArray:
            if self._strategy is None:
                self._begin()
            keys[:] = self._strategy.ask()
            return np.array([decode(candidate, self.settings.n_select) for candidate in keys])

        def tell() -> bool:
            self._strategy.tell(keys, list(values))
            return bool(self._strategy.stop())

        for i in range(iterations):
            candidates = crew.on_root(ask)
            values = self._evaluate(candidates, crew)
            self._values.append(values)
            self._keep_best(candidates, values)
            if crew.on_root(tell):
                self.generation, self._values, self._strategy = self.generation + 1, [], None
            history[i] = self.erf
        self._evaluated = iterations * self.population
        return history

    def _evaluate(self, candidates: IntArray, crew: Team) -> FloatArray:
        def block(tasks: Sequence[int]) -> FloatArray:
            return np.array([self._erf(candidates[task]) for task in tasks]).reshape(-1, 1)

        return crew.map_rows(block, len(candidates), 1)[:, 0]

    def _keep_best(self, candidates: IntArray, values: FloatArray) -> None:
        best = int(np.argmin(values))
        if values[best] < self.erf:
            self.index, self.erf = candidates[best], float(values[best])

    @property
    def best(self) -> float:
        """ERF of ``index``."""
        return self.erf

    def report(self, migration: bool) -> Report:
        """ERF, and the subset with a migration."""
        return Report(self.kind, self.erf, self.erf, self._evaluated, index=self.index if migration else None)

    def confer(self, epoch: int, reports: Mapping[int, Report]) -> None:
        """Do nothing: a strategy has no place for a foreign subset."""

    def state(self) -> dict[str, np.ndarray]:
        """All that a restart needs at the end of an epoch."""
        values = np.array(self._values).reshape(-1, self.population)
        return {"index": self.index, "generation": np.array(self.generation), "values": values}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what ``state`` gave."""
        self.index = state["index"].astype(np.int64)
        self.erf = self._erf(self.index)
        self.generation = int(state["generation"])
        self._values = list(state["values"])
        self._strategy = None
