"""Steepest descent over all single swaps, to a subset that none of them improves.

All N (R - N) neighbours of a subset are scored, cut over the crew; the best of them
is taken, until there is none that lowers the ERF. The end is certified: a sweep over the whole
neighbourhood has found nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numba import njit

from compress_mpi.methods.selection.island import Report, SearchSettings
from compress_mpi.methods.selection.kernel import erf_within, load
from compress_mpi.methods.selection.problem import Problem, State, empty_state
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["SWAPS", "Descent", "ExchangeIsland"]

SWAPS = 2000
"""Swaps that are scored in one iteration."""

_NOTHING = np.zeros(4, dtype=np.int64)


@njit(cache=True, nogil=True, error_model="numpy")
def _score(
    problem: Problem,
    state: State,
    weights: FloatArray,
    outside: IntArray,
    first: int,
    last: int,
    limit: float,
    found: FloatArray,
) -> None:
    """Best of the swaps ``first..last-1`` below ``limit``: its ERF and its number, of equal ones the first."""
    slots, added, n = np.empty(1, np.int64), np.empty(1, np.int64), state.members.shape[0]
    found[0], found[1] = np.inf, -1.0
    for swap in range(first, last):
        slots[0], added[0] = swap % n, outside[swap // n]
        erf = erf_within(problem, state, weights, slots, added, 1, limit)
        if erf < limit:
            limit = erf
            found[0], found[1] = erf, float(swap)


class Descent:
    """A subset on its way down.

    Parameters
    ----------
    problem : Problem
    weights : float64 (8,)
        1 / (n_estimator normalisation), 0 for estimators that do not enter.
    index : int64 (n_select,)
        Where it starts.

    Attributes
    ----------
    index : int64 (n_select,)
        Sorted.
    erf : float
    certified : bool
        Whether no single swap improves it.
    """

    def __init__(self, problem: Problem, weights: FloatArray, index: IntArray) -> None:
        self.problem, self.weights = problem, weights
        self._state = empty_state(problem, len(index))
        self.index, self.erf, self.certified = np.sort(index), np.inf, False
        self._begin_sweep()

    def _begin_sweep(self) -> None:
        load(self.problem, self._state, self.index)
        self.erf = erf_within(self.problem, self._state, self.weights, _NOTHING, _NOTHING, 0, np.inf)
        self._outside = np.setdiff1d(np.arange(len(self.problem.z)), self.index)
        self._cursor, self._found = 0, np.array([np.inf, -1.0])
        self.certified = self.neighbours == 0

    @property
    def neighbours(self) -> int:
        """Single swaps of the subset, N (R - N)."""
        return len(self.index) * len(self._outside)

    def advance(self, swaps: int, crew: Team) -> int:
        """Score the next swaps of the sweep, at most to its end; collective over the crew. Returns how many.

        The best swap is that of one member: ERFs are exact, of equal ones the first is taken.
        """
        last = min(self._cursor + swaps, self.neighbours)
        limit = min(self.erf, float(self._found[0]))

        def block(tasks: Sequence[int]) -> FloatArray:
            found = np.array([np.inf, -1.0])
            if len(tasks):
                first, end = (self._cursor + edge for edge in (_cut(tasks[0]), _cut(tasks[-1] + 1)))
                _score(self.problem, self._state, self.weights, self._outside, first, end, limit, found)
            rows = np.full((len(tasks), 2), np.inf)
            rows[:1] = found
            return rows

        def _cut(part: int) -> int:
            return (last - self._cursor) * part // crew.size

        rows = crew.map_rows(block, crew.size, 2)
        best = rows[int(np.argmin(rows[:, 0]))]
        if best[0] < limit:
            self._found = best
        scored, self._cursor = last - self._cursor, last
        if last == self.neighbours:
            self._end_sweep()
        return scored

    def _end_sweep(self) -> None:
        if not self._found[0] < self.erf:
            self.certified = True
            return
        swap = int(self._found[1])
        index = self.index.copy()
        index[swap % len(index)] = self._outside[swap // len(index)]
        self.index = np.sort(index)
        before = self.erf
        self._begin_sweep()
        # sums formed anew may differ in the last digit; a step that only rounding makes is none
        self.certified = not self.erf < before

    def state(self) -> dict[str, np.ndarray]:
        """Arrays for ``restore``."""
        certified = np.array(int(self.certified))
        return {
            "index": self.index,
            "cursor": np.array(self._cursor),
            "found": self._found,
            "certified": certified,
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from what ``state`` gave."""
        self.index = state["index"].astype(np.int64)
        self._begin_sweep()
        self._cursor, self._found = int(state["cursor"]), np.array(state["found"], dtype=np.float64)
        self.certified = bool(state["certified"])


def _swaps(settings: SearchSettings) -> int:
    # in a portfolio an iteration is as dear as that of other islands
    return SWAPS // 100 if settings.portfolio else SWAPS


class ExchangeIsland:
    """One descent from a random subset.

    Parameters
    ----------
    number, settings, problem, weights
        As for ``TemperingIsland``.
    """

    kind: ClassVar[str] = "exchange"
    default_islands: ClassVar[int] = 4

    @staticmethod
    def epoch_length(settings: SearchSettings) -> int:
        """Iterations between two reports."""
        return 20

    @staticmethod
    def evaluations(settings: SearchSettings, iterations: int, n_pool: int) -> int:
        """Error-function evaluations in so many iterations, at most: a sweep ends where it ends."""
        return iterations * _swaps(settings)

    @staticmethod
    def most_useful_crew(n_pool: int) -> int:
        """As many as find a hundred swaps each, about."""
        return max(1, n_pool // 16)

    def __init__(self, number: int, settings: SearchSettings, problem: Problem, weights: FloatArray) -> None:
        rng = generator(settings.seed, Stream.START, settings.n_select, number)
        index = rng.choice(len(problem.z), settings.n_select, replace=False)
        self._descent, self._swaps, self._evaluated = Descent(problem, weights, index), _swaps(settings), 0

    @property
    def index(self) -> IntArray:
        """Selected rows of the pool, sorted, int64 (n_select,)."""
        return self._descent.index

    @property
    def best(self) -> float:
        """Its ERF."""
        return self._descent.erf

    def warm_up(self, crew: Team) -> None:
        """Compile everything."""
        self._descent.advance(1, crew)

    def advance(self, epoch: int, iterations: int, progress: float, crew: Team) -> FloatArray:
        """Score some more swaps.

        Returns
        -------
        float64 (iterations,)
            ERF after each iteration.
        """
        history, self._evaluated = np.empty(iterations), 0
        for i in range(iterations):
            if not self._descent.certified:
                self._evaluated += self._descent.advance(self._swaps, crew)
            history[i] = self._descent.erf
        return history

    def report(self, migration: bool) -> Report:
        """ERF, whether the end is reached, and the subset with a migration."""
        descent = self._descent
        return Report(
            self.kind,
            descent.erf,
            descent.erf,
            self._evaluated,
            finished=descent.certified,
            index=descent.index if migration else None,
        )

    def confer(self, epoch: int, reports: Mapping[int, Report]) -> None:
        """Do nothing: every descent goes its own way."""

    def state(self) -> dict[str, np.ndarray]:
        """All that a restart needs at the end of an epoch."""
        return self._descent.state()

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what ``state`` gave."""
        self._descent.restore(state)
