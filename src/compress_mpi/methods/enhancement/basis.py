r"""Principal components of a prior, scaled by the spread of every point.

With X the replicas less their mean over their standard deviation, float64 (R, P), and the singular value
decomposition :math:`X = U S V^T`, a replica has the coordinates :math:`z = \sqrt{R}\, U`: mean 0, variance 1 and no
correlation over the prior. A point z in this space is the combination of replicas

.. math:: w = \frac{1}{R} + \frac{1}{\sqrt{R}} \, z \, U^T

whose weights sum to 1, because the columns of U are orthogonal to a constant. Scaling matters: without it 13
components hold 99 % of the variance of a PDF set, but only that of the points where it is large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.enhancement.linear import combine, gram, one_thread, standard_columns
from compress_mpi.types import FloatArray, IntArray

__all__ = ["VARIANCE", "Basis", "basis_of", "build_basis"]

VARIANCE = 0.99999
"""Fraction of the scaled variance that the components hold: 69 of them on the 490 points of JAM21PDF_proton_nlo."""
_RANK = 1e-12
"""Variance, as a fraction of the largest component's, below which a component is rounding."""


@dataclass(frozen=True, eq=False)
class Basis:
    """Leading components of a prior.

    Attributes
    ----------
    coordinates : float64 (R, K)
        Of the prior's replicas: mean 0, mean square 1, uncorrelated.
    explained : float64 (n,)
        Fraction of the variance that the first 1, 2, ... of all components hold.
    """

    coordinates: FloatArray
    explained: FloatArray

    @property
    def n_rep(self) -> int:
        """Replicas of the prior, R."""
        return len(self.coordinates)

    @property
    def n_components(self) -> int:
        """Components that are kept, K."""
        return self.coordinates.shape[1]

    @property
    def weights(self) -> FloatArray:
        """What one unit of each component adds to the weights, float64 ``(K, R)``; rows sum to 0."""
        return np.ascontiguousarray(self.coordinates.T) / self.n_rep

    def to_weights(self, z: FloatArray, parents: FloatArray | IntArray | None = None) -> FloatArray:
        """Weights of points in component space.

        Parameters
        ----------
        z : float64 (n, K)
        parents : int64 (n,) or float64 (n, R), optional
            Replicas, or weights, that the points descend from: what they have beyond the K components is kept.
            Without parents it is that of the mean of the prior, none.

        Returns
        -------
        float64 (n, R)
            Rows sum to 1.
        """
        if parents is None:
            start = np.full((len(z), self.n_rep), 1.0 / self.n_rep)
            return start + combine(z, self.weights)
        if parents.ndim == 1:
            start = np.zeros((len(z), self.n_rep))
            start[np.arange(len(z)), parents] = 1.0
            return start + combine(z - self.coordinates[parents], self.weights)
        return parents + combine(z - self.to_coordinates(np.asarray(parents)), self.weights)

    def to_coordinates(self, weights: FloatArray) -> FloatArray:
        """Coordinates of combinations of replicas.

        Parameters
        ----------
        weights : float64 (n, R)

        Returns
        -------
        float64 (n, K)
        """
        return combine(weights, self.coordinates)


def build_basis(products: FloatArray, variance: float = VARIANCE) -> Basis:
    """Components from the products of the replicas; for fewer replicas than points.

    Parameters
    ----------
    products : float64 (R, R)
        Of ``linear.gram``, or a sum of several.
    variance : float
        Fraction to hold, above 0 and below 1.

    Raises
    ------
    ValueError
        If the fraction is out of range or no point has a spread.
    """
    _check(variance)
    with one_thread():
        squares, vectors = np.linalg.eigh(products)
    squares, vectors = _leading(squares, vectors)
    return _kept(squares, vectors * np.sqrt(len(products)), variance)


def basis_of(values: FloatArray, variance: float = VARIANCE) -> Basis:
    """Components of a prior on a grid, by whichever of its two sides is shorter.

    The bits may depend on the processor; one rank computes it and all get its result.

    Parameters
    ----------
    values : float64 (R, ...)
    variance : float
        Fraction of the scaled variance to hold, above 0 and below 1.

    Raises
    ------
    ValueError
        As ``build_basis``.
    """
    _check(variance)
    flat = values.reshape(len(values), -1)
    if len(flat) <= flat.shape[1]:
        return build_basis(gram(flat), variance)
    scaled = np.concatenate([np.empty((len(flat), 0)), *standard_columns(flat)], axis=1)
    with one_thread():
        squares, vectors = _leading(*np.linalg.eigh(scaled.T @ scaled))
        left = scaled @ (vectors / np.sqrt(squares))
    # centred once more: rounding of the mean would otherwise enter the sum of the weights
    return _kept(squares, (left - left.mean(axis=0)) * np.sqrt(len(flat)), variance)


def _check(variance: float) -> None:
    if not 0.0 < variance < 1.0:
        raise ValueError(f"variance: expected a fraction above 0 and below 1, got {variance:g}")


def _leading(squares: FloatArray, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Largest first, without those that are rounding."""
    squares, vectors = squares[::-1], vectors[:, ::-1]
    real = squares > _RANK * max(squares[0], 0.0) if len(squares) else np.zeros(0, dtype=bool)
    if not real.any():
        raise ValueError("no point has a spread; expected replicas that differ")
    return squares[real], vectors[:, real]


def _kept(squares: FloatArray, coordinates: FloatArray, variance: float) -> Basis:
    explained = np.cumsum(squares) / squares.sum()
    n = min(int(np.searchsorted(explained, variance)) + 1, len(explained))
    kept = coordinates[:, :n]
    # an eigenvector is known up to its sign: the replica that is farthest out is on the positive side
    far = kept[np.abs(kept).argmax(axis=0), np.arange(n)]
    return Basis(np.ascontiguousarray(kept * np.where(far < 0, -1.0, 1.0)), explained)
