"""A column mapped to normal scores by its own quantiles, and back.

Two forms. ``exact`` is linear between knots in normal-score space and goes on with a fixed slope beyond them, so every
finite value comes back. ``published`` is linear in probability and clips at the ends, as the transformer of
scikit-learn that the published pipeline uses: values outside the fitted range come back as the nearest end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["QuantileMap"]

_EDGE = 1e-7
"""Distance from an end below which scikit-learn takes a value for the end."""
_BITS = (16, 24, 32, 53)
"""Significant bits of a knot: the first that keeps all knots apart. Fewer take less space in the file."""


@dataclass(frozen=True, eq=False)
class QuantileMap:
    """Knots of one column.

    Attributes
    ----------
    knots : float64 (k,)
        Values, ascending; strictly so unless published.
    scores : float64 (k,)
        Normal scores of the knots; probabilities from 0 to 1 where published.
    published : bool
    """

    knots: FloatArray
    scores: FloatArray
    published: bool

    @staticmethod
    def fit(values: FloatArray, knots: int, published: bool) -> QuantileMap:
        """Knots of finite values (n,), at most ``knots`` and at most n; without values the identity."""
        if not len(values):
            return QuantileMap(np.zeros(1), np.zeros(1), False)
        count = min(knots, len(values))
        return _published(values, count) if published else _exact(np.sort(values), count)

    def forward(self, values: FloatArray) -> FloatArray:
        """Scores of values (n,); NaN stays NaN."""
        if self.published:
            return _published_forward(values, self.knots, self.scores)
        return _interpolate(values, self.knots, self.scores)

    def inverse(self, scores: FloatArray) -> FloatArray:
        """Values of scores (n,); NaN stays NaN."""
        if self.published:
            return _published_inverse(scores, self.knots, self.scores)
        return _interpolate(scores, self.scores, self.knots)


def _exact(ordered: FloatArray, count: int) -> QuantileMap:
    from scipy.special import ndtri

    ranks = np.rint(np.linspace(0, len(ordered) - 1, count)).astype(np.int64)
    knots = np.unique(ordered[ranks])
    # the middle rank of equal values is never 0 or n: scores are finite
    middle = np.searchsorted(ordered, knots, "left") + np.searchsorted(ordered, knots, "right")
    scores = ndtri(middle / (2.0 * len(ordered)))
    # of knots so near that their scores round to one, or the other way round, one is enough
    distinct = np.concatenate([[True], np.diff(scores) > 0])
    return QuantileMap(_in_few_bits(knots[distinct]), _in_few_bits(scores[distinct]), False)


def _in_few_bits(ascending: FloatArray) -> FloatArray:
    part, power = np.frexp(ascending)
    for bits in _BITS:
        # rounding the largest of all numbers up would make it infinite
        found = np.clip(np.ldexp(np.rint(np.ldexp(part, bits)), power - bits), ascending[0], ascending[-1])
        if (np.diff(found) > 0).all():
            return np.asarray(found)
    return ascending


def _interpolate(at: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Linear between the points, with the overall slope beyond the first and the last."""
    if len(x) == 1:
        return at - x[0] + y[0]
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    found = np.asarray(np.interp(at, x, y), dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.where(at < x[0], y[0] + (at - x[0]) * slope, found)
        found = np.where(at > x[-1], y[-1] + (at - x[-1]) * slope, found)
    return found


def _published(values: FloatArray, count: int) -> QuantileMap:
    references = np.linspace(0.0, 1.0, count)
    knots = np.maximum.accumulate(np.percentile(values, references * 100.0))
    return QuantileMap(np.asarray(knots, dtype=np.float64), references, True)


def _published_forward(values: FloatArray, knots: FloatArray, references: FloatArray) -> FloatArray:
    from scipy.special import ndtri

    def rising(v: FloatArray) -> FloatArray:
        # from both sides: of equal knots the middle
        up = np.interp(v, knots, references)
        down = np.interp(-v, -knots[::-1], -references[::-1])
        return np.asarray(0.5 * (up - down), dtype=np.float64)

    p = _with_ends(values, (knots[0], knots[-1]), (0.0, 1.0), rising)
    outermost = _EDGE - np.spacing(1)
    return np.clip(ndtri(p), ndtri(outermost), ndtri(1 - outermost))


def _published_inverse(scores: FloatArray, knots: FloatArray, references: FloatArray) -> FloatArray:
    from scipy.special import ndtr

    return _with_ends(
        ndtr(scores),
        (0.0, 1.0),
        (knots[0], knots[-1]),
        lambda p: np.asarray(np.interp(p, references, knots), dtype=np.float64),
    )


def _with_ends(
    at: FloatArray,
    ends: tuple[float, float],
    values: tuple[float, float],
    between: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    found = between(at)
    found[at + _EDGE > ends[1]] = values[1]
    found[at - _EDGE < ends[0]] = values[0]
    return found
