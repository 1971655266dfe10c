r"""The error function, compiled and incremental.

A subset is a ``State``: power sums, second moments and values. Moments and correlation
after a few swaps cost work proportional to the replicas that come and go, whatever the size
N of the subset, see ``kernel_moments``; Kolmogorov-Smirnov counts go through all values, but
only for proposals that the rest has not rejected, see ``kernel_regions``.

Everything is in units of the prior, see ``problem``. Sums of powers about the
prior's mean cancel where the members of a tiny subset (N below ten) lie close
together and far from it: up to six digits are then lost, which misleads no search,
and the numbers in a result come from the reference. The readable twin of every
formula is in ``estimators`` and ``error_function``; tests hold the two together.
"""

from __future__ import annotations

import numpy as np

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.selection import estimators as est
from compress_mpi.methods.selection.kernel_moments import add_row, mean_and_spread, moment_erf
from compress_mpi.methods.selection.kernel_regions import EDGE_TOLERANCE, region_distance, store_values
from compress_mpi.methods.selection.problem import BLOCK, MEAN, SPREAD, Problem, State
from compress_mpi.types import FloatArray, IntArray

__all__ = [
    "EDGE_TOLERANCE",
    "commit",
    "erf_within",
    "load",
    "loaded_erf",
    "moments_of",
    "others_within",
    "propose",
    "subset_distances",
    "weighted",
]

_RESYNCHRONISE = 64
"""Swaps after which sums are formed anew. A replica 20 s away leaves 1e-8 in the sum of sixth powers."""

_NOTHING = np.zeros(0, dtype=np.int64)
_KS = est.ESTIMATORS.index(est.KOLMOGOROV_SMIRNOV)
_CORR = est.ESTIMATORS.index(est.CORRELATION)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_products(zc: FloatArray, row: int, sign: float, products: FloatArray) -> None:
    for a in range(zc.shape[1]):
        va = sign * zc[row, a]
        for b in range(zc.shape[1]):
            products[a, b] += va * zc[row, b]


@njit(cache=True, nogil=True, error_model="numpy")
def _synchronise(problem: Problem, members: IntArray, sums: FloatArray, products: FloatArray) -> None:
    z, zc = problem.z, problem.zc
    sums[:] = 0.0
    products[:] = 0.0
    for i in range(members.shape[0]):
        add_row(z, members[i], 1.0, sums)
        _add_products(zc, members[i], 1.0, products)


@njit(cache=True, nogil=True, error_model="numpy")
def _trace_distance(
    zc: FloatArray,
    columns: IntArray,
    weights: FloatArray,
    products: FloatArray,
    coming: IntArray,
    going: IntArray,
    k: int,
    n: float,
    work: FloatArray,
    corr: FloatArray,
) -> float:
    """Correlation distance after ``k`` swaps that lead to the mean and spread in ``work``."""
    n_corr = columns.shape[0]
    for a in range(n_corr):
        s = work[SPREAD, columns[a]]
        corr[0, a] = 1.0 / s if s > 0.0 else 0.0
        corr[1, a] = work[MEAN, columns[a]]
        corr[2, a] = 0.0
    for a in range(n_corr):
        scale, sum_a = corr[0, a], n * corr[1, a]
        for b in range(n_corr):
            corr[2, b] += (weights[a, b] * scale) * (products[a, b] - sum_a * corr[1, b])
        for j in range(k):
            up, down = coming[j], going[j]
            ua, da = zc[up, a], zc[down, a]
            for b in range(n_corr):
                corr[2, b] += (weights[a, b] * scale) * (ua * zc[up, b] - da * zc[down, b])
    trace = 0.0
    for b in range(n_corr):
        trace += corr[2, b] * corr[0, b]
    return (trace / (n - 1.0) - 1.0) ** 2


@njit(cache=True, nogil=True, error_model="numpy")
def load(problem: Problem, state: State, members: IntArray) -> None:
    """Fill a state from scratch with rows of the pool.

    Parameters
    ----------
    members : int64 (n_rep,)
        Distinct rows. Sums are formed in this order.
    """
    state.members[:] = members
    state.swaps[0] = 0
    _synchronise(problem, members, state.sums, state.products)
    state.values[:] = np.inf
    for slot in range(members.shape[0]):
        store_values(problem.z_blocks, members[slot], slot, state.values)


@njit(cache=True, nogil=True)
def weighted(distances: FloatArray, weights: FloatArray) -> float:
    """Total ERF from distances and ``1 / (n_estimator normalisation)``, both float64 (8,)."""
    erf = 0.0
    for i in range(weights.shape[0]):
        erf += weights[i] * distances[i]
    return erf


@njit(cache=True, nogil=True, error_model="numpy")
def moments_of(
    problem: Problem, state: State, weights: FloatArray, slots: IntArray, added: IntArray, k: int
) -> float:
    """The part of the ERF after ``k`` swaps that comes from moments; arguments as in ``erf_within``."""
    z, sums, coming, going = problem.z, state.sums, state.coming, state.going
    coming[0] = going[0] = state.members[0]
    for j in range(k):
        coming[j], going[j] = added[j], state.members[slots[j]]
    # the last swap is made while moments are formed, those before it are added up first
    last = max(k - 1, 0)
    if last:
        sums = state.trial
        sums[:] = state.sums
        for j in range(last):
            add_row(z, coming[j], 1.0, sums)
            add_row(z, going[j], -1.0, sums)
    return moment_erf(
        sums,
        z,
        coming[last],
        going[last],
        float(state.members.shape[0]),
        problem.mean_scale,
        problem.moment,
        problem.moment_inverse,
        weights,
        state.terms,
        state.lanes,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def others_within(
    problem: Problem, state: State, weights: FloatArray, k: int, start: float, limit: float
) -> float:
    """``start`` plus the rest of the ERF after the ``k`` swaps of ``moments_of``; infinity above ``limit``."""
    z, work, coming, going = problem.z, state.work, state.coming, state.going
    n, last = float(state.members.shape[0]), max(k - 1, 0)
    mean_and_spread(state.trial if last else state.sums, z, coming[last], going[last], n, work)
    erf = start
    if problem.columns.shape[0]:
        erf += weights[_CORR] * _trace_distance(
            problem.zc,
            problem.columns,
            problem.inverse,
            state.products,
            coming,
            going,
            k,
            n,
            work,
            state.corr,
        )
    if erf <= limit and problem.region.shape[0]:
        erf = region_distance(
            problem.z_blocks,
            problem.region,
            problem.region_inverse,
            state.values,
            state.counts,
            state.lanes,
            coming,
            going,
            k,
            n,
            state.work_blocks,
            erf,
            weights[_KS],
            limit,
        )
    return erf if erf <= limit else np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def erf_within(
    problem: Problem,
    state: State,
    weights: FloatArray,
    slots: IntArray,
    added: IntArray,
    k: int,
    limit: float,
) -> float:
    """Total ERF after ``k`` swaps, or infinity where it exceeds ``limit``.

    Cheap terms come first, and the Kolmogorov-Smirnov sum, which costs most, stops
    where it is known to be too large. The answer is the same as without a limit.

    Parameters
    ----------
    weights : float64 (8,)
        1 / (n_estimator normalisation), 0 for estimators that do not enter.
    slots : int64 (>= k,)
        Distinct slots whose members leave.
    added : int64 (>= k,)
        Rows of the pool that come in; distinct, not members.
    k : int
        Number of swaps, at most 4; 0 evaluates the subset as it is.
    limit : float
    """
    erf = moments_of(problem, state, weights, slots, added, k)
    if erf <= limit:
        return others_within(problem, state, weights, k, erf, limit)
    return np.inf


def loaded_erf(problem: Problem, state: State, weights: FloatArray) -> tuple[float, float]:
    """ERF of the subset as it is: the part that comes from moments, and the whole."""
    moments = moments_of(problem, state, weights, _NOTHING, _NOTHING, 0)
    return moments, others_within(problem, state, weights, 0, moments, np.inf)


@njit(cache=True, nogil=True, error_model="numpy")
def propose(
    problem: Problem, state: State, slots: IntArray, added: IntArray, k: int, out: FloatArray
) -> None:
    """Distances of a subset after ``k`` swaps, one by one, without changing it.

    Parameters
    ----------
    slots, added, k
        As in ``erf_within``.
    out : float64 (8,)
        Distance of each estimator in the order of ``ESTIMATORS``; 0 for those not in the problem.
    """
    for i in range(out.shape[0]):
        alone = np.zeros(out.shape[0])
        alone[i] = 1.0
        out[i] = erf_within(problem, state, alone, slots, added, k, np.inf)


@njit(cache=True, nogil=True, error_model="numpy")
def commit(problem: Problem, state: State, slots: IntArray, added: IntArray, k: int) -> None:
    """Make ``k`` swaps; arguments as in ``propose``."""
    z, zc, members, coming, going = problem.z, problem.zc, state.members, state.coming, state.going
    for j in range(k):
        coming[j], going[j] = added[j], members[slots[j]]
        members[slots[j]] = added[j]
        if problem.region.shape[0]:
            store_values(problem.z_blocks, added[j], slots[j], state.values)
    state.swaps[0] += k
    if state.swaps[0] >= _RESYNCHRONISE:
        state.swaps[0] = 0
        _synchronise(problem, members, state.sums, state.products)
    else:
        for j in range(k):
            add_row(z, going[j], -1.0, state.sums)
            add_row(z, coming[j], 1.0, state.sums)
            _add_products(zc, going[j], -1.0, state.products)
            _add_products(zc, coming[j], 1.0, state.products)


@njit(cache=True, nogil=True, error_model="numpy")
def subset_distances(problem: Problem, members: IntArray, out: FloatArray) -> None:
    """Distances of one subset evaluated from scratch, for subsets that have no neighbour.

    Parameters
    ----------
    members : int64 (n_rep,)
        Distinct rows of the pool.
    out : float64 (8,)
        As in ``propose``.
    """
    z, same, n, n_corr = problem.z, members[0], float(members.shape[0]), problem.zc.shape[1]
    sums, products = np.empty((problem.order, z.shape[1])), np.empty((n_corr, n_corr))
    work, corr, lanes = np.empty((2, z.shape[1])), np.empty((3, n_corr)), np.empty(BLOCK)
    _synchronise(problem, members, sums, products)
    out[:] = 0.0
    for i in range(problem.order):
        alone = np.zeros(out.shape[0])
        alone[i] = 1.0
        out[i] = moment_erf(
            sums,
            z,
            same,
            same,
            n,
            problem.mean_scale,
            problem.moment,
            problem.moment_inverse,
            alone,
            work[0],
            lanes,
        )
    mean_and_spread(sums, z, same, same, n, work)
    if n_corr:
        out[_CORR] = _trace_distance(
            problem.zc, problem.columns, problem.inverse, products, members, members, 0, n, work, corr
        )
    if problem.region.shape[0]:
        values = np.empty((problem.region.shape[0], BLOCK, members.shape[0]))
        for slot in range(members.shape[0]):
            store_values(problem.z_blocks, members[slot], slot, values)
        out[_KS] = region_distance(
            problem.z_blocks,
            problem.region,
            problem.region_inverse,
            values,
            np.empty((6, BLOCK)),
            lanes,
            members,
            members,
            0,
            n,
            work.reshape(2, -1, BLOCK),
            0.0,
            1.0,
            np.inf,
        )
