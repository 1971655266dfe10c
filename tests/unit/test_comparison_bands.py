"""Bands, correlations and the points that dominate, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.methods.comparison.bands import bands, identical_flavours, relative_to
from compress_mpi.methods.comparison.correlations import compare_correlations
from compress_mpi.methods.comparison.points import contributions, worst_points
from compress_mpi.methods.selection.error_function import Reference, build_reference, distances
from compress_mpi.types import ESTIMATORS

SUMS = [name for name in ESTIMATORS if name != "correlation"]


@pytest.fixture(scope="module")
def prior() -> np.ndarray:
    rng = np.random.default_rng(11)
    values = rng.gamma(3.0, size=(60, 3, 12)) - 1.0
    values[:, 1, 4] = 0.25  # a point without spread
    return values


@pytest.fixture(scope="module")
def reference(prior: np.ndarray) -> Reference:
    return build_reference(prior, ESTIMATORS, np.array([2, 4, 6, 8, 11]))


def test_bands_against_loops(prior: np.ndarray) -> None:
    found = bands(prior)
    for f, x in [(0, 0), (2, 7)]:
        values = sorted(prior[:, f, x])
        mean = sum(values) / len(values)
        place = 0.16 * (len(values) - 1)
        low = values[int(place)] + (place - int(place)) * (values[int(place) + 1] - values[int(place)])
        assert found.mean[f, x] == pytest.approx(mean)
        assert found.stdev[f, x] == pytest.approx((sum((v - mean) ** 2 for v in values) / 59) ** 0.5)
        assert found.low[f, x] == pytest.approx(low)
    inside = np.mean((prior >= found.low) & (prior <= found.high), axis=0)
    spread = np.ptp(prior, axis=0) > 0
    assert np.all(np.abs(inside[spread] - 0.68) < 0.03)


def test_bands_of_one_replica_are_refused() -> None:
    with pytest.raises(ValueError, match="got 1"):
        bands(np.zeros((1, 4)))


def test_relative_bands_keep_their_order_where_the_mean_is_negative() -> None:
    band = bands(np.array([[-3.0, 1.0, 1.0], [-1.0, 3.0, -1.0]]))
    ratio = relative_to(band, band.mean)
    np.testing.assert_allclose(ratio.mean[:2], 1.0)
    assert np.all(ratio.low[:2] < ratio.high[:2])
    assert np.all(ratio.stdev[:2] > 0)
    assert all(np.isnan(edge[2]) for edge in (ratio.mean, ratio.stdev, ratio.low, ratio.high))


def test_identical_flavours_are_grouped() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 4, 6))
    values[:, 2] = values[:, 0] * (1 + 1e-12)
    assert identical_flavours(values) == [[0, 2], [1], [3]]
    values[3, 2, 1] *= 1.001
    assert identical_flavours(values) == [[0], [1], [2], [3]]


def test_correlations_against_numpy(prior: np.ndarray) -> None:
    points = np.array([[0, 1], [0, 9], [2, 3], [2, 10]])
    subset = prior[:20]
    found = compare_correlations(prior, subset, points)
    columns = points[:, 0], points[:, 1]
    one, two = (np.corrcoef(v[:, columns[0], columns[1]], rowvar=False) for v in (prior, subset))
    np.testing.assert_allclose(found.first, one, atol=1e-12)
    np.testing.assert_allclose(found.difference, two - one, atol=1e-12)
    pairs = [abs(two[i, j] - one[i, j]) for i in range(4) for j in range(i)]
    assert found.largest == pytest.approx(max(pairs))
    assert found.rms == pytest.approx((sum(p**2 for p in pairs) / 6) ** 0.5)


def test_correlations_of_no_points() -> None:
    found = compare_correlations(np.ones((3, 1, 1)), np.ones((2, 1, 1)), np.zeros((0, 2), dtype=np.int64))
    assert (found.largest, found.rms, found.first.shape) == (0.0, 0.0, (0, 0))


@pytest.mark.parametrize("name", SUMS)
def test_contributions_add_up_to_the_distance(name: str, prior: np.ndarray, reference: Reference) -> None:
    subset = prior[5:20]
    total = dict(zip(reference.names, distances(subset, reference), strict=True))[name]
    found = contributions(subset, name, reference.values, reference.constant)
    assert found.terms.sum() == pytest.approx(total, rel=1e-12)
    assert not found.terms[1, 4].any()


def test_worst_points_are_sorted_and_named(prior: np.ndarray, reference: Reference) -> None:
    subset = prior[5:20].copy()
    subset[:, 2, 7] += 50.0
    found = contributions(subset, "mean", reference.values, reference.constant)
    worst = worst_points(found, 4)
    assert (worst[0].flavour, worst[0].x, worst[0].region) == (2, 7, None)
    assert worst[0].prior == pytest.approx(prior[:, 2, 7].mean())
    assert worst[0].subset == pytest.approx(subset[:, 2, 7].mean())
    shares = [point.share for point in worst]
    assert shares == sorted(shares, reverse=True)
    assert sum(point.share for point in worst_points(found, 10_000)) == pytest.approx(1.0)


def test_worst_regions_of_kolmogorov_smirnov(prior: np.ndarray, reference: Reference) -> None:
    found = contributions(prior[:9], "kolmogorov_smirnov", reference.values, reference.constant)
    worst = worst_points(found, 3)
    assert all(point.region in range(6) for point in worst)
    assert worst[0].share == pytest.approx(found.terms.max() / found.terms.sum())


def test_the_prior_itself_has_no_worst_points(prior: np.ndarray, reference: Reference) -> None:
    assert worst_points(contributions(prior, "stdev", reference.values, reference.constant), 5) == []


def test_the_correlation_is_no_sum(prior: np.ndarray, reference: Reference) -> None:
    with pytest.raises(ValueError, match="trace"):
        contributions(prior, "correlation", reference.values, reference.constant)
