r"""Distances of the correlation matrix: its trace against the inverse of the prior's, and the whole of it.

The error function looks at one number, :math:`\mathrm{tr}(C P^{-1})`. To move replicas until that number
is right improves no correlation; the distance of the whole matrix does.
"""

from __future__ import annotations

import numpy as np

from compress_mpi.methods.polish.standard import Standard
from compress_mpi.methods.polish.target import Target
from compress_mpi.types import FloatArray

__all__ = ["correlation_terms"]


def correlation_terms(
    subset: Standard, target: Target, trace_weight: float, matrix_weight: float
) -> tuple[float, float, FloatArray]:
    """Both distances.

    Parameters
    ----------
    trace_weight, matrix_weight : float
        Of the distances in the gradient.

    Returns
    -------
    trace : float
        As in the error function.
    matrix : float
        Sum of squared differences of all elements.
    gradient : float64 (replica, correlation point)
        With respect to ``u`` at ``target.correlation_columns``.
    """
    u = subset.u[:, target.correlation_columns]
    matrix = u.T @ u / (len(u) - 1)
    difference = matrix - target.correlation
    trace = float(np.sum(matrix * target.trace_weights)) - 1.0 if len(matrix) else 0.0
    slope = 2.0 * trace * trace_weight * target.trace_weights + 2.0 * matrix_weight * difference
    return trace**2, float(np.sum(difference**2)), u @ (2.0 / (len(u) - 1) * slope)
