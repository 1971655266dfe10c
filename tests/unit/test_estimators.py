"""The reference estimators against plain loops over the papers' formulas."""

import math

import numpy as np
import pytest

from compress_mpi.methods.selection import estimators as est
from compress_mpi.methods.selection.error_function import build_reference, distances, error_function
from compress_mpi.methods.selection.grid import correlation_nodes, flavour_ids, published_xgrid
from selection_tools import made_up_prior


@pytest.fixture(scope="module")
def prior():
    return made_up_prior(n_rep=23)


def at_point(prior):
    return [float(v) for v in prior[:, 1, 4]]


def test_mean_and_stdev(prior):
    values = at_point(prior)
    m = math.fsum(values) / 23
    s = math.sqrt(math.fsum((v - m) ** 2 for v in values) / 22)
    assert est.mean(prior)[1, 4] == pytest.approx(m, rel=1e-14)
    assert est.stdev(prior)[1, 4] == pytest.approx(s, rel=1e-14)


@pytest.mark.parametrize("order", [3, 4, 5, 6])
def test_central_moments_use_the_spread_with_divisor_n_minus_1(prior, order):
    values = at_point(prior)
    m = math.fsum(values) / 23
    s = math.sqrt(math.fsum((v - m) ** 2 for v in values) / 22)
    expected = math.fsum((v - m) ** order for v in values) / 23 / s**order
    assert est.central_moment(prior, order)[1, 4] == pytest.approx(expected, rel=1e-12)


def test_region_fractions_by_counting(prior):
    values = at_point(prior)
    m, s = np.mean(values), np.std(values, ddof=1)
    edges = [m - 2 * s, m - s, m, m + s, m + 2 * s]
    counts = [0] * 6
    for v in values:
        counts[sum(v > e for e in edges)] += 1
    assert est.region_fractions(prior)[1, 4].tolist() == pytest.approx([c / 23 for c in counts])


def test_a_value_on_an_edge_belongs_to_the_lower_region():
    # mean 2, spread 1: 1 and 3 lie on the edges m - s and m + s, 2 on the mean
    fractions = est.region_fractions(np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1))[0, 0]
    assert fractions.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0, 0])


def test_correlation_matrix_is_the_formula_of_the_paper(prior):
    points = prior[:, :, 3]
    n = len(points)
    s = points.std(axis=0, ddof=1)
    product = (points[:, 0] * points[:, 2]).mean() - points[:, 0].mean() * points[:, 2].mean()
    assert est.correlation_matrix(points)[0, 2] == pytest.approx(
        n / (n - 1) * product / (s[0] * s[2]), rel=1e-10
    )
    assert np.diag(est.correlation_matrix(points)) == pytest.approx(1.0)


def test_points_without_spread_have_no_moments():
    flat = np.ones((5, 1, 1))
    assert est.central_moment(flat, 3).item() == 0.0
    assert est.correlation_matrix(flat[:, 0]).item() == 0.0


def test_rank_rule_keeps_the_first_of_dependent_points():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    points = np.stack([a, b, a, a + b, rng.normal(size=50)], axis=1)
    assert est.independent_points(est.correlation_matrix(points)).tolist() == [0, 1, 4]


def test_rank_rule_with_fewer_replicas_than_points():
    points = np.random.default_rng(0).normal(size=(6, 20))
    assert len(est.independent_points(est.correlation_matrix(points))) == 5


def test_identical_flavours_give_an_invertible_matrix():
    prior = made_up_prior()
    prior[:, 2] = prior[:, 0]
    reference = build_reference(prior, ["correlation"], correlation_nodes(10, 3))
    assert len(reference.dropped) == 5
    assert set(reference.dropped[:, 0]) == {2}
    assert reference.correlation @ reference.inverse == pytest.approx(np.eye(10), abs=1e-9)


def test_published_grid():
    x = published_xgrid()
    assert len(x) == 70
    assert x[0] == 1.0974987654930569e-05
    assert x[24] == 8.3021756813197525e-02
    assert np.diff(x[25:]) == pytest.approx(0.9 / 49)
    assert x[-1] == pytest.approx(0.1 + 0.9 * 44 / 49)
    assert flavour_ids(3) == (-3, -2, -1, 21, 1, 2, 3)


def test_correlation_nodes_and_the_slip_of_pycompressor():
    assert correlation_nodes(70, 7).tolist() == [14, 28, 42, 56, 69]
    assert correlation_nodes(70, 7, "pycompressor").tolist() == [14, 28, 42, 56, 6]
    with pytest.raises(ValueError, match="index 8"):
        correlation_nodes(5, 9, "pycompressor")


def test_distances_by_hand(prior):
    names = ("mean", "kolmogorov_smirnov", "correlation")
    reference = build_reference(prior, names, correlation_nodes(10, 3))
    subset = prior[[0, 3, 5, 9, 11]]
    by_mean = sum(
        ((subset[:, f, x].mean() - prior[:, f, x].mean()) / prior[:, f, x].mean()) ** 2
        for f in range(3)
        for x in range(10)
    )
    regions, wanted = est.region_fractions(subset), est.region_fractions(prior)
    by_region = sum(
        ((f - g) / g) ** 2 for f, g in zip(regions.ravel(), wanted.ravel(), strict=True) if g != 0
    )
    p = est.correlation_matrix(reference.correlation_points(prior))
    c = est.correlation_matrix(reference.correlation_points(subset))
    trace = np.trace(c @ np.linalg.inv(p))
    expected = [by_mean, by_region, (trace / len(p) - 1) ** 2]
    assert distances(subset, reference) == pytest.approx(expected, rel=1e-9)
    norm = np.array([2.0, 3.0, 4.0])
    assert error_function(subset, reference, norm) == pytest.approx(np.mean(np.array(expected) / norm))


def test_terms_with_a_zero_prior_value_are_left_out():
    prior = made_up_prior()
    prior[:, 0, 0] -= prior[:, 0, 0].mean()
    prior[0, 0, 0] -= prior[:, 0, 0].sum()
    reference = build_reference(prior, ["mean"], correlation_nodes(10, 3))
    reference.values["mean"][0, 0] = 0.0
    assert np.isfinite(distances(prior[:7], reference)).all()
