"""Sums of squares and spreads that merge, and that no exponent of a float64 takes out of range.

Each column carries a power of two beside its sum, so 1e300 and 1e-300 are squared like 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress_mpi.types import FloatArray, IntArray

__all__ = ["Spread", "Squares"]

_NONE = -2000
"""Exponent of a sum of nothing but zeros: below that of every number."""


@dataclass(frozen=True, eq=False)
class Squares:
    """Sums of squares of columns: ``total * 4**exponent``.

    Attributes
    ----------
    total : float64 (c,)
    exponent : int64 (c,)
    """

    total: FloatArray
    exponent: IntArray

    @staticmethod
    def of(values: FloatArray) -> Squares:
        """Of values (n, c); one that is infinite makes its sum so."""
        largest = np.abs(values).max(axis=0, initial=0.0)
        exponent = np.where(largest > 0, np.frexp(largest)[1], _NONE).astype(np.int64)
        # twice, since one power of two may itself be out of range
        half = exponent // 2
        with np.errstate(under="ignore"):
            scaled = np.ldexp(np.ldexp(values, -half), half - exponent)
            return Squares((scaled**2).sum(axis=0), exponent)

    def merge(self, other: Squares) -> Squares:
        """The sum of both."""
        exponent = np.maximum(self.exponent, other.exponent)
        with np.errstate(under="ignore"):
            mine = np.ldexp(self.total, 2 * (self.exponent - exponent))
            return Squares(mine + np.ldexp(other.total, 2 * (other.exponent - exponent)), exponent)

    def root_mean(self, count: NDArray[np.int64]) -> FloatArray:
        """Root of the sums over ``count`` (c,), float64 (c,); NaN where the count is 0."""
        mean = np.where(count > 0, self.total / np.maximum(count, 1), np.nan)
        return _scaled(np.sqrt(mean), self.exponent)

    def pooled_root_mean(self, count: int) -> float:
        """Root of the sum of all columns over ``count``; NaN where that is 0."""
        pooled = Squares(self.total[:1] * 0, np.full(1, _NONE))
        for j in range(len(self.total)):
            pooled = pooled.merge(Squares(self.total[j : j + 1], self.exponent[j : j + 1]))
        return float(pooled.root_mean(np.array([count]))[0])


@dataclass(frozen=True, eq=False)
class Spread:
    """Number, mean and squared distances from it, by column.

    Attributes
    ----------
    count : int64 (c,)
    mean : float64 (c,)
    squares : Squares
        Of the distances from the mean.
    """

    count: IntArray
    mean: FloatArray
    squares: Squares

    @staticmethod
    def of(values: FloatArray, counted: NDArray[np.bool_]) -> Spread:
        """Of the elements of values (n, c) that count, bool (n, c)."""
        count = counted.sum(axis=0)
        plain = np.where(counted, values, 0.0)
        # each share before the sum, which could overflow
        mean = (plain / np.maximum(count, 1)).sum(axis=0)
        with np.errstate(over="ignore"):
            distances = np.where(counted, plain - mean, 0.0)
        return Spread(count, mean, Squares.of(distances))

    def merge(self, other: Spread) -> Spread:
        """Of both together (Chan, Golub and LeVeque)."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        with np.errstate(over="ignore"):
            delta = other.mean - self.mean
        between = Squares.of((delta * np.sqrt(self.count * share))[None])
        squares = self.squares.merge(other.squares).merge(between)
        return Spread(count, self.mean * (1.0 - share) + other.mean * share, squares)

    def std(self) -> FloatArray:
        """Standard deviation (over n), float64 (c,); NaN without elements."""
        return self.squares.root_mean(self.count)

    def pooled(self) -> float:
        """Standard deviation of all elements of all columns together."""
        whole = self._column(0)
        for j in range(1, len(self.count)):
            whole = whole.merge(self._column(j))
        return float(whole.std()[0])

    def _column(self, j: int) -> Spread:
        one = slice(j, j + 1)
        squares = Squares(self.squares.total[one], self.squares.exponent[one])
        return Spread(self.count[one], self.mean[one], squares)


def _scaled(values: FloatArray, exponent: IntArray) -> FloatArray:
    half = exponent // 2
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(np.ldexp(values, half), exponent - half))
