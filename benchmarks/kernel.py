"""Evaluations of the error function per second on one core."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numba import njit

from case import Case, Scale
from compress_mpi.methods.selection.error_function import distances
from compress_mpi.methods.selection.kernel import erf_within, load, propose, subset_distances
from compress_mpi.methods.selection.problem import Problem, State, empty_state
from compress_mpi.methods.selection.search import IslandSearch, search_settings
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import ESTIMATORS, FloatArray, IntArray
from measures import Outcome, ratios

__all__ = ["measure"]

ABOUT = "evaluations of all estimators of one subset, per second and core"
_AHEAD = 1024
_GENERATIONS = 2000


# Not cached on disk: numba would not notice that the kernel they call has changed.
@njit(nogil=True)
def _propose_many(
    problem: Problem, state: State, slots: IntArray, added: IntArray, count: int, out: FloatArray
) -> None:
    for i in range(count):
        j = i % slots.shape[0]
        propose(problem, state, slots[j], added[j], 1, out)


@njit(nogil=True)
def _within_many(
    problem: Problem,
    state: State,
    weights: FloatArray,
    slots: IntArray,
    added: IntArray,
    limit: float,
    count: int,
    out: FloatArray,
) -> None:
    for i in range(count):
        j = i % slots.shape[0]
        erf_within(problem, state, weights, slots[j], added[j], 1, limit, out)


@njit(nogil=True)
def _subset_many(problem: Problem, subsets: IntArray, count: int, out: FloatArray) -> None:
    for i in range(count):
        subset_distances(problem, subsets[i % subsets.shape[0]], out)


def _searched(case: Case, weights: FloatArray, n_select: int) -> tuple[IntArray, float]:
    """A subset in the middle of a search, and its ERF: the limit that proposals have to get below."""
    settings = search_settings("genetic", n_select, _GENERATIONS, 1, 1)
    search = IslandSearch(settings, case.problem, weights, SerialTeam(1))
    while not search.done:
        search.advance()
    erf, members = search.best()
    return members, erf


def contenders(case: Case, n_select: int, trials: int) -> dict[str, Callable[[int], None]]:
    """What is measured: each function makes so many evaluations of random neighbours or subsets."""
    rng, out = np.random.default_rng(1), np.empty(len(ESTIMATORS))
    pool = len(case.values)
    subsets = np.array([rng.choice(pool, n_select, replace=False) for _ in range(64)])
    weights = case.weights(case.normalisation(n_select, trials))
    members, erf = _searched(case, weights, n_select)
    state = empty_state(case.problem, n_select)
    load(case.problem, state, members)
    slots = rng.integers(n_select, size=(_AHEAD, 1))
    added = rng.choice(np.setdiff1d(np.arange(pool), members), size=(_AHEAD, 1))

    def reference(count: int) -> None:
        for i in range(count):
            distances(case.values[subsets[i % 64]], case.reference)

    def yardstick(count: int) -> None:
        for i in range(count):
            case.yardstick.distances(subsets[i % 64])

    return {
        "swap": lambda count: _propose_many(case.problem, state, slots, added, count, out),
        "swap with early rejection": lambda count: _within_many(
            case.problem, state, weights, slots, added, erf, count, out
        ),
        "from scratch": lambda count: _subset_many(case.problem, subsets, count, out),
        "NumPy reference": reference,
        "yardstick": yardstick,
    }


def _rate(function: Callable[[int], None], count: int) -> float:
    # processor time: what other programs take does not count, and all of these run in one thread
    began = time.process_time()
    function(count)
    return count / (time.process_time() - began)


def _count_for(function: Callable[[int], None], seconds: float) -> int:
    function(1)
    count = 1
    while True:
        began = time.process_time()
        function(count)
        took = time.process_time() - began
        if took > seconds / 8:
            return max(1, int(count * seconds / took))
        count *= 4


def measure(case: Case, scale: Scale) -> Outcome:
    """Rates of every contender in turn, so often, and their ratios within a turn."""
    settings = {"set": case.name, "points": case.problem.z.shape[1], "N": list(scale.sizes)}
    outcome = Outcome(ABOUT, settings)
    for n_select in scale.sizes:
        functions = contenders(case, n_select, scale.trials)
        counts = {name: _count_for(function, scale.seconds) for name, function in functions.items()}
        rates: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(scale.repeats):
            for name, function in functions.items():
                rates[name].append(_rate(function, counts[name]))
        for name, values in rates.items():
            outcome.add(f"N={n_select} {name}", "1/s", values)
        for above, below in (
            ("swap", "yardstick"),
            ("swap with early rejection", "yardstick"),
            ("swap with early rejection", "swap"),
            ("from scratch", "yardstick"),
            ("swap", "from scratch"),
            ("swap", "NumPy reference"),
        ):
            outcome.add(f"N={n_select} {above} / {below}", "x", ratios(rates[above], rates[below]))
    return outcome
