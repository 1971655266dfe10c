"""What mix and kde draw, and how origins are kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.methods.enhancement.basis import basis_of
from compress_mpi.methods.enhancement.kde import KDE, KDESettings
from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.enhancement.mix import Mix, MixSettings
from compress_mpi.methods.enhancement.source import Drawn, mixing_warning
from enhancement_tools import smooth_prior

NUMBERS = np.arange(4000)


def test_difference_keeps_mean_and_spread():
    prior = smooth_prior()
    new = combine(Mix(120, MixSettings("difference"), 3).weights(NUMBERS), prior)
    np.testing.assert_allclose(new.std(axis=0) / prior.std(axis=0), 1.0, atol=0.06)
    assert np.abs((new.mean(axis=0) - prior.mean(axis=0)) / prior.std(axis=0)).max() < 0.06


def test_difference_is_the_formula():
    row = Mix(50, MixSettings("difference", 0.5), 1).draw(9)
    shrink = 1 / np.sqrt(1.5)
    rest = np.bincount(np.unique(row.round(12), return_inverse=True)[1]).max()
    assert rest == 47
    extra = np.sort(row - (1 - shrink) / 50)[[0, -2, -1]]
    np.testing.assert_allclose(extra, [-0.5 * shrink, 0.5 * shrink, shrink], atol=1e-12)


def test_convex_means_stay_inside_and_are_narrow():
    prior = smooth_prior()
    weights = Mix(120, MixSettings("convex"), 3).weights(NUMBERS)
    assert set(np.count_nonzero(weights, axis=1)) == {2, 3}
    assert weights.min() == 0.0
    new = combine(weights, prior)
    assert np.all(new <= prior.max(axis=0) + 1e-12)
    assert np.median(new.std(axis=0) / prior.std(axis=0)) == pytest.approx(0.645, abs=0.03)


def test_both_forms_take_turns():
    seed, own = 4, range(8)
    both = Mix(30, MixSettings("both"), seed)
    forms = [Mix(30, MixSettings(form), seed) for form in ("difference", "convex")]
    for number in own:
        np.testing.assert_array_equal(both.draw(number), forms[number % 2].draw(number))


def test_kde_keeps_mean_spread_and_the_rest_of_the_parent():
    prior = smooth_prior()
    basis = basis_of(prior, 0.99)
    new = combine(KDE(basis, KDESettings(0.3), 5).weights(NUMBERS), prior)
    np.testing.assert_allclose(new.std(axis=0) / prior.std(axis=0), 1.0, atol=0.06)
    # without the rest of the parent 1 % of the variance would be missing where it is small: it is all there
    beyond = [
        v - combine(basis.to_weights(basis.to_coordinates(w)), prior)
        for v, w in [(new, KDE(basis, KDESettings(0.3), 5).weights(NUMBERS)), (prior, np.eye(120))]
    ]
    assert np.median(beyond[0].std(axis=0) / beyond[1].std(axis=0)) == pytest.approx(1.0, abs=0.05)


def test_a_small_bandwidth_stays_close():
    basis = basis_of(smooth_prior())
    weights = KDE(basis, KDESettings(1e-3), 5).weights(np.arange(20))
    assert np.all(weights.max(axis=1) > 0.99)


@pytest.mark.parametrize("seed", [1, 2])
def test_candidates_do_not_depend_on_their_company(seed):
    basis = basis_of(smooth_prior())
    for source in (Mix(120, MixSettings("both"), seed), KDE(basis, KDESettings(), seed)):
        whole = source.weights(np.arange(150))
        np.testing.assert_array_equal(source.weights(np.array([149, 3])), whole[[149, 3]])
        assert len(np.unique(whole, axis=0)) == 150
        assert source.weights(np.arange(0)).shape == (0, 120)
    assert not np.array_equal(
        Mix(120, MixSettings(), seed).draw(0), Mix(120, MixSettings(), seed + 9).draw(0)
    )


def test_mix_stays_within_one_origin():
    origins = np.repeat([0, 1], [40, 80])
    weights = Mix(120, MixSettings("both"), 1, origins).weights(NUMBERS[:600])
    parts = np.stack([np.abs(weights[:, origins == one]).sum(axis=1) > 0 for one in (0, 1)])
    assert np.all(parts.sum(axis=0) == 1)
    assert parts[1].mean() == pytest.approx(2 / 3, abs=0.06)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)


def test_an_origin_with_two_replicas_is_refused():
    with pytest.raises(ValueError, match=r"set 2 of the prior gives 2 replicas.*needs 3"):
        Mix(12, MixSettings(), 1, np.repeat([0, 1], [10, 2]))
    with pytest.raises(ValueError, match="origin of 12 replicas"):
        Mix(12, MixSettings(), 1, np.zeros(5, dtype=int))


def test_who_mixes_origins_is_told():
    origins = np.repeat([0, 1], 6)
    assert mixing_warning("mix", origins) is None
    assert mixing_warning("kde", None) is None
    assert mixing_warning("kde", np.zeros(12, dtype=int)) is None
    assert "2 sets" in (mixing_warning("kde", origins) or "")


def test_drawn_candidates():
    basis = basis_of(smooth_prior())
    z = np.random.default_rng(0).normal(size=(5, basis.n_components))
    np.testing.assert_allclose(
        basis.to_coordinates(Drawn("flow", basis, z).weights(np.arange(5))), z, atol=1e-9
    )
    parents = np.arange(5)
    children = Drawn("flow", basis, basis.coordinates[:5], parents).weights(parents)
    np.testing.assert_allclose(children, np.eye(120)[:5], atol=1e-12)
    with pytest.raises(ValueError, match="do not fit"):
        Drawn("flow", basis, z[:, 1:])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MixSettings("mean"), "form: expected one of difference, convex, both"),
        (lambda: MixSettings("both", -0.1), "spread"),
        (lambda: MixSettings("both", float("nan")), "spread"),
        (lambda: KDESettings(0.0), "bandwidth"),
        (lambda: KDESettings(1.1), "bandwidth"),
    ],
)
def test_settings_out_of_range(make, said):
    with pytest.raises(ValueError, match=said):
        make()
