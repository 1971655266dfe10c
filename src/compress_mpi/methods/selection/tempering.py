r"""Replica exchange: the default minimiser.

Every island is a Metropolis chain over subsets whose steps exchange one replica, at
a temperature of its own (:cite:`Hukushima:1996`). The ladder of temperatures cools as a whole
while the budget is spent, so that islands fall into a minimum together, and
neighbours on it exchange temperatures: what is exchanged is two numbers, not two subsets.

A step is judged in two parts (:cite:`Christen:2005`): first by the moments alone, which cost least and
decide most, then by the rest. Accepted with probabilities
:math:`\min(1, e^{-\Delta_1/T}) \min(1, e^{-\Delta_2/T})`, steps obey detailed balance for
:math:`e^{-\mathrm{ERF}/T}` as with the sum of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.selection.island import Report, SearchSettings, first_subset
from compress_mpi.methods.selection.kernel import commit, load, loaded_erf, others_within
from compress_mpi.methods.selection.kernel_moments import moment_erf
from compress_mpi.methods.selection.problem import Problem, State, empty_state
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["PROPOSALS", "TemperingIsland", "ladder"]

PROPOSALS = 20
"""Proposals in one iteration."""

_COOLING = 25.0
"""Temperatures at the beginning over those at the end."""

_WIDEST_STEP, _WIDEST_LADDER = 1.35, 2.5
"""Ratio of neighbouring temperatures, and of the highest to the lowest, at most."""

_WARM_UP_EPOCHS = 5
_FIRST_TEMPERATURE, _ACCEPTANCE = 1e-3, 0.15
"""The warm-up looks for the temperature at which this part of all proposals is accepted."""

_EPOCHS_BETWEEN_RESTARTS = 5
"""After so many epochs the island with the highest ERF starts again from the lowest."""

_EPOCHS, _LONGEST_EPOCH = 100, 1000


def ladder(rung: int, rungs: int) -> float:
    """Temperature of a rung in units of the lowest."""
    if rungs == 1:
        return 1.0
    return float(min(_WIDEST_STEP, _WIDEST_LADDER ** (1.0 / (rungs - 1))) ** rung)


@njit(cache=True, nogil=True, error_model="numpy")
def _chain(
    problem: Problem,
    state: State,
    weights: FloatArray,
    outside: IntArray,
    temperature: float,
    uniform: FloatArray,
    erfs: FloatArray,
    best: IntArray,
    history: FloatArray,
) -> int:
    """Steps of one chain; returns how many were accepted.

    ``uniform`` is float64 (step, 4); ``erfs`` holds the part of the ERF from moments, the whole, and the
    lowest so far, whose subset is ``best``.
    """
    n, n_outside, accepted = state.members.shape[0], outside.shape[0], 0
    slots, added = np.empty(1, np.int64), np.empty(1, np.int64)
    z, sums, members, terms, lanes = problem.z, state.sums, state.members, state.terms, state.lanes
    scale, moment, inverse = problem.mean_scale, problem.moment, problem.moment_inverse
    moments, erf, lowest = erfs[0], erfs[1], erfs[2]
    per_iteration = uniform.shape[0] // history.shape[0]
    for i in range(uniform.shape[0]):
        slot, place = min(int(uniform[i, 0] * n), n - 1), min(int(uniform[i, 1] * n_outside), n_outside - 1)
        up, down = outside[place], members[slot]
        found = moment_erf(sums, z, up, down, float(n), scale, moment, inverse, weights, terms, lanes)
        if found <= moments - temperature * np.log(uniform[i, 2]):
            state.coming[0], state.going[0] = up, down
            limit = found + (erf - moments) - temperature * np.log(uniform[i, 3])
            whole = others_within(problem, state, weights, 1, found, limit)
            if whole <= limit:
                slots[0], added[0] = slot, up
                commit(problem, state, slots, added, 1)
                outside[place] = down
                moments, erf = found, whole
                accepted += 1
                if erf < lowest:
                    lowest = erf
                    best[:] = members
        if (i + 1) % per_iteration == 0:
            history[i // per_iteration] = lowest
    erfs[0], erfs[1], erfs[2] = moments, erf, lowest
    return accepted


class TemperingIsland:
    """One chain.

    Parameters
    ----------
    number : int
        Of the island; part of its random streams.
    settings : SearchSettings
    problem : Problem
    weights : float64 (8,)
        1 / (n_estimator normalisation), 0 for estimators that do not enter.
    """

    kind: ClassVar[str] = "tempering"
    default_islands: ClassVar[int] = 8

    @staticmethod
    def epoch_length(settings: SearchSettings) -> int:
        """A hundredth of the budget, so that cooling is smooth; not longer than a moment."""
        if settings.seconds is not None:
            return _LONGEST_EPOCH
        return int(np.clip(settings.max_iteration // _EPOCHS, 1, _LONGEST_EPOCH))

    @staticmethod
    def evaluations(settings: SearchSettings, iterations: int, n_pool: int) -> int:
        """Error-function evaluations in so many iterations; a rejected proposal is an evaluated one."""
        return iterations * PROPOSALS

    @staticmethod
    def most_useful_crew(n_pool: int) -> int:
        """One: a chain is a chain."""
        return 1

    def __init__(self, number: int, settings: SearchSettings, problem: Problem, weights: FloatArray) -> None:
        self.number, self.settings, self.problem, self.weights = number, settings, problem, weights
        self._state = empty_state(problem, settings.n_select)
        self._rungs = settings.portfolio.get(self.kind, settings.islands)
        self._rung, self._lowest_temperature = number, _FIRST_TEMPERATURE
        self._acceptance = self._progress = 0.0
        self._evaluated = 0
        self._members = first_subset(settings, number, len(problem.z))
        self.erf = self._load()[1]
        self._index, self.best = self._members, self.erf

    def _load(self) -> tuple[float, float]:
        """Form all sums anew over the sorted members, so that a restart meets the same bits."""
        load(self.problem, self._state, self._members)
        return loaded_erf(self.problem, self._state, self.weights)

    @property
    def index(self) -> IntArray:
        """Subset with the lowest ERF so far, sorted, int64 (n_select,)."""
        return self._index

    def temperature(self, progress: float) -> float:
        """Temperature of the chain after a part of the budget, in units of the ERF."""
        return self._lowest_temperature * ladder(self._rung, self._rungs) * float(_COOLING**-progress)

    def warm_up(self, crew: Team) -> None:
        """Compile everything."""
        self.advance(0, 1, 0.0, crew)

    def advance(self, epoch: int, iterations: int, progress: float, crew: Team) -> FloatArray:
        """Go through the steps of one epoch at one temperature.

        Returns
        -------
        float64 (iterations,)
            Lowest ERF so far, after each iteration.
        """
        self._progress = progress
        moments, erf = self._load()
        outside = np.setdiff1d(np.arange(len(self.problem.z)), self._members)
        history, self._evaluated = np.full(iterations, self.best), 0
        if not len(outside):
            return history
        rng = generator(self.settings.seed, Stream.TEMPERING, self.settings.n_select, self.number, epoch)
        # from (0, 1]: logarithms of it are taken
        uniform = 1.0 - rng.random((iterations * PROPOSALS, 4))
        erfs, best = np.array([moments, erf, self.best]), self._index.copy()
        accepted = _chain(
            self.problem,
            self._state,
            self.weights,
            outside,
            self.temperature(progress),
            uniform,
            erfs,
            best,
            history,
        )
        self._acceptance, self._evaluated = accepted / len(uniform), len(uniform)
        self._members, self.erf = np.sort(self._state.members), float(erfs[1])
        self._index, self.best = np.sort(best), float(erfs[2])
        return history

    def report(self, migration: bool) -> Report:
        """ERF, rung and acceptance; the subset at hand with a migration."""
        numbers = (float(self._rung), self._acceptance)
        index = self._members if migration else None
        return Report(self.kind, self.erf, self.best, self._evaluated, numbers, index=index)

    def confer(self, epoch: int, reports: Mapping[int, Report]) -> None:
        """Adapt the ladder during the warm-up; later exchange temperatures, and now and then start again."""
        chains = {n: report for n, report in reports.items() if report.kind == self.kind}
        if epoch <= _WARM_UP_EPOCHS:
            acceptance = sum(report.numbers[1] for report in chains.values()) / len(chains)
            self._lowest_temperature *= float(np.clip(_ACCEPTANCE / max(acceptance, 1e-9), 0.4, 2.5))
            return
        self._exchange(epoch, chains)
        if epoch % _EPOCHS_BETWEEN_RESTARTS == 0:
            self._start_again(chains)

    def _exchange(self, epoch: int, chains: Mapping[int, Report]) -> None:
        """Every island comes to the same decisions, as it knows the same numbers."""
        by_rung = sorted(chains, key=lambda number: chains[number].numbers[0])
        lowest = self._lowest_temperature * float(_COOLING**-self._progress)
        rng = generator(self.settings.seed, Stream.EXCHANGE, self.settings.n_select, epoch)
        uniform = rng.random(len(by_rung))
        for rung in range(epoch % 2, len(by_rung) - 1, 2):
            low, high = by_rung[rung], by_rung[rung + 1]
            cold, hot = lowest * ladder(rung, self._rungs), lowest * ladder(rung + 1, self._rungs)
            gain = (1.0 / cold - 1.0 / hot) * (chains[low].erf - chains[high].erf)
            if np.log(uniform[rung]) < gain:
                by_rung[rung], by_rung[rung + 1] = high, low
        self._rung = by_rung.index(self.number)

    def _start_again(self, chains: Mapping[int, Report]) -> None:
        worst = max(chains, key=lambda number: (chains[number].erf, number))
        best = min(chains, key=lambda number: (chains[number].erf, number))
        index = chains[best].index
        if worst == self.number and index is not None:
            self._members = np.sort(index)

    def state(self) -> dict[str, np.ndarray]:
        """All that a restart needs at the end of an epoch."""
        return {
            "members": self._members,
            "index": self._index,
            "best": np.array(self.best),
            "rung": np.array(self._rung),
            "temperature": np.array(self._lowest_temperature),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what ``state`` gave."""
        self._members, self._index = state["members"].astype(np.int64), state["index"].astype(np.int64)
        self.best, self._rung = float(state["best"]), int(state["rung"])
        self._lowest_temperature = float(state["temperature"])
        self.erf = self._load()[1]
