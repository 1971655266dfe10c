"""Steepest descent over all single swaps, to a subset that none of them improves.

All N (R - N) neighbours of a subset are scored, in chunks cut over the crew. Then the best
swap of every chunk is tried, the best first, and made if it still lowers the ERF;
so a sweep makes the steepest step and those that go with it. The end is certified: a sweep over the
whole neighbourhood has found nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.selection.island import Report, SearchSettings, first_subset
from compress_mpi.methods.selection.kernel import commit, erf_within, load, loaded_erf
from compress_mpi.methods.selection.problem import Problem, State, empty_state
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["SWAPS", "Descent", "ExchangeIsland"]

SWAPS = 1000
"""Swaps of a chunk, which is what an iteration scores."""


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
    chunk : int
        Swaps that are scored together.

    Attributes
    ----------
    index : int64 (n_select,)
        Sorted.
    erf : float
    certified : bool
        Whether no single swap improves it.
    """

    def __init__(self, problem: Problem, weights: FloatArray, index: IntArray, chunk: int = SWAPS) -> None:
        self.problem, self.weights, self._chunk = problem, weights, chunk
        self._state = empty_state(problem, len(index))
        self._begin_sweep(np.sort(index))

    def _begin_sweep(self, index: IntArray) -> None:
        """Sums are formed anew over the sorted members, so that a restart meets the same bits."""
        load(self.problem, self._state, index)
        self.index, self.certified = index, False
        self.erf = loaded_erf(self.problem, self._state, self.weights)[1]
        self._outside = np.setdiff1d(np.arange(len(self.problem.z)), index)
        self._found = np.zeros((0, 2))

    @property
    def neighbours(self) -> int:
        """Single swaps of the subset, N (R - N)."""
        return len(self.index) * len(self._outside)

    @property
    def chunks(self) -> int:
        """Chunks of a sweep."""
        return -(-self.neighbours // self._chunk)

    @property
    def scored(self) -> int:
        """Chunks of the present sweep that are behind."""
        return len(self._found)

    def advance(self, chunks: int, crew: Team) -> int:
        """Score the next chunks of the sweep, at most to its end; collective over the crew.

        Returns
        -------
        int
            Swaps that were scored.
        """
        done = len(self._found)
        rows = crew.map_rows(self._score, min(chunks, self.chunks - done), 2)
        self._found = np.concatenate([self._found, rows])
        first, last = (min(edge * self._chunk, self.neighbours) for edge in (done, len(self._found)))
        if len(self._found) == self.chunks:
            self._end_sweep()
        return last - first

    def _score(self, tasks: Sequence[int]) -> FloatArray:
        rows, done = np.empty((len(tasks), 2)), len(self._found)
        for row, task in zip(rows, tasks, strict=True):
            first = (done + task) * self._chunk
            last = min(first + self._chunk, self.neighbours)
            _score(self.problem, self._state, self.weights, self._outside, first, last, self.erf, row)
        return rows

    def _end_sweep(self) -> None:
        """Make the swaps that were found, as far as each still lowers the ERF; every member does the same."""
        erf, before, outside = self.erf, self.erf, self._outside.copy()
        # a stable sort: of equal ERFs the first chunk comes first
        for found, number in self._found[np.argsort(self._found[:, 0], kind="stable")]:
            if not np.isfinite(found):
                break
            place, slot = divmod(int(number), len(self.index))
            slots, added = np.array([slot]), np.array([outside[place]])
            tried = erf_within(self.problem, self._state, self.weights, slots, added, 1, erf)
            if tried < erf:
                outside[place] = self._state.members[slot]
                commit(self.problem, self._state, slots, added, 1)
                erf = tried
        self._begin_sweep(np.sort(self._state.members))
        # sums formed anew may differ in the last digit; a step that only rounding makes is none
        self.certified = not self.erf < before

    def state(self) -> dict[str, np.ndarray]:
        """Arrays for ``restore``."""
        return {
            "index": self.index,
            "found": self._found,
            "certified": np.array(int(self.certified)),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from what ``state`` gave."""
        self._begin_sweep(state["index"].astype(np.int64))
        self._found = np.array(state["found"], dtype=np.float64).reshape(-1, 2)
        self.certified = bool(state["certified"])


def _swaps(settings: SearchSettings) -> int:
    # in a portfolio an iteration is about as dear as that of other islands
    return SWAPS // 50 if settings.portfolio else SWAPS


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
        index = first_subset(settings, number, len(problem.z))
        self._descent, self._evaluated = Descent(problem, weights, index, _swaps(settings)), 0

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
        history, done, self._evaluated = np.full(iterations, self._descent.erf), 0, 0
        while done < iterations and not self._descent.certified:
            left = self._descent.chunks - self._descent.scored
            self._evaluated += self._descent.advance(iterations - done, crew)
            done = min(iterations, done + left)
            history[done - 1 :] = self._descent.erf
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
