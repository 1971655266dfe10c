"""Components of a prior, products of replicas and the integrals of the sum rules, against plain formulas."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from compress_mpi.methods.enhancement.basis import basis_of, build_basis
from compress_mpi.methods.enhancement.linear import ROWS, combine, gram, one_thread
from compress_mpi.methods.enhancement.sum_rules import quadrature, sum_rules
from enhancement_tools import smooth_prior


def test_coordinates_are_uncorrelated_with_unit_variance():
    basis = basis_of(smooth_prior())
    z = basis.coordinates
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(z.shape[1]), atol=1e-9)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-12)
    assert basis.explained[basis.n_components - 1] >= 0.99999 > basis.explained[basis.n_components - 2]


@pytest.mark.parametrize("n_rep", [14, 200], ids=["fewer replicas than points", "more"])
def test_both_sides_give_the_same_components(n_rep):
    prior = smooth_prior(n_rep)
    flat = prior.reshape(n_rep, -1)
    one, two = basis_of(prior, 0.999), build_basis(gram(flat), 0.999)
    assert one.n_components == two.n_components
    np.testing.assert_allclose(one.coordinates, two.coordinates, atol=1e-8)
    np.testing.assert_allclose(one.explained[:5], two.explained[:5], atol=1e-12)


def test_gram_of_subgrids_adds_up_and_leaves_out_constants():
    flat = smooth_prior().reshape(120, -1)
    with_constant = np.concatenate([flat, np.full((120, 3), 7.1)], axis=1)
    x = (flat - flat.mean(axis=0)) / flat.std(axis=0)
    np.testing.assert_allclose(gram(with_constant), x @ x.T, atol=1e-9)
    np.testing.assert_allclose(gram(flat[:, :9]) + gram(flat[:, 9:]), gram(flat), atol=1e-9)


def test_parents_keep_what_components_miss():
    prior = smooth_prior()
    basis = basis_of(prior, 0.9)
    parents = np.array([3, 70])
    stay = basis.to_weights(basis.coordinates[parents], parents)
    np.testing.assert_allclose(combine(stay, prior), prior[parents], atol=1e-10)
    np.testing.assert_array_equal(
        basis.to_weights(basis.coordinates[parents], np.eye(120)[parents]).round(12), stay.round(12)
    )
    lost = combine(basis.to_weights(basis.coordinates[parents]), prior)
    assert np.abs(lost - prior[parents]).max() > 0.01


def test_a_row_is_the_same_whatever_is_next_to_it():
    rng = np.random.default_rng(0)
    weights, prior = rng.normal(size=(2 * ROWS + 5, 120)), smooth_prior()
    whole = combine(weights, prior)
    for rows in (slice(0, 1), slice(7, 90), slice(ROWS, None), slice(3, 3)):
        np.testing.assert_array_equal(combine(weights[rows], prior), whole[rows])


def test_combine_takes_shared_read_only_memory_and_refuses_what_does_not_fit():
    prior = smooth_prior()
    prior.flags.writeable = False
    assert combine(np.full((1, 120), 1 / 120), prior).shape == (1, 2, 12)
    with pytest.raises(ValueError, match="do not fit 120 replicas"):
        combine(np.ones((3, 119)), prior)


def test_one_thread_gives_the_threads_back():
    from threadpoolctl import threadpool_info

    with one_thread():
        pass
    # a library that comes with an algebra of its own, later than the first use
    importlib.import_module("scipy.linalg")
    before = threadpool_info()
    with one_thread():
        assert all(pool["num_threads"] == 1 for pool in threadpool_info() if pool["user_api"] == "blas")
    assert threadpool_info() == before


@pytest.mark.parametrize("variance", [0.0, 1.0, -1.0, float("nan")])
def test_a_fraction_out_of_range_is_refused(variance):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        basis_of(smooth_prior(), variance)


def test_equal_replicas_have_no_components():
    with pytest.raises(ValueError, match="no point has a spread"):
        basis_of(np.ones((6, 2, 2)))
    with pytest.raises(ValueError, match="no point has a spread"):
        basis_of(np.ones((2, 2, 2)))


def test_quadrature_of_known_integrals():
    x = np.geomspace(1e-6, 1.0, 120)
    # x f = x^a (1 - x)^3: momentum B(a + 1, 4), number B(a, 4) less what lies below the lowest knot
    assert x**0.7 * (1 - x) ** 3 @ quadrature(x, 1.0) == pytest.approx(6 / (1.7 * 2.7 * 3.7 * 4.7), rel=5e-4)
    below = 1e-6**0.7 / 0.7
    assert x**0.7 * (1 - x) ** 3 @ quadrature(x, 0.0) == pytest.approx(
        6 / (0.7 * 1.7 * 2.7 * 3.7) - below, rel=5e-4
    )
    # a cubic in ln x is exact between the inner knots, a line everywhere
    t = np.log(x)
    assert (2 + t) @ quadrature(x, 0.0) == pytest.approx(-2 * t[0] - t[0] ** 2 / 2, rel=1e-12)


def test_sum_rules_by_flavour():
    x = np.geomspace(1e-5, 1.0, 60)
    values = np.zeros((2, 60, 4))
    values[0, :, 3], values[1, :, 1] = x, x * (1 - x)
    names, sums = sum_rules(values, x, [-2, 2, 1, 21])
    assert names == ("momentum", "u valence"), "no antidown, no strangeness"
    np.testing.assert_allclose(sums[0], [0.5, 0.0], atol=1e-3)
    np.testing.assert_allclose(sums[1], [1 / 6, 0.5], atol=1e-3)


@pytest.mark.parametrize("x", [[0.1], [0.0, 1.0], [0.2, 0.1, 1.0]])
def test_knots_that_cannot_be_are_refused(x):
    with pytest.raises(ValueError, match="above 0 and increasing"):
        quadrature(np.array(x), 1.0)
