"""The published genetic algorithm, one island of it.

Source: :cite:`Carrazza:2015hva`, Sec. 3.3; :cite:`Carrazza:2021hny`, Sec. 2.2. One generation makes five
mutants of the current subset; the best of them replaces it if its ERF is lower.
A mutant has one to four replicas exchanged, with probabilities 0.3, 0.3, 0.1 and
0.3. Both published codes may select a replica twice; here a mutation draws from
the replicas outside the subset, so that never happens.

Mutants of a generation are drawn beforehand from the stream of the epoch. As most
generations change nothing, several ranks can work ahead on one island: they
evaluate the coming generations as if none succeeded, take the first that does, and
go on from there. The result is that of one rank, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.selection.island import Report, SearchSettings, first_subset, neighbour
from compress_mpi.methods.selection.kernel import commit, erf_within, load, loaded_erf
from compress_mpi.methods.selection.problem import MOST_SWAPS, Problem, State, empty_state
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["N_MUTANTS", "GeneticIsland", "Mutations", "draw_mutations"]

N_MUTANTS = 5
_MUTATION_TABLE = np.array([0.3, 0.6, 0.7])
"""Up to 0.3 one swap, to 0.6 two, to 0.7 three, else four."""


class Mutations(NamedTuple):
    """Random numbers of some generations.

    Attributes
    ----------
    swaps : int64 (generation, mutant)
        Number of replicas to exchange.
    slot, replica : float64 (generation, mutant, 4)
        Uniform in [0, 1): which member leaves and which outsider comes.
    """

    swaps: IntArray
    slot: FloatArray
    replica: FloatArray


def draw_mutations(rng: np.random.Generator, n_generations: int) -> Mutations:
    """Draw the mutations of some generations from the published table."""
    shape = (n_generations, N_MUTANTS)
    swaps = 1 + np.searchsorted(_MUTATION_TABLE, rng.random(shape), side="left")
    return Mutations(
        swaps.astype(np.int64), rng.random((*shape, MOST_SWAPS)), rng.random((*shape, MOST_SWAPS))
    )


@njit(cache=True, nogil=True)
def _choose(uniform: FloatArray, k: int, n: int, out: IntArray) -> None:
    """First ``k`` of a random order of ``n`` things: distinct, uniform."""
    for j in range(k):
        pick = int(uniform[j] * (n - j))
        # skip what was taken before, in increasing order
        for i in range(j):
            if pick >= out[i]:
                pick += 1
        i = j
        while i > 0 and out[i - 1] > pick:
            out[i] = out[i - 1]
            i -= 1
        out[i] = pick


@njit(cache=True, nogil=True)
def _mutant(
    mutations: Mutations,
    g: int,
    i: int,
    n: int,
    outside: IntArray,
    slots: IntArray,
    places: IntArray,
    added: IntArray,
) -> int:
    k = min(mutations.swaps[g, i], n, outside.shape[0])
    _choose(mutations.slot[g, i], k, n, slots)
    _choose(mutations.replica[g, i], k, outside.shape[0], places)
    for j in range(k):
        added[j] = outside[places[j]]
    return k


@njit(cache=True, nogil=True)
def _evaluate_mutants(
    problem: Problem,
    state: State,
    weights: FloatArray,
    mutations: Mutations,
    outside: IntArray,
    first: int,
    last: int,
    limit: float,
    found: FloatArray,
) -> None:
    """ERF of the mutants ``first..last-1`` of the subset, infinite above ``limit``."""
    slots, places = np.empty(MOST_SWAPS, np.int64), np.empty(MOST_SWAPS, np.int64)
    added = np.empty(MOST_SWAPS, np.int64)
    for m in range(first, last):
        k = _mutant(
            mutations, m // N_MUTANTS, m % N_MUTANTS, state.members.shape[0], outside, slots, places, added
        )
        found[m - first] = erf_within(problem, state, weights, slots, added, k, limit)


@njit(cache=True, nogil=True)
def _select(
    problem: Problem,
    state: State,
    mutations: Mutations,
    outside: IntArray,
    g: int,
    erfs: FloatArray,
    erf: float,
) -> float:
    """Elitist selection of one generation; returns the ERF of the survivor."""
    best = 0
    for i in range(1, N_MUTANTS):
        if erfs[i] < erfs[best]:
            best = i
    if not erfs[best] < erf:
        return erf
    slots, places = np.empty(MOST_SWAPS, np.int64), np.empty(MOST_SWAPS, np.int64)
    added = np.empty(MOST_SWAPS, np.int64)
    k = _mutant(mutations, g, best, state.members.shape[0], outside, slots, places, added)
    for j in range(k):
        outside[places[j]] = state.members[slots[j]]
    commit(problem, state, slots, added, k)
    return erfs[best]


@njit(cache=True, nogil=True)
def _generations(
    problem: Problem,
    state: State,
    weights: FloatArray,
    mutations: Mutations,
    outside: IntArray,
    erf: float,
    history: FloatArray,
) -> None:
    erfs = np.empty(N_MUTANTS)
    for g in range(history.shape[0]):
        first = g * N_MUTANTS
        _evaluate_mutants(problem, state, weights, mutations, outside, first, first + N_MUTANTS, erf, erfs)
        erf = _select(problem, state, mutations, outside, g, erfs, erf)
        history[g] = erf


class GeneticIsland:
    """One subset under the published mutations and elitist selection.

    Parameters
    ----------
    number : int
        Of the island; part of its random streams.
    settings : SearchSettings
    problem : Problem
    weights : float64 (8,)
        1 / (n_estimator normalisation), 0 for estimators that do not enter.
    """

    kind: ClassVar[str] = "genetic"
    default_islands: ClassVar[int] = 16

    @staticmethod
    def epoch_length(settings: SearchSettings) -> int:
        """Generations between two reports."""
        return 200

    @staticmethod
    def evaluations(settings: SearchSettings, iterations: int, n_pool: int) -> int:
        """Error-function evaluations in so many generations."""
        return iterations * N_MUTANTS

    @staticmethod
    def most_useful_crew(n_pool: int) -> int:
        """Eight generations ahead."""
        return 8 * N_MUTANTS

    def __init__(self, number: int, settings: SearchSettings, problem: Problem, weights: FloatArray) -> None:
        self.number, self.settings, self.problem, self.weights = number, settings, problem, weights
        self._state, self._evaluated = empty_state(problem, settings.n_select), 0
        self._load(first_subset(settings, number, len(problem.z)))

    def _load(self, index: IntArray) -> None:
        load(self.problem, self._state, index)
        self.erf = loaded_erf(self.problem, self._state, self.weights)[1]
        self._loaded = index

    @property
    def index(self) -> IntArray:
        """Selected rows of the pool, sorted, int64 (n_select,)."""
        return np.sort(self._state.members)

    @property
    def best(self) -> float:
        """Its ERF: selection is elitist."""
        return self.erf

    def warm_up(self, crew: Team) -> None:
        """Compile everything."""
        self.advance(0, 1, 0.0, crew)

    def advance(self, epoch: int, iterations: int, progress: float, crew: Team) -> FloatArray:
        """Go through the generations of one epoch.

        Every epoch starts from sums formed anew over the sorted members, so that a
        restart at its beginning meets the same bits.

        Returns
        -------
        float64 (iterations,)
            ERF after each generation.
        """
        index = self.index
        if not np.array_equal(self._state.members, self._loaded):
            self._load(index)
        rng = generator(self.settings.seed, Stream.GENETIC, self.settings.n_select, self.number, epoch)
        mutations = draw_mutations(rng, iterations)
        outside = np.setdiff1d(np.arange(len(self.problem.z)), index)
        history = np.empty(iterations)
        if crew.size == 1:
            _generations(self.problem, self._state, self.weights, mutations, outside, self.erf, history)
        else:
            self._work_ahead(mutations, outside, history, crew)
        self.erf, self._evaluated = float(history[-1]), iterations * N_MUTANTS
        return history

    def _work_ahead(self, mutations: Mutations, outside: IntArray, history: FloatArray, crew: Team) -> None:
        g, ahead = 0, crew.size
        while g < len(history):
            ahead = min(ahead, len(history) - g)
            erfs = self._evaluate(mutations, outside, g, ahead, crew)
            better = np.flatnonzero(erfs.min(axis=1) < self.erf)
            done = int(better[0]) if len(better) else ahead
            history[g : g + done] = self.erf
            g += done
            if len(better):
                self.erf = float(
                    _select(self.problem, self._state, mutations, outside, g, erfs[done], self.erf)
                )
                history[g] = self.erf
                g += 1
            # how far to look ahead changes the speed only
            ahead = max(crew.size, ahead // 2) if len(better) else 2 * ahead

    def _evaluate(
        self, mutations: Mutations, outside: IntArray, g: int, ahead: int, crew: Team
    ) -> FloatArray:
        def block(tasks: Sequence[int]) -> FloatArray:
            found = np.empty(len(tasks))
            first = g * N_MUTANTS + (tasks[0] if len(tasks) else 0)
            _evaluate_mutants(
                self.problem,
                self._state,
                self.weights,
                mutations,
                outside,
                first,
                first + len(tasks),
                self.erf,
                found,
            )
            return found[:, None]

        return crew.map_rows(block, ahead * N_MUTANTS, 1).reshape(ahead, N_MUTANTS)

    def report(self, migration: bool) -> Report:
        """ERF, and the subset with a migration."""
        return Report(self.kind, self.erf, self.erf, self._evaluated, index=self.index if migration else None)

    def confer(self, epoch: int, reports: Mapping[int, Report]) -> None:
        """Take over the subset of the neighbour on a ring of all islands if it is better."""
        other = neighbour(self.number, reports)
        if other.index is not None and other.erf < self.erf:
            self._load(np.sort(other.index))

    def state(self) -> dict[str, np.ndarray]:
        """All that a restart needs at the end of an epoch."""
        return {"index": self.index}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what ``state`` gave."""
        self._load(np.sort(state["index"]))
