"""Generated coordinates brought to the mean and the covariance of the prior, by one affine map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.enhancement.linear import one_thread
from compress_mpi.types import FloatArray

__all__ = ["LARGEST", "SAMPLE", "Affine", "rematch"]

SAMPLE = 8192
"""Generated points from which the map is found, apart from the candidates: a candidate does not depend on others."""

LARGEST = 8.0
"""Standard deviations beyond which a generated coordinate is a failure of the generator, not a tail, unless
a coordinate of the prior lies farther out; as in the screen of candidates."""

_ROUNDS = 4  # which points are failures is judged anew after each map


@dataclass(frozen=True, eq=False)
class Affine:
    """``z @ matrix + offset``.

    Attributes
    ----------
    matrix : float64 (K, K)
    offset : float64 (K,)
    """

    matrix: FloatArray
    offset: FloatArray

    def __call__(self, z: FloatArray) -> FloatArray:
        """The map of points float64 (n, K); a point that is not finite stays so."""
        with np.errstate(invalid="ignore", over="ignore"), one_thread():
            mapped: FloatArray = z @ self.matrix + self.offset
        return mapped


def rematch(sample: FloatArray, coordinates: FloatArray) -> Affine:
    """The map that gives a sample the mean and covariance of the prior.

    Points that are not finite, or lie farther out than every replica of the prior, do not
    count: one of them could outweigh all others.

    Parameters
    ----------
    sample : float64 (n, K)
        Many more than K points.
    coordinates : float64 (R, K)
        Of the prior's replicas.

    Raises
    ------
    ValueError
        If too few points are left to find the map: the generator has failed.
    """
    farthest = float(np.max(np.einsum("rk,rk->r", coordinates, coordinates)))
    limit = max(LARGEST, float(np.abs(coordinates).max()))
    target, centre = _root(coordinates), coordinates.mean(axis=0)
    total = Affine(np.eye(coordinates.shape[1]), np.zeros(coordinates.shape[1]))
    for _ in range(_ROUNDS):
        moved = total(sample)
        kept = moved[_regular(moved, limit, farthest)]
        if len(kept) < len(sample) // 2 or len(kept) <= 2 * sample.shape[1]:
            raise ValueError(
                f"{len(sample) - len(kept)} of {len(sample)} generated points are not finite or lie outside the"
                f" prior by far; expected less than half: the generator has failed"
            )
        with one_thread():
            step = np.linalg.solve(_root(kept), np.eye(len(target))) @ target
            total = Affine(total.matrix @ step, (total.offset - kept.mean(axis=0)) @ step + centre)
    return total


def _regular(z: FloatArray, limit: float, farthest: float) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        inside = (np.abs(z) <= limit).all(axis=1) & (np.einsum("nk,nk->n", z, z) <= farthest)
    return np.asarray(inside & np.isfinite(z).all(axis=1))


def _root(z: FloatArray) -> FloatArray:
    """Symmetric square root of the covariance: of all roots the one that moves the points least."""
    with one_thread():
        values, vectors = np.linalg.eigh(np.cov(z, rowvar=False, ddof=0).reshape(z.shape[1], z.shape[1]))
        root: FloatArray = (vectors * np.sqrt(np.maximum(values, 1e-12 * values[-1]))) @ vectors.T
    return root
