"""The search: islands spread over a team, with migration, history and restart.

An island is a class with the shape of ``island.Island``; to add a minimiser, write one and
enter it in ``MINIMISERS``. Everything here counts logical islands and epochs, so
the answer does not depend on the size of the team.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from compress_mpi.methods.selection.cma_es import CMAIsland
from compress_mpi.methods.selection.genetic import GeneticIsland
from compress_mpi.methods.selection.island import Island, SearchSettings
from compress_mpi.methods.selection.problem import Problem
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["MINIMISERS", "IslandSearch", "idle_members", "search_settings"]

EPOCHS_BETWEEN_MIGRATIONS = 5


MINIMISERS: Mapping[str, Any] = {"genetic": GeneticIsland, "cma": CMAIsland}


def search_settings(
    minimizer: str, n_select: int, max_iteration: int, seed: int, islands: int | None = None
) -> SearchSettings:
    """Settings with the minimiser's own number of islands where none is given."""
    return SearchSettings(
        minimizer, n_select, max_iteration, seed, islands or MINIMISERS[minimizer].default_islands
    )


class IslandSearch:
    """Islands of one minimiser, shared by a team. All methods are collective.

    Parameters
    ----------
    settings : SearchSettings
    problem : Problem
    weights : float64 (8,)
        1 / (n_estimator normalisation) in the order of ``ESTIMATORS``.
    team : Team
    threads : int
        Islands that one member advances at the same time.

    Attributes
    ----------
    epoch, iteration : int
        How far every island is.
    history : list of float64 arrays
        Lowest ERF over islands after each iteration, by epoch.
    """

    def __init__(
        self, settings: SearchSettings, problem: Problem, weights: FloatArray, team: Team, threads: int = 1
    ) -> None:
        self.settings, self.team, self.threads = settings, team, threads
        mine, self.crew = team.split(settings.islands)
        kind = MINIMISERS[settings.minimizer]
        self.islands: dict[int, Island] = {i: kind(i, settings, problem, weights) for i in mine}
        self._example = next(iter(self.islands.values()))
        self.epoch = self.iteration = 0
        self.history: list[FloatArray] = []

    @property
    def done(self) -> bool:
        """Whether the budget of iterations is spent."""
        return self.iteration >= self.settings.max_iteration

    @property
    def evaluations(self) -> int:
        """Error-function evaluations so far, over all islands."""
        return self._example.evaluations(self.iteration) * self.settings.islands

    @property
    def erf(self) -> float:
        """Lowest ERF so far, infinite before the first epoch."""
        return float(self.history[-1][-1]) if self.history else np.inf

    def advance(self) -> None:
        """Run one epoch on all islands, with migration at its end when it is due."""
        iterations = min(self._example.epoch_length, self.settings.max_iteration - self.iteration)
        curves = self._advance_mine(iterations)
        # sums formed anew at the beginning of an epoch may differ in the last digit from those they replace
        self.history.append(np.minimum(self.team.min(np.minimum.reduce(curves)), self.erf))
        self.epoch += 1
        self.iteration += iterations
        if self.epoch % EPOCHS_BETWEEN_MIGRATIONS == 0 and not self.done:
            self._migrate()

    def _advance_mine(self, iterations: int) -> list[FloatArray]:
        def run(island: Island) -> FloatArray:
            return island.advance(self.epoch, iterations, self.crew)

        if self.crew.size > 1 or self.threads == 1:
            return [run(island) for island in self.islands.values()]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(run, self.islands.values()))

    def _migrate(self) -> None:
        """Offer every island the subset of its neighbour on a ring."""
        subsets = self._collect(lambda island: (island.index, island.erf))
        for number, island in self.islands.items():
            island.adopt(*subsets[(number - 1) % self.settings.islands])

    def _collect(self, what: Any) -> dict[int, Any]:
        # crew members hold the same island, one of them speaks for it
        mine = {n: what(island) for n, island in self.islands.items()} if self.crew.rank == 0 else {}
        return self.team.exchange(mine)

    def best(self) -> tuple[float, IntArray]:
        """Lowest ERF and its subset (rows of the pool, sorted); ties go to the lower island."""
        subsets = self._collect(lambda island: (island.erf, island.index))
        number = min(subsets, key=lambda n: (subsets[n][0], n))
        return subsets[number]

    def state(self) -> dict[str, np.ndarray]:
        """Complete state between epochs: arrays with the island as first axis.

        Arrays of unequal length are padded; ``<name>_length`` then holds the lengths.
        """
        states = self._collect(lambda island: island.state())
        packed: dict[str, np.ndarray] = {"epoch": np.array(self.epoch)}
        for name in states[0]:
            arrays = [states[n][name] for n in range(self.settings.islands)]
            if arrays[0].ndim > 1:
                lengths = np.array([len(a) for a in arrays])
                packed[f"{name}_length"] = lengths
                padding = np.zeros((len(arrays), lengths.max(), *arrays[0].shape[1:]))
                for row, array in zip(padding, arrays, strict=True):
                    row[: len(array)] = array
                packed[name] = padding
            else:
                packed[name] = np.array(arrays)
        return packed

    def restore(self, state: Mapping[str, np.ndarray], history: FloatArray) -> None:
        """Continue from ``state`` and the recorded history, on any team.

        Parameters
        ----------
        state : mapping
            As given by ``state``.
        history : float64 (iteration,)
        """
        self.epoch, self.iteration = int(state["epoch"]), len(history)
        self.history = [np.asarray(history, dtype=np.float64)] if len(history) else []
        names = [n for n in state if n != "epoch" and not n.endswith("_length")]
        for number, island in self.islands.items():
            own = {name: state[name][number] for name in names}
            for name in names:
                if f"{name}_length" in state:
                    own[name] = own[name][: int(state[f"{name}_length"][number])]
            island.restore(own)


def idle_members(settings: SearchSettings, n_members: int, island: Island) -> int:
    """How many members of a team would find nothing to do.

    Parameters
    ----------
    settings : SearchSettings
    n_members : int
        Size of the team.
    island : Island
        Any of the islands.
    """
    return max(0, n_members - settings.islands * island.most_useful_crew)
