"""Can two samples of events be told apart: by a classifier, column by column, and by their correlations.

The classifier sees all columns together, so that it also finds what no histogram of one column shows; the test
of Kolmogorov and Smirnov says which column differs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import LaunchError
from compress_mpi.methods.comparison.distributions import ks_distance
from compress_mpi.types import FloatArray, IntArray

__all__ = [
    "FOLDS",
    "MAX_ROWS",
    "MIN_ROWS",
    "Auc",
    "CorrelationDistance",
    "KolmogorovSmirnov",
    "TwoSample",
    "area_under_curve",
    "classifier_auc",
    "compare_samples",
    "correlation_distance",
    "kolmogorov_smirnov",
]

FOLDS = 5
"""Every row is judged by a classifier that has not seen it, trained on the other four fifths."""
MAX_ROWS = 20_000
"""Of each sample that a classifier sees: at this size 0.5 has a standard error of 0.003."""
MIN_ROWS = 50
"""Of each sample, below which nothing can be learned."""

# as many trees as the held-out tenth asks for: their number is no measure of the difference
_BOOSTING: dict[str, Any] = {
    "max_iter": 200,
    "learning_rate": 0.1,
    "max_leaf_nodes": 31,
    "early_stopping": True,
    "validation_fraction": 0.1,
    "n_iter_no_change": 10,
}


class KolmogorovSmirnov(NamedTuple):
    """The two-sample test of one column.

    Attributes
    ----------
    distance : float
        Largest difference of the distribution functions, 0 to 1; NaN where a sample has no finite value.
    p_value : float
        Probability of a distance as large or larger if the samples have one origin. Where values repeat, as
        integers do, the true one is smaller.
    """

    distance: float
    p_value: float


class Auc(NamedTuple):
    """How well a classifier tells two samples apart.

    Attributes
    ----------
    value : float
        Area under the ROC curve, mean over the folds: 0.5 where it cannot, 1 where it always can.
    error : float
        One standard deviation.
    folds : float64 (fold,)
    rows : int
        Of each sample.
    """

    value: float
    error: float
    folds: FloatArray
    rows: int


class CorrelationDistance(NamedTuple):
    """Difference of two correlation matrices over all pairs of columns; 0 where there are none.

    Attributes
    ----------
    largest, rms : float
        Of the absolute difference.
    """

    largest: float
    rms: float


@dataclass(frozen=True)
class TwoSample:
    """Two samples compared.

    Attributes
    ----------
    rows : (int, int)
    finite : (int, int)
        Rows without NaN or infinity, the only ones that classifier and correlations see.
    nonfinite : dict of (float, float)
        Share of NaN and infinities per column.
    ks : dict of KolmogorovSmirnov
        By column, over its finite values.
    correlation : CorrelationDistance
        Of ranks, which long tails do not dominate.
    auc : Auc or None
        None where fewer than ``MIN_ROWS`` rows of either are finite.
    """

    rows: tuple[int, int]
    finite: tuple[int, int]
    nonfinite: dict[str, tuple[float, float]]
    ks: dict[str, KolmogorovSmirnov]
    correlation: CorrelationDistance
    auc: Auc | None


def compare_samples(
    first: Mapping[str, NDArray[Any]],
    second: Mapping[str, NDArray[Any]],
    rng: np.random.Generator,
    max_rows: int = MAX_ROWS,
) -> TwoSample:
    """Compare samples with held-out data in every way of this module.

    Parameters
    ----------
    first, second : mapping of arrays (row,)
        The same columns; booleans, integers or floats. Numbers of rows may differ.
    rng : numpy.random.Generator
        Chooses rows and folds.
    max_rows : int
        Of each sample that the classifier sees. The other measures take all rows.

    Returns
    -------
    TwoSample

    Raises
    ------
    ValueError
        If the columns differ, their lengths do, or a sample has none.
    LaunchError
        If scikit-learn is not installed.
    """
    a, b = _matrix(first, "first"), _matrix(second, "second")
    if set(first) != set(second):
        odd = sorted(set(first) ^ set(second))
        raise ValueError(f"two samples: columns differ: {', '.join(odd)} in one only; expected the same ones")
    b = b[:, [list(second).index(name) for name in first]]
    kept = tuple(rows[np.isfinite(rows).all(axis=1)] for rows in (a, b))
    return TwoSample(
        (len(a), len(b)),
        (len(kept[0]), len(kept[1])),
        {name: (_nonfinite(a[:, k]), _nonfinite(b[:, k])) for k, name in enumerate(first)},
        {name: kolmogorov_smirnov(a[:, k], b[:, k]) for k, name in enumerate(first)},
        correlation_distance(kept[0], kept[1]),
        classifier_auc(kept[0], kept[1], rng, max_rows) if min(map(len, kept)) >= MIN_ROWS else None,
    )


def _matrix(columns: Mapping[str, NDArray[Any]], which: str) -> FloatArray:
    """All columns as float64 (row, column)."""
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        found = f"lengths {sorted(lengths)}" if lengths else "none"
        raise ValueError(f"two samples: the {which} one: expected columns of one length, got {found}")
    return np.column_stack([np.asarray(values, dtype=np.float64) for values in columns.values()])


def _nonfinite(values: FloatArray) -> float:
    return float(np.mean(~np.isfinite(values))) if len(values) else 0.0


def kolmogorov_smirnov(first: FloatArray, second: FloatArray) -> KolmogorovSmirnov:
    """The two-sample test over the finite values of one column.

    The p-value is that of the one-sample distance at the effective size n m / (n + m), which for samples
    of a hundred and more agrees with the exact one in all digits that matter.

    Parameters
    ----------
    first, second : float64 (row,)
    """
    from scipy.stats import kstwo

    a, b = first[np.isfinite(first)], second[np.isfinite(second)]
    if not (len(a) and len(b)):
        return KolmogorovSmirnov(np.nan, np.nan)
    distance = float(ks_distance(a, b))
    effective = max(round(len(a) * len(b) / (len(a) + len(b))), 1)
    return KolmogorovSmirnov(distance, float(np.clip(kstwo.sf(distance, effective), 0.0, 1.0)))


def correlation_distance(first: FloatArray, second: FloatArray) -> CorrelationDistance:
    """How far the rank correlations (Spearman) of two samples are apart.

    Parameters
    ----------
    first, second : float64 (row, column)
        Finite. A column that is constant in a sample has no correlations there; its pairs count as zero.
    """
    if min(len(first), len(second)) < 2 or first.shape[1] < 2:
        return CorrelationDistance(0.0, 0.0)
    difference = _rank_correlations(second) - _rank_correlations(first)
    pairs = difference[np.triu_indices(first.shape[1], k=1)]
    return CorrelationDistance(float(np.abs(pairs).max()), float(np.sqrt(np.mean(pairs**2))))


def _rank_correlations(rows: FloatArray) -> FloatArray:
    from scipy.stats import rankdata

    ranks = rankdata(rows, axis=0)
    ranks -= ranks.mean(axis=0)
    length = np.sqrt(np.sum(ranks**2, axis=0))
    ranks /= np.where(length > 0, length, 1.0)
    return np.asarray(ranks.T @ ranks, dtype=np.float64)


def classifier_auc(
    first: FloatArray, second: FloatArray, rng: np.random.Generator, max_rows: int = MAX_ROWS
) -> Auc:
    """Area under the ROC curve of gradient-boosted trees that learn to tell two samples apart.

    As many rows of each, in ``FOLDS`` folds; a row is judged by trees that were trained on the other folds.
    One thread, so that the same generator gives the same bits.

    Parameters
    ----------
    first, second : float64 (row, column)
        Finite; ``MIN_ROWS`` or more of each.
    rng : numpy.random.Generator
    max_rows : int
        Of each sample; further ones are left out at random.

    Returns
    -------
    Auc

    Raises
    ------
    ValueError
        If there are too few rows.
    LaunchError
        If scikit-learn is not installed.
    """
    rows = min(len(first), len(second), max_rows)
    if rows < MIN_ROWS:
        raise ValueError(f"classifier: expected {MIN_ROWS} rows or more of each sample, got {rows}")
    both = np.concatenate([one[rng.permutation(len(one))[:rows]] for one in (first, second)])
    label = np.repeat([0, 1], rows)
    fold = np.arange(2 * rows) % rows % FOLDS
    seed = int(rng.integers(2**31))
    judged = [_fold(both, label, fold == k, seed) for k in range(FOLDS)]
    values = np.array([value for value, _ in judged])
    return Auc(float(values.mean()), float(np.sqrt(sum(v for _, v in judged)) / FOLDS), values, rows)


def _fold(rows: FloatArray, label: IntArray, held_out: NDArray[np.bool_], seed: int) -> tuple[float, float]:
    """Area and its variance over held-out rows."""
    if importlib.util.find_spec("sklearn") is None:
        raise LaunchError(
            "two-sample classifier: the library scikit-learn is not installed; install it with "
            "'pip install \"compress-mpi[events]\"'"
        )
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        trees = HistGradientBoostingClassifier(**_BOOSTING, random_state=seed)
        trees.fit(rows[~held_out], label[~held_out])
        scores = trees.decision_function(rows[held_out])
    return area_under_curve(scores[label[held_out] == 0], scores[label[held_out] == 1])


def area_under_curve(low: FloatArray, high: FloatArray) -> tuple[float, float]:
    """Probability that a score of ``high`` exceeds one of ``low``, and its variance.

    Equal scores count half. The variance is that of DeLong, DeLong and Clarke-Pearson,
    Biometrics 44 (1988) 837.

    Parameters
    ----------
    low, high : float64 (row,)
        Two scores or more each.

    Returns
    -------
    float, float
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([low, high]))
    # of every score, how many of the other sample lie below it
    below = (ranks[len(low) :] - rankdata(high)) / len(low)
    above = 1.0 - (ranks[: len(low)] - rankdata(low)) / len(high)
    variance = below.var(ddof=1) / len(high) + above.var(ddof=1) / len(low)
    return float(below.mean()), float(variance)
