"""How far each part of the kernel is from what the machine allows.

Operations and bytes of a part are counted from its source (:func:`costs`); what the machine can do is measured
in the same run (:func:`peaks`). Operations over their peak is one floor of the time, bytes over the bandwidth of
the cache they come from is the other; no program is faster than the higher of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit

from case import Case, Scale
from compress_mpi.methods.selection.error_function import build_reference
from compress_mpi.methods.selection.kernel import commit, load, moments_of, others_within
from compress_mpi.methods.selection.problem import (
    Problem,
    State,
    build_problem,
    correlation_columns,
    empty_state,
    standardise,
)
from compress_mpi.types import ESTIMATORS, FloatArray, IntArray
from measures import Outcome, calibrated, ratios

__all__ = ["Cost", "Peak", "costs", "floors", "measure", "peaks"]

ABOUT = "time of one swap by parts, and the floors from operations and from bytes"
_MOMENTS = ("mean", "stdev", "skewness", "kurtosis")
_SAMPLES, _RESYNCHRONISE = 1024, 64
_NEAR, _FAR, _BIG = 2**14, 2**22, 2**27
_LINE = 64
"""Bytes of a cache line: what a write to one value moves."""


class Cost(NamedTuple):
    """What a part has to do, counted from its source, padding included.

    Attributes
    ----------
    operations : float
        Additions, multiplications and comparisons of float64.
    roots : float
        Square roots and divisions, which take a unit of their own.
    near, far : float
        Bytes from and to what one chain uses again and again, and from the values of all replicas.
    """

    operations: float
    roots: float
    near: float
    far: float


class Peak(NamedTuple):
    """What one core can do, per second."""

    operations: float
    roots: float
    near: float
    far: float


def costs(points: int, correlation_points: int, slots: int, members: int) -> dict[str, Cost]:
    """Work of each part of one swap.

    Parameters
    ----------
    points, correlation_points, slots : int
        As they are laid out: whole blocks.
    members : int
        Size N of the subset.
    """
    p, c = float(points), float(correlation_points)
    rows = 2.0 * 8 * p  # the replica that comes and the one that goes
    mean_and_spread = Cost(11 * p, p, 8 * 4 * p, rows)
    # added to the sums: four powers read and written for each of the two rows
    sums = Cost(2 * 11 * p, 0.0, 2 * 8 * 8 * p, rows)
    products = Cost(2 * 2 * c * c, 0.0, 2 * 16 * c * c, 2 * 8 * c)
    share = members / 2.0 / _RESYNCHRONISE  # rows of a synchronisation, as pairs, per swap
    return {
        # sums 4, scale and three moments with inverses 7, terms written and read 2
        "moments": Cost(60 * p, 2 * p, 8 * 13 * p, rows),
        "mean and spread": mean_and_spread,
        # weights and products are read, the sum over rows is read and written
        "correlation": Cost(12 * c * c + 6 * c, c, 32 * c * c, 2 * 8 * c),
        # five comparisons and five sums a value; edges, the swap, and the terms of six regions
        "Kolmogorov-Smirnov": Cost(p * (10 * slots + 10 + 40 + 36), 0.0, p * (8 * slots + 8 * 34), rows),
        "accepted swap": Cost(
            (1 + share) * (sums.operations + products.operations),
            0.0,
            (1 + share) * (sums.near + products.near) + 2 * _LINE * p,
            (1 + share) * (sums.far + products.far) + 8 * p,
        ),
    }


def floors(cost: Cost, peak: Peak) -> tuple[float, float]:
    """Least seconds for the operations, and for the bytes."""
    work = cost.operations / peak.operations + cost.roots / peak.roots
    return work, cost.near / peak.near + cost.far / peak.far


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _multiply_add(values: FloatArray, count: int) -> float:
    # 12 independent chains of vectors: enough to fill two units of a latency of four to six
    a, b = 0.999999, 1e-9
    for _ in range(count):
        for j in range(values.shape[0]):
            values[j] = values[j] * a + b
        for j in range(values.shape[0]):
            values[j] = values[j] * a + b
    return values[0]


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _polynomials(x: FloatArray, out: FloatArray, count: int) -> float:
    """32 operations per value that is read: three independent Horner chains."""
    for _ in range(count):
        for j in range(x.shape[0]):
            v = x[j]
            p, q, r, s = v + 0.1, v + 0.2, v + 0.3, v + 0.4
            for _ in range(4):
                p = p * v + 0.5
                q = q * v + 0.25
                r = r * v + 0.125
                s = s * v + 0.75
            out[j] = (p + q) + (r + s)
    return out[0]


_POLYNOMIAL_OPERATIONS = 4 + 4 * 8 + 3


@njit(nogil=True, error_model="numpy")
def _roots(x: FloatArray, out: FloatArray, count: int) -> float:
    for _ in range(count):
        for j in range(x.shape[0]):
            out[j] = 1.0 / np.sqrt(x[j])
    return out[0]


@njit(nogil=True, error_model="numpy")
def _triad(a: FloatArray, b: FloatArray, c: FloatArray, count: int) -> float:
    for _ in range(count):
        for j in range(a.shape[0]):
            a[j] = b[j] + 3.0 * c[j]
    return a[0]


@njit(nogil=True, error_model="numpy")
def _read_rows(z: FloatArray, rows: IntArray, sums: FloatArray, count: int) -> float:
    for i in range(count):
        row = rows[i % rows.shape[0]]
        for p in range(z.shape[1]):
            sums[p] += z[row, p]
    return sums[0]


def _seconds_per_call(function: Callable[[int], object], seconds: float) -> float:
    """Least processor time of one of ``count`` calls, over some attempts: other programs only add to it."""
    count, took = calibrated(function, seconds)
    return min([took / count, *(_timed(function, count) for _ in range(5))])


def _timed(function: Callable[[int], object], count: int) -> float:
    began = time.process_time()
    function(count)
    return (time.process_time() - began) / count


def peaks(problem: Problem, seconds: float) -> Peak:
    """Measure the core: the best of a few attempts at each kind of work."""
    small, out = np.linspace(1.0, 2.0, 512), np.empty(512)
    polynomial = _seconds_per_call(lambda count: _polynomials(small, out, count), seconds)
    chain = _seconds_per_call(lambda count: _multiply_add(np.ones(96), count), seconds)
    operations = max(_POLYNOMIAL_OPERATIONS * 512 / polynomial, 2 * 2 * 96 / chain)
    roots = 2 * 512 / _seconds_per_call(lambda count: _roots(small, out, count), seconds)
    near = _triad_bandwidth(_NEAR, seconds)
    rows = np.random.default_rng(1).integers(len(problem.z), size=_SAMPLES)
    sums = np.zeros(problem.z.shape[1])
    row = _seconds_per_call(lambda count: _read_rows(problem.z, rows, sums, count), seconds)
    return Peak(operations, roots, near, 8 * problem.z.shape[1] / row)


def _triad_bandwidth(size: int, seconds: float) -> float:
    """Bytes per second of ``a = b + s c`` whose three arrays take ``size`` bytes together."""
    n = size // 24
    a, b, c = np.zeros(n), np.ones(n), np.ones(n)
    return 24 * n / _seconds_per_call(lambda count: _triad(a, b, c, count), seconds)


@njit(nogil=True)
def _moments_many(
    problem: Problem, state: State, weights: FloatArray, slots: IntArray, added: IntArray, count: int
) -> None:
    for i in range(count):
        j = i % slots.shape[0]
        moments_of(problem, state, weights, slots[j], added[j], 1)


@njit(nogil=True)
def _others_many(
    problem: Problem, state: State, weights: FloatArray, slots: IntArray, added: IntArray, count: int
) -> None:
    for i in range(count):
        j = i % slots.shape[0]
        state.coming[0], state.going[0] = added[j, 0], state.members[slots[j, 0]]
        others_within(problem, state, weights, 1, 0.0, np.inf)


@njit(nogil=True)
def _commit_many(problem: Problem, state: State, slots: IntArray, outside: IntArray, count: int) -> None:
    added = np.empty(1, np.int64)
    for i in range(count):
        j = i % slots.shape[0]
        added[0] = outside[j]
        outside[j] = state.members[slots[j, 0]]
        commit(problem, state, slots[j], added, 1)


def _problem(case: Case, names: tuple[str, ...]) -> Problem:
    """The same points, with some estimators only."""
    reference = build_reference(case.values, names, case.nodes)
    z = standardise(case.values, reference)
    return build_problem(z, z[:, correlation_columns(reference)], reference)


def _parts(case: Case, n_select: int) -> dict[str, Callable[[int], None]]:
    rng, pool = np.random.default_rng(1), len(case.values)
    members = rng.choice(pool, n_select, replace=False)
    outside = np.setdiff1d(np.arange(pool), members)
    slots = rng.integers(n_select, size=(_SAMPLES, 1))
    added = rng.choice(outside, size=(_SAMPLES, 1))
    weights = np.ones(len(ESTIMATORS))

    def ready(names: tuple[str, ...]) -> tuple[Problem, State]:
        problem = _problem(case, names)
        state = empty_state(problem, n_select)
        load(problem, state, members)
        return problem, state

    def others(names: tuple[str, ...]) -> Callable[[int], None]:
        problem, state = ready(names)
        return lambda count: _others_many(problem, state, weights, slots, added, count)

    problem, state = ready(_MOMENTS)
    whole, changed = ready(case.reference.names)
    coming = rng.permutation(outside)[: min(_SAMPLES, len(outside))]
    places = slots[: len(coming)]
    return {
        "moments": lambda count: _moments_many(problem, state, weights, slots, added, count),
        "mean and spread": others(_MOMENTS),
        "correlation": others(("correlation",)),
        "Kolmogorov-Smirnov": others(("kolmogorov_smirnov",)),
        "accepted swap": lambda count: _commit_many(whole, changed, places, coming, count),
    }


def measure(case: Case, scale: Scale) -> Outcome:
    """Time, floors and their ratio for every part and size."""
    outcome = Outcome(
        ABOUT,
        {"set": case.name, "N": list(scale.sizes)},
        notes=[
            "from floor: time over the higher of the two floors; 1 is what no program can beat",
            "all times are the shortest of six; correlation and Kolmogorov-Smirnov without mean and spread",
        ],
    )
    peak = peaks(case.problem, scale.seconds)
    outcome.add("peak, multiplications and additions", "G/s", [peak.operations / 1e9])
    outcome.add("peak, roots and divisions", "G/s", [peak.roots / 1e9])
    outcome.add("bandwidth, first cache (triad, 16 KiB)", "GB/s", [peak.near / 1e9])
    outcome.add("bandwidth, rows of the prior in random order", "GB/s", [peak.far / 1e9])
    for name, size in (("4 MiB", _FAR), ("128 MiB", _BIG)):
        outcome.add(f"bandwidth, triad of {name}", "GB/s", [_triad_bandwidth(size, scale.seconds) / 1e9])
    for n_select in scale.sizes:
        _measure_size(case, scale, n_select, peak, outcome)
    return outcome


def _measure_size(case: Case, scale: Scale, n_select: int, peak: Peak, outcome: Outcome) -> None:
    state = empty_state(case.problem, n_select)
    n_corr = case.problem.zc.shape[1]
    counted = costs(case.problem.z.shape[1], n_corr, state.values.shape[2], n_select)
    parts = _parts(case, n_select)
    took = {name: _seconds_per_call(part, scale.seconds) for name, part in parts.items()}
    for name in ("correlation", "Kolmogorov-Smirnov"):
        took[name] = max(took[name] - took["mean and spread"], 1e-9)
    for name, seconds in took.items():
        work, traffic = floors(counted[name], peak)
        outcome.add(f"N={n_select} {name}", "ns", [1e9 * seconds])
        outcome.add(f"N={n_select} {name}, floor from operations", "ns", [1e9 * work])
        outcome.add(f"N={n_select} {name}, floor from bytes", "ns", [1e9 * traffic])
        outcome.add(f"N={n_select} {name}, from floor", "x", ratios([seconds], [max(work, traffic)]))
