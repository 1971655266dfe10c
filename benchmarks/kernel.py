"""Evaluations of the error function per second on one core."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numba import njit

from case import Case, Scale
from compress_mpi.methods.selection.error_function import distances
from compress_mpi.methods.selection.kernel import erf_within, load, subset_distances
from compress_mpi.methods.selection.problem import Problem, State, empty_state
from compress_mpi.methods.selection.search import IslandSearch, search_settings
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import ESTIMATORS, FloatArray, IntArray
from measures import Outcome, calibrated, ratios

__all__ = ["measure"]

ABOUT = "evaluations of all estimators of one subset, per second and core"
_AHEAD = 1024
_STAGES = 5


# Not cached on disk: numba would not notice that the kernel they call has changed.
@njit(nogil=True)
def _within_many(
    problem: Problem,
    state: State,
    weights: FloatArray,
    slots: IntArray,
    added: IntArray,
    limit: float,
    count: int,
) -> None:
    for i in range(count):
        j = i % slots.shape[0]
        erf_within(problem, state, weights, slots[j], added[j], 1, limit)


@njit(nogil=True)
def _subset_many(problem: Problem, subsets: IntArray, count: int, out: FloatArray) -> None:
    for i in range(count):
        subset_distances(problem, subsets[i % subsets.shape[0]], out)


def _chain(case: Case, weights: FloatArray, n_select: int, iterations: int, seed: int) -> IslandSearch:
    """The default minimiser on one island."""
    settings = search_settings("tempering", n_select, iterations, seed, 1)
    return IslandSearch(settings, case.problem, weights, SerialTeam(1))


def _searched(case: Case, weights: FloatArray, n_select: int, iterations: int) -> tuple[IntArray, float]:
    """A subset that a search has come to, and its ERF: the limit that proposals have to get below."""
    search = _chain(case, weights, n_select, iterations, 1)
    while search.why_done is None:
        search.advance()
    erf, members = search.best()
    return members, erf


def stage_rates(case: Case, weights: FloatArray, n_select: int, iterations: int, seed: int) -> list[float]:
    """Evaluations per second in each fifth of a chain that cools down, and over the whole of it.

    All that an epoch takes is in it: random numbers, sums formed anew, the report.
    """
    search = _chain(case, weights, n_select, iterations, seed)
    seconds, evaluations = np.zeros(_STAGES), np.zeros(_STAGES)
    while search.why_done is None:
        stage, before = min(int(search.progress * _STAGES), _STAGES - 1), search.evaluations
        began = time.process_time()
        search.advance()
        seconds[stage] += time.process_time() - began
        evaluations[stage] += search.evaluations - before
    return [*(evaluations / seconds), float(evaluations.sum() / seconds.sum())]


def contenders(
    case: Case, n_select: int, weights: FloatArray, iterations: int
) -> dict[str, Callable[[int], None]]:
    """What is measured: each function makes so many evaluations of random neighbours or subsets."""
    rng, out = np.random.default_rng(1), np.empty(len(ESTIMATORS))
    pool = len(case.values)
    subsets = np.array([rng.choice(pool, n_select, replace=False) for _ in range(64)])
    members, erf = _searched(case, weights, n_select, iterations)
    state = empty_state(case.problem, n_select)
    load(case.problem, state, members)
    slots = rng.integers(n_select, size=(_AHEAD, 1))
    added = rng.choice(np.setdiff1d(np.arange(pool), members), size=(_AHEAD, 1))

    def swaps(limit: float) -> Callable[[int], None]:
        return lambda count: _within_many(case.problem, state, weights, slots, added, limit, count)

    def reference(count: int) -> None:
        for i in range(count):
            distances(case.values[subsets[i % 64]], case.reference)

    def yardstick(count: int) -> None:
        for i in range(count):
            case.yardstick.distances(subsets[i % 64])

    return {
        "swap": swaps(np.inf),
        "swap with early rejection": swaps(erf),
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
    count, took = calibrated(function, seconds)
    return max(1, int(count * seconds / took))


def measure(case: Case, scale: Scale) -> Outcome:
    """Rates of every contender in turn, so often, and their ratios within a turn."""
    settings = {
        "set": case.name,
        "points": int((case.problem.moment[1] > 0).sum()),
        "N": list(scale.sizes),
        "iterations of the chain": scale.chain_iterations,
    }
    notes = ["with early rejection: neighbours of a subset at the end of a search, in a descent for instance"]
    outcome = Outcome(ABOUT, settings, notes=notes)
    for n_select in scale.sizes:
        _measure_size(case, scale, n_select, outcome)
    return outcome


def _measure_size(case: Case, scale: Scale, n_select: int, outcome: Outcome) -> None:
    weights = case.weights(case.normalisation(n_select, scale.trials))
    functions = contenders(case, n_select, weights, scale.chain_iterations)
    counts = {name: _count_for(function, scale.seconds) for name, function in functions.items()}
    stages = [f"chain, fifth {i + 1} of its budget" for i in range(_STAGES)] + ["chain, whole"]
    rates: dict[str, list[float]] = {name: [] for name in [*functions, *stages]}
    for seed in range(scale.repeats):
        for name, function in functions.items():
            rates[name].append(_rate(function, counts[name]))
        found = stage_rates(case, weights, n_select, scale.chain_iterations, seed)
        for name, rate in zip(stages, found, strict=True):
            rates[name].append(rate)
    for name, values in rates.items():
        outcome.add(f"N={n_select} {name}", "1/s", values)
    for above, below in (
        ("swap", "yardstick"),
        ("swap with early rejection", "yardstick"),
        (stages[0], "yardstick"),
        (stages[-2], "yardstick"),
        ("chain, whole", "yardstick"),
        ("swap with early rejection", "swap"),
        ("from scratch", "yardstick"),
        ("swap", "from scratch"),
        ("swap", "NumPy reference"),
    ):
        outcome.add(f"N={n_select} {above} / {below}", "x", ratios(rates[above], rates[below]))
