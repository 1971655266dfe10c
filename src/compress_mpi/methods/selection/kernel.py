r"""The error function, compiled and incremental.

A subset is a ``State``: power sums, second moments and sorted values. Replacing
k of its members costs work proportional to k replicas, whatever the size N of the
subset: sums change by the replicas that come and go, and a Kolmogorov-Smirnov
count is found by walking from the old edge to the new one through sorted values
(edges move by about s/N, so a walk passes about one value).

Everything is in units of the prior, see ``problem``. Sums of powers about the
prior's mean cancel where the members of a tiny subset (N below ten) lie close
together and far from it: up to six digits are then lost, which misleads no search,
and the numbers in a result come from the reference. The readable twin of every
formula is in ``estimators`` and ``error_function``; tests hold the two together.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from compress_mpi.methods.selection import estimators as est
from compress_mpi.methods.selection.problem import Problem, State
from compress_mpi.types import FloatArray, IntArray

__all__ = [
    "EDGE_TOLERANCE",
    "commit",
    "erf_within",
    "load",
    "propose",
    "subset_distances",
    "weighted",
]

EDGE_TOLERANCE = 1e-12
"""Values this close above an edge (in standard deviations of the prior) count as equal to it."""

_NO_SPREAD = 1e-6
"""A subset spread below this, in units of the prior's, is rounding: all members are equal at the point."""

_RESYNCHRONISE = 64
"""Swaps after which sums are formed anew. A replica 20 s away leaves 1e-8 in the sum of sixth powers."""

_EDGES = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
_KS = est.ESTIMATORS.index(est.KOLMOGOROV_SMIRNOV)
_CORR = est.ESTIMATORS.index(est.CORRELATION)


@njit(cache=True, nogil=True)
def _add(problem: Problem, row: int, sign: float, sums: FloatArray) -> None:
    z = problem.z[row]
    for p in range(z.shape[0]):
        power = sign * z[p]
        for k in range(sums.shape[0]):
            sums[k, p] += power
            power *= z[p]


@njit(cache=True, nogil=True)
def _add4(z: FloatArray, sign: float, sums: FloatArray) -> None:
    # the same as _add for four powers, unrolled so that it is vectorised over points
    s1, s2, s3, s4 = sums[0], sums[1], sums[2], sums[3]
    for p in range(z.shape[0]):
        v = z[p]
        v2 = v * v
        s1[p] += sign * v
        s2[p] += sign * v2
        s3[p] += sign * (v2 * v)
        s4[p] += sign * (v2 * v2)


@njit(cache=True, nogil=True)
def _add_row(problem: Problem, row: int, sign: float, sums: FloatArray) -> None:
    if sums.shape[0] == 4:
        _add4(problem.z[row], sign, sums)
    else:
        _add(problem, row, sign, sums)


@njit(cache=True, nogil=True)
def _add_products(zc: FloatArray, sign: float, products: FloatArray) -> None:
    for a in range(zc.shape[0]):
        va = sign * zc[a]
        row = products[a]
        for b in range(a + 1):
            row[b] += va * zc[b]


@njit(cache=True, nogil=True)
def _synchronise(problem: Problem, state: State) -> None:
    state.sums[:] = 0.0
    state.products[:] = 0.0
    for row in state.members:
        _add_row(problem, row, 1.0, state.sums)
        _add_products(problem.zc[row], 1.0, state.products)
    state.swaps[0] = 0


@njit(cache=True, nogil=True)
def _mean_and_spread(sums: FloatArray, n: int, mean: FloatArray, spread: FloatArray) -> None:
    s1, s2 = sums[0], sums[1]
    for p in range(mean.shape[0]):
        m = s1[p] / n
        mean[p] = m
        s = np.sqrt(max(s2[p] - n * m * m, 0.0) / (n - 1))
        spread[p] = s if s > _NO_SPREAD else 0.0


@njit(cache=True, nogil=True)
def _sum_of_squares(values: FloatArray) -> float:
    a0 = a1 = a2 = a3 = 0.0
    n = values.shape[0]
    for i in range(0, n - 3, 4):
        a0 += values[i] * values[i]
        a1 += values[i + 1] * values[i + 1]
        a2 += values[i + 2] * values[i + 2]
        a3 += values[i + 3] * values[i + 3]
    for i in range(n - n % 4, n):
        a0 += values[i] * values[i]
    return (a0 + a1) + (a2 + a3)


@njit(cache=True, nogil=True)
def _moment_distances(
    problem: Problem,
    sums: FloatArray,
    n: int,
    mean: FloatArray,
    spread: FloatArray,
    work: FloatArray,
    out: FloatArray,
) -> None:
    g, gi, scale = problem.moment, problem.moment_inverse, problem.mean_scale
    d0, d1, d2, d3, d4, d5 = work[0], work[1], work[2], work[3], work[4], work[5]
    inverse = work[6]
    for p in range(mean.shape[0]):
        d0[p] = mean[p] * scale[p]
        d1[p] = (spread[p] - g[1, p]) * gi[1, p]
        inverse[p] = 1.0 / spread[p] if spread[p] > 0.0 else 0.0
    out[0] = _sum_of_squares(d0)
    out[1] = _sum_of_squares(d1)
    if problem.order > 2:
        for p in range(mean.shape[0]):
            m, i = mean[p], inverse[p]
            c = sums[2, p] / n - m * (3.0 * sums[1, p] / n - 2.0 * m * m)
            d2[p] = (c * (i * i * i) - g[2, p]) * gi[2, p]
        out[2] = _sum_of_squares(d2)
    if problem.order > 3:
        for p in range(mean.shape[0]):
            m, i2 = mean[p], inverse[p] * inverse[p]
            c = sums[3, p] / n - m * (4.0 * sums[2, p] / n - m * (6.0 * sums[1, p] / n - 3.0 * m * m))
            d3[p] = (c * (i2 * i2) - g[3, p]) * gi[3, p]
        out[3] = _sum_of_squares(d3)
    if problem.order > 4:
        for p in range(mean.shape[0]):
            m, i = mean[p], inverse[p]
            c = 10.0 * sums[2, p] / n - m * (10.0 * sums[1, p] / n - 4.0 * m * m)
            c = sums[4, p] / n - m * (5.0 * sums[3, p] / n - m * c)
            d4[p] = (c * (i * i * i * i * i) - g[4, p]) * gi[4, p]
        out[4] = _sum_of_squares(d4)
    if problem.order > 5:
        for p in range(mean.shape[0]):
            m, i3 = mean[p], inverse[p] * inverse[p] * inverse[p]
            c = 20.0 * sums[2, p] / n - m * (15.0 * sums[1, p] / n - 5.0 * m * m)
            c = 15.0 * sums[3, p] / n - m * c
            c = sums[5, p] / n - m * (6.0 * sums[4, p] / n - m * c)
            d5[p] = (c * (i3 * i3) - g[5, p]) * gi[5, p]
        out[5] = _sum_of_squares(d5)


@njit(cache=True, nogil=True)
def _region_term(problem: Problem, p: int, counts: IntArray, n: int) -> float:
    total, previous = 0.0, 0
    for e in range(6):
        upper = counts[e] if e < 5 else n
        d = ((upper - previous) / n - problem.region[e, p]) * problem.region_inverse[e, p]
        total += d * d
        previous = upper
    return total


@njit(cache=True, nogil=True)
def _trace_distance(
    problem: Problem,
    products: FloatArray,
    added: IntArray,
    removed: IntArray,
    k: int,
    n: int,
    mean: FloatArray,
    spread: FloatArray,
) -> float:
    zc, w, columns = problem.zc, problem.inverse, problem.columns
    n_corr = columns.shape[0]
    inverse, row_sum = np.empty(n_corr), np.zeros(n_corr)
    for a in range(n_corr):
        s = spread[columns[a]]
        inverse[a] = 1.0 / s if s > 0.0 else 0.0
    for a in range(n_corr):
        ia, sum_a = inverse[a], n * mean[columns[a]]
        wa, pa = w[a], products[a]
        for b in range(a + 1):
            row_sum[b] += wa[b] * ia * (pa[b] - sum_a * mean[columns[b]])
        for j in range(k):
            up, down = zc[added[j]], zc[removed[j]]
            ua, da = up[a], down[a]
            for b in range(a + 1):
                row_sum[b] += wa[b] * ia * (ua * up[b] - da * down[b])
    trace = 0.0
    for b in range(n_corr):
        trace += row_sum[b] * inverse[b]
    return (trace / (n - 1) - 1.0) ** 2


@njit(cache=True, nogil=True)
def load(problem: Problem, state: State, members: IntArray) -> None:
    """Fill a state from scratch with rows of the pool.

    Parameters
    ----------
    members : int64 (n_rep,)
        Distinct rows. Sums are formed in this order.
    """
    n = members.shape[0]
    state.members[:] = members
    _synchronise(problem, state)
    mean, spread = state.work[state.sums.shape[0]], state.work[state.sums.shape[0] + 1]
    _mean_and_spread(state.sums, n, mean, spread)
    if problem.region.shape[0] == 0:
        return
    for p in range(mean.shape[0]):
        values = state.ordered[p]
        for i in range(n):
            values[i] = problem.z[members[i], p]
        values.sort()
        for e in range(5):
            edge = mean[p] + _EDGES[e] * spread[p] + EDGE_TOLERANCE
            state.below[p, e] = np.searchsorted(values, edge, side="right")


@njit(cache=True, nogil=True)
def _walk(values: FloatArray, start: int, edge: float) -> int:
    """Number of sorted values at or below ``edge``, looked for from ``start``."""
    c, n = start, values.shape[0]
    while c < n and values[c] <= edge:
        c += 1
    while c > 0 and values[c - 1] > edge:
        c -= 1
    return c


@njit(cache=True, nogil=True)
def weighted(distances: FloatArray, weights: FloatArray) -> float:
    """Total ERF from distances and ``1 / (n_estimator normalisation)``, both float64 (8,)."""
    total = 0.0
    for i in range(weights.shape[0]):
        total += weights[i] * distances[i]
    return total


@njit(cache=True, nogil=True)
def _swap(problem: Problem, state: State, slots: IntArray, added: IntArray, k: int) -> IntArray:
    """Put sums, mean and spread of the subset after ``k`` swaps into the scratch; returns who leaves."""
    n, order = state.members.shape[0], state.sums.shape[0]
    sums = state.work[:order]
    sums[:] = state.sums
    removed = np.empty(k, dtype=np.int64)
    for j in range(k):
        removed[j] = state.members[slots[j]]
        _add_row(problem, removed[j], -1.0, sums)
        _add_row(problem, added[j], 1.0, sums)
    _mean_and_spread(sums, n, state.work[order], state.work[order + 1])
    return removed


@njit(cache=True, nogil=True)
def _add_region_distance(
    problem: Problem,
    state: State,
    added: IntArray,
    removed: IntArray,
    k: int,
    start: float,
    weight: float,
    limit: float,
) -> float:
    """``start`` plus the weighted Kolmogorov-Smirnov distance of the subset in the scratch.

    Terms are positive, so infinity is the answer as soon as ``limit`` is exceeded.
    """
    n, order = state.members.shape[0], state.sums.shape[0]
    mean, spread = state.work[order], state.work[order + 1]
    counts = np.empty(5, dtype=np.int64)
    total = 0.0
    for p in range(mean.shape[0]):
        for e in range(5):
            edge = mean[p] + _EDGES[e] * spread[p] + EDGE_TOLERANCE
            c = _walk(state.ordered[p], state.below[p, e], edge)
            for j in range(k):
                c += (problem.z[added[j], p] <= edge) - (problem.z[removed[j], p] <= edge)
            counts[e] = c
        total += _region_term(problem, p, counts, n)
        if start + weight * total > limit:
            return np.inf
    return start + weight * total


@njit(cache=True, nogil=True)
def propose(
    problem: Problem, state: State, slots: IntArray, added: IntArray, k: int, out: FloatArray
) -> None:
    """Distances of a subset after ``k`` swaps, without changing it.

    Parameters
    ----------
    slots : int64 (>= k,)
        Distinct slots whose members leave.
    added : int64 (>= k,)
        Rows of the pool that come in; distinct, not members.
    k : int
        Number of swaps; 0 evaluates the subset as it is.
    out : float64 (8,)
        Distance of each estimator in the order of ``ESTIMATORS``; 0 for those not in the problem.
    """
    n, order = state.members.shape[0], state.sums.shape[0]
    removed = _swap(problem, state, slots, added, k)
    mean, spread, scratch = state.work[order], state.work[order + 1], state.work[order + 2 :]
    out[:] = 0.0
    _moment_distances(problem, state.work[:order], n, mean, spread, scratch, out)
    if problem.columns.shape[0]:
        out[_CORR] = _trace_distance(problem, state.products, added, removed, k, n, mean, spread)
    if problem.region.shape[0]:
        out[_KS] = _add_region_distance(problem, state, added, removed, k, 0.0, 1.0, np.inf)


@njit(cache=True, nogil=True)
def erf_within(
    problem: Problem,
    state: State,
    weights: FloatArray,
    slots: IntArray,
    added: IntArray,
    k: int,
    limit: float,
    out: FloatArray,
) -> float:
    """Total ERF after ``k`` swaps, or infinity where it exceeds ``limit``.

    Cheap terms come first, and the Kolmogorov-Smirnov sum, which costs most, stops
    where it is known to be too large. The answer is the same as without a limit.

    Parameters
    ----------
    weights : float64 (8,)
        1 / (n_estimator normalisation), 0 for estimators that do not enter.
    slots, added, k
        As in ``propose``.
    limit : float
    out : float64 (8,)
        Scratch.
    """
    n, order = state.members.shape[0], state.sums.shape[0]
    removed = _swap(problem, state, slots, added, k)
    mean, spread, scratch = state.work[order], state.work[order + 1], state.work[order + 2 :]
    out[:] = 0.0
    _moment_distances(problem, state.work[:order], n, mean, spread, scratch, out)
    total = weighted(out, weights)
    if total <= limit and problem.columns.shape[0]:
        total += weights[_CORR] * _trace_distance(problem, state.products, added, removed, k, n, mean, spread)
    if total <= limit and weights[_KS] > 0.0:
        total = _add_region_distance(problem, state, added, removed, k, total, weights[_KS], limit)
    return total if total <= limit else np.inf


@njit(cache=True, nogil=True)
def _replace_sorted(values: FloatArray, old: float, new: float) -> None:
    i = np.searchsorted(values, old)
    n = values.shape[0]
    while i + 1 < n and values[i + 1] < new:
        values[i] = values[i + 1]
        i += 1
    while i > 0 and values[i - 1] > new:
        values[i] = values[i - 1]
        i -= 1
    values[i] = new


@njit(cache=True, nogil=True)
def commit(problem: Problem, state: State, slots: IntArray, added: IntArray, k: int) -> None:
    """Make ``k`` swaps; arguments as in ``propose``."""
    n, order = state.members.shape[0], state.sums.shape[0]
    for j in range(k):
        row_out, row_in = state.members[slots[j]], added[j]
        _add_row(problem, row_out, -1.0, state.sums)
        _add_row(problem, row_in, 1.0, state.sums)
        _add_products(problem.zc[row_out], -1.0, state.products)
        _add_products(problem.zc[row_in], 1.0, state.products)
        state.members[slots[j]] = row_in
        if problem.region.shape[0]:
            for p in range(state.ordered.shape[0]):
                _replace_sorted(state.ordered[p], problem.z[row_out, p], problem.z[row_in, p])
    state.swaps[0] += k
    if state.swaps[0] >= _RESYNCHRONISE:
        _synchronise(problem, state)
    mean, spread = state.work[order], state.work[order + 1]
    _mean_and_spread(state.sums, n, mean, spread)
    if problem.region.shape[0]:
        for p in range(mean.shape[0]):
            for e in range(5):
                edge = mean[p] + _EDGES[e] * spread[p] + EDGE_TOLERANCE
                state.below[p, e] = _walk(state.ordered[p], state.below[p, e], edge)


@njit(cache=True, nogil=True)
def subset_distances(problem: Problem, members: IntArray, out: FloatArray) -> None:
    """Distances of one subset evaluated from scratch, for subsets that have no neighbour.

    Parameters
    ----------
    members : int64 (n_rep,)
        Distinct rows of the pool.
    out : float64 (8,)
        As in ``propose``.
    """
    n, n_point, n_corr = members.shape[0], problem.z.shape[1], problem.zc.shape[1]
    sums = np.zeros((problem.order, n_point))
    products = np.zeros((n_corr, n_corr))
    for row in members:
        _add_row(problem, row, 1.0, sums)
        _add_products(problem.zc[row], 1.0, products)
    mean, spread = np.empty(n_point), np.empty(n_point)
    _mean_and_spread(sums, n, mean, spread)
    out[:] = 0.0
    _moment_distances(problem, sums, n, mean, spread, np.empty((7, n_point)), out)
    if problem.region.shape[0]:
        below = np.zeros((5, n_point), dtype=np.int64)
        for e in range(5):
            edge = mean + _EDGES[e] * spread + EDGE_TOLERANCE
            for row in members:
                z, count = problem.z[row], below[e]
                for p in range(n_point):
                    count[p] += z[p] <= edge[p]
        for p in range(n_point):
            out[_KS] += _region_term(problem, p, below[:, p], n)
    if n_corr:
        out[_CORR] = _trace_distance(problem, products, members, members, 0, n, mean, spread)
