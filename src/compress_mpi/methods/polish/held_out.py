"""Judges that a polish has not seen: how far a subset is from the prior where nothing was fitted.

Given values at other scales, nodes and flavours, each figure is a root mean square over points, of a difference in
units of the prior. The error function at the fitted points says little about how well replicas do elsewhere;
these say it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from compress_mpi.methods.enhancement.linear import one_thread
from compress_mpi.methods.selection.estimators import correlation_matrix
from compress_mpi.types import FloatArray, IntArray

__all__ = ["QUANTILES", "HeldOut", "held_out", "product_pairs"]

QUANTILES = (0.05, 0.16, 0.5, 0.84, 0.95)
_MOST_CORRELATED = 150
"""Points, evenly spread, whose correlation matrix is compared."""


@dataclass(frozen=True)
class HeldOut:
    """Root mean squares over points.

    Attributes
    ----------
    mean : float
        Shift of the mean, in standard deviations of the prior.
    stdev : float
        Relative difference of the standard deviation.
    correlation : float
        Difference of correlation coefficients.
    quantiles : float
        Shift of the quantiles 0.05, 0.16, 0.5, 0.84 and 0.95, in standard deviations of the prior.
    products : float
        Relative difference of the standard deviation of products of two values, as luminosities and
        cross sections are.
    """

    mean: float
    stdev: float
    correlation: float
    quantiles: float
    products: float

    def as_dict(self) -> dict[str, float]:
        """Figures by name."""
        return asdict(self)


def product_pairs(n_point: int, n_pairs: int = 600) -> IntArray:
    """Pairs of points, spread evenly over all pairs, int64 ``(n_pairs, 2)``.

    Positions follow the additive recurrence of the plastic number, which fills a square without gaps
    (M. Roberts, 2018).
    """
    plastic = 1.324717957244746
    steps = np.outer(np.arange(1, n_pairs + 1), [1.0 / plastic, 1.0 / plastic**2])
    return np.minimum(((steps % 1.0) * n_point).astype(np.int64), n_point - 1)


def held_out(subset: FloatArray, prior: FloatArray, pairs: IntArray | None = None) -> HeldOut:
    """Distances of a subset from the prior.

    Points at which all replicas of the prior have the same value are left out.

    Parameters
    ----------
    subset : float64 (replica, ...)
    prior : float64 (prior replica, ...)
        At the same points.
    pairs : int64 (pair, 2), optional
        Factors of the products, as positions among the flattened points with a spread; by default those of
        ``product_pairs``.

    Raises
    ------
    ValueError
        If there is no point with a spread.
    """
    a, b = subset.reshape(len(subset), -1), prior.reshape(len(prior), -1)
    varies = b.max(axis=0) > b.min(axis=0)
    if not varies.any():
        raise ValueError(
            "held_out: all replicas of the prior agree at every point; expected points with a spread"
        )
    a, b = a[:, varies], b[:, varies]
    shift, scale = b.mean(axis=0), b.std(axis=0, ddof=1)
    pairs = product_pairs(b.shape[1]) if pairs is None else pairs
    quantiles = (np.quantile(a, QUANTILES, axis=0) - np.quantile(b, QUANTILES, axis=0)) / scale
    return HeldOut(
        mean=_rms((a.mean(axis=0) - shift) / scale),
        stdev=_rms(a.std(axis=0, ddof=1) / scale - 1.0),
        correlation=_rms(_correlations(a) - _correlations(b)),
        quantiles=_rms(quantiles),
        products=_rms(_product_spread(a, pairs) / _product_spread(b, pairs) - 1.0),
    )


def _correlations(values: FloatArray) -> FloatArray:
    step = -(-values.shape[1] // _MOST_CORRELATED)
    with one_thread():
        return correlation_matrix(values[:, ::step])


def _product_spread(values: FloatArray, pairs: IntArray) -> FloatArray:
    return (values[:, pairs[:, 0]] * values[:, pairs[:, 1]]).std(axis=0, ddof=1)


def _rms(differences: FloatArray) -> float:
    return float(np.sqrt(np.mean(differences**2)))
