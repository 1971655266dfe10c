r"""The published preprocessing of event tables, fitted once and stored.

In this order: chosen columns to :math:`\log(10 + x)`; every column standardised; chosen columns to normal scores by
their quantiles. The published pipeline fits it again on every array it meets, which makes training and test data
incomparable; here it is fitted once, and goes into the file as arrays.

The logarithm is continued below :math:`x = -9` so that it is odd about that point,
:math:`\mathrm{sign}(t) \log(1 + |t|)` with :math:`t = x + 9`: equal to the published one from -9 on, smooth,
monotone and invertible for every finite x.

Everything is float64: integers beyond 2^53, and whatever must come back exactly, belong to a lossless column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.quantile import QuantileMap
from compress_mpi.types import FloatArray

__all__ = ["PreprocessSettings", "Preprocessing", "inverse_logarithm", "logarithm"]

_OFFSET = 9.0  # one less than the published 10: log(10 + x) is log1p(9 + x)


@dataclass(frozen=True)
class PreprocessSettings:
    """What is done to which column.

    Attributes
    ----------
    logarithm : tuple of int
        Numbers of the columns that get the logarithm; published: those of pT and m.
    quantile : tuple of int
        Numbers of the columns that are mapped to normal scores; published: those of eta and phi.
    knots : int
        Of the quantile map, at most; fewer rows have fewer.
    published : bool
        The quantile map clips at the ends of the fitted range, as published; else every value comes back.
    """

    logarithm: tuple[int, ...] = ()
    quantile: tuple[int, ...] = ()
    knots: int = 10_000
    published: bool = False

    def __post_init__(self) -> None:
        if self.knots < 2:
            raise ValueError(f"knots: expected 2 or more, got {self.knots}")


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """A fitted preprocessing of c columns.

    Attributes
    ----------
    logarithm : bool (c,)
        Which columns get the logarithm.
    mean, scale : float64 (c,)
        Of the standardisation, after the logarithm; scale is 1 for a constant column.
    maps : dict of QuantileMap
        By number of the column.
    """

    logarithm: NDArray[np.bool_]
    mean: FloatArray
    scale: FloatArray
    maps: Mapping[int, QuantileMap]

    @staticmethod
    def fit(rows: FloatArray, settings: PreprocessSettings) -> Preprocessing:
        """Fit to training rows; elements that are not finite do not count.

        Parameters
        ----------
        rows : float64 (n, c)
            One row and one column at least.
        settings : PreprocessSettings

        Raises
        ------
        ValueError
            If there is nothing to fit to, or a column of the settings is not there.
        """
        _check_fit(rows, settings)
        taken = np.zeros(rows.shape[1], dtype=bool)
        taken[list(settings.logarithm)] = True
        mean, scale = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        maps = {}
        # column by column: a copy of thousands of columns would double the memory
        for j in range(rows.shape[1]):
            column = rows[:, j][np.isfinite(rows[:, j])]
            column = logarithm(column) if taken[j] else column
            mean[j], scale[j] = _centre_and_scale(column)
            if j in settings.quantile:
                standard = _standardise(column, mean[j], scale[j])
                maps[j] = QuantileMap.fit(standard, settings.knots, settings.published)
        return Preprocessing(taken, mean, scale, maps)

    def forward(self, rows: FloatArray) -> FloatArray:
        """Rows as a flow sees them.

        Parameters
        ----------
        rows : float64 (n, c)

        Returns
        -------
        float64 (n, c)
            NaN where an element is not finite, or so far out that its image is not: to be coded apart.

        Raises
        ------
        ValueError
            If the number of columns differs from the fitted one.
        """
        self._check(rows)
        found = np.empty(rows.shape)
        with np.errstate(invalid="ignore", over="ignore"):
            for j in range(rows.shape[1]):
                column = logarithm(rows[:, j]) if self.logarithm[j] else rows[:, j]
                column = _standardise(column, self.mean[j], self.scale[j])
                found[:, j] = self.maps[j].forward(column) if j in self.maps else column
        # clipping makes finite what is not
        found[~np.isfinite(found) | ~np.isfinite(rows)] = np.nan
        return found

    def inverse(self, rows: FloatArray) -> FloatArray:
        """The inverse of :meth:`forward`, float64 (n, c), to rounding of the largest values of the column.

        What is too large for a float64 is infinite.

        Raises
        ------
        ValueError
            If the number of columns differs from the fitted one.
        """
        self._check(rows)
        found = np.empty(rows.shape)
        with np.errstate(invalid="ignore", over="ignore"):
            for j in range(rows.shape[1]):
                column = self.maps[j].inverse(rows[:, j]) if j in self.maps else rows[:, j]
                column = column * self.scale[j] + self.mean[j]
                found[:, j] = inverse_logarithm(column) if self.logarithm[j] else column
        return found

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What to store; :meth:`from_arrays` reads it."""
        maps = [self.maps[j] for j in sorted(self.maps)]
        return {
            "logarithm": self.logarithm,
            "mean": self.mean,
            "scale": self.scale,
            "quantile": np.array(sorted(self.maps), dtype=np.int64),
            "published": np.array([m.published for m in maps], dtype=bool),
            "n_knots": np.array([len(m.knots) for m in maps], dtype=np.int64),
            "knots": np.concatenate([m.knots for m in maps] or [np.zeros(0)]),
            # those of a published map are equal steps
            "scores": np.concatenate([m.scores for m in maps if not m.published] or [np.zeros(0)]),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Preprocessing:
        """Put :meth:`to_arrays` back.

        Raises
        ------
        ValueError
            If an array is missing, or sizes do not fit each other.
        """
        _check_arrays(arrays)
        return Preprocessing(
            arrays["logarithm"].astype(bool),
            arrays["mean"],
            arrays["scale"],
            {int(j): m for j, m in zip(arrays["quantile"], _maps(arrays), strict=True)},
        )

    def _check(self, rows: FloatArray) -> None:
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise ValueError(
                f"preprocessing: fitted on {len(self.mean)} columns, got rows of shape {rows.shape}"
            )


def logarithm(x: FloatArray) -> FloatArray:
    """log(10 + x), odd about x = -9 below it."""
    t = x + _OFFSET
    return np.asarray(np.copysign(np.log1p(np.abs(t)), t))


def inverse_logarithm(y: FloatArray) -> FloatArray:
    """The inverse of :func:`logarithm`."""
    return np.asarray(np.copysign(np.expm1(np.abs(y)), y) - _OFFSET)


def _standardise(column: FloatArray, mean: float, scale: float) -> FloatArray:
    return np.asarray((column - mean) / scale)


def _centre_and_scale(column: FloatArray) -> tuple[float, float]:
    if not len(column):
        return 0.0, 1.0
    if column.min() == column.max():
        return float(column[0]), 1.0
    # squares of very large or very small numbers leave the range of a float64
    unit = float(np.abs(column).max())
    relative = column / unit
    mean, spread = unit * relative.mean(), unit * relative.std()
    return float(mean), float(spread) if spread > 0 else 1.0


def _check_fit(rows: FloatArray, settings: PreprocessSettings) -> None:
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(
            f"preprocessing: expected rows (n, c) with one row and column at least, got shape {rows.shape}"
        )
    for name in ("logarithm", "quantile"):
        for j in getattr(settings, name):
            if not 0 <= j < rows.shape[1]:
                raise ValueError(f"{name}: there is no column {j}; expected 0 to {rows.shape[1] - 1}")


_STORED = ("logarithm", "mean", "scale", "quantile", "published", "n_knots", "knots", "scores")


def _check_arrays(arrays: Mapping[str, NDArray[Any]]) -> None:
    missing = [name for name in _STORED if name not in arrays]
    if missing:
        raise ValueError(f"stored preprocessing: '{missing[0]}' is missing")
    sizes = {name: len(arrays[name]) for name in _STORED}
    published, n_knots = arrays["published"].astype(bool), arrays["n_knots"]
    if not (
        sizes["logarithm"] == sizes["mean"] == sizes["scale"]
        and sizes["quantile"] == sizes["published"] == sizes["n_knots"]
        and sizes["knots"] == n_knots.sum()
        and sizes["scores"] == n_knots[~published].sum()
        and (n_knots > 0).all()
    ):
        raise ValueError(f"stored preprocessing: sizes of its arrays do not fit each other: {sizes}")


def _maps(arrays: Mapping[str, NDArray[Any]]) -> Iterator[QuantileMap]:
    knots, scores = arrays["knots"], arrays["scores"]
    for count, published in zip(arrays["n_knots"].tolist(), arrays["published"].tolist(), strict=True):
        if published:
            yield QuantileMap(knots[:count], np.linspace(0.0, 1.0, count), True)
        else:
            yield QuantileMap(knots[:count], scores[:count], False)
            scores = scores[count:]
        knots = knots[count:]
