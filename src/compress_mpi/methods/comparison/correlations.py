"""Correlation matrices of two sets at the same points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.selection.estimators import correlation_matrix
from compress_mpi.types import FloatArray, IntArray

__all__ = ["Correlations", "compare_correlations"]


@dataclass(frozen=True)
class Correlations:
    """Two correlation matrices and what lies between them.

    Attributes
    ----------
    first, second, difference : float64 (point, point)
        ``difference`` is second minus first.
    largest, rms : float
        Of the absolute difference over pairs of distinct points; 0 where there are none.
    """

    first: FloatArray
    second: FloatArray
    difference: FloatArray
    largest: float
    rms: float


def compare_correlations(first: FloatArray, second: FloatArray, points: IntArray) -> Correlations:
    """Correlation matrices, :cite:`Carrazza:2015hva`, Eq. (15), of two sets.

    Parameters
    ----------
    first, second : float64 (replica, flavour, x)
    points : int64 (point, 2)
        (flavour, x) positions.
    """
    columns = points[:, 0], points[:, 1]
    one, two = (correlation_matrix(replicas[(slice(None), *columns)]) for replicas in (first, second))
    difference = two - one
    pairs = difference[np.triu_indices(len(points), k=1)]
    largest = float(np.abs(pairs).max(initial=0.0))
    rms = float(np.sqrt(np.mean(pairs**2))) if pairs.size else 0.0
    return Correlations(one, two, difference, largest, rms)
