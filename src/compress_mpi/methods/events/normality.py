"""Whether latents are normal: the test of D'Agostino and Pearson, column by column.

With many rows it rejects everything that a trained network gives; compare the statistic before and after
quantisation rather than look at the p-values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.types import FloatArray

__all__ = ["Normality", "normality"]

_FEWEST = 20
"""Rows from which the approximation of the kurtosis test holds."""


@dataclass(frozen=True, eq=False)
class Normality:
    """Of c columns.

    Attributes
    ----------
    statistic, p_value : float64 (c,)
        NaN where there are fewer than 20 finite elements or all are equal.
    """

    statistic: FloatArray
    p_value: FloatArray


def normality(rows: FloatArray) -> Normality:
    """Test each column; elements that are not finite do not count.

    Parameters
    ----------
    rows : float64 (n, c)
    """
    found = np.full((2, rows.shape[1]), np.nan)
    for j in range(rows.shape[1]):
        column = rows[:, j][np.isfinite(rows[:, j])]
        if len(column) >= _FEWEST and _spread(column):
            found[:, j] = _test(column)
    return Normality(found[0], found[1])


def _spread(column: FloatArray) -> bool:
    # rounding of one and the same number is no spread
    return bool(np.ptp(column) > 1e-12 * np.abs(column).max())


def _test(column: FloatArray) -> tuple[float, float]:
    from scipy.stats import normaltest

    with np.errstate(all="ignore"):
        found = normaltest(column)
    return float(found.statistic), float(found.pvalue)
