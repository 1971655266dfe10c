"""Operators at work on x f(x): many replicas at a time, the same bits however they are shared out."""

from __future__ import annotations

import numpy as np

from compress_mpi.methods.evolution.library import eko_module
from compress_mpi.types import FloatArray

__all__ = ["EXPORT_PIDS", "ROWS", "evolve_rows", "rotation", "to_export_order"]

EXPORT_PIDS = (-6, -5, -4, -3, -2, -1, 21, 1, 2, 3, 4, 5, 6, 22)
"""Flavours of an export grid: TBAR BBAR CBAR SBAR UBAR DBAR GLUON D U S C B T PHT."""

ROWS = 32
"""Replicas in one product of matrices. Fixed, because a product may round by its shape."""


def to_export_order(operator: FloatArray, x: FloatArray) -> FloatArray:
    """An operator of eko for x f in the order of an export grid.

    Parameters
    ----------
    operator : float64 (14, nx, 14, nx)
        Acts on f(x), the photon first.
    x : float64 (nx,)

    Returns
    -------
    float64 (14, nx, 14, nx)
        Acts on x f(x), the photon last.
    """
    rolled = np.roll(np.roll(operator, -1, axis=0), -1, axis=2)
    return np.ascontiguousarray(rolled * x[None, :, None, None] / x)


def evolve_rows(operator: FloatArray, values: FloatArray) -> FloatArray:
    """Densities at the target scale; the caller limits BLAS to one thread where bits matter.

    Parameters
    ----------
    operator : float64 (14, nx, 14, nx)
        From `to_export_order`.
    values : float64 (n, 14, nx)
        x f(x) at the start, in the order of `EXPORT_PIDS`.

    Returns
    -------
    float64 (n, 14, nx)
        x f(x) at the target.
    """
    size = values.shape[1] * values.shape[2]
    matrix = operator.reshape(size, size).T
    block = np.zeros((ROWS, size))
    evolved = np.empty((len(values), size))
    for first in range(0, len(values), ROWS):
        rows = values[first : first + ROWS]
        block[: len(rows)] = rows.reshape(len(rows), size)
        evolved[first : first + len(rows)] = (block @ matrix)[: len(rows)]
    return evolved.reshape(values.shape)


def rotation(source: FloatArray, target: FloatArray, degree: int = 4) -> FloatArray | None:
    """Interpolation from one set of x nodes to another, by eko's polynomials in log x.

    Parameters
    ----------
    source, target : float64 (n,), (m,)
        Increasing. A target outside the source's range would be extrapolated and is refused.
    degree : int

    Returns
    -------
    float64 (m, n), or None
        None where both are the same nodes.

    Raises
    ------
    ValueError
        If a target lies outside, or the source has too few nodes.
    """
    if np.array_equal(source, target):
        return None
    if target[0] < source[0] or target[-1] > source[-1]:
        raise ValueError(
            f"x nodes from {target[0]:g} to {target[-1]:g} are asked of densities known "
            f"from {source[0]:g} to {source[-1]:g}"
        )
    if len(source) <= degree:
        raise ValueError(f"expected more than {degree} x nodes to interpolate between, got {len(source)}")
    interpolation = eko_module("eko.interpolation")
    # not get_interpolation: it takes grids that differ below x = 1e-8 for the same
    basis = interpolation.InterpolatorDispatcher(interpolation.XGrid(source), degree, mode_N=False)
    return np.array([[function.evaluate_x(x) for function in basis] for x in target])
