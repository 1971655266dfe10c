r"""What the compiled kernel works on: constants of a compression, and the state of a subset.

Everything is in units of the prior: values are :math:`z = (f - m)/s` with mean
and standard deviation of the prior at the same point, and only points with a
spread are kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compress_mpi.methods.selection import estimators as est
from compress_mpi.methods.selection.error_function import Reference
from compress_mpi.types import FloatArray, IntArray

__all__ = ["Problem", "State", "build_problem", "correlation_columns", "empty_state", "standardise"]


class Problem(NamedTuple):
    """Constants of one compression, shared by all its states.

    Attributes
    ----------
    z : float64 (pool, point)
        Standardised values of every selectable replica.
    zc : float64 (pool, correlation point)
        The columns of z at the correlation points, side by side.
    columns : int64 (correlation point,)
        Which columns of z they are.
    mean_scale : float64 (point,)
        s/m of the prior, 0 where m = 0.
    moment, moment_inverse : float64 (6, point)
        Standardised moments of the prior and 1/moment (0 where that moment is 0 or not asked for).
    region, region_inverse : float64 (6, point)
        Region fractions of the prior and their inverses (0 likewise).
    inverse : float64 (correlation point, correlation point)
        Lower triangle of P^-1 with the off-diagonal doubled, divided by tr(P P^-1).
    order : int
        Highest power that is needed, 2 to 6.
    """

    z: FloatArray
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
        Lower triangle of the sums of products.
    ordered : float64 (point, n_rep)
        Values, sorted at each point.
    below : int64 (point, 5)
        Number of members at or below each edge.
    swaps : int64 (1,)
        Swaps since the sums were formed from scratch.
    work : float64 (order + 9, point)
        Scratch.
    """

    members: IntArray
    sums: FloatArray
    products: FloatArray
    ordered: FloatArray
    below: IntArray
    swaps: IntArray
    work: FloatArray


def standardise(replicas: FloatArray, reference: Reference) -> FloatArray:
    """Values in units of the prior at the points where it has a spread.

    Parameters
    ----------
    replicas : float64 (replica, flavour, x)

    Returns
    -------
    float64 (replica, point)
        (f - m)/s with mean and standard deviation of the prior.
    """
    keep = ~reference.constant
    return (replicas[:, keep] - reference.values["mean"][keep]) / reference.values["stdev"][keep]


def correlation_columns(reference: Reference) -> IntArray:
    """Columns of the standardised values that are correlation points, int64 ``(correlation point,)``."""
    if est.CORRELATION not in reference.names:
        return np.zeros(0, dtype=np.int64)
    column = np.full(reference.constant.shape, -1, dtype=np.int64)
    column[~reference.constant] = np.arange(int((~reference.constant).sum()))
    return column[reference.points[:, 0], reference.points[:, 1]]


def build_problem(z: FloatArray, zc: FloatArray, reference: Reference) -> Problem:
    """Bring a pool of replicas and a prior into the form that the kernel works on.

    Parameters
    ----------
    z : float64 (pool, point)
        The selectable replicas, as ``standardise`` gives them; may be shared and read-only.
    zc : float64 (pool, correlation point)
        ``z[:, correlation_columns(reference)]``.
    reference : Reference
        Estimators of the prior.
    """
    keep = ~reference.constant
    m, s = reference.values["mean"][keep], reference.values["stdev"][keep]
    orders = {name: order for name, order in est.MOMENT_ORDER.items() if name in reference.names}
    moment, wanted = np.zeros((6, len(m))), np.zeros((6, 1))
    for name, order in orders.items():
        wanted[order - 1] = 1.0
        moment[order - 1] = reference.values[name][keep]
    moment[1] /= s
    regions = _regions(reference, keep)
    return Problem(
        z=_read_only(z),
        zc=_read_only(zc),
        columns=correlation_columns(reference),
        mean_scale=_inverse(m) * s * wanted[0],
        moment=moment,
        moment_inverse=_inverse(moment) * wanted,
        region=regions,
        region_inverse=_inverse(regions),
        inverse=_trace_weights(reference),
        order=max([2, *orders.values()]),
    )


def _read_only(values: FloatArray) -> FloatArray:
    # one kernel then serves shared and private arrays
    view = np.ascontiguousarray(values)[:]
    view.flags.writeable = False
    return view


def _inverse(values: FloatArray) -> FloatArray:
    return np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)


def _regions(reference: Reference, keep: np.ndarray) -> FloatArray:
    if est.KOLMOGOROV_SMIRNOV not in reference.names:
        return np.zeros((0, int(keep.sum())))
    return np.ascontiguousarray(reference.values[est.KOLMOGOROV_SMIRNOV][keep].T)


def _trace_weights(reference: Reference) -> FloatArray:
    if est.CORRELATION not in reference.names:
        return np.zeros((0, 0))
    inverse = reference.inverse
    lower = np.tril(inverse, -1) + np.triu(inverse, 1).T + np.diag(np.diag(inverse))
    return np.ascontiguousarray(lower / max(len(inverse), 1))


def empty_state(problem: Problem, n_select: int) -> State:
    """Memory for a subset of ``n_select`` replicas; fill it with ``load``."""
    n_point, n_corr = problem.z.shape[1], problem.zc.shape[1]
    return State(
        members=np.zeros(n_select, dtype=np.int64),
        sums=np.zeros((problem.order, n_point)),
        products=np.zeros((n_corr, n_corr)),
        ordered=np.zeros((n_point, n_select)),
        below=np.zeros((n_point, 5), dtype=np.int64),
        swaps=np.zeros(1, dtype=np.int64),
        work=np.zeros((problem.order + 9, n_point)),
    )
