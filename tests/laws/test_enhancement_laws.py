"""Laws of the enhancement: weights sum to one, coordinates are a pair of inverses, nobody's share matters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress_mpi.methods.enhancement.basis import basis_of
from compress_mpi.methods.enhancement.choose import enhance
from compress_mpi.methods.enhancement.guards import screen
from compress_mpi.methods.enhancement.kde import KDE, KDESettings
from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.enhancement.mix import FORMS, Mix, MixSettings
from compress_mpi.parallel.serial import SerialTeam
from enhancement_tools import guarded, smooth_prior
from selection_tools import Divided

seeds = st.integers(0, 2**32)
priors = st.builds(smooth_prior, st.integers(3, 60), st.integers(1, 3), st.integers(1, 9), seeds)
light = settings(max_examples=25)


@light
@given(prior=priors, seed=seeds, form=st.sampled_from(sorted(FORMS)), spread=st.floats(0, 5))
def test_rows_of_mix_sum_to_one(prior, seed, form, spread):
    weights = Mix(len(prior), MixSettings(form, spread), seed).weights(np.arange(10))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=0, atol=1e-12)


@light
@given(prior=priors, seed=seeds, bandwidth=st.floats(1e-3, 1))
def test_rows_of_kde_sum_to_one(prior, seed, bandwidth):
    weights = KDE(basis_of(prior), KDESettings(bandwidth), seed).weights(np.arange(10))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=0, atol=1e-10)


@light
@given(prior=priors, seed=seeds, descend=st.booleans())
def test_coordinates_come_back(prior, seed, descend):
    basis = basis_of(prior)
    rng = np.random.default_rng(seed)
    z = 3.0 * rng.normal(size=(7, basis.n_components))
    parents = rng.integers(len(prior), size=7) if descend else None
    np.testing.assert_allclose(basis.to_coordinates(basis.to_weights(z, parents)), z, atol=1e-7)


@light
@given(prior=priors, seed=seeds)
def test_combine_is_the_sum(prior, seed):
    weights = np.random.default_rng(seed).normal(size=(9, len(prior)))
    np.testing.assert_allclose(combine(weights, prior), np.einsum("nr,rfx->nfx", weights, prior), rtol=1e-9)


@light
@given(prior=priors, seed=seeds)
def test_the_order_of_replicas_does_not_matter(prior, seed):
    order = np.random.default_rng(seed).permutation(len(prior))
    one, two = basis_of(prior, 0.9), basis_of(prior[order], 0.9)
    assert one.n_components == two.n_components
    np.testing.assert_allclose(
        one.explained[: one.n_components], two.explained[: two.n_components], atol=1e-9
    )
    # components of equal variance may turn into each other; what they span does not
    span = [each @ each.T for each in (one.coordinates[order], two.coordinates)]
    gap = np.diff(one.explained, prepend=0.0)
    if one.n_components < len(gap) and gap[one.n_components - 1] > 1.01 * gap[one.n_components]:
        np.testing.assert_allclose(span[0], span[1], atol=1e-6 * len(prior))


@light
@given(seed=seeds, form=st.sampled_from(sorted(FORMS)))
def test_figures_follow_the_replicas(seed, form):
    """The same candidate of the same prior in another order has the same figures."""
    prior = smooth_prior(40)
    order = np.random.default_rng(seed).permutation(40)
    weights = Mix(40, MixSettings(form), seed).weights(np.arange(5))
    one, two = guarded(prior)[1], guarded(prior[order])[1]
    figures = screen(weights, one), screen(weights[:, order], two)
    np.testing.assert_allclose(figures[0][:, :-1], figures[1][:, :-1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("size", [2, 3, 5, 40])
@pytest.mark.parametrize("name", ["mix", "kde"])
def test_every_team_takes_the_same_replicas(name, size):
    prior = smooth_prior(50)
    basis, guard = guarded(prior, prior.sum(axis=(1, 2))[:, None])
    source = Mix(50, MixSettings("both"), 1) if name == "mix" else KDE(basis, KDESettings(), 1)
    one, many = (enhance(source, guard, 200, team) for team in (SerialTeam(), Divided(size)))
    np.testing.assert_array_equal(one.numbers, many.numbers)
    np.testing.assert_array_equal(one.figures, many.figures)
    assert one.checks == many.checks
    parts = [many.weights(range(*ends)) for ends in ((0, 1), (1, 77), (77, 200))]
    np.testing.assert_array_equal(np.concatenate(parts), one.weights())
