"""The quality report: zero for equal sets, noise for noise, and no generator that is wrong goes through."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.enhancement.mix import Mix, MixSettings
from compress_mpi.methods.enhancement.quality import MEASURES, compare, measure_quality, rows
from compress_mpi.methods.selection.estimators import central_moment
from compress_mpi.parallel.serial import SerialTeam
from enhancement_tools import guarded, scaled, smooth_prior
from selection_tools import Divided

PRIOR = smooth_prior(200)
BASIS, _ = guarded(PRIOR)


def report(new, team=None, prior=PRIOR):
    return measure_quality(new, prior, 3, team or SerialTeam(), repetitions=5)


def column(name):
    return MEASURES.index(name)


def test_equal_sets_do_not_differ():
    np.testing.assert_allclose(compare(PRIOR, PRIOR), 0.0, atol=1e-9)


def test_figures_are_the_plain_formulas():
    new = combine(scaled(BASIS, 1.3, 90), PRIOR)
    found = compare(new, PRIOR)
    for f in range(2):
        ratio = new[:, f].std(axis=0) / PRIOR[:, f].std(axis=0)
        assert found[f, column("std")] == pytest.approx(np.median(ratio) - 1)
    one, two = (np.corrcoef(v.reshape(len(v), -1).T) for v in (new, PRIOR))
    squares = (one - two)[:12] ** 2
    assert found[0, column("correlation")] == pytest.approx(np.sqrt(squares.sum() / (12 * 23)))


def test_a_faithful_generator_is_within_noise():
    fresh = combine(scaled(BASIS, 1.0, 400), smooth_prior(200))
    quality = report(fresh)
    assert quality.faults == ()
    assert quality.bootstrap.shape == quality.halves.shape == (5, 2, 6)


def test_a_collapsed_generator_is_found():
    found = report(combine(scaled(BASIS, 0.5, 400), PRIOR))
    assert found.enhanced[:, column("std")] == pytest.approx([-0.5, -0.5], abs=0.05)
    assert found.faults[0].startswith(("standard deviation -4", "standard deviation -5"))


def test_another_distribution_is_found():
    """Right mean and spread, but all replicas at two points of every component."""
    prior = smooth_prior(1500)
    basis, _ = guarded(prior)
    z = np.random.default_rng(0).choice([-1.0, 1.0], size=(400, 1)) * np.ones(basis.n_components)
    faults = report(combine(basis.to_weights(z), prior), prior=prior).faults
    assert any("Kolmogorov" in fault for fault in faults)


def test_moments_are_those_of_the_estimators():
    found = compare(combine(scaled(BASIS, 1.3, 90), PRIOR), PRIOR)
    new = combine(scaled(BASIS, 1.3, 90), PRIOR)
    for name, order in (("skewness", 3), ("kurtosis", 4)):
        wanted = np.median(np.abs(central_moment(new, order) - central_moment(PRIOR, order)), axis=1)
        np.testing.assert_allclose(found[:, column(name)], wanted, rtol=1e-9)


def test_an_over_dispersed_generator_is_found():
    assert "standard deviation +" in report(combine(scaled(BASIS, 1.5, 400), PRIOR)).faults[0]


def test_convex_means_are_not_fit_to_be_published():
    new = combine(Mix(200, MixSettings("convex"), 1).weights(np.arange(400)), PRIOR)
    assert "standard deviation -3" in report(new).faults[0]


def test_frechet_is_blind_to_what_ks_sees():
    """Two replicas only, with the right mean and spread."""
    sign = np.where(np.arange(200) % 2, 1.0, -1.0)
    prior = np.random.default_rng(0).normal(size=(200, 1, 1))
    two = prior.mean() + prior.std(ddof=1) * np.sqrt(199 / 200) * sign[:, None, None]
    found = compare(two, prior)[0]
    assert found[column("frechet")] == pytest.approx(0.0, abs=1e-12)
    assert found[column("ks")] > 0.2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_stays_none(bad):
    new = combine(scaled(BASIS, 1.0, 50), PRIOR)
    new[3, 1, 4] = bad
    quality = report(new)
    assert np.isnan(quality.enhanced[1]).all()
    assert np.isfinite(quality.enhanced[0]).all()
    assert quality.faults
    for values in quality.points.values():
        assert np.isnan(values[1, 4])
    assert all(np.isnan(row[2]) == (row[0] == 1) for row in rows(quality))


def test_flavours_without_spread_are_left_out():
    prior = np.concatenate([np.zeros((200, 1, 12)), PRIOR], axis=1)
    prior[:, 1, 0] = 1.0
    quality = report(prior[:150].copy(), prior=prior)
    assert quality.flavours.tolist() == [1, 2]
    assert np.isfinite(quality.enhanced).all()
    assert np.isnan(quality.points["ks"][0, 0])
    assert [row[0] for row in rows(quality)] == [1] * 6 + [2] * 6


def test_every_team_gets_the_same_bits():
    new = combine(scaled(BASIS, 1.0, 100), PRIOR)
    one, three = report(new), report(new, Divided(3))
    for name in ("enhanced", "bootstrap", "halves"):
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name))
    assert not np.array_equal(one.bootstrap[0], one.bootstrap[1])
