"""Two samples told apart: by trees, column by column, and by their correlations."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compress_mpi.errors import LaunchError
from compress_mpi.methods.events import twosample
from compress_mpi.methods.events.twosample import (
    area_under_curve,
    classifier_auc,
    compare_samples,
    correlation_distance,
    kolmogorov_smirnov,
)

trees = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="needs scikit-learn (extra 'events')"
)
NUMBERS = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-5, 5).map(lambda v: round(v, 1)))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("n", "m", "shift"), [(400, 300, 0.0), (400, 300, 0.2), (90, 2000, 0.1)])
def test_kolmogorov_smirnov_agrees_with_scipy(n: int, m: int, shift: float) -> None:
    from scipy.stats import ks_2samp

    a, b = rng().normal(size=n), rng(1).normal(shift, size=m)
    found, expected = kolmogorov_smirnov(a, b), ks_2samp(a, b, method="exact")
    assert found.distance == pytest.approx(expected.statistic, abs=1e-12)
    # the exact probability counts the steps of this very n and m
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.1)


def test_kolmogorov_smirnov_passes_over_what_is_not_finite() -> None:
    a, b = rng().normal(size=50), rng(1).normal(size=60)
    assert kolmogorov_smirnov(np.r_[a, np.nan, np.inf], np.r_[-np.inf, b]) == kolmogorov_smirnov(a, b)
    assert np.isnan(kolmogorov_smirnov(np.full(3, np.nan), b)).all()


@given(NUMBERS.filter(lambda v: len(v) > 1), NUMBERS.filter(lambda v: len(v) > 1))
@settings(max_examples=40, deadline=None)
def test_the_area_is_the_share_of_ordered_pairs(low: np.ndarray, high: np.ndarray) -> None:
    pairs = np.sign(high[:, None] - low[None, :]) / 2 + 0.5
    value, variance = area_under_curve(low, high)
    assert value == pytest.approx(pairs.mean())
    delong = pairs.mean(axis=1).var(ddof=1) / len(high) + pairs.mean(axis=0).var(ddof=1) / len(low)
    assert variance == pytest.approx(delong, abs=1e-12)
    assert area_under_curve(high, low)[0] == pytest.approx(1 - value)


@trees
def test_samples_of_one_origin_cannot_be_told_apart() -> None:
    found = [
        classifier_auc(rng(s).normal(size=(400, 3)), rng(s + 99).normal(size=(400, 3)), rng())
        for s in range(3)
    ]
    pulls = [(one.value - 0.5) / one.error for one in found]
    assert np.abs(pulls).max() < 4
    assert all(one.error == pytest.approx(np.sqrt(1 / 12 / 400 * 2), rel=0.2) for one in found)


@trees
def test_the_classifier_sees_what_no_single_column_shows() -> None:
    x = rng().normal(size=(1500, 1)) + 0.5 * rng(1).normal(size=(1500, 2))
    y = x.copy()
    y[:, 1] = rng(2).permutation(y[:, 1])
    report = compare_samples(dict(zip("ab", x.T, strict=True)), dict(zip("ab", y.T, strict=True)), rng())
    assert all(one.distance == 0 and one.p_value == 1 for one in report.ks.values())
    assert report.auc is not None
    assert report.auc.value > 0.7
    assert report.correlation.largest > 0.6


@trees
def test_the_same_generator_gives_the_same_bits_and_rows_are_limited() -> None:
    a, b = rng().normal(size=(300, 2)), rng(1).normal(0.3, size=(500, 2))
    first, again, fewer = (classifier_auc(a, b, rng(5), rows) for rows in (1000, 1000, 100))
    assert first.value == again.value
    np.testing.assert_array_equal(first.folds, again.folds)
    assert (first.rows, fewer.rows) == (300, 100)
    assert fewer.error > first.error


@trees
def test_rows_that_are_not_finite_are_counted_and_left_out() -> None:
    a = {"pt": rng().normal(size=200).astype(np.float32), "n": rng(1).integers(0, 9, 200)}
    b = {"n": a["n"].copy(), "pt": a["pt"].copy()}
    b["pt"][:20] = np.nan
    b["pt"][20:30] = np.inf
    report = compare_samples(a, b, rng())
    assert report.rows == (200, 200)
    assert report.finite == (200, 170)
    assert report.nonfinite == {"pt": (0.0, 0.15), "n": (0.0, 0.0)}
    assert report.ks["n"].distance == 0, "columns go by name, not by order"
    assert report.auc is not None
    assert report.auc.rows == 170


def test_too_few_rows_have_no_classifier() -> None:
    a = {"x": rng().normal(size=twosample.MIN_ROWS - 1)}
    assert compare_samples(a, a, rng()).auc is None
    with pytest.raises(ValueError, match="expected 50 rows or more of each sample, got 49"):
        classifier_auc(a["x"][:, None], a["x"][:, None], rng())


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ({"x": np.ones(3)}, {"y": np.ones(3)}, "columns differ: x, y in one only"),
        ({"x": np.ones(3), "y": np.ones(4)}, {"x": np.ones(3)}, r"the first one: .* got lengths \[3, 4\]"),
        ({"x": np.ones(3)}, {}, "the second one: .* got none"),
    ],
)
def test_samples_that_cannot_be_compared(first: dict, second: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        compare_samples(first, second, rng())


def test_without_the_library_there_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LaunchError, match=r"scikit-learn is not installed.*compress-mpi\[events\]"):
        classifier_auc(np.ones((60, 1)), np.ones((60, 1)), rng())


def test_correlations_of_ranks_ignore_tails_and_constants() -> None:
    x = rng().normal(size=(500, 3))
    x[:, 1] += x[:, 0]
    tails = np.column_stack([np.exp(5 * x[:, 0]), x[:, 1] ** 3, np.ones(500)])
    found = correlation_distance(np.column_stack([x[:, :2], np.ones(500)]), tails)
    assert found.largest < 1e-12
    assert correlation_distance(x[:, :1], x[:, :1]) == (0.0, 0.0)
    mixed = np.column_stack([x[:, 0], rng(3).permutation(x[:, 1]), x[:, 2]])
    found = correlation_distance(x, mixed)
    assert 0.5 < found.largest < 0.85
    assert 0 < found.rms < found.largest
