"""The search: islands spread over a team, with what they tell each other, history and restart.

An island is a class with the shape of ``island.Island``; to add a minimiser, write one and
enter it in ``MINIMISERS``. Everything here counts logical islands and epochs, so
the answer does not depend on the size of the team.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from compress_mpi.methods.selection.cma_es import CMAIsland
from compress_mpi.methods.selection.exchange import Descent, ExchangeIsland
from compress_mpi.methods.selection.genetic import GeneticIsland
from compress_mpi.methods.selection.island import (
    EPOCHS_BETWEEN_MIGRATIONS,
    Island,
    SearchSettings,
)
from compress_mpi.methods.selection.problem import Problem
from compress_mpi.methods.selection.tempering import TemperingIsland
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = [
    "MINIMISERS",
    "IslandSearch",
    "evaluations_of",
    "kinds_of",
    "search_settings",
    "useful_members",
    "warm_up",
]

MINIMISERS: Mapping[str, Any] = {
    "tempering": TemperingIsland,
    "exchange": ExchangeIsland,
    "genetic": GeneticIsland,
    "cma": CMAIsland,
}

_DESCENDS = ("tempering", "portfolio")
"""What ends in a steepest descent; the algorithms of the literature end as they do there."""


def search_settings(
    minimizer: str,
    n_select: int,
    max_iteration: int,
    seed: int,
    islands: int | None = None,
    *,
    seconds: float | None = None,
    stagnation: int | None = None,
    portfolio: Mapping[str, int] | None = None,
    descent: bool | None = None,
) -> SearchSettings:
    """Settings with the minimiser's own number of islands where none is given; see ``SearchSettings``."""
    mixed: dict[str, int] = {}
    if minimizer == "portfolio" and portfolio:
        # in the order of MINIMISERS, whatever the order in which a runcard has them
        mixed = {kind: portfolio[kind] for kind in MINIMISERS if portfolio.get(kind)}
    number = sum(mixed.values()) or islands or MINIMISERS[minimizer].default_islands
    return SearchSettings(
        minimizer, n_select, max_iteration, seed, number, seconds, stagnation, mixed, descent
    )


def _descends(settings: SearchSettings) -> bool:
    return settings.descent is not False and settings.minimizer in _DESCENDS


def kinds_of(settings: SearchSettings) -> list[Any]:
    """Class of every island, by number."""
    if not settings.portfolio:
        return [MINIMISERS[settings.minimizer]] * settings.islands
    return [MINIMISERS[kind] for kind, number in settings.portfolio.items() for _ in range(number)]


def evaluations_of(settings: SearchSettings, iterations: int, n_pool: int) -> int:
    """Error-function evaluations of all islands in so many iterations; of a descent, at most."""
    return sum(kind.evaluations(settings, iterations, n_pool) for kind in kinds_of(settings))


def useful_members(settings: SearchSettings, n_pool: int) -> int:
    """How many members of a team find something to do."""
    return sum(kind.most_useful_crew(n_pool) for kind in kinds_of(settings))


def warm_up(settings: SearchSettings, problem: Problem, weights: FloatArray, crew: Team) -> None:
    """Compile, or read from a cache, what a search calls; ``crew`` is a team of one."""
    kinds = kinds_of(settings)
    if _descends(settings):
        kinds = [*kinds, ExchangeIsland]
    for kind in dict.fromkeys(kinds):
        kind(0, settings, problem, weights).warm_up(crew)


class IslandSearch:
    """Islands shared by a team. All methods are collective.

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
    epoch : int
        Epochs of the islands so far.
    iteration : int
        Iterations so far: those of every island, then sweeps of the final descent.
    evaluations : int
        Error-function evaluations so far, over all islands.
    history : list of float64 arrays
        Lowest ERF over islands after each iteration, by epoch.
    """

    def __init__(
        self, settings: SearchSettings, problem: Problem, weights: FloatArray, team: Team, threads: int = 1
    ) -> None:
        self.settings, self.problem, self.weights = settings, problem, weights
        self.team, self.threads = team, threads
        mine, self.crew = team.split(settings.islands)
        kinds = kinds_of(settings)
        self.islands: dict[int, Island] = {i: kinds[i](i, settings, problem, weights) for i in mine}
        self._epoch_length = min(kind.epoch_length(settings) for kind in kinds)
        self.epoch = self.iteration = self.evaluations = self._sweeps = self._improved = 0
        self._elapsed, self._finished = 0.0, False
        self.history: list[FloatArray] = []
        self._descent: Descent | None = None

    @property
    def erf(self) -> float:
        """Lowest ERF so far, infinite before the first epoch."""
        return float(self.history[-1][-1]) if self.history else np.inf

    @property
    def progress(self) -> float:
        """Part of the budget that is spent, 0 to 1."""
        return self.settings.spent(self.iteration - self._sweeps, self._elapsed)

    @property
    def certified(self) -> bool:
        """Whether no single swap lowers the ERF of the best subset: all have been tried."""
        return self._descent.certified if self._descent is not None else self._finished

    @property
    def why_done(self) -> str | None:
        """What ended the search of the islands, None before: ``budget``, ``stagnation`` or ``converged``."""
        if self._finished:
            return "converged"
        if self.progress >= 1.0:
            return "budget"
        quiet = self.iteration - self._sweeps - self._improved
        if self.settings.stagnation is not None and quiet >= self.settings.stagnation:
            return "stagnation"
        return None

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        if self.why_done is None:
            return False
        return not _descends(self.settings) or self.certified or self._descent_is_too_long()

    def _descent_is_too_long(self) -> bool:
        """Whether one more sweep would make the descent dearer than the search was."""
        sweep = self.settings.n_select * (len(self.problem.z) - self.settings.n_select)
        descended = self._sweeps * sweep
        return self.settings.descent is None and descended + sweep > self.evaluations - descended

    def advance(self, elapsed: Callable[[], float] = lambda: 0.0) -> None:
        """Run one epoch on all islands, or one sweep of the final descent.

        Parameters
        ----------
        elapsed : callable
            Search time so far, s; asked after an epoch, on the first member, where the budget is a time.
        """
        if self.why_done is not None:
            self._descend()
            return
        self._advance_islands()
        if self.settings.seconds is not None:
            self._elapsed = self.team.on_root(elapsed)

    def _advance_islands(self) -> None:
        iterations = self._epoch_length
        if self.settings.seconds is None:
            iterations = min(iterations, self.settings.max_iteration - self.iteration)
        curves = self._advance_mine(iterations)
        self._record(self.team.min(np.minimum.reduce(curves)))
        self.epoch += 1
        migration = self.epoch % EPOCHS_BETWEEN_MIGRATIONS == 0
        reports = self._collect(lambda island: island.report(migration))
        self.evaluations += sum(report.evaluations for report in reports.values())
        self._finished = all(report.finished for report in reports.values())
        for island in self.islands.values():
            island.confer(self.epoch, reports)

    def _advance_mine(self, iterations: int) -> list[FloatArray]:
        def run(island: Island) -> FloatArray:
            return island.advance(self.epoch, iterations, self.progress, self.crew)

        if self.crew.size > 1 or self.threads == 1:
            return [run(island) for island in self.islands.values()]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(run, self.islands.values()))

    def _record(self, curve: FloatArray) -> None:
        """Append to the history; the lowest so far never rises."""
        # sums formed anew at the beginning of an epoch may differ in the last digit from those they replace
        lowest = np.minimum(np.minimum.accumulate(curve), self.erf)
        falls = np.flatnonzero(np.diff(lowest, prepend=self.erf) < 0)
        # what the descent finds does not make the islands go on
        if len(falls) and self._descent is None:
            self._improved = self.iteration + int(falls[-1]) + 1
        self.history.append(lowest)
        self.iteration += len(curve)

    def _descend(self) -> None:
        """One sweep over all single swaps of the best subset, by the whole team."""
        if self._descent is None:
            self._descent = Descent(self.problem, self.weights, self._best_island()[1])
        self.evaluations += self._descent.neighbours
        self._descent.advance(self._descent.chunks, self.team)
        self._record(np.array([self._descent.erf]))
        self._sweeps += 1

    def _collect(self, what: Any) -> dict[int, Any]:
        # crew members hold the same island, one of them speaks for it
        mine = {n: what(island) for n, island in self.islands.items()} if self.crew.rank == 0 else {}
        return self.team.exchange(mine)

    def best(self) -> tuple[float, IntArray]:
        """Lowest ERF and its subset (rows of the pool, sorted); ties go to the lower island."""
        if self._descent is not None:
            return self._descent.erf, self._descent.index
        return self._best_island()

    def _best_island(self) -> tuple[float, IntArray]:
        subsets = self._collect(lambda island: (island.best, island.index))
        number = min(subsets, key=lambda n: (subsets[n][0], n))
        return subsets[number]

    def state(self) -> dict[str, np.ndarray]:
        """Complete state between epochs: ``<minimiser>_<name>``, with its islands as first axis.

        Arrays of unequal length are padded; ``<minimiser>_<name>_length`` then holds the lengths.
        """
        states = self._collect(lambda island: (island.kind, island.state()))
        packed: dict[str, np.ndarray] = {
            "epoch": np.array(self.epoch),
            "sweeps": np.array(self._sweeps),
            "evaluations": np.array(self.evaluations),
            "elapsed": np.array(self._elapsed),
            "finished": np.array(int(self._finished)),
        }
        if self._descent is not None:
            packed |= {f"descent_{name}": value for name, value in self._descent.state().items()}
        for kind in dict.fromkeys(kind for kind, _ in states.values()):
            own = [arrays for its, arrays in states.values() if its == kind]
            for name in own[0]:
                packed |= _stack(f"{kind}_{name}", [arrays[name] for arrays in own])
        return packed

    def restore(self, state: Mapping[str, np.ndarray], history: FloatArray) -> None:
        """Continue from ``state`` and the recorded history, on any team.

        Parameters
        ----------
        state : mapping
            As given by ``state``.
        history : float64 (iteration,)
        """
        self.history, self.iteration, self._improved = [], 0, 0
        self.epoch, self._sweeps = int(state["epoch"]), int(state["sweeps"])
        own = len(history) - self._sweeps
        if own:
            self._record(np.asarray(history[:own], dtype=np.float64))
        self.evaluations, self._elapsed = int(state["evaluations"]), float(state["elapsed"])
        self._finished = bool(state["finished"])
        if "descent_index" in state:
            self._descent = Descent(self.problem, self.weights, state["descent_index"].astype(np.int64))
            self._descent.restore(
                {n.removeprefix("descent_"): v for n, v in state.items() if n.startswith("descent_")}
            )
            self._record(np.asarray(history[own:], dtype=np.float64))
        kinds = [kind.kind for kind in kinds_of(self.settings)]
        for number, island in self.islands.items():
            island.restore(_unstack(state, island.kind, kinds[:number].count(island.kind)))


def _stack(name: str, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of several islands as one."""
    if arrays[0].ndim < 2:
        return {name: np.array(arrays)}
    lengths = np.array([len(array) for array in arrays])
    padded = np.zeros((len(arrays), lengths.max(), *arrays[0].shape[1:]))
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return {f"{name}_length": lengths, name: padded}


def _unstack(state: Mapping[str, np.ndarray], kind: str, place: int) -> dict[str, np.ndarray]:
    """Arrays of one island of a kind."""
    prefix, own = f"{kind}_", {}
    for name, values in state.items():
        if not name.startswith(prefix) or name.endswith("_length"):
            continue
        lengths = state.get(f"{name}_length")
        own[name.removeprefix(prefix)] = (
            values[place] if lengths is None else values[place][: int(lengths[place])]
        )
    return own
