r"""What the compiled kernel works on: constants of a compression, and the state of a subset.

Everything is in units of the prior: values are :math:`z = (f - m)/s` with mean
and standard deviation of the prior at the same point, and only points with a
spread are kept. They are laid out for the kernel: those whose Kolmogorov-Smirnov
terms are largest come first, because a sum that grows fast is soon known to be too
large, and zeros fill the last block, because loops over whole blocks have no remainder.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compress_mpi.methods.selection import estimators as est
from compress_mpi.methods.selection.error_function import Reference
from compress_mpi.types import FloatArray, IntArray

__all__ = [
    "BLOCK",
    "MEAN",
    "MOST_SWAPS",
    "SPREAD",
    "Problem",
    "State",
    "build_problem",
    "correlation_columns",
    "empty_state",
    "point_columns",
    "standardise",
]

BLOCK = 64
"""Points that the kernel treats together: eight cache lines of float64."""

MEAN, SPREAD = 0, 1
"""Rows of ``State.work``: of a proposal or of the subset, whichever was looked at last."""

_LANES = 8
"""Correlation points and slots come in multiples of this: a cache line of float64."""

MOST_SWAPS = 4
"""Swaps that can be proposed together."""


class Problem(NamedTuple):
    """Constants of one compression, shared by all its states.

    Attributes
    ----------
    z : float64 (pool, point)
        Standardised values of every selectable replica, in the order of ``point_columns``.
    z_blocks : float64 (pool, block, BLOCK)
        The same memory.
    zc : float64 (pool, correlation point)
        The columns of z at the correlation points, side by side.
    columns : int64 (correlation point,)
        Which columns of z they are.
    mean_scale : float64 (point,)
        s/m of the prior, 0 where m = 0.
    moment, moment_inverse : float64 (6, point)
        Standardised moments of the prior and 1/moment (0 where that moment is 0 or not asked for).
    region, region_inverse : float64 (block, 6, BLOCK)
        Region fractions of the prior and their inverses (0 likewise), by blocks of points.
    inverse : float64 (correlation point, correlation point)
        P^-1 divided by tr(P P^-1).
    order : int
        Powers that are summed: 4 or 6.
    """

    z: FloatArray
    z_blocks: FloatArray
    zc: FloatArray
    columns: IntArray
    mean_scale: FloatArray
    moment: FloatArray
    moment_inverse: FloatArray
    region: FloatArray
    region_inverse: FloatArray
    inverse: FloatArray
    order: int


class State(NamedTuple):
    """One subset.

    Attributes
    ----------
    members : int64 (n_rep,)
        Rows of the pool; a slot is a position in this array.
    sums : float64 (order, point)
        Sums of z, z^2, ...
    products : float64 (correlation point, correlation point)
        Sums of products.
    values : float64 (block, BLOCK, slot)
        z of the members, filled up with infinities.
    swaps : int64 (1,)
        Swaps since the sums were formed from scratch.
    coming, going : int64 (4,)
        Scratch: rows of the replicas that are swapped.
    trial : float64 (order, point)
        Scratch: sums of a proposal of several swaps.
    work : float64 (2, point)
        Scratch: MEAN and SPREAD.
    work_blocks : float64 (2, block, BLOCK)
        The same memory.
    terms : float64 (point,)
        Scratch.
    corr : float64 (3, correlation point)
        Scratch.
    counts : float64 (6, BLOCK)
        Scratch: counts below the edges of a block, and its terms.
    lanes : float64 (BLOCK,)
        Scratch for sums.
    """

    members: IntArray
    sums: FloatArray
    products: FloatArray
    values: FloatArray
    swaps: IntArray
    coming: IntArray
    going: IntArray
    trial: FloatArray
    work: FloatArray
    work_blocks: FloatArray
    terms: FloatArray
    corr: FloatArray
    counts: FloatArray
    lanes: FloatArray


def point_columns(reference: Reference) -> IntArray:
    """Which point each column of the standardised values holds, int64 ``(column,)``.

    Numbers count the points (flavour, x) of the grid; -1 marks columns of zeros that fill the last block,
    of which there is always at least one.
    """
    kept = np.flatnonzero(~reference.constant.reshape(-1))
    if est.KOLMOGOROV_SMIRNOV in reference.names:
        g = reference.values[est.KOLMOGOROV_SMIRNOV].reshape(-1, est.N_REGIONS)[kept]
        # what a random subset is expected to contribute, but for a common factor
        typical = np.sum(np.divide(1.0 - g, g, out=np.zeros_like(g), where=g > 0), axis=1)
        kept = kept[np.argsort(-typical, kind="stable")]
    columns = np.full((len(kept) // BLOCK + 1) * BLOCK, -1, dtype=np.int64)
    columns[: len(kept)] = kept
    return columns


def _spread_out(values: np.ndarray, columns: IntArray) -> FloatArray:
    """Values (..., flavour, x) by column, zero where there is no point."""
    flat = values.reshape(*values.shape[:-2], -1)
    # the last point stands in for none at first
    return np.where(columns >= 0, flat[..., columns], 0.0)


def standardise(replicas: FloatArray, reference: Reference) -> FloatArray:
    """Values in units of the prior at the points where it has a spread.

    Parameters
    ----------
    replicas : float64 (replica, flavour, x)

    Returns
    -------
    float64 (replica, column)
        (f - m)/s with mean and standard deviation of the prior; columns as in ``point_columns``.
    """
    columns = point_columns(reference)
    m = _spread_out(reference.values["mean"], columns)
    s = np.where(columns >= 0, _spread_out(reference.values["stdev"], columns), 1.0)
    return np.ascontiguousarray((_spread_out(replicas, columns) - m) / s)


def correlation_columns(reference: Reference) -> IntArray:
    """Columns of the standardised values that are correlation points, int64 ``(correlation point,)``.

    A column of zeros fills them up to whole cache lines.
    """
    if est.CORRELATION not in reference.names:
        return np.zeros(0, dtype=np.int64)
    columns = point_columns(reference)
    column = np.full(reference.constant.size, -1, dtype=np.int64)
    column[columns[columns >= 0]] = np.flatnonzero(columns >= 0)
    points = column[reference.points[:, 0] * reference.constant.shape[1] + reference.points[:, 1]]
    missing = -len(points) % _LANES
    return np.concatenate([points, np.full(missing, len(columns) - 1)])


def build_problem(z: FloatArray, zc: FloatArray, reference: Reference) -> Problem:
    """Bring a pool of replicas and a prior into the form that the kernel works on.

    Parameters
    ----------
    z : float64 (pool, column)
        The selectable replicas, as ``standardise`` gives them; may be shared and read-only.
    zc : float64 (pool, correlation point)
        ``z[:, correlation_columns(reference)]``.
    reference : Reference
        Estimators of the prior.
    """
    columns = point_columns(reference)
    m, s = (_spread_out(reference.values[name], columns) for name in ("mean", "stdev"))
    orders = {name: order for name, order in est.MOMENT_ORDER.items() if name in reference.names}
    moment, wanted = np.zeros((6, len(columns))), np.zeros((6, 1))
    for name, order in orders.items():
        wanted[order - 1] = 1.0
        moment[order - 1] = _spread_out(reference.values[name], columns)
    moment[1] *= _inverse(s)
    regions = _regions(reference, columns)
    return Problem(
        z=_read_only(z),
        z_blocks=_read_only(z).reshape(len(z), -1, BLOCK),
        zc=_read_only(zc),
        columns=correlation_columns(reference),
        mean_scale=_inverse(m) * s * wanted[0],
        moment=moment,
        moment_inverse=_inverse(moment) * wanted,
        region=regions,
        region_inverse=_inverse(regions),
        inverse=_trace_weights(reference),
        order=4 if max([0, *orders.values()]) <= 4 else 6,
    )


def _read_only(values: FloatArray) -> FloatArray:
    # one kernel then serves shared and private arrays
    view = np.ascontiguousarray(values)[:]
    view.flags.writeable = False
    return view


def _inverse(values: FloatArray) -> FloatArray:
    return np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)


def _regions(reference: Reference, columns: IntArray) -> FloatArray:
    if est.KOLMOGOROV_SMIRNOV not in reference.names:
        return np.zeros((0, est.N_REGIONS, BLOCK))
    fractions = _spread_out(np.moveaxis(reference.values[est.KOLMOGOROV_SMIRNOV], -1, 0), columns)
    return np.ascontiguousarray(fractions.reshape(est.N_REGIONS, -1, BLOCK).transpose(1, 0, 2))


def _trace_weights(reference: Reference) -> FloatArray:
    padded = len(correlation_columns(reference))
    weights = np.zeros((padded, padded))
    if padded:
        n_corr = len(reference.points)
        weights[:n_corr, :n_corr] = reference.inverse / n_corr
    return weights


def empty_state(problem: Problem, n_select: int) -> State:
    """Memory for a subset of ``n_select`` replicas; fill it with ``load``."""
    n_point, n_corr = problem.z.shape[1], problem.zc.shape[1]
    work = np.zeros((2, n_point))
    return State(
        members=np.zeros(n_select, dtype=np.int64),
        sums=np.zeros((problem.order, n_point)),
        products=np.zeros((n_corr, n_corr)),
        values=np.full((len(problem.region), BLOCK, -(-n_select // _LANES) * _LANES), np.inf),
        swaps=np.zeros(1, dtype=np.int64),
        coming=np.zeros(MOST_SWAPS, dtype=np.int64),
        going=np.zeros(MOST_SWAPS, dtype=np.int64),
        trial=np.zeros((problem.order, n_point)),
        work=work,
        work_blocks=work.reshape(len(work), -1, BLOCK),
        terms=np.zeros(n_point),
        corr=np.zeros((3, n_corr)),
        counts=np.zeros((est.N_REGIONS, BLOCK)),
        lanes=np.zeros(BLOCK),
    )
